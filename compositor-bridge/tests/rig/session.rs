//! A headless sway, run as an unprivileged user if the tests are run as root (which sway refuses).

use serde_json::Value;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Without Xwayland, which makes /tmp/.X11-unix in a way that other users cannot use it.
const CONFIG: &str = "xwayland disable\n\
    output HEADLESS-1 resolution 800x600\n\
    seat * hide_cursor 0\n\
    default_border none\n\
    default_floating_border none\n\
    for_window [shell=\"xdg_shell\"] floating enable\n";

/// A running session.
pub struct Session {
    dir: PathBuf,
    sway: Child,
    display: String,
    control: String,
    user: Option<u32>,
}

/// A screenshot.
pub struct Picture {
    width: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// Red, green and blue at a place of the screen.
    pub fn at(&self, x: i64, y: i64) -> [u8; 3] {
        let at = (usize::try_from(y).unwrap() * self.width + usize::try_from(x).unwrap()) * 3;
        self.rgb[at..at + 3].try_into().unwrap()
    }
}

fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
}

/// The user that runs sway when we are root: any ordinary one, else nobody.
fn ordinary_user() -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = users.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok());
    ids.into_iter().find(|id| (1000..60000).contains(id)).unwrap_or(65534)
}

/// A new directory for a session, and the user that it is for, if not ourselves.
fn directory() -> (PathBuf, Option<u32>) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("bridge-test-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let user = rustix::process::getuid().is_root().then(ordinary_user);
    if let Some(user) = user {
        std::os::unix::fs::chown(&dir, Some(user), Some(user)).unwrap();
    }
    (dir, user)
}

impl Session {
    /// Starts one. None, with a message, where the programs for it are not installed.
    pub fn start() -> Option<Self> {
        for program in ["sway", "swaymsg", "grim", "wtype", "wl-copy", "wl-paste"] {
            if !is_installed(program) {
                eprintln!("SKIPPED: {program} is not installed (Debian: sway grim wtype wl-clipboard)");
                return None;
            }
        }
        let (dir, user) = directory();
        std::fs::write(dir.join("config"), CONFIG).unwrap();
        let mut command = Command::new("sway");
        command.arg("-c").arg(dir.join("config")).env_clear().current_dir("/").process_group(0);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        for (name, value) in [
            ("WLR_BACKENDS", "headless"),
            ("WLR_RENDERER", "pixman"),
            ("WLR_LIBINPUT_NO_DEVICES", "1"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ] {
            command.env(name, value);
        }
        command.env("XDG_RUNTIME_DIR", &dir).env("HOME", &dir);
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let sway = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut session = Self { dir, sway, display: String::new(), control: String::new(), user };
        let start = Instant::now();
        while session.display.is_empty() || session.control.is_empty() {
            let log = || std::fs::read_to_string(session.dir.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "sway did not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
            for entry in std::fs::read_dir(&session.dir).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.starts_with("sway-ipc") {
                    session.control = name;
                } else if name.starts_with("wayland-") && !name.ends_with("lock") {
                    session.display = name;
                }
            }
        }
        Some(session)
    }

    /// Starts a headless weston instead, without the means to look at it.
    pub fn start_weston() -> Option<Self> {
        if !is_installed("weston") {
            eprintln!("SKIPPED: weston is not installed");
            return None;
        }
        let (dir, user) = directory();
        let mut command = Command::new("weston");
        command.args(["--backend=headless-backend.so", "--no-config", "--socket=wayland-1", "--use-pixman"]);
        command.args(["--width=800", "--height=600", "--idle-time=0"]);
        command.env_clear().current_dir("/").process_group(0);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        command.env("XDG_RUNTIME_DIR", &dir).env("HOME", &dir).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let weston = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let session = Self { dir, sway: weston, display: "wayland-1".into(), control: String::new(), user };
        let start = Instant::now();
        while UnixStream::connect(session.socket()).is_err() {
            let log = || std::fs::read_to_string(session.dir.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "weston did not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(session)
    }

    /// A program in this session.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", &self.dir)
            .env("WAYLAND_DISPLAY", &self.display)
            .env("SWAYSOCK", self.dir.join(&self.control));
        command
    }

    /// A program in this session, as the session's user.
    pub fn user_command(&self, program: &str) -> Command {
        let mut command = self.command(program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir("/");
        command
    }

    /// The Wayland socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(&self.display)
    }

    /// Asks sway.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.user_command("swaymsg").arg("-r").args(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// The windows, as sway's tree describes them.
    pub fn windows(&self) -> Vec<Value> {
        fn walk(node: &Value, found: &mut Vec<Value>) {
            if node["pid"].is_number() && node["nodes"].as_array().is_some_and(Vec::is_empty) {
                found.push(node.clone());
            }
            for list in ["nodes", "floating_nodes"] {
                for child in node[list].as_array().into_iter().flatten() {
                    walk(child, found);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.ask(&["-t", "get_tree"]), &mut found);
        found
    }

    /// Waits until there is a window that fits.
    pub fn window(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let windows = self.windows();
            if let Some(window) = windows.iter().find(|window| fits(window)) {
                return window.clone();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "no such window among {windows:?}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Takes a screenshot. It is kept for people to look at.
    pub fn picture(&self, name: &str) -> Picture {
        let output = self.user_command("grim").args(["-t", "ppm", "-"]).output().unwrap();
        assert!(output.status.success(), "grim: {}", String::from_utf8_lossy(&output.stderr));
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.ppm"));
        std::fs::write(kept, &output.stdout).unwrap();
        let mut parts = output.stdout.splitn(4, |byte| byte.is_ascii_whitespace());
        let mut next = || parts.next().unwrap();
        assert_eq!(next(), b"P6");
        let width = std::str::from_utf8(next()).unwrap().parse().unwrap();
        let _height = next();
        let rest = next();
        let rgb = rest.strip_prefix(b"255\n").unwrap().to_vec();
        Picture { width, rgb }
    }

    /// Takes screenshots until one fits.
    pub fn picture_when(&self, name: &str, fits: impl Fn(&Picture) -> bool) -> Picture {
        let start = Instant::now();
        loop {
            let picture = self.picture(name);
            if fits(&picture) {
                return picture;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "the screen never showed it: {name}.ppm");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Stops the compositor, or lets it go on.
    pub fn stop(&self, is_stopped: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = if is_stopped { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.sway), signal).unwrap();
    }

    /// Panics if the compositor has died. `when`: what was done to it.
    pub fn check(&mut self, when: &str) {
        if let Some(status) = self.sway.try_wait().unwrap() {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            let tail = log.len().saturating_sub(3000);
            panic!("{when}: the compositor died: {status}\n{}", log.get(tail..).unwrap_or_default());
        }
    }

    /// Ends the session as a crash would.
    pub fn crash(&mut self) {
        let _ = self.sway.kill();
        let _ = self.sway.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its own process group, so that helpers such as swaybg go too.
        let group = rustix::process::Pid::from_child(&self.sway);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        self.crash();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
