//! /proc: processes of the family ([`process`], [`maps`], [`descriptors`]) and facts about the machine as the family
//! sees it ([`system`]).

mod descriptors;
pub(crate) mod maps;
mod process;
mod status;
mod system;

pub(crate) use system::memory;
pub(super) use system::node_memory;

use super::file::mode;
use super::inode::{Inode, Listed};
use super::mount::{Cache, Mount};
use super::synthetic::{Body, Names, Node, Tree};
use crate::Result;
use crate::task::{Thread, process as tasks};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_abi::boot::Boot;

const ROOT: [u32; 2] = [0, 0];

/// The root of /proc.
struct Root {
    dev: u64,
    tree: Tree,
}

/// Inode number of entry `index` in the directory of thread or process `id`.
fn number(id: u32, index: u64) -> u64 {
    (1 << 32) | (u64::from(id) << 8) | index
}

/// A process or thread id in decimal, without leading zeroes.
fn parse_id(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let id = text.parse().ok()?;
    (format!("{id}") == text).then_some(id)
}

impl Names for Root {
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        if let Some(node) = core::str::from_utf8(name).ok().and_then(|name| self.tree.get(name)) {
            return Ok(Some(node.clone()));
        }
        let Some(id) = parse_id(name) else { return Ok(None) };
        if let Some(process) = tasks::find(id) {
            return Ok(Some(process::directory(self.dev, &process)));
        }
        // As on Linux, a thread has a directory here that is not listed.
        Ok(tasks::find_thread(id).map(|thread| process::directory(self.dev, &thread.process)))
    }

    fn list(&self) -> Vec<Listed> {
        let mut all = Node::listing(&self.tree);
        for process in tasks::all() {
            let name = format!("{}", process.pid).into_bytes().into();
            all.push(Listed { name, ino: number(process.pid, 0), mode: mode::S_IFDIR });
        }
        all
    }
}

/// The mount of /proc.
#[must_use]
pub fn new(boot: &Boot, block: &'static [u8]) -> (Arc<Mount>, Arc<dyn Inode>) {
    let mount = Mount::new("proc", false, Cache::Never);
    let dev = mount.dev;
    let mut tree = system::tree(dev, boot, block);
    let own = |thread: Arc<Thread>| format!("{}", thread.process.pid).into_bytes();
    let own_thread = |thread: Arc<Thread>| format!("{}/task/{}", thread.process.pid, thread.tid).into_bytes();
    let link = Body::Link(Box::new(move || Thread::current().map(own)));
    tree.insert("self", Node::new(dev, 0o777, ROOT, link));
    let link = Body::Link(Box::new(move || Thread::current().map(own_thread)));
    tree.insert("thread-self", Node::new(dev, 0o777, ROOT, link));
    let root = Node::numbered(dev, 1, 0o555, ROOT, Body::Names(Box::new(Root { dev, tree })));
    (mount, root)
}

/// The texts of the start-up block: path and content.
pub fn texts(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    core::iter::from_fn(move || {
        let end = bytes.iter().position(|b| *b == 0)?;
        let path = bytes.get(..end)?;
        let len = bytes.get(end + 1..end + 5)?.try_into().map(u32::from_le_bytes).ok()?;
        let start = end + 5;
        let text = bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)?;
        bytes = bytes.get(start + text.len()..)?;
        Some((path, text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_the_section_does() {
        let section = b"/proc/version\0\x03\0\0\0abc/x\0\0\0\0\0/cut\0\x09\0\0\0abc";
        let all: Vec<_> = texts(section).collect();
        assert_eq!(all, [(&b"/proc/version"[..], &b"abc"[..]), (b"/x", b"")]);
    }

    #[test]
    fn ids_are_plain_decimal() {
        assert_eq!(parse_id(b"12"), Some(12));
        assert_eq!(parse_id(b"012"), None);
        assert_eq!(parse_id(b"+1"), None);
        assert_eq!(parse_id(b"x"), None);
    }
}
