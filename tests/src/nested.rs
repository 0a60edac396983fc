//! Other compositors than sway, each filling the screen of a headless sway session: there what they show is looked at, and
//! from there comes what the pointer does.

use crate::processes::kill_tree;
use crate::session::wait_for;
use crate::{Rig, Running, Session};
use std::fs;
use std::io::{self, BufRead};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// The name of their sockets.
const DISPLAY: &str = "nested";

/// Which compositor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GNOME's, without the shell. It draws no decorations.
    Mutter,
    /// KDE's. It draws decorations.
    Kwin,
    /// Weston with its shell for one app that fills the screen.
    Weston,
}

/// A running compositor. Ended when dropped.
pub struct Nested<'a> {
    rig: &'a Rig,
    session: &'a Session,
    /// What has to run, the compositor last.
    processes: Vec<Child>,
}

impl<'a> Nested<'a> {
    /// Starts a compositor.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(rig: &'a Rig, session: &'a Session, kind: Kind) -> io::Result<Self> {
        let mut nested = Self { rig, session, processes: Vec::new() };
        match kind {
            Kind::Mutter => nested.start_mutter()?,
            Kind::Kwin => nested.start_kwin()?,
            Kind::Weston => nested.start_weston()?,
        }
        let socket = session.socket().with_file_name(DISPLAY);
        wait_for(&format!("{kind:?}"), || Ok(UnixStream::connect(&socket).ok()))?;
        Ok(nested)
    }

    fn spawn(&mut self, mut command: Command) -> io::Result<&mut Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.rig.dir.join("nested.log"))?;
        self.processes.push(command.stdin(Stdio::null()).stderr(log).spawn()?);
        self.processes.last_mut().ok_or_else(|| io::Error::other("no process"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let (program, args) = words.split_first().unwrap_or((&"false", &[]));
        let mut command = self.rig.command(program);
        self.session.enter(&mut command);
        command.args(args).stdout(Stdio::null());
        command
    }

    /// Mutter runs inside of X11 only, so an X server comes between.
    fn start_mutter(&mut self) -> io::Result<()> {
        let mut server = self.command(&["Xwayland", "-displayfd", "1", "-noreset", "-nolisten", "tcp"]);
        server.stdout(Stdio::piped());
        let out = self.spawn(server)?.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut number = String::new();
        io::BufReader::new(out).read_line(&mut number)?;
        let words =
            ["dbus-run-session", "--", "mutter", "--wayland", "--nested", "--no-x11", "--wayland-display"];
        let mut command = self.command(&words);
        command.arg(DISPLAY).env("DISPLAY", format!(":{}", number.trim()));
        command.env_remove("WAYLAND_DISPLAY").env("MUTTER_DEBUG_DUMMY_MODE_SPECS", "1280x800");
        self.spawn(command).map(|_| ())
    }

    fn start_kwin(&mut self) -> io::Result<()> {
        // A copy has no file capabilities, which a container may not grant.
        let kwin = self.rig.file("kwin_wayland", &fs::read("/usr/bin/kwin_wayland")?)?;
        let outside = self.session.display().to_owned();
        let size = ["--width", "1280", "--height", "800"];
        let rest = ["--no-lockscreen", "--no-global-shortcuts", "--socket", DISPLAY];
        let words = [&["dbus-run-session", "--", &kwin, "--wayland-display", &outside], &size[..], &rest[..]];
        let mut command = self.command(&words.concat());
        command.env("KWIN_COMPOSE", "Q").env_remove("QT_QPA_PLATFORM");
        self.spawn(command).map(|_| ())
    }

    fn start_weston(&mut self) -> io::Result<()> {
        let socket = format!("--socket={DISPLAY}");
        let how = [
            "--width=1280",
            "--height=800",
            "--backend=wayland-backend.so",
            "--use-pixman",
            "--shell=kiosk-shell.so",
        ];
        let command = self.command(&[&["weston", &*socket], &how[..]].concat());
        self.spawn(command).map(|_| ())
    }

    /// Puts the compositor into a command's environment.
    pub fn enter<'b>(&self, command: &'b mut Command) -> &'b mut Command {
        self.session.enter(command).env("WAYLAND_DISPLAY", DISPLAY)
    }

    /// Starts a program natively.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&self, argv: &[&str]) -> io::Result<Child> {
        let mut command = self.command(argv);
        self.enter(&mut command).stdin(Stdio::null()).stderr(Stdio::null()).spawn()
    }

    /// Starts a program under Postern.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn launch_sandboxed(&self, argv: &[&str]) -> io::Result<Running<'a>> {
        let mut command = self.rig.command(&self.rig.postern);
        self.enter(&mut command);
        Running::spawn(self.rig, command, &[], argv)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        // As a crash would.
        for mut process in self.processes.drain(..).rev() {
            kill_tree(process.id());
            let _ = process.wait();
        }
    }
}
