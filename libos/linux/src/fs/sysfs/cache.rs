//! /sys/devices/system/cpu/cpuN/cache. The processor is asked only when a program looks.

use super::{ROOT, mask, text};
use crate::Result;
use crate::fs::file::mode;
use crate::fs::inode::Listed;
use crate::fs::synthetic::{Body, Names, Node, Tree};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::processor::{self, Cache};

/// More caches than this no processor has.
const MOST: u32 = 16;

/// The caches of processor `number` of `cpus`.
struct Caches {
    dev: u64,
    number: u32,
    cpus: u32,
}

/// The directory of a processor's caches.
pub(super) fn of_processor(dev: u64, number: u32, cpus: u32) -> Arc<Node> {
    Node::new(dev, 0o555, ROOT, Body::Names(Box::new(Caches { dev, number, cpus })))
}

impl Caches {
    fn node(&self, index: u32, cache: &Cache) -> Arc<Node> {
        let word = |number: u32| text(self.dev, format!("{number}\n"));
        let kind = match cache.kind {
            1 => "Data\n",
            2 => "Instruction\n",
            _ => "Unified\n",
        };
        // Those that share one have neighbouring numbers, as many as the next power of two.
        let group = cache.sharers.next_power_of_two();
        let first = self.number & !(group - 1);
        let last = first.saturating_add(group - 1).min(self.cpus.saturating_sub(1));
        let list = if first == last { format!("{first}\n") } else { format!("{first}-{last}\n") };
        let files = Tree::from([
            ("coherency_line_size", word(cache.line)),
            ("id", word(self.number / group)),
            ("level", word(cache.level)),
            ("number_of_sets", word(cache.sets)),
            ("physical_line_partition", word(cache.partitions)),
            ("shared_cpu_list", text(self.dev, list)),
            ("shared_cpu_map", text(self.dev, mask(self.cpus, |n| (first..=last).contains(&n)))),
            ("size", text(self.dev, format!("{}K\n", cache.size() / 1024))),
            ("type", text(self.dev, kind)),
            ("uevent", text(self.dev, String::new())),
            ("ways_of_associativity", word(cache.ways)),
        ]);
        Node::numbered(self.dev, self.inode(index), 0o555, ROOT, Body::Tree(files))
    }

    fn inode(&self, index: u32) -> u64 {
        1 << 40 | u64::from(self.number) << 8 | u64::from(index)
    }
}

impl Names for Caches {
    fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Node>>> {
        let index =
            name.strip_prefix(b"index").and_then(|digits| core::str::from_utf8(digits).ok()?.parse().ok());
        let index = index.filter(|index| *index < MOST && format!("index{index}").as_bytes() == name);
        Ok(index.and_then(|index| Some(self.node(index, &processor::cache(index)?))))
    }

    fn list(&self) -> Vec<Listed> {
        let there = (0..MOST).take_while(|index| processor::cache(*index).is_some());
        let listed = |index| Listed {
            name: format!("index{index}").into_bytes().into(),
            ino: self.inode(index),
            mode: mode::S_IFDIR,
        };
        there.map(listed).collect()
    }
}
