//! What the pointer looks like: wl_pointer.set_cursor and `wp_cursor_shape_v1`.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::{Cursor, Message, limit};

/// wp_cursor_shape_device_v1.error.invalid_shape.
const INVALID_SHAPE: u32 = 1;

/// The last shape of a version of wp_cursor_shape_device_v1: zoom_out; all_resize.
fn last_shape(version: u32) -> u32 {
    if version < 2 { 34 } else { 36 }
}

impl<P: Platform> Display<P> {
    /// wl_pointer.set_cursor.
    pub(crate) fn pointer_picture(&mut self, id: ClientId, object: u32, r: &mut Reader<'_>) -> Done {
        let (serial, surface) = (r.u32()?, r.u32()?);
        let hotspot = [r.i32()?, r.i32()?].map(|v| v.clamp(-limit::SIZE, limit::SIZE));
        let mut number = 0;
        if surface != 0 {
            number = self.surface_of(id, surface)?;
            let Some(s) = self.surfaces.get_mut(&number) else { return Ok(()) };
            if !matches!(s.role, Role::None | Role::Cursor) || s.xdg_surface != 0 {
                return fault(object, 0, "the surface has another role");
            }
            let fresh = s.role == Role::None;
            s.role = Role::Cursor;
            if fresh && s.sent.buffer != 0 {
                self.send_commit(number);
            }
        }
        self.set_cursor(id, Cursor { shape: 0, surface: number, hotspot, serial });
        Ok(())
    }

    /// wp_cursor_shape_manager_v1.get_pointer.
    pub(crate) fn new_cursor_shape(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, pointer) = (r.u32()?, r.u32()?);
        let Some(Kind::Pointer) = self.kind_of(id, pointer) else { return Err(Failure::Malformed) };
        self.create(id, new, Kind::CursorShapeDevice, version)
    }

    /// wp_cursor_shape_device_v1.set_shape.
    pub(crate) fn set_cursor_shape(
        &mut self,
        id: ClientId,
        object: u32,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (serial, shape) = (r.u32()?, r.u32()?);
        if shape == 0 || shape > last_shape(version) {
            return fault(object, INVALID_SHAPE, "an unknown cursor shape");
        }
        self.set_cursor(id, Cursor { shape, surface: 0, hotspot: [0, 0], serial });
        Ok(())
    }

    /// A client sets the pointer's picture. Only the one under the pointer may.
    fn set_cursor(&mut self, client: ClientId, cursor: Cursor) {
        if self.client_of(self.seat.pointer_focus) != Some(client) {
            return;
        }
        self.seat.cursor = Some(cursor);
        self.send(&Message::Cursor(cursor, &[]), None);
    }

    /// A surface's contents moved against its origin: under the pointer that moves the hotspot the other way.
    pub(crate) fn move_hotspot(&mut self, number: u32, offset: [i32; 2]) {
        let Some(cursor) = self.seat.cursor.as_mut().filter(|c| c.surface == number && offset != [0; 2])
        else {
            return;
        };
        for (spot, by) in cursor.hotspot.iter_mut().zip(offset) {
            *spot = spot.saturating_sub(by).clamp(-limit::SIZE, limit::SIZE);
        }
        let cursor = *cursor;
        self.send(&Message::Cursor(cursor, &[]), None);
    }
}
