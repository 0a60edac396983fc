//! The namespace of a family: which file system is where. Built once, from the start-up block.

use super::dentry::Dentry;
use super::device;
use super::file::mode;
use super::inode::{Inode, New};
use super::mount::{Cache, Mount};
use super::synthetic::{Body, Names, Node};
use super::{host, path, proc, random, sysfs, tmpfs};
use crate::ipc::tty;
use crate::task::Process;
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_abi::boot::{self, Boot};

use super::inode::Listed;

const ROOT: [u32; 2] = [0, 0];
const TTY_GROUP: u32 = 5;

/// Mounts everything.
///
/// # Errors
/// The monitor's, if a mount cannot be asked for.
pub fn init(boot: &Boot, block: &'static [u8]) -> Result<()> {
    random::init(&boot.seed);
    let user = [boot.uid, boot.gid];
    let (mount, node) = tmpfs::new("tmpfs", boot.memory / 2, 0o755, ROOT);
    let root = Dentry::namespace_root(mount, node.clone());
    super::mount::register(&root);
    path::set_root(root.clone());

    let scratch = [
        ("home", 0o755, ROOT),
        ("mnt", 0o755, ROOT),
        ("opt", 0o755, ROOT),
        ("root", 0o700, ROOT),
        ("srv", 0o755, ROOT),
        ("var", 0o755, ROOT),
    ];
    for (name, bits, owner) in scratch {
        node.make(name.as_bytes(), New::Directory, bits, owner)?;
    }
    // Mounts of their own: what happens there leaves the remembered paths of the rest alone.
    let (mount, tmp) = tmpfs::new("tmpfs", boot.memory / 2, 0o1777, ROOT);
    mount_at(&root, b"/tmp", mount, tmp)?;
    let (mount, run) = tmpfs::new("tmpfs", boot.memory / 5, 0o755, ROOT);
    mount_at(&root, b"/run", mount, run.clone())?;
    run.make(b"lock", New::Directory, 0o1777, ROOT)?;
    let users = run.make(b"user", New::Directory, 0o755, ROOT)?;
    users.make(format!("{}", boot.uid).as_bytes(), New::Directory, 0o700, user)?;
    let var = directory(&node, b"var")?;
    for (name, bits) in [("cache", 0o755), ("lib", 0o755), ("log", 0o755), ("spool", 0o755), ("tmp", 0o1777)]
    {
        var.make(name.as_bytes(), New::Directory, bits, ROOT)?;
    }
    var.make(b"run", New::Symlink(b"/run"), 0o777, ROOT)?;
    var.make(b"lock", New::Symlink(b"/run/lock"), 0o777, ROOT)?;

    mount_devices(&root, &node, boot)?;
    let (mount, inode) = proc::new(boot, block);
    mount_at(&root, b"/proc", mount, inode)?;
    let (mount, inode) = sysfs::new(boot.cpus.max(1));
    mount_at(&root, b"/sys", mount, inode)?;
    mount_host(&root, boot.mounts.of(block))?;
    serve_texts(&root, boot.texts.of(block))
}

fn directory(parent: &Arc<tmpfs::Node>, name: &[u8]) -> Result<Arc<tmpfs::Node>> {
    parent.child(name).ok_or(Errno::ENOENT)
}

fn mount_devices(root: &Arc<Dentry>, node: &Arc<tmpfs::Node>, boot: &Boot) -> Result<()> {
    node.make(b"dev", New::Directory, 0o755, ROOT)?;
    let (mount, dev) = tmpfs::new("devtmpfs", boot.memory / 2, 0o755, ROOT);
    let nodes = [
        ("null", device::NULL),
        ("zero", device::ZERO),
        ("full", device::FULL),
        ("random", device::RANDOM),
        ("urandom", device::URANDOM),
        ("tty", device::TTY),
        ("ptmx", device::PTMX),
    ];
    for (name, number) in nodes {
        dev.make(name.as_bytes(), New::Node(mode::S_IFCHR, number), 0o666, ROOT)?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, target) in links {
        dev.make(name.as_bytes(), New::Symlink(target.as_bytes()), 0o777, ROOT)?;
    }
    dev.make(b"pts", New::Directory, 0o755, ROOT)?;
    dev.make(b"shm", New::Directory, 0o1777, ROOT)?;
    let dev_dentry = mount_at(root, b"/dev", mount, dev)?;
    let pts = Mount::new("devpts", false, Cache::Never);
    let terminals = Terminals { dev: pts.dev, owner: [boot.uid, TTY_GROUP] };
    let inode = Node::new(pts.dev, 0o755, ROOT, Body::Names(Box::new(terminals)));
    dev_dentry.mount(b"pts", pts, inode);
    let (mount, shm) = tmpfs::new("tmpfs", boot.memory / 2, 0o1777, ROOT);
    dev_dentry.mount(b"shm", mount, shm);
    Ok(())
}

/// The names of /dev/pts.
struct Terminals {
    dev: u64,
    owner: [u32; 2],
}

impl Terminals {
    fn node(&self, number: u32) -> Arc<Node> {
        let device = device::number(device::PTS_MAJOR, u64::from(number));
        Node::numbered(self.dev, u64::from(number) + 3, 0o620, self.owner, Body::Device(device))
    }
}

impl Names for Terminals {
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        if name == b"ptmx" {
            return Ok(Some(Node::numbered(self.dev, 2, 0o666, ROOT, Body::Device(device::PTMX))));
        }
        let number = core::str::from_utf8(name).ok().and_then(|text| text.parse().ok());
        let exists =
            |number: &u32| format!("{number}").as_bytes() == name && tty::list_pts().contains(number);
        Ok(number.filter(exists).map(|number| self.node(number)))
    }

    fn list(&self) -> Vec<Listed> {
        let entry = |number: u32| Listed {
            name: format!("{number}").into_bytes().into(),
            ino: u64::from(number) + 3,
            mode: mode::S_IFCHR,
        };
        let ptmx = Listed { name: (*b"ptmx").into(), ino: 2, mode: mode::S_IFCHR };
        core::iter::once(ptmx).chain(tty::list_pts().into_iter().map(entry)).collect()
    }
}

/// Finds the directory at `path`, making what is missing in file systems of our own. Returns it with the last name.
fn parent_of<'a>(root: &Arc<Dentry>, path: &'a [u8]) -> Result<(Arc<Dentry>, &'a [u8])> {
    let mut parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
    let last = parts.next_back().ok_or(Errno::EINVAL)?;
    let mut at = root.clone();
    for part in parts {
        let next = at.lookup(part, super::inode::Hint::default())?;
        at = match next {
            Some(next) if next.is_directory() => next,
            Some(_) => return Err(Errno::ENOTDIR),
            None => {
                if let Some(node) = at.inode.downcast::<tmpfs::Node>() {
                    let made = node.make(part, New::Directory, 0o755, ROOT)?;
                    at.created(part, made)
                } else {
                    // A place that the host does not have, above a mount that is there: a directory of ours.
                    let (mount, cover) = tmpfs::new("tmpfs", 1 << 20, 0o755, ROOT);
                    at.mount(part, mount, cover)
                }
            }
        };
    }
    Ok((at, last))
}

fn mount_at(
    root: &Arc<Dentry>,
    path: &[u8],
    mount: Arc<Mount>,
    inode: Arc<dyn Inode>,
) -> Result<Arc<Dentry>> {
    let (parent, name) = parent_of(root, path)?;
    if let Some(node) = parent.inode.downcast::<tmpfs::Node>()
        && node.child(name).is_none()
    {
        let what = if inode.is_directory() { New::Directory } else { New::Regular };
        node.make(name, what, 0o755, ROOT)?;
    }
    Ok(parent.mount(name, mount, inode))
}

/// Mounts what the monitor offers, in its order, and makes its links.
fn mount_host(root: &Arc<Dentry>, mut records: &[u8]) -> Result<()> {
    while let Some((record, place, target, rest)) = boot::split_mount(records) {
        records = rest;
        if record.flags & boot::mount::LINK != 0 {
            let (parent, name) = parent_of(root, place)?;
            if let Some(node) = parent.inode.downcast::<tmpfs::Node>() {
                node.make(name, New::Symlink(target), 0o777, ROOT)?;
                parent.forget(name);
            }
            continue;
        }
        let (mount, inode) = host::mount(&record)?;
        mount_at(root, place, mount, inode)?;
    }
    Ok(())
}

/// Mounts what the user gave to the app while it runs.
///
/// # Errors
/// The monitor's, and `ENOTDIR` where the app has something else in the way.
pub fn mount_late(record: &boot::Mount, place: &[u8]) -> Result<()> {
    let root = path::root()?;
    let (mount, inode) = host::mount(record)?;
    let mounted = mount_at(root, place, mount, inode)?;
    // Remembered paths that led elsewhere, or nowhere, are looked up anew.
    if let Some(parent) = mounted.parent() {
        parent.mount.changed();
        parent.mount.added();
    }
    Ok(())
}

/// Makes the files whose text the monitor gives; those of /proc are served there.
fn serve_texts(root: &Arc<Dentry>, texts: &'static [u8]) -> Result<()> {
    for (place, text) in proc::texts(texts) {
        if place.starts_with(b"/proc/") || place.starts_with(b"/sys/") {
            continue;
        }
        let (parent, name) = parent_of(root, place)?;
        let mount = Mount::new("tmpfs", true, Cache::Forever);
        let inode = Node::new(mount.dev, 0o644, ROOT, Body::Fixed(text.into()));
        if let Some(node) = parent.inode.downcast::<tmpfs::Node>()
            && node.child(name).is_none()
        {
            node.make(name, New::Regular, 0o644, ROOT)?;
        }
        parent.mount(name, mount, inode);
    }
    Ok(())
}

/// Gives the first process its root and working directory.
///
/// # Errors
/// `ENOENT` before [`init`].
pub fn init_process(process: &Arc<Process>, boot: &Boot, block: &'static [u8]) -> Result<()> {
    let root = path::root()?;
    let mut cwd = root.clone();
    for part in boot.cwd.of(block).split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        match cwd.lookup(part, super::inode::Hint::default()) {
            Ok(Some(next)) if next.is_directory() => cwd = next,
            // A directory that the family does not see: start as near to it as there is nothing, at the root.
            _ => {
                cwd = root.clone();
                break;
            }
        }
    }
    *process.fs.root.lock() = Some(root.clone());
    *process.fs.cwd.lock() = Some(cwd);
    Ok(())
}
