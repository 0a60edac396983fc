//! `postern list`.

use super::{print, print_json};
use postern_library::{Surroundings, installed_apps};
use postern_monitor::manifest::Manifest;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Row {
    id: String,
    name: String,
    command: Vec<String>,
    /// Why it cannot be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Lists the apps that desktop entries and manifests name.
pub fn list(json: bool) -> anyhow::Result<()> {
    let mut rows = BTreeMap::new();
    for app in installed_apps(&Surroundings::from_env()) {
        let (command, problem) = match app.command {
            Ok(command) => (command, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        rows.insert(app.id.clone(), Row { id: app.id, name: app.entry.name, command, problem });
    }
    for (path, manifest) in Manifest::load_all() {
        match manifest {
            Err(error) => eprintln!("postern: {error}"),
            Ok(manifest) if manifest.command.is_empty() && !rows.contains_key(&manifest.id) => {
                eprintln!("postern: {}: the app is not installed", path.display());
            }
            Ok(manifest) => {
                let row = rows.entry(manifest.id.clone()).or_insert_with(|| Row {
                    id: manifest.id.clone(),
                    name: manifest.id.clone(),
                    command: Vec::new(),
                    problem: None,
                });
                if !manifest.name.is_empty() {
                    row.name = manifest.name;
                }
                if !manifest.command.is_empty() {
                    row.command = manifest.command;
                    row.problem = None;
                }
            }
        }
    }
    let rows: Vec<Row> = rows.into_values().collect();
    if json {
        return print_json(&rows);
    }
    let width = rows.iter().map(|row| row.id.chars().count()).max().unwrap_or(0);
    for row in &rows {
        let problem = row.problem.as_ref().map(|problem| format!("  ({problem})")).unwrap_or_default();
        print(format_args!("{:width$}  {}{problem}", row.id, row.name))?;
    }
    Ok(())
}
