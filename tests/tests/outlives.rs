//! An app outlives its bridge, its compositor and its session, and runs where there is none.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_tests::picture::Picture;
use postern_tests::session::{Window, wait_for};
use postern_tests::{Rig, Running, Session};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One session at a time: they are large for a small machine.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Colours of a window with text on it.
const COLOURS: usize = 12;
/// What is shown by a client of Wayland alone, by GTK 3 and by GTK 4: command and a part of the title.
const APPS: [(&[&str], &str); 3] = [
    (&["foot", "--title", "outliving", "sh", "-c", "seq 12; exec sleep 900"], "outliving"),
    (&["mousepad"], "Mousepad"),
    (&["gnome-calculator"], "Calculator"),
];

fn kill_9(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

/// The app's window in this session and how it looks once it rests.
fn look(rig: &Rig, session: &Session, title: &str) -> (Window, Picture) {
    session.wait_painted(rig, title, COLOURS).unwrap();
    let picture = session.settled(rig).unwrap();
    (session.wait_window(rig, title).unwrap(), picture)
}

/// Waits until the screen shows a window just as it was.
fn wait_same(rig: &Rig, session: &Session, title: &str, window: &Window, before: &Picture) {
    let path = rig.dir.join("run/again.png");
    let mut last = None;
    let result = wait_for("the window to be as it was", || {
        let Some(now) = session.windows(rig)?.into_iter().find(|w| w.title.contains(title)) else {
            return Ok(None);
        };
        // Where a window goes is the compositor's business.
        if now.rect != window.rect && now.rect[2..] == window.rect[2..] {
            let [x, y, ..] = window.rect;
            let wanted = format!("[con_id={}] move absolute position {x} {y}", now.id);
            session.message(rig, &[&wanted])?;
        }
        let picture = session.screenshot(rig, &path)?;
        let is_same = now.rect == window.rect && picture.difference(before, window.rect) < 50;
        last = Some((now, picture));
        Ok(is_same.then_some(()))
    });
    if let Err(error) = result {
        let folder = postern_tests::rig::root().join("target/failed");
        std::fs::create_dir_all(&folder).unwrap();
        before.save(&folder.join("outlives-before.png")).unwrap();
        let now = last.map(|(now, picture)| {
            picture.save(&folder.join("outlives-after.png")).unwrap();
            now
        });
        panic!(
            "{title}: {error}: before {window:?}, now {now:?}, see outlives-*.png in {}",
            folder.display()
        );
    }
}

#[test]
fn windows_outlive_their_bridge() {
    let _one = alone();
    for (argv, title) in APPS {
        let rig = Rig::new().unwrap();
        let session = Session::start(&rig).unwrap();
        let app = Running::start_in(&rig, &session, &[], argv).unwrap();
        let (mut window, _) = look(&rig, &session, title);
        // A size that neither the app nor the compositor chose.
        let id = format!("[con_id={}]", window.id);
        session
            .message(
                &rig,
                &[&format!("{id} floating enable, resize set 700 520, move absolute position 90 60")],
            )
            .unwrap();
        wait_for("the size", || {
            Ok(session.windows(&rig)?.iter().any(|w| w.rect == [90, 60, 700, 520]).then_some(()))
        })
        .unwrap();
        session.message(&rig, &["for_window [shell=\"xdg_shell\"] floating enable"]).unwrap();
        let before = session.settled(&rig).unwrap();
        // More than one dies.
        for _ in 0..3 {
            let old = app.pid_of("bridge_pid").unwrap();
            window = session.wait_window(&rig, title).unwrap();
            let start = Instant::now();
            kill_9(old);
            wait_for("a new window", || {
                let windows = session.windows(&rig)?;
                Ok(windows.iter().any(|w| w.title.contains(title) && w.id != window.id).then_some(()))
            })
            .unwrap();
            eprintln!("{title}: back after {:?}", start.elapsed());
            wait_same(&rig, &session, title, &window, &before);
        }
    }
}

#[test]
fn windows_outlive_their_compositor() {
    let _one = alone();
    for (argv, title) in APPS {
        let rig = Rig::new().unwrap();
        let mut session = Session::start(&rig).unwrap();
        let app = Running::start_in(&rig, &session, &[], argv).unwrap();
        let (window, before) = look(&rig, &session, title);
        session.crash().unwrap();
        wait_for("the bridge to go with it", || {
            Ok(app.status()?["bridge_pid"].as_u64().is_none().then_some(()))
        })
        .unwrap();
        let again = Session::start(&rig).unwrap();
        assert_eq!(again.display(), session.display());
        wait_same(&rig, &again, title, &window, &before);
    }
}

#[test]
fn an_app_moves_from_session_to_session() {
    let _one = alone();
    for (argv, title) in APPS {
        let rig = Rig::new().unwrap();
        let mut options = vec!["--no-display", "--id", "mover"];
        options.extend(argv.first().filter(|_| false));
        let app = Running::start(&rig, &options, argv).unwrap();
        app.wait_processes(1).unwrap();
        // It runs where there is nobody, for longer than a client would wait for a bridge.
        std::thread::sleep(std::time::Duration::from_secs(6));
        assert!(app.status().unwrap()["bridge_pid"].is_null());
        let out = rig.postern(&["attach", "mover"]).unwrap();
        assert!(out.status != 0 && out.stderr.contains("Wayland"), "{out:?}");

        let first = Session::start(&rig).unwrap();
        let attach = |session: &Session| {
            let postern = rig.postern.to_string_lossy();
            let out = session.enter(rig.command(&*postern).args(["attach", "mover"])).output().unwrap();
            assert!(out.status.success(), "{out:?}");
        };
        attach(&first);
        let (window, before) = look(&rig, &first, title);
        // It takes input.
        let second = Session::start(&rig).unwrap();
        attach(&second);
        wait_same(&rig, &second, title, &window, &before);
        assert!(!first.windows(&rig).unwrap().iter().any(|w| w.title.contains(title)), "{title} is in both");
        attach(&first);
        wait_same(&rig, &first, title, &window, &before);
        assert!(!second.windows(&rig).unwrap().iter().any(|w| w.title.contains(title)), "{title} is in both");
        // Nobody listens there any more.
        drop(second);
        let out = rig.postern(&["attach", "no-such-app"]).unwrap();
        assert_ne!(out.status, 0);
    }
}
