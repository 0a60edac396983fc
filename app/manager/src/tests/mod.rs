//! Tests of the manager as a whole, without a display: the view model, the commands, and the window by keyboard.

mod commands;
mod view_model;
mod window;

use std::sync::Arc;

use super::command::Event;
use super::data::{Frame, Grant, HomeAccess, PermissionKey, Permissions, Refusal, Report, Sample};
use super::state::State;
use postern_library::App;
use postern_library::desktop_entry::DesktopEntry;

pub(super) fn app(id: &str, name: &str, comment: &str) -> App {
    App {
        id: id.to_owned(),
        entry_path: format!("/usr/share/applications/{id}.desktop").into(),
        entry: DesktopEntry {
            name: name.to_owned(),
            comment: Some(comment.to_owned()),
            icon: Some(id.to_owned()),
            ..DesktopEntry::default()
        },
        listed: true,
        command: Ok(vec![id.to_owned()]),
    }
}

pub(super) fn sample(app: &str, cpu_percent: f32, mebibytes: u64) -> Sample {
    Sample {
        app: app.to_owned(),
        name: app.to_owned(),
        monitor_pid: 100,
        uptime_s: 125,
        cpu_percent,
        memory_bytes: mebibytes << 20,
        processes: 2,
        threads: 5,
        network_bytes: (3 << 20, 1 << 10),
        disk_bytes: (0, 5 << 10),
        frames: 77,
        copied_frames: 0,
        refused: Vec::new(),
        unsupported: vec![("io_uring_setup".to_owned(), 2)],
        in_force: Permissions::default(),
        dropped: Vec::new(),
        at_next_start: Vec::new(),
        restart_needed: false,
        weaker_isolation: None,
    }
}

pub(super) fn report(id: &str, app: &str) -> Report {
    Report {
        id: id.to_owned(),
        app: app.to_owned(),
        name: String::new(),
        unix_seconds: 1_795_434_000,
        summary: "It was ended by SIGSEGV".to_owned(),
        signal: Some("SIGSEGV: invalid memory access".to_owned()),
        fault_address: Some(0x10),
        thread: Some("editor (process 2)".to_owned()),
        backtrace: vec![
            Frame {
                address: 0x40_1136,
                function: Some("main+0x16".to_owned()),
                module: Some("/usr/bin/editor+0x1136".to_owned()),
            },
            Frame { address: 0x7f00_0000_1000, function: None, module: None },
        ],
        refused: vec!["connect to 192.0.2.1 port 443 (permission network)".to_owned()],
        details: None,
        text: "the whole report".to_owned(),
    }
}

pub(super) fn permissions(app: &str, current: Permissions) -> Event {
    Event::Permissions {
        app: app.to_owned(),
        flags: vec![(PermissionKey::Home, "\"home\": \"read\"".to_owned())],
        current,
        default: Permissions::default(),
    }
}

/// Three apps, of which the editor runs, with a changed permission, a grant and refusals, and an old crash.
pub(super) fn busy() -> State {
    let mut state = State { now: 10.0, unix_now: 1_795_434_300, ..State::default() };
    let mut broken = app("broken", "Broken", "");
    broken.command = Err("The program broken is not installed".to_owned());
    let apps =
        vec![app("calc", "Calculator", "Add and subtract"), app("editor", "Editor", "Write text"), broken];
    let _ = state.absorb(Event::Library(Arc::new(apps)));
    let _ = state.absorb(Event::Reports(vec![report("editor-1", "editor")]));
    let mut running = sample("editor", 12.34, 40);
    running.refused = vec![
        Refusal {
            what: "connect to 192.0.2.1 port 443".to_owned(),
            count: 3,
            permission: Some(PermissionKey::Network),
        },
        Refusal { what: "mount a file system".to_owned(), count: 9, permission: None },
    ];
    running.at_next_start = vec![PermissionKey::Home];
    running.restart_needed = true;
    let _ = state.absorb(Event::Running(vec![Sample { cpu_percent: 150.0, ..running.clone() }]));
    let _ = state.absorb(Event::Running(vec![running]));
    let current = Permissions {
        home: HomeAccess::Read,
        grants: vec![Grant { path: "/home/me/letter.txt".into(), write: true }],
        ..Permissions::default()
    };
    let _ = state.absorb(permissions("editor", current));
    state
}
