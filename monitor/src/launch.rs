//! The launcher: what `postern run` stays as. It forks the monitor, forwards signals, prints messages, restores the
//! terminal, and ends with the app's status. If the monitor dies, it says so and writes the report.

use crate::config::Config;
use crate::monitor;
use crate::report::{self, Report};
use crate::sys::memory::Text;
use crate::sys::process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, waitpid};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// Exit status for a failure of Postern itself.
pub const OWN_FAILURE: u8 = 125;

/// Longest message between launcher and monitor.
pub(crate) const MAX_MESSAGE: usize = 4096;

/// What a monitor tells its launcher: the first byte of a datagram.
pub(crate) mod told {
    /// The exit status, one byte.
    pub const STATUS: u8 = 1;
    /// Text to be printed.
    pub const TEXT: u8 = 2;
    /// The mode of the terminal is about to be changed.
    pub const TERMINAL: u8 = 3;
}

/// Signals that the launcher passes on.
const FORWARDED: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGALRM,
];

/// Runs an app and returns its exit status: its own, 128 + n for signal n, 126 or 127 where it could not be executed,
/// [`OWN_FAILURE`] where Postern failed. The calling process must have one thread.
#[must_use]
pub fn run(config: Config, image: &'static [u8]) -> u8 {
    match start(config, image) {
        Ok(status) => status,
        Err(error) => {
            print(&format!("the monitor could not be started: {}", error.desc()), "\n");
            OWN_FAILURE
        }
    }
}

fn start(config: Config, image: &'static [u8]) -> Result<u8, Errno> {
    let mut signals = SigSet::empty();
    FORWARDED.into_iter().for_each(|signal| signals.add(signal));
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), None)?;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let mut report = Report::new(report::Kind::Monitor, &config.app, &config.instance);
    report.name.clone_from(&config.name);
    report.command = config.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let group = nix::unistd::getpgrp();
    let child = process::fork(0, move || monitor::main(config, image, theirs, group))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let mut launcher = Launcher {
        channel: ours,
        signals,
        terminal: terminal().and_then(|fd| tcgetattr(fd).ok()),
        changed: false,
    };
    if let Some(status) = launcher.supervise()? {
        return Ok(status);
    }
    // The channel ended without a status: the monitor is dead, and the host ends the family with it.
    launcher.restore_terminal();
    report.time = crate::account::unix_now();
    match waitpid(child.pid, None)? {
        WaitStatus::Signaled(_, signal, _) => {
            report.set_signal(signal as i32);
            report.summary = format!("The monitor was ended by {signal}; the app ended with it");
        }
        status => {
            report.summary = format!("The monitor ended unexpectedly ({status:?}); the app ended with it")
        }
    }
    print(&report.summary, "\n");
    if let Err(error) = report.save() {
        print(&format!("the report could not be saved: {error}"), "\n");
    }
    Ok(OWN_FAILURE)
}

/// Prints a message to standard error, if that is still open.
fn print(text: &str, end: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("postern: {text}{end}").as_bytes());
}

/// How long nothing must have happened until start-up counts as over, in milliseconds.
const SETTLED_MS: u16 = 1000;

struct Launcher {
    channel: OwnedFd,
    signals: SignalFd,
    /// The terminal's mode at the start.
    terminal: Option<Termios>,
    /// Whether the monitor has changed it.
    changed: bool,
}

impl Launcher {
    /// Waits for the status; `None` if the monitor ended without one.
    fn supervise(&mut self) -> Result<Option<u8>, Errno> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut until_settled = PollTimeout::from(SETTLED_MS);
        loop {
            let mut fds = [
                PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, until_settled) {
                Ok(0) => {
                    // From now on it is only here to wait.
                    Text::mapped().release();
                    until_settled = PollTimeout::NONE;
                }
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            }
            let [channel, signals] = fds.map(|fd| fd.any().unwrap_or(true));
            if signals {
                self.forward_signals();
            }
            if channel {
                let message = match recv(self.channel.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                    Ok(len) => buffer.get(..len).unwrap_or(&[]),
                    Err(Errno::EINTR) => continue,
                    Err(_) => &[],
                };
                match message {
                    [told::STATUS, status] => {
                        self.restore_terminal();
                        return Ok(Some(*status));
                    }
                    [told::TEXT, text @ ..] => {
                        let end = if self.changed { "\r\n" } else { "\n" };
                        print(&String::from_utf8_lossy(text), end);
                    }
                    [told::TERMINAL] => self.changed = true,
                    [] => return Ok(None),
                    _ => {}
                }
            }
        }
    }

    fn forward_signals(&self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let number = u8::try_from(info.ssi_signo).unwrap_or(0);
            let _ = send(self.channel.as_raw_fd(), &[number], MsgFlags::MSG_NOSIGNAL);
        }
    }

    fn restore_terminal(&mut self) {
        if let (true, Some(mode), Some(fd)) = (self.changed, self.terminal.take(), terminal()) {
            let _ = tcsetattr(fd, SetArg::TCSADRAIN, &mode);
        }
    }
}

/// The first standard stream that is a terminal.
fn terminal() -> Option<BorrowedFd<'static>> {
    standard_streams().into_iter().find(|fd| nix::unistd::isatty(fd).unwrap_or(false))
}

/// The standard streams of this process, which live as long as it.
pub(crate) fn standard_streams() -> [BorrowedFd<'static>; 3] {
    crate::sys::standard_streams()
}
