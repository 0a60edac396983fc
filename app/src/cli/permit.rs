//! `postern permit` and `permissions`.

use super::{print, print_json};
use postern_library::{Surroundings, find_app};
use postern_monitor::control::running;
use postern_monitor::manifest::{Manifest, ManifestError};
use postern_monitor::permission::{Effect, NAMES};

/// Changes a permission in the manifest and in what runs, and says when that holds.
pub fn permit(app: &str, permission: &str, value: &str) -> anyhow::Result<()> {
    // A manifest for an app that nobody knows would only be a typing mistake that stays.
    if matches!(Manifest::load(app), Err(ManifestError::Missing { .. }))
        && find_app(&Surroundings::from_env(), app).is_none()
        && !running().iter_mut().any(|one| one.client.status(false).is_ok_and(|status| status.app == app))
    {
        anyhow::bail!("no app {app:?} is installed or running (postern list shows them)");
    }
    Manifest::update(app, |manifest| Ok(manifest.permissions.set(permission, value)?))?;
    for mut one in running() {
        if one.client.status(false).is_ok_and(|status| status.app == app) {
            match one.client.permit(permission, value)? {
                Effect::Now => print(format_args!("{}: now", one.instance))?,
                Effect::NextStart => print(format_args!("{}: takes effect at the next start", one.instance))?,
            }
        }
    }
    Ok(())
}

/// Shows the permissions in the manifest.
pub fn show(app: &str, json: bool) -> anyhow::Result<()> {
    let permissions = Manifest::load_or_new(app)?.permissions;
    if json {
        return print_json(&permissions);
    }
    for name in NAMES {
        print(format_args!("{name:16} {}", permissions.get(name).unwrap_or_default()))?;
    }
    Ok(())
}
