//! Tests of the VFS by its system calls, over a tmpfs, without a host: a test's own memory is the app's memory.

extern crate std;

use super::dentry::Dentry;
use super::inode::New;
use super::{calls, inotify, open, path, random, tmpfs};
use crate::call::{Call, Handler};
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_abi::boot::Boot;
use postern_pal::frame::Frame;
use std::ffi::CString;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicU32, Ordering};

const AT_FDCWD: u64 = (-100i64).cast_unsigned();
const O_CREAT: u64 = 0o100;
const O_EXCL: u64 = 0o200;
const O_RDWR: u64 = 2;
const O_DIRECTORY: u64 = 0o200_000;
const O_NOFOLLOW: u64 = 0o400_000;
const O_PATH: u64 = 0o10_000_000;

/// A process of user 1000 whose working directory is a fresh directory of its own.
struct Shell(Arc<Thread>, String);

impl Shell {
    fn new() -> Self {
        static ROOT: std::sync::Once = std::sync::Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        ROOT.call_once(|| {
            let (mount, node) = tmpfs::new("tmpfs", 1 << 30, 0o1777, [0, 0]);
            path::set_root(Dentry::namespace_root(mount, node));
        });
        let mut rlimits = [[u64::MAX; 2]; 16];
        rlimits[crate::task::resource::NOFILE] = [1024, 1024];
        let boot = Boot { uid: 1000, gid: 1000, rlimits, ..Boot::default() };
        let shell = Self(crate::task::process::initial(&boot).unwrap(), "/".to_string());
        // A thread of the host keeps nothing at hand.
        shell.0.process.files.share();
        let own = std::format!("/test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        shell.path(calls::name::mkdir, &own, &[0o755]).unwrap();
        shell.path(calls::directory::chdir, &own, &[]).unwrap();
        Self(shell.0, own)
    }

    fn call(&self, handler: Handler, args: &[u64]) -> Result<u64> {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        handler(&mut Call { thread: &self.0, frame: &mut Frame::zeroed(), args: all })
    }

    /// A call whose first argument is a path.
    fn path(&self, handler: Handler, path: &str, rest: &[u64]) -> Result<u64> {
        let path = CString::new(path).unwrap();
        let mut args = std::vec![path.as_ptr().addr() as u64];
        args.extend(rest);
        self.call(handler, &args)
    }

    /// A call whose first two arguments are paths.
    fn paths(&self, handler: Handler, a: &str, b: &str) -> Result<u64> {
        let (a, b) = (CString::new(a).unwrap(), CString::new(b).unwrap());
        self.call(handler, &[a.as_ptr().addr() as u64, b.as_ptr().addr() as u64])
    }

    fn open(&self, path: &str, flags: u64) -> Result<u64> {
        self.path(open::open, path, &[flags, 0o644])
    }

    fn touch(&self, path: &str) {
        let fd = self.open(path, O_CREAT | O_RDWR).unwrap();
        self.call(calls::descriptor::close, &[fd]).unwrap();
    }

    /// Inode number and link count, or the error.
    fn stat(&self, path: &str) -> Result<(u64, u64)> {
        let mut words = [0u64; 18];
        self.path(calls::stat::stat, path, &[words.as_mut_ptr().addr() as u64])?;
        Ok((words[1], words[2]))
    }

    fn cwd(&self) -> Result<String> {
        let mut text = [0u8; 256];
        let len = self.call(calls::directory::getcwd, &[text.as_mut_ptr().addr() as u64, 256])?;
        Ok(String::from_utf8_lossy(&text[..usize::try_from(len).unwrap() - 1]).into_owned())
    }

    /// Names of a directory, sorted.
    fn list(&self, path: &str) -> Vec<String> {
        let fd = self.open(path, O_DIRECTORY).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0u8; 96];
        loop {
            let len = self
                .call(calls::directory::getdents64, &[fd, buffer.as_mut_ptr().addr() as u64, 96])
                .unwrap();
            let mut rest = &buffer[..usize::try_from(len).unwrap()];
            if rest.is_empty() {
                break;
            }
            while !rest.is_empty() {
                let size = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
                let name = rest[19..size].split(|b| *b == 0).next().unwrap();
                all.push(String::from_utf8_lossy(name).into_owned());
                rest = &rest[size..];
            }
        }
        self.call(calls::descriptor::close, &[fd]).unwrap();
        all.sort();
        all
    }
}

#[test]
fn names_appear_move_and_go() {
    let shell = Shell::new();
    assert_eq!(shell.stat("a"), Err(Errno::ENOENT));
    shell.touch("a");
    let (ino, links) = shell.stat("a").unwrap();
    assert_eq!(links, 1);
    shell.paths(calls::name::link, "a", "b").unwrap();
    assert_eq!(shell.stat("b"), Ok((ino, 2)));
    shell.paths(calls::name::rename, "a", "c").unwrap();
    assert_eq!(shell.stat("a"), Err(Errno::ENOENT));
    assert_eq!(shell.stat("c"), Ok((ino, 2)));
    shell.path(calls::name::unlink, "b", &[]).unwrap();
    assert_eq!(shell.stat("c"), Ok((ino, 1)));
    assert_eq!(shell.list("."), [".", "..", "c"]);
}

#[test]
fn a_remembered_path_does_not_outlive_a_change() {
    let shell = Shell::new();
    let full = |name: &str| std::format!("{}/{name}", shell.1);
    // Both answers, found and missing, are asked for twice, so that the second comes from memory.
    for _ in 0..2 {
        assert_eq!(shell.stat(&full("d/x")), Err(Errno::ENOENT));
    }
    shell.path(calls::name::mkdir, "d", &[0o755]).unwrap();
    shell.touch("d/x");
    let first = shell.stat(&full("d/x")).unwrap();
    assert_eq!(shell.stat(&full("d/x")), Ok(first));
    shell.paths(calls::name::rename, "d", "e").unwrap();
    assert_eq!(shell.stat(&full("d/x")), Err(Errno::ENOENT));
    assert_eq!(shell.stat(&full("e/x")), Ok(first));
    // A directory that only its owner may pass, who then becomes another.
    shell.path(calls::attribute::chmod, "e", &[0o700]).unwrap();
    assert_eq!(shell.stat(&full("e/x")), Ok(first));
    assert_eq!(shell.stat(&full("e/x")), Ok(first));
    shell.0.process.identity.lock().fsuid = 1001;
    assert_eq!(shell.stat(&full("e/x")), Err(Errno::EACCES));
    shell.0.process.identity.lock().fsuid = 1000;
    // A directory that may no longer be passed.
    shell.path(calls::attribute::chmod, "e", &[0o600]).unwrap();
    assert_eq!(shell.stat(&full("e/x")), Err(Errno::EACCES));
    shell.path(calls::attribute::chmod, "e", &[0o755]).unwrap();
    shell.path(calls::name::unlink, "e/x", &[]).unwrap();
    assert_eq!(shell.stat(&full("e/x")), Err(Errno::ENOENT));
}

#[test]
fn links_are_followed_where_open_says_so() {
    let shell = Shell::new();
    shell.path(calls::name::mkdir, "d", &[0o755]).unwrap();
    shell.touch("d/file");
    shell.paths(calls::name::symlink, "d/file", "link").unwrap();
    shell.paths(calls::name::symlink, "loop", "loop").unwrap();
    shell.paths(calls::name::symlink, "d/new", "dangling").unwrap();
    assert_eq!(shell.stat("link"), shell.stat("d/file"));
    assert_eq!(shell.stat("loop"), Err(Errno::ELOOP));
    assert_eq!(shell.open("link", O_NOFOLLOW), Err(Errno::ELOOP));
    assert!(shell.open("link", O_NOFOLLOW | O_PATH).is_ok());
    assert_eq!(shell.open("link", O_CREAT | O_EXCL | O_RDWR), Err(Errno::EEXIST));
    assert_eq!(shell.stat("link/"), Err(Errno::ENOTDIR));
    assert_eq!(shell.stat("dangling"), Err(Errno::ENOENT));
    shell.touch("dangling");
    assert_eq!(shell.stat("dangling"), shell.stat("d/new"));
    let mut text = [0u8; 4];
    let got = shell.path(calls::stat::readlink, "link", &[text.as_mut_ptr().addr() as u64, 4]);
    assert_eq!((got, &text), (Ok(4), b"d/fi"));
}

#[test]
fn directories_refuse_what_linux_refuses() {
    let shell = Shell::new();
    let mkdir = |path| shell.path(calls::name::mkdir, path, &[0o755]);
    mkdir("d").unwrap();
    mkdir("d/sub/").unwrap();
    shell.touch("file");
    assert_eq!(mkdir("d"), Err(Errno::EEXIST));
    assert_eq!(mkdir("file/x"), Err(Errno::ENOTDIR));
    assert_eq!(shell.path(calls::name::rmdir, "d", &[]), Err(Errno::ENOTEMPTY));
    assert_eq!(shell.path(calls::name::rmdir, "file", &[]), Err(Errno::ENOTDIR));
    assert_eq!(shell.path(calls::name::rmdir, "d/.", &[]), Err(Errno::EINVAL));
    assert_eq!(shell.path(calls::name::rmdir, "/", &[]), Err(Errno::EBUSY));
    assert_eq!(shell.path(calls::name::unlink, "d", &[]), Err(Errno::EISDIR));
    assert_eq!(shell.paths(calls::name::rename, "d", "d/sub/in"), Err(Errno::EINVAL));
    assert_eq!(shell.paths(calls::name::rename, "file", "d"), Err(Errno::EISDIR));
    assert_eq!(shell.paths(calls::name::rename, "d", "file"), Err(Errno::ENOTDIR));
    assert_eq!(shell.open("d", O_RDWR), Err(Errno::EISDIR));
    assert_eq!(shell.open("file", O_DIRECTORY), Err(Errno::ENOTDIR));
    assert_eq!(shell.open("new/", O_CREAT | O_RDWR), Err(Errno::EISDIR));
    assert_eq!(shell.stat(&"n".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(shell.stat(""), Err(Errno::ENOENT));
}

#[test]
fn a_working_directory_moves_and_can_be_removed() {
    let shell = Shell::new();
    shell.path(calls::name::mkdir, "a", &[0o755]).unwrap();
    shell.path(calls::name::mkdir, "a/b", &[0o755]).unwrap();
    shell.path(calls::directory::chdir, "a/b", &[]).unwrap();
    assert_eq!(shell.cwd().unwrap(), std::format!("{}/a/b", shell.1));
    shell.paths(calls::name::rename, "../../a", "../../z").unwrap();
    assert_eq!(shell.cwd().unwrap(), std::format!("{}/z/b", shell.1));
    shell.path(calls::name::rmdir, "../b", &[]).unwrap();
    assert_eq!(shell.cwd(), Err(Errno::ENOENT));
    assert_eq!(shell.open("x", O_CREAT | O_RDWR), Err(Errno::ENOENT));
}

#[test]
fn small_files_have_holes_and_ends() {
    let shell = Shell::new();
    let fd = shell.open("f", O_CREAT | O_RDWR).unwrap();
    let text = *b"hello";
    let at = text.as_ptr().addr() as u64;
    assert_eq!(shell.call(calls::vector::pwrite64, &[fd, at, 5, 10]), Ok(5));
    let mut back = [1u8; 32];
    let to = back.as_mut_ptr().addr() as u64;
    assert_eq!(shell.call(calls::vector::pread64, &[fd, to, 32, 0]), Ok(15));
    assert_eq!((&back[..10], &back[10..15]), (&[0; 10][..], &text[..]));
    shell.call(calls::attribute::ftruncate, &[fd, 12]).unwrap();
    shell.call(calls::attribute::ftruncate, &[fd, 14]).unwrap();
    assert_eq!(shell.call(calls::vector::pread64, &[fd, to, 32, 10]), Ok(4));
    assert_eq!(&back[..4], b"he\0\0");
    assert_eq!(shell.call(calls::vector::lseek, &[fd, 0, 2]), Ok(14));
    assert_eq!(shell.call(calls::vector::read, &[fd, to, 32]), Ok(0));
    assert_eq!(shell.call(calls::vector::pread64, &[fd, to, 32, u64::MAX]), Err(Errno::EINVAL));
}

#[test]
fn exchange_swaps_two_names() {
    let shell = Shell::new();
    shell.touch("a");
    shell.path(calls::name::mkdir, "d", &[0o755]).unwrap();
    shell.touch("d/in");
    let (a, d) = (shell.stat("a").unwrap().0, shell.stat("d").unwrap().0);
    let (old, new) = (CString::new("a").unwrap(), CString::new("d").unwrap());
    let swap = |flags| {
        let (old, new) = (old.as_ptr().addr() as u64, new.as_ptr().addr() as u64);
        shell.call(calls::name::renameat2, &[AT_FDCWD, old, AT_FDCWD, new, flags])
    };
    assert_eq!(swap(1), Err(Errno::EEXIST));
    swap(2).unwrap();
    assert_eq!((shell.stat("a").unwrap().0, shell.stat("d").unwrap().0), (d, a));
    assert!(shell.stat("a/in").is_ok());
}

#[test]
fn descriptors_are_the_lowest_free_and_can_be_moved() {
    let shell = Shell::new();
    shell.touch("f");
    let first = shell.open("f", 0).unwrap();
    let second = shell.open("f", 0).unwrap();
    assert_eq!(second, first + 1);
    shell.call(calls::descriptor::close, &[first]).unwrap();
    assert_eq!(shell.call(calls::descriptor::dup, &[second]), Ok(first));
    assert_eq!(shell.call(calls::descriptor::dup2, &[second, 100]), Ok(100));
    assert_eq!(shell.call(calls::descriptor::dup3, &[second, second, 0]), Err(Errno::EINVAL));
    assert_eq!(shell.call(calls::fcntl::fcntl, &[100, 0, 5000]), Err(Errno::EINVAL));
    shell.call(calls::descriptor::close_range, &[second, u64::from(u32::MAX), 0]).unwrap();
    assert_eq!(shell.call(calls::descriptor::close, &[100]), Err(Errno::EBADF));
    assert_eq!(shell.call(calls::descriptor::close, &[first]), Ok(0));
}

#[test]
fn inotify_tells_of_a_rename_with_one_cookie() {
    let shell = Shell::new();
    shell.touch("a");
    let fd = shell.call(inotify::inotify_init1, &[0o4000]).unwrap();
    let dot = CString::new(".").unwrap();
    let dot = dot.as_ptr().addr() as u64;
    let moves = u64::from(inotify::event::MOVED_FROM | inotify::event::MOVED_TO);
    let wd = shell.call(inotify::inotify_add_watch, &[fd, dot, moves]).unwrap();
    shell.touch("unwatched");
    shell.paths(calls::name::rename, "a", "b").unwrap();
    let mut words = [0u32; 32];
    let got = shell.call(calls::vector::read, &[fd, words.as_mut_ptr().addr() as u64, 128]);
    assert_eq!(got, Ok(64));
    assert_eq!(u64::from(words[0]), wd);
    assert_eq!((words[1], words[9]), (inotify::event::MOVED_FROM, inotify::event::MOVED_TO));
    assert_eq!(words[2], words[10]);
    assert_ne!(words[2], 0);
    assert_eq!((words[4].to_le_bytes()[0], words[12].to_le_bytes()[0]), (b'a', b'b'));
}

#[test]
fn hostile_arguments_are_errors() {
    let shell = Shell::new();
    random::init(&[7; 8]);
    // No address of an app, and 0 as an int.
    let bad = u64::from(u32::MAX) << 32;
    let fd = shell.open(".", 0).unwrap();
    let by_path: [Handler; 4] = [open::open, calls::stat::stat, calls::attribute::chmod, calls::name::rename];
    let by_descriptor: [Handler; 17] = [
        open::openat,
        open::openat2,
        calls::stat::statx,
        calls::stat::newfstatat,
        calls::stat::readlinkat,
        calls::name::renameat2,
        calls::name::linkat,
        calls::attribute::utimensat,
        calls::directory::getdents64,
        calls::vector::preadv2,
        calls::vector::pwritev,
        calls::vector::lseek,
        calls::transfer::sendfile,
        calls::transfer::copy_file_range,
        calls::transfer::splice,
        calls::space::fallocate,
        inotify::inotify_add_watch,
    ];
    for handler in by_path.iter().chain(&by_descriptor) {
        assert!(shell.call(*handler, &[bad; 6]).is_err());
        assert!(shell.call(*handler, &[u64::MAX; 6]).is_err());
    }
    for handler in by_descriptor {
        assert!(shell.call(handler, &[fd, bad, bad, bad, bad, bad]).is_err());
    }
}

#[test]
fn root_directory_of_a_test_is_a_tmpfs() {
    let (_, node) = tmpfs::new("tmpfs", 4096, 0o755, [0, 0]);
    node.make(b"x", New::Directory, 0o755, [0, 0]).unwrap();
    assert_eq!(node.make(b"x", New::Regular, 0o644, [0, 0]).err(), Some(Errno::EEXIST));
    assert!(node.child(b"x").is_some());
}
