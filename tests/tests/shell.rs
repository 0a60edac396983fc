//! Shells and the classic tools.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::rig::root;

#[test]
fn a_long_pipeline() {
    let rig = Rig::new().unwrap();
    let out = rig.same(&["/bin/sh", "-c", "yes | head -100000 | sort | uniq -c"]);
    assert!(out.stdout.contains("100000 y"));
}

#[test]
fn a_long_bash_script() {
    let rig = Rig::new().unwrap();
    let text = std::fs::read(root().join("tests/programs/script.sh")).unwrap();
    let script = rig.file("script.sh", &text).unwrap();
    // The message about a killed child names its process id.
    let out = rig.same_stdout(&["/bin/bash", &script]);
    assert_eq!(out.status, 0, "{out:?}");
    assert!(!out.stdout.contains("BAD"), "{out:?}");
}

#[test]
fn static_busybox() {
    let rig = Rig::new().unwrap();
    let text = "for i in 1 2 3; do echo $i; done | /bin/busybox tac; /bin/busybox seq 5 | /bin/busybox awk '{s+=$1} END {print s}'; \
                echo hello | /bin/busybox md5sum; /bin/busybox ls /usr; exit 4";
    assert_eq!(rig.same(&["/bin/busybox", "sh", "-c", text]).status, 4);
    rig.same(&["/bin/busybox", "cat", "/etc/passwd"]);
    rig.same(&["/bin/busybox", "true"]);
}

#[test]
fn find_counts_the_same_files() {
    let rig = Rig::new().unwrap();
    rig.same(&["/bin/sh", "-c", "find /usr/share -type f 2>/dev/null | wc -l"]);
    rig.same(&["/bin/sh", "-c", "find /usr/lib -name '*.so*' | sort | tail -50"]);
}

#[test]
fn files_in_the_home_stay() {
    let rig = Rig::new().unwrap();
    let out =
        rig.sandboxed_with(&["--id", "keeper"], &["/bin/sh", "-c", "echo kept > $HOME/file"], None).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    assert!(!rig.home().join("file").exists(), "the host's home was written to");
    let out = rig.sandboxed_with(&["--id", "keeper"], &["/bin/sh", "-c", "cat $HOME/file"], None).unwrap();
    assert_eq!(out.stdout, "kept\n", "{out:?}");
    let out = rig.sandboxed_with(&["--id", "other"], &["/bin/sh", "-c", "cat $HOME/file"], None).unwrap();
    assert_ne!(out.status, 0, "another app sees the file: {out:?}");
}

#[test]
fn proc_and_dev_as_scripts_read_them() {
    let rig = Rig::new().unwrap();
    rig.same(&[
        "/bin/sh",
        "-c",
        "tr '\\0' ' ' < /proc/self/cmdline; echo; readlink /proc/self/exe; cat /proc/self/comm",
    ]);
    rig.same(&["/bin/sh", "-c", "head -c 10 /dev/zero | od -c; echo x > /dev/null; head -c 16 /dev/urandom | wc -c; echo y > /dev/full; echo $?"]);
    rig.same(&["/bin/sh", "-c", "echo shared > /dev/shm/pt-$$; cat /dev/shm/pt-$$; rm /dev/shm/pt-$$; grep -c processor /proc/cpuinfo; nproc"]);
}

#[test]
fn a_program_that_is_replaced_in_place_runs_as_what_it_is_now() {
    let rig = Rig::new().unwrap();
    // The same inode each time: what was learnt of the calls of one program must not be applied to another.
    let text = "cd $HOME; cp /bin/true x; for i in 1 2 3 4 5 6; do ./x; echo $?; done; \
                for p in false echo true printenv cat; do cat /bin/$p > x; \
                for i in 1 2 3 4; do ./x /dev/null; echo $?; done; done";
    let out = rig.same_stdout(&["/bin/sh", "-c", text]);
    assert_eq!(out.stdout.matches("/dev/null").count(), 4, "{out:?}");
}
