//! The manager, `postern` without a command: a window with the apps of the machine, what they may do, and how they fare.
//!
//! Model, draw, command: [`state`] holds what is known, [`present`] turns it into a [`view`] of plain data, [`draw`] turns
//! that into widgets and collects [`command`]s, and [`apply`] alone carries them out. [`workers`] do all that takes time.
//!
//! It is a program of its own inside `postern`, so that the processes of running apps do not carry a toolkit.
#![forbid(unsafe_code)]

mod app;
mod apply;
mod backend;
mod command;
mod data;
mod draw;
mod icons;
mod present;
mod search;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod theme;
mod view;
mod workers;

use std::env;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use command::OwnPaths;
use postern_library::Surroundings;

/// The name by which the desktop knows the window: that of the desktop entry.
const APP_ID: &str = "postern";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Opens the window and returns when it is closed. Apps go on.
///
/// # Errors
/// When there is no Wayland session or no way to draw in it.
fn run() -> anyhow::Result<()> {
    // The host names a program after the file that it came from, and this one came from none.
    nix::sys::prctl::set_name(c"postern")?;
    let program = env::args_os().nth(1).context("this is a part of postern, which starts it")?;
    require_wayland()?;
    let around = Surroundings::from_env();
    let paths = own_paths(program.into(), &around)?;
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Postern")
            .with_app_id(APP_ID)
            .with_inner_size([1120.0, 760.0])
            .with_min_inner_size([680.0, 480.0]),
        ..eframe::NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> =
        Box::new(move |creation| Ok(Box::new(app::Manager::new(&creation.egui_ctx, around, paths)?)));
    // The error does not leave as it is: it need not be fit for other threads.
    eframe::run_native(APP_ID, options, create)
        .map_err(|error| anyhow::anyhow!("the window cannot be opened: {error}"))
}

/// Says plainly what is missing, before a toolkit says it in its own words.
fn require_wayland() -> anyhow::Result<()> {
    const NEEDS: &str = "Postern's window needs a Wayland session";
    if env::var_os("WAYLAND_SOCKET").is_some() {
        return Ok(());
    }
    let Some(display) = env::var_os("WAYLAND_DISPLAY").filter(|name| !name.is_empty()) else {
        bail!("{NEEDS}: WAYLAND_DISPLAY is not set");
    };
    let mut path = PathBuf::from(display);
    if path.is_relative() {
        let Some(dir) = env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) else {
            bail!("{NEEDS}: XDG_RUNTIME_DIR is not set");
        };
        path = PathBuf::from(dir).join(path);
    }
    UnixStream::connect(&path)
        .map(drop)
        .with_context(|| format!("{NEEDS}: cannot connect to {}", path.display()))
}

/// Where the window keeps its settings and the output of apps, by the XDG base directory specification.
fn own_paths(program: PathBuf, around: &Surroundings) -> anyhow::Result<OwnPaths> {
    let dir = |variable: &str, below_home: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
            .or_else(|| around.home.as_ref().map(|home| home.join(below_home)))
            .map(|dir| dir.join("postern"))
            .with_context(|| format!("neither {variable} nor HOME is set"))
    };
    Ok(OwnPaths {
        program,
        settings: dir("XDG_CONFIG_HOME", ".config")?.join("manager.json"),
        logs: dir("XDG_STATE_HOME", ".local/state")?.join("logs"),
    })
}
