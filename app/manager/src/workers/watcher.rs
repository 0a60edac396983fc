//! Watches the directories of desktop entries, manifests, reports and control sockets, and reads again what changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::super::command::Event;
use super::super::{APP_ID, backend};
use super::Events;
use super::pulse::Pulse;
use postern_library::{self as library, Surroundings};

/// How long changes are collected before they are read: package managers write many files at once.
const SETTLE: Duration = Duration::from_millis(250);

/// What is read again when a directory changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Library,
    Manifests,
    Reports,
    Sockets,
}

/// A directory and what lies in it.
struct Place {
    dir: PathBuf,
    subject: Subject,
    mode: RecursiveMode,
}

/// Reads everything once, then what changes, until the window is gone.
pub(super) fn run(around: &Surroundings, pulse: &Pulse, out: &Events) {
    let (sender, changes) = mpsc::channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && is_change(event.kind)
        {
            let _ = sender.send(event.paths);
        }
    });
    let mut places = places(around);
    let mut watched = BTreeSet::new();
    let mut watcher = match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            let what = "Changes on disk cannot be watched; open the window again to see them".to_owned();
            out.send(Event::Failed { what, why: error.to_string() });
            None
        }
    };
    if let Some(watcher) = &mut watcher {
        watch(watcher, &mut places, &mut watched);
    }
    for subject in [Subject::Library, Subject::Reports] {
        read(subject, around, pulse, out);
    }
    while let Some(subjects) = next_changes(&changes, &places) {
        if let Some(watcher) = &mut watcher {
            // A directory that was missing may be there now.
            watch(watcher, &mut places, &mut watched);
        }
        for subject in subjects {
            read(subject, around, pulse, out);
        }
    }
}

/// Reading a file is no change, although the system tells of it.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => matches!(access, AccessKind::Close(AccessMode::Write)),
        _ => true,
    }
}

fn places(around: &Surroundings) -> Vec<Place> {
    let library = around.application_dirs().map(|dir| (dir, Subject::Library, RecursiveMode::Recursive));
    let own = [
        (backend::manifest_dir(), Subject::Manifests, RecursiveMode::NonRecursive),
        (backend::report_dir(), Subject::Reports, RecursiveMode::NonRecursive),
        (backend::socket_dir(), Subject::Sockets, RecursiveMode::NonRecursive),
    ];
    let own = own.into_iter().filter_map(|(dir, subject, mode)| Some((dir?, subject, mode)));
    library.chain(own).map(|(dir, subject, mode)| Place { dir, subject, mode }).collect()
}

/// Watches what is there. For a directory that is missing, the nearest one above it tells when it comes.
fn watch(watcher: &mut RecommendedWatcher, places: &mut [Place], watched: &mut BTreeSet<PathBuf>) {
    for place in places {
        let there = place.dir.ancestors().find(|dir| dir.is_dir());
        let Some(dir) = there else { continue };
        if watched.contains(dir) {
            continue;
        }
        let mode = if dir == place.dir { place.mode } else { RecursiveMode::NonRecursive };
        if watcher.watch(dir, mode).is_ok() {
            watched.insert(dir.to_owned());
        }
    }
}

/// Waits for changes and returns what they touch; `None` when there will be none.
fn next_changes(changes: &Receiver<Vec<PathBuf>>, places: &[Place]) -> Option<BTreeSet<Subject>> {
    let mut subjects = BTreeSet::new();
    let mut note = |paths: Vec<PathBuf>| {
        subjects.extend(paths.iter().flat_map(|path| subjects_of(path, places)));
    };
    note(changes.recv().ok()?);
    while let Ok(paths) = changes.recv_timeout(SETTLE) {
        note(paths);
    }
    Some(subjects)
}

/// What a changed path means: it lies in a place, or it is a directory on the way to one.
fn subjects_of<'a>(path: &'a Path, places: &'a [Place]) -> impl Iterator<Item = Subject> + 'a {
    places
        .iter()
        .filter(move |place| path.starts_with(&place.dir) || place.dir.starts_with(path))
        .map(|place| place.subject)
}

fn read(subject: Subject, around: &Surroundings, pulse: &Pulse, out: &Events) {
    match subject {
        Subject::Library => {
            let mut apps = library::installed_apps(around);
            // The manager does not launch itself.
            apps.retain(|app| app.id != APP_ID);
            out.send(Event::Library(Arc::new(apps)));
            out.send(Event::IconsChanged);
        }
        Subject::Manifests => out.send(Event::ManifestsChanged),
        Subject::Reports => out.send(Event::Reports(backend::reports())),
        Subject::Sockets => pulse.hurry(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_what_lies_there_and_what_is_on_the_way() {
        let place =
            |dir: &str, subject| Place { dir: dir.into(), subject, mode: RecursiveMode::NonRecursive };
        let places = [place("/a/applications", Subject::Library), place("/b/c/reports", Subject::Reports)];
        let of = |path: &str| subjects_of(Path::new(path), &places).collect::<Vec<_>>();
        assert_eq!(of("/a/applications/x.desktop"), [Subject::Library]);
        assert_eq!(of("/b/c"), [Subject::Reports]);
        assert_eq!(of("/b/c/other"), []);
        assert!(!is_change(EventKind::Access(AccessKind::Open(AccessMode::Read))));
        assert!(is_change(EventKind::Access(AccessKind::Close(AccessMode::Write))));
    }
}
