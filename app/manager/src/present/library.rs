//! The library page.

use super::super::state::State;
use super::super::view::{Badge, Empty, LibraryView, Tile};
use super::app_ref;
use postern_library::App;

pub(super) fn view(state: &State) -> LibraryView {
    let apps = state.apps.as_deref().map(Vec::as_slice).unwrap_or_default();
    let tiles: Vec<Tile> =
        state.matches.iter().filter_map(|&index| apps.get(index)).map(|app| tile(state, app)).collect();
    let empty = tiles.is_empty().then(|| match (&state.apps, state.query.trim()) {
        (None, _) => Empty { title: "Looking for apps".to_owned(), text: String::new() },
        (Some(_), "") => Empty {
            title: "No apps found".to_owned(),
            text: "Apps that you install appear here by themselves".to_owned(),
        },
        (Some(_), query) => Empty {
            title: format!("No app matches “{query}”"),
            text: "Try a part of its name, or what it is for".to_owned(),
        },
    });
    LibraryView {
        query: state.query.clone(),
        layout: state.settings.library_layout,
        tiles,
        selected: state.selected,
        empty,
    }
}

fn tile(state: &State, app: &App) -> Tile {
    Tile {
        app: app_ref(state, &app.id),
        comment: comment(app),
        badge: badge(state, &app.id),
        blocked: app.command.as_ref().err().cloned(),
    }
}

/// The comment, or else what kind of app it is.
pub(super) fn comment(app: &App) -> String {
    app.entry.comment.clone().or_else(|| app.entry.generic_name.clone()).unwrap_or_default()
}

fn badge(state: &State, id: &str) -> Option<Badge> {
    let crashed =
        || state.visible_reports().any(|report| report.app == id && !state.seen_reports.contains(&report.id));
    if state.running.contains_key(id) {
        Some(Badge::Running)
    } else if state.starting.contains(id) {
        Some(Badge::Starting)
    } else if crashed() {
        Some(Badge::Crashed)
    } else {
        None
    }
}
