//! The rig of the end-to-end tests: an ordinary user with an empty home, programs run natively and under Postern, and a
//! headless Wayland session with input and screenshots.
//!
//! Everything runs as an ordinary user. Started by root, the rig switches to the user in `POSTERN_TEST_USER` (a
//! session's compositor refuses to be root's).
#![forbid(unsafe_code)]

pub mod conformance;
pub mod desktop;
pub mod fuzz;
pub mod nested;
pub mod picture;
pub mod pointer;
pub mod processes;
pub mod rig;
pub mod running;
pub mod scripts;
pub mod session;
pub mod stress;
pub mod terminal;

pub use nested::Nested;
pub use rig::{Outcome, Rig};
pub use running::Running;
pub use session::Session;
pub use terminal::Terminal;
