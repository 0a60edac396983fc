//! /proc beside the processes: facts about the machine as the family sees it.

use super::{ROOT, texts};
use crate::Result;
use crate::fs::random;
use crate::fs::synthetic::{Body, Node, Tree};
use crate::ipc::mqueue;
use crate::sys::load;
use crate::task::process as tasks;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use postern_abi::boot::Boot;
use postern_pal::clock;

static CPUS: AtomicU32 = AtomicU32::new(1);
static MEMORY: AtomicU64 = AtomicU64::new(0);

/// Processors of the family.
pub(super) fn cpus() -> u32 {
    CPUS.load(Ordering::Relaxed)
}

/// The same as a mask.
pub(super) fn cpu_mask() -> u64 {
    1u64.checked_shl(cpus()).map_or(u64::MAX, |bit| bit - 1)
}

fn fixed(dev: u64, text: impl Into<Cow<'static, [u8]>>) -> Arc<Node> {
    Node::new(dev, 0o444, ROOT, Body::Fixed(text.into()))
}

fn line(dev: u64, text: impl AsRef<str>) -> Arc<Node> {
    fixed(dev, format!("{}\n", text.as_ref()).into_bytes())
}

fn text(dev: u64, make: fn() -> Result<Vec<u8>>) -> Arc<Node> {
    Node::new(dev, 0o444, ROOT, Body::Text(Box::new(make)))
}

fn directory(dev: u64, tree: Tree) -> Arc<Node> {
    Node::new(dev, 0o555, ROOT, Body::Tree(tree))
}

fn link(dev: u64, target: &'static str) -> Arc<Node> {
    Node::new(dev, 0o777, ROOT, Body::Link(Box::new(move || Ok(target.as_bytes().to_vec()))))
}

/// The fixed part of the root of /proc.
pub(super) fn tree(dev: u64, boot: &Boot, block: &'static [u8]) -> Tree {
    CPUS.store(boot.cpus.max(1), Ordering::Relaxed);
    MEMORY.store(boot.memory, Ordering::Relaxed);
    let mut tree = Tree::from([
        ("cmdline", line(dev, "quiet")),
        ("cpuinfo", text(dev, || Ok(plain_cpuinfo()))),
        ("devices", fixed(dev, &b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n136 pts\n"[..])),
        ("diskstats", fixed(dev, &b""[..])),
        ("filesystems", fixed(dev, FILE_SYSTEMS)),
        ("interrupts", fixed(dev, &b""[..])),
        ("loadavg", text(dev, || Ok(load_average()))),
        ("meminfo", text(dev, || Ok(memory_info()))),
        ("modules", fixed(dev, &b""[..])),
        ("mounts", link(dev, "self/mounts")),
        ("net", link(dev, "self/net")),
        ("partitions", fixed(dev, &b"major minor  #blocks  name\n\n"[..])),
        ("stat", text(dev, || Ok(machine_stat()))),
        ("swaps", fixed(dev, &b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"[..])),
        ("sys", settings(dev, boot, block)),
        ("uptime", text(dev, || Ok(uptime()))),
        ("version", line(dev, "Linux version 6.1.0 (postern@localhost) #1 SMP PREEMPT_DYNAMIC")),
        ("vmstat", fixed(dev, &b"nr_free_pages 0\npgfault 0\npgmajfault 0\npswpin 0\npswpout 0\n"[..])),
    ]);
    // What the monitor tells of the host replaces the plain answer. What changes with time is computed here.
    for (path, content) in texts(boot.texts.of(block)) {
        for name in ["cpuinfo", "version", "filesystems", "modules", "cmdline", "devices"] {
            if path.strip_prefix(b"/proc/") == Some(name.as_bytes()) {
                tree.insert(name, fixed(dev, content));
            }
        }
    }
    tree
}

const FILE_SYSTEMS: &[u8] =
    b"nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tdevtmpfs\nnodev\tdevpts\n\text4\n\terofs\n";

fn plain_cpuinfo() -> Vec<u8> {
    let mut out = String::new();
    for number in 0..cpus() {
        let _ = writeln!(
            out,
            "processor\t: {number}\nvendor_id\t: unknown\nmodel name\t: x86-64\ncpu cores\t: {}\n",
            cpus()
        );
    }
    out.into_bytes()
}

/// Memory of the family in bytes: all, and what is used of it.
pub(crate) fn memory() -> (u64, u64) {
    let total = MEMORY.load(Ordering::Relaxed);
    let mapped: u64 = tasks::all().iter().map(|p| p.space().size().total).sum();
    // Mapped is more than used; half of the memory is always said to be free, as on a machine that is not in need.
    (total, mapped.min(total / 2))
}

fn memory_info() -> Vec<u8> {
    let (total, used) = memory();
    let (total, used) = (total / 1024, used / 1024);
    let free = total - used;
    let fields = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", used),
        ("Inactive", 0),
        ("Active(anon)", used),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", 0),
        ("Shmem", 0),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", 0),
        ("PageTables", 0),
        ("CommitLimit", total),
        ("Committed_AS", used),
        ("VmallocTotal", 34_359_738_367),
        ("VmallocUsed", 0),
    ];
    let mut out = String::new();
    for (name, value) in fields {
        let name = format!("{name}:");
        let _ = writeln!(out, "{name:<15} {value:>8} kB");
    }
    out.push_str("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n");
    out.into_bytes()
}

/// The same for the only memory node, as /sys shows it.
pub fn node_memory() -> Vec<u8> {
    let text = memory_info();
    let lines = text.split_inclusive(|b| *b == b'\n');
    lines.flat_map(|line| [&b"Node 0 "[..], line]).flatten().copied().collect()
}

fn uptime() -> Vec<u8> {
    let hundredths = clock::nanoseconds(clock::id::BOOTTIME) / 10_000_000;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    format!("{whole}.{part:02} {whole}.{part:02}\n").into_bytes()
}

fn load_average() -> Vec<u8> {
    let last = tasks::all().last().map_or(1, |p| p.pid);
    let (running, all) = load::threads();
    let shown = load::averages().map(|average| {
        let hundredths = average * 100 / 2048;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    });
    format!("{} {running}/{all} {last}\n", shown.join(" ")).into_bytes()
}

fn machine_stat() -> Vec<u8> {
    let mut out = String::new();
    let [user, system] = load::cpu_time().map(|nanoseconds| nanoseconds / 10_000_000);
    let up = clock::nanoseconds(clock::id::BOOTTIME) / 10_000_000;
    let count = u64::from(cpus());
    let idle = (up * count).saturating_sub(user + system);
    let _ = writeln!(out, "cpu  {user} 0 {system} {idle} 0 0 0 0 0 0");
    for number in 0..count {
        let share = |total: u64| total / count;
        let _ = writeln!(out, "cpu{number} {} 0 {} {} 0 0 0 0 0 0", share(user), share(system), share(idle));
    }
    let now = clock::nanoseconds(clock::id::REALTIME) / 1_000_000_000;
    let boot = now.saturating_sub(up / 100);
    let running = tasks::all().len();
    let _ =
        writeln!(out, "intr 0\nctxt 0\nbtime {boot}\nprocesses {running}\nprocs_running 1\nprocs_blocked 0");
    out.into_bytes()
}

/// A random (version 4) UUID.
fn uuid() -> Vec<u8> {
    let mut bytes = [0u8; 16];
    random::fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out.push('\n');
    out.into_bytes()
}

/// /proc/sys.
fn settings(dev: u64, boot: &Boot, block: &'static [u8]) -> Arc<Node> {
    let hostname = String::from_utf8_lossy(boot.hostname.of(block)).into_owned();
    let (release, version) = crate::sys::release();
    let random = Tree::from([
        ("boot_id", fixed(dev, uuid())),
        ("entropy_avail", line(dev, "256")),
        ("poolsize", line(dev, "256")),
        ("uuid", text(dev, || Ok(uuid()))),
    ]);
    let kernel = Tree::from([
        ("cap_last_cap", line(dev, "40")),
        ("core_pattern", line(dev, "core")),
        ("domainname", line(dev, "(none)")),
        ("hostname", line(dev, &hostname)),
        ("msgmax", line(dev, "8192")),
        ("ngroups_max", line(dev, "65536")),
        ("osrelease", line(dev, String::from_utf8_lossy(release))),
        ("ostype", line(dev, "Linux")),
        ("overflowgid", line(dev, "65534")),
        ("overflowuid", line(dev, "65534")),
        ("perf_event_paranoid", line(dev, "4")),
        ("pid_max", line(dev, format!("{}", tasks::PID_MAX))),
        ("random", directory(dev, random)),
        ("randomize_va_space", line(dev, "2")),
        ("sched_rt_runtime_us", line(dev, "950000")),
        (
            "seccomp",
            directory(
                dev,
                Tree::from([(
                    "actions_avail",
                    line(dev, "kill_process kill_thread trap errno trace log allow"),
                )]),
            ),
        ),
        ("shmmax", line(dev, "18446744073692774399")),
        ("threads-max", line(dev, format!("{}", tasks::count().1))),
        ("unprivileged_userns_clone", line(dev, "0")),
        ("version", line(dev, String::from_utf8_lossy(version))),
        ("yama", directory(dev, Tree::from([("ptrace_scope", line(dev, "1"))]))),
    ]);
    let inotify = Tree::from([
        ("max_queued_events", line(dev, "16384")),
        ("max_user_instances", line(dev, "128")),
        ("max_user_watches", line(dev, "65536")),
    ]);
    let number = |value: u64| line(dev, format!("{value}"));
    let mqueue = Tree::from([
        ("msg_default", number(mqueue::MAX_MESSAGES)),
        ("msg_max", number(mqueue::MAX_MESSAGES)),
        ("msgsize_default", number(mqueue::MAX_SIZE)),
        ("msgsize_max", number(mqueue::MAX_SIZE)),
        ("queues_max", number(u64::from(mqueue::MAX_QUEUES))),
    ]);
    let fs = Tree::from([
        ("file-max", line(dev, "1048576")),
        ("file-nr", line(dev, "0\t0\t1048576")),
        ("inotify", directory(dev, inotify)),
        ("mqueue", directory(dev, mqueue)),
        ("nr_open", line(dev, "1048576")),
        ("lease-break-time", line(dev, "45")),
        ("leases-enable", line(dev, "1")),
        ("pipe-max-size", line(dev, "1048576")),
        ("protected_hardlinks", line(dev, "0")),
        ("protected_symlinks", line(dev, "0")),
    ]);
    let vm = Tree::from([
        ("max_map_count", line(dev, "65530")),
        ("mmap_min_addr", line(dev, "4096")),
        ("overcommit_memory", line(dev, "0")),
        ("swappiness", line(dev, "60")),
    ]);
    let core = Tree::from([("somaxconn", line(dev, "4096"))]);
    let net = Tree::from([("core", directory(dev, core))]);
    directory(
        dev,
        Tree::from([
            ("fs", directory(dev, fs)),
            ("kernel", directory(dev, kernel)),
            ("net", directory(dev, net)),
            ("vm", directory(dev, vm)),
        ]),
    )
}

/// /proc/PID/net: tables without entries, as on a machine with nothing but a loopback interface.
pub(super) fn network(dev: u64) -> Body {
    const INTERFACES: &[u8] = b"Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n";
    const SOCKETS: &[u8] =
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const ROUTES: &[u8] =
        b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
    Body::Tree(Tree::from([
        (
            "arp",
            fixed(
                dev,
                &b"IP address       HW type     Flags       HW address            Mask     Device\n"[..],
            ),
        ),
        ("dev", fixed(dev, INTERFACES)),
        ("if_inet6", line(dev, "00000000000000000000000000000001 01 80 10 80       lo")),
        ("route", fixed(dev, ROUTES)),
        ("tcp", fixed(dev, SOCKETS)),
        ("tcp6", fixed(dev, SOCKETS)),
        ("udp", fixed(dev, SOCKETS)),
        ("udp6", fixed(dev, SOCKETS)),
        ("unix", fixed(dev, &b"Num       RefCount Protocol Flags    Type St Inode Path\n"[..])),
    ]))
}

/// /proc/PID/ns: one of each, the family's.
pub(super) fn namespaces(dev: u64) -> Body {
    let names = [
        ("cgroup", "cgroup:[4026531835]"),
        ("ipc", "ipc:[4026531839]"),
        ("mnt", "mnt:[4026531841]"),
        ("net", "net:[4026531840]"),
        ("pid", "pid:[4026531836]"),
        ("time", "time:[4026531834]"),
        ("user", "user:[4026531837]"),
        ("uts", "uts:[4026531838]"),
    ];
    Body::Tree(names.into_iter().map(|(name, target)| (name, link(dev, target))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_version_4() {
        let text = String::from_utf8(uuid()).unwrap();
        assert_eq!(text.len(), 37);
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
