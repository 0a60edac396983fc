//! Does what the window asks for, one thing after the other. What takes long gets a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::super::backend;
use super::super::command::{Event, Job, OwnPaths};
use super::pulse::Pulse;
use super::{Events, launch, spawn};

/// How long an app may take to end before a restart is given up.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Works until the window is gone.
pub(super) fn run(jobs: &Receiver<Job>, paths: &OwnPaths, pulse: &Arc<Pulse>, out: &Events) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Launch { app } => launch::launch(&app, paths, out),
            Job::Stop { app } => apart("stop", out, "The app cannot be stopped", {
                let pulse = Arc::clone(pulse);
                move |out| stop(&app, &pulse, out)
            }),
            Job::Restart { app } => apart("restart", out, "The app cannot be restarted", {
                let (pulse, paths) = (Arc::clone(pulse), paths.clone());
                move |out| restart(&app, &paths, &pulse, out)
            }),
            Job::Permit { app, changes } => {
                if let Err(error) = backend::permit(&app, &changes) {
                    let what = "The permission cannot be changed".to_owned();
                    out.send(Event::Failed { what, why: format!("{error:#}") });
                }
                // What holds now, also where it is not what was asked for.
                out.send(backend::read_permissions(app));
                pulse.hurry();
            }
            Job::ReadPermissions { app } => out.send(backend::read_permissions(app)),
            Job::DeleteReport { id } => {
                if let Err(error) = backend::delete_report(&id) {
                    let what = "The crash report cannot be deleted".to_owned();
                    out.send(Event::Failed { what, why: format!("{error:#}") });
                }
            }
            Job::SaveSettings(settings) => {
                if let Err(error) = settings.save(&paths.settings) {
                    let what = "The window's settings cannot be kept".to_owned();
                    out.send(Event::Failed { what, why: error.to_string() });
                }
            }
            // The window does this itself.
            Job::CopyText(_) => {}
        }
    }
}

fn apart(name: &str, out: &Events, what: &'static str, work: impl FnOnce(&Events) + Send + 'static) {
    let own = out.clone();
    if let Err(error) = spawn(name, move || work(&own)) {
        out.send(Event::Failed { what: what.to_owned(), why: error.to_string() });
    }
}

fn stop(app: &str, pulse: &Pulse, out: &Events) {
    if let Err(error) = backend::stop(app) {
        out.send(Event::Failed { what: "The app cannot be stopped".to_owned(), why: format!("{error:#}") });
    }
    pulse.hurry();
}

fn restart(app: &str, paths: &OwnPaths, pulse: &Pulse, out: &Events) {
    let fail =
        |why: String| out.send(Event::LaunchEnded { app: app.to_owned(), error: Some(why), early: true });
    if let Err(error) = backend::stop(app) {
        return fail(format!("{error:#}"));
    }
    let start = Instant::now();
    while backend::is_running(app) {
        if start.elapsed() > STOP_PATIENCE {
            return fail("It has not ended yet, so it was not started again".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    pulse.hurry();
    launch::launch(app, paths, out);
}
