//! The view model: what the window shows, as plain data without a type of the toolkit, so that it can be compared and
//! written out in tests. Drawing code turns it into pixels and decides nothing else.

use serde::Serialize;

use super::command::{Appearance, LibraryLayout, Page, SortBy};
use super::data::{Grant, HomeAccess, PermissionChange, PermissionKey};

/// The whole window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// The rail at the left.
    pub rail: Rail,
    /// The page beside it.
    pub page: PageView,
    /// The messages over it, oldest first.
    pub toasts: Vec<ToastView>,
}

/// The rail at the left: pages, and the running apps at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rail {
    /// The pages.
    pub items: Vec<RailItem>,
    /// The first few running apps.
    pub running: Vec<RailApp>,
    /// How many more run.
    pub more_running: usize,
    /// The colours in use.
    pub appearance: Appearance,
}

/// A page of the rail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RailItem {
    /// Where it leads.
    pub page: Page,
    /// Its name.
    pub label: &'static str,
    /// A number beside it, where there is something to count.
    pub count: Option<usize>,
    /// Whether the number asks for attention.
    pub attention: bool,
    /// Whether its page, or one below it, is shown.
    pub selected: bool,
}

/// A running app of the rail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RailApp {
    /// Which app.
    pub app: AppRef,
    /// Processor use as text.
    pub cpu: String,
    /// Memory as text.
    pub memory: String,
    /// Its graph.
    pub graph: Graph,
    /// Whether its page is shown.
    pub selected: bool,
}

/// An app's id, name and icon: what every mention of an app shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppRef {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The icon's name or path.
    pub icon: Option<String>,
}

/// A line over the last minute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// Parts of the full height, 0 to 1, oldest first, at most as many as the graph is wide.
    pub points: Vec<f32>,
    /// What the full height stands for.
    pub top: String,
}

/// The page beside the rail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum PageView {
    /// All apps.
    Library(LibraryView),
    /// One app.
    App(Box<AppView>),
    /// The running apps.
    Running(RunningView),
    /// All crash reports.
    Reports(ReportsView),
    /// One crash report.
    Report(Box<ReportView>),
    /// What was shown is gone.
    Missing(Empty),
}

/// A message in place of content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Empty {
    /// What is the case.
    pub title: String,
    /// What it means or what to do.
    pub text: String,
}

/// The library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LibraryView {
    /// The text of the search box.
    pub query: String,
    /// Grid or list.
    pub layout: LibraryLayout,
    /// The apps that match, best first.
    pub tiles: Vec<Tile>,
    /// The one that Enter launches.
    pub selected: usize,
    /// What is shown where there are no tiles.
    pub empty: Option<Empty>,
}

/// An app in the library.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tile {
    /// Which app.
    pub app: AppRef,
    /// One sentence about it.
    pub comment: String,
    /// What it is doing.
    pub badge: Option<Badge>,
    /// Why it cannot be started.
    pub blocked: Option<String>,
}

/// A small mark on an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Badge {
    /// It was asked to start.
    Starting,
    /// It runs.
    Running,
    /// It has a crash report that was not looked at.
    Crashed,
}

impl Badge {
    /// Its text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Crashed => "Crashed",
        }
    }
}

/// The page of one app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppView {
    /// Which app.
    pub app: AppRef,
    /// One sentence about it.
    pub comment: String,
    /// What it is doing.
    pub status: AppStatus,
    /// Why it cannot be started.
    pub blocked: Option<String>,
    /// A remark on this host's isolation.
    pub isolation: Option<String>,
    /// What it uses, while it runs.
    pub usage: Option<Usage>,
    /// The permissions; empty until they were read.
    pub permissions: Vec<PermissionRow>,
    /// Whether any permission differs from its default.
    pub changed: bool,
    /// Whether a change waits for the next start.
    pub restart_needed: bool,
    /// Why the manifest cannot be read.
    pub manifest_error: Option<String>,
    /// The files and folders granted.
    pub grants: Vec<Grant>,
    /// What was refused since it started.
    pub refused: Vec<RefusedRow>,
    /// What it asked for that is not there.
    pub unsupported: Vec<RefusedRow>,
    /// Its crash reports, newest first.
    pub reports: Vec<ReportRow>,
    /// Small facts: id, command, desktop entry.
    pub facts: Vec<(String, String)>,
}

/// What an app is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AppStatus {
    /// Nothing.
    Stopped,
    /// It was asked to start.
    Starting,
    /// It runs.
    Running,
    /// It was asked to stop.
    Stopping,
}

/// What a running app uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// Processor use as text.
    pub cpu: String,
    /// Its graph.
    pub cpu_graph: Graph,
    /// Memory as text.
    pub memory: String,
    /// Its graph.
    pub memory_graph: Graph,
    /// Small facts: processes, threads, running since.
    pub facts: Vec<(String, String)>,
}

/// A permission of an app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PermissionRow {
    /// Which one.
    pub key: PermissionKey,
    /// Its name.
    pub title: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// How it stands in the manifest.
    pub flag: String,
    /// How it is changed.
    pub control: Control,
    /// Whether it differs from the default.
    pub changed: bool,
    /// Whether it waits for the next start.
    pub at_next_start: bool,
    /// Whether the running app was started with another value than the manifest's, which is what is shown.
    pub this_run: bool,
    /// That it was refused since the app started, and how often.
    pub refused: Option<String>,
}

/// How a permission is changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Control {
    /// On or off; holds whether it is on and what a click does.
    Switch {
        /// Whether it is on.
        on: bool,
        /// What a click does.
        toggle: PermissionChange,
    },
    /// One of a few.
    Choice(Vec<Choice>),
}

/// One of the values of a choice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Its name.
    pub label: &'static str,
    /// Whether it is the present one.
    pub selected: bool,
    /// What choosing it does.
    pub change: PermissionChange,
}

/// The values of the home folder's permission.
pub const HOME_CHOICES: [(&str, HomeAccess); 3] =
    [("Off", HomeAccess::Off), ("Read", HomeAccess::Read), ("Read and write", HomeAccess::ReadWrite)];

/// What was asked for and not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// What was asked.
    pub what: String,
    /// How often, as text.
    pub times: String,
    /// The name of the permission that would allow it.
    pub permission: Option<&'static str>,
}

/// The running apps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunningView {
    /// A line per app.
    pub rows: Vec<RunningRow>,
    /// What they are sorted by.
    pub sort: SortBy,
    /// All of them together.
    pub total: String,
    /// What is shown where nothing runs.
    pub empty: Option<Empty>,
}

/// A running app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunningRow {
    /// Which app.
    pub app: AppRef,
    /// Its graph of processor use.
    pub graph: Graph,
    /// Processor use as text.
    pub cpu: String,
    /// Memory as text.
    pub memory: String,
    /// The number of processes as text.
    pub processes: String,
    /// How long it has been running.
    pub uptime: String,
    /// Whether it was asked to stop.
    pub stopping: bool,
}

/// All crash reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportsView {
    /// A line per report, newest first.
    pub rows: Vec<ReportRow>,
    /// What is shown where there are none.
    pub empty: Option<Empty>,
}

/// A crash report in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportRow {
    /// The report.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// What died and why.
    pub summary: String,
    /// When.
    pub when: String,
    /// Whether it was not looked at yet.
    pub fresh: bool,
}

/// The page of one crash report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportView {
    /// The report in short.
    pub row: ReportRow,
    /// Signal, address, thread and time.
    pub facts: Vec<(String, String)>,
    /// The stack, innermost first.
    pub backtrace: Vec<FrameRow>,
    /// The last refused requests.
    pub refused: Vec<String>,
    /// What the library OS or the bridge said.
    pub details: Option<String>,
    /// The whole report, for the copy button.
    pub text: String,
    /// Whether the app is still installed.
    pub can_launch: bool,
}

/// A stack frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FrameRow {
    /// Its address.
    pub address: String,
    /// The function, or that it is not known.
    pub function: String,
    /// Whether the function is known.
    pub named: bool,
    /// The file.
    pub module: String,
}

/// A message over the window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToastView {
    /// Tells toasts apart.
    pub id: u64,
    /// Whether something failed.
    pub error: bool,
    /// The message.
    pub text: String,
    /// More about it.
    pub details: Option<String>,
    /// The name of its button.
    pub action: Option<String>,
}
