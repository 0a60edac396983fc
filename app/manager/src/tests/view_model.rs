//! The view model, compared as a whole with what was looked at and found good. `POSTERN_UPDATE_SNAPSHOTS=1` writes the
//! files anew.

use std::path::PathBuf;

use super::super::command::Page;
use super::super::present;
use super::super::state::State;
use super::busy;

fn compare(name: &str, state: &State) {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "src/tests/snapshots", &format!("{name}.json")].iter().collect();
    let now = serde_json::to_string_pretty(&present::view(state)).expect("views can be written out") + "\n";
    if std::env::var_os("POSTERN_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &now).expect("the snapshot can be written");
    }
    let before = std::fs::read_to_string(&path).expect("there is a snapshot");
    assert_eq!(now, before, "{} differs", path.display());
}

fn on(page: Page) -> State {
    State { page, ..busy() }
}

#[test]
fn the_library() {
    compare("library", &on(Page::Library));
}

#[test]
fn an_app_that_runs() {
    compare("app-running", &on(Page::App("editor".to_owned())));
}

#[test]
fn an_app_that_cannot_start() {
    compare("app-blocked", &on(Page::App("broken".to_owned())));
}

#[test]
fn the_running_list() {
    compare("running", &on(Page::Running));
}

#[test]
fn a_crash_report() {
    compare("report", &on(Page::Report("editor-1".to_owned())));
}

#[test]
fn an_empty_window() {
    compare("empty", &State::default());
    compare("nothing-running", &State { page: Page::Running, ..State::default() });
    compare("no-crashes", &State { page: Page::Reports, ..State::default() });
    compare("report-gone", &State { page: Page::Report("x".to_owned()), ..State::default() });
    compare("app-gone", &State { page: Page::App("x".to_owned()), ..State::default() });
}
