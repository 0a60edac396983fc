//! What the pointer looks like over the app: a shape of the compositor's, of the cursor theme, or the app's surface.

use crate::bridge::Bridge;
use crate::host::globals::Globals;
use crate::surface::SurfaceTag;
use postern_channel::Cursor;
use std::collections::BTreeMap;
use wayland_client::protocol::{wl_buffer, wl_pointer, wl_surface};
use wayland_client::{Connection, Dispatch, QueueHandle, WEnum};
use wayland_cursor::CursorTheme;
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_device_v1::{
    Shape, WpCursorShapeDeviceV1,
};

/// Names that themes use for the shapes of wp_cursor_shape_device_v1, by number: the CSS name, and one of the old X11
/// names for themes that lack it.
const SHAPES: [(&str, &str); 34] = [
    ("default", "left_ptr"),
    ("context-menu", "left_ptr"),
    ("help", "question_arrow"),
    ("pointer", "hand2"),
    ("progress", "left_ptr_watch"),
    ("wait", "watch"),
    ("cell", "plus"),
    ("crosshair", "cross"),
    ("text", "xterm"),
    ("vertical-text", "xterm"),
    ("alias", "dnd-link"),
    ("copy", "dnd-copy"),
    ("move", "fleur"),
    ("no-drop", "dnd-none"),
    ("not-allowed", "crossed_circle"),
    ("grab", "hand1"),
    ("grabbing", "fleur"),
    ("e-resize", "right_side"),
    ("n-resize", "top_side"),
    ("ne-resize", "top_right_corner"),
    ("nw-resize", "top_left_corner"),
    ("s-resize", "bottom_side"),
    ("se-resize", "bottom_right_corner"),
    ("sw-resize", "bottom_left_corner"),
    ("w-resize", "left_side"),
    ("ew-resize", "sb_h_double_arrow"),
    ("ns-resize", "sb_v_double_arrow"),
    ("nesw-resize", "fd_double_arrow"),
    ("nwse-resize", "bd_double_arrow"),
    ("col-resize", "sb_h_double_arrow"),
    ("row-resize", "sb_v_double_arrow"),
    ("all-scroll", "fleur"),
    ("zoom-in", "plus"),
    ("zoom-out", "left_ptr"),
];

/// Pictures of the shapes, for compositors that cannot draw shapes themselves. Loaded whole at the start, since files
/// cannot be opened later.
struct Theme {
    surface: wl_surface::WlSurface,
    pictures: BTreeMap<u32, (wl_buffer::WlBuffer, [i32; 2])>,
}

/// The pointer's look.
#[derive(Default)]
pub struct Pointing {
    /// What the app asked for last.
    pub wanted: Option<Cursor>,
    shapes: Option<WpCursorShapeDeviceV1>,
    theme: Option<Theme>,
}

impl Pointing {
    /// Loads the cursor theme that the environment names, if the compositor has no shapes of its own.
    pub fn load_theme(&mut self, connection: &Connection, globals: &Globals, queue: &QueueHandle<Bridge>) {
        if globals.cursor_shapes.is_some() {
            return;
        }
        let size = std::env::var("XCURSOR_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(24);
        let Ok(mut theme) = CursorTheme::load(connection, globals.shm.clone(), size) else { return };
        let mut pictures = BTreeMap::new();
        for (number, (name, old_name)) in (1..).zip(SHAPES) {
            let known = if theme.get_cursor(name).is_some() { name } else { old_name };
            let Some(cursor) = theme.get_cursor(known).filter(|cursor| cursor.image_count() > 0) else {
                continue;
            };
            let picture = &cursor[0];
            let (x, y) = picture.hotspot();
            let hotspot = [x, y].map(|at| i32::try_from(at).unwrap_or(0));
            pictures.insert(number, ((**picture).clone(), hotspot));
        }
        let surface = globals.compositor.create_surface(queue, SurfaceTag(None));
        self.theme = Some(Theme { surface, pictures });
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
            let shape = WEnum::<Shape>::from(wanted.shape).into_result().unwrap_or(Shape::Default);
            device.set_shape(wanted.serial, shape);
        } else if let Some(theme) = &self.pointing.theme
            && let Some((buffer, [x, y])) = theme.pictures.get(&wanted.shape).or(theme.pictures.get(&1))
        {
            pointer.set_cursor(wanted.serial, Some(&theme.surface), *x, *y);
            theme.surface.attach(Some(buffer), 0, 0);
            theme.surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
            theme.surface.commit();
        }
    }
}

/// Data of buffers that stay for ever, such as the border's.
pub struct Lasting;

impl Dispatch<wl_buffer::WlBuffer, Lasting> for Bridge {
    fn event(
        _: &mut Self,
        _: &wl_buffer::WlBuffer,
        _: wl_buffer::Event,
        _: &Lasting,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}
