//! `make run`: shows the manager in the present Wayland session. Where there is none it starts a headless one, launches
//! an app by a click on it, waits until its window has painted, and saves screenshots of both under `target/run`.

use postern_tests::rig::{binary, root};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Session};
use std::io;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    if std::env::var_os("WAYLAND_DISPLAY").is_some() {
        return match Command::new(binary()).status() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{}: {error}", binary().display());
                ExitCode::FAILURE
            }
        };
    }
    match headless() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn headless() -> io::Result<()> {
    let rig = Rig::new()?;
    let session = Session::start(&rig)?;
    let shots = root().join("target/run");
    std::fs::create_dir_all(&shots)?;
    let postern = rig.postern.to_string_lossy().into_owned();
    let mut manager = session.launch(&rig, &[&postern])?;
    let result = click_through(&rig, &session, &shots);
    let _ = manager.kill();
    let _ = manager.wait();
    if result.is_err() {
        let log = std::fs::read_to_string(rig.dir.join("apps.log")).unwrap_or_default();
        eprintln!("{log}");
    }
    result
}

fn click_through(rig: &Rig, session: &Session, shots: &std::path::Path) -> io::Result<()> {
    let (manager, _) = session.wait_painted(rig, "postern", 40)?;
    // The search box has the focus: narrow the library down to the one app, then click on its tile.
    session.type_text(rig, "calculator")?;
    let tile = wait_for("the search to narrow the library down", || {
        let picture = session.screenshot(rig, &shots.join("manager.png"))?;
        let [x, y, width, height] = manager.rect;
        // Right of the rail and below the search box only the one tile is left: the first coloured block there.
        let left = x + 224.min(width);
        let below = y + 120.min(height);
        let colourful = |cx: usize, cy: usize| {
            let [r, g, b] = picture.at(cx, cy).unwrap_or_default();
            r.abs_diff(b).max(g.abs_diff(b)).max(r.abs_diff(g)) > 90
        };
        let mut hits = Vec::new();
        for cy in (below..y + height).step_by(4) {
            for cx in (left..x + width).step_by(4) {
                if colourful(cx, cy) {
                    hits.push((cx, cy));
                }
            }
        }
        Ok(hits.get(hits.len() / 2).copied().filter(|_| hits.len() < 400))
    })?;
    session.click(rig, tile.0, tile.1)?;
    let found = session.wait_painted(rig, "calculator", 20);
    session.screenshot(rig, &shots.join("app.png"))?;
    let (window, _) = found?;
    println!("“{}” was launched by a click and has painted its window", window.title);
    println!("screenshots: {} and {}", shots.join("manager.png").display(), shots.join("app.png").display());
    session.message(rig, &[&format!("[con_id={}]", window.id), "kill"])?;
    Ok(())
}
