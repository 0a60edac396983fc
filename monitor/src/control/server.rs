//! The monitor's side of the control socket.

use super::{MAX_LINE, Reply, Request, Sandbox, Status};
use crate::paths;
use crate::shared::{News, Shared};
use crate::usage::Usage;
use nix::sys::socket::{getsockopt, sockopt};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Shortest interval between two states that a client gets unasked.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// Stack of a client's thread, in bytes.
const STACK: usize = 256 * 1024;

/// The listening control socket; its name goes away with it.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    listener: UnixListener,
}

impl Server {
    /// Listens as `instance`.
    ///
    /// # Errors
    /// The host's.
    pub fn new(instance: &str) -> io::Result<Self> {
        paths::check_id(instance)?;
        let path = paths::runtime()?.join(format!("{instance}.sock"));
        // A monitor with the same number may have died and left its name.
        if UnixStream::connect(&path).is_err() {
            let _ = std::fs::remove_file(&path);
        }
        // The directory is the user's alone, so nobody gets in before the mode is set.
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { path, listener })
    }

    /// Readable when a client waits.
    #[must_use]
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes a client and serves it in a thread of its own.
    pub fn accept(&self, shared: &Arc<Shared>, usage: &Arc<Usage>) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let same_user = getsockopt(&stream, sockopt::PeerCredentials)
            .is_ok_and(|peer| peer.uid() == nix::unistd::geteuid().as_raw());
        if !same_user || stream.set_nonblocking(false).is_err() {
            return;
        }
        let (shared, usage) = (Arc::clone(shared), Arc::clone(usage));
        let thread = std::thread::Builder::new().name("control".to_owned()).stack_size(STACK);
        // A client that cannot be served sees the connection closed.
        let _ = thread.spawn(move || serve(&shared, &usage, stream));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(shared: &Shared, usage: &Usage, stream: UnixStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        match (&mut stream).take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let (reply, then) = match serde_json::from_slice::<Request>(&line) {
            Err(error) => (Reply::Error(format!("not a request: {error}")), None),
            Ok(Request::Subscribe { interval_ms, memory }) => {
                let interval = Duration::from_millis(interval_ms).max(MIN_INTERVAL);
                loop {
                    let status = Reply::Status(Box::new(status(shared, usage, memory)));
                    if send(stream.get_mut(), &status).is_err() {
                        return;
                    }
                    std::thread::sleep(interval);
                }
            }
            // The client hears first: the monitor may be gone right after it was told.
            Ok(Request::Stop) => (Reply::Done, Some(News::Stop)),
            Ok(Request::Kill) => (Reply::Done, Some(News::Kill)),
            Ok(Request::Status { memory }) => (Reply::Status(Box::new(status(shared, usage, memory))), None),
            Ok(Request::Attach { socket }) => (attach(shared, socket), None),
            Ok(Request::Permit { permission, value }) => (permit(shared, &permission, &value), None),
        };
        let sent = send(stream.get_mut(), &reply);
        if let Some(news) = then {
            shared.mailbox.tell(news);
        }
        if sent.is_err() {
            return;
        }
    }
}

fn send(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn permit(shared: &Shared, permission: &str, value: &str) -> Reply {
    match shared.permit(permission, value) {
        Ok(effect) => Reply::Permitted(effect),
        Err(error) => Reply::Error(error.to_string()),
    }
}

/// Has the windows shown by the compositor behind `socket`.
fn attach(shared: &Shared, socket: PathBuf) -> Reply {
    if !shared.display {
        return Reply::Error(format!("{} was started without a display", shared.name));
    }
    // Not a mistake that should cost the app the session it is shown in.
    if !socket.is_absolute() {
        return Reply::Error(format!("{} is not an absolute path", socket.display()));
    }
    if let Err(error) = crate::display::is_listening(&socket) {
        return Reply::Error(format!(
            "there is no Wayland session at {}: {}",
            socket.display(),
            error.desc()
        ));
    }
    shared.mailbox.tell(News::Attach(socket));
    Reply::Done
}

/// The state of the app now.
#[must_use]
pub fn status(shared: &Shared, usage: &Usage, memory: bool) -> Status {
    let measured = usage.measure(memory);
    let bridge = usage.bridge.load(Ordering::Relaxed);
    let weaker = usage.weaker();
    let host_calls = crate::filter::HOST_CALLS.len() - usize::from(weaker.is_some());
    Status {
        app: shared.app.clone(),
        name: shared.name.clone(),
        instance: shared.instance.clone(),
        command: shared.command.clone(),
        pid: std::process::id(),
        bridge_pid: (bridge != 0).then_some(bridge),
        keeper_pid: usage.keeper(),
        started: usage.started,
        uptime_ms: u64::try_from(usage.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        processes: measured.processes,
        threads: measured.threads,
        process_names: shared
            .account
            .processes()
            .into_iter()
            .map(|(pid, process)| (pid, process.name))
            .collect(),
        cpu_us: measured.cpu_us,
        rss_bytes: measured.rss_bytes,
        pss_bytes: measured.pss_bytes,
        io: measured.io,
        network: shared.network.traffic(),
        downcalls: shared.account.calls(),
        frames: usage.frames.load(Ordering::Relaxed),
        copied_frames: usage.copied_frames.load(Ordering::Relaxed),
        denied: shared.account.denied(),
        unsupported: shared.account.unsupported_list(),
        permissions: shared.permissions(),
        at_next_start: shared.at_next_start(),
        dropped: shared.dropped(),
        sandbox: Sandbox {
            namespaces: weaker.is_none(),
            weaker,
            host_syscalls: u32::try_from(host_calls).unwrap_or(0),
        },
        display: shared.display,
    }
}
