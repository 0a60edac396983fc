//! Two apps at once, and the sudden death of each part of one.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_tests::processes::alive;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use serde_json::Value;
use std::fs;

const TICKS: &str = "n=0; while sleep 0.1; do n=$((n+1)); echo $n > \"$HOME/ticks\"; done";

fn kill_9(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

fn reports(rig: &Rig) -> Vec<Value> {
    let out = rig.postern(&["reports", "--json"]).unwrap();
    serde_json::from_str::<Value>(&out.stdout).unwrap().as_array().unwrap().clone()
}

/// The second app's counter, read from its private home.
fn ticks(rig: &Rig, id: &str) -> u64 {
    let file = rig.home().join(".local/share/postern/homes").join(id).join("ticks");
    wait_for("the second app's counter", || {
        Ok(fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()))
    })
    .unwrap()
}

/// Kills one part of the first app and checks that it ends with a report while the second goes on.
fn first_dies_second_lives(part: &str) {
    let rig = Rig::new().unwrap();
    let mut first =
        Running::start(&rig, &["--no-display", "--id", "first"], &["/bin/sh", "-c", "sleep 900; true"])
            .unwrap();
    let second =
        Running::start(&rig, &["--no-display", "--id", "second"], &["/bin/sh", "-c", TICKS]).unwrap();
    first.wait_processes(2).unwrap();
    second.wait_processes(1).unwrap();
    let before = ticks(&rig, "second");
    let family = postern_tests::processes::tree(first.pid_of("pid").unwrap());
    let victim = if part == "app" { first.app_pid() } else { first.pid_of(part) }.unwrap();
    kill_9(victim);
    let status = first.end().unwrap();
    assert_ne!(status, 0);
    for pid in family {
        wait_for("the whole family to end", || Ok((!alive(pid)).then_some(()))).unwrap();
    }
    let reports = wait_for("a report", || {
        let found = reports(&rig);
        Ok((!found.is_empty()).then_some(found))
    })
    .unwrap();
    assert!(reports.iter().all(|r| r["app"] == "first"), "{reports:?}");
    wait_for("the second app to go on", || Ok((ticks(&rig, "second") > before + 3).then_some(()))).unwrap();
    assert!(alive(second.pid_of("pid").unwrap()));
}

#[test]
fn the_keeper_is_killed() {
    first_dies_second_lives("keeper_pid");
}

#[test]
fn the_monitor_is_killed() {
    first_dies_second_lives("pid");
}

#[test]
fn an_app_process_is_killed() {
    first_dies_second_lives("app");
}

#[test]
fn the_bridge_is_killed() {
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let first =
        Running::start_in(&rig, &session, &["--id", "first"], &["foot", "--title", "first", "sleep", "900"])
            .unwrap();
    let second = Running::start_in(
        &rig,
        &session,
        &["--id", "second"],
        &["foot", "--title", "second", "sh", "-c", TICKS],
    )
    .unwrap();
    session.wait_window(&rig, "first").unwrap();
    let shown = session.wait_window(&rig, "second").unwrap();
    let before = ticks(&rig, "second");
    kill_9(first.pid_of("bridge_pid").unwrap());
    let reports = wait_for("a report", || {
        let found = reports(&rig);
        Ok((!found.is_empty()).then_some(found))
    })
    .unwrap();
    assert!(reports.iter().all(|r| r["app"] == "first"), "{reports:?}");
    wait_for("the second app to go on", || Ok((ticks(&rig, "second") > before + 3).then_some(()))).unwrap();
    assert!(session.windows(&rig).unwrap().iter().any(|w| w.id == shown.id), "the second window went");
    assert!(alive(second.pid_of("pid").unwrap()));
}

#[test]
fn an_app_can_be_stopped_from_outside() {
    let rig = Rig::new().unwrap();
    let mut app = Running::start(
        &rig,
        &["--no-display", "--id", "polite"],
        &["/bin/sh", "-c", "trap 'exit 12' TERM; while :; do sleep 0.1; done"],
    )
    .unwrap();
    app.wait_processes(1).unwrap();
    let out = rig.postern(&["stop", "polite"]).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    assert_eq!(app.end().unwrap(), 12);
    let mut app = Running::start(
        &rig,
        &["--no-display", "--id", "stubborn"],
        &["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"],
    )
    .unwrap();
    app.wait_processes(1).unwrap();
    let out = rig.postern(&["stop", "--kill", "stubborn"]).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    assert_ne!(app.end().unwrap(), 0);
}

#[test]
fn a_fork_bomb_stays_within_the_app() {
    let rig = Rig::new().unwrap();
    let bomb = rig.compile("bomb", &[]).unwrap();
    let out = rig.sandboxed(&[&bomb]).unwrap();
    assert_eq!((out.status, out.stdout.as_str()), (0, "Resource temporarily unavailable\n3\n"));

    // One that stays can be stopped from outside, and nothing is left of it.
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let options = ["--no-display", "--id", "bomb", "--grant", &grant];
    let mut app = Running::start(&rig, &options, &[&bomb, "stay"]).unwrap();
    app.wait_processes(4000).unwrap();
    // The host bounds it too, should the library OS not.
    let limits = fs::read_to_string(format!("/proc/{}/limits", app.app_pid().unwrap())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max processes")).unwrap();
    let bound: u32 = line.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((4096..5000).contains(&bound), "{line}");
    let family = postern_tests::processes::tree(app.pid_of("pid").unwrap());
    assert!(family.len() > 4000, "{}", family.len());
    assert_eq!(rig.postern(&["stop", "bomb"]).unwrap().status, 0);
    assert_ne!(app.end().unwrap(), 0);
    for pid in family {
        wait_for("the bomb to be gone", || Ok((!alive(pid)).then_some(()))).unwrap();
    }
}

#[test]
fn a_signal_to_the_launcher_ends_the_app() {
    let rig = Rig::new().unwrap();
    let mut app =
        Running::start(&rig, &["--no-display", "--id", "signalled"], &["/bin/sleep", "900"]).unwrap();
    app.wait_processes(1).unwrap();
    let family = postern_tests::processes::tree(app.pid_of("pid").unwrap());
    let launcher = Pid::from_raw(i32::try_from(app.launcher.id()).unwrap());
    kill(launcher, Signal::SIGTERM).unwrap();
    assert_eq!(app.end().unwrap(), 143);
    for pid in family {
        wait_for("the family to end", || Ok((!alive(pid)).then_some(()))).unwrap();
    }
}
