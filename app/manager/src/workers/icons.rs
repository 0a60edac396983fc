//! Finds and decodes icons.

use std::sync::mpsc::Receiver;

use super::super::command::{Event, IconRequest};
use super::Events;
use crate::icons::image;
use crate::icons::theme::IconFinder;
use postern_library::Surroundings;

/// Answers requests until the window is gone.
pub(super) fn run(around: &Surroundings, requests: &Receiver<IconRequest>, out: &Events) {
    let mut finder = IconFinder::new(around);
    while let Ok(request) = requests.recv() {
        match request {
            IconRequest::Refresh => finder = IconFinder::new(around),
            IconRequest::Find(key) => {
                let scale = key.pixels.div_ceil(key.points.max(1)).max(1);
                let path = finder.find(&key.icon, key.points, scale);
                let image = path.and_then(|path| image::load(&path, key.pixels).ok());
                out.send(Event::Icon { key, image });
            }
        }
    }
}
