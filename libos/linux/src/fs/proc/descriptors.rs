//! /proc/PID/fd and /proc/PID/fdinfo.

use super::number;
use super::process::Subject;
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::inode::Listed;
use crate::fs::mount::{Cache, Mount};
use crate::fs::synthetic::{Body, Names, Node};
use crate::fs::{OpenFile, dentry_of, inotify};
use crate::{Errno, Once, Result, ipc};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) struct Descriptors {
    pub dev: u64,
    pub subject: Subject,
    /// fdinfo, not fd.
    pub info: bool,
}

fn parse(name: &[u8]) -> Option<i32> {
    super::parse_id(name).and_then(|id| i32::try_from(id).ok())
}

/// A path as /proc shows it.
pub(super) fn shown(dentry: &Arc<Dentry>) -> Vec<u8> {
    let mut path = dentry.absolute_path();
    if dentry.is_deleted() {
        path.extend_from_slice(b" (deleted)");
    }
    path
}

/// What readlink of /proc/PID/fd/N tells.
fn link_text(file: &OpenFile) -> Vec<u8> {
    if let Some(dentry) = dentry_of(file) {
        return shown(&dentry);
    }
    if inotify::is_instance(&*file.ops) {
        return b"anon_inode:inotify".to_vec();
    }
    if let Some(name) = ipc::link_name(&*file.ops) {
        return name.into_bytes();
    }
    b"anon_inode:[unknown]".to_vec()
}

/// The mount of files that have no place: what following their links leads to.
fn nowhere() -> Arc<Mount> {
    static NOWHERE: Once<Arc<Mount>> = Once::new();
    if NOWHERE.get().is_none() {
        let _ = NOWHERE.set(Mount::new("proc", false, Cache::Never));
    }
    NOWHERE.get().cloned().unwrap_or_else(|| Mount::new("proc", false, Cache::Never))
}

/// Where a descriptor's link leads.
fn target(subject: &Subject, fd: i32) -> Result<Arc<Dentry>> {
    let file = subject.process()?.files.get(fd)?;
    if let Some(dentry) = dentry_of(&file) {
        return Ok(dentry);
    }
    // A pipe, socket or the like.
    let meta = file.ops.metadata()?;
    let text = link_text(&file);
    let mount = nowhere();
    let open = move |status| ipc::reopen(&file, status);
    let owner = [meta.uid, meta.gid];
    let node = Node::numbered(mount.dev, meta.ino, meta.mode, owner, Body::Opens(Box::new(open)));
    Ok(Dentry::unattached(mount, node, &text))
}

impl Descriptors {
    fn link_node(&self, fd: i32, file: &OpenFile) -> Arc<Node> {
        let (for_text, for_jump) = (self.subject.clone(), self.subject.clone());
        let text = move || Ok(link_text(&*for_text.process()?.files.get(fd)?));
        let jump = move || target(&for_jump, fd);
        let bits = (u32::from(file.is_readable()) * 0o500) | (u32::from(file.is_writable()) * 0o300);
        let ino = number(self.subject.tid, 0xff) | (u64::from(fd.unsigned_abs()) << 40);
        Node::numbered(
            self.dev,
            ino,
            bits,
            super::process::owner(&self.subject),
            Body::Jump(Box::new(text), Box::new(jump)),
        )
    }

    fn info_node(&self, fd: i32) -> Arc<Node> {
        let subject = self.subject.clone();
        let text = move || {
            let process = subject.process()?;
            let file = process.files.get(fd)?;
            let close_on_exec = process.files.close_on_exec(fd)?;
            let flags = file.status() | if close_on_exec { 0o2000000 } else { 0 };
            let position = *file.position.lock();
            let ino = file.ops.metadata().map_or(0, |m| m.ino);
            Ok(format!("pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t20\nino:\t{ino}\n").into_bytes())
        };
        let ino = number(self.subject.tid, 0xfd) | (u64::from(fd.unsigned_abs()) << 40);
        Node::numbered(self.dev, ino, 0o444, [0, 0], Body::Text(Box::new(text)))
    }
}

impl Names for Descriptors {
    fn directories(&self) -> usize {
        0
    }

    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        let Some(fd) = parse(name) else { return Ok(None) };
        match self.subject.process()?.files.get(fd) {
            Ok(file) if !self.info => Ok(Some(self.link_node(fd, &file))),
            Ok(_) => Ok(Some(self.info_node(fd))),
            Err(Errno::EBADF) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self) -> Vec<Listed> {
        let Ok(process) = self.subject.process() else { return Vec::new() };
        let kind = if self.info { mode::S_IFREG } else { mode::S_IFLNK };
        let index = if self.info { 0xfd } else { 0xff };
        let entry = |(fd, _): (i32, bool)| Listed {
            name: format!("{fd}").into_bytes().into(),
            ino: number(self.subject.tid, index) | (u64::from(fd.unsigned_abs()) << 40),
            mode: kind,
        };
        process.files.list().into_iter().map(entry).collect()
    }
}
