//! The one place where commands change the state. What takes time or touches files becomes a job.

use super::command::{Command, Job, Page, Step};
use super::data::{PermissionChange, PermissionKey, Permissions};
use super::state::State;

/// Carries a command out.
#[must_use]
pub fn apply(state: &mut State, command: Command) -> Vec<Job> {
    match command {
        Command::Open(page) => open(state, page),
        Command::Back => {
            let page = state.back.pop().unwrap_or_default();
            let jobs = read_for(&page);
            state.page = page;
            jobs
        }
        Command::Search(query) => {
            state.query = query;
            state.selected = 0;
            state.search();
            Vec::new()
        }
        Command::MoveSelection(step) => {
            let last = state.matches.len().saturating_sub(1);
            state.selected = match step {
                Step::By(by) => state.selected.saturating_add_signed(by).min(last),
                Step::First => 0,
                Step::Last => last,
            };
            Vec::new()
        }
        Command::Launch(app) => launch(state, app),
        Command::Stop(app) => {
            state.stopping.insert(app.clone());
            vec![Job::Stop { app }]
        }
        Command::Restart(app) => {
            state.starting.insert(app.clone());
            vec![Job::Restart { app }]
        }
        Command::Permit(app, change) => permit(state, app, vec![change]),
        Command::ResetPermission(app, key) => {
            let Some(known) = state.permissions.get(&app) else { return Vec::new() };
            reset(state, app.clone(), vec![known.default.value_of(key)])
        }
        Command::ResetPermissions(app) => {
            let Some(known) = state.permissions.get(&app) else { return Vec::new() };
            let changes = differences(&known.current, &known.default);
            reset(state, app, changes)
        }
        Command::RestorePermissions(app, wanted) => {
            let Some(known) = state.permissions.get(&app) else { return Vec::new() };
            let changes = differences(&known.current, &wanted);
            permit(state, app, changes)
        }
        Command::DeleteReport(id) => delete_report(state, id),
        Command::KeepReport(id) => {
            state.doomed_reports.remove(&id);
            Vec::new()
        }
        Command::Copy { text, what } => {
            state.tell(format!("{what} copied"), None, None);
            vec![Job::CopyText(text)]
        }
        Command::Sort(by) => {
            state.sort = by;
            Vec::new()
        }
        Command::SetLayout(layout) => {
            state.settings.library_layout = layout;
            vec![Job::SaveSettings(state.settings.clone())]
        }
        Command::SetAppearance(appearance) => {
            state.settings.appearance = appearance;
            vec![Job::SaveSettings(state.settings.clone())]
        }
        Command::ToastAction(id) => {
            let Some(at) = state.toasts.iter().position(|toast| toast.id == id) else { return Vec::new() };
            match state.toasts.remove(at).action {
                Some((_, command)) => apply(state, command),
                None => Vec::new(),
            }
        }
        Command::CloseToast(id) => {
            let Some(at) = state.toasts.iter().position(|toast| toast.id == id) else { return Vec::new() };
            state.toasts.remove(at).at_end.into_iter().collect()
        }
    }
}

fn open(state: &mut State, page: Page) -> Vec<Job> {
    let jobs = read_for(&page);
    if let Page::Report(id) = &page {
        state.seen_reports.insert(id.clone());
    }
    if page == Page::Library {
        // Home: nothing to go back to.
        state.back.clear();
        state.page = page;
    } else {
        state.open(page);
    }
    jobs
}

/// What a page needs to have read.
fn read_for(page: &Page) -> Vec<Job> {
    match page {
        Page::App(app) => vec![Job::ReadPermissions { app: app.clone() }],
        _ => Vec::new(),
    }
}

fn launch(state: &mut State, app: String) -> Vec<Job> {
    if state.starting.contains(&app) {
        return Vec::new();
    }
    if let Some(Err(reason)) = state.app(&app).map(|found| found.command.clone()) {
        let text = format!("{} cannot be started", state.name_of(&app));
        state.complain(text, Some(reason), None);
        return Vec::new();
    }
    if state.running.contains_key(&app) {
        return open(state, Page::App(app));
    }
    state.starting.insert(app.clone());
    vec![Job::Launch { app }]
}

/// Shows the change at once and has it made.
fn permit(state: &mut State, app: String, changes: Vec<PermissionChange>) -> Vec<Job> {
    if changes.is_empty() {
        return Vec::new();
    }
    let revoked: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            PermissionChange::Revoke(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    let known = state.permissions.entry(app.clone()).or_default();
    let before = known.current.clone();
    for change in &changes {
        change.apply_to(&mut known.current);
    }
    if let Some(sample) = state.running.get_mut(&app).and_then(|running| running.latest.as_mut()) {
        changes.iter().for_each(|change| change.apply_to(&mut sample.in_force));
    }
    if let [path] = revoked.as_slice() {
        let undo = ("Undo".to_owned(), Command::RestorePermissions(app.clone(), before));
        state.tell(format!("{} is no longer shared", path.display()), Some(undo), None);
    }
    vec![Job::Permit { app, changes }]
}

fn reset(state: &mut State, app: String, changes: Vec<PermissionChange>) -> Vec<Job> {
    let before = state.permissions.get(&app).map(|known| known.current.clone()).unwrap_or_default();
    let text = if changes.len() == 1 { "Permission reset" } else { "Permissions reset" };
    let undo = ("Undo".to_owned(), Command::RestorePermissions(app.clone(), before));
    let jobs = permit(state, app, changes);
    state.tell(text.to_owned(), Some(undo), None);
    jobs
}

/// The changes that lead from one set of permissions to another.
fn differences(from: &Permissions, to: &Permissions) -> Vec<PermissionChange> {
    use PermissionKey::{ClipboardRead, ClipboardWrite, Home, Network};
    let rows = [Network, Home, ClipboardRead, ClipboardWrite]
        .into_iter()
        .map(|key| to.value_of(key))
        .filter(|value| value.key().is_some_and(|key| from.value_of(key) != *value));
    let gone = from.grants.iter().filter(|grant| !to.grants.iter().any(|other| other.path == grant.path));
    let new = to.grants.iter().filter(|grant| !from.grants.contains(grant));
    rows.chain(gone.map(|grant| PermissionChange::Revoke(grant.path.clone())))
        .chain(new.map(|grant| PermissionChange::Grant(grant.clone())))
        .collect()
}

fn delete_report(state: &mut State, id: String) -> Vec<Job> {
    state.doomed_reports.insert(id.clone());
    if state.page == Page::Report(id.clone()) {
        state.page = state.back.pop().unwrap_or(Page::Reports);
    }
    state.back.retain(|page| *page != Page::Report(id.clone()));
    let undo = ("Undo".to_owned(), Command::KeepReport(id.clone()));
    state.tell("Crash report deleted".to_owned(), Some(undo), Some(Job::DeleteReport { id }));
    Vec::new()
}
