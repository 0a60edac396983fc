//! The memory map of a process.

/// What is mapped where in the user half of a process.
#[derive(Default)]
pub struct AddressSpace {}
