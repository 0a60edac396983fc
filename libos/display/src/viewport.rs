//! `wp_viewporter`, and `wp_single_pixel_buffer_v1`, whose buffers are of use with it.

use crate::client::ClientId;
use crate::object::{Buffer, Kind};
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::{Rect256, limit};

/// Errors of wp_viewporter and wp_viewport.
pub mod error {
    pub const VIEWPORT_EXISTS: u32 = 0;
    pub const BAD_VALUE: u32 = 0;
    pub const BAD_SIZE: u32 = 1;
    pub const OUT_OF_BUFFER: u32 = 2;
    pub const NO_SURFACE: u32 = 3;
}

impl<P: Platform> Display<P> {
    /// wp_viewporter.get_viewport.
    pub(crate) fn new_viewport(
        &mut self,
        id: ClientId,
        manager: u32,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (new, surface) = (r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        if self.surfaces.get(&number).is_some_and(|s| s.viewport != 0) {
            return fault(manager, error::VIEWPORT_EXISTS, "the surface has a viewport");
        }
        self.create(id, new, Kind::Viewport(number), version)?;
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.viewport = new;
        }
        Ok(())
    }

    /// A request of wp_viewport.
    pub(crate) fn viewport_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        // The number may name a later surface than the one that the viewport was made for.
        let surface = self.surfaces.get_mut(&number).filter(|s| s.viewport == object && s.client == id);
        if opcode == 0 {
            if let Some(s) = surface {
                s.viewport = 0;
                s.pending.source = Some(Rect256::default());
                s.pending.destination = Some([0, 0]);
            }
            self.destroy(id, object);
            return Ok(());
        }
        let Some(surface) = surface else {
            return fault(object, error::NO_SURFACE, "the viewport's surface is gone");
        };
        match opcode {
            1 => {
                let rect = Rect256 { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                let unset = [rect.x, rect.y, rect.width, rect.height] == [-256; 4];
                let most = limit::SIZE * 256;
                let valid = rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0;
                if !unset && !valid {
                    return fault(object, error::BAD_VALUE, "an invalid source rectangle");
                }
                let cut = |v: i32| v.min(most);
                let rect = Rect256 {
                    x: cut(rect.x),
                    y: cut(rect.y),
                    width: cut(rect.width),
                    height: cut(rect.height),
                };
                surface.pending.source = Some(if unset { Rect256::default() } else { rect });
            }
            2 => {
                let size = [r.i32()?, r.i32()?];
                let unset = size == [-1, -1];
                if !unset && size.iter().any(|v| *v <= 0) {
                    return fault(object, error::BAD_VALUE, "an invalid destination size");
                }
                surface.pending.destination =
                    Some(if unset { [0, 0] } else { size.map(|v| v.min(limit::SIZE)) });
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// wp_single_pixel_buffer_manager_v1.create_u32_rgba_buffer.
    pub(crate) fn new_pixel(&mut self, id: ClientId, r: &mut Reader<'_>) -> Done {
        let new = r.u32()?;
        let [red, green, blue, alpha] = [r.u32()?, r.u32()?, r.u32()?, r.u32()?].map(|v| v >> 24);
        let buffer = Buffer {
            pool: 0,
            offset: alpha << 24 | red << 16 | green << 8 | blue,
            width: 1,
            height: 1,
            stride: 4,
            format: 0,
            is_pixel: true,
            uses: 0,
        };
        self.create(id, new, Kind::Buffer(buffer), 1)
    }
}
