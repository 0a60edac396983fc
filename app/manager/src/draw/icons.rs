//! The pictures of apps: asked for when first drawn, read by a worker, kept as textures.

use std::collections::HashMap;
use std::sync::mpsc::Sender;

use egui::{ColorImage, Context, Rect, TextureHandle, TextureOptions, Ui, Vec2};

use super::super::command::{IconKey, IconRequest};
use super::super::theme::{self, Tokens};
use super::super::view::AppRef;
use crate::icons::image::IconImage;

/// Textures by icon and size.
#[derive(Default)]
pub struct IconStore {
    textures: HashMap<IconKey, Slot>,
    requests: Option<Sender<IconRequest>>,
}

enum Slot {
    /// Asked for.
    Wanted,
    /// There is none.
    Missing,
    /// Here it is.
    Loaded(TextureHandle),
}

impl IconStore {
    /// A store that asks this worker for pictures.
    #[must_use]
    pub fn new(requests: Sender<IconRequest>) -> Self {
        Self { textures: HashMap::new(), requests: Some(requests) }
    }

    /// Takes in what the worker found.
    pub fn insert(&mut self, ctx: &Context, key: IconKey, image: Option<IconImage>) {
        let slot = image.map_or(Slot::Missing, |image| {
            let size = [image.side, image.side];
            let pixels = ColorImage::from_rgba_premultiplied(size, &image.rgba_premultiplied);
            Slot::Loaded(ctx.load_texture(format!("{key:?}"), pixels, TextureOptions::LINEAR))
        });
        self.textures.insert(key, slot);
    }

    /// Asks for everything again. What is there is shown until the answer comes.
    pub fn refresh(&mut self) {
        let Some(requests) = &self.requests else { return };
        let keys = self.textures.keys().cloned().map(IconRequest::Find);
        for request in std::iter::once(IconRequest::Refresh).chain(keys) {
            // The worker ends only with the window.
            let _ = requests.send(request);
        }
    }

    fn get(&mut self, key: IconKey) -> Option<&TextureHandle> {
        let requests = &self.requests;
        let slot = self.textures.entry(key).or_insert_with_key(|key| match requests {
            Some(requests) if requests.send(IconRequest::Find(key.clone())).is_ok() => Slot::Wanted,
            _ => Slot::Missing,
        });
        match slot {
            Slot::Loaded(texture) => Some(texture),
            Slot::Wanted | Slot::Missing => None,
        }
    }

    /// Draws an app's picture, or its first letter on a coloured square.
    pub fn paint(&mut self, ui: &Ui, tokens: &Tokens, app: &AppRef, rect: Rect) {
        let side = rect.width();
        let pixels = (side * ui.pixels_per_point()).round();
        let texture = app.icon.clone().and_then(|icon| {
            self.get(IconKey { icon, points: side.round() as u32, pixels: pixels as u32 })
                .map(TextureHandle::id)
        });
        let painter = ui.painter();
        if let Some(texture) = texture {
            let whole = Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
            painter.image(texture, rect, whole, egui::Color32::WHITE);
            return;
        }
        let sum = app.id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let fill = tokens.letters.get(sum % tokens.letters.len()).copied().unwrap_or(tokens.accent);
        let shape = Rect::from_center_size(rect.center(), Vec2::splat(side * 0.88));
        painter.rect_filled(shape, side * 0.2, fill);
        let first: String = app.name.chars().take(1).flat_map(char::to_uppercase).collect();
        let middle = egui::Align2::CENTER_CENTER;
        painter.text(shape.center(), middle, first, theme::letter(side), tokens.on_letter.into());
    }
}
