//! `make run`: opens the manager in the current Wayland session. Where there is none, starts a headless one, opens the
//! manager in it, launches an app by a real click, and saves screenshots of both under `target/run/`.
#![forbid(unsafe_code)]

use postern_tests::rig::{binary, root};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Session};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What is typed into the search box.
const SEARCH: &str = "calculator";
/// Title of the app's window.
const TITLE: &str = "Calculator";
/// Middle of the first tile of the library in a window of 1280 × 800.
const FIRST_TILE: (usize, usize) = (330, 157);
/// A window with fewer colours than this has not painted its text yet.
const COLOURS: usize = 24;

fn has_session() -> bool {
    let Some(display) = std::env::var_os("WAYLAND_DISPLAY").map(PathBuf::from) else { return false };
    let directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default();
    std::os::unix::net::UnixStream::connect(directory.join(display)).is_ok()
}

fn headless(target: &Path) -> io::Result<()> {
    std::fs::create_dir_all(target)?;
    let rig = Rig::new()?;
    let session = Session::start(&rig)?;
    println!("no Wayland session here: a headless one for {}", rig.user.name);
    let postern = rig.postern.to_string_lossy().into_owned();
    let mut manager = session.launch(&rig, &[&postern])?;
    let shown = run(&rig, &session, target);
    if shown.is_err() {
        let log = std::fs::read_to_string(rig.dir.join("apps.log")).unwrap_or_default();
        eprintln!("{log}");
        let _ = session.screenshot(&rig, &target.join("failed.png"));
    }
    let _ = rig.postern(&["stop", "--kill", "org.gnome.Calculator"]);
    let _ = manager.kill();
    let _ = manager.wait();
    shown
}

fn run(rig: &Rig, session: &Session, target: &Path) -> io::Result<()> {
    session.wait_painted(rig, "Postern", COLOURS)?;
    session.type_text(rig, SEARCH)?;
    let before = session.settled(rig)?;
    before.save(&target.join("manager.png"))?;
    session.click(FIRST_TILE.0, FIRST_TILE.1)?;
    // The compositor makes room first: until then the manager is where the window will be.
    let path = target.join("app.png");
    let window = wait_for("the app's window to paint", || {
        let window = session.wait_window(rig, TITLE)?;
        let shown = session.screenshot(rig, &path)?;
        let [.., width, height] = window.rect;
        let is_new = shown.difference(&before, window.rect) > width * height / 2;
        Ok((is_new && shown.colours(window.rect) > COLOURS).then_some(window))
    })?;
    println!("clicked in the manager; the app's window came: “{}”, {:?}", window.title, window.rect);
    println!("{}\n{}", target.join("manager.png").display(), path.display());
    Ok(())
}

fn main() -> ExitCode {
    if has_session() {
        return match Command::new(binary()).status() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{}: {error}", binary().display());
                ExitCode::FAILURE
            }
        };
    }
    match headless(&root().join("target/run")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
