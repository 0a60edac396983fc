//! Everything the window shows, and how news from the workers changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, Event, Job, Page, SortBy};
use super::data::{PermissionKey, Permissions, Report, Sample};
use super::settings::Settings;
use crate::search;
use postern_library::App;

/// How many samples a graph keeps: one minute.
pub const HISTORY: usize = 60;

/// How long a message stays, if it is not an error.
const TOAST_SECONDS: f64 = 6.0;

/// Pages that Back can return to.
const MAX_BACK: usize = 32;

/// The state of the window. It is changed by events and commands alone, and knows nothing of how it is drawn.
#[derive(Debug, Default)]
pub struct State {
    /// The apps of the machine; `None` until they were read for the first time.
    pub apps: Option<Arc<Vec<App>>>,
    /// The page shown.
    pub page: Page,
    /// Where Back leads, the nearest last.
    pub back: Vec<Page>,
    /// What is typed into the search box.
    pub query: String,
    /// The listed apps that match, best first: indices into `apps`.
    pub matches: Vec<usize>,
    /// The place in `matches` that Enter launches.
    pub selected: usize,
    /// The running apps by id.
    pub running: BTreeMap<String, RunningApp>,
    /// Apps that were asked to start and do not run yet.
    pub starting: BTreeSet<String>,
    /// Apps that were asked to stop and still run.
    pub stopping: BTreeSet<String>,
    /// What the running list is sorted by.
    pub sort: SortBy,
    /// All crash reports, newest first.
    pub reports: Vec<Report>,
    /// Reports that will be deleted when their toast goes.
    pub doomed_reports: BTreeSet<String>,
    /// Reports that were there at the start or have been looked at.
    pub seen_reports: BTreeSet<String>,
    /// Whether reports have been read once.
    pub reports_read: bool,
    /// The permissions that were read, by app.
    pub permissions: BTreeMap<String, AppPermissions>,
    /// The messages on the window.
    pub toasts: Vec<Toast>,
    /// The number of the next toast.
    pub next_toast: u64,
    /// The window's settings.
    pub settings: Settings,
    /// Seconds since the window opened.
    pub now: f64,
    /// Seconds since 1970, for "3 minutes ago".
    pub unix_now: u64,
}

/// A running app with its recent past.
#[derive(Clone, Debug, Default)]
pub struct RunningApp {
    /// Its latest state.
    pub latest: Option<Sample>,
    /// Processor use, oldest first, at most [`HISTORY`] values.
    pub cpu: VecDeque<f32>,
    /// Memory in bytes, oldest first, at most [`HISTORY`] values.
    pub memory: VecDeque<f32>,
}

/// The permissions of an app as the window knows them.
#[derive(Clone, Debug, Default)]
pub struct AppPermissions {
    /// As they are, with the user's latest change already in.
    pub current: Permissions,
    /// As they would be with nothing changed.
    pub default: Permissions,
    /// How they stand in the manifest, letter by letter.
    pub flags: Vec<(PermissionKey, String)>,
    /// Why the manifest cannot be read.
    pub broken: Option<String>,
}

/// A short message over the window.
#[derive(Clone, Debug)]
pub struct Toast {
    /// Tells toasts apart.
    pub id: u64,
    /// Whether something failed: then it stays until it is closed.
    pub error: bool,
    /// The message.
    pub text: String,
    /// More about it, on further lines.
    pub details: Option<String>,
    /// A button and what it does.
    pub action: Option<(String, Command)>,
    /// What is done when the toast goes and the action was not taken.
    pub at_end: Option<Job>,
    /// When it goes, in seconds since the window opened.
    pub until: Option<f64>,
}

impl State {
    /// The app with this id.
    #[must_use]
    pub fn app(&self, id: &str) -> Option<&App> {
        self.apps.as_ref()?.iter().find(|app| app.id == id)
    }

    /// The name to show for an app, also for one that is no longer installed.
    #[must_use]
    pub fn name_of(&self, id: &str) -> String {
        let of_entry = self.app(id).map(|app| &app.entry.name);
        let of_run = || Some(&self.running.get(id)?.latest.as_ref()?.name);
        let of_report = || self.reports.iter().find(|report| report.app == id).map(|report| &report.name);
        let known = of_entry.or_else(of_run).or_else(of_report).filter(|name| !name.is_empty());
        known.map_or_else(|| id.to_owned(), Clone::clone)
    }

    /// The reports that are shown.
    pub fn visible_reports(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(|report| !self.doomed_reports.contains(&report.id))
    }

    /// Goes to a page and remembers the one before.
    pub fn open(&mut self, page: Page) {
        if page == self.page {
            return;
        }
        let before = std::mem::replace(&mut self.page, page);
        self.back.push(before);
        if self.back.len() > MAX_BACK {
            self.back.remove(0);
        }
    }

    /// Searches again after the query or the apps changed.
    pub fn search(&mut self) {
        self.matches = self.apps.as_ref().map_or_else(Vec::new, |apps| search::ranked(apps, &self.query));
        self.selected = self.selected.min(self.matches.len().saturating_sub(1));
    }

    /// Shows a message that goes by itself.
    pub fn tell(&mut self, text: String, action: Option<(String, Command)>, at_end: Option<Job>) {
        let until = Some(self.now + TOAST_SECONDS);
        self.push_toast(Toast { id: 0, error: false, text, details: None, action, at_end, until });
    }

    /// Shows a message that stays until it is closed.
    pub fn complain(&mut self, text: String, details: Option<String>, action: Option<(String, Command)>) {
        // The same complaint twice says nothing new.
        self.toasts.retain(|toast| !(toast.error && toast.text == text && toast.details == details));
        self.push_toast(Toast { id: 0, error: true, text, details, action, at_end: None, until: None });
    }

    fn push_toast(&mut self, mut toast: Toast) {
        toast.id = self.next_toast;
        self.next_toast += 1;
        self.toasts.push(toast);
    }

    /// Moves the clock: toasts go. Returns what their end sets off.
    pub fn tick(&mut self, now: f64, unix_now: u64) -> Vec<Job> {
        self.now = now;
        self.unix_now = unix_now;
        let (gone, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.toasts)
            .into_iter()
            .partition(|toast| toast.until.is_some_and(|at| at <= now));
        self.toasts = stay;
        gone.into_iter().filter_map(|toast| toast.at_end).collect()
    }

    /// How long until the next toast goes by itself.
    #[must_use]
    pub fn next_tick(&self) -> Option<Duration> {
        let next = self.toasts.iter().filter_map(|toast| toast.until).reduce(f64::min)?;
        Some(Duration::from_secs_f64((next - self.now).max(0.0)))
    }

    /// Takes in what a worker tells. Returns what is to be done next.
    pub fn absorb(&mut self, event: Event) -> Vec<Job> {
        match event {
            Event::Library(apps) => {
                self.apps = Some(apps);
                self.search();
                Vec::new()
            }
            Event::Running(samples) => {
                self.absorb_samples(samples);
                Vec::new()
            }
            Event::Reports(reports) => {
                self.absorb_reports(reports);
                Vec::new()
            }
            Event::Permissions { app, flags, current, default } => {
                self.permissions.insert(app, AppPermissions { current, default, flags, broken: None });
                Vec::new()
            }
            Event::ManifestBroken { app, message } => {
                self.permissions.entry(app).or_default().broken = Some(message);
                Vec::new()
            }
            Event::ManifestsChanged => {
                self.permissions.keys().map(|app| Job::ReadPermissions { app: app.clone() }).collect()
            }
            Event::LaunchEnded { app, error, early } => {
                let never_ran = self.starting.remove(&app);
                if let Some(error) = error
                    && (never_ran || early)
                    && !self.stopping.contains(&app)
                {
                    let text = format!("{} did not start", self.name_of(&app));
                    self.complain(text, Some(error), None);
                }
                Vec::new()
            }
            Event::Failed { what, why } => {
                self.stopping.clear();
                self.complain(what, Some(why), None);
                Vec::new()
            }
            // Pictures and colours are kept where they are drawn.
            Event::Icon { .. } | Event::IconsChanged | Event::DesktopIsDark(_) => Vec::new(),
        }
    }

    fn absorb_samples(&mut self, samples: Vec<Sample>) {
        let here: BTreeSet<String> = samples.iter().map(|sample| sample.app.clone()).collect();
        self.running.retain(|app, _| here.contains(app));
        self.stopping.retain(|app| here.contains(app));
        for sample in samples {
            self.starting.remove(&sample.app);
            self.tell_of_drops(&sample);
            let app = self.running.entry(sample.app.clone()).or_default();
            if app.latest.as_ref().is_some_and(|latest| latest.monitor_pid != sample.monitor_pid) {
                *app = RunningApp::default();
            }
            push_bounded(&mut app.cpu, sample.cpu_percent);
            push_bounded(&mut app.memory, sample.memory_bytes as f32);
            app.latest = Some(sample);
        }
    }

    /// A message for what was dropped on an app since the last sample.
    fn tell_of_drops(&mut self, sample: &Sample) {
        let Some(before) = self.running.get(&sample.app).and_then(|app| app.latest.as_ref()) else { return };
        let fresh: Vec<_> = sample.dropped.iter().filter(|path| !before.dropped.contains(path)).collect();
        let Some(first) = fresh.first() else { return };
        let name = self.name_of(&sample.app);
        let more = match fresh.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let show = ("Show permissions".to_owned(), Command::Open(Page::App(sample.app.clone())));
        self.tell(format!("{name} may now use {}{more}", first.display()), Some(show), None);
    }

    fn absorb_reports(&mut self, reports: Vec<Report>) {
        let first = !std::mem::replace(&mut self.reports_read, true);
        if first {
            self.seen_reports = reports.iter().map(|report| report.id.clone()).collect();
        }
        let known: BTreeSet<&String> = self.reports.iter().map(|report| &report.id).collect();
        let fresh: Vec<Report> =
            reports.iter().filter(|report| !first && !known.contains(&report.id)).cloned().collect();
        self.doomed_reports.retain(|id| reports.iter().any(|report| report.id == *id));
        self.reports = reports;
        for report in fresh {
            let text = format!("{} ended unexpectedly", self.name_of(&report.app));
            let show = ("Show report".to_owned(), Command::Open(Page::Report(report.id)));
            self.complain(text, Some(report.summary), Some(show));
        }
    }
}

fn push_bounded(history: &mut VecDeque<f32>, value: f32) {
    while history.len() >= HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}
