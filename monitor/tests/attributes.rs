//! Extended attributes and unnamed files, as a family asks for them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::errno::Errno;
use postern_abi::boot::mount;
use postern_abi::calls::attribute::{CREATE, GET, LIST, REMOVE, REPLACE, SET};
use postern_monitor::answer::Answer;
use postern_monitor::files::{Mounts, Policy};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A directory that goes away, mounted as number 1 for writing and as number 2 for reading.
struct Scratch {
    path: PathBuf,
    mounts: Mounts,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postern-attributes-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("folder")).expect("a directory");
        fs::write(path.join("file"), "text").expect("a file");
        let mut mounts = Mounts::new((0, 0), (0, 0));
        mounts.add(&path, Path::new("/home/u"), 0, Policy::Granted).expect("mounts");
        mounts.add(&path, Path::new("/srv"), mount::READ_ONLY, Policy::Granted).expect("mounts");
        Self { path, mounts }
    }

    fn ask(
        &self,
        mount: u64,
        call: [u64; 2],
        path: &str,
        name: &str,
        value: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        let payload = [path.as_bytes(), name.as_bytes(), value].concat();
        let args = [mount, call[0], call[1], path.len() as u64, name.len() as u64, 0];
        self.mounts.extended_attribute(&args, &payload).map(|answer: Answer| answer.payload)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn attributes_of_the_user_are_kept_on_the_host() {
    let s = Scratch::new("kept");
    for path in ["file", "folder"] {
        match s.ask(1, [SET, 0], path, "user.a", b"1") {
            // The directory for temporary files is where none are kept.
            Err(Errno::EOPNOTSUPP) => return,
            set => assert_eq!(set, Ok(Vec::new())),
        }
        assert_eq!(s.ask(1, [SET, CREATE], path, "user.a", b"2").err(), Some(Errno::EEXIST));
        assert_eq!(s.ask(1, [SET, REPLACE], path, "user.b", b"2").err(), Some(Errno::ENODATA));
        assert_eq!(s.ask(2, [GET, 0], path, "user.a", b""), Ok(b"1".to_vec()));
        assert_eq!(s.ask(2, [LIST, 0], path, "", b""), Ok(b"user.a\0".to_vec()));
        assert_eq!(s.ask(1, [REMOVE, 0], path, "user.a", b""), Ok(Vec::new()));
        assert_eq!(s.ask(1, [REMOVE, 0], path, "user.a", b"").err(), Some(Errno::ENODATA));
    }
}

#[test]
fn no_other_namespace_is_shown_or_set() {
    let s = Scratch::new("spaces");
    // Tests of the monitor may run as root, who could.
    for name in
        ["trusted.a", "security.a", "security.capability", "system.posix_acl_access", "a", "User.a", ""]
    {
        assert_eq!(s.ask(1, [SET, 0], "file", name, b"1").err(), Some(Errno::EOPNOTSUPP), "{name}");
        assert_eq!(s.ask(1, [GET, 0], "file", name, b"").err(), Some(Errno::EOPNOTSUPP), "{name}");
        assert_eq!(s.ask(1, [REMOVE, 0], "file", name, b"").err(), Some(Errno::EOPNOTSUPP), "{name}");
    }
    assert_eq!(s.ask(1, [SET, 0], "file", "user.", b"1").err(), Some(Errno::EINVAL));
    assert_eq!(s.ask(1, [SET, 0], "file", "user.a\0b", b"1").err(), Some(Errno::EINVAL));
    assert_eq!(
        s.ask(1, [GET, 0], "file", &format!("user.{}", "x".repeat(251)), b"").err(),
        Some(Errno::ERANGE)
    );
    assert_eq!(s.ask(1, [SET, 4], "file", "user.a", b"1").err(), Some(Errno::EINVAL));
    assert_eq!(s.ask(1, [9, 0], "file", "user.a", b"1").err(), Some(Errno::EINVAL));
}

#[test]
fn policy_and_links_hold() {
    let s = Scratch::new("policy");
    assert_eq!(s.ask(2, [SET, 0], "file", "user.a", b"1").err(), Some(Errno::EROFS));
    assert_eq!(s.ask(2, [REMOVE, 0], "file", "user.a", b"1").err(), Some(Errno::EROFS));
    symlink("/etc/passwd", s.path.join("link")).expect("a link");
    symlink("/etc", s.path.join("out")).expect("a link");
    for operation in [GET, SET, LIST, REMOVE] {
        assert_eq!(s.ask(1, [operation, 0], "link", "user.a", b"").err(), Some(Errno::EPERM));
        assert_eq!(s.ask(1, [operation, 0], "out/passwd", "user.a", b"").err(), Some(Errno::ELOOP));
        assert_eq!(s.ask(1, [operation, 0], "../x", "user.a", b"").err(), Some(Errno::EINVAL));
        assert_eq!(s.ask(1, [operation, 0], "missing", "user.a", b"").err(), Some(Errno::ENOENT));
        assert_eq!(s.ask(9, [operation, 0], "file", "user.a", b"").err(), Some(Errno::EINVAL));
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let s = Scratch::new("lengths");
    for lens in [[5, 0], [4, 7], [u64::MAX, 0], [4, u64::MAX]] {
        let args = [1, GET, 0, lens[0], lens[1], 0];
        assert_eq!(s.mounts.extended_attribute(&args, b"file").err(), Some(Errno::EINVAL));
    }
}
