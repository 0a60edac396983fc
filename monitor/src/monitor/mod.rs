//! The monitor's process: starts the family, serves it, and sees it end.

mod start;

pub(crate) use start::START_UP;

use crate::config::Config;
use crate::control::server;
use crate::display::{Bridge, Outcome};
use crate::dropping::Dropping;
use crate::family::{Family, Started};
use crate::launch::{OWN_FAILURE, told};
use crate::report::{Kind, Report};
use crate::shared::{News, Shared};
use crate::sys::memory::Text;
use crate::usage::Usage;
use crate::{crash, sys};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use postern_abi::event::EventKind;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long an app that was asked to end may take.
const STOP_GRACE: Duration = Duration::from_secs(5);

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

impl Monitor {
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

/// The exit status for a wait status, as a shell tells it.
fn exit_status(status: u64) -> u8 {
    let signal = status & 0x7f;
    let code = if signal == 0 { (status >> 8) & 0xff } else { 128 + signal };
    u8::try_from(code).unwrap_or(OWN_FAILURE)
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
