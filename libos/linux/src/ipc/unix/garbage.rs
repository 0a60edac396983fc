//! Dropping files that were in flight.
//!
//! A file in a socket's queue may be a socket with files in its own queue, and so on; dropping them one inside
//! another would use kernel stack without bound. So they are put into one heap here and dropped from there, one
//! after another.

use crate::Mutex;
use crate::fs::OpenFile;
use alloc::sync::Arc;
use alloc::vec::Vec;

struct Heap {
    files: Vec<Arc<OpenFile>>,
    busy: bool,
}

static HEAP: Mutex<Heap> = Mutex::new(Heap { files: Vec::new(), busy: false });

/// Drops `files`, now or as soon as another thread that is at it gets to them.
pub fn bury(files: Vec<Arc<OpenFile>>) {
    if files.is_empty() {
        return;
    }
    {
        let mut heap = HEAP.lock();
        heap.files.extend(files);
        if heap.busy {
            return;
        }
        heap.busy = true;
    }
    loop {
        let next = {
            let mut heap = HEAP.lock();
            let next = heap.files.pop();
            heap.busy = next.is_some();
            next
        };
        match next {
            Some(file) => drop(file),
            None => return,
        }
    }
}
