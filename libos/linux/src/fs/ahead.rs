//! What the app looked up when it was started before is looked up again while it starts, in the same order and ahead of
//! it: by the keeper, which has nothing else to do then, on a processor that would idle. The app finds the answers of the
//! monitor in the tree, and handles at the inodes.
//!
//! It is no more than a hint: what is not there any more is remembered as missing, and what the app does not ask for this
//! time is forgotten like anything else.

use super::{host, path};
use crate::fs::path::Walk;
use crate::task::Thread;
use crate::{Mutex, Result};
use alloc::sync::Arc;
use postern_abi::boot::{Boot, ahead};

struct Ahead {
    /// On whose behalf: the first of the app.
    thread: Arc<Thread>,
    /// As [`Boot::ahead`].
    left: &'static [u8],
}

static AHEAD: Mutex<Option<Ahead>> = Mutex::new(None);

/// Has the keeper do what the start-up block says. On a single processor the app would only wait for it.
pub fn init(thread: &Arc<Thread>, boot: &Boot, block: &'static [u8]) {
    let left = boot.ahead.of(block);
    if !left.is_empty() && boot.cpus > 1 {
        *AHEAD.lock() = Some(Ahead { thread: thread.clone(), left });
    }
}

/// Looks the next thing up. False: there is none.
pub fn step() -> bool {
    let mut all = AHEAD.lock();
    let Some(ahead) = &mut *all else { return false };
    let end = ahead.left.iter().position(|byte| *byte == 0).unwrap_or(ahead.left.len());
    let (entry, rest) = ahead.left.split_at_checked(end).unwrap_or_default();
    ahead.left = rest.get(1..).unwrap_or_default();
    let thread = ahead.thread.clone();
    if ahead.left.is_empty() {
        *all = None;
    }
    drop(all);
    if let Some((kind, path)) = entry.split_first() {
        // What fails now fails for the app, if it asks.
        let _ = look_up(&thread, *kind, path);
    }
    true
}

fn look_up(thread: &Thread, kind: u8, path: &[u8]) -> Result<()> {
    let mut walk = Walk::new(thread);
    walk.open = kind == ahead::OPEN;
    let found = walk.find(path::root()?, path, true)?;
    match kind {
        ahead::OPEN => host::open_ahead(&found),
        ahead::LIST if found.is_directory() => found.inode.list(&found).map(drop),
        _ => Ok(()),
    }
}
