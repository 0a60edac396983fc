//! Programs that live on terminals: an editor and a multiplexer.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

#[test]
fn tmux() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("tmux", &[]);
    assert!(out.stdout.ends_with("no server running\n"), "{out:?}");
}

#[test]
fn vim() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("vim", &[]);
    assert!(out.stdout.contains("THE words"), "{out:?}");
}
