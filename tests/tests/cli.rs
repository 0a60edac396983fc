//! The command line: what passes through, what is refused, and the lists it prints.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use serde_json::Value;

fn json(rig: &Rig, args: &[&str]) -> Value {
    let out = rig.postern(args).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", out.stdout))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn exit_status_and_output_pass_through() {
    let rig = Rig::new().unwrap();
    assert_eq!(rig.same(&["/bin/sh", "-c", "exit 3"]).status, 3);
    assert_eq!(rig.same(&["/bin/true"]).status, 0);
    assert_eq!(rig.same(&["/bin/sh", "-c", "echo out; echo err >&2; exit 255"]).status, 255);
    assert_eq!(rig.same(&["/bin/sh", "-c", "kill -TERM $$"]).status, 143);
}

#[test]
fn standard_input_passes_through() {
    let rig = Rig::new().unwrap();
    let text = "a line\nanother\n".repeat(20_000);
    let out = rig.sandboxed_with(&[], &["/usr/bin/wc", "-lc"], Some(&text)).unwrap();
    assert_eq!(
        out.stdout.split_whitespace().collect::<Vec<_>>(),
        ["40000", &text.len().to_string()],
        "{out:?}"
    );
}

#[test]
fn a_crash_gives_its_status_and_a_report() {
    let rig = Rig::new().unwrap();
    let out = rig.sandboxed(&["/bin/sh", "-c", "kill -SEGV $$"]).unwrap();
    assert_eq!(out.status, 139, "{out:?}");
    let reports = json(&rig, &["reports", "--json"]);
    let first = reports.as_array().unwrap().first().expect("a report").clone();
    let id = first["id"].as_str().unwrap();
    let report = rig.postern(&["report", id]).unwrap();
    assert!(report.stdout.contains("SIGSEGV"), "{report:?}");
}

#[test]
fn a_real_fault_names_address_and_functions() {
    let rig = Rig::new().unwrap();
    let program = rig.compile("crash", &["-g", "-fno-omit-frame-pointer"]).unwrap();
    let out = rig.sandboxed(&[&program]).unwrap();
    assert_eq!(out.status, 139, "{out:?}");
    let reports = json(&rig, &["reports", "--json"]);
    let id = reports[0]["id"].as_str().expect("a report").to_owned();
    let report = rig.postern(&["report", &id]).unwrap().stdout;
    for part in ["SIGSEGV", "0x1234", "the_function_that_crashes", "the_one_that_calls_it"] {
        assert!(report.contains(part), "no {part} in:\n{report}");
    }
}

#[test]
fn a_missing_command_is_127_and_one_that_is_no_program_126() {
    let rig = Rig::new().unwrap();
    let out = rig.sandboxed(&["no-such-command"]).unwrap();
    assert_eq!(out.status, 127, "{out:?}");
    assert!(out.stderr.contains("no-such-command"), "{out:?}");
    let out = rig.sandboxed(&["/etc/passwd"]).unwrap();
    assert_eq!(out.status, 126, "{out:?}");
}

#[test]
fn the_abi_keeps_its_limits() {
    let rig = Rig::new().unwrap();
    let abi = json(&rig, &["abi", "--json"]);
    let counts = ["downcalls", "upcalls", "host_syscalls"].map(|kind| names(&abi[kind]).len());
    assert!((1..=32).contains(&counts[0]), "{counts:?}");
    assert!((1..=3).contains(&counts[1]), "{counts:?}");
    assert!((1..=20).contains(&counts[2]), "{counts:?}");
    for forbidden in [
        "open",
        "openat",
        "socket",
        "connect",
        "execve",
        "execveat",
        "ptrace",
        "ioctl",
        "bpf",
        "io_uring_setup",
    ] {
        assert!(!names(&abi["host_syscalls"]).contains(&forbidden), "{forbidden}");
    }
}

#[test]
fn every_system_call_has_a_row() {
    let rig = Rig::new().unwrap();
    let table = json(&rig, &["syscalls", "--json"]);
    let rows = table.as_array().unwrap();
    assert!(rows.len() > 330, "{}", rows.len());
    for row in rows {
        assert!(row["number"].is_u64() && row["name"].is_string() && row["note"].is_string(), "{row}");
        assert!(matches!(row["support"].as_str(), Some("full" | "partial" | "refused")), "{row}");
    }
    let supported = |name: &str| rows.iter().any(|r| r["name"] == name && r["support"] != "refused");
    for name in
        ["read", "openat", "mmap", "clone", "execve", "futex", "epoll_wait", "sendmsg", "memfd_create"]
    {
        assert!(supported(name), "{name}");
    }
}

#[test]
fn environment_and_user_are_as_asked() {
    let rig = Rig::new().unwrap();
    let out = rig.sandboxed_with(
        &["--env", "POSTERN_X=a b", "--cwd", "/usr"],
        &["/bin/sh", "-c", "echo $POSTERN_X; pwd"],
        None,
    );
    assert_eq!(out.unwrap().stdout, "a b\n/usr\n");
    let out = rig.sandboxed_with(&["--uid", "0"], &["/usr/bin/id", "-u"], None).unwrap();
    assert_eq!(out.stdout, "0\n", "{out:?}");
    rig.same(&["/usr/bin/id", "-u"]);
}

#[test]
fn the_library_lists_apps_of_the_machine() {
    let rig = Rig::new().unwrap();
    let list = rig.postern(&["list"]).unwrap();
    assert_eq!(list.status, 0, "{list:?}");
    for app in ["foot", "org.gnome.Calculator"] {
        assert!(list.stdout.contains(app), "{list:?}");
    }
}

#[test]
fn permissions_are_kept() {
    let rig = Rig::new().unwrap();
    let out = rig.postern(&["permit", "foot", "network", "outbound"]).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    let shown = json(&rig, &["permissions", "foot", "--json"]);
    assert!(shown.to_string().contains("outbound"), "{shown}");
    let out = rig.postern(&["permit", "foot", "nonsense", "on"]).unwrap();
    assert_ne!(out.status, 0);
    assert!(out.stderr.contains("nonsense"), "{out:?}");
}

#[test]
fn a_machine_readable_report_of_the_run() {
    let rig = Rig::new().unwrap();
    let file = rig.home().join("run.json");
    let out = rig
        .sandboxed_with(&["--json-report", &file.to_string_lossy()], &["/bin/sh", "-c", "exit 5"], None)
        .unwrap();
    assert_eq!(out.status, 5, "{out:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(report.is_object(), "{report}");
}
