//! Copies of pixels for the display server: of files that cannot leave the family, into memory files that can.

use crate::Errno;
use crate::fs::{Mapping, OpenFile};
use crate::io::Sink;
use crate::task::Thread;
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_abi::calls::Downcall;
use postern_display::Copy;
use postern_pal::gate;
use postern_pal::handle::Handle;

/// Bytes moved at a time.
const CHUNK: usize = 64 << 10;

/// A memory file of `size` bytes for the pixels of `file`, or `known` made as large. `None` if the file is shorter or no
/// such file as can be mapped.
pub(super) fn memory(file: &Arc<OpenFile>, size: u64, known: Option<&Arc<Handle>>) -> Option<Arc<Handle>> {
    let is_mappable = matches!(file.ops.mapping(), Ok(Mapping::Handle(_) | Mapping::Slot(_)));
    if !is_mappable || file.ops.size().ok()? < size {
        return None;
    }
    let handle = match known {
        Some(handle) => handle.clone(),
        None => Arc::new(gate::call(Downcall::MemoryCreate, [0; 6], &[]).ok()?.handle?),
    };
    match handle.resize(size) {
        Ok(()) => Some(handle),
        // Sealed against shrinking and larger already.
        Err(Errno::EPERM) if known.is_some() => Some(handle),
        Err(_) => None,
    }
}

/// Copies. What cannot be read is left as it was: natively the compositor would show the app's end.
pub(super) fn copy(thread: &Thread, copies: Vec<Copy<Arc<OpenFile>, Arc<Handle>>>) {
    if copies.is_empty() {
        return;
    }
    let mut buffer = alloc::vec![0; CHUNK];
    for copy in copies {
        for line in 0..copy.lines {
            // In range: the display server checked the buffer against its pool.
            let start = copy.offset.saturating_add(line.saturating_mul(copy.stride));
            let end = start.saturating_add(copy.len);
            let mut at = start;
            while at < end {
                let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                let Some(part) = buffer.get_mut(..want) else { return };
                let mut sink = Sink::Kernel(part, 0);
                let got = match copy.from.ops.read(thread, &copy.from, &mut sink, Some(at)) {
                    Ok(got) if got > 0 => got.min(want),
                    _ => break,
                };
                if copy.to.write(buffer.get(..got).unwrap_or(&[]), Some(at)).is_err() {
                    break;
                }
                at = at.saturating_add(got as u64);
            }
        }
    }
}
