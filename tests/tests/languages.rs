//! Language runtimes: their threads, collectors, compilers and their own ways to make system calls.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

/// Runs a language's script and looks for a line that it prints near the end.
fn language(script: &str, sources: &[&str], near_the_end: &str) {
    let rig = Rig::new().unwrap();
    let out = rig.same_script(script, sources);
    assert!(out.stdout.contains(near_the_end), "{out:?}");
}

#[test]
fn node() {
    language("node", &["main.js", "child.js"], "Error: thrown");
}

#[test]
fn ruby() {
    language("ruby", &["main.rb"], "bye");
}

#[test]
fn php() {
    language("php", &["main.php", "web.php"], "served 1");
}

#[test]
fn perl() {
    language("perl", &["main.pl"], "1688895");
}

#[test]
#[ignore = "heavy: make programs"]
fn java() {
    language("java", &["T.java", "O.java"], "OutOfMemoryError");
}

#[test]
#[ignore = "heavy: make programs"]
fn mono() {
    language("mono", &["main.cs"], "aborted");
}

#[test]
#[ignore = "heavy: make programs"]
fn rust() {
    language("rust", &["main.rs", "lib.rs"], "test result: ok. 2 passed");
}

#[test]
#[ignore = "heavy: make programs"]
fn go() {
    language("go", &["main.go", "main_test.go"], "panic: last");
}

#[test]
#[ignore = "heavy: make programs"]
fn ffmpeg() {
    language("ffmpeg", &[], "stream,h264");
}

#[test]
#[ignore = "heavy: make programs"]
fn glib() {
    language("glib", &[], "win32-appinfo 0");
}
