//! An app that runs under Postern while a test looks at it.

use crate::processes::{alive, kill_tree, tree};
use crate::rig::Rig;
use crate::session::{Session, wait_for};
use serde_json::Value;
use std::io;
use std::process::{Child, Command, Stdio};

/// A running app. Ended when dropped.
pub struct Running<'a> {
    rig: &'a Rig,
    /// The process `postern run`.
    pub launcher: Child,
}

impl<'a> Running<'a> {
    /// Starts a program.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn start(rig: &'a Rig, options: &[&str], argv: &[&str]) -> io::Result<Self> {
        Self::spawn(rig, rig.command(&rig.postern), options, argv)
    }

    /// Starts a program in a session.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn start_in(rig: &'a Rig, session: &Session, options: &[&str], argv: &[&str]) -> io::Result<Self> {
        let mut command = rig.command(&rig.postern);
        session.enter(&mut command);
        Self::spawn(rig, command, options, argv)
    }

    /// Starts a program by a command of `postern` with an environment of its own.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn spawn(rig: &'a Rig, mut command: Command, options: &[&str], argv: &[&str]) -> io::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(rig.dir.join("apps.log"))?;
        command.arg("run").args(options).arg("--").args(argv);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { rig, launcher: command.spawn()? })
    }

    /// What `postern ps --json` says of it, once it is there.
    ///
    /// # Errors
    /// If it does not come.
    pub fn status(&self) -> io::Result<Value> {
        wait_for("the app in `postern ps`", || {
            let out = self.rig.postern(&["ps", "--json"])?;
            let list: Value = serde_json::from_str(&out.stdout).map_err(io::Error::other)?;
            let mine = tree(self.launcher.id());
            let is_mine = |row: &&Value| {
                row["pid"].as_u64().and_then(|p| u32::try_from(p).ok()).is_some_and(|p| mine.contains(&p))
            };
            Ok(list.as_array().and_then(|rows| rows.iter().find(is_mine)).cloned())
        })
    }

    /// A process id of its status: `pid` (the monitor's), `keeper_pid`, `bridge_pid`.
    ///
    /// # Errors
    /// If there is none.
    pub fn pid_of(&self, field: &str) -> io::Result<u32> {
        let pid = self.status()?[field].as_u64().and_then(|p| u32::try_from(p).ok());
        pid.ok_or_else(|| io::Error::other(format!("no {field}")))
    }

    /// A process of the app itself: below the monitor, and neither keeper nor bridge.
    ///
    /// # Errors
    /// If there is none.
    pub fn app_pid(&self) -> io::Result<u32> {
        let status = self.status()?;
        let other: Vec<u64> =
            ["pid", "keeper_pid", "bridge_pid"].iter().filter_map(|f| status[f].as_u64()).collect();
        let monitor = self.pid_of("pid")?;
        let mut own =
            tree(monitor).into_iter().filter(|pid| !other.contains(&u64::from(*pid)) && alive(*pid));
        own.next_back().ok_or_else(|| io::Error::other("no process of the app"))
    }

    /// Waits until it has at least so many processes.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn wait_processes(&self, count: u64) -> io::Result<()> {
        wait_for("the processes of the app", || {
            Ok((self.status()?["processes"].as_u64() >= Some(count)).then_some(()))
        })
    }

    /// Waits for its end. Returns the exit status as a shell sees it.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(&mut self) -> io::Result<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = wait_for("the end of the app", || self.launcher.try_wait())?;
        Ok(status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(-1))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // The monitor first: it ends its family.
        kill_tree(self.launcher.id());
        let _ = self.launcher.wait();
    }
}

/// An app that runs one way or the other. Ended when dropped.
pub enum App<'a> {
    /// On the host.
    Native(Child),
    /// Under Postern.
    Sandboxed(Running<'a>),
}

impl<'a> App<'a> {
    /// Starts an app in a session: under Postern with options, without any natively.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        rig: &'a Rig,
        session: &Session,
        options: Option<&[&str]>,
        argv: &[&str],
    ) -> io::Result<Self> {
        Ok(match options {
            Some(options) => Self::Sandboxed(Running::start_in(rig, session, options, argv)?),
            None => Self::Native(session.launch(rig, argv)?),
        })
    }

    /// The process that was started.
    #[must_use]
    pub fn root(&self) -> u32 {
        match self {
            Self::Native(child) => child.id(),
            Self::Sandboxed(app) => app.launcher.id(),
        }
    }
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        if let Self::Native(child) = self {
            kill_tree(child.id());
            let _ = child.wait();
        }
    }
}
