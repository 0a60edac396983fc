//! The threads behind the window. They read, watch, measure and act; the window's thread only draws.

mod desktop_colours;
mod icons;
mod jobs;
mod launch;
mod pulse;
mod sampler;
mod watcher;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::command::{Event, IconRequest, Job, OwnPaths};
use postern_library::Surroundings;
use pulse::Pulse;

/// Wakes the window.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// How workers tell the window something.
#[derive(Clone)]
pub struct Events {
    sender: Sender<Event>,
    wake: Wake,
}

impl Events {
    /// Sends news and wakes the window. When the window is gone, nobody needs to know.
    fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            (self.wake)();
        }
    }

    /// Sends news that can wait until something else wakes the window.
    fn send_quietly(&self, event: Event) {
        let _ = self.sender.send(event);
    }
}

/// The workers, seen from the window.
pub struct Workers {
    jobs: Sender<Job>,
    pulse: Arc<Pulse>,
}

/// What the window gets at the start.
pub struct Started {
    /// The workers.
    pub workers: Workers,
    /// What they tell.
    pub events: Receiver<Event>,
    /// Where to ask for icons.
    pub icons: Sender<IconRequest>,
}

impl Workers {
    /// Starts all threads.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(around: Surroundings, paths: OwnPaths, wake: Wake) -> std::io::Result<Started> {
        let (sender, events) = mpsc::channel();
        let out = Events { sender, wake };
        let pulse = Arc::new(Pulse::default());
        let (jobs, job_queue) = mpsc::channel();
        let (icons, icon_queue) = mpsc::channel();
        let around = Arc::new(around);
        {
            let (around, out) = (Arc::clone(&around), out.clone());
            spawn("icons", move || icons::run(&around, &icon_queue, &out))?;
        }
        {
            let (pulse, out) = (Arc::clone(&pulse), out.clone());
            spawn("sampler", move || sampler::run(&pulse, &out))?;
        }
        {
            let (pulse, out) = (Arc::clone(&pulse), out.clone());
            spawn("jobs", move || jobs::run(&job_queue, &paths, &pulse, &out))?;
        }
        {
            let out = out.clone();
            spawn("colours", move || desktop_colours::run(&out))?;
        }
        {
            let pulse = Arc::clone(&pulse);
            spawn("watcher", move || watcher::run(&around, &pulse, &out))?;
        }
        Ok(Started { workers: Self { jobs, pulse }, events, icons })
    }

    /// Has something done.
    pub fn work(&self, job: Job) {
        // The worker ends only with the window.
        let _ = self.jobs.send(job);
    }

    /// Tells whether anything is to be seen: measuring rests while it is not.
    pub fn set_visible(&self, visible: bool) {
        self.pulse.set_visible(visible);
    }
}

/// Starts a thread that goes by its name in debuggers and `ps -L`.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
