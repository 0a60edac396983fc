//! Finds and decodes icons.

use std::sync::mpsc::Receiver;

use super::super::command::{Event, IconKey};
use super::Events;
use crate::library::Surroundings;
use crate::library::icon_image;
use crate::library::icon_theme::IconFinder;

/// Answers requests until the window is gone.
pub(super) fn run(around: &Surroundings, requests: &Receiver<IconKey>, out: &Events) {
    let mut finder = IconFinder::new(around);
    while let Ok(key) = requests.recv() {
        // An app that was just installed may have brought its icon with it.
        let path = find(&finder, &key).or_else(|| {
            finder = IconFinder::new(around);
            find(&finder, &key)
        });
        let image = path.and_then(|path| icon_image::load(&path, key.pixels).ok());
        out.send(Event::Icon { key, image });
    }
}

fn find(finder: &IconFinder, key: &IconKey) -> Option<std::path::PathBuf> {
    let scale = key.pixels.div_ceil(key.points.max(1)).max(1);
    finder.find(&key.icon, key.points, scale)
}
