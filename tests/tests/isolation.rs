//! A family as the host sees it: the kernel half shared, the confinement on.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::Running;
use postern_tests::processes::{command_line, status_field, tree};
use std::collections::BTreeSet;
use std::fs;

/// Where the library OS is: its image, arena and stacks.
const KERNEL_HALF: std::ops::Range<u64> = 0x2a00_0000_0000..0x2b00_0000_0000;

/// Picoprocesses of a running app.
fn family(app: &Running) -> Vec<u32> {
    let status = app.status().unwrap();
    let keeper = u32::try_from(status["keeper_pid"].as_u64().unwrap()).unwrap();
    let bridge = status["bridge_pid"].as_u64();
    let monitor = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    let all = tree(monitor);
    assert!(all.contains(&keeper), "the keeper {keeper} is not below the monitor: {all:?}");
    // A zombie that waits to be reaped has no maps.
    let family = all.into_iter().filter(|pid| *pid != monitor && Some(u64::from(*pid)) != bridge);
    family.filter(|pid| status_field(*pid, "Seccomp:").as_deref() == Some("2")).collect()
}

/// The mappings of the kernel half: address range, protection and offset.
fn kernel_half(pid: u32) -> BTreeSet<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let inside = maps.lines().filter(|line| {
        let start = line.split('-').next().and_then(|s| u64::from_str_radix(s, 16).ok()).unwrap_or(0);
        KERNEL_HALF.contains(&start)
    });
    inside.map(|line| line.split_whitespace().take(5).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_kernel_half_is_shared_and_at_the_same_addresses() {
    let rig = Rig::new().unwrap();
    let app = Running::start(
        &rig,
        &["--no-display"],
        &[
            "/bin/bash",
            "-c",
            "sleep 500 & (sleep 501; true) & python3 -c 'import time; time.sleep(502)' & wait",
        ],
    )
    .unwrap();
    app.wait_processes(5).unwrap();
    let family = family(&app);
    assert!(family.len() >= 5, "{family:?}");
    let all: Vec<BTreeSet<String>> = family.iter().map(|pid| kernel_half(*pid)).collect();
    assert!(all[0].len() >= 3, "{:?}", all[0]);
    for (pid, maps) in family.iter().zip(&all) {
        for line in maps {
            let flags = line.split_whitespace().nth(1).unwrap();
            // Text and constants are the same everywhere because nobody can write to them; all else is shared memory.
            assert!(flags.ends_with('s') || !flags.contains('w'), "{pid}: not shared: {line}");
            assert!(!(flags.contains('w') && flags.contains('x')), "{pid}: writable and executable: {line}");
        }
        assert_eq!(maps, &all[0], "{pid} and {} differ", family[0]);
    }
}

#[test]
fn every_picoprocess_is_confined() {
    let rig = Rig::new().unwrap();
    let app = Running::start(&rig, &["--no-display"], &["/bin/sh", "-c", "sleep 500 & wait"]).unwrap();
    app.wait_processes(2).unwrap();
    let namespaces = |pid: u32| -> Vec<String> {
        let kinds = ["user", "mnt", "net", "ipc", "uts", "cgroup", "pid"];
        kinds
            .iter()
            .map(|k| {
                fs::read_link(format!("/proc/{pid}/ns/{k}"))
                    .map_or_else(|e| e.to_string(), |p| p.display().to_string())
            })
            .collect()
    };
    let own = namespaces(std::process::id());
    let weaker = app.status().unwrap()["sandbox"]["weaker"].as_str().map(str::to_owned);
    for pid in family(&app) {
        for (field, value) in [
            ("NoNewPrivs:", "1"),
            ("Seccomp:", "2"),
            ("CapEff:", "0000000000000000"),
            ("CapPrm:", "0000000000000000"),
            ("CapBnd:", "0000000000000000"),
            ("CapAmb:", "0000000000000000"),
        ] {
            let got = status_field(pid, field);
            // Without user namespaces the bounding set cannot be emptied; nothing can be gained from it either.
            assert!(
                got.as_deref() == Some(value) || field == "CapBnd:" && weaker.is_some(),
                "{field} of {pid}: {got:?}"
            );
        }
        if weaker.is_none() {
            for (mine, theirs) in own.iter().zip(namespaces(pid)) {
                assert_ne!(*mine, theirs, "{pid} shares a namespace");
            }
        }
        let uid = status_field(pid, "Uid:").unwrap();
        assert!(!uid.split_whitespace().any(|u| u == "0"), "{pid} {}: {uid}", command_line(pid));
    }
}

#[test]
fn a_picoprocess_sees_an_empty_root() {
    let rig = Rig::new().unwrap();
    let app = Running::start(&rig, &["--no-display"], &["/bin/sleep", "500"]).unwrap();
    app.wait_processes(1).unwrap();
    if app.status().unwrap()["sandbox"]["weaker"].is_string() {
        return;
    }
    for pid in family(&app) {
        let entries: Vec<_> =
            fs::read_dir(format!("/proc/{pid}/root/")).unwrap().flatten().map(|e| e.path()).collect();
        assert!(entries.is_empty(), "{pid}: {entries:?}");
    }
}

#[test]
fn no_picoprocess_holds_a_handle_to_a_directory_of_the_host() {
    let rig = Rig::new().unwrap();
    let app = Running::start(
        &rig,
        &["--no-display"],
        &[
            "/bin/bash",
            "-c",
            "cd /usr/share; exec 5</etc/passwd; ls -R /usr/share/doc > /dev/null; sleep 500",
        ],
    )
    .unwrap();
    app.wait_processes(2).unwrap();
    for pid in family(&app) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let is_directory = fs::metadata(entry.path()).is_ok_and(|m| m.is_dir());
            assert!(!is_directory, "{pid}: {}", target.display());
        }
    }
}
