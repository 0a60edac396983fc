//! The monitor's process: starts the family, serves it, and sees it end.

use crate::config::{Config, Session, permission_bits};
use crate::console::Console;
use crate::control::server;
use crate::display::{Bridge, Outcome};
use crate::dropping::Dropping;
use crate::family::{self, Family, StartError, Started};
use crate::launch::{OWN_FAILURE, standard_streams, told};
use crate::report::{Kind, Report};
use crate::sandbox::Step;
use crate::shared::{Mailbox, News, Parts, Shared};
use crate::starts::Start;
use crate::sys::memory::Text;
use crate::usage::Usage;
use crate::{boot, crash, files, gate, host, sys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use postern_abi::boot::{Boot, display, stdio};
use postern_abi::event::EventKind;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long an app that was asked to end may take.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long an app takes to start up, with some to spare.
pub(crate) const START_UP: Duration = Duration::from_secs(2);

/// Runs the monitor until the family is gone. Called in a process of its own with one thread.
pub fn main(config: Config, image: &'static [u8], channel: OwnedFd, launcher: Pid) -> u8 {
    sys::process::set_name(c"postern-monitor");
    let channel = Arc::new(channel);
    match Monitor::start(config, image, Arc::clone(&channel), launcher) {
        Ok(mut monitor) => {
            monitor.run();
            0
        }
        Err(error) => {
            tell_launcher(&channel, told::TEXT, error.to_string().as_bytes());
            tell_launcher(&channel, told::STATUS, &[OWN_FAILURE]);
            0
        }
    }
}

pub(crate) fn tell_launcher(channel: &OwnedFd, kind: u8, text: &[u8]) {
    let mut message = vec![kind];
    message.extend_from_slice(text);
    message.truncate(crate::launch::MAX_MESSAGE);
    let _ = send(channel.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL);
}

struct Monitor {
    shared: Arc<Shared>,
    channel: Option<Arc<OwnedFd>>,
    news: Receiver<News>,
    wake: OwnedFd,
    /// Dropped when the image runs: it holds the family's handles, so that streams end with the family.
    family: Option<Family>,
    started: Started,
    /// Whether the image is known to run.
    runs: bool,
    /// Gates that nobody asked anything on yet.
    idle_gates: Vec<OwnedFd>,
    bridge: Option<Bridge>,
    /// Whether the app showed windows when it was started before.
    had_windows: bool,
    dropping: Dropping,
    server: Option<server::Server>,
    usage: Arc<Usage>,
    /// When what still runs is ended.
    deadline: Option<Instant>,
    /// When the memory that only start-up needed is given back.
    settled: Option<Instant>,
    status_told: bool,
    /// Whether the monitor itself ended the family.
    killed: bool,
    finished: bool,
    json_report: Option<std::path::PathBuf>,
    _home_lock: Option<std::fs::File>,
}

/// Makes the monitor independent of the launcher's terminal: a signal for the launcher's group is the launcher's to
/// pass on.
fn leave_group() -> Result<(), Errno> {
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    for signal in [Signal::SIGHUP, Signal::SIGTTOU, Signal::SIGTTIN, Signal::SIGPIPE] {
        sys::process::set_ignored(signal, true)?;
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()
}

/// Copies of the standard streams for the family; the monitor's own become `/dev/null`, so that a pipe ends when the
/// app has closed it.
fn take_streams() -> Result<[OwnedFd; 3], Errno> {
    let [a, b, c] = standard_streams().map(|fd| sys::duplicate_from(fd, 3));
    let streams = [a?, b?, c?];
    let null = nix::fcntl::open("/dev/null", nix::fcntl::OFlag::O_RDWR, nix::sys::stat::Mode::empty())?;
    for number in 0..3 {
        sys::place(null.as_raw_fd(), number)?;
    }
    Ok(streams)
}

impl Monitor {
    fn start(
        mut config: Config,
        image: &'static [u8],
        channel: Arc<OwnedFd>,
        launcher: Pid,
    ) -> Result<Self, StartError> {
        let host = |what| move |error| StartError::Host { what, error };
        leave_group().map_err(host("leaving the launcher's group"))?;
        files::clear_umask();
        let streams = take_streams().map_err(host("taking the standard streams"))?;
        let kinds =
            [0, 1, 2].map(|i: usize| streams.get(i).map_or(stdio::NONE, |fd| host::stream_kind(fd.as_fd())));
        let terminal = kinds.iter().position(|kind| *kind == stdio::TERMINAL).and_then(|i| streams.get(i));
        let terminal = terminal.and_then(|fd| fd.try_clone().ok());
        let console = Console::new(terminal, launcher, Arc::clone(&channel));
        let host_ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let start = config.display.as_ref().map(|_| Start::of(&config.app));
        let hints = start.as_ref().map(Start::hints).unwrap_or_default();
        let had_windows = !hints.0.is_empty();
        let block = start_block(&mut config, kinds, console.window(), hints)?;
        let mut family = Family::new(image, block, streams, config.display.is_some(), host_ids)?;
        if let Ok(watches) = files::Watches::new(family.arena()?) {
            // Without them changes are seen a moment later.
            config.mounts.watch_with(watches);
        }
        let (started, weaker) = match family.start(true) {
            Ok(started) => (started, None),
            Err(StartError::Host { error, .. }) => (family.start(false)?, Some(without_namespaces(error))),
            Err(error) => return Err(error),
        };
        let (mailbox, news, wake) = Mailbox::new().map_err(host("making a pipe"))?;
        let (Some(events), gates) = (family.events.take(), std::mem::take(&mut family.gates)) else {
            return Err(host("making a socket pair")(Errno::EMFILE));
        };
        if let Ok(events) = events.try_clone() {
            config.mounts.tell_with(files::Outside::new(events));
        }
        let bits = permission_bits(&config.permissions);
        let usage = Arc::new(Usage::new(started.keeper.pid, weaker));
        let bridge = config
            .display
            .take()
            .zip(family.display.take())
            .map(|(how, channel)| Bridge::new(how, channel, bits));
        let command = config.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        let shared = Arc::new(Shared::new(Parts {
            names: (config.app, config.name, config.instance, command),
            verbose: config.verbose,
            mounts: config.mounts,
            console,
            mailbox,
            events,
            display: bridge.is_some(),
            start,
            permissions: config.permissions,
        }));
        let mut monitor = Self {
            shared,
            channel: Some(channel),
            news,
            wake,
            family: Some(family),
            started,
            runs: false,
            idle_gates: gates,
            bridge,
            had_windows,
            dropping: Dropping::default(),
            server: None,
            usage,
            deadline: None,
            settled: Some(Instant::now() + START_UP),
            status_told: false,
            killed: false,
            finished: false,
            json_report: config.json_report,
            _home_lock: config.home_lock,
        };
        monitor.open_control();
        if let Some(weaker) = monitor.usage.weaker() {
            monitor.say(&weaker);
        }
        Ok(monitor)
    }

    /// Without a control socket the app runs all the same; it is only not in the list.
    fn open_control(&mut self) {
        match server::Server::new(&self.shared.instance) {
            Ok(server) => self.server = Some(server),
            Err(error) => self.say(&format!("no control socket: {error}")),
        }
    }

    fn say(&self, text: &str) {
        if let Some(channel) = &self.channel {
            tell_launcher(channel, told::TEXT, text.as_bytes());
        }
    }

    /// Tells the launcher the status, once. The app may go on in the background.
    fn tell_status(&mut self, status: u8) {
        if self.status_told {
            return;
        }
        self.status_told = true;
        self.write_report();
        let _ = self.shared.console.restore();
        if let Some(channel) = self.channel.take() {
            tell_launcher(&channel, told::STATUS, &[status]);
        }
    }

    /// Writes what `--json-report` asks for.
    fn write_report(&mut self) {
        let Some(path) = self.json_report.take() else { return };
        let status = server::status(&self.shared, &self.usage, true);
        let text = serde_json::to_vec_pretty(&status).unwrap_or_default();
        if let Err(error) = crate::manifest::replace(&path, &text) {
            self.say(&format!("{}: {error}", path.display()));
        }
    }

    fn run(&mut self) {
        while !self.finished {
            self.wait();
        }
        self.end();
    }

    /// Waits for something to happen and handles it.
    fn wait(&mut self) {
        let mut fds = vec![
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.started.keeper.pidfd.as_fd(), PollFlags::POLLIN),
        ];
        let others = [
            self.channel.as_ref().map(|fd| fd.as_fd()),
            self.server.as_ref().map(|server| server.listener()),
            (!self.runs).then(|| self.started.failure.as_fd()),
            self.bridge.as_ref().and_then(Bridge::poll_fd),
        ];
        let present = others.map(|fd| fd.is_some());
        fds.extend(others.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let gates_at = fds.len();
        for gate in &self.idle_gates {
            fds.push(PollFd::new(gate.as_fd(), PollFlags::POLLIN));
        }
        let bridge_at = self.bridge.as_ref().and_then(Bridge::deadline);
        let timeout = self.deadline.into_iter().chain(bridge_at).chain(self.settled).min().map_or(
            PollTimeout::NONE,
            |deadline| {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left.saturating_add(1)).unwrap_or(PollTimeout::MAX)
            },
        );
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return self.finish(),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        drop(fds);
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or(false);
        let mut at = 2;
        let mut next = |present: bool| {
            let here = present && is_ready(at);
            at += usize::from(present);
            here
        };
        let [channel, control, failure, bridge] = present.map(&mut next);
        self.start_gates(ready.get(gates_at..).unwrap_or(&[]));
        if failure {
            self.image_runs_or_not();
        }
        if is_ready(0) {
            self.read_news();
        }
        if channel {
            self.hear_launcher();
        }
        if control && let Some(server) = &self.server {
            server.accept(&self.shared, &self.usage);
        }
        if bridge || bridge_at.is_some_and(|at| at <= Instant::now()) {
            self.tend_bridge();
        }
        if is_ready(1) && !self.finished {
            self.read_news();
            self.keeper_ended();
        }
        if self.settled.is_some_and(|settled| settled <= Instant::now()) {
            self.start_is_over();
            Text::mapped().release();
            self.settled = None;
        }
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.killed = true;
            self.kill_family();
            self.deadline = None;
        }
    }

    /// Gives each gate that was used for the first time a thread.
    fn start_gates(&mut self, ready: &[bool]) {
        let gates = std::mem::take(&mut self.idle_gates);
        for (gate, ready) in gates.into_iter().zip(ready.iter().copied().chain(std::iter::repeat(false))) {
            if !ready {
                self.idle_gates.push(gate);
            } else if let Err(error) = gate::start(Arc::clone(&self.shared), gate) {
                self.say(&format!("no thread for a gate: {error}"));
            }
        }
    }

    /// Starts what the family is about to need, while it is busy with its own start: the keeper speaks by the first gate,
    /// and soon looks up ahead by one while the app asks by another.
    fn meet_first_needs(&mut self) {
        self.start_gates(&[true, self.had_windows]);
        if self.had_windows {
            let outcome = self.bridge.as_mut().map(Bridge::start_early);
            self.follow(outcome.unwrap_or_default());
        }
    }

    fn image_runs_or_not(&mut self) {
        self.runs = true;
        let Some((step, error)) = family::failure(&self.started.failure) else {
            // Only the family holds its ends of the streams from here on.
            self.family = None;
            self.meet_first_needs();
            return;
        };
        let _ = waitpid(self.started.keeper.pid, None);
        // Some hosts let anybody make namespaces, but forbid to do anything in them.
        let forbidden = matches!(step, Step::Identity | Step::Mounts) && self.usage.weaker().is_none();
        if forbidden && let Some(family) = &mut self.family {
            match family.start(false) {
                Ok(started) => {
                    self.usage.set_keeper(started.keeper.pid, Some(without_namespaces(error)));
                    self.say(&without_namespaces(error));
                    self.started = started;
                    self.runs = false;
                    return;
                }
                Err(error) => self.say(&error.to_string()),
            }
        }
        self.say(&format!("the picoprocess could not be made ({step:?}): {}", error.desc()));
        self.tell_status(OWN_FAILURE);
        self.finished = true;
    }

    fn read_news(&mut self) {
        let mut drain = [0; 64];
        while nix::unistd::read(&self.wake, &mut drain).is_ok_and(|n| n == drain.len()) {}
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Exit(status) => self.tell_status(exit_status(status)),
                News::Empty => self.finish(),
                News::Crash(facts, details) => {
                    let mut report = self.report(Kind::Crash);
                    crash::fill(&mut report, facts, &details, &self.shared.mounts);
                    self.save(report);
                }
                News::Panic(reason) => {
                    let mut report = self.report(Kind::Family);
                    report.summary = format!("The library OS of {} failed: {reason}", self.shared.name);
                    report.details = Some(reason);
                    self.say(&report.summary);
                    self.save(report);
                    self.tell_status(OWN_FAILURE);
                    self.finish();
                }
                News::Message(text) => self.say(&text),
                News::Permissions(bits) => {
                    if let Some(bridge) = &mut self.bridge {
                        bridge.permit(bits);
                    }
                }
                News::Attach(socket) => {
                    if let Some(outcome) = self.bridge.as_mut().map(|bridge| bridge.attach(socket)) {
                        self.follow(outcome);
                    }
                }
                News::Mounted(id) => self.dropping.mounted(id, self.bridge.as_mut()),
                News::Stop => self.stop(Signal::SIGTERM),
                News::Kill => {
                    self.tell_status(128 + 9);
                    self.finish();
                }
            }
        }
    }

    fn report(&self, kind: Kind) -> Report {
        let shared = &self.shared;
        let mut report = Report::new(kind, &shared.app, &shared.instance);
        report.name.clone_from(&shared.name);
        report.command.clone_from(&shared.command);
        report.denied = shared.account.denied().into_iter().rev().take(20).collect();
        report.unsupported = shared.account.unsupported_list();
        report
    }

    fn save(&self, report: Report) {
        if let Err(error) = report.save() {
            self.say(&format!("the report could not be saved: {error}"));
        }
    }

    /// Asks the app to end, and sees to it.
    fn stop(&mut self, signal: Signal) {
        self.shared.send_event(EventKind::Signal, [u64::try_from(signal as i32).unwrap_or(15), 0, 0], None);
        self.deadline = self.deadline.or_else(|| Some(Instant::now() + STOP_GRACE));
    }

    fn hear_launcher(&mut self) {
        let Some(channel) = self.channel.clone() else { return };
        let mut message = [0; 8];
        match recv(channel.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) {
            Ok(1) => self.forward(i32::from(message[0])),
            Ok(0) | Err(Errno::ECONNRESET) => {
                // The launcher was killed. The app has nobody left who waits for it: as when a terminal is closed.
                self.channel = None;
                let _ = self.shared.console.restore();
                self.stop(Signal::SIGHUP);
            }
            _ => {}
        }
    }

    fn forward(&mut self, number: i32) {
        match Signal::try_from(number) {
            Ok(Signal::SIGWINCH) => {
                let [rows, columns] = self.shared.console.window();
                self.shared.send_event(EventKind::WindowSize, [rows.into(), columns.into(), 0], None);
            }
            Ok(Signal::SIGCONT) => self.shared.console.continued(),
            Ok(signal) => {
                let number = u64::try_from(signal as i32).unwrap_or(0);
                self.shared.send_event(EventKind::Signal, [number, 0, 0], None);
            }
            Err(_) => {}
        }
    }

    fn tend_bridge(&mut self) {
        if let Some(outcome) = self.bridge.as_mut().map(Bridge::tend) {
            self.follow(outcome);
        }
    }

    /// Does what follows from what a bridge did.
    fn follow(&mut self, outcome: Outcome) {
        let Some(bridge) = &mut self.bridge else { return };
        self.usage.bridge.store(bridge.pid().unwrap_or(0), Ordering::Relaxed);
        self.usage.frames.store(bridge.frames(), Ordering::Relaxed);
        self.usage.copied_frames.store(bridge.copied(), Ordering::Relaxed);
        for (permission, what) in outcome.denied {
            self.shared.account.deny(&permission, &what);
        }
        let mut said = Vec::new();
        for files in outcome.files {
            said.extend(self.dropping.answer(&self.shared, bridge, &files));
        }
        said.iter().for_each(|text| self.say(text));
        if let Some((how, signal)) = outcome.died {
            let mut report = self.report(Kind::Bridge);
            report.summary = format!("The display of {} failed: {how}", self.shared.name);
            if let Some(signal) = signal {
                report.set_signal(signal);
            }
            self.say(&report.summary);
            self.save(report);
        }
        if let Some(channel) = outcome.new_channel {
            self.shared.send_event(EventKind::DisplayReady, [0; 3], Some(channel.as_fd()));
        }
    }

    fn keeper_ended(&mut self) {
        let status = waitpid(self.started.keeper.pid, Some(WaitPidFlag::WNOHANG));
        let mut report = self.report(Kind::Family);
        let name = &self.shared.name;
        let status = match status {
            Ok(WaitStatus::StillAlive) => return,
            _ if self.killed => {
                self.tell_status(128 + 9);
                return self.finish();
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                report.set_signal(signal as i32);
                report.summary = format!("The picoprocesses of {name} were ended by {signal}");
                u8::try_from(signal as i32).map_or(OWN_FAILURE, |n| n.saturating_add(128))
            }
            Ok(WaitStatus::Exited(_, code)) => {
                report.summary = format!("The keeper of {name} ended unexpectedly with status {code}");
                OWN_FAILURE
            }
            _ => {
                report.summary = format!("The keeper of {name} is gone");
                OWN_FAILURE
            }
        };
        self.say(&report.summary);
        self.save(report);
        self.tell_status(status);
        self.finished = true;
    }

    fn kill_family(&self) {
        // The keeper is the first process of its PID namespace: the host ends the others with it.
        let _ = nix::sys::signal::kill(self.started.keeper.pid, Signal::SIGKILL);
        if self.usage.weaker().is_some() {
            for pid in self.usage.family() {
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
        }
    }

    /// Keeps for the next start what was looked up in this one.
    /// What is known of this start, if it is worth keeping: of a program without windows nobody waits for the first.
    fn kept_start(&self) -> Option<&Start> {
        let start = self.shared.start.as_ref()?;
        if self.bridge.as_ref().is_some_and(|bridge| bridge.pid().is_some()) {
            return Some(start);
        }
        start.forget();
        None
    }

    /// Asks the library OS for what it learned; the answer is kept, with what was noted here.
    fn start_is_over(&self) {
        if let Some(start) = self.kept_start() {
            start.end();
            self.shared.send_event(EventKind::Settled, [0; 3], None);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn end(&mut self) {
        if let Some(start) = self.kept_start() {
            // Without it the next start is only slower.
            let _ = start.save();
        }
        self.kill_family();
        // The family is gone when its first process is, and with it all use of the private home.
        let _ = waitpid(self.started.keeper.pid, None);
        self.tell_status(OWN_FAILURE);
        if let Some(bridge) = &mut self.bridge {
            bridge.end();
        }
        self.server = None;
    }
}

fn without_namespaces(error: Errno) -> String {
    format!(
        "The host refuses namespaces of its own to the app ({}); the system call filter alone confines it",
        error.desc()
    )
}

/// The exit status for a wait status, as a shell tells it.
fn exit_status(status: u64) -> u8 {
    let signal = status & 0x7f;
    let code = if signal == 0 { (status >> 8) & 0xff } else { 128 + signal };
    u8::try_from(code).unwrap_or(OWN_FAILURE)
}

fn start_block(
    config: &mut Config,
    stdio: [u32; 3],
    window: [u16; 2],
    (ahead, sites): (Vec<u8>, Vec<u8>),
) -> Result<boot::BootBlock, StartError> {
    let seed =
        host::seed().map_err(|_| StartError::Host { what: "reading random bytes", error: Errno::EIO })?;
    let header = Boot {
        uid: config.ids.0,
        gid: config.ids.1,
        permissions: permission_bits(&config.permissions),
        display: match config.display.as_ref().map(|how| &how.session) {
            None => display::NONE,
            Some(Session::Nowhere) => display::WAITING,
            Some(_) => display::SESSION,
        },
        stdio,
        cpus: config.limits.cpus.unwrap_or(u32::MAX).min(host::processors()).max(1),
        window: window.map(u32::from),
        memory: config.limits.memory.unwrap_or(u64::MAX).min(host::memory()),
        seed,
        rlimits: config.limits.resources(host::limits()),
        ..Boot::default()
    };
    let mut texts = host::texts();
    if let Some(id) = host::machine_id(&config.app) {
        boot::push_text(&mut texts, "/etc/machine-id", &id);
    }
    Ok(boot::BootBlock {
        header,
        program: std::mem::take(&mut config.program).into(),
        cwd: std::mem::take(&mut config.cwd).into(),
        hostname: host::hostname(),
        argv: config.argv.clone(),
        envp: std::mem::take(&mut config.env),
        mounts: config.mounts.records(),
        filter: &[],
        texts,
        ahead,
        sites,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_a_shell() {
        assert_eq!(exit_status(3 << 8), 3);
        assert_eq!(exit_status(11), 139);
        assert_eq!(exit_status(11 | 0x80), 139);
        assert_eq!(exit_status(0), 0);
    }
}
