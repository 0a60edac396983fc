//! One transfer through a pipe.

use postern_channel::limit;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A transfer that does not move for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a transfer goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Not at its end.
    More,
    /// Complete.
    Done,
    /// Over without success.
    Failed(&'static str),
}

/// A pipe whose reading end never blocks; the writing end is for somebody else.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// Text on its way from the session to the app.
pub struct Paste {
    /// The app's number of the transfer.
    pub transfer: u32,
    pipe: OwnedFd,
    text: Vec<u8>,
    last: Instant,
}

impl Paste {
    pub fn new(transfer: u32, pipe: OwnedFd) -> Self {
        Self { transfer, pipe, text: Vec::new(), last: Instant::now() }
    }

    pub fn pipe(&self) -> &OwnedFd {
        &self.pipe
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    pub fn step(&mut self, now: Instant) -> Step {
        let mut piece = [0; 16 * 1024];
        loop {
            match read(&self.pipe, &mut piece[..]) {
                Ok(0) => return Step::Done,
                Ok(len) => {
                    self.text.extend(piece.iter().take(len));
                    self.last = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if now.saturating_duration_since(self.last) < PATIENCE => {
                    return Step::More;
                }
                Err(Errno::AGAIN) => return Step::Failed("its owner does not send it"),
                Err(_) => return Step::Failed("its pipe failed"),
            }
            if self.text.len() > limit::CLIPBOARD {
                return Step::Failed("it is larger than what may be pasted");
            }
        }
    }
}

/// Text on its way from the app to the session.
pub struct Provision {
    /// The bridge's number of the transfer.
    pub transfer: u32,
    pipe: OwnedFd,
    text: Vec<u8>,
    written: usize,
    is_whole: bool,
    last: Instant,
}

impl Provision {
    pub fn new(transfer: u32, pipe: OwnedFd) -> Result<Self, Errno> {
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self { transfer, pipe, text: Vec::new(), written: 0, is_whole: false, last: Instant::now() })
    }

    pub fn pipe(&self) -> &OwnedFd {
        &self.pipe
    }

    /// Whether all is there, so that writing has begun.
    pub fn is_ready(&self) -> bool {
        self.is_whole
    }

    /// Adds a piece. False: it is too much.
    pub fn add(&mut self, piece: &[u8], is_last: bool) -> bool {
        if self.is_whole || self.text.len() + piece.len() > limit::CLIPBOARD {
            return false;
        }
        self.text.extend(piece);
        self.is_whole = is_last;
        self.last = Instant::now();
        true
    }

    pub fn step(&mut self, now: Instant) -> Step {
        let is_late = now.saturating_duration_since(self.last) >= PATIENCE;
        while self.is_whole {
            let rest = self.text.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                return Step::Done;
            }
            match write(&self.pipe, rest) {
                Ok(len) => {
                    self.written += len;
                    self.last = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Step::Failed("nobody reads it"),
            }
        }
        if is_late { Step::Failed("it takes too long") } else { Step::More }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_is_gathered_until_its_end() {
        let (read, end) = pipe().unwrap();
        let mut paste = Paste::new(1, read);
        let now = Instant::now();
        assert_eq!(paste.step(now), Step::More);
        write(&end, b"hello ").unwrap();
        assert_eq!(paste.step(now), Step::More);
        write(&end, b"world").unwrap();
        drop(end);
        assert_eq!(paste.step(now), Step::Done);
        assert_eq!(paste.text(), b"hello world");
    }

    #[test]
    fn a_paste_that_never_comes_is_given_up() {
        let (read, _end) = pipe().unwrap();
        let mut paste = Paste::new(1, read);
        assert!(matches!(paste.step(Instant::now() + PATIENCE), Step::Failed(_)));
    }

    #[test]
    fn too_much_is_refused_whole() {
        let (read, end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut provision = Provision::new(1, end).unwrap();
        assert!(provision.add(&vec![b'x'; limit::CLIPBOARD], false));
        assert!(!provision.add(b"x", true));
        drop(provision);
        assert_eq!(rustix::io::read(&read, &mut [0; 8]), Ok(0), "not one byte went through");
    }

    #[test]
    fn a_slow_reader_gets_all_of_it() {
        let (read, end) = pipe().unwrap();
        let mut provision = Provision::new(1, end).unwrap();
        assert!(provision.add(&vec![b'x'; 300_000], true));
        let now = Instant::now();
        let (mut got, mut buffer) = (0, vec![0; 50_000]);
        while provision.step(now) == Step::More {
            got += rustix::io::read(&read, &mut buffer[..]).unwrap();
        }
        drop(provision);
        while let Ok(len) = rustix::io::read(&read, &mut buffer[..])
            && len > 0
        {
            got += len;
        }
        assert_eq!(got, 300_000);
    }
}
