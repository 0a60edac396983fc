//! Two apps at once, and the death of any one process of the first.

use postern_tests::Rig;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

fn start(rig: &Rig, id: &str) -> Child {
    let mut command = rig.command(&rig.postern);
    command.args(["run", "--no-display", "--id", id, "--", "/bin/sh", "-c", "sleep 1000; true"]);
    command.spawn().unwrap()
}

/// Descendants of a process, the process itself first, as (pid, parent).
fn descendants(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(parent) = all.get(at).copied() {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
            if rest.split_whitespace().nth(1) == Some(&parent.to_string()) {
                all.extend(head.split(' ').next().and_then(|p| p.parse::<u32>().ok()));
            }
        }
        at += 1;
    }
    all
}

fn wait_family(root: u32) -> Vec<u32> {
    let begin = Instant::now();
    loop {
        let all = descendants(root);
        // Launcher, monitor, keeper, shell, sleep.
        if all.len() >= 5 || begin.elapsed() > Duration::from_secs(30) {
            return all;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_death_of_any_process_ends_its_own_app_only() {
    let rig = Rig::new().unwrap();
    let mut other = start(&rig, "other");
    let other_family = wait_family(other.id());
    let count = {
        let mut probe = start(&rig, "first");
        let family = wait_family(probe.id());
        assert!(family.len() >= 5, "{family:?}");
        probe.kill().unwrap();
        probe.wait().unwrap();
        family.len()
    };
    // Number 0 is the launcher: without it nobody waits, which the loop above tried.
    for victim in 1..count {
        let mut first = start(&rig, "first");
        let family = wait_family(first.id());
        let pid = family[victim].to_string();
        let reports = || rig.postern(&["reports", "--json"]).unwrap().stdout.len();
        let before = reports();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        let status = first.wait().unwrap();
        assert!(!status.success(), "victim {victim}: {status:?}");
        let begin = Instant::now();
        while family.iter().skip(1).any(|p| std::path::Path::new(&format!("/proc/{p}")).exists()) {
            assert!(begin.elapsed() < Duration::from_secs(20), "victim {victim}: the family ends");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(reports() > before, "victim {victim}: a report");
        assert!(other.try_wait().unwrap().is_none(), "victim {victim}: the other app goes on");
    }
    assert_eq!(descendants(other.id()), other_family, "untouched");
    let ps = rig.postern(&["ps", "--json"]).unwrap();
    assert!(ps.stdout.contains("other") && !ps.stdout.contains("\"first\""), "{ps:?}");
    let stop = rig.postern(&["stop", "other"]).unwrap();
    assert_eq!(stop.status, 0, "{stop:?}");
    other.wait().unwrap();
}
