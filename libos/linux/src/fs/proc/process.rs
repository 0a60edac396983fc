//! /proc/PID and /proc/PID/task/TID.

use super::{ROOT, descriptors, maps, number, parse_id, status};
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::inode::{Hint, Listed};
use crate::fs::synthetic::{Body, Names, Node};
use crate::fs::{mount, path};
use crate::sys::usage;
use crate::task::process::Usage;
use crate::task::{Process, Thread, process as tasks};
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicI32, Ordering};

/// Whom a directory of /proc is about.
#[derive(Clone)]
pub(super) struct Subject {
    pub pid: u32,
    pub tid: u32,
    /// The process as a whole, not its thread of the same id.
    pub is_whole: bool,
}

impl Subject {
    /// The process, zombies included.
    pub fn process(&self) -> Result<Arc<Process>> {
        tasks::find(self.pid).ok_or(Errno::ESRCH)
    }

    /// CPU time.
    pub fn used(&self) -> Result<Usage> {
        if self.is_whole {
            return Ok(usage::of_process(&*self.process()?));
        }
        Ok(usage::of_thread(&*self.thread()?))
    }

    /// The thread; for a process, its first one that lives.
    pub fn thread(&self) -> Result<Arc<Thread>> {
        if let Some(thread) = tasks::find_thread(self.tid) {
            return Ok(thread);
        }
        self.process()?.state.lock().threads.first().cloned().ok_or(Errno::ESRCH)
    }
}

type Text = fn(&Subject) -> Result<Vec<u8>>;

/// Files that are in the directories of both processes and threads: name, permission bits, content.
const TEXTS: &[(&str, u32, Text)] = &[
    ("auxv", 0o400, |s| Ok(s.process()?.program.lock().auxiliary.clone())),
    ("cgroup", 0o444, |_| Ok(b"0::/\n".to_vec())),
    ("cmdline", 0o444, cmdline),
    ("environ", 0o400, |s| Ok(s.process()?.program.lock().environment.clone())),
    ("gid_map", 0o644, |_| Ok(b"         0          0 4294967295\n".to_vec())),
    ("io", 0o400, io),
    ("limits", 0o444, status::limits),
    ("loginuid", 0o644, |_| Ok(b"4294967295".to_vec())),
    ("maps", 0o444, maps::maps),
    ("mountinfo", 0o444, |_| Ok(mount_info())),
    ("mounts", 0o444, |_| Ok(mounts())),
    ("oom_score", 0o444, |_| Ok(b"666\n".to_vec())),
    ("personality", 0o400, |s| {
        Ok(format!("{:08x}\n", s.process()?.settings.personality.load(Ordering::Relaxed)).into_bytes())
    }),
    ("schedstat", 0o444, |s| Ok(format!("{} 0 0\n", s.used()?.total_ns()).into_bytes())),
    ("sessionid", 0o444, |_| Ok(b"4294967295".to_vec())),
    ("setgroups", 0o644, |_| Ok(b"allow\n".to_vec())),
    ("smaps", 0o444, maps::smaps),
    ("smaps_rollup", 0o444, maps::rollup),
    ("stat", 0o444, status::stat),
    ("statm", 0o444, status::statm),
    ("status", 0o444, status::status),
    ("syscall", 0o400, |_| Ok(b"running\n".to_vec())),
    ("timerslack_ns", 0o666, |s| {
        Ok(format!("{}\n", s.thread()?.settings.timer_slack.load(Ordering::Relaxed)).into_bytes())
    }),
    ("uid_map", 0o644, |_| Ok(b"         0          0 4294967295\n".to_vec())),
    ("wchan", 0o444, |_| Ok(b"0".to_vec())),
];

/// The rest: directories, links and files that can be written.
const OTHERS: &[(&str, u32)] = &[
    ("attr", mode::S_IFDIR),
    ("comm", mode::S_IFREG),
    ("coredump_filter", mode::S_IFREG),
    ("cwd", mode::S_IFLNK),
    ("exe", mode::S_IFLNK),
    ("fd", mode::S_IFDIR),
    ("fdinfo", mode::S_IFDIR),
    ("net", mode::S_IFDIR),
    ("ns", mode::S_IFDIR),
    ("oom_score_adj", mode::S_IFREG),
    ("root", mode::S_IFLNK),
    ("task", mode::S_IFDIR),
];

/// Kept for those who set it and read it back; nothing here is killed by it.
static OOM_SCORE_ADJ: AtomicI32 = AtomicI32::new(0);

/// Whom the files of a process belong to.
pub(super) fn owner(subject: &Subject) -> [u32; 2] {
    subject.process().map_or(ROOT, |process| {
        let identity = process.identity.lock();
        [identity.euid, identity.egid]
    })
}

fn node(dev: u64, subject: &Subject, index: u64, bits: u32, body: Body) -> Arc<Node> {
    Node::numbered(dev, number(subject.tid, index), bits, owner(subject), body)
}

/// The directory of a process.
pub(super) fn directory(dev: u64, process: &Arc<Process>) -> Arc<Node> {
    let subject = Subject { pid: process.pid, tid: process.pid, is_whole: true };
    node(dev, &subject.clone(), 0, 0o555, Body::Names(Box::new(Entries { dev, subject, has_tasks: true })))
}

struct Entries {
    dev: u64,
    subject: Subject,
    has_tasks: bool,
}

impl Entries {
    fn other(&self, name: &str) -> Option<(u32, Body)> {
        let (dev, subject) = (self.dev, self.subject.clone());
        Some(match name {
            "comm" => {
                let writer = subject.clone();
                let read = move || {
                    comm(&subject).map(|mut name| {
                        name.push(b'\n');
                        name
                    })
                };
                (0o644, Body::Control(Box::new(read), Box::new(move |text| set_comm(&writer, text))))
            }
            "oom_score_adj" => {
                let read = || Ok(format!("{}\n", OOM_SCORE_ADJ.load(Ordering::Relaxed)).into_bytes());
                (0o644, Body::Control(Box::new(read), Box::new(set_oom_score)))
            }
            "coredump_filter" => {
                (0o644, Body::Control(Box::new(|| Ok(b"00000033\n".to_vec())), Box::new(|_| Ok(()))))
            }
            "exe" => {
                let target = subject.clone();
                let text = move || executable(&subject).map(|(text, _)| text);
                let jump = move || executable(&target).and_then(|(_, dentry)| dentry.ok_or(Errno::ENOENT));
                (0o777, Body::Jump(Box::new(text), Box::new(jump)))
            }
            "cwd" => {
                let target = subject.clone();
                let text = move || Ok(descriptors::shown(&path::working_directory(&*subject.process()?)?));
                let jump = move || path::working_directory(&*target.process()?);
                (0o777, Body::Jump(Box::new(text), Box::new(jump)))
            }
            "root" => (0o777, Body::Jump(Box::new(|| Ok(b"/".to_vec())), Box::new(|| path::root().cloned()))),
            "fd" => (0o500, Body::Names(Box::new(descriptors::Descriptors { dev, subject, info: false }))),
            "fdinfo" => (0o555, Body::Names(Box::new(descriptors::Descriptors { dev, subject, info: true }))),
            "ns" => (0o511, super::system::namespaces(dev)),
            "net" => (0o555, super::system::network(dev)),
            "attr" => (0o555, Body::Tree(super::Tree::new())),
            "task" if self.has_tasks => (0o555, Body::Names(Box::new(Tasks { dev, subject }))),
            _ => return None,
        })
    }
}

impl Names for Entries {
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        let Ok(name) = core::str::from_utf8(name) else { return Ok(None) };
        if let Some(index) = TEXTS.iter().position(|(n, ..)| *n == name)
            && let Some((_, bits, text)) = TEXTS.get(index)
        {
            let subject = self.subject.clone();
            let body = Body::Text(Box::new(move || text(&subject)));
            return Ok(Some(node(self.dev, &self.subject, 1 + index as u64, *bits, body)));
        }
        let index = OTHERS.iter().position(|(n, _)| *n == name).unwrap_or(0);
        let found = self.other(name);
        Ok(found.map(|(bits, body)| node(self.dev, &self.subject, 64 + index as u64, bits, body)))
    }

    fn list(&self) -> Vec<Listed> {
        let entry = |name: &str, index: usize, kind: u32| Listed {
            name: name.as_bytes().into(),
            ino: number(self.subject.tid, index as u64),
            mode: kind,
        };
        let texts = TEXTS.iter().enumerate().map(|(i, (name, ..))| entry(name, 1 + i, mode::S_IFREG));
        let others = OTHERS.iter().enumerate();
        let others = others.filter(|(_, (name, _))| self.has_tasks || *name != "task");
        texts.chain(others.map(|(i, (name, kind))| entry(name, 64 + i, *kind))).collect()
    }
}

/// /proc/PID/task.
struct Tasks {
    dev: u64,
    subject: Subject,
}

impl Names for Tasks {
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        let pid = self.subject.pid;
        let Some(tid) = parse_id(name) else { return Ok(None) };
        if tasks::find_thread(tid).is_none_or(|thread| thread.process.pid != pid) {
            return Ok(None);
        }
        let subject = Subject { pid, tid, is_whole: false };
        let entries = Entries { dev: self.dev, subject: subject.clone(), has_tasks: false };
        Ok(Some(node(self.dev, &subject, 0xfe, 0o555, Body::Names(Box::new(entries)))))
    }

    fn list(&self) -> Vec<Listed> {
        let Ok(process) = self.subject.process() else { return Vec::new() };
        let mut ids: Vec<u32> = process.state.lock().threads.iter().map(|t| t.tid).collect();
        ids.sort_unstable();
        let entry = |tid: u32| Listed {
            name: format!("{tid}").into_bytes().into(),
            ino: number(tid, 0xfe),
            mode: mode::S_IFDIR,
        };
        ids.into_iter().map(entry).collect()
    }
}

/// The name of the thread, without padding.
pub(super) fn comm(subject: &Subject) -> Result<Vec<u8>> {
    let Ok(thread) = subject.thread() else {
        // A zombie has no thread any more; its program is still known.
        let process = subject.process()?;
        let path = process.program.lock().path.clone();
        let base = path.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
        return Ok(base.get(..base.len().min(15)).unwrap_or(base).to_vec());
    };
    let name = *thread.name.lock();
    Ok(name.split(|b| *b == 0).next().unwrap_or(&[]).to_vec())
}

fn set_comm(subject: &Subject, text: &[u8]) -> Result<()> {
    let own = Thread::current()?.process.pid;
    if own != subject.pid {
        return Err(Errno::EINVAL);
    }
    let mut name = [0; 16];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    for (slot, byte) in name.iter_mut().take(15).zip(text) {
        *slot = *byte;
    }
    *subject.thread()?.name.lock() = name;
    Ok(())
}

fn set_oom_score(text: &[u8]) -> Result<()> {
    let value = core::str::from_utf8(text).ok().and_then(|t| t.trim().parse::<i32>().ok());
    let value = value.filter(|v| (-1000..=1000).contains(v)).ok_or(Errno::EINVAL)?;
    if value < OOM_SCORE_ADJ.load(Ordering::Relaxed) && value < 0 {
        return Err(Errno::EACCES);
    }
    OOM_SCORE_ADJ.store(value, Ordering::Relaxed);
    Ok(())
}

fn executable(subject: &Subject) -> Result<(Vec<u8>, Option<Arc<Dentry>>)> {
    let process = subject.process()?;
    if process.has_ended() {
        return Err(Errno::ENOENT);
    }
    let text = process.program.lock().path.clone();
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut at = path::root()?.clone();
    for part in text.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        match at.lookup(part, Hint::default()) {
            Ok(Some(next)) => at = next,
            _ => {
                let mut gone = text;
                gone.extend_from_slice(b" (deleted)");
                return Ok((gone, None));
            }
        }
    }
    Ok((text, Some(at)))
}

fn cmdline(subject: &Subject) -> Result<Vec<u8>> {
    let process = subject.process()?;
    if process.has_ended() {
        return Ok(Vec::new());
    }
    let text = process.program.lock().arguments.clone();
    Ok(text)
}

fn io(subject: &Subject) -> Result<Vec<u8>> {
    let process = subject.process()?;
    let (mut read, mut written) = process.moved.get();
    for thread in &process.state.lock().threads {
        let (more_read, more_written) = thread.moved.get();
        read += more_read;
        written += more_written;
    }
    let text = format!(
        "rchar: {read}\nwchar: {written}\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n\
         cancelled_write_bytes: 0\n"
    );
    Ok(text.into_bytes())
}

/// A path with the characters that would break the line escaped, as Linux does it.
fn escaped(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in String::from_utf8_lossy(path).chars() {
        match byte {
            ' ' => out.push_str("\\040"),
            '\t' => out.push_str("\\011"),
            '\n' => out.push_str("\\012"),
            '\\' => out.push_str("\\134"),
            other => out.push(other),
        }
    }
    out
}

/// /proc/mounts.
fn mounts() -> Vec<u8> {
    let mut out = String::new();
    for root in mount::all() {
        let (kind, path) = (root.mount.kind, escaped(&root.absolute_path()));
        let options = if root.mount.read_only { "ro" } else { "rw" };
        let _ = writeln!(out, "{kind} {path} {kind} {options},nosuid,nodev,relatime 0 0");
    }
    out.into_bytes()
}

fn mount_info() -> Vec<u8> {
    let mut out = String::new();
    let roots = mount::all();
    let id_of = |dentry: &Arc<Dentry>| roots.iter().position(|r| Arc::ptr_eq(&r.mount, &dentry.mount));
    for (index, root) in roots.iter().enumerate() {
        let parent = root.parent().and_then(|p| id_of(&p)).map_or(1, |p| p + 20);
        let (kind, path) = (root.mount.kind, escaped(&root.absolute_path()));
        let options = if root.mount.read_only { "ro" } else { "rw" };
        let (major, minor) = crate::fs::device::parts(root.mount.dev);
        let id = index + 20;
        let _ = writeln!(
            out,
            "{id} {parent} {major}:{minor} / {path} {options},nosuid,nodev,relatime - {kind} {kind} {options}"
        );
    }
    out.into_bytes()
}
