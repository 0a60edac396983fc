//! The coloured border: four strips of the bridge's own over the edges of every window. They lie above everything that
//! the app puts into the window, and take no input.

use super::SurfaceTag;
use crate::bridge::Bridge;
use crate::host::globals::Globals;
use crate::host::theme::Lasting;
use postern_channel::{Commit, Rect};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::write;
use std::os::fd::AsFd;
use wayland_client::QueueHandle;
use wayland_client::protocol::{wl_buffer, wl_shm, wl_subsurface, wl_surface};
use wayland_protocols::wp::viewporter::client::wp_viewport::WpViewport;

/// Width of the strips, in surface units.
const WIDTH: i32 = 3;

/// What all borders are made of: one pixel of the colour.
pub struct Border {
    pixel: wl_buffer::WlBuffer,
}

struct Strip {
    surface: wl_surface::WlSurface,
    object: wl_subsurface::WlSubsurface,
    viewport: WpViewport,
}

/// The strips of one window.
pub struct Edges {
    strips: Vec<Strip>,
    /// The window geometry that they surround.
    around: Rect,
}

impl Border {
    /// None: the compositor cannot stretch a pixel, or there is no memory.
    pub fn new(colour: [u8; 3], globals: &Globals, queue: &QueueHandle<Bridge>) -> Option<Self> {
        globals.viewporter.as_ref()?;
        let [red, green, blue] = colour;
        let file = memfd_create("border", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).ok()?;
        write(&file, &[blue, green, red, 0xff]).ok()?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW).ok()?;
        let pool = globals.shm.create_pool(file.as_fd(), 4, queue, ());
        let pixel = pool.create_buffer(0, 1, 1, 4, wl_shm::Format::Xrgb8888, queue, Lasting);
        pool.destroy();
        Some(Self { pixel })
    }
}

impl Edges {
    fn new(
        window: &wl_surface::WlSurface,
        border: &Border,
        globals: &Globals,
        queue: &QueueHandle<Bridge>,
    ) -> Option<Self> {
        let viewporter = globals.viewporter.as_ref()?;
        let nothing = globals.compositor.create_region(queue, ());
        let strip = || {
            let surface = globals.compositor.create_surface(queue, SurfaceTag(None));
            let object = globals.subcompositor.get_subsurface(&surface, window, queue, ());
            let viewport = viewporter.get_viewport(&surface, queue, ());
            surface.set_input_region(Some(&nothing));
            surface.attach(Some(&border.pixel), 0, 0);
            surface.damage_buffer(0, 0, 1, 1);
            Strip { surface, object, viewport }
        };
        let strips = std::iter::repeat_with(strip).take(4).collect();
        nothing.destroy();
        Some(Self { strips, around: Rect::default() })
    }

    /// Puts the strips around a window. They stay synchronised, so this shows together with the window's own commit.
    fn surround(&mut self, window: Rect) {
        if self.around == window {
            return;
        }
        self.around = window;
        let Rect { x, y, width, height } = window;
        let (thick_x, thick_y) = (WIDTH.min(width), WIDTH.min(height));
        let places = [
            (x, y, width, thick_y),
            (x, y + height - thick_y, width, thick_y),
            (x, y, thick_x, height),
            (x + width - thick_x, y, thick_x, height),
        ];
        for (strip, (x, y, width, height)) in self.strips.iter().zip(places) {
            strip.object.set_position(x, y);
            strip.viewport.set_destination(width, height);
            strip.surface.commit();
        }
    }

    /// The strips as the objects that stacking is done with.
    pub fn objects(&self) -> Vec<wl_subsurface::WlSubsurface> {
        self.strips.iter().map(|strip| strip.object.clone()).collect()
    }

    /// Destroys the strips.
    pub fn destroy(self) {
        for strip in self.strips {
            strip.viewport.destroy();
            strip.object.destroy();
            strip.surface.destroy();
        }
    }
}

impl Bridge {
    /// Keeps the border of a toplevel around what its next commit shows.
    pub fn update_border(&mut self, number: u32, last: &Commit) {
        let Some(border) = &self.border else { return };
        let Some((surface_width, surface_height)) = super::state::surface_size(last) else { return };
        let Some(host) = self.surfaces.host_mut(number) else { return };
        // Never outside of the surface: a geometry that says so would hide the border.
        let whole = Rect { x: 0, y: 0, width: surface_width, height: surface_height };
        let around = overlap(last.geometry, whole).unwrap_or(whole);
        if around.width <= 0 || around.height <= 0 {
            return;
        }
        if host.border.is_none() {
            host.border = Edges::new(&host.surface, border, &self.globals, &self.queue);
        }
        if let Some(edges) = &mut host.border {
            edges.surround(around);
        }
    }
}

/// What two rectangles have in common.
fn overlap(a: Rect, b: Rect) -> Option<Rect> {
    let (x, y) = (a.x.max(b.x), a.y.max(b.y));
    let width = a.x.saturating_add(a.width).min(b.x.saturating_add(b.width)).saturating_sub(x);
    let height = a.y.saturating_add(a.height).min(b.y.saturating_add(b.height)).saturating_sub(y);
    (width > 0 && height > 0).then_some(Rect { x, y, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_stays_inside_the_surface() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        let whole = rect(0, 0, 100, 80);
        assert_eq!(overlap(rect(10, 10, 50, 50), whole), Some(rect(10, 10, 50, 50)));
        assert_eq!(overlap(rect(-5, -5, 500, 500), whole), Some(whole));
        assert_eq!(overlap(rect(200, 0, 10, 10), whole), None);
        assert_eq!(overlap(Rect::default(), whole), None);
    }
}
