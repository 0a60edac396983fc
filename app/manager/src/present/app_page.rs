//! The page of one app.

use super::super::data::{PermissionChange, PermissionKey, Permissions, Sample};
use super::super::state::{AppPermissions, RunningApp, State};
use super::super::view::{
    AppStatus, AppView, Choice, Control, Empty, HOME_CHOICES, PageView, PermissionRow, RefusedRow, Usage,
};
use super::{app_ref, cpu_graph, format, library, memory_graph, reports};

/// How many of an app's crash reports its page lists.
const REPORTS_SHOWN: usize = 3;

pub(super) fn view(state: &State, id: &str) -> PageView {
    let app = state.app(id);
    let running = state.running.get(id);
    let sample = running.and_then(|running| running.latest.as_ref());
    let known = state.permissions.get(id);
    // What was read before the file broke holds no longer.
    let readable = known.filter(|known| known.broken.is_none());
    if app.is_none() && running.is_none() && known.is_none() {
        return PageView::Missing(Empty {
            title: "This app is no longer installed".to_owned(),
            text: format!("Nothing on this computer goes by the name {id}"),
        });
    }
    let reports = state.visible_reports().filter(|report| report.app == id).take(REPORTS_SHOWN);
    PageView::App(Box::new(AppView {
        app: app_ref(state, id),
        comment: app.map(library::comment).unwrap_or_default(),
        status: status(state, id),
        blocked: app.and_then(|app| app.command.as_ref().err().cloned()),
        isolation: sample.and_then(|sample| sample.weaker_isolation.clone()),
        usage: running.and_then(usage),
        permissions: readable.map(|known| rows(known, sample)).unwrap_or_default(),
        changed: readable.is_some_and(|known| known.current != known.default),
        restart_needed: sample.is_some_and(|sample| sample.restart_needed),
        manifest_error: known.and_then(|known| known.broken.clone()),
        grants: readable.map(|known| known.current.grants.clone()).unwrap_or_default(),
        refused: sample.map(refused).unwrap_or_default(),
        unsupported: sample.map(unsupported).unwrap_or_default(),
        reports: reports.map(|report| reports::row(state, report)).collect(),
        facts: app.map_or_else(Vec::new, |app| {
            vec![
                ("App id".to_owned(), app.id.clone()),
                ("Command".to_owned(), app.command.as_ref().map(|words| words.join(" ")).unwrap_or_default()),
                ("Desktop entry".to_owned(), app.entry_path.display().to_string()),
            ]
        }),
    }))
}

fn status(state: &State, id: &str) -> AppStatus {
    if state.stopping.contains(id) {
        AppStatus::Stopping
    } else if state.starting.contains(id) {
        AppStatus::Starting
    } else if state.running.contains_key(id) {
        AppStatus::Running
    } else {
        AppStatus::Stopped
    }
}

fn usage(running: &RunningApp) -> Option<Usage> {
    let sample = running.latest.as_ref()?;
    Some(Usage {
        cpu: format::percent(sample.cpu_percent),
        cpu_graph: cpu_graph(running),
        memory: format::bytes(sample.memory_bytes),
        memory_graph: memory_graph(running),
        facts: vec![
            ("Processes".to_owned(), sample.processes.to_string()),
            ("Threads".to_owned(), sample.threads.to_string()),
            ("Running for".to_owned(), format::duration(sample.uptime_s)),
            ("Received".to_owned(), format::bytes(sample.network_bytes.0)),
            ("Sent".to_owned(), format::bytes(sample.network_bytes.1)),
            ("Read from disk".to_owned(), format::bytes(sample.disk_bytes.0)),
            ("Written to disk".to_owned(), format::bytes(sample.disk_bytes.1)),
            (
                "Frames shown".to_owned(),
                match sample.copied_frames {
                    0 => sample.frames.to_string(),
                    copied => format!("{} ({copied} of them copied)", sample.frames),
                },
            ),
        ],
    })
}

fn title(key: PermissionKey) -> &'static str {
    match key {
        PermissionKey::Network => "Network",
        PermissionKey::Home => "Home folder",
        PermissionKey::ClipboardRead => "Read the clipboard",
        PermissionKey::ClipboardWrite => "Write to the clipboard",
    }
}

fn meaning(key: PermissionKey) -> &'static str {
    match key {
        PermissionKey::Network => "May open connections to the internet and the local network",
        PermissionKey::Home => "May use your own files; without it the app has a private home",
        PermissionKey::ClipboardRead => "May see what you copied in other apps",
        PermissionKey::ClipboardWrite => "What you copy in it can be pasted in other apps",
    }
}

fn rows(known: &AppPermissions, sample: Option<&Sample>) -> Vec<PermissionRow> {
    use PermissionKey::{ClipboardRead, ClipboardWrite, Home, Network};
    [Network, Home, ClipboardRead, ClipboardWrite].into_iter().map(|key| row(key, known, sample)).collect()
}

fn row(key: PermissionKey, known: &AppPermissions, sample: Option<&Sample>) -> PermissionRow {
    let flag = known.flags.iter().find(|(of, _)| *of == key).map(|(_, flag)| flag.clone());
    let at_next_start = sample.is_some_and(|sample| sample.at_next_start.contains(&key));
    let kept = known.current.value_of(key);
    let in_force =
        sample.map(|sample| &sample.in_force).filter(|now| !at_next_start && now.value_of(key) != kept);
    PermissionRow {
        key,
        title: title(key),
        meaning: meaning(key),
        flag: flag.unwrap_or_default(),
        control: control(key, in_force.unwrap_or(&known.current)),
        changed: kept != known.default.value_of(key),
        at_next_start,
        this_run: in_force.is_some(),
        refused: sample.and_then(|sample| {
            let of_key = sample.refused.iter().filter(|refusal| refusal.permission == Some(key));
            let count = of_key.map(|refusal| refusal.count).fold(0, u64::saturating_add);
            (count > 0).then(|| format!("Refused {}", format::times(count)))
        }),
    }
}

fn control(key: PermissionKey, permissions: &Permissions) -> Control {
    let switch = |on: bool, change: fn(bool) -> PermissionChange| Control::Switch { on, toggle: change(!on) };
    match key {
        PermissionKey::Network => switch(permissions.network, PermissionChange::Network),
        PermissionKey::ClipboardRead => switch(permissions.clipboard_read, PermissionChange::ClipboardRead),
        PermissionKey::ClipboardWrite => {
            switch(permissions.clipboard_write, PermissionChange::ClipboardWrite)
        }
        PermissionKey::Home => Control::Choice(
            HOME_CHOICES
                .into_iter()
                .map(|(label, access)| Choice {
                    label,
                    selected: permissions.home == access,
                    change: PermissionChange::Home(access),
                })
                .collect(),
        ),
    }
}

fn refused(sample: &Sample) -> Vec<RefusedRow> {
    let mut rows: Vec<_> = sample.refused.iter().collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.what.cmp(&b.what)));
    rows.into_iter()
        .map(|refusal| RefusedRow {
            what: refusal.what.clone(),
            times: format::times(refusal.count),
            permission: refusal.permission.map(title),
        })
        .collect()
}

fn unsupported(sample: &Sample) -> Vec<RefusedRow> {
    let row = |(name, count): &(String, u64)| RefusedRow {
        what: name.clone(),
        times: format::times(*count),
        permission: None,
    };
    sample.unsupported.iter().map(row).collect()
}
