//! The monitor with a stand-in for the library OS: the world that a family finds, the ways in which it can end, and
//! what is left when one of the processes is killed.
//!
//! Each case runs in a process of its own, since the launcher needs one with a single thread.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_abi::boot::{Boot, MAGIC};
use postern_abi::layout::{BOOT_BASE, arena_offset, handle};
use postern_monitor::config::Config;
use postern_monitor::control::running;
use postern_monitor::files::Mounts;
use postern_monitor::manifest::{HomeAccess, Limits, Permissions};
use postern_monitor::report::{self, Kind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

const CASE: &str = "POSTERN_TEST_CASE";
const IMAGE: &str = "POSTERN_TEST_IMAGE";

fn main() {
    if let Ok(case) = env::var(CASE) {
        std::process::exit(run_case(&case).into());
    }
    if env::args().any(|argument| argument == "--list") {
        return;
    }
    let scratch = env::temp_dir().join(format!("postern-family-{}", std::process::id()));
    fs::create_dir_all(scratch.join("run")).expect("a directory");
    let test = Test { image: build_image(&scratch), scratch };
    test.the_world_is_empty();
    test.statuses_pass_through();
    test.crashes_are_reported();
    test.a_broken_library_os_is_reported();
    test.a_keeper_that_ends_is_reported();
    test.the_control_socket_tells_and_stops();
    test.killed_processes_take_down_their_own_app_only();
    let _ = fs::remove_dir_all(&test.scratch);
    println!("family: all well");
}

/// In the child: an app whose image is the stand-in.
fn run_case(case: &str) -> u8 {
    let image = fs::read(env::var_os(IMAGE).expect("an image")).expect("read");
    let ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let mut mounts = Mounts::new(ids, ids);
    let home = Path::new("/home/somebody");
    let lock =
        postern_monitor::image::mount_home(&mut mounts, "standin", home, HomeAccess::None).expect("a home");
    let config = Config {
        app: "standin".into(),
        name: "Stand-in".into(),
        instance: format!("standin-{}", std::process::id()),
        program: "/bin/standin".into(),
        argv: vec!["standin".into(), case.into()],
        env: Vec::new(),
        cwd: "/".into(),
        ids,
        permissions: Permissions::default(),
        limits: Limits::default(),
        mounts,
        home_lock: lock,
        display: None,
        verbose: false,
        json_report: None,
    };
    postern_monitor::run(config, Box::leak(image.into_boxed_slice()))
}

fn build_image(scratch: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin/image.c");
    let image = scratch.join("image");
    let define = |name: &str, value: String| format!("-D{name}={value}");
    let status = Command::new("cc")
        .args([
            "-static",
            "-nostdlib",
            "-ffreestanding",
            "-fno-stack-protector",
            "-fno-pie",
            "-no-pie",
            "-O1",
        ])
        .arg(define("GATE", handle::GATE_FIRST.to_string()))
        .arg(define("FIRST_FREE", handle::FIRST_FREE.to_string()))
        .arg(define("DISPLAY", handle::DISPLAY.to_string()))
        .arg(define("ARENA", handle::ARENA.to_string()))
        .arg(define("IMAGE", handle::IMAGE.to_string()))
        .arg(define("BOOT_OFFSET", format!("{}ul", arena_offset(BOOT_BASE))))
        .arg(define("ARGV_OFFSET", std::mem::offset_of!(Boot, argv).to_string()))
        .arg(define("MAGIC", format!("{MAGIC}ul")))
        .arg(define("UID", nix::unistd::geteuid().to_string()))
        .arg("-o")
        .arg(&image)
        .arg(source)
        .status()
        .expect("a C compiler");
    assert!(status.success());
    image
}

struct Test {
    image: PathBuf,
    scratch: PathBuf,
}

impl Test {
    fn command(&self, case: &str) -> Command {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.env(CASE, case).env(IMAGE, &self.image).stdin(Stdio::null());
        self.set_directories(&mut command);
        command
    }

    fn set_directories(&self, command: &mut Command) {
        command.env("HOME", &self.scratch).env("XDG_RUNTIME_DIR", self.scratch.join("run"));
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env(name, self.scratch.join(name));
        }
    }

    /// Runs a case to its end: exit status and what was printed.
    fn run(&self, case: &str) -> (Option<i32>, String) {
        let output = self.command(case).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn start(&self, case: &str) -> Child {
        self.command(case).stderr(Stdio::null()).spawn().expect("starts")
    }

    fn reports(&self, kind: Kind) -> Vec<report::Report> {
        let dir = self.scratch.join("XDG_STATE_HOME/postern/reports");
        let files = fs::read_dir(dir).into_iter().flatten().flatten();
        files
            .filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok())
            .filter(|report: &report::Report| report.kind == kind)
            .collect()
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.scratch.join("run/postern")).into_iter().flatten().flatten();
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "sock")).collect()
    }

    fn the_world_is_empty(&self) {
        assert_eq!(self.run("look"), (Some(0), String::new()));
    }

    fn statuses_pass_through(&self) {
        assert_eq!(self.run("exit").0, Some(3));
        assert_eq!(self.run("signal").0, Some(139));
        eventually("control sockets go away", || self.sockets().is_empty());
    }

    fn crashes_are_reported(&self) {
        assert_eq!(self.run("crash").0, Some(4));
        let reports = self.reports(Kind::Crash);
        assert_eq!(reports.len(), 1);
        assert_eq!((reports[0].process.as_deref(), reports[0].pid), (Some("victim"), Some(5)));
    }

    fn a_broken_library_os_is_reported(&self) {
        let (status, text) = self.run("panic");
        assert_eq!(status, Some(125));
        assert!(
            text.contains("broken \u{fffd}[1m heart"),
            "no control characters reach the terminal: {text:?}"
        );
        assert_eq!(self.reports(Kind::Family).len(), 1);
    }

    fn a_keeper_that_ends_is_reported(&self) {
        let (status, text) = self.run("keeper");
        assert_eq!(status, Some(125));
        assert!(text.contains("status 7"), "{text}");
        assert_eq!(self.reports(Kind::Family).len(), 2);
    }

    fn the_control_socket_tells_and_stops(&self) {
        // The launcher tells a status when the program ends; the monitor goes when its family has gone.
        eventually("the sockets of earlier apps go away", || self.sockets().is_empty());
        let mut app = self.start("wait");
        let socket = self.only_socket();
        let mut client = postern_monitor::control::Client::connect(&socket).expect("connects");
        let status = client.status(true).expect("a status");
        assert_eq!((status.app.as_str(), status.display), ("standin", false));
        assert!(status.keeper_pid > 0 && status.pss_bytes > 0 && status.sandbox.namespaces, "{status:?}");
        assert!(
            client.permit("network", "outbound").is_ok_and(|e| e == postern_monitor::permission::Effect::Now)
        );
        assert!(client.permit("telepathy", "on").is_err());
        client.kill().expect("ends");
        assert_eq!(wait(&mut app).code(), Some(137));
        eventually("the control socket goes away", || self.sockets().is_empty());
    }

    fn only_socket(&self) -> PathBuf {
        eventually("a control socket", || self.sockets().len() == 1);
        self.sockets().remove(0)
    }

    fn killed_processes_take_down_their_own_app_only(&self) {
        let mut other = self.start("wait");
        let other_socket = self.only_socket();
        let connect = |path: &Path| postern_monitor::control::Client::connect(path);
        for victim in ["keeper", "monitor"] {
            let mut app = self.start("wait");
            eventually("two control sockets", || self.sockets().len() == 2);
            let socket = self.sockets().into_iter().find(|s| *s != other_socket).expect("a socket");
            let status = connect(&socket).expect("connects").status(false).expect("a status");
            let before = self.reports(Kind::Family).len() + self.reports(Kind::Monitor).len();
            let pid = if victim == "keeper" { status.keeper_pid } else { status.pid };
            kill(pid);
            let code = wait(&mut app).code();
            assert_eq!(code, Some(if victim == "keeper" { 137 } else { 125 }), "{victim}");
            assert_eq!(
                self.reports(Kind::Family).len() + self.reports(Kind::Monitor).len(),
                before + 1,
                "{victim}"
            );
            eventually("the family ends", || !Path::new(&format!("/proc/{}", status.keeper_pid)).exists());
            // A dead monitor leaves its socket; whoever looks for running apps removes it.
            let _ = fs::remove_file(&socket);
            assert!(connect(&other_socket).expect("connects").status(false).is_ok(), "the other app goes on");
        }
        connect(&other_socket).expect("connects").kill().expect("ends");
        wait(&mut other);
        // Not this test's directory, but it must not fail either.
        let _ = running();
    }
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
}

fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("waits") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    panic!("the app does not end");
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
