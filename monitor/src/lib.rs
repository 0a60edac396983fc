//! The security monitor: creates all authority a picoprocess family has.
//!
//! One monitor serves one running app. It makes the empty namespaces the family lives in, opens on its behalf what
//! the app's [`manifest`] permits, keeps the account that the [`control`] socket shows, and writes the [`report`]
//! when something died. Every byte that comes from the family is treated as hostile.
#![deny(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

pub mod account;
pub mod answer;
pub mod boot;
pub mod config;
pub mod console;
pub mod control;
pub mod crash;
pub mod display;
mod dropping;
pub mod family;
pub mod files;
pub mod filter;
pub mod gate;
pub mod host;
pub mod image;
pub mod launch;
pub mod manifest;
mod monitor;
pub mod network;
pub mod paths;
pub mod permission;
pub mod report;
pub mod sandbox;
pub mod shared;
pub mod starts;
pub mod sys;
pub mod usage;

pub use launch::run;
