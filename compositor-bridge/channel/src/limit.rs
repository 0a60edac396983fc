//! Bounds that both ends keep.

/// Longest title or application id, in bytes.
pub const TEXT: usize = 256;
/// Longest list of MIME types, in bytes.
pub const MIME_LIST: usize = 8 * 1024;
/// Most MIME types of one offer.
pub const MIMES: usize = 128;
/// Longest MIME type, in bytes.
pub const MIME: usize = 256;
/// Largest piece of a transfer, in bytes.
pub const PIECE: usize = 16 * 1024;
/// Most pieces of a transfer that are on the way at one time.
pub const WINDOW: u32 = 8;
/// Most transfers in one direction at one time.
pub const TRANSFERS: usize = 32;
/// Largest transfer, in bytes.
pub const TRANSFER: u64 = 256 << 20;
/// Largest width, height, position or hotspot, in pixels or surface units.
pub const SIZE: i32 = 16_384;
/// Largest pool, in bytes: what wl_shm can say.
pub const POOL: u64 = 0x7fff_ffff;
/// Most pools at one time.
pub const POOLS: usize = 1024;
/// Most surfaces at one time.
pub const SURFACES: usize = 512;
/// Most toplevels at one time.
pub const TOPLEVELS: usize = 64;
/// Longest text around the cursor of a text field, in bytes: what zwp_text_input_v3 allows.
pub const SURROUNDING: usize = 4000;
/// Longest preedit text and text to commit of an input method together, in bytes.
pub const TEXT_EDIT: usize = 8000;
