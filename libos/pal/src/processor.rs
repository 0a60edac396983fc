//! What the processor says of itself.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

/// A cache of the processor, as the leaf of deterministic cache parameters tells it (Intel's manual, CPUID leaf 4;
/// AMD's, leaf 0x8000001d, in the same form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 data, 2 instructions, 3 both.
    pub kind: u32,
    /// 1 is next to the core.
    pub level: u32,
    /// Bytes of a line.
    pub line: u32,
    /// Lines that have one tag.
    pub partitions: u32,
    /// Associativity.
    pub ways: u32,
    /// Sets.
    pub sets: u32,
    /// How many logical processors may share it.
    pub sharers: u32,
}

impl Cache {
    fn of(leaf: CpuidResult) -> Option<Self> {
        let field = |word: u32, low: u32, bits: u32| (word >> low) & ((1 << bits) - 1);
        let kind = field(leaf.eax, 0, 5);
        (1..=3).contains(&kind).then(|| Self {
            kind,
            level: field(leaf.eax, 5, 3),
            line: field(leaf.ebx, 0, 12) + 1,
            partitions: field(leaf.ebx, 12, 10) + 1,
            ways: field(leaf.ebx, 22, 10) + 1,
            sets: leaf.ecx.saturating_add(1),
            sharers: field(leaf.eax, 14, 12) + 1,
        })
    }

    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        [self.line, self.partitions, self.ways, self.sets].into_iter().map(u64::from).product()
    }
}

/// The cache with this number. Virtual machines trap on the question: it costs microseconds.
#[must_use]
pub fn cache(index: u32) -> Option<Cache> {
    const AMD: u32 = 0x8000_001d;
    // Whether AMD's leaf is there: in ecx bit 22 of leaf 0x80000001.
    let has_amd = __cpuid(0x8000_0000).eax >= AMD && __cpuid(0x8000_0001).ecx & 1 << 22 != 0;
    let leaf = if has_amd {
        AMD
    } else if __cpuid(0).eax >= 4 {
        4
    } else {
        return None;
    };
    Cache::of(__cpuid_count(leaf, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_taken_apart() {
        // 32 KiB of data, 8 ways, 64 sets of 64 bytes, for one processor.
        let leaf = CpuidResult { eax: 0x121, ebx: 7 << 22 | 63, ecx: 63, edx: 0 };
        let cache = Cache::of(leaf).unwrap();
        assert_eq!((cache.kind, cache.level, cache.sharers), (1, 1, 1));
        assert_eq!(cache.size(), 32 << 10);
        assert_eq!(Cache::of(CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 }), None);
    }
}
