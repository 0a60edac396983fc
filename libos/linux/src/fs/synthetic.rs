//! File systems whose files are made up when they are read: what /proc, /sys and /dev/pts are built from.

use super::dentry::Dentry;
use super::directory::DirectoryFile;
use super::file::{FileOps, OpenFile, Whence, mode};
use super::inode::{Change, Found, Hint, Inode, Link, Listed, Statistics};
use super::{Metadata, device, seek_by_size, time_of_day};
use crate::io::{Sink, Source};
use crate::ipc::tty;
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

/// A directory whose names are computed.
pub trait Names: Send + Sync {
    /// The file called `name`.
    ///
    /// # Errors
    /// Anything but `ENOENT`; a missing name is `None`.
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>>;

    /// All names with their inode numbers and type bits.
    fn list(&self) -> Vec<Listed>;

    /// How many of them are directories.
    fn directories(&self) -> usize {
        self.list().iter().filter(|listed| is_directory(listed.mode)).count()
    }
}

fn is_directory(bits: u32) -> bool {
    bits & mode::S_IFMT == mode::S_IFDIR
}

/// Names that never change.
pub type Tree = BTreeMap<&'static str, Arc<Node>>;

type Maker<T> = Box<dyn Fn() -> Result<T> + Send + Sync>;
/// Opens with open(2) flags.
type Opener = Box<dyn Fn(u32) -> Result<Arc<OpenFile>> + Send + Sync>;
type Writer = Box<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;

/// What a made-up file is.
pub enum Body {
    /// A directory with fixed names.
    Tree(Tree),
    /// A directory with computed names.
    Names(Box<dyn Names>),
    /// Text that is made whenever it is read from the start.
    Text(Maker<Vec<u8>>),
    /// Text that can also be written, at once.
    Control(Maker<Vec<u8>>, Writer),
    /// Text that never changes.
    Fixed(Cow<'static, [u8]>),
    /// A symbolic link: what readlink shows.
    Link(Maker<Vec<u8>>),
    /// A symbolic link that leads to a file itself: what readlink shows, and the file.
    Jump(Maker<Vec<u8>>, Maker<Arc<Dentry>>),
    /// A character device.
    Device(u64),
    /// A file that opens as what is open elsewhere (/proc/PID/fd/N of a pipe); its type comes with the permission bits.
    Opens(Opener),
}

/// A made-up file.
pub struct Node {
    dev: u64,
    ino: u64,
    bits: u32,
    owner: [u32; 2],
    body: Body,
}

static NEXT: AtomicU64 = AtomicU64::new(0x1000);
static STARTED: Mutex<Option<[i64; 2]>> = Mutex::new(None);

impl Node {
    /// A file of the file system with device number `dev`; `bits` are permission bits.
    #[must_use]
    pub fn new(dev: u64, bits: u32, owner: [u32; 2], body: Body) -> Arc<Self> {
        Self::numbered(dev, NEXT.fetch_add(1, Ordering::Relaxed), bits, owner, body)
    }

    /// As [`Node::new`], with a given inode number.
    #[must_use]
    pub fn numbered(dev: u64, ino: u64, bits: u32, owner: [u32; 2], body: Body) -> Arc<Self> {
        let kind = match &body {
            Body::Tree(_) | Body::Names(_) => mode::S_IFDIR,
            Body::Text(_) | Body::Control(..) | Body::Fixed(_) => mode::S_IFREG,
            Body::Opens(_) => 0,
            Body::Link(_) | Body::Jump(..) => mode::S_IFLNK,
            Body::Device(_) => mode::S_IFCHR,
        };
        Arc::new(Self { dev, ino, bits: kind | bits, owner, body })
    }

    fn listed(&self, name: &str) -> Listed {
        Listed { name: name.as_bytes().into(), ino: self.ino, mode: self.bits }
    }

    /// What the terminal behind a node of /dev/pts tells of itself.
    fn terminal(&self) -> Option<Metadata> {
        let Body::Device(number) = self.body else { return None };
        let (device::PTS_MAJOR, minor) = device::parts(number) else { return None };
        tty::metadata_of(u32::try_from(minor).ok()?).ok()
    }

    /// As everywhere, a directory has a link in each directory in it: programs count their threads by that.
    fn links(&self) -> u32 {
        let directories = match &self.body {
            Body::Tree(tree) => tree.values().filter(|node| is_directory(node.bits)).count(),
            Body::Names(names) => names.directories(),
            _ => return 1,
        };
        u32::try_from(directories).unwrap_or(u32::MAX).saturating_add(2)
    }

    fn text(&self) -> Result<Cow<'_, [u8]>> {
        match &self.body {
            Body::Text(make) | Body::Control(make, _) => make().map(Cow::Owned),
            Body::Fixed(text) => Ok(Cow::Borrowed(text)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// For `list` of [`Names`].
    #[must_use]
    pub fn listing(tree: &Tree) -> Vec<Listed> {
        tree.iter().map(|(name, node)| node.listed(name)).collect()
    }
}

impl Inode for Node {
    fn mode(&self) -> u32 {
        self.terminal().map_or(self.bits, |m| m.mode)
    }

    fn owner(&self) -> [u32; 2] {
        self.terminal().map_or(self.owner, |m| [m.uid, m.gid])
    }

    fn metadata(&self) -> Result<Metadata> {
        if let Some(meta) = self.terminal() {
            return Ok(meta);
        }
        let started = *STARTED.lock().get_or_insert_with(time_of_day);
        let [uid, gid] = self.owner;
        Ok(Metadata {
            dev: self.dev,
            ino: self.ino,
            mode: self.bits,
            nlink: self.links(),
            uid,
            gid,
            rdev: if let Body::Device(number) = self.body { number } else { 0 },
            size: if self.bits == self.bits & !0o77 && matches!(self.body, Body::Jump(..)) { 64 } else { 0 },
            blksize: 1024,
            blocks: 0,
            atime: started,
            mtime: started,
            ctime: started,
            btime: started,
        })
    }

    fn lookup(&self, _: &Arc<Dentry>, name: &[u8], _: Hint<'_>) -> Result<Option<Found>> {
        let found = match &self.body {
            Body::Tree(tree) => core::str::from_utf8(name).ok().and_then(|name| tree.get(name)).cloned(),
            Body::Names(names) => names.lookup(name)?,
            _ => return Err(Errno::ENOTDIR),
        };
        Ok(found.map(|node| Found::one(node)))
    }

    fn list(&self, _: &Arc<Dentry>) -> Result<Vec<Listed>> {
        match &self.body {
            Body::Tree(tree) => Ok(Self::listing(tree)),
            Body::Names(names) => Ok(names.list()),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn read_link(&self, _: &Arc<Dentry>) -> Result<Vec<u8>> {
        match &self.body {
            Body::Link(text) | Body::Jump(text, _) => text(),
            _ => Err(Errno::EINVAL),
        }
    }

    fn follow(&self, dentry: &Arc<Dentry>) -> Result<Link> {
        match &self.body {
            Body::Jump(_, target) => target().map(Link::Jump),
            _ => self.read_link(dentry).map(Link::Text),
        }
    }

    fn set_attributes(&self, _: &Arc<Dentry>, change: &Change) -> Result<()> {
        // grantpt(3) of old C libraries: the owner is right already.
        if self.terminal().is_some() {
            return Ok(());
        }
        // Opening a control file with O_TRUNC is how shells write to it.
        if change.size.is_some() { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn open(self: Arc<Self>, thread: &Thread, dentry: &Arc<Dentry>, status: u32) -> Result<Arc<OpenFile>> {
        match &self.body {
            Body::Tree(_) | Body::Names(_) => Ok(DirectoryFile::open(dentry, status)),
            Body::Text(_) | Body::Control(..) | Body::Fixed(_) => {
                let file = TextFile { node: self, content: Mutex::new(None) };
                Ok(OpenFile::at(Arc::new(file), status, dentry.clone()))
            }
            Body::Device(number) => device::open(*number, self.bits, thread, dentry, status),
            Body::Opens(open) => open(status),
            Body::Link(_) | Body::Jump(..) => Err(Errno::ELOOP),
        }
    }

    fn statistics(&self) -> Result<Statistics> {
        const PROC: i64 = 0x9fa0;
        Ok(Statistics { magic: PROC, block_size: 4096, blocks: 0, blocks_free: 0, files: 0, files_free: 0 })
    }
}

/// An open text file: reads see one consistent text, made when the reading began.
struct TextFile {
    node: Arc<Node>,
    content: Mutex<Option<Vec<u8>>>,
}

impl FileOps for TextFile {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX);
        if let Body::Fixed(text) = &self.node.body {
            return sink.put(text.get(at..).unwrap_or(&[]));
        }
        if at == 0 || self.content.lock().is_none() {
            let text = self.node.text()?.into_owned();
            *self.content.lock() = Some(text);
        }
        let content = self.content.lock();
        sink.put(content.as_ref().and_then(|text| text.get(at..)).unwrap_or(&[]))
    }

    fn write(&self, _: &Thread, _: &OpenFile, source: &mut Source<'_>, _: Option<u64>) -> Result<usize> {
        let Body::Control(_, write) = &self.node.body else { return Err(Errno::EACCES) };
        let text = source.take_vec(4096)?;
        write(&text)?;
        Ok(text.len())
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        match whence {
            Whence::End => Err(Errno::EINVAL),
            whence => seek_by_size(0, position, whence),
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        self.node.metadata()
    }

    fn truncate(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
