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
fn many_threads_one_after_another() {
    let rig = Rig::new().unwrap();
    let program = rig.compile("many_threads", &[]).unwrap();
    assert_eq!(rig.same(&[&program]).status, 0);
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
fn the_loopback_of_both_families() {
    both("loopback");
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
fn posix_message_queues() {
    both("mqueue");
}

#[test]
fn inotify_and_file_locks() {
    both("watch");
}

#[test]
fn extended_attributes() {
    both("xattr");
}

#[test]
fn files_without_a_name() {
    both("tmpfile");
}

#[test]
fn reads_and_writes_with_flags_and_times_of_links() {
    both("rwf");
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

#[test]
fn time_used_is_told() {
    both("usage");
}

#[test]
fn orphans_priorities_and_capabilities() {
    both("families");
}

#[test]
fn root_inside_is_root_among_its_own() {
    let rig = Rig::new().unwrap();
    let program = rig.compile("root", &[]).unwrap();
    let out = rig.sandboxed_with(&["--uid", "0"], &[&program], None).unwrap();
    // As root natively, but for the last line but one: nothing changes the host.
    let expected = "\
root: 0 0 0 effective 1ffffffffff permitted 1ffffffffff
groups 0 gid 0 uid 0
gone: 1000 1000 1000 effective 0 permitted 0
back EPERM
aside 0
aside: 0 1000 0 effective 0 permitted 1ffffffffff
back 0
back: 0 0 0 effective 1ffffffffff permitted 1ffffffffff
keeps 0
kept: 1000 1000 1000 effective 0 permitted 1ffffffffff
takes one 0
one: 1000 1000 1000 effective 80 permitted 80
uses it 0 ambient 0
bound 1 0
root: 0 0 0 effective 20 permitted 20
limits 0 0 nice 0
host EPERM EPERM
signal to a user 0
";
    assert_eq!((out.status, out.stdout.as_str()), (0, expected), "{}", out.stderr);
}

#[test]
fn filters_of_system_calls() {
    both("seccomp_filter");
}

#[test]
fn processes_share_memory() {
    both("company");
}

#[test]
fn mappings_end_with_their_files() {
    both("file_ends");
}

#[test]
fn what_no_compiler_makes() {
    both("odd_instructions");
}

#[test]
fn packets_of_pipes() {
    both("packets");
}

#[test]
fn deadlocks_of_record_locks() {
    both("record_locks");
}

#[test]
fn signals_tell_of_ready_files() {
    both("sigio");
}

#[test]
fn leases_are_broken() {
    both("leases");
}

#[test]
fn urgent_data() {
    both("urgent");
}

#[test]
fn a_gs_base_of_the_apps_own() {
    both("segment_bases");
}
