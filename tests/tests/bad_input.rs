//! Bad input gets a clear error, and nothing is lost.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::{Rig, Running};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

#[test]
fn a_program_of_another_architecture() {
    let rig = Rig::new().unwrap();
    let mut elf = fs::read("/bin/true").unwrap();
    // e_machine: AArch64.
    elf[18] = 183;
    let program = rig.file("foreign", &elf).unwrap();
    let out = rig.sandboxed(&[&program]).unwrap();
    assert_eq!(out.status, 126, "{out:?}");
    assert!(!out.stderr.is_empty(), "{out:?}");
    let text = format!("{program}; echo $?");
    let out = rig.sandboxed(&["/bin/sh", "-c", &text]).unwrap();
    assert_eq!(out.stdout, "126\n", "{out:?}");
    assert!(out.stderr.contains("Exec format error"), "{out:?}");
}

#[test]
fn truncated_and_hostile_elf_files() {
    let rig = Rig::new().unwrap();
    let whole = fs::read("/bin/busybox").unwrap();
    let mut files: Vec<Vec<u8>> =
        [0, 1, 4, 16, 63, 64, 100, 200, 400, 4096, 5000].iter().map(|n| whole[..*n].to_vec()).collect();
    // One field after another of the header and of the program headers made absurd.
    for at in (16..512).step_by(4) {
        for value in [0_u32, 0xffff_ffff, 0x7fff_ffff, 0x2a00] {
            let mut elf = whole[..8192].to_vec();
            elf[at..at + 4].copy_from_slice(&value.to_le_bytes());
            files.push(elf);
        }
    }
    let folder = rig.dir.join("bin/elves");
    fs::create_dir(&folder).unwrap();
    for (number, bytes) in files.iter().enumerate() {
        let path = folder.join(format!("{number:03}"));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Each may fail or crash as it likes; the family goes on.
    let text = format!(
        "for f in {}/*; do \"$f\" < /dev/null > /dev/null 2>&1; done; echo survived",
        folder.display()
    );
    let out = rig.sandboxed(&["/usr/bin/timeout", "200", "/bin/bash", "-c", &text]).unwrap();
    assert!(out.stdout.ends_with("survived\n"), "{out:?}");
    assert_eq!(out.status, 0, "{out:?}");
}

fn manifest(rig: &Rig, app: &str, text: &str) -> std::path::PathBuf {
    let folder = rig.home().join(".config/postern/apps");
    let made = rig.command("mkdir").arg("-p").arg(&folder).status().unwrap();
    assert!(made.success());
    let path = folder.join(format!("{app}.json"));
    fs::write(&path, text).unwrap();
    rig.own(&path).unwrap();
    path
}

#[test]
fn a_manifest_that_is_not_json() {
    let rig = Rig::new().unwrap();
    let text = "{ \"permissions\": oops }";
    let path = manifest(&rig, "foot", text);
    let out = rig.postern(&["permissions", "foot"]).unwrap();
    assert_ne!(out.status, 0);
    assert!(out.stderr.contains("line 1") && out.stderr.contains("foot.json"), "{out:?}");
    let out = rig.postern(&["permit", "foot", "network", "outbound"]).unwrap();
    assert_ne!(out.status, 0, "a broken manifest was overwritten");
    assert_eq!(fs::read_to_string(path).unwrap(), text, "the file was not kept");
}

#[test]
fn a_manifest_with_an_unknown_field() {
    let rig = Rig::new().unwrap();
    let text = "{\n  \"permissions\": {\n    \"netwrok\": true\n  }\n}\n";
    let path = manifest(&rig, "foot", text);
    let out = rig.postern(&["run", "foot"]).unwrap();
    assert_ne!(out.status, 0);
    assert!(out.stderr.contains("netwrok") && out.stderr.contains("line 3"), "{out:?}");
    assert_eq!(fs::read_to_string(path).unwrap(), text, "the file was not kept");
}

#[test]
fn a_full_disk() {
    let rig = Rig::new().unwrap();
    // A file size limit is what an ordinary user can make; /dev/full is the app's own.
    let out = rig
        .sandboxed(&[
            "/bin/sh",
            "-c",
            "echo text > /dev/full; echo $?; head -c 100 /dev/zero | dd of=/dev/full status=none; echo $?",
        ])
        .unwrap();
    assert!(out.stderr.contains("No space left on device"), "{out:?}");
    // A file system of 256 KiB, in a mount namespace of its own.
    let (folder, postern) = (rig.dir.join("full"), rig.postern.display());
    let (text, folder) = (
        format!(
            "mkdir -p {0} && mount -t tmpfs -o size=256k none {0} && exec '{postern}' run --no-display --grant {0} -- \
             /bin/sh -c 'cd {0}; echo kept > a; head -c 1000000 /dev/zero > big; echo $?; cat a; rm big; echo again > b; cat b'",
            folder.display()
        ),
        folder,
    );
    std::fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    let out = rig.native(&["unshare", "-Urm", "/bin/sh", "-c", &text]).unwrap();
    if out.stderr.contains("unshare") {
        eprintln!("not tested, the host forbids user namespaces: {}", out.stderr);
        return;
    }
    assert_eq!(out.stdout, "1\nkept\nagain\n", "{out:?}");
    assert!(out.stderr.contains("No space left on device"), "{out:?}");
}

#[test]
fn no_wayland_session() {
    let rig = Rig::new().unwrap();
    let out = rig.postern(&["run", "foot"]).unwrap();
    assert_ne!(out.status, 0, "{out:?}");
    assert!(out.stderr.contains("Wayland"), "{out:?}");
    // The manager says so too, and does not hang.
    let out = rig.postern(&[]).unwrap();
    assert_ne!(out.status, 0, "{out:?}");
    assert_ne!(out.status, 124, "{out:?}");
    assert!(out.stderr.contains("Wayland"), "{out:?}");
}

#[test]
fn a_control_socket_of_a_dead_monitor() {
    let rig = Rig::new().unwrap();
    rig.sandboxed(&["/bin/true"]).unwrap();
    let path = rig.dir.join("run/postern/ghost-123.sock");
    drop(UnixListener::bind(&path).unwrap());
    rig.own(&path).unwrap();
    // And one that is alive and never answers anything.
    let mute = rig.dir.join("run/postern/mute-1.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    rig.own(&mute).unwrap();
    let app = Running::start(&rig, &["--no-display", "--id", "alive"], &["/bin/sleep", "500"]).unwrap();
    app.wait_processes(1).unwrap();
    let out = rig.postern(&["ps"]).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    assert!(out.stdout.contains("alive") && !out.stdout.contains("ghost"), "{out:?}");
}

#[test]
fn options_that_make_no_sense() {
    let rig = Rig::new().unwrap();
    for args in [
        &["run", "--grant", "/no/such/folder", "--", "/bin/true"][..],
        &["run", "--net=:::", "--", "/bin/true"],
        &["run", "--listen", "99999", "--", "/bin/true"],
        &["run", "--image", "nothing", "--", "/bin/true"],
        &["run"],
        &["run", "../../etc/passwd"],
        &["report", "../../../etc/passwd"],
        &["stop", "no-such-app"],
        &["permissions", "../x"],
    ] {
        let out = rig.postern(args).unwrap();
        assert!(out.status != 0 && out.status < 128, "{args:?}: {out:?}");
        assert!(!out.stderr.trim().is_empty(), "{args:?}: {out:?}");
        assert!(!out.stderr.contains("panicked"), "{args:?}: {out:?}");
    }
}

#[test]
fn many_arguments_and_a_large_environment() {
    let rig = Rig::new().unwrap();
    rig.same(&["/bin/bash", "-c", "export X=$(head -c 100000 /dev/zero | tr '\\0' x); /bin/sh -c 'echo ${#X}'; /bin/echo $(seq 20000) | md5sum; /bin/echo $(seq 2000000) 2>&1 | sed 's/.*: //'"]);
}
