//! The one place that speaks with the monitors and reads their files, and translates into the manager's own words.

mod sampler;

use std::path::{Path, PathBuf};

use anyhow::bail;
use postern_monitor::manifest::{self, Manifest, NetworkMode};
use postern_monitor::{control, paths, report};

pub use sampler::Sampler;

use super::command::Event;
use super::data::{Frame, Grant, HomeAccess, PermissionChange, PermissionKey, Permissions, Report};

/// Where manifests lie.
pub fn manifest_dir() -> Option<PathBuf> {
    paths::manifests().ok()
}

/// Where reports lie.
pub fn report_dir() -> Option<PathBuf> {
    paths::reports().ok()
}

/// Where the control sockets of running apps lie.
pub fn socket_dir() -> Option<PathBuf> {
    paths::runtime().ok()
}

/// All reports, newest first.
pub fn reports() -> Vec<Report> {
    report::list().into_iter().map(translate_report).collect()
}

fn translate_report(report: report::Report) -> Report {
    let text = report.text();
    let thread = report.process.map(|name| match report.pid {
        Some(pid) => format!("{name} (process {pid})"),
        None => name,
    });
    let refused = report.denied.iter().map(|denied| match denied.permission.as_str() {
        "" => denied.what.clone(),
        permission => format!("{} (permission {permission})", denied.what),
    });
    Report {
        refused: refused.collect(),
        backtrace: report.backtrace.into_iter().map(translate_frame).collect(),
        id: report.id,
        app: report.app,
        name: report.name,
        unix_seconds: report.time,
        summary: report.summary,
        signal: report.signal_text,
        fault_address: report.fault_address,
        thread,
        details: report.details.filter(|details| !details.trim().is_empty()),
        text,
    }
}

fn translate_frame(frame: report::Frame) -> Frame {
    let with_offset = |name: String, offset: Option<u64>| match offset {
        Some(offset) => format!("{name}+{offset:#x}"),
        None => name,
    };
    Frame {
        address: frame.address,
        function: frame.function.map(|name| with_offset(name, frame.function_offset)),
        module: frame.module.map(|path| with_offset(path.display().to_string(), frame.module_offset)),
    }
}

/// Deletes a report.
///
/// # Errors
/// When the file cannot be deleted.
pub fn delete_report(id: &str) -> anyhow::Result<()> {
    Ok(report::delete(id)?)
}

/// The connections to all running instances of an app.
fn instances(app: &str) -> Vec<control::Client> {
    let mut clients = Vec::new();
    for mut running in control::running() {
        if running.client.status(false).is_ok_and(|status| sampler::key_of(&status) == app) {
            clients.push(running.client);
        }
    }
    clients
}

/// Asks an app to end.
///
/// # Errors
/// When it does not run or its monitor does not answer.
pub fn stop(app: &str) -> anyhow::Result<()> {
    let clients = instances(app);
    if clients.is_empty() {
        bail!("it is not running");
    }
    for mut client in clients {
        client.stop()?;
    }
    Ok(())
}

/// Whether an app runs.
pub fn is_running(app: &str) -> bool {
    !instances(app).is_empty()
}

/// Changes permissions in the manifest, then in the running app.
///
/// # Errors
/// When the manifest is damaged or cannot be written, or a monitor refuses.
pub fn permit(app: &str, changes: &[PermissionChange]) -> anyhow::Result<()> {
    let manifest = Manifest::update(app, |manifest| {
        changes.iter().for_each(|change| change_manifest(&mut manifest.permissions, change));
        Ok(())
    })?;
    for mut client in instances(app) {
        for change in changes {
            let (name, value) = spoken(&manifest.permissions, change);
            client.permit(name, &value)?;
        }
    }
    Ok(())
}

fn change_manifest(permissions: &mut manifest::Permissions, change: &PermissionChange) {
    let drop_grant =
        |files: &mut Vec<manifest::FileGrant>, path: &Path| files.retain(|grant| grant.path != path);
    match change {
        // The list of peers stays: it holds again when the network is switched on.
        PermissionChange::Network(on) => {
            permissions.network.mode = if *on { NetworkMode::Outbound } else { NetworkMode::None };
        }
        PermissionChange::Home(access) => {
            permissions.home = match access {
                HomeAccess::Off => manifest::HomeAccess::None,
                HomeAccess::Read => manifest::HomeAccess::Read,
                HomeAccess::ReadWrite => manifest::HomeAccess::Write,
            };
        }
        PermissionChange::ClipboardRead(on) => permissions.clipboard.read = *on,
        PermissionChange::ClipboardWrite(on) => permissions.clipboard.write = *on,
        PermissionChange::Revoke(path) => drop_grant(&mut permissions.files, path),
        PermissionChange::Grant(grant) => {
            drop_grant(&mut permissions.files, &grant.path);
            permissions.files.push(manifest::FileGrant { path: grant.path.clone(), write: grant.write });
        }
    }
}

/// A change in the words of the control socket.
fn spoken(permissions: &manifest::Permissions, change: &PermissionChange) -> (&'static str, String) {
    let value = |name: &'static str| (name, permissions.get(name).unwrap_or_default());
    match change {
        PermissionChange::Network(_) => value("network"),
        PermissionChange::Home(_) => value("home"),
        PermissionChange::ClipboardRead(_) => value("clipboard-read"),
        PermissionChange::ClipboardWrite(_) => value("clipboard-write"),
        PermissionChange::Revoke(path) => ("files", format!("-{}", path.display())),
        PermissionChange::Grant(grant) => {
            ("files", format!("+{}:{}", grant.path.display(), if grant.write { "rw" } else { "ro" }))
        }
    }
}

/// The row that a permission of the control socket belongs to.
fn key_named(name: &str) -> Option<PermissionKey> {
    match name {
        "network" => Some(PermissionKey::Network),
        "home" => Some(PermissionKey::Home),
        "clipboard-read" => Some(PermissionKey::ClipboardRead),
        "clipboard-write" => Some(PermissionKey::ClipboardWrite),
        _ => None,
    }
}

/// Reads an app's permissions.
pub fn read_permissions(app: String) -> Event {
    match Manifest::load_or_new(&app) {
        Ok(manifest) => Event::Permissions {
            app,
            flags: flags(&manifest.permissions),
            current: translate_permissions(&manifest.permissions),
            default: translate_permissions(&manifest::Permissions::default()),
        },
        Err(error) => Event::ManifestBroken { app, message: error.to_string() },
    }
}

fn translate_permissions(permissions: &manifest::Permissions) -> Permissions {
    Permissions {
        network: permissions.network.mode == NetworkMode::Outbound,
        home: match permissions.home {
            manifest::HomeAccess::None => HomeAccess::Off,
            manifest::HomeAccess::Read => HomeAccess::Read,
            manifest::HomeAccess::Write => HomeAccess::ReadWrite,
        },
        clipboard_read: permissions.clipboard.read,
        clipboard_write: permissions.clipboard.write,
        grants: permissions
            .files
            .iter()
            .map(|grant| Grant { path: grant.path.clone(), write: grant.write })
            .collect(),
    }
}

/// The permissions as they stand in the manifest, letter by letter.
fn flags(permissions: &manifest::Permissions) -> Vec<(PermissionKey, String)> {
    fn flag(name: &str, value: &impl serde::Serialize) -> String {
        format!("\"{name}\": {}", serde_json::to_string(value).unwrap_or_default())
    }
    let clipboard = flag("clipboard", &permissions.clipboard);
    vec![
        (PermissionKey::Network, flag("network", &permissions.network)),
        (PermissionKey::Home, flag("home", &permissions.home)),
        (PermissionKey::ClipboardRead, clipboard.clone()),
        (PermissionKey::ClipboardWrite, clipboard),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_reaches_manifest_and_monitor_alike() {
        let grant = Grant { path: "/srv/a b".into(), write: false };
        let changes = [
            PermissionChange::Network(true),
            PermissionChange::Home(HomeAccess::ReadWrite),
            PermissionChange::ClipboardRead(true),
            PermissionChange::ClipboardWrite(true),
            PermissionChange::Grant(grant.clone()),
            PermissionChange::Revoke(grant.path),
        ];
        let (mut kept, mut told) = (manifest::Permissions::default(), manifest::Permissions::default());
        let mut shown = Permissions::default();
        for change in changes {
            change_manifest(&mut kept, &change);
            let (name, value) = spoken(&kept, &change);
            told.set(name, &value).expect("the monitor understands");
            change.apply_to(&mut shown);
            assert_eq!(told, kept, "{change:?}");
            assert_eq!(translate_permissions(&kept), shown, "{change:?}");
        }
    }

    #[test]
    fn switching_the_network_keeps_the_peers() {
        let mut permissions = manifest::Permissions::default();
        permissions.set("network", "example.org:443").expect("set");
        change_manifest(&mut permissions, &PermissionChange::Network(false));
        assert_eq!(permissions.get("network").as_deref(), Some("none"));
        change_manifest(&mut permissions, &PermissionChange::Network(true));
        assert_eq!(permissions.get("network").as_deref(), Some("example.org:443"));
    }

    #[test]
    fn flags_are_the_manifests_own_words() {
        let mut permissions = manifest::Permissions::default();
        permissions.set("home", "read").expect("set");
        let all = flags(&permissions);
        assert!(all.contains(&(PermissionKey::Home, "\"home\": \"read\"".to_owned())), "{all:?}");
    }

    #[test]
    fn a_report_keeps_what_matters() {
        let mut report = report::Report::new(report::Kind::Crash, "foot", "foot-1");
        report.set_signal(11);
        report.process = Some("foot".to_owned());
        report.pid = Some(2);
        report.backtrace.push(report::Frame {
            address: 0x1234,
            function: Some("main".to_owned()),
            function_offset: Some(0x10),
            module: Some("/usr/bin/foot".into()),
            module_offset: Some(0x1234),
        });
        let shown = translate_report(report);
        assert_eq!(shown.signal.as_deref(), Some("SIGSEGV: invalid memory access"));
        assert_eq!(shown.thread.as_deref(), Some("foot (process 2)"));
        let frame = shown.backtrace.first().expect("a frame");
        assert_eq!(frame.function.as_deref(), Some("main+0x10"));
        assert_eq!(frame.module.as_deref(), Some("/usr/bin/foot+0x1234"));
        assert!(shown.text.contains("main+0x10"));
    }
}
