//! C programs of our own that exercise one mechanism each. Each passes natively first.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

fn both(name: &str) {
    let rig = Rig::new().unwrap();
    let dynamic = rig.compile(name, &[]).unwrap();
    assert_eq!(rig.same(&[&dynamic]).status, 0);
    let fixed = rig.compile(name, &["-static", "-no-pie"]).unwrap();
    assert_eq!(rig.same(&[&fixed]).status, 0);
}

#[test]
fn five_hundred_children() {
    both("fork500");
}

#[test]
fn sixty_four_threads_on_a_futex() {
    both("futex64");
}

#[test]
fn signals_reach_a_spinning_thread() {
    both("spin_signal");
}

#[test]
fn shared_memory_in_its_forms() {
    both("shared_memory");
}

#[test]
fn descriptors_over_sockets_and_epoll() {
    both("sockets");
}

#[test]
fn vfork_and_posix_spawn() {
    both("spawn");
}

#[test]
fn ptys_and_job_control() {
    both("pty");
}

#[test]
fn inotify_and_file_locks() {
    both("watch");
}

#[test]
fn faults_become_signals() {
    both("faults");
}

#[test]
fn limits_hold() {
    let rig = Rig::new().unwrap();
    let program = rig.compile("limits", &[]).unwrap();
    assert_eq!(rig.same(&[&program]).status, 0);
}

#[test]
fn barriers_of_other_threads() {
    both("barriers");
}

#[test]
fn futexes_of_all_forms() {
    both("futexes");
}

#[test]
fn memory_and_descriptors_of_other_processes() {
    both("neighbours");
}
