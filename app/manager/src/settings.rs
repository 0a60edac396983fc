//! The window's own settings, kept in the configuration directory.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::command::{Appearance, LibraryLayout};

/// What the window remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Dark or light.
    pub appearance: Appearance,
    /// Grid or list.
    pub library_layout: LibraryLayout,
}

impl Settings {
    /// Reads the settings. A file that is missing or damaged means the defaults: nothing in it is worth a question.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Writes the settings beside the old file and puts them in its place in one step.
    ///
    /// # Errors
    /// When the directory or the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let part = path.with_extension("json.part");
        fs::write(&part, serde_json::to_string_pretty(self)?)?;
        fs::rename(part, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_damage_means_defaults() {
        let dir = std::env::temp_dir().join(format!("postern-settings-{}", std::process::id()));
        let path = dir.join("a/manager.json");
        let settings = Settings { appearance: Appearance::Light, library_layout: LibraryLayout::List };
        settings.save(&path).expect("saved");
        assert_eq!(Settings::load(&path), settings);
        fs::write(&path, "{\"appearance\": 3").expect("written");
        assert_eq!(Settings::load(&path), Settings::default());
        fs::write(&path, "{\"appearance\": \"dark\", \"unknown\": 1}").expect("written");
        assert_eq!(Settings::load(&path).appearance, Appearance::Dark);
        let _ = fs::remove_dir_all(dir);
    }
}
