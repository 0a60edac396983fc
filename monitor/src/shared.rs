//! What the threads of a monitor share.

use crate::account::{Account, lock};
use crate::config::permission_bits;
use crate::console::Console;
use crate::files::{MountError, Mounts};
use crate::network::Network;
use crate::permission::{Effect, FileGrant, PermissionError, Permissions, effect_of};
use crate::starts::Start;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use postern_abi::event::{Event, EventKind};
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use zerocopy::IntoBytes as _;

/// How often, and after which pause, an event is tried to be sent to a family that has many to read.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// What other threads tell the main thread.
#[derive(Debug)]
pub enum News {
    /// The initial process ended, with this wait status.
    Exit(u64),
    /// All processes ended.
    Empty,
    /// A process died of a signal: guest pid, signal, faulting address, instruction pointer, details.
    Crash([u64; 4], Vec<u8>),
    /// The library OS found itself broken.
    Panic(String),
    /// Something to be printed.
    Message(String),
    /// The permissions changed: [`postern_abi::boot::permission`] bits.
    Permissions(u32),
    /// The windows are to be shown by the compositor behind this socket.
    Attach(std::path::PathBuf),
    /// The family has made, or cannot make, the mount with this number.
    Mounted(u32),
    /// Somebody asked the app to end.
    Stop,
    /// Somebody asked for the end of the app.
    Kill,
}

/// Tells the main thread.
#[derive(Debug)]
pub struct Mailbox {
    sender: Sender<News>,
    wake: OwnedFd,
}

impl Mailbox {
    /// A mailbox, and its reading ends: the news, and a descriptor that is readable when there are some.
    ///
    /// # Errors
    /// The host's.
    pub fn new() -> nix::Result<(Self, Receiver<News>, OwnedFd)> {
        let (sender, receiver) = channel();
        let flags = nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK;
        let (read, wake) = nix::unistd::pipe2(flags)?;
        Ok((Self { sender, wake }, receiver, read))
    }

    /// Puts news into the mailbox.
    pub fn tell(&self, news: News) {
        if self.sender.send(news).is_ok() {
            // A full pipe wakes as well.
            let _ = nix::unistd::write(&self.wake, &[1]);
        }
    }
}

/// What the threads of a monitor share.
pub struct Shared {
    /// The app's id.
    pub app: String,
    /// Its name as shown.
    pub name: String,
    /// This run.
    pub instance: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether logs of the library OS are printed.
    pub verbose: bool,
    /// `file:` streams.
    pub mounts: Mounts,
    /// `tcp:` and `udp:` streams.
    pub network: Network,
    /// The `console:` stream.
    pub console: Console,
    /// Counts.
    pub account: Account,
    /// The main thread's mailbox.
    pub mailbox: Mailbox,
    /// Events to the family.
    pub events: OwnedFd,
    /// Whether the app has a display.
    pub display: bool,
    /// What the app looks up while it starts. None without a display: nobody waits for a window then.
    pub start: Option<Start>,
    permissions: Mutex<Permissions>,
    at_next_start: Mutex<Vec<String>>,
    dropped: Mutex<Vec<PathBuf>>,
}

/// The parts of [`Shared`] that need no lock.
pub struct Parts {
    /// The app's id, its name, this run, and program and arguments.
    pub names: (String, String, String, Vec<String>),
    /// Whether logs of the library OS are printed.
    pub verbose: bool,
    /// `file:` streams.
    pub mounts: Mounts,
    /// The `console:` stream.
    pub console: Console,
    /// The main thread's mailbox.
    pub mailbox: Mailbox,
    /// Events to the family.
    pub events: OwnedFd,
    /// Whether the app has a display.
    pub display: bool,
    /// What the app looks up while it starts.
    pub start: Option<Start>,
    /// What the app may do at first.
    pub permissions: Permissions,
}

impl Shared {
    /// The state of a monitor that begins.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (app, name, instance, command) = parts.names;
        Self {
            app,
            name,
            instance,
            command,
            verbose: parts.verbose,
            mounts: parts.mounts,
            network: Network::default(),
            console: parts.console,
            account: Account::default(),
            mailbox: parts.mailbox,
            events: parts.events,
            display: parts.display,
            start: parts.start,
            permissions: Mutex::new(parts.permissions),
            at_next_start: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    /// What the app may do now.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        lock(&self.permissions).clone()
    }

    /// Permissions that were changed but hold only after the next start.
    #[must_use]
    pub fn at_next_start(&self) -> Vec<String> {
        lock(&self.at_next_start).clone()
    }

    /// What the user dropped on the app, and it has from then on.
    #[must_use]
    pub fn dropped(&self) -> Vec<PathBuf> {
        lock(&self.dropped).clone()
    }

    /// Gives the app a file or folder that the user dropped on it. Returns the number of the mount that the family has
    /// to make for that first; `None` if it has it already.
    ///
    /// # Errors
    /// If the app is not to have it.
    pub fn grant_dropped(&self, path: &Path) -> Result<Option<u32>, MountError> {
        let grant = FileGrant { path: path.to_owned(), write: true };
        let Some(mount) = self.grant(&grant)? else { return Ok(None) };
        {
            let mut permissions = lock(&self.permissions);
            permissions.files.retain(|other| other.path != grant.path);
            permissions.files.push(grant);
        }
        lock(&self.dropped).push(path.to_owned());
        Ok(Some(mount))
    }

    /// Mounts what is granted in the running family. Returns the number of the mount; `None` if the family has it already.
    fn grant(&self, grant: &FileGrant) -> Result<Option<u32>, MountError> {
        let Some(mount) = self.mounts.add_late(grant)? else { return Ok(None) };
        let place = grant.path.as_os_str().as_bytes();
        let args = [mount.id.into(), mount.flags.into(), u64::try_from(place.len()).unwrap_or(0)];
        self.send_named_event(EventKind::Mounted, args, place, None);
        Ok(Some(mount.id))
    }

    /// Changes a permission. What can act at once does: streams that are no longer permitted are shut down, files that
    /// are granted appear.
    ///
    /// # Errors
    /// If there is no such permission or value.
    pub fn permit(&self, name: &str, value: &str) -> Result<Effect, PermissionError> {
        let bits = {
            let mut permissions = lock(&self.permissions);
            permissions.set(name, value)?;
            permission_bits(&permissions)
        };
        let granted = (name == "files").then(|| FileGrant::added_by(value)).flatten();
        if granted.is_some_and(|grant| self.grant(&grant).is_ok()) {
            return Ok(Effect::Now);
        }
        let effect = effect_of(name);
        if effect == Effect::NextStart {
            let mut waiting = lock(&self.at_next_start);
            if !waiting.iter().any(|waiting| waiting == name) {
                waiting.push(name.to_owned());
            }
            return Ok(effect);
        }
        self.network.revoke(&self.permissions().network);
        self.mailbox.tell(News::Permissions(bits));
        self.send_event(EventKind::Permissions, [bits.into(), 0, 0], None);
        Ok(effect)
    }

    /// Sends an event to the family. A family that does not listen misses it.
    pub fn send_event(&self, kind: EventKind, args: [u64; 3], handle: Option<BorrowedFd<'_>>) {
        self.send_named_event(kind, args, &[], handle);
    }

    fn send_named_event(&self, kind: EventKind, args: [u64; 3], name: &[u8], handle: Option<BorrowedFd<'_>>) {
        let event = Event { kind: kind as u32, reserved: 0, args };
        let fds = handle.map(|fd| [fd.as_raw_fd()]);
        let control: Vec<ControlMessage<'_>> = fds.iter().map(|f| ControlMessage::ScmRights(f)).collect();
        let parts = [IoSlice::new(event.as_bytes()), IoSlice::new(name)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        for _ in 0..TRIES {
            let sent = sendmsg::<()>(self.events.as_raw_fd(), &parts, &control, flags, None);
            if sent != Err(Errno::EAGAIN) {
                return;
            }
            // Many changes of files may be on the way.
            std::thread::sleep(PAUSE);
        }
    }
}
