//! Cursor pictures of the user's theme, for compositors that cannot draw shapes themselves.
//!
//! The files are opened at the start, since nothing can be opened later, and read when their shape is first shown:
//! most apps use three of them.

use crate::bridge::Bridge;
use crate::host::globals::Globals;
use crate::surface::SurfaceTag;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, pread, write};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use wayland_client::protocol::{wl_buffer, wl_shm, wl_surface};
use wayland_client::{Connection, Dispatch, QueueHandle};

/// Largest cursor file that is read. Animated ones have a few megabytes.
const MOST: usize = 8 << 20;
/// Largest picture, in pixels.
const SIDE: u32 = 512;

/// Names that themes use for the shapes of wp_cursor_shape_device_v1, by number: the CSS name, and one of the old X11
/// names for themes that lack it.
const SHAPES: [(&str, &str); 36] = [
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
    ("dnd-ask", "dnd-link"),
    ("all-resize", "fleur"),
];

/// A cursor as the compositor has it.
#[derive(Clone)]
pub struct Picture {
    pub buffer: wl_buffer::WlBuffer,
    pub hotspot: [i32; 2],
}

/// The theme that the environment names.
pub struct Theme {
    /// Where the cursor is drawn.
    pub surface: wl_surface::WlSurface,
    size: u32,
    files: BTreeMap<u32, File>,
    pictures: BTreeMap<u32, Option<Picture>>,
}

impl Theme {
    /// Opens the files.
    pub fn open(globals: &Globals, queue: &QueueHandle<Bridge>) -> Self {
        let name = std::env::var("XCURSOR_THEME").unwrap_or_else(|_| "default".into());
        let size = std::env::var("XCURSOR_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(24);
        let theme = xcursor::CursorTheme::load(&name);
        let open = |name: &str| File::open(theme.load_icon(name)?).ok();
        let shapes = (1..).zip(SHAPES);
        let files =
            shapes.filter_map(|(shape, (name, old))| Some((shape, open(name).or_else(|| open(old))?)));
        Self {
            surface: globals.compositor.create_surface(queue, SurfaceTag(None)),
            size,
            files: files.collect(),
            pictures: BTreeMap::new(),
        }
    }

    /// The picture of a shape, or of the ordinary arrow where the theme has none.
    pub fn picture(&mut self, shape: u32, globals: &Globals, queue: &QueueHandle<Bridge>) -> Option<Picture> {
        let shape = if self.files.contains_key(&shape) { shape } else { 1 };
        let (files, size) = (&self.files, self.size);
        let load = || make(&read(files.get(&shape)?)?, size, globals, queue);
        self.pictures.entry(shape).or_insert_with(load).clone()
    }
}

fn read(file: &File) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while text.len() <= MOST {
        match pread(file, &mut piece[..], u64::try_from(text.len()).ok()?) {
            Ok(0) => return Some(text),
            Ok(len) => text.extend(piece.iter().take(len)),
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Makes a buffer of the first picture of the size that fits best.
fn make(file: &[u8], size: u32, globals: &Globals, queue: &QueueHandle<Bridge>) -> Option<Picture> {
    let images = xcursor::parser::parse_xcursor(file)?;
    let image = images.iter().min_by_key(|image| image.size.abs_diff(size))?;
    if !(1..=SIDE).contains(&image.width) || !(1..=SIDE).contains(&image.height) {
        return None;
    }
    let [width, height, x, y] =
        [image.width, image.height, image.xhot, image.yhot].map(|value| i32::try_from(value).unwrap_or(0));
    let bytes = width * height * 4;
    // The file has little-endian ARGB, as wl_shm wants it, whatever the parser calls it.
    let pixels = image.pixels_rgba.get(..usize::try_from(bytes).ok()?)?;
    let memory = memfd_create("cursor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
    if write(&memory, pixels) != Ok(pixels.len()) {
        return None;
    }
    fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW).ok()?;
    let pool = globals.shm.create_pool(memory.as_fd(), bytes, queue, ());
    let buffer = pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Argb8888, queue, Lasting);
    pool.destroy();
    Some(Picture { buffer, hotspot: [x, y] })
}

/// Data of buffers that stay for ever, such as these and the border's.
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
