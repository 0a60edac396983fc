//! /sys: what programs read of it, which is mostly the number of processors.

mod cache;

use super::inode::Inode;
use super::mount::{Cache, Mount};
use super::proc;
use super::synthetic::{Body, Node, Tree};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Write as _;

const ROOT: [u32; 2] = [0, 0];

fn directory(dev: u64, tree: Tree) -> Arc<Node> {
    Node::new(dev, 0o555, ROOT, Body::Tree(tree))
}

fn text(dev: u64, text: impl Into<String>) -> Arc<Node> {
    Node::new(dev, 0o444, ROOT, Body::Fixed(Cow::Owned(text.into().into_bytes())))
}

/// A mask of processors as the kernel prints it: words of 32 bits in hexadecimal, the highest first.
fn mask(cpus: u32, has: impl Fn(u32) -> bool) -> String {
    let mut out = String::new();
    for word in (0..cpus.div_ceil(32)).rev() {
        let bits = (cpus - word * 32).min(32);
        let set = (0..bits).filter(|bit| has(word * 32 + bit)).fold(0u32, |all, bit| all | 1 << bit);
        let width = usize::try_from(bits.div_ceil(4)).unwrap_or(8);
        let _ = write!(out, "{set:0width$x}{}", if word == 0 { '\n' } else { ',' });
    }
    out
}

/// The mount of /sys for a machine with `cpus` processors.
#[must_use]
pub fn new(cpus: u32) -> (Arc<Mount>, Arc<dyn Inode>) {
    let mount = Mount::new("sysfs", true, Cache::Forever);
    let dev = mount.dev;
    let last = cpus.saturating_sub(1);
    let range = if last == 0 { String::from("0\n") } else { format!("0-{last}\n") };
    let every = mask(cpus, |_| true);
    let mut cpu = Tree::from([
        ("online", text(dev, range.clone())),
        ("possible", text(dev, range.clone())),
        ("present", text(dev, range.clone())),
        ("offline", text(dev, "\n")),
        ("kernel_max", text(dev, "8191\n")),
    ]);
    for number in 0..cpus.min(1024) {
        // Made once and kept for the life of the family, as the tree is.
        let name: &'static str = Box::leak(format!("cpu{number}").into_boxed_str());
        let own = mask(cpus, |other| other == number);
        let topology = Tree::from([
            ("core_id", text(dev, format!("{number}\n"))),
            ("physical_package_id", text(dev, "0\n")),
            ("die_id", text(dev, "0\n")),
            ("core_cpus", text(dev, own.clone())),
            ("core_cpus_list", text(dev, format!("{number}\n"))),
            ("thread_siblings", text(dev, own)),
            ("thread_siblings_list", text(dev, format!("{number}\n"))),
            ("package_cpus", text(dev, every.clone())),
            ("package_cpus_list", text(dev, range.clone())),
            ("core_siblings", text(dev, every.clone())),
            ("core_siblings_list", text(dev, range.clone())),
        ]);
        let parts =
            [("topology", directory(dev, topology)), ("cache", cache::of_processor(dev, number, cpus))];
        cpu.insert(name, directory(dev, Tree::from(parts)));
    }
    let node0 = Tree::from([
        ("cpulist", text(dev, range.clone())),
        ("cpumap", text(dev, every)),
        ("distance", text(dev, "10\n")),
        ("meminfo", Node::new(dev, 0o444, ROOT, Body::Text(Box::new(|| Ok(proc::node_memory()))))),
    ]);
    let node = Tree::from([
        ("has_memory", text(dev, "0\n")),
        ("has_normal_memory", text(dev, "0\n")),
        ("online", text(dev, "0\n")),
        ("possible", text(dev, "0\n")),
        ("has_cpu", text(dev, "0\n")),
        ("node0", directory(dev, node0)),
    ]);
    let system = Tree::from([("cpu", directory(dev, cpu)), ("node", directory(dev, node))]);
    let devices = Tree::from([("system", directory(dev, system)), ("virtual", directory(dev, Tree::new()))]);
    let transparent = Tree::from([
        ("enabled", text(dev, "always [madvise] never\n")),
        ("hpage_pmd_size", text(dev, "2097152\n")),
    ]);
    let mm = Tree::from([("transparent_hugepage", directory(dev, transparent))]);
    let root = Tree::from([
        ("bus", directory(dev, Tree::new())),
        ("class", directory(dev, Tree::new())),
        ("dev", directory(dev, Tree::new())),
        ("devices", directory(dev, devices)),
        ("fs", directory(dev, Tree::from([("cgroup", directory(dev, Tree::new()))]))),
        ("kernel", directory(dev, Tree::from([("mm", directory(dev, mm))]))),
    ]);
    (mount, directory(dev, root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::dentry::Dentry;
    use crate::fs::inode::{Found, Hint};

    fn find(root: &Arc<dyn Inode>, dentry: &Arc<Dentry>, path: &str) -> Option<Arc<dyn Inode>> {
        path.split('/').try_fold(root.clone(), |at, name| {
            let found: Option<Found> = at.lookup(dentry, name.as_bytes(), Hint::default()).ok()?;
            found.map(|f| f.inode)
        })
    }

    #[test]
    fn masks_are_as_wide_as_there_are_processors() {
        assert_eq!(mask(2, |_| true), "3\n");
        assert_eq!(mask(36, |n| n == 33), "2,00000000\n");
        assert_eq!(mask(64, |_| true), "ffffffff,ffffffff\n");
    }

    #[test]
    fn processors_are_those_of_the_family() {
        let (mount, root) = new(4);
        let dentry = Dentry::namespace_root(mount, root.clone());
        assert!(find(&root, &dentry, "devices/system/cpu/cpu3").is_some());
        assert!(find(&root, &dentry, "devices/system/cpu/cpu4").is_none());
        assert!(find(&root, &dentry, "devices/system/cpu/online").is_some());
    }
}
