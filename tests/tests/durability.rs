//! What was promised to be on the disk is there when everything was killed at any point.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

/// Longest that a writer goes on before it is killed, in milliseconds.
const LONGEST: u64 = 300;

/// How often the writers of one test are killed.
const ROUNDS: usize = 15;

/// What is killed: the monitor, the keeper, or (`None`) every process at once.
const VICTIMS: [Option<&str>; 3] = [Some("pid"), Some("keeper_pid"), None];

/// Kills writers in `folder`, which is `inside` for them.
fn killed_at_random(rig: &Rig, options: &[&str], folder: &Path, inside: &Path) {
    let script = rig.file("durable.py", include_bytes!("../programs/durable.py")).unwrap();
    let scripts = format!("{}:ro", rig.dir.join("bin").display());
    let options = [&["--no-display", "--grant", scripts.as_str()], options].concat();
    let argv = ["/usr/bin/python3", script.as_str(), inside.to_str().unwrap()];
    let ready = folder.join("ready");
    for part in VICTIMS.into_iter().cycle().take(ROUNDS) {
        let _ = fs::remove_file(&ready);
        let mut app = Running::start(rig, &options, &argv).unwrap();
        let victim = part.map(|part| i32::try_from(app.pid_of(part).unwrap()).unwrap());
        let started = wait_for("the writer", || {
            assert!(app.launcher.try_wait()?.is_none(), "{:?}", fs::read_to_string(rig.dir.join("apps.log")));
            Ok(ready.exists().then_some(()))
        });
        started.unwrap();
        let patience = RandomState::new().hash_one(part) % LONGEST;
        std::thread::sleep(Duration::from_millis(patience));
        if let Some(victim) = victim {
            kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
            assert_ne!(app.end().unwrap(), 0);
        }
    }
    // Inside once more, then as the host sees it.
    let [python, script, inside] = argv;
    let out = rig.sandboxed_with(options.get(1..).unwrap(), &[python, script, inside, "look"], None).unwrap();
    assert_eq!(out.stdout, "ok True True\n", "{out:?}");
    let out = rig.native(&[python, script, folder.to_str().unwrap(), "look"]).unwrap();
    assert_eq!(out.stdout, "ok True True\n", "{out:?}");
}

fn in_a_granted_folder(name: &str) {
    let rig = Rig::new().unwrap();
    let folder = rig.dir.join(name);
    fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    killed_at_random(&rig, &["--grant", folder.to_str().unwrap()], &folder, &folder);
}

#[test]
fn sqlite_with_a_journal_in_a_granted_folder() {
    in_a_granted_folder("journal");
}

#[test]
fn sqlite_with_a_write_ahead_log_in_a_granted_folder() {
    in_a_granted_folder("wal");
}

#[test]
fn sqlite_in_the_private_home() {
    let rig = Rig::new().unwrap();
    let folder = rig.home().join(".local/share/postern/homes/durable");
    let inside = rig.home();
    killed_at_random(&rig, &["--id", "durable"], &folder, &inside);
}
