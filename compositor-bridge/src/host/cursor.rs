//! What the pointer looks like over the app: a shape of the compositor's, of the cursor theme, or the app's surface.

use crate::bridge::Bridge;
use crate::host::globals::Globals;
use crate::host::theme::Theme;
use postern_channel::Cursor;
use wayland_client::protocol::wl_pointer;
use wayland_client::{Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_device_v1::{
    Shape, WpCursorShapeDeviceV1,
};

/// The pointer's look.
#[derive(Default)]
pub struct Pointing {
    /// What the app asked for last.
    pub wanted: Option<Cursor>,
    shapes: Option<WpCursorShapeDeviceV1>,
    theme: Option<Theme>,
}

impl Pointing {
    /// Opens the cursor theme, if the compositor has no shapes of its own.
    pub fn open_theme(&mut self, globals: &Globals, queue: &QueueHandle<Bridge>) {
        if globals.cursor_shapes.is_none() {
            self.theme = Some(Theme::open(globals, queue));
        }
    }

    /// The seat got or lost its pointer.
    pub fn follow_pointer(
        &mut self,
        globals: &Globals,
        pointer: Option<&wl_pointer::WlPointer>,
        queue: &QueueHandle<Bridge>,
    ) {
        if let Some(shapes) = self.shapes.take() {
            shapes.destroy();
        }
        if let (Some(pointer), Some(manager)) = (pointer, &globals.cursor_shapes) {
            self.shapes = Some(manager.get_pointer(pointer, queue, ()));
        }
    }
}

impl Bridge {
    /// Shows what the app asked for last. A serial that is not the pointer's last is ignored by the compositor.
    pub fn show_cursor(&mut self) {
        let (Some(wanted), Some(pointer)) = (self.pointing.wanted, &self.input.pointer) else { return };
        let [x, y] = wanted.hotspot;
        if wanted.surface != 0 {
            if let Some(surface) = self.surfaces.host_cursor(wanted.surface) {
                pointer.set_cursor(wanted.serial, Some(surface), x, y);
            }
        } else if wanted.shape == 0 {
            pointer.set_cursor(wanted.serial, None, 0, 0);
        } else if let Some(device) = &self.pointing.shapes {
            // The two that came with version 2, as older compositors know them.
            let wanted_shape = match wanted.shape {
                35 if device.version() < 2 => Shape::Alias.into(),
                36 if device.version() < 2 => Shape::AllScroll.into(),
                shape => shape,
            };
            let shape = WEnum::<Shape>::from(wanted_shape).into_result().unwrap_or(Shape::Default);
            device.set_shape(wanted.serial, shape);
        } else if let Some(theme) = &mut self.pointing.theme
            && let Some(picture) = theme.picture(wanted.shape, &self.globals, &self.queue)
        {
            let [x, y] = picture.hotspot;
            pointer.set_cursor(wanted.serial, Some(&theme.surface), x, y);
            theme.surface.attach(Some(&picture.buffer), 0, 0);
            theme.surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
            theme.surface.commit();
        }
    }
}
