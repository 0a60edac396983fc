//! Servers with their clients on the app's own loopback.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

#[test]
fn nginx() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("nginx", &[]);
    assert!(out.stdout.contains("new page"), "{out:?}");
}

#[test]
fn sshd() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("sshd", &[]);
    assert!(out.stdout.contains("hello from") && out.stdout.contains("forwarded"), "{out:?}");
}
