//! One transfer through a pipe. Nothing is gathered on the way: a pipe is read only while the app's side takes what
//! comes, and the app's side sends no more than [`limit::WINDOW`] pieces ahead of the pipe's reader.

use crate::app::App;
use crate::config::{BridgeError, malformed};
use postern_channel::{Data, DataState, Message, Request, limit};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A transfer that does not move for so long is given up.
pub const PATIENCE: Duration = Duration::from_secs(30);

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

/// Answers or goes on with a transfer.
pub fn say(app: &mut App, transfer: u32, state: u32, piece: &[u8]) {
    app.send(&Message::Data(Data { transfer, state }, piece));
}

/// Data on its way from the session to the app.
pub struct Paste {
    /// The app's number of the transfer.
    pub transfer: u32,
    /// What it belongs to: a [`postern_channel::Selection`].
    pub selection: u32,
    pipe: OwnedFd,
    /// Pieces that the app has not taken yet.
    ahead: u32,
    total: u64,
    last: Instant,
}

impl Paste {
    pub fn new(request: Request, pipe: OwnedFd) -> Self {
        let Request { transfer, selection } = request;
        Self { transfer, selection, pipe, ahead: 0, total: 0, last: Instant::now() }
    }

    /// The pipe, if it is to be read now.
    pub fn readable(&self) -> Option<&OwnedFd> {
        (self.ahead < limit::WINDOW).then_some(&self.pipe)
    }

    /// The app took a piece.
    pub fn taken(&mut self, now: Instant) {
        self.ahead = self.ahead.saturating_sub(1);
        self.last = now;
    }

    pub fn step(&mut self, now: Instant, app: &mut App) -> Step {
        let mut piece = [0; limit::PIECE];
        while self.ahead < limit::WINDOW && app.is_short() {
            match read(&self.pipe, &mut piece[..]) {
                Ok(0) => {
                    say(app, self.transfer, DataState::LAST, &[]);
                    return Step::Done;
                }
                Ok(len) => {
                    self.total = self.total.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
                    if self.total > limit::TRANSFER {
                        return Step::Failed("it is larger than what may be pasted");
                    }
                    say(app, self.transfer, DataState::MORE, piece.get(..len).unwrap_or(&[]));
                    self.ahead = self.ahead.saturating_add(1);
                    self.last = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Step::Failed("its pipe failed"),
            }
        }
        if now.saturating_duration_since(self.last) < PATIENCE {
            Step::More
        } else if self.ahead < limit::WINDOW {
            Step::Failed("its owner does not send it")
        } else {
            Step::Failed("the app does not read it")
        }
    }
}

/// What becomes of a list of files before it goes out.
enum List {
    /// It comes in. It is small, so it is gathered.
    Comes(Vec<u8>),
    /// The monitor looks at it: the number of the question.
    Asked(u32, Vec<u8>),
}

/// Data on its way from the app to the session.
pub struct Provision {
    /// The bridge's number of the transfer.
    pub transfer: u32,
    /// What it belongs to: a [`postern_channel::Selection`].
    pub selection: u32,
    pipe: OwnedFd,
    pieces: VecDeque<Box<[u8]>>,
    /// Bytes of the first piece that are written.
    written: usize,
    /// The app has sent all.
    is_whole: bool,
    total: u64,
    last: Instant,
    list: Option<List>,
}

impl Provision {
    /// Into a pipe. `is_list`: what comes is a list of files, which the monitor is to look at first.
    pub fn new(request: Request, pipe: OwnedFd, is_list: bool) -> Result<Self, Errno> {
        let Request { transfer, selection } = request;
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            transfer,
            selection,
            pipe,
            pieces: VecDeque::new(),
            written: 0,
            is_whole: false,
            total: 0,
            last: Instant::now(),
            list: is_list.then(|| List::Comes(Vec::new())),
        })
    }

    /// The pipe, if something waits to be written.
    pub fn writable(&self) -> Option<&OwnedFd> {
        (!self.pieces.is_empty()).then_some(&self.pipe)
    }

    /// Adds a piece. False: it is too much for a transfer.
    pub fn add(&mut self, piece: &[u8], is_last: bool, app: &mut App) -> Result<bool, BridgeError> {
        if self.is_whole || self.pieces.len() > usize::try_from(limit::WINDOW).unwrap_or(0) {
            return Err(malformed("more pieces of a transfer than it may"));
        }
        self.last = Instant::now();
        self.is_whole = is_last;
        self.total = self.total.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        match &mut self.list {
            Some(List::Comes(text)) => {
                text.extend(piece);
                if !is_last {
                    say(app, self.transfer, DataState::TAKEN, &[]);
                }
                return Ok(self.total <= super::files::LIST);
            }
            Some(List::Asked(..)) => {}
            None if piece.is_empty() => {}
            None => self.pieces.push_back(piece.into()),
        }
        Ok(self.total <= limit::TRANSFER)
    }

    /// The list of files, once it is whole, to be asked about under this number.
    pub fn ask(&mut self, question: u32) -> Option<&[u8]> {
        let Some(List::Comes(text)) = self.list.as_mut().filter(|_| self.is_whole) else { return None };
        let text = std::mem::take(text);
        self.list = Some(List::Asked(question, text));
        match &self.list {
            Some(List::Asked(_, text)) => Some(text),
            _ => None,
        }
    }

    /// The answer to a question: what the list becomes, if the question was this one's.
    pub fn answered(&mut self, question: u32, change: impl FnOnce(&[u8]) -> Vec<u8>) -> bool {
        let Some(List::Asked(_, text)) =
            self.list.take_if(|l| matches!(l, List::Asked(q, _) if *q == question))
        else {
            return false;
        };
        self.pieces.push_back(change(&text).into());
        true
    }

    pub fn step(&mut self, now: Instant, app: &mut App) -> Step {
        while let Some(piece) = self.pieces.front() {
            let rest = piece.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.pieces.pop_front();
                self.written = 0;
                if !self.is_whole {
                    say(app, self.transfer, DataState::TAKEN, &[]);
                }
                continue;
            }
            match write(&self.pipe, rest) {
                Ok(len) => {
                    self.written = self.written.saturating_add(len);
                    self.last = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Step::Failed("nobody reads it"),
            }
        }
        if self.is_whole && self.pieces.is_empty() && self.list.is_none() {
            Step::Done
        } else if now.saturating_duration_since(self.last) < PATIENCE {
            Step::More
        } else {
            Step::Failed("it takes too long")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

    const REQUEST: Request = Request { transfer: 1, selection: postern_channel::Selection::CLIPBOARD };

    fn app() -> (App, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        (App::new(ours), theirs)
    }

    /// What the app gets next: state and piece.
    fn next(app: &mut App, end: &OwnedFd) -> Option<(u32, Vec<u8>)> {
        app.flush().unwrap();
        let mut bytes = vec![0; postern_channel::MAX_MESSAGE];
        let (len, _) = recv(end, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
        match Message::decode(&bytes[..len]).unwrap() {
            Message::Data(data, piece) => Some((data.state, piece.to_vec())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_paste_goes_on_as_the_app_takes_it() {
        let (mut app, end) = app();
        let (from, to) = pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&to, 1 << 20).unwrap();
        let mut paste = Paste::new(REQUEST, from);
        let now = Instant::now();
        assert_eq!(paste.step(now, &mut app), Step::More);
        let window = usize::try_from(limit::WINDOW).unwrap();
        write(&to, &vec![b'x'; limit::PIECE * (window + 2)]).unwrap();
        drop(to);
        assert_eq!(paste.step(now, &mut app), Step::More);
        for _ in 0..window {
            assert_eq!(next(&mut app, &end).unwrap().1.len(), limit::PIECE);
        }
        assert_eq!(next(&mut app, &end), None, "no more than the window");
        assert!(paste.readable().is_none());
        paste.taken(now);
        assert_eq!(paste.step(now, &mut app), Step::More);
        assert!(next(&mut app, &end).is_some());
        assert_eq!(next(&mut app, &end), None);
        (0..3).for_each(|_| paste.taken(now));
        assert_eq!(paste.step(now, &mut app), Step::Done);
        assert_eq!(next(&mut app, &end).unwrap().0, DataState::MORE);
        assert_eq!(next(&mut app, &end), Some((DataState::LAST, Vec::new())));
    }

    #[test]
    fn a_paste_that_never_comes_is_given_up() {
        let (mut app, _end) = app();
        let (read, _writer) = pipe().unwrap();
        let mut paste = Paste::new(REQUEST, read);
        assert!(matches!(paste.step(Instant::now() + PATIENCE, &mut app), Step::Failed(_)));
    }

    #[test]
    fn an_app_that_sends_ahead_of_the_reader_is_refused() {
        let (mut app, _end) = app();
        let (_read, to) = pipe().unwrap();
        let mut provision = Provision::new(REQUEST, to, false).unwrap();
        let piece = vec![b'x'; limit::PIECE];
        let sent = (0..100).take_while(|_| provision.add(&piece, false, &mut app).is_ok()).count();
        assert!(sent <= usize::try_from(limit::WINDOW).unwrap() + 1, "{sent}");
    }

    #[test]
    fn a_slow_reader_gets_all_of_it() {
        let (mut app, end) = app();
        let (from, to) = pipe().unwrap();
        let mut provision = Provision::new(REQUEST, to, false).unwrap();
        let now = Instant::now();
        let (mut got, mut buffer, mut sent, mut window) = (0, vec![0; 50_000], 0, limit::WINDOW);
        let mut done = false;
        while got < 100 * limit::PIECE {
            while window > 0 && sent < 100 {
                sent += 1;
                window -= 1;
                assert!(provision.add(&vec![b'x'; limit::PIECE], sent == 100, &mut app).unwrap());
            }
            if !done {
                done = provision.step(now, &mut app) == Step::Done;
            }
            while let Some((state, _)) = next(&mut app, &end) {
                assert_eq!(state, DataState::TAKEN);
                window += 1;
            }
            if let Ok(len) = read(&from, &mut buffer[..]) {
                got += len;
            }
        }
        assert!(done || provision.step(now, &mut app) == Step::Done);
    }
}
