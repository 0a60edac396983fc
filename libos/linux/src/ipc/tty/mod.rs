//! Terminals: the console and pseudo-terminals. [`discipline`] is the pure part; here are the open files, job control
//! and the queues around it.

pub mod discipline;
mod ioctl;
pub mod job;
pub mod pty;
pub mod termios;

pub use job::open_tty;
pub use pty::{open_ptmx, open_pts};

use super::host_stream::Watched;
use super::{anonymous_metadata, poller, time_of_day};
use crate::fs::file::{flags, mode};
use crate::fs::{FileOps, Metadata, OpenFile, Poll, sigio};
use crate::io::{Sink, Source};
use crate::ipc::ring::Ring;
use crate::task::{Process, Thread};
use crate::wait::{self, Notify, WaitQueue};
use crate::{Errno, Mutex, Result, signal};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;
use discipline::{Discipline, Reaction};
use postern_pal::handle::Handle;
use termios::cc;

/// Bytes of output that wait for the master of a pseudo-terminal.
const MAX_OUTPUT: usize = 64 << 10;
/// Below this room the program waits: one character can become eight.
const MIN_ROOM: usize = 256;
/// Bytes of the program's output that are processed at a time.
const CHUNK: usize = 2048;
/// Device number of the devpts file system.
const DEV_PTS: u64 = 24;
/// Major device number of pseudo-terminals.
const PTS_MAJOR: u64 = 136;
const SIGHUP: u32 = 1;
const SIGCONT: u32 = 18;
const SIGWINCH: u32 = 28;

/// Rows, columns and pixels, as `struct winsize`.
pub type Window = [u16; 4];

struct State {
    discipline: Discipline,
    window: Window,
    /// Output that the master has not read.
    output: Ring,
    /// The session that this is the controlling terminal of, or 0.
    session: u32,
    /// The foreground process group, or 0.
    foreground: u32,
    /// The master has not unlocked the slave yet.
    locked: bool,
    /// The other side is gone for good.
    hung_up: bool,
    /// How many times the slave is open, and whether it was closed since it was last opened.
    slaves: u32,
    slave_closed: bool,
    /// Packet mode, and what to tell in it.
    packet: bool,
    packet_status: u8,
    exclusive: bool,
    owner: [u32; 2],
}

/// A terminal.
pub struct Tty {
    state: Mutex<State>,
    /// Of the program's side.
    queue: WaitQueue,
    /// Of a pseudo-terminal's master.
    master: WaitQueue,
    /// The host's terminal, for the console.
    host: Option<Watched>,
    number: u32,
    created: [i64; 2],
}

/// The terminals by number; the console, if there is one, has number 0.
static TERMINALS: Mutex<Vec<Option<Arc<Tty>>>> = Mutex::new(Vec::new());

impl Tty {
    /// A new terminal with the lowest free number.
    fn new(host: Option<Watched>, locked: bool, window: Window, owner: [u32; 2]) -> Arc<Self> {
        let mut all = TERMINALS.lock();
        let free = all.iter().position(Option::is_none);
        let at = free.unwrap_or(all.len());
        let state = State {
            discipline: Discipline::default(),
            window,
            output: Ring::new(),
            session: 0,
            foreground: 0,
            locked,
            hung_up: false,
            slaves: 0,
            slave_closed: false,
            packet: false,
            packet_status: 0,
            exclusive: false,
            owner,
        };
        let tty = Arc::new(Self {
            state: Mutex::new(state),
            queue: WaitQueue::new(),
            master: WaitQueue::new(),
            host,
            number: u32::try_from(at).unwrap_or(u32::MAX),
            created: time_of_day(),
        });
        match all.get_mut(at) {
            Some(slot) => *slot = Some(tty.clone()),
            None => all.push(Some(tty.clone())),
        }
        tty
    }

    /// The terminal `/dev/pts/number`.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn by_number(number: u32) -> Result<Arc<Self>> {
        let index = usize::try_from(number).map_err(|_| Errno::ENOENT)?;
        TERMINALS.lock().get(index).cloned().flatten().ok_or(Errno::ENOENT)
    }

    /// Number below `/dev/pts`.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    fn forget(&self) {
        let index = usize::try_from(self.number).unwrap_or(usize::MAX);
        let gone = TERMINALS.lock().get_mut(index).and_then(Option::take);
        drop(gone);
    }

    /// Shows bytes that are processed already: to the host, or to the master's queue as far as there is room.
    fn show(&self, state: &mut State, bytes: &[u8]) {
        if self.host.is_none() {
            let room = MAX_OUTPUT.saturating_sub(state.output.len());
            state.output.push(bytes.get(..bytes.len().min(room)).unwrap_or(&[]));
        }
    }

    /// Takes in bytes from the keyboard (the host's terminal or the master).
    fn input(&self, bytes: &[u8]) {
        let (reaction, foreground, readable, shown) = {
            let mut state = self.state.lock();
            let stopped = state.discipline.stopped;
            let reaction = state.discipline.input(bytes);
            if reaction.flush_output {
                state.output.clear();
                state.packet_status |= pty::FLUSH_WRITE | pty::FLUSH_READ;
            }
            match (stopped, state.discipline.stopped) {
                (false, true) => state.packet_status |= pty::STOP,
                (true, false) => state.packet_status |= pty::START,
                _ => {}
            }
            self.show(&mut state, &reaction.echo);
            let shown = !state.output.is_empty();
            (reaction, state.foreground, state.discipline.is_readable(), shown)
        };
        let Reaction { echo, signals, .. } = reaction;
        if let Some(host) = &self.host {
            // The terminal takes what is echoed, or nothing will: then it is lost, as on a line that is too slow.
            let _ = host.handle.write(&echo, None);
        }
        if foreground != 0 {
            for number in signals {
                signal::kernel_to_group(foreground, number);
            }
        }
        let told = |is: bool| if is { Poll::IN } else { Poll::empty() };
        self.queue.wake_for(told(readable));
        self.master.wake_for(told(shown));
    }

    /// Room for input was made.
    fn unthrottle(&self) {
        self.master.wake();
        self.arm();
    }

    /// The console wants to hear of its next input.
    fn arm(&self) {
        if let Some(host) = &self.host {
            let (room, hung_up) = {
                let state = self.state.lock();
                (state.discipline.room(), state.hung_up)
            };
            if room > 0 && !hung_up {
                poller::wait_handle(&host.handle, poller::IN, &host.queue);
            }
        }
    }

    /// Sets the size of the window; the foreground group hears of a change.
    pub fn set_window(&self, window: Window) {
        let foreground = {
            let mut state = self.state.lock();
            if state.window == window {
                return;
            }
            state.window = window;
            state.foreground
        };
        if foreground != 0 {
            signal::kernel_to_group(foreground, SIGWINCH);
        }
    }

    /// The line is dead: who reads gets an end of file, who writes an error, the session's leader a SIGHUP.
    fn hang_up(&self) {
        let session = {
            let mut state = self.state.lock();
            if state.hung_up {
                return;
            }
            state.hung_up = true;
            state.foreground = 0;
            core::mem::take(&mut state.session)
        };
        if session != 0 {
            if let Some(leader) = crate::task::process::find(session) {
                signal::kernel_to_process(&leader, SIGHUP);
                signal::kernel_to_process(&leader, SIGCONT);
            }
            job::drop_terminal(session);
        }
        self.queue.wake();
        self.master.wake();
    }

    fn try_read(&self, sink: &mut Sink<'_>, min: usize) -> Option<Result<usize>> {
        let mut state = self.state.lock();
        if state.hung_up {
            return Some(Ok(0));
        }
        let discipline = &mut state.discipline;
        let ready = if discipline.termios.lflag & termios::local::ICANON != 0 {
            discipline.is_readable()
        } else {
            discipline.available() >= min
        };
        if !ready {
            return None;
        }
        let full = discipline.room() == 0;
        let result = discipline.read(sink);
        drop(state);
        if full || self.host.is_some() {
            self.unthrottle();
        }
        Some(result)
    }

    fn read(&self, thread: &Thread, nonblocking: bool, sink: &mut Sink<'_>) -> Result<usize> {
        job::may_read(self, thread)?;
        if sink.left() == 0 {
            return Ok(0);
        }
        let (canonical, min, time) = {
            let state = self.state.lock();
            let termios = &state.discipline.termios;
            let canonical = termios.lflag & termios::local::ICANON != 0;
            (canonical, termios.number(cc::MIN), termios.number(cc::TIME))
        };
        let min = if canonical { 1 } else { min };
        let time = if canonical { 0 } else { time };
        let tenths = |count: usize| postern_pal::clock::now() + count as u64 * 100_000_000;
        if min == 0 {
            // TIME limits the whole wait; without it nothing is waited for.
            let result = self.try_read(sink, 1);
            if let Some(result) = result {
                return result;
            }
            if time == 0 || nonblocking {
                return if nonblocking { Err(Errno::EAGAIN) } else { Ok(0) };
            }
            let result = wait::block(thread, &[&self.queue], Some(tenths(time)), || self.try_read(sink, 1));
            return if result == Err(Errno::ETIMEDOUT) { Ok(0) } else { result };
        }
        let wanted = if time > 0 { 1 } else { min.min(sink.left()) };
        if let Some(result) = self.try_read(sink, if nonblocking { 1 } else { wanted })
            && (time == 0 || nonblocking)
        {
            return result;
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        if time == 0 {
            let result = wait::block(thread, &[&self.queue], None, || {
                // A process that went to the background meanwhile must not steal the input.
                match job::may_read(self, thread) {
                    Ok(()) => self.try_read(sink, wanted),
                    Err(error) => Some(Err(error)),
                }
            });
            return result;
        }
        self.read_with_timer(thread, sink, min, time)
    }

    /// MIN and TIME both set: TIME limits the pause between two bytes, from the first one on.
    fn read_with_timer(
        &self,
        thread: &Thread,
        sink: &mut Sink<'_>,
        min: usize,
        time: usize,
    ) -> Result<usize> {
        let before = sink.left();
        loop {
            let got = before - sink.left();
            if got >= min || sink.left() == 0 {
                return Ok(got);
            }
            let pause = (got > 0).then(|| postern_pal::clock::now() + time as u64 * 100_000_000);
            match wait::block(thread, &[&self.queue], pause, || self.try_read(sink, 1)) {
                Ok(0) | Err(Errno::ETIMEDOUT) => return Ok(before - sink.left()),
                Ok(_) => {}
                Err(error) if before == sink.left() => return Err(error),
                Err(_) => return Ok(before - sink.left()),
            }
        }
    }

    /// One piece of a write. `None` = must wait.
    fn try_write(&self, source: &mut Source<'_>, done: &mut usize) -> Option<Result<()>> {
        loop {
            if source.left() == 0 {
                return Some(Ok(()));
            }
            let mut out = Vec::new();
            {
                let mut state = self.state.lock();
                if state.hung_up {
                    return Some(Err(Errno::EIO));
                }
                if state.discipline.stopped {
                    return None;
                }
                let room = MAX_OUTPUT.saturating_sub(state.output.len());
                if room < MIN_ROOM {
                    return None;
                }
                let bytes = match source.take_vec(CHUNK.min(room / 8)) {
                    Ok(bytes) => bytes,
                    Err(error) => return Some(Err(error)),
                };
                if bytes.is_empty() {
                    return Some(Ok(()));
                }
                *done += bytes.len();
                state.discipline.output(&bytes, &mut out);
                self.show(&mut state, &out);
            }
            if let Some(host) = &self.host {
                let mut rest = out.as_slice();
                while !rest.is_empty() {
                    match host.handle.write(rest, None) {
                        Ok(count) => rest = rest.get(count..).unwrap_or(&[]),
                        Err(Errno::EINTR) => {}
                        Err(Errno::EAGAIN) => {
                            let mut entry = [postern_pal::handle::PollEntry::new(&host.handle, poller::OUT)];
                            postern_pal::handle::poll(&mut entry, Some(100_000_000));
                        }
                        Err(error) => return Some(Err(error)),
                    }
                }
            } else {
                self.master.wake_for(Poll::IN);
            }
        }
    }

    fn write(&self, thread: &Thread, nonblocking: bool, source: &mut Source<'_>) -> Result<usize> {
        job::may_write(self, thread)?;
        let mut done = 0;
        let result = match self.try_write(source, &mut done) {
            Some(result) => result,
            None if nonblocking => Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.queue], None, || self.try_write(source, &mut done)),
        };
        match result {
            Err(error) if done == 0 => Err(error),
            _ => Ok(done),
        }
    }

    fn metadata(&self) -> Metadata {
        let owner = self.state.lock().owner;
        let ino = u64::from(self.number) + 3;
        let mut metadata = anonymous_metadata(DEV_PTS, ino, mode::S_IFCHR | 0o620, self.created, owner);
        // makedev: minor numbers above 255 go above the major.
        let minor = u64::from(self.number);
        metadata.rdev = (minor & 0xff) | PTS_MAJOR << 8 | (minor & !0xff) << 12;
        metadata.blksize = 1024;
        metadata
    }
}

/// The program's side of a terminal as an open file.
pub struct Slave {
    tty: Arc<Tty>,
}

impl Slave {
    fn open(tty: &Arc<Tty>) -> Arc<Self> {
        {
            let mut state = tty.state.lock();
            state.slaves += 1;
            state.slave_closed = false;
        }
        tty.master.wake();
        Arc::new(Self { tty: tty.clone() })
    }

    /// The terminal.
    #[must_use]
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl FileOps for Slave {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        self.tty.read(thread, file.is_nonblocking(), sink)
    }

    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        _: Option<u64>,
    ) -> Result<usize> {
        self.tty.write(thread, file.is_nonblocking(), source)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let state = self.tty.state.lock();
        if state.hung_up {
            return Poll::IN | Poll::OUT | Poll::RDNORM | Poll::WRNORM | Poll::ERR | Poll::HUP;
        }
        let mut ready = Poll::empty();
        if state.discipline.is_readable() {
            ready |= Poll::IN | Poll::RDNORM;
        }
        if !state.discipline.stopped && MAX_OUTPUT.saturating_sub(state.output.len()) >= MIN_ROOM {
            ready |= Poll::OUT | Poll::WRNORM;
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.queue)
    }

    fn async_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.queue)
    }

    fn default_owner(&self, by: &Process) -> Option<(sigio::Kind, u32)> {
        match self.tty.state.lock().foreground {
            0 => Some((sigio::Kind::Process, by.pid)),
            group => Some((sigio::Kind::Group, group)),
        }
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(self.tty.metadata())
    }

    fn ioctl(&self, thread: &Thread, _: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        ioctl::slave(&self.tty, thread, request, argument)
    }

    fn release(&self, _: &OpenFile) {
        {
            let mut state = self.tty.state.lock();
            state.slaves = state.slaves.saturating_sub(1);
            state.slave_closed = state.slaves == 0;
        }
        self.tty.master.wake();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Reads the host's terminal when the poller says that there is something.
struct Pump {
    tty: Weak<Tty>,
}

impl Notify for Pump {
    fn notify(&self) {
        let Some(tty) = self.tty.upgrade() else { return };
        let Some(host) = &tty.host else { return };
        let mut buf = [0; 1024];
        if host.look(poller::IN) != 0 {
            match host.handle.read(&mut buf, None) {
                Ok(0) => return tty.hang_up(),
                Ok(count) => tty.input(buf.get(..count).unwrap_or(&[])),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => return tty.hang_up(),
            }
        }
        tty.arm();
    }
}

/// Keeps the console's pump alive.
static PUMP: Mutex<Option<Arc<Pump>>> = Mutex::new(None);

/// Makes the terminal behind `handle` the console, with `process` as the leader of its session.
#[must_use]
pub fn console(handle: Arc<Handle>, window: Window, owner: [u32; 2], process: &Arc<Process>) -> Arc<Tty> {
    let queue = Arc::new(WaitQueue::new());
    let tty = Tty::new(Some(Watched::new(handle, queue.clone())), false, window, owner);
    {
        let mut state = tty.state.lock();
        state.discipline.termios.iflag |= termios::input::IUTF8;
        state.session = process.session.load(Ordering::Relaxed);
        state.foreground = process.group.load(Ordering::Relaxed);
    }
    *process.terminal.lock() = Some(tty.clone());
    let pump = Arc::new(Pump { tty: Arc::downgrade(&tty) });
    let notify: Weak<Pump> = Arc::downgrade(&pump);
    // The console lives as long as the family, so its place in the queue is never given up.
    let _ = queue.subscribe(notify);
    *PUMP.lock() = Some(pump);
    tty.arm();
    tty
}

/// An open file of the console, for a standard stream.
#[must_use]
pub fn open_console(tty: &Arc<Tty>) -> Arc<OpenFile> {
    OpenFile::new(Slave::open(tty), flags::O_RDWR)
}

/// What stat tells of `/dev/pts/number`.
///
/// # Errors
/// `ENOENT`.
pub fn metadata_of(number: u32) -> Result<Metadata> {
    Ok(Tty::by_number(number)?.metadata())
}

/// Numbers of all terminals, for listing `/dev/pts`.
#[must_use]
pub fn list_pts() -> Vec<u32> {
    TERMINALS.lock().iter().flatten().map(|tty| tty.number).collect()
}

/// The number below `/dev/pts` of an open terminal, for `/proc/PID/fd`.
#[must_use]
pub fn number_of(ops: &dyn FileOps) -> Option<u32> {
    ops.as_any().downcast_ref::<Slave>().map(|slave| slave.tty.number)
}
