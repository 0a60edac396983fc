//! What the monitor told of all names of a directory that nobody changes: kept as it came, in one piece of memory.
//! Walking large trees then costs neither a message nor an inode for every name.

use alloc::vec::Vec;
use postern_abi::message::{Named, split_record};

/// The names of a directory with their attributes.
pub(super) struct Listing {
    /// Records as in the answers to `Enumerate`.
    records: Vec<u8>,
    /// Where the records begin, in order of their names.
    order: Vec<u32>,
}

impl Listing {
    /// `records`: the payloads of the answers, one after another.
    pub fn new(records: Vec<u8>) -> Self {
        let mut order = Vec::new();
        let mut at = 0;
        while let Some((_, rest)) = records.get(at..).and_then(split_record) {
            // A directory of 4 GiB would not fit into the heap before.
            let Ok(start) = u32::try_from(at) else { break };
            order.push(start);
            at = records.len() - rest.len();
        }
        let mut listing = Self { records, order: Vec::new() };
        order.sort_unstable_by(|a, b| listing.name(*a).cmp(listing.name(*b)));
        order.shrink_to_fit();
        listing.order = order;
        listing.records.shrink_to_fit();
        listing
    }

    fn record(&self, start: u32) -> Option<Named<'_>> {
        let records = self.records.get(usize::try_from(start).ok()?..)?;
        split_record(records).map(|(record, _)| record)
    }

    fn name(&self, start: u32) -> &[u8] {
        self.record(start).map_or(&[], |record| record.name)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The record of `name`, if it is there.
    pub fn find(&self, name: &[u8]) -> Option<Named<'_>> {
        let at = self.order.binary_search_by(|start| self.name(*start).cmp(name)).ok()?;
        self.order.get(at).and_then(|start| self.record(*start))
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = Named<'_>> {
        self.order.iter().filter_map(|start| self.record(*start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_abi::message::{Attributes, Record, record_len};
    use zerocopy::IntoBytes;

    fn listing(names: &[&str]) -> Listing {
        let mut records = Vec::new();
        for (ino, name) in names.iter().enumerate() {
            let attributes = Attributes { ino: ino as u64, ..Attributes::default() };
            let record = Record { attributes, name_len: u32::try_from(name.len()).unwrap(), target_len: 0 };
            let end = records.len() + record_len(name.len());
            records.extend_from_slice(record.as_bytes());
            records.extend_from_slice(name.as_bytes());
            records.resize(end, 0);
        }
        Listing::new(records)
    }

    #[test]
    fn names_are_found_and_come_in_order() {
        let listing = listing(&["mouse", "ant", "zebra", "antelope", "b"]);
        let names: Vec<&[u8]> = listing.iter().map(|record| record.name).collect();
        assert_eq!(names, [&b"ant"[..], b"antelope", b"b", b"mouse", b"zebra"]);
        let ino = |name| listing.find(name).map(|record| record.attributes.ino);
        assert_eq!((ino(b"zebra"), ino(b"ant")), (Some(2), Some(1)));
        assert!(listing.find(b"an").is_none() && listing.find(b"").is_none());
        assert_eq!(listing.len(), 5);
    }

    #[test]
    fn what_is_malformed_ends_the_list() {
        let mut records = listing(&["a", "b"]).records;
        records.truncate(records.len() - 3);
        assert_eq!(Listing::new(records).len(), 1);
        assert_eq!(Listing::new(Vec::new()).len(), 0);
    }
}
