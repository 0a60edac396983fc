//! The seccomp filter of every family, compiled from `assets/seccomp.json` when this crate was built.

/// A host system call that the filter allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// Name.
    pub name: &'static str,
    /// Number on x86-64.
    pub number: i64,
    /// What it is for.
    pub why: &'static str,
}

/// The host system calls that the filter allows, some only with certain arguments.
pub const HOST_CALLS: &[HostCall] = include!(concat!(env!("OUT_DIR"), "/host_calls.rs"));

/// Most host system calls there may ever be.
pub const MAX_HOST_CALLS: usize = 20;

const _: () = assert!(HOST_CALLS.len() <= MAX_HOST_CALLS);

/// The filter, an array of `struct sock_filter`. A family that has no PID namespace of its own gets one that allows no
/// signals, since a signal could reach any process of the user.
#[must_use]
pub fn program(own_pid_namespace: bool) -> &'static [u8] {
    if own_pid_namespace {
        include_bytes!(concat!(env!("OUT_DIR"), "/filter.bin"))
    } else {
        include_bytes!(concat!(env!("OUT_DIR"), "/filter-no-signals.bin"))
    }
}
