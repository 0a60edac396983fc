//! The compositor bridge: shows an app's surfaces in the user's Wayland session.
//!
//! One bridge is one process and serves one running app. On one side it speaks the [remote-display
//! channel](postern_channel) with the display server inside the app's library OS, every byte of which is treated as
//! hostile; on the other it is an ordinary Wayland client. It never looks at pixels: the app's memory files become
//! `wl_shm` pools as they are, once their seals show that they cannot shrink under the compositor.
//!
//! What identifies the app is drawn and written here and not by the app: the title prefix, the application id and
//! the optional coloured border.
//!
//! Once connected, the process gives up what it does not need ([`run`] installs Landlock and seccomp), so a fault in
//! here reaches neither files nor the network.
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod app;
mod bridge;
mod config;
mod control;
mod event_loop;
mod host;
mod sandbox;
mod selection;
mod surface;

pub use config::{BridgeConfig, BridgeError, HostSession};
pub use control::{FilesAnswer, Report, Settings, Window};
pub use event_loop::run;
