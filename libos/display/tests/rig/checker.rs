//! A bridge that only checks, and numbers that look random.

use postern_channel::{self as msg, CommitFlag, Message, Role, limit};
use std::collections::{BTreeMap, BTreeSet};

/// What the bridge knows; panics at what a real one refuses.
#[derive(Default)]
pub struct Bridge {
    pub pools: BTreeMap<u32, u64>,
    pub surfaces: BTreeMap<u32, msg::Commit>,
    pub held: BTreeSet<u32>,
}

impl Bridge {
    pub fn hears(&mut self, bytes: &[u8]) {
        match Message::decode(bytes).unwrap() {
            Message::Pool(pool, _) => {
                let old = self.pools.insert(pool.pool, pool.size);
                assert!(old.is_none_or(|old| old <= pool.size));
                assert!(self.pools.len() <= limit::POOLS);
            }
            Message::PoolDestroy(pool, _) => assert!(self.pools.remove(&pool.pool).is_some()),
            Message::Commit(commit, _) => self.commit(commit),
            Message::SurfaceDestroy(surface, _) => {
                assert!(self.surfaces.remove(&surface.surface).is_some(), "an unknown surface ends");
            }
            Message::Hello(..) => *self = Self::default(),
            _ => {}
        }
    }

    fn commit(&mut self, commit: msg::Commit) {
        let has_buffer = commit.flags & CommitFlag::BUFFER != 0;
        let is_pixel = commit.flags & CommitFlag::SINGLE_PIXEL != 0;
        if is_pixel {
            assert!((commit.width, commit.height, commit.pool) == (1, 1, 0));
            self.held.insert(commit.buffer);
        }
        if has_buffer && !is_pixel {
            let size = self.pools.get(&commit.pool).copied().expect("a buffer in an unknown pool");
            let end =
                u64::from(commit.offset) + u64::from(commit.stride) * u64::try_from(commit.height).unwrap();
            assert!(end <= size && commit.width % commit.scale == 0 && commit.height % commit.scale == 0);
            self.held.insert(commit.buffer);
            let (mut width, mut height) = (commit.width / commit.scale, commit.height / commit.scale);
            if commit.transform % 2 == 1 {
                std::mem::swap(&mut width, &mut height);
            }
            let source = commit.source;
            if source.width > 0 {
                assert!(source.x + source.width <= width * 256 && source.y + source.height <= height * 256);
                assert!(commit.destination[0] > 0 || (source.width | source.height) % 256 == 0);
            }
        }
        assert!(commit.role != Role::NONE);
        for (min, max) in commit.min_size.into_iter().zip(commit.max_size) {
            assert!(max == 0 || max >= min);
        }
        assert!(commit.parent != 0 || !matches!(commit.role, Role::POPUP | Role::SUBSURFACE));
        self.surfaces.insert(commit.surface, commit);
        let mut at = commit.parent;
        for _ in 0..=self.surfaces.len() {
            assert_ne!(at, commit.surface, "a circle");
            at = self.surfaces.get(&at).map_or(0, |s| s.parent);
        }
        let toplevels = self.surfaces.values().filter(|s| s.role == Role::TOPLEVEL).count();
        assert!(toplevels <= limit::TOPLEVELS && self.surfaces.len() <= limit::SURFACES);
    }
}

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 32).unwrap() % below
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(u32::try_from(of.len()).unwrap()) as usize]
    }
}
