//! A headless Wayland session to show windows in, and an app's side of the channel without an app.

#![allow(dead_code, reason = "each test program uses another part")]

pub mod fake_app;
pub mod input_method;
pub mod newer;
pub mod pointer;
pub mod random;
pub mod session;
