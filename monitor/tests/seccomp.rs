//! The seccomp policy, rule by rule: what is listed works, and a wrong argument, every call that is not listed, and
//! every call from outside the gate does not. The policy is compiled for a gate of the test's own.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "the test forks and makes host system calls from a page of its own")]

#[path = "../src/policy.rs"]
mod policy;

use policy::{Call, Policy, Rule};
use std::sync::OnceLock;

const EPERM: i64 = -1;
const PAGE: usize = 4096;

/// fn(number, a1, …, a6) -> value: the shape of the library OS's own gate.
const CALL: &[u8] = &[
    0x48, 0x89, 0xf8, // mov rax, rdi
    0x48, 0x89, 0xf7, // mov rdi, rsi
    0x48, 0x89, 0xd6, // mov rsi, rdx
    0x48, 0x89, 0xca, // mov rdx, rcx
    0x4d, 0x89, 0xc2, // mov r10, r8
    0x4d, 0x89, 0xc8, // mov r8, r9
    0x4c, 0x8b, 0x4c, 0x24, 0x08, // mov r9, [rsp + 8]
    0x0f, 0x05, // syscall
    0xc3, // ret
];
/// Where a thread that the test makes begins: exit(0), from inside the gate.
const EXIT: &[u8] = &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
const EXIT_AT: usize = 256;

type CallFn = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, u64) -> i64;

/// Two pages of code: the first is outside the gate, the second is the gate.
struct Gate {
    outside: usize,
    inside: usize,
}

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY
        .get_or_init(|| serde_json::from_str(include_str!("../../assets/seccomp.json")).expect("the policy"))
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| {
        // SAFETY: a fresh mapping, filled before anything runs in it; the kernel chooses a free address.
        unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
            let page = libc::mmap(std::ptr::null_mut(), 2 * PAGE, prot, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            let page = page.cast::<u8>();
            // The last instruction before the gate ends exactly where the gate begins.
            let before = page.add(PAGE - CALL.len() + 1);
            before.copy_from_nonoverlapping(CALL.as_ptr(), CALL.len() - 1);
            page.copy_from_nonoverlapping(CALL.as_ptr(), CALL.len());
            page.add(PAGE).copy_from_nonoverlapping(CALL.as_ptr(), CALL.len());
            page.add(PAGE + EXIT_AT).copy_from_nonoverlapping(EXIT.as_ptr(), EXIT.len());
            Gate { outside: page.addr(), inside: page.addr() + PAGE }
        }
    })
}

/// Makes a system call from the code at `at`.
fn call(at: usize, number: u64, args: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = args;
    // SAFETY: CALL was copied to `at`; the arguments are such that the host changes nothing of ours.
    unsafe {
        let function: CallFn = std::mem::transmute::<usize, CallFn>(at);
        function(number, a, b, c, d, e, f)
    }
}

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Signal(i32),
}

/// Runs `body` in a child under the filter; its result is the exit status. Only calls through the gate work there.
fn confined(body: impl FnOnce(&Gate) -> u8) -> End {
    let gate = gate();
    let start = u64::try_from(gate.inside).expect("an address");
    let filter = policy::compile(policy(), start..start + 4096, &[]).expect("the policy compiles");
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len() / 8).expect("short"),
        filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: the child only makes calls that do not need the locks of other threads.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) != 0 {
                libc::_exit(99);
            }
            let status = body(gate);
            call(gate.inside, 60, [status.into(), 0, 0, 0, 0, 0]);
            std::process::abort();
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        if libc::WIFSIGNALED(status) {
            End::Signal(libc::WTERMSIG(status))
        } else {
            End::Exit(libc::WEXITSTATUS(status))
        }
    }
}

/// Values that a rule allows.
fn allowed(rule: &Rule) -> Vec<u64> {
    if let Some(only) = &rule.only {
        let all = only.values().fold(0, |sum, bit| sum | bit);
        return only.values().copied().chain([0, all]).collect();
    }
    let ignored = rule.ignoring.values().fold(0, |sum, bit| sum | bit);
    let values = rule.one_of.as_ref().expect("values");
    values.values().flat_map(|value| [*value, value | ignored]).collect()
}

/// Values that it does not allow: every other bit, and neighbours.
fn refused(rule: &Rule) -> Vec<u64> {
    let good = allowed(rule);
    let bits = (0..u32::from(rule.bits)).map(|bit| 1u64 << bit);
    let small = 0..300u64;
    let width = if rule.bits == 32 { u64::from(u32::MAX) } else { u64::MAX };
    let only = rule.only.as_ref().map(|only| only.values().fold(0, |sum, bit| sum | bit));
    let ignored = rule.ignoring.values().fold(0, |sum, bit| sum | bit);
    bits.chain(small)
        .chain([width])
        .filter(|value| match only {
            Some(mask) => value & !mask != 0,
            None => !good.iter().any(|good| good & !ignored == value & !ignored),
        })
        .collect()
}

/// Arguments that break no rule. Descriptors are bad ones and lengths zero, so that what is allowed does nothing.
fn harmless(call: &Call, time: &[u64; 2]) -> [u64; 6] {
    let mut args = [0; 6];
    match call.name.as_str() {
        "preadv2" | "pwritev2" | "recvmsg" | "sendmsg" | "close" | "ftruncate" | "fallocate" => {
            args[0] = u64::MAX
        }
        // Waits no time at all.
        "ppoll" => args[2] = u64::try_from(time.as_ptr().addr()).expect("an address"),
        _ => {}
    }
    for rule in &call.args {
        args[usize::from(rule.index)] = allowed(rule).first().copied().unwrap_or(0);
    }
    args
}

fn number(call: &Call) -> u64 {
    u64::try_from(call.number).expect("positive")
}

#[test]
fn what_is_listed_works() {
    let time = [0, 0];
    for listed in
        policy().calls.iter().filter(|c| !matches!(c.name.as_str(), "exit" | "rt_sigreturn" | "clone"))
    {
        let base = harmless(listed, &time);
        assert_eq!(
            confined(|gate| u8::from(call(gate.inside, number(listed), base) == EPERM)),
            End::Exit(0),
            "{}",
            listed.name
        );
        for rule in &listed.args {
            for value in allowed(rule) {
                let mut args = base;
                args[usize::from(rule.index)] = value;
                let end = confined(|gate| u8::from(call(gate.inside, number(listed), args) == EPERM));
                assert_eq!(end, End::Exit(0), "{} {args:x?}", listed.name);
            }
        }
    }
}

#[test]
fn threads_and_processes_can_be_made_and_end() {
    let thread = 0x35_0f00;
    let process = 0x10_0411;
    let mut tid = 0u64;
    let place = u64::try_from((&raw mut tid).addr()).expect("an address");
    assert_eq!(
        confined(|gate| match call(gate.inside, 56, [process, 0, place, 0, 0, 0]) {
            0 => 0,
            child if child > 0 => 5,
            _ => 6,
        }),
        End::Exit(5)
    );
    let mut stack = [0u64; 512];
    stack[510] = u64::try_from(gate().inside + EXIT_AT).expect("an address");
    let top = u64::try_from((&raw const stack[510]).addr()).expect("an address");
    assert_eq!(
        confined(|gate| u8::from(call(gate.inside, 56, [thread, top, place, place, 0, 0]) <= 0)),
        End::Exit(0)
    );
    // Not refused: the host takes the frame of a signal from the stack, which holds none, and goes on nowhere.
    let end = confined(|gate| u8::from(call(gate.inside, 15, [0; 6]) == EPERM));
    assert!(matches!(end, End::Signal(_)), "{end:?}");
}

#[test]
fn a_wrong_argument_is_refused() {
    let time = [0, 0];
    for listed in &policy().calls {
        let base = harmless(listed, &time);
        for rule in &listed.args {
            let values = refused(rule);
            assert!(!values.is_empty());
            let end = confined(|gate| {
                let refused = |value: &u64| {
                    let mut args = base;
                    args[usize::from(rule.index)] = *value;
                    call(gate.inside, number(listed), args) == EPERM
                };
                u8::from(!values.iter().all(refused))
            });
            assert_eq!(end, End::Exit(0), "{} argument {}", listed.name, rule.index);
        }
    }
}

#[test]
fn every_other_call_is_refused() {
    // uretprobe and uprobe: newer hosts take these past every filter, and answer them with SIGILL or an error unless
    // they come from code that a tracer of the host put there.
    const UNFILTERED: [u64; 2] = [335, 336];
    let listed: Vec<u64> = policy().calls.iter().map(number).chain(UNFILTERED).collect();
    let end = confined(|gate| {
        let x32 = 0x4000_0000;
        let refused = |number: &u64| call(gate.inside, *number, [u64::MAX; 6]) == EPERM;
        let plain = (0..1024).filter(|n| !listed.contains(n)).all(|n| refused(&n));
        let other = (0..1024).all(|n| refused(&(n | x32)));
        u8::from(!plain) | u8::from(!other) << 1
    });
    assert_eq!(end, End::Exit(0));
}

#[test]
fn from_outside_the_gate_everything_traps() {
    let time = [0, 0];
    for listed in &policy().calls {
        let args = harmless(listed, &time);
        assert_eq!(
            confined(|gate| u8::try_from(call(gate.outside, number(listed), args)).unwrap_or(1)),
            End::Signal(libc::SIGSYS),
            "{}",
            listed.name
        );
    }
    for number in [0, 1, 2, 39, 59, 101, 165, 317, 425, 435] {
        assert_eq!(
            confined(|gate| u8::try_from(call(gate.outside, number, [0; 6])).unwrap_or(1)),
            End::Signal(libc::SIGSYS),
            "{number}"
        );
    }
    // The instruction before the gate is outside, even though the next one is inside.
    let before = gate().inside - CALL.len() + 1;
    assert_eq!(confined(|_| u8::try_from(call(before, 228, [0; 6])).unwrap_or(1)), End::Signal(libc::SIGSYS));
}

#[test]
fn a_32_bit_call_ends_the_process() {
    // int 0x80 with number 20, getpid of 32-bit x86; refused by the host itself where it runs no such programs.
    let end = confined(|_| {
        // SAFETY: changes no memory.
        unsafe { std::arch::asm!("int 0x80", inout("eax") 20 => _, options(nostack)) };
        0
    });
    assert!(matches!(end, End::Signal(libc::SIGSYS | libc::SIGSEGV)), "{end:?}");
}

#[test]
fn the_policy_stays_small() {
    assert!(policy().calls.len() <= 20);
    assert!(policy().calls.iter().all(|call| !call.why.is_empty()));
    let forbidden =
        ["ioctl", "open", "openat", "socket", "connect", "execve", "ptrace", "io_uring_setup", "bpf"];
    assert!(policy().calls.iter().all(|call| !forbidden.contains(&call.name.as_str())));
}
