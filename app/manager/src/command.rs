//! What the user can ask for, what that makes the workers do, and what they answer.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::data::{PermissionChange, PermissionKey, Permissions, Report, Sample};
use crate::icons::image::IconImage;
use postern_library::App;

/// A page of the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Page {
    /// All apps.
    #[default]
    Library,
    /// One app.
    App(String),
    /// The running apps.
    Running,
    /// All crash reports.
    Reports,
    /// One crash report.
    Report(String),
}

/// How the library shows apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryLayout {
    /// Large icons in columns.
    #[default]
    Grid,
    /// One line per app.
    List,
}

/// Which colours the window uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Appearance {
    /// As the desktop says.
    #[default]
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

/// What the running list is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum SortBy {
    /// The app's name.
    #[default]
    Name,
    /// Processor use, highest first.
    Cpu,
    /// Memory, highest first.
    Memory,
}

/// A step through the tiles of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Step {
    /// By this many tiles; may be negative.
    By(isize),
    /// To the first.
    First,
    /// To the last.
    Last,
}

/// Everything the window can ask for. Drawing code only makes these; `apply.rs` alone carries them out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Command {
    /// Shows a page; where one goes back to is remembered.
    Open(Page),
    /// Goes back to the page before.
    Back,
    /// Filters the library.
    Search(String),
    /// Moves the library's selection.
    MoveSelection(Step),
    /// Starts an app.
    Launch(String),
    /// Ends an app.
    Stop(String),
    /// Ends an app and starts it again.
    Restart(String),
    /// Changes a permission.
    Permit(String, PermissionChange),
    /// Gives one permission its default value again.
    ResetPermission(String, PermissionKey),
    /// Gives all permissions their default values again.
    ResetPermissions(String),
    /// Puts permissions back: what Undo does.
    RestorePermissions(String, Permissions),
    /// Hides a report and deletes it once Undo is no longer offered.
    DeleteReport(String),
    /// Shows a report again that was about to be deleted.
    KeepReport(String),
    /// Copies text.
    Copy {
        /// The text.
        text: String,
        /// What the toast says was copied.
        what: String,
    },
    /// Sorts the running list.
    Sort(SortBy),
    /// Shows the library as a grid or a list.
    SetLayout(LibraryLayout),
    /// Changes the colours.
    SetAppearance(Appearance),
    /// Does what a toast's button says, and closes the toast.
    ToastAction(u64),
    /// Closes a toast.
    CloseToast(u64),
}

/// Work that may take time or touch files: done by the workers, never by the window's thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Starts an app.
    Launch {
        /// Its id.
        app: String,
    },
    /// Ends an app.
    Stop {
        /// Its id.
        app: String,
    },
    /// Ends an app, waits until it is gone, and starts it again.
    Restart {
        /// Its id.
        app: String,
    },
    /// Changes permissions in the manifest, and in the running app where it can act at once.
    Permit {
        /// The app's id.
        app: String,
        /// The new values.
        changes: Vec<PermissionChange>,
    },
    /// Reads an app's permissions.
    ReadPermissions {
        /// The app's id.
        app: String,
    },
    /// Deletes a report's file.
    DeleteReport {
        /// The report's id.
        id: String,
    },
    /// Keeps the window's settings.
    SaveSettings(super::settings::Settings),
    /// Puts text on the clipboard: done by the window, which owns it.
    CopyText(String),
}

/// What the workers tell the window.
#[derive(Clone, Debug)]
pub enum Event {
    /// The apps of the machine were read.
    Library(Arc<Vec<App>>),
    /// The running apps, and how they are.
    Running(Vec<Sample>),
    /// All crash reports, newest first.
    Reports(Vec<Report>),
    /// An app's permissions and their defaults.
    Permissions {
        /// The app's id.
        app: String,
        /// How they stand in the manifest, letter by letter.
        flags: Vec<(PermissionKey, String)>,
        /// As they are.
        current: Permissions,
        /// As they would be with nothing changed.
        default: Permissions,
    },
    /// The manifest of an app cannot be read. The file is kept.
    ManifestBroken {
        /// The app's id.
        app: String,
        /// What is wrong, and where.
        message: String,
    },
    /// Manifests on disk have changed.
    ManifestsChanged,
    /// A launch ended: at once with an error, or at the end of the app.
    LaunchEnded {
        /// The app's id.
        app: String,
        /// What to tell the user where it failed.
        error: Option<String>,
        /// Whether that was within a few seconds.
        early: bool,
    },
    /// A job failed.
    Failed {
        /// What was tried, as a sentence.
        what: String,
        /// Why it failed.
        why: String,
    },
    /// An icon was read, or there is none.
    Icon {
        /// Which one.
        key: IconKey,
        /// The picture.
        image: Option<IconImage>,
    },
    /// Icons on disk may have changed.
    IconsChanged,
    /// The desktop is dark, or else light.
    DesktopIsDark(bool),
}

/// What the window asks the icon worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IconRequest {
    /// Find and decode an icon.
    Find(IconKey),
    /// Look at the directories again: icons may have come or gone.
    Refresh,
}

/// An icon at a size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IconKey {
    /// The icon's name or absolute path.
    pub icon: String,
    /// The side in logical pixels.
    pub points: u32,
    /// The side in real pixels.
    pub pixels: u32,
}

/// The manager's own files.
#[derive(Clone, Debug)]
pub struct OwnPaths {
    /// The program `postern`, which starts apps.
    pub program: PathBuf,
    /// The window's settings.
    pub settings: PathBuf,
    /// The output of apps that the manager started, a file per app.
    pub logs: PathBuf,
}
