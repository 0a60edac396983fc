//! Files: open files and descriptors ([`file`], [`descriptor`]).

pub mod descriptor;
pub mod file;

pub use descriptor::FdTable;
pub use file::{FileOps, Mapping, Metadata, OpenFile, Poll};
