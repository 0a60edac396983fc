//! The heap of kernel objects: one allocator over the arena, shared by every process of the family.

use crate::sync::RawLock;
use postern_abi::layout::{HEAP_BASE, HEAP_SIZE};
use talc::{ErrOnOom, Span, Talc, Talck};

/// The allocator; the image makes it the global one.
pub type Heap = Talck<RawLock, ErrOnOom>;

/// A heap without memory; [`claim`] gives it the arena's.
#[must_use]
pub const fn new() -> Heap {
    Talc::new(ErrOnOom).lock()
}

/// Gives the heap range of the arena to `heap`. Called once, by the keeper, after the arena is mapped.
pub(crate) fn claim(heap: &Heap) -> bool {
    let span = Span::from_base_size(HEAP_BASE as *mut u8, HEAP_SIZE);
    // SAFETY: the range is mapped readable and writable, shared, for the life of the family, and nothing else uses it.
    unsafe { heap.lock().claim(span) }.is_ok()
}
