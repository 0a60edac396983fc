//! What a family hears of changes to the files that it has watched.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::errno::Errno;
use nix::sys::inotify::AddWatchFlags;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use postern_abi::boot::mount;
use postern_abi::calls::open::{LAST_ONLY, WATCH};
use postern_abi::event::{Event, EventKind};
use postern_monitor::files::{Mounts, Outside, Policy};
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zerocopy::FromBytes as _;

/// A directory that goes away, mounted as number 1 for all, as 2 for this family alone, and as 3 as a system directory.
struct Scratch {
    path: PathBuf,
    mounts: Mounts,
    family: OwnedFd,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postern-outside-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("hidden")).expect("a directory");
        fs::write(path.join("file"), "text").expect("a file");
        let (events, family) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a pair");
        let mut mounts = Mounts::new((0, 0), (0, 0));
        mounts.add(&path, Path::new("/a"), 0, Policy::Granted).expect("mounts");
        mounts.add(&path, Path::new("/b"), mount::EXCLUSIVE, Policy::Granted).expect("mounts");
        mounts.add(&path, Path::new("/c"), mount::READ_ONLY, Policy::System).expect("mounts");
        mounts.hide(&path.join("hidden"));
        mounts.tell_with(Outside::new(events));
        Self { path, mounts, family }
    }

    fn watch(&self, mount: u64, path: &str) -> u64 {
        self.mounts.open(mount, LAST_ONLY | WATCH, 0, path.as_bytes()).expect("resolves").values[3]
    }

    /// The next event: watch, bits, name.
    fn next(&self) -> Option<(u64, AddWatchFlags, String)> {
        let mut buffer = [0; 512];
        let begun = Instant::now();
        let len = loop {
            match recv(self.family.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) if begun.elapsed() > Duration::from_millis(700) => return None,
                Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(5)),
                got => break got.expect("receives"),
            }
        };
        let (event, name) = Event::read_from_prefix(buffer.get(..len).expect("a message")).expect("an event");
        assert_eq!((event.kind, event.args[2]), (EventKind::Changed as u32, name.len() as u64));
        let bits = u32::try_from(event.args[1] & 0xffff_ffff).expect("32 bits");
        let name = String::from_utf8_lossy(name).into_owned();
        Some((event.args[0], AddWatchFlags::from_bits_retain(bits), name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn changes_are_told_until_nobody_minds() {
    let s = Scratch::new("told");
    let (folder, file) = (s.watch(1, ""), s.watch(1, "file"));
    assert!(folder != 0 && file != 0 && folder != file);
    assert_eq!(s.watch(1, ""), folder, "one number for one file");
    fs::create_dir(s.path.join("new")).expect("made");
    assert_eq!(
        s.next(),
        Some((folder, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ISDIR, "new".to_owned()))
    );
    fs::set_permissions(s.path.join("file"), fs::Permissions::from_mode(0o600)).expect("mode");
    let mut both = [s.next(), s.next()].map(|event| event.expect("told"));
    both.sort_by(|a, b| a.2.cmp(&b.2));
    let attrib = AddWatchFlags::IN_ATTRIB;
    assert_eq!(both, [(file, attrib, String::new()), (folder, attrib, "file".to_owned())]);
    s.mounts.unwatch_outside(folder);
    s.mounts.unwatch_outside(file);
    s.mounts.unwatch_outside(file);
    s.mounts.unwatch_outside(99);
    fs::remove_dir(s.path.join("new")).expect("removed");
    assert_eq!(s.next(), None);
}

#[test]
fn only_what_can_be_seen_and_changed_by_others_is_watched() {
    let s = Scratch::new("seen");
    symlink("file", s.path.join("link")).expect("a link");
    assert_eq!((s.watch(2, ""), s.watch(1, "link"), s.watch(1, "missing")), (0, 0, 0));
    fs::set_permissions(s.path.join("file"), fs::Permissions::from_mode(0o640)).expect("mode");
    assert_eq!(s.watch(3, "file"), 0);
    assert_eq!(s.mounts.open(1, LAST_ONLY | WATCH, 0, b"hidden").err(), Some(Errno::EACCES));
    let folder = s.watch(1, "");
    fs::set_permissions(s.path.join("hidden"), fs::Permissions::from_mode(0o700)).expect("mode");
    fs::write(s.path.join("last"), "").expect("made");
    assert_eq!(s.next().map(|event| (event.0, event.2)), Some((folder, "last".to_owned())));
}

#[test]
fn watches_are_bounded() {
    let s = Scratch::new("bounded");
    fs::create_dir(s.path.join("many")).expect("made");
    for i in 0..4100 {
        fs::write(s.path.join(format!("many/{i}")), "").expect("made");
    }
    let watched = (0..4100).filter(|i| s.watch(1, &format!("many/{i}")) != 0).count();
    // The host may allow fewer.
    assert!(watched <= 4096);
}
