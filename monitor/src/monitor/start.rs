//! The start of a family, and what is kept of it for the next.

use super::Monitor;
use crate::config::{Config, Session, permission_bits};
use crate::console::Console;
use crate::display::Bridge;
use crate::dropping::Dropping;
use crate::family::{self, Family, StartError};
use crate::launch::{OWN_FAILURE, standard_streams};
use crate::sandbox::Step;
use crate::shared::{Mailbox, Parts, Shared};
use crate::starts::Start;
use crate::usage::Usage;
use crate::{boot, files, gate, host, sys};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use postern_abi::boot::{Boot, display, stdio};
use postern_abi::event::EventKind;
use postern_abi::layout::handle;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an app takes to start up, with some to spare.
pub(crate) const START_UP: Duration = Duration::from_secs(2);

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
    pub(super) fn start(
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

    /// Gives each idle gate that is `ready` a thread.
    pub(super) fn start_gates(&mut self, ready: &[bool]) {
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
        let wanted = if self.had_windows { 2 } else { 1 };
        // Some may have been used already.
        let missing = self.idle_gates.len().saturating_sub(handle::GATES - wanted);
        self.start_gates(&[true; handle::GATES][..missing]);
        if self.had_windows {
            let outcome = self.bridge.as_mut().map(Bridge::start_early);
            self.follow(outcome.unwrap_or_default());
        }
    }

    pub(super) fn image_runs_or_not(&mut self) {
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

    /// What is known of this start, if it is worth keeping: of a program without windows nobody waits for the first.
    pub(super) fn kept_start(&self) -> Option<&Start> {
        let start = self.shared.start.as_ref()?;
        if self.bridge.as_ref().is_some_and(|bridge| bridge.pid().is_some()) {
            return Some(start);
        }
        start.forget();
        None
    }

    /// Asks the library OS for what it learned; the answer is kept, with what was noted here.
    pub(super) fn start_is_over(&self) {
        if let Some(start) = self.kept_start() {
            start.end();
            self.shared.send_event(EventKind::Settled, [0; 3], None);
        }
    }
}

fn without_namespaces(error: Errno) -> String {
    format!(
        "The host refuses namespaces of its own to the app ({}); the system call filter alone confines it",
        error.desc()
    )
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
