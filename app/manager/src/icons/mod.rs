//! The icons of apps: finding their files and decoding them.

pub mod image;
pub mod theme;
