//! What others do to files that an app has: inotify tells of it as natively, and the app does not hang.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::session::wait_for;
use postern_tests::{Rig, Running};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Nothing more is told of a step after this time without news. Longer than the app's own changes are remembered.
const QUIET: Duration = Duration::from_millis(600);

/// A running `outside.c`.
struct Watcher {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    folder: PathBuf,
}

impl Watcher {
    fn new(mut command: Command, folder: &Path) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let watcher = Self { child, input, lines, folder: folder.to_owned() };
        assert_eq!(watcher.lines.recv_timeout(Duration::from_secs(60)).unwrap(), "watches 1 2");
        watcher
    }

    /// What is told until it is quiet, in an order of its own; equal lines are one.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(QUIET) {
            told.push(line);
        }
        told.sort();
        told.dedup();
        told
    }

    fn outside(&self, act: impl FnOnce(&Path)) -> Vec<String> {
        act(&self.folder);
        self.told()
    }

    fn own(&mut self, line: &str) -> Vec<String> {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        self.told()
    }

    /// All steps: what was done, and what was told of it.
    fn run(mut self) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        let append = |path: PathBuf, text: &str| {
            OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        let mut outside = |what: &str, told: Vec<String>| all.push((what.to_owned(), told));
        outside("made", self.outside(|f| fs::write(f.join("new"), "text").unwrap()));
        outside("longer", self.outside(|f| append(f.join("new"), "more")));
        outside("watched longer", self.outside(|f| append(f.join("watched"), "more")));
        outside(
            "mode",
            self.outside(|f| {
                fs::set_permissions(f.join("watched"), PermissionsExt::from_mode(0o640)).unwrap()
            }),
        );
        outside("folder", self.outside(|f| fs::create_dir(f.join("sub")).unwrap()));
        outside("moved", self.outside(|f| fs::rename(f.join("new"), f.join("moved")).unwrap()));
        outside("moved out", self.outside(|f| fs::rename(f.join("moved"), f.join("sub/inner")).unwrap()));
        outside("moved in", self.outside(|f| fs::rename(f.join("sub/inner"), f.join("new")).unwrap()));
        outside("link", self.outside(|f| fs::hard_link(f.join("watched"), f.join("link")).unwrap()));
        for line in [
            "write own",
            "write own",
            "cut own",
            "mode own",
            "rename own mine",
            "link mine second",
            "write watched",
            "mkdir folder",
            "rmdir folder",
            "remove second",
            "rename mine new",
        ] {
            let told = self.own(line);
            all.push((line.to_owned(), told));
        }
        // The app's own file, changed by others, and the same name again and again.
        let mut outside = |what: &str, told: Vec<String>| all.push((what.to_owned(), told));
        outside("own longer", self.outside(|f| append(f.join("new"), "outside")));
        outside("removed", self.outside(|f| fs::remove_file(f.join("new")).unwrap()));
        let told = self.own("write new");
        all.push(("write new".to_owned(), told));
        let mut outside = |what: &str, told: Vec<String>| all.push((what.to_owned(), told));
        outside("removed again", self.outside(|f| fs::remove_file(f.join("new")).unwrap()));
        outside(
            "watched moved",
            self.outside(|f| fs::rename(f.join("watched"), f.join("elsewhere")).unwrap()),
        );
        outside(
            "watched gone",
            self.outside(|f| {
                fs::remove_file(f.join("link")).unwrap();
                fs::remove_file(f.join("elsewhere")).unwrap();
            }),
        );
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
        all
    }
}

fn folder(rig: &Rig, name: &str) -> PathBuf {
    let folder = rig.dir.join(name);
    fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    fs::write(folder.join("watched"), "text").unwrap();
    rig.own(&folder.join("watched")).unwrap();
    folder
}

#[test]
fn what_others_do_is_told_and_what_the_app_does_is_told_once() {
    let rig = Rig::new().unwrap();
    let program = rig.compile("outside", &[]).unwrap();
    let native = folder(&rig, "native");
    let mut command = rig.command(&program);
    command.arg(&native);
    let natively = Watcher::new(command, &native).run();
    let granted = folder(&rig, "granted");
    let mut command = rig.command(&rig.postern);
    command.args(["run", "--no-display", "--grant"]).arg(format!("{}:ro", rig.dir.join("bin").display()));
    command.arg("--grant").arg(&granted).arg("--").arg(&program).arg(&granted);
    let sandboxed = Watcher::new(command, &granted).run();
    let different: Vec<_> =
        natively.iter().zip(&sandboxed).filter(|(native, sandboxed)| native != sandboxed).collect();
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(natively.len(), sandboxed.len());
}

#[test]
fn a_private_home_that_somebody_deletes_ends_in_errors() {
    let rig = Rig::new().unwrap();
    let granted = folder(&rig, "granted");
    let text = "mkdir ~/d && echo > ~/d/a && until [ -e go ]; do sleep 0.05; done; \
                ( echo > ~/d/b ) 2>/dev/null && exit 7; cd ~/d && mkdir c 2>/dev/null && exit 8; exit 42";
    let folder = granted.to_str().unwrap();
    let options = ["--id", "homeless", "--grant", folder, "--cwd", folder];
    let mut app = Running::start(&rig, &options, &["sh", "-c", text]).unwrap();
    let home = rig.home().join(".local/share/postern/homes/homeless");
    wait_for("a file in the private home", || Ok(home.join("d/a").exists().then_some(()))).unwrap();
    fs::remove_dir_all(&home).unwrap();
    fs::write(granted.join("go"), "").unwrap();
    assert_eq!(app.end().unwrap(), 42);
}
