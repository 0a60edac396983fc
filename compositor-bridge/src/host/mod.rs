//! The session's side: what the compositor offers and the events it sends.

pub mod attention;
pub mod context;
pub mod cursor;
pub mod globals;
pub mod keymap;
pub mod last_words;
pub mod outputs;
pub mod pointer;
pub mod seat;
pub mod text_input;
pub mod theme;
pub mod touch;
