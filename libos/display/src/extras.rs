//! The smaller protocols: input objects, data devices, viewports, activation and what is only accepted.

use crate::client::ClientId;
use crate::object::Kind;
use crate::selection::MAX_MIMES;
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{Cursor, Rect256, limit};

/// The last shape of wp_cursor_shape_device_v1 version 1: zoom_out.
const LAST_SHAPE: u32 = 34;

impl<P: Platform> Display<P> {
    pub(crate) fn extra_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let Some(kind) = self.kind_of(id, object).cloned() else { return Ok(()) };
        match (kind, opcode) {
            (Kind::Seat, 0) => {
                let new = r.u32()?;
                self.create(id, new, Kind::Pointer, version)?;
                self.greet_pointer(id, new);
                Ok(())
            }
            (Kind::Seat, 1) => {
                let new = r.u32()?;
                self.create(id, new, Kind::Keyboard, version)?;
                self.describe_keyboard(platform, id, new);
                self.greet_keyboard(id, new);
                Ok(())
            }
            (Kind::Seat, 2) => {
                let new = r.u32()?;
                self.create(id, new, Kind::Touch, version)
            }
            (Kind::Pointer, 0) => self.pointer_picture(id, object, r),
            (Kind::CursorShapeManager, 1) => {
                let (new, _pointer) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::CursorShapeDevice, version)
            }
            (Kind::CursorShapeDevice, 1) => {
                let (serial, shape) = (r.u32()?, r.u32()?);
                if shape == 0 || shape > LAST_SHAPE {
                    return fault(object, 1, "an unknown cursor shape");
                }
                self.set_cursor(id, Cursor { shape, surface: 0, hotspot: [0, 0], serial });
                Ok(())
            }
            (
                Kind::DataDeviceManager
                | Kind::DataDevice
                | Kind::DataSource(_)
                | Kind::DataOffer
                | Kind::PrimaryManager
                | Kind::PrimaryDevice
                | Kind::PrimarySource(_)
                | Kind::PrimaryOffer,
                _,
            ) => self.data_request(platform, id, object, version, opcode, r),
            (Kind::XdgOutputManager, 1) => {
                let (new, output) = (r.u32()?, r.u32()?);
                let Some(Kind::Output(number)) = self.kind_of(id, output) else {
                    return Err(Failure::Malformed);
                };
                let number = *number;
                self.create(id, new, Kind::XdgOutput(number), version)?;
                self.describe_output(id, new);
                Ok(())
            }
            (Kind::Viewporter, 1) => {
                let (new, surface) = (r.u32()?, r.u32()?);
                let number = self.surface_of(id, surface)?;
                if self.surfaces.get(&number).is_some_and(|s| s.viewport != 0) {
                    return fault(object, 0, "the surface has a viewport");
                }
                self.create(id, new, Kind::Viewport(number), version)?;
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.viewport = new;
                }
                Ok(())
            }
            (Kind::Viewport(number), _) => self.viewport_request(id, object, number, opcode, r),
            (Kind::DecorationManager, 1) | (Kind::KdeDecorationManager, _) => {
                self.make_decoration(id, opcode, version, r)
            }
            (Kind::Decoration(number), _) => self.decoration_request(id, object, number, opcode, r),
            (Kind::KdeDecoration(number), _) => self.kde_decoration_request(id, object, number, opcode, r),
            (Kind::Activation, 1) => {
                let new = r.u32()?;
                self.create(id, new, Kind::ActivationToken, version)
            }
            (Kind::Callback | Kind::Registry, _) => Err(Failure::Malformed),
            (Kind::Activation, 2) => {
                // Raising a window of one's own without the user's wish is not passed on.
                let _ = (r.string()?, r.u32()?);
                Ok(())
            }
            (Kind::ActivationToken, 3) => {
                if let Some(client) = self.client(id) {
                    drop(client.event(object, 0).string(b"postern"));
                }
                Ok(())
            }
            (Kind::ActivationToken, 0..=2) => Ok(()),
            (Kind::FractionalScaleManager, 1) => {
                let (new, surface) = (r.u32()?, r.u32()?);
                let number = self.surface_of(id, surface)?;
                self.create(id, new, Kind::FractionalScale(number), version)?;
                let fraction = self.fraction();
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.scale_object = new;
                }
                if let Some(client) = self.client(id) {
                    drop(client.event(new, 0).u32(fraction));
                }
                Ok(())
            }
            (Kind::FractionalScale(number), 0) => {
                if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.scale_object == object) {
                    s.scale_object = 0;
                }
                self.destroy(id, object);
                Ok(())
            }
            (Kind::TextInputManager, 1) => {
                let (new, _seat) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::TextInput(0), version)
            }
            (Kind::TextInput(_), 1..=6) => Ok(()),
            (Kind::TextInput(commits), 7) => {
                self.create_over(id, object, Kind::TextInput(commits.wrapping_add(1)));
                Ok(())
            }
            (Kind::IdleInhibitManager, 1) => {
                let (new, _surface) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::IdleInhibitor, version)
            }
            // What is left are destructors: release of input objects, destroy of the rest.
            (Kind::Seat, 3) | (Kind::Pointer, 1) | (Kind::ActivationToken, 4) | (_, 0) => {
                self.destroy(id, object);
                Ok(())
            }
            _ => Err(Failure::Malformed),
        }
    }

    /// wl_pointer.set_cursor.
    fn pointer_picture(&mut self, id: ClientId, object: u32, r: &mut Reader<'_>) -> Done {
        let (serial, surface) = (r.u32()?, r.u32()?);
        let hotspot = [r.i32()?, r.i32()?].map(|v| v.clamp(-limit::SIZE, limit::SIZE));
        let mut number = 0;
        if surface != 0 {
            number = self.surface_of(id, surface)?;
            let Some(s) = self.surfaces.get_mut(&number) else { return Ok(()) };
            if !matches!(s.role, Role::None | Role::Cursor) {
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

    fn viewport_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.viewport == object) {
                    s.viewport = 0;
                    s.pending.source = Some(Rect256::default());
                    s.pending.destination = Some([0, 0]);
                }
                self.destroy(id, object);
            }
            1 => {
                let rect = Self::viewport_source(r)?;
                let unset = [rect.x, rect.y, rect.width, rect.height] == [-256; 4];
                let most = limit::SIZE * 256;
                let valid = rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0;
                if !unset && !valid {
                    return fault(object, 0, "an invalid source rectangle");
                }
                let cut = |v: i32| v.min(most);
                let rect = Rect256 {
                    x: cut(rect.x),
                    y: cut(rect.y),
                    width: cut(rect.width),
                    height: cut(rect.height),
                };
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.pending.source = Some(if unset { Rect256::default() } else { rect });
                }
            }
            2 => {
                let size = [r.i32()?, r.i32()?];
                let unset = size == [-1, -1];
                if !unset && size.iter().any(|v| *v <= 0) {
                    return fault(object, 0, "an invalid destination size");
                }
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.pending.destination =
                        Some(if unset { [0, 0] } else { size.map(|v| v.min(limit::SIZE)) });
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// Data device and primary selection.
    fn data_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let Some(kind) = self.kind_of(id, object).cloned() else { return Ok(()) };
        match (kind, opcode) {
            (Kind::DataDeviceManager, 0) => {
                let new = r.u32()?;
                self.create(id, new, Kind::DataSource(Vec::new()), version)?;
            }
            (Kind::DataDeviceManager, 1) => {
                let (new, _seat) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::DataDevice, version)?;
                if self.client_of(self.seat.keyboard_focus) == Some(id) {
                    self.offer_clipboard_to(id);
                }
            }
            (Kind::PrimaryManager, 0) => {
                let new = r.u32()?;
                self.create(id, new, Kind::PrimarySource(Vec::new()), version)?;
            }
            (Kind::PrimaryManager, 1) => {
                let (new, _seat) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::PrimaryDevice, version)?;
                if self.client_of(self.seat.keyboard_focus) == Some(id) {
                    self.offer_primary_to(id);
                }
            }
            (Kind::DataSource(mut mimes), 0) => {
                if let Some(mime) = r.string()?.filter(|_| mimes.len() < MAX_MIMES) {
                    mimes.push(mime.to_vec());
                }
                self.create_over(id, object, Kind::DataSource(mimes));
            }
            (Kind::PrimarySource(mut mimes), 0) => {
                if let Some(mime) = r.string()?.filter(|_| mimes.len() < MAX_MIMES) {
                    mimes.push(mime.to_vec());
                }
                self.create_over(id, object, Kind::PrimarySource(mimes));
            }
            (Kind::DataSource(_) | Kind::PrimarySource(_), 1) => {
                self.destroy(id, object);
                self.source_destroyed(id, object);
            }
            (Kind::DataDevice, 0) => {
                // Drag and drop is not there yet: the drag ends at once, so that the client does not wait.
                let (source, _origin, _icon, _serial) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
                if let Some(client) =
                    self.client(id).filter(|c| source != 0 && c.objects.contains_key(&source))
                {
                    drop(client.event(source, 2));
                }
            }
            (Kind::DataDevice, 1) => {
                let (source, serial) = (r.u32()?, r.u32()?);
                self.set_clipboard(id, source, serial);
            }
            (Kind::PrimaryDevice, 0) => {
                let (source, _serial) = (r.u32()?, r.u32()?);
                self.set_primary(id, source);
            }
            (Kind::DataOffer, 1) | (Kind::PrimaryOffer, 0) => {
                let mime = r.string()?.unwrap_or(b"").to_vec();
                let Some(file) = self.client(id).and_then(|c| c.files.pop_front()) else {
                    return Err(Failure::Malformed);
                };
                let primary = matches!(self.kind_of(id, object), Some(Kind::PrimaryOffer));
                self.receive_selection(platform, primary, &mime, file);
            }
            // accept, finish, set_actions: parts of drag and drop.
            (Kind::DataOffer, 0 | 3 | 4) | (Kind::DataSource(_), 2) => {}
            // Destructors.
            (Kind::DataOffer | Kind::DataDevice | Kind::PrimaryManager, 2)
            | (Kind::PrimaryOffer | Kind::PrimaryDevice, 1) => self.destroy(id, object),
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }
}
