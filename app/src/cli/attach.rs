//! `postern attach`: moves a running app to the caller's session.

use super::run::socket;
use anyhow::bail;
use postern_monitor::control::running;

/// Shows all runs of an app, or one run of it, in the caller's session.
pub fn attach(app: &str) -> anyhow::Result<()> {
    let socket = socket().map_err(anyhow::Error::msg)?;
    let mut is_found = false;
    for mut one in running() {
        if one.instance == app || one.client.status(false).is_ok_and(|status| status.app == app) {
            is_found = true;
            one.client.attach(&socket)?;
        }
    }
    if !is_found {
        bail!("{app} is not running");
    }
    Ok(())
}
