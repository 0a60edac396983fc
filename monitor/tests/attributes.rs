//! Extended attributes and unnamed files, as a family asks for them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::errno::Errno;
use postern_abi::boot::mount;
use postern_abi::calls::attribute::{CREATE, GET, LIST, REMOVE, REPLACE, SET};
use postern_abi::calls::open::{EXCLUSIVE, LAST_ONLY, READ, UNNAMED, WRITE};
use postern_abi::calls::{node, unnamed};
use postern_abi::message::split_record;
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

fn make(s: &Scratch, flags: u64) -> Result<Answer, Errno> {
    s.mounts.open(1, READ | WRITE | UNNAMED | flags, 0o640, b"folder")
}

fn names(path: &Path) -> usize {
    fs::read_dir(path).expect("a directory").count()
}

#[test]
fn an_unnamed_file_can_get_a_name_once() {
    let s = Scratch::new("unnamed");
    let answer = make(&s, 0).expect("made");
    let [_, has_handle, created, number] = answer.values;
    assert_eq!((answer.error, has_handle, created), (None, 1, 1));
    let (record, rest) = split_record(&answer.payload).expect("a record");
    assert!(rest.is_empty() && record.attributes.nlink == 0 && record.attributes.mode & 0o777 == 0o640);
    nix::unistd::write(answer.handle.as_ref().expect("a handle"), b"content").expect("writes");
    let id = unnamed(1, number);
    let told = s.mounts.open(id, LAST_ONLY, 0, b"").expect("told");
    assert_eq!(split_record(&told.payload).map(|(record, ..)| record.attributes.size), Some(7));
    assert!(s.mounts.open(id, READ, 0, b"").is_ok_and(|answer| answer.handle.is_some()));
    assert_eq!(s.mounts.open(id, READ, 0, b"file").err(), Some(Errno::EINVAL));
    assert_eq!(s.mounts.open(unnamed(2, number), READ, 0, b"").err(), Some(Errno::ENOENT));
    assert!(s.mounts.flush(&[id, 0, 0, 0, 0, 0], b"").is_ok());
    assert_eq!(names(&s.path.join("folder")), 0);
    let link = |name: &[u8]| s.mounts.create(&[id, node::HARD_LINK, 0, name.len() as u64, 0, 0], name);
    assert_eq!(link(b"file").err(), Some(Errno::EEXIST));
    assert_eq!(s.mounts.create(&[id, node::DIRECTORY, 0, 1, 0, 0], b"d").err(), Some(Errno::EINVAL));
    assert!(link(b"folder/named").is_ok());
    assert_eq!(fs::read_to_string(s.path.join("folder/named")).expect("there"), "content");
    assert_eq!(link(b"again").err(), Some(Errno::ENOENT));
    assert_eq!(s.mounts.remove(&[id, 0, 0, 0, 0, 0], b"").err(), Some(Errno::ENOENT));
}

#[test]
fn an_exclusive_one_never_gets_a_name() {
    let s = Scratch::new("exclusive");
    let number = make(&s, EXCLUSIVE).expect("made").values[3];
    let args = [unnamed(1, number), node::HARD_LINK, 0, 5, 0, 0];
    assert_eq!(s.mounts.create(&args, b"named").err(), Some(Errno::ENOENT));
    assert!(s.mounts.remove(&[unnamed(1, number), 0, 0, 0, 0, 0], b"").is_ok());
    assert_eq!(s.mounts.open(unnamed(1, number), 0, 0, b"").err(), Some(Errno::ENOENT));
}

#[test]
fn a_family_keeps_only_so_many() {
    let s = Scratch::new("many");
    let numbers: Vec<u64> = (0..256).map(|_| make(&s, 0).expect("made").values[3]).collect();
    assert_eq!(make(&s, 0).expect("resolved").error, Some(Errno::ENFILE));
    assert_eq!(make(&s, EXCLUSIVE).expect("made").values[3], 0);
    assert!(s.mounts.remove(&[unnamed(1, numbers[3]), 0, 0, 0, 0, 0], b"").is_ok());
    assert!(make(&s, 0).is_ok_and(|answer| answer.error.is_none()));
    assert_eq!(names(&s.path.join("folder")), 0);
}
