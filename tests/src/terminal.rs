//! A program on a pseudo-terminal, spoken to as a person would.

use crate::rig::Rig;
use crate::session::PATIENCE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::Instant;

/// A running program and the master side of its terminal. Killed when dropped.
pub struct Terminal {
    child: Child,
    master: File,
    /// All that it has printed.
    pub transcript: String,
    /// How much of it was matched already.
    seen: usize,
}

impl Terminal {
    /// Starts a program as the user, with a new terminal of 80 × 24 as its controlling one.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn start(rig: &Rig, argv: &[&str]) -> io::Result<Self> {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None)?;
        nix::sys::stat::fchmod(&pty.slave, nix::sys::stat::Mode::from_bits_truncate(0o666))?;
        let slave = File::from(pty.slave);
        let mut command = rig.command("setsid");
        command.arg("-c").args(argv);
        command.stdin(Stdio::from(slave.try_clone()?));
        command.stdout(Stdio::from(slave.try_clone()?)).stderr(Stdio::from(slave));
        let child = command.spawn()?;
        drop(command);
        Ok(Self { child, master: File::from(pty.master), transcript: String::new(), seen: 0 })
    }

    /// Types.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn send(&mut self, keys: &str) -> io::Result<()> {
        self.master.write_all(keys.as_bytes())
    }

    /// Reads more output. False at its end.
    fn read(&mut self, wait_ms: u16) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(wait_ms))? == 0 {
            return Ok(true);
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.transcript.push_str(&String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()));
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(5) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits for text in what was printed since the last match.
    ///
    /// # Errors
    /// If it does not come, with all that did.
    pub fn expect(&mut self, text: &str) -> io::Result<()> {
        let start = Instant::now();
        loop {
            if let Some(at) = self.transcript.get(self.seen..).and_then(|rest| rest.find(text)) {
                self.seen += at + text.len();
                return Ok(());
            }
            let open = self.read(100)?;
            if !open || start.elapsed() > PATIENCE {
                let why = if open { "waited in vain" } else { "the terminal closed" };
                return Err(io::Error::other(format!("{why} for {text:?} after:\n{}", self.transcript)));
            }
        }
    }

    /// Waits for the program's end. Returns its exit status as a shell sees it.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(&mut self) -> io::Result<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let start = Instant::now();
        loop {
            let open = self.read(50)?;
            if let Some(status) = self.child.try_wait()? {
                while open && !self.transcript.is_empty() {
                    let before = self.transcript.len();
                    if !self.read(50)? || self.transcript.len() == before {
                        break;
                    }
                }
                return Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(-1));
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("it did not end; it printed:\n{}", self.transcript)));
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
