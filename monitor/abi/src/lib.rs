//! The wall: everything a picoprocess family and its security monitor say to each other.
//!
//! This crate is the one list of downcalls and upcalls ([`calls`]), the layout of the messages they travel in
//! ([`message`]), the start-up block the monitor leaves in the arena ([`boot`]), the events the monitor sends on
//! its own ([`event`]) and the addresses both sides rely on ([`layout`]).
//!
//! Rules that hold for every call: no call returns host-specific state; every handle can be made again from what
//! it was opened with; the library OS never creates authority, it asks the monitor for it. The monitor treats
//! every byte it receives as hostile.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

pub mod boot;
pub mod calls;
pub mod event;
pub mod layout;
pub mod message;

/// Version of everything in this crate. A library OS image and a monitor that differ refuse each other at start.
pub const VERSION: u32 = 1;
