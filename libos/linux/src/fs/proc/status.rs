//! /proc/PID/stat, statm, status and limits.

use super::process::{Subject, comm};
use crate::fs::device;
use crate::task::process::Status;
use crate::task::{Process, resource};
use crate::{Result, signal};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::Ordering;
use postern_pal::thread as host_thread;

/// Clock ticks of 10 ms.
fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds / 10_000_000
}

/// State letter and word.
fn state(subject: &Subject, process: &Process) -> (char, &'static str) {
    let thread = subject.thread().ok();
    let state = process.state.lock();
    if state.exit.is_some() {
        return ('Z', "zombie");
    }
    if state.stopped {
        return ('T', "stopped");
    }
    match thread {
        // A vfork child has its place.
        Some(thread) if thread.is_lent.load(Ordering::Relaxed) != 0 => ('D', "disk sleep"),
        Some(thread) if thread.host().is_some_and(|host| !host_thread::is_parked(host)) => ('R', "running"),
        _ => ('S', "sleeping"),
    }
}

/// Device number and foreground group of the controlling terminal.
fn terminal(process: &Process) -> (u64, i64) {
    crate::ipc::tty::job::facts_of(process).map_or((0, -1), |(number, group)| {
        (device::number(device::PTS_MAJOR, u64::from(number)), i64::from(group))
    })
}

pub(super) fn stat(subject: &Subject) -> Result<Vec<u8>> {
    let process = subject.process()?;
    let name = comm(subject)?;
    let (letter, _) = state(subject, &process);
    let (device, foreground) = terminal(&process);
    let used = subject.used()?;
    let children = *process.used_by_children.lock();
    let (threads, exit) = {
        let state = process.state.lock();
        (state.threads.len(), state.exit)
    };
    let exit_code = match exit {
        Some(Status::Exited(code)) => u32::from(code) << 8,
        Some(Status::Killed(signal, _)) => u32::from(signal),
        _ => 0,
    };
    let size = process.space().size().total;
    let mut out = String::new();
    let _ = write!(out, "{} ({}) {letter}", subject.tid, String::from_utf8_lossy(&name));
    let numbers: [i64; 4] = [
        i64::from(process.parent_pid()),
        i64::from(process.group.load(Ordering::Relaxed)),
        i64::from(process.session.load(Ordering::Relaxed)),
        device.cast_signed(),
    ];
    for number in numbers {
        let _ = write!(out, " {number}");
    }
    // tpgid flags minflt cminflt majflt cmajflt
    let _ = write!(out, " {foreground} 4194304 0 0 0 0");
    for time in [used.user_ns, used.system_ns, children.user_ns, children.system_ns] {
        let _ = write!(out, " {}", ticks(time));
    }
    // priority nice num_threads itrealvalue starttime vsize rss rsslim
    let start = ticks(process.started);
    let nice = subject.thread().map_or(0, |t| t.settings.nice.load(Ordering::Relaxed));
    let resident = process.limits.soft(resource::RSS);
    let _ = write!(out, " {} {nice} {} 0 {start}", 20 + nice, threads.max(1));
    let _ = write!(out, " {size} {} {resident}", size / 4096);
    // startcode … wchan: addresses that are nobody's business, nswap cnswap
    out.push_str(" 0 0 0 0 0 0 0 0 0 0 0 0");
    // exit_signal processor rt_priority policy delayacct guest cguest
    let _ = write!(out, " {} 0 0 0 0 0 0", process.exit_signal.load(Ordering::Relaxed));
    // start_data end_data start_brk arg_start arg_end env_start env_end exit_code
    let _ = writeln!(out, " 0 0 0 0 0 0 0 {exit_code}");
    Ok(out.into_bytes())
}

pub(super) fn statm(subject: &Subject) -> Result<Vec<u8>> {
    let process = subject.process()?;
    let (mut total, mut shared, mut text, mut data) = (0, 0, 0, 0);
    process.space().for_each(&mut |area| {
        let pages = (area.end - area.start) / 4096;
        total += pages;
        if area.file.is_some() {
            shared += pages;
        } else {
            data += pages;
        }
        if area.prot & 4 != 0 {
            text += pages;
        }
    });
    Ok(alloc::format!("{total} {total} {shared} {text} 0 {data} 0\n").into_bytes())
}

/// Pending for the thread and the process, blocked, ignored, caught.
fn masks(subject: &Subject, process: &Arc<Process>) -> [u64; 5] {
    const IGNORE: u64 = 1;
    let shared = process.signals.pending();
    let thread = subject.thread().ok();
    let blocked = thread.as_ref().map_or(0, |t| t.signals.blocked());
    let mut sets = [0, shared, blocked, 0, 0];
    let [pending, _, _, ignored, caught] = &mut sets;
    for signal in 1..=64 {
        let bit = 1 << (signal - 1);
        match process.signals.action(signal).handler {
            0 => {}
            IGNORE => *ignored |= bit,
            _ => *caught |= bit,
        }
        if shared & bit == 0 && thread.as_ref().is_some_and(|t| signal::pending_in(t, bit)) {
            *pending |= bit;
        }
    }
    sets
}

pub(super) fn status(subject: &Subject) -> Result<Vec<u8>> {
    let process = subject.process()?;
    let name = comm(subject)?;
    let (letter, word) = state(subject, &process);
    let identity = process.identity.lock().clone();
    let threads = process.state.lock().threads.len();
    let size = process.space().size();
    let kib = size.total / 1024;
    let umask = process.fs.umask.load(Ordering::Relaxed);
    let [pending, shared, blocked, ignored, caught] = masks(subject, &process);
    let mut out = String::new();
    let _ = writeln!(out, "Name:\t{}", String::from_utf8_lossy(&name));
    let _ = writeln!(out, "Umask:\t{umask:04o}\nState:\t{letter} ({word})");
    let _ = writeln!(out, "Tgid:\t{}\nNgid:\t0\nPid:\t{}", process.pid, subject.tid);
    let _ = writeln!(out, "PPid:\t{}\nTracerPid:\t0", process.parent_pid());
    let i = &identity;
    let _ = writeln!(out, "Uid:\t{}\t{}\t{}\t{}", i.uid, i.euid, i.suid, i.fsuid);
    let _ = writeln!(out, "Gid:\t{}\t{}\t{}\t{}", i.gid, i.egid, i.sgid, i.fsgid);
    let slots =
        process.files.list().last().map_or(64, |(fd, _)| (fd.unsigned_abs() + 1).next_multiple_of(64));
    let _ = write!(out, "FDSize:\t{slots}\nGroups:\t");
    for group in &identity.groups {
        let _ = write!(out, "{group} ");
    }
    let (group, session) = (process.group.load(Ordering::Relaxed), process.session.load(Ordering::Relaxed));
    let _ = writeln!(
        out,
        "\nNStgid:\t{}\nNSpid:\t{}\nNSpgid:\t{group}\nNSsid:\t{session}",
        process.pid, subject.tid
    );
    if process.state.lock().exit.is_none() {
        for field in ["VmPeak", "VmSize"] {
            let _ = writeln!(out, "{field}:\t{kib:>8} kB");
        }
        let _ = writeln!(out, "VmLck:\t{:>8} kB\nVmPin:\t       0 kB", size.locked / 1024);
        for field in ["VmHWM", "VmRSS", "RssAnon"] {
            let _ = writeln!(out, "{field}:\t{kib:>8} kB");
        }
        for field in ["RssFile", "RssShmem"] {
            let _ = writeln!(out, "{field}:\t       0 kB");
        }
        let (data, stack) = (size.data / 1024, size.stack / 1024);
        let _ = writeln!(out, "VmData:\t{data:>8} kB\nVmStk:\t{stack:>8} kB\nVmSwap:\t       0 kB");
    }
    let _ = writeln!(out, "CoreDumping:\t0\nTHP_enabled:\t1\nThreads:\t{}", threads.max(1));
    let queue = process.limits.soft(resource::SIGPENDING);
    let _ = writeln!(out, "SigQ:\t0/{queue}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}");
    let _ = writeln!(out, "SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}");
    let sets = &identity.capabilities;
    for (name, set) in [
        ("CapInh", sets.inheritable),
        ("CapPrm", sets.permitted),
        ("CapEff", sets.effective),
        ("CapBnd", sets.bounding),
        ("CapAmb", sets.ambient),
    ] {
        let _ = writeln!(out, "{name}:\t{set:016x}");
    }
    let settings = subject.thread().ok();
    let (mode, filters) = settings.as_ref().map_or((0, 0), |t| t.settings.seccomp.state());
    let privileges = settings.map_or(0, |t| t.settings.no_new_privileges.load(Ordering::Relaxed));
    let _ = writeln!(out, "NoNewPrivs:\t{privileges}\nSeccomp:\t{mode}\nSeccomp_filters:\t{filters}");
    let _ = writeln!(out, "Cpus_allowed:\t{:x}", super::system::cpu_mask());
    let last = super::system::cpus().saturating_sub(1);
    let list = if last == 0 { String::from("0") } else { alloc::format!("0-{last}") };
    let _ = writeln!(out, "Cpus_allowed_list:\t{list}\nMems_allowed:\t1\nMems_allowed_list:\t0");
    let _ = writeln!(out, "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0");
    Ok(out.into_bytes())
}

/// Names and units of the limits, in order of number (getrlimit(2)).
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

pub(super) fn limits(subject: &Subject) -> Result<Vec<u8>> {
    let limits = subject.process()?.limits.all();
    let mut out = String::new();
    let _ = writeln!(out, "{:<25} {:<20} {:<20} {:<10}", "Limit", "Soft Limit", "Hard Limit", "Units");
    let show = |value: u64| if value == u64::MAX { "unlimited".into() } else { alloc::format!("{value}") };
    for ((name, unit), [soft, hard]) in LIMITS.iter().zip(limits) {
        let _ = writeln!(out, "{name:<25} {:<20} {:<20} {unit:<10}", show(soft), show(hard));
    }
    Ok(out.into_bytes())
}
