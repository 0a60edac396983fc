//! What commands and news do to the state, and what they leave for the workers.

use super::super::apply::apply;
use super::super::command::{Command, Event, Job, Page, Step};
use super::super::data::{Grant, HomeAccess, PermissionChange, PermissionKey, Permissions, Sample};
use super::super::present;
use super::super::state::{HISTORY, State};
use super::super::view::{Control, PageView};
use super::{busy, permissions, report, sample};

fn launch(id: &str) -> Command {
    Command::Launch(id.to_owned())
}

fn toast(state: &State) -> &str {
    &state.toasts.last().expect("a message").text
}

#[test]
fn an_app_starts_once_and_shows_when_it_fails() {
    let mut state = busy();
    assert_eq!(apply(&mut state, launch("calc")), [Job::Launch { app: "calc".to_owned() }]);
    assert_eq!(apply(&mut state, launch("calc")), [], "it is starting already");
    let error = Some("no picoprocess could be made".to_owned());
    let ended = Event::LaunchEnded { app: "calc".to_owned(), error, early: true };
    assert_eq!(state.absorb(ended), []);
    assert_eq!(toast(&state), "Calculator did not start");
    assert!(!state.starting.contains("calc"));
    assert_eq!(apply(&mut state, launch("calc")).len(), 1, "it can be tried again");
}

#[test]
fn an_app_that_ran_well_may_end_as_it_likes() {
    let mut state = busy();
    let error = Some("exit status 1".to_owned());
    let _ = state.absorb(Event::LaunchEnded { app: "editor".to_owned(), error, early: false });
    assert!(state.toasts.is_empty());
}

#[test]
fn launching_what_runs_or_cannot_run_leads_to_an_answer() {
    let mut state = busy();
    assert_eq!(apply(&mut state, launch("editor")), [Job::ReadPermissions { app: "editor".to_owned() }]);
    assert_eq!(state.page, Page::App("editor".to_owned()));
    assert_eq!(apply(&mut state, launch("broken")), []);
    assert_eq!(toast(&state), "Broken cannot be started");
}

#[test]
fn a_switch_shows_at_once_and_reset_can_be_undone() {
    let mut state = busy();
    let change = PermissionChange::Network(true);
    let jobs = apply(&mut state, Command::Permit("editor".to_owned(), change.clone()));
    assert_eq!(jobs, [Job::Permit { app: "editor".to_owned(), changes: vec![change] }]);
    let before = state.permissions["editor"].current.clone();
    assert!(before.network);

    let jobs = apply(&mut state, Command::ResetPermissions("editor".to_owned()));
    let reset = vec![
        PermissionChange::Network(false),
        PermissionChange::Home(HomeAccess::Off),
        PermissionChange::Revoke("/home/me/letter.txt".into()),
    ];
    assert_eq!(jobs, [Job::Permit { app: "editor".to_owned(), changes: reset }]);
    assert_eq!(state.permissions["editor"].current, Permissions::default());

    let undo = state.toasts.last().expect("a message with Undo").id;
    let jobs = apply(&mut state, Command::ToastAction(undo));
    assert_eq!(jobs.len(), 1);
    assert_eq!(state.permissions["editor"].current, before);
}

#[test]
fn one_row_is_reset_alone() {
    let mut state = busy();
    let jobs = apply(&mut state, Command::ResetPermission("editor".to_owned(), PermissionKey::Home));
    let changes = vec![PermissionChange::Home(HomeAccess::Off)];
    assert_eq!(jobs, [Job::Permit { app: "editor".to_owned(), changes }]);
    assert_eq!(state.permissions["editor"].current.grants.len(), 1);
}

#[test]
fn a_revoked_file_comes_back_with_undo() {
    let mut state = busy();
    let revoke = PermissionChange::Revoke("/home/me/letter.txt".into());
    let _ = apply(&mut state, Command::Permit("editor".to_owned(), revoke));
    assert!(state.permissions["editor"].current.grants.is_empty());
    let undo = state.toasts.last().expect("a message with Undo").id;
    let grant = Grant { path: "/home/me/letter.txt".into(), write: true };
    let changes = vec![PermissionChange::Grant(grant)];
    assert_eq!(
        apply(&mut state, Command::ToastAction(undo)),
        [Job::Permit { app: "editor".to_owned(), changes }]
    );
}

#[test]
fn a_deleted_report_can_be_kept_until_its_message_goes() {
    let mut state = busy();
    let delete = Command::DeleteReport("editor-1".to_owned());
    assert_eq!(apply(&mut state, delete.clone()), []);
    assert_eq!(state.visible_reports().count(), 0);
    let undo = state.toasts.last().expect("a message with Undo").id;
    assert_eq!(apply(&mut state, Command::ToastAction(undo)), []);
    assert_eq!(state.visible_reports().count(), 1);
    assert_eq!(apply(&mut state, delete), []);
    assert_eq!(state.tick(1e6, 0), [Job::DeleteReport { id: "editor-1".to_owned() }]);
    assert!(state.toasts.is_empty());
}

#[test]
fn a_new_crash_is_told_once_and_old_ones_are_not() {
    let mut state = busy();
    assert!(state.toasts.is_empty(), "what was there at the start is old");
    let both = vec![report("calc-1", "calc"), report("editor-1", "editor")];
    let _ = state.absorb(Event::Reports(both.clone()));
    let _ = state.absorb(Event::Reports(both));
    assert_eq!(state.toasts.len(), 1);
    assert_eq!(toast(&state), "Calculator ended unexpectedly");
    let show = state.toasts.first().expect("a message").id;
    let _ = apply(&mut state, Command::ToastAction(show));
    assert_eq!(state.page, Page::Report("calc-1".to_owned()));
    assert!(state.seen_reports.contains("calc-1"));
}

#[test]
fn graphs_keep_a_minute_and_start_anew_with_the_app() {
    let mut state = busy();
    for _ in 0..2 * HISTORY {
        let _ = state.absorb(Event::Running(vec![sample("editor", 1.0, 40)]));
    }
    assert_eq!(state.running["editor"].cpu.len(), HISTORY);
    let mut again = sample("editor", 1.0, 40);
    again.monitor_pid = 101;
    let _ = state.absorb(Event::Running(vec![again]));
    assert_eq!(state.running["editor"].cpu.len(), 1);
    let _ = state.absorb(Event::Running(Vec::new()));
    assert!(state.running.is_empty());
}

#[test]
fn searching_and_stepping_stay_inside() {
    let mut state = busy();
    let _ = apply(&mut state, Command::MoveSelection(Step::By(-5)));
    assert_eq!(state.selected, 0);
    let _ = apply(&mut state, Command::MoveSelection(Step::By(50)));
    assert_eq!(state.selected, 2);
    let _ = apply(&mut state, Command::Search("edit".to_owned()));
    assert_eq!((state.selected, state.matches.len()), (0, 1));
    let _ = apply(&mut state, Command::Search("zebra".to_owned()));
    let _ = apply(&mut state, Command::MoveSelection(Step::Last));
    assert_eq!((state.selected, state.matches.len()), (0, 0));
}

#[test]
fn a_broken_manifest_is_shown_and_mending_it_helps() {
    let mut state = busy();
    let message = "editor.json: unknown field `netwrok` at line 3".to_owned();
    let _ = state.absorb(Event::ManifestBroken { app: "editor".to_owned(), message });
    state.page = Page::App("editor".to_owned());
    let PageView::App(page) = present::view(&state).page else { panic!("the app's page") };
    assert!(page.manifest_error.is_some_and(|error| error.contains("line 3")));
    assert!(page.permissions.is_empty() && page.grants.is_empty(), "what was read before holds no longer");
    let jobs = state.absorb(Event::ManifestsChanged);
    assert_eq!(jobs, [Job::ReadPermissions { app: "editor".to_owned() }]);
    let _ = state.absorb(permissions("editor", Permissions::default()));
    assert!(state.permissions["editor"].broken.is_none());
}

#[test]
fn back_leads_where_one_came_from() {
    let mut state = busy();
    let _ = apply(&mut state, Command::Open(Page::Running));
    let _ = apply(&mut state, Command::Open(Page::App("editor".to_owned())));
    let _ = apply(&mut state, Command::Back);
    assert_eq!(state.page, Page::Running);
    let _ = apply(&mut state, Command::Back);
    let _ = apply(&mut state, Command::Back);
    assert_eq!(state.page, Page::Library);
}

#[test]
fn what_an_app_was_started_with_is_what_its_switch_shows() {
    let network = |state: &State| {
        let PageView::App(page) = present::view(state).page else { panic!("an app's page") };
        let row =
            page.permissions.iter().find(|row| row.key == PermissionKey::Network).expect("a row").clone();
        (matches!(row.control, Control::Switch { on: true, .. }), row.this_run)
    };
    let mut state = busy();
    state.page = Page::App("editor".to_owned());
    assert_eq!(network(&state), (false, false));
    let mut started_with_more = sample("editor", 1.0, 40);
    started_with_more.in_force.network = true;
    let _ = state.absorb(Event::Running(vec![started_with_more]));
    assert_eq!(network(&state), (true, true));
    let off = Command::Permit("editor".to_owned(), PermissionChange::Network(false));
    assert_eq!(apply(&mut state, off).len(), 1);
    assert_eq!(network(&state), (false, false));
}

#[test]
fn what_is_dropped_on_an_app_is_told() {
    let mut state = busy();
    let dropped = vec!["/srv/a.txt".into(), "/srv/b".into()];
    let _ = state.absorb(Event::Running(vec![Sample { dropped, ..sample("editor", 1.0, 40) }]));
    assert_eq!(toast(&state), "Editor may now use /srv/a.txt and 1 more");
    let count = state.toasts.len();
    let latest = state.running.get("editor").and_then(|app| app.latest.clone()).expect("a sample");
    let _ = state.absorb(Event::Running(vec![latest]));
    assert_eq!(state.toasts.len(), count, "once");
}
