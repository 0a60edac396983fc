//! `postern reports` and `report`.

use super::{print, print_json};
use anyhow::Context as _;
use postern_monitor::report;

/// Lists the reports, the newest first.
pub fn list(json: bool) -> anyhow::Result<()> {
    let reports = report::list();
    if json {
        return print_json(&reports);
    }
    for report in &reports {
        print(format_args!("{}  {}", report.id, report.summary))?;
    }
    Ok(())
}

/// Shows or deletes one report.
pub fn show(id: &str, json: bool, delete: bool) -> anyhow::Result<()> {
    let unknown = || format!("no report {id:?} (postern reports shows them)");
    if delete {
        return report::delete(id).with_context(unknown);
    }
    let report = report::load(id).with_context(unknown)?;
    if json {
        return print_json(&report);
    }
    print(format_args!("{}", report.text().trim_end()))
}
