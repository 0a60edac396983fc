//! The Linux personality of the library OS.
