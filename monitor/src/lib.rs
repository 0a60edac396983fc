//! The security monitor: creates all authority a picoprocess family has.
//!
//! One monitor serves one running app. It makes the empty namespaces the family lives in, opens on its behalf what
//! the app's [`manifest`] permits, keeps the account that the [`control`] socket shows, and writes the [`report`]
//! when something died. Every byte that comes from the family is treated as hostile.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

pub mod control;
pub mod manifest;
pub mod paths;
pub mod permission;
pub mod report;
