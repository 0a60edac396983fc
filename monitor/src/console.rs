//! The `console:` stream: mode and size of the terminal that the app was started from.

use crate::account::lock;
use crate::answer::Answer;
use crate::sys::terminal;
use nix::errno::Errno;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, tcgetpgrp};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};

/// The terminal behind `console:`.
pub struct Console {
    terminal: Option<OwnedFd>,
    state: Mutex<State>,
    /// Process group of the launcher: the mode is changed only while it is in the foreground.
    group: Pid,
    launcher: Arc<OwnedFd>,
}

#[derive(Default)]
struct State {
    /// The mode at start, once it was changed.
    before: Option<Termios>,
    /// Whether the app wants raw mode.
    raw: bool,
}

impl Console {
    /// The console on `terminal`, if there is one. `launcher` is the channel to the launcher, whose process group is
    /// `group`.
    #[must_use]
    pub fn new(terminal: Option<OwnedFd>, group: Pid, launcher: Arc<OwnedFd>) -> Self {
        Self { terminal, group, launcher, state: Mutex::default() }
    }

    /// Rows and columns; zeroes where there is no terminal.
    #[must_use]
    pub fn window(&self) -> [u16; 2] {
        self.terminal.as_ref().and_then(|t| terminal::window_size(t.as_fd()).ok()).unwrap_or_default()
    }

    /// Answers `Console`; see [`postern_abi::calls::Downcall::Console`].
    ///
    /// # Errors
    /// `ENOTTY` where there is no terminal.
    pub fn answer(&self, operation: u64) -> Result<Answer, Errno> {
        match operation {
            0 => self.restore()?,
            1 => self.make_raw()?,
            2 => {}
            _ => return Err(Errno::EINVAL),
        }
        let [rows, columns] = self.window();
        Ok(Answer::values([rows.into(), columns.into(), 0, 0]))
    }

    fn make_raw(&self) -> Result<(), Errno> {
        let terminal = self.terminal.as_ref().ok_or(Errno::ENOTTY)?;
        let mut state = lock(&self.state);
        state.raw = true;
        // A background job leaves the terminal alone until it comes to the foreground.
        if tcgetpgrp(terminal).is_ok_and(|foreground| foreground != self.group) {
            return Ok(());
        }
        let now = tcgetattr(terminal)?;
        let before = state.before.get_or_insert(now).clone();
        // First, so that the launcher restores the mode if this process dies in between.
        crate::monitor::tell_launcher(&self.launcher, crate::launch::told::TERMINAL, &[]);
        let mut raw = before;
        cfmakeraw(&mut raw);
        tcsetattr(terminal, SetArg::TCSADRAIN, &raw)
    }

    /// Gives the terminal the mode back that it had at the start.
    ///
    /// # Errors
    /// The host's.
    pub fn restore(&self) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        state.raw = false;
        match (&self.terminal, state.before.take()) {
            (Some(terminal), Some(before)) => tcsetattr(terminal, SetArg::TCSADRAIN, &before),
            _ => Ok(()),
        }
    }

    /// The launcher was continued, perhaps in the foreground: the mode that the app wants is set again.
    pub fn continued(&self) {
        if lock(&self.state).raw {
            let _ = self.make_raw();
        }
    }
}
