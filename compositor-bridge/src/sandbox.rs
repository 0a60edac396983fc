//! Giving up what a connected bridge does not need: new files, new sockets, new programs, new executable memory.

use crate::config::BridgeError;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch,
};
use std::collections::BTreeMap;

/// System calls without condition. The comment of each group says who needs it.
const FREE: &[i64] = &[
    // Both sockets, clipboard pipes, the keymap.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pread64,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_close,
    libc::SYS_pipe2,
    libc::SYS_memfd_create,
    libc::SYS_fstat,
    // Memory and threads of the runtime.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    // Signals and the end.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// fcntl commands: flags, a copy of a handle, seals.
const FCNTL: &[i32] = &[
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GET_SEALS,
    libc::F_ADD_SEALS,
];

fn failed(error: impl std::fmt::Display) -> BridgeError {
    BridgeError::Sandbox(error.to_string())
}

fn masked(argument: u8, mask: i32, value: i32) -> Result<Rule, seccompiler::BackendError> {
    let (mask, value) = (u64::from(mask.unsigned_abs()), u64::from(value.unsigned_abs()));
    Rule::new(vec![Condition::new(argument, Len::Qword, Op::MaskedEq(mask), value)?])
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<Rule>> = FREE.iter().map(|&number| (number, Vec::new())).collect();
    // No executable memory, new or changed.
    rules.insert(libc::SYS_mmap, vec![masked(2, libc::PROT_EXEC, 0)?]);
    rules.insert(libc::SYS_mprotect, vec![masked(2, libc::PROT_EXEC, 0)?]);
    let mut commands = Vec::new();
    for command in FCNTL {
        let command = u64::from(command.unsigned_abs());
        commands.push(Rule::new(vec![Condition::new(1, Len::Dword, Op::Eq, command)?])?);
    }
    rules.insert(libc::SYS_fcntl, commands);
    // An abort signals the process itself; the process id is that of the caller.
    let me = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![Rule::new(vec![Condition::new(0, Len::Dword, Op::Eq, me)?])?]);
    rules.insert(libc::SYS_getpid, Vec::new());
    rules.insert(libc::SYS_gettid, Vec::new());
    let kill = SeccompAction::KillProcess;
    SeccompFilter::new(rules, kill, SeccompAction::Allow, TargetArch::x86_64)?.try_into()
}

/// Takes all file-system, network and signalling rights away, as far as the kernel has Landlock for it.
fn landlock() -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Confines this process for ever. Returns whether Landlock is in force.
pub fn enter() -> Result<bool, BridgeError> {
    // Also sets no_new_privs, which seccomp needs; where there is no Landlock, seccompiler sets it.
    let landlock = landlock().map_err(failed)?;
    let filter = filter().map_err(failed)?;
    seccompiler::apply_filter(&filter).map_err(failed)?;
    Ok(landlock)
}
