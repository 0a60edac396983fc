//! `make bench`: what things cost natively, under bubblewrap and under Postern, measured in one run. Prints Markdown.
//! With an argument only one table: `small`, `programs`, `apps`, `display` or `video`; with the name of an app after
//! `apps` only that app.
#![forbid(unsafe_code)]

mod apps;
mod display;
mod programs;
mod screen;
mod small;
mod video;
mod ways;

use postern_tests::Rig;
use std::process::ExitCode;

fn main() -> ExitCode {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let result = Rig::new().and_then(|rig| {
        if wanted("small") {
            small::table(&rig)?;
        }
        if wanted("programs") {
            programs::table(&rig)?;
        }
        if wanted("apps") {
            apps::table(&rig, std::env::args().nth(2).as_deref())?;
        }
        if wanted("display") {
            display::table(&rig)?;
        }
        if wanted("video") {
            video::table(&rig)?;
        }
        Ok(())
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
