//! Requests of clients, one after another.

use crate::client::{ClientError, ClientId, FIRST_SERVER_ID, Fault, MAX_OBJECTS, display_error};
use crate::object::{Kind, Object};
use crate::shell::{Done, Failure, fault};
use crate::surface::{Attach, largest, union};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use postern_channel::Rect;

/// Most bytes of one request; libwayland's own limit.
const MAX_REQUEST: usize = 4096;
/// Errors of wl_surface.
mod error {
    pub const INVALID_SCALE: u32 = 0;
    pub const INVALID_TRANSFORM: u32 = 1;
    pub const INVALID_OFFSET: u32 = 3;
    pub const DEFUNCT_ROLE_OBJECT: u32 = 4;
}

/// Most files that may wait for the request that they belong to.
const MAX_FILES: usize = 256;

impl<P: Platform> Display<P> {
    /// Bytes that a client sent, with the files that came with them. Runs all complete requests.
    ///
    /// # Errors
    /// When the client must be disconnected. Its queue may still hold an error event for it.
    pub fn receive(
        &mut self,
        platform: &mut P,
        id: ClientId,
        bytes: &[u8],
        files: &mut VecDeque<P::File>,
        now_ms: u32,
    ) -> Result<(), ClientError> {
        self.now_ms = now_ms;
        let client = self.clients.get_mut(&id).ok_or(ClientError::Gone)?;
        client.files.append(files);
        if client.files.len() > MAX_FILES {
            return self.fail(
                id,
                Fault { object: 1, code: display_error::NO_MEMORY, text: "files that belong to no request" },
            );
        }
        let mut input = core::mem::take(&mut client.input);
        let owned;
        let mut rest: &[u8] = if input.is_empty() {
            bytes
        } else {
            input.extend_from_slice(bytes);
            owned = input;
            &owned
        };
        let result = loop {
            let (Some(object), Some(word)) =
                (rest.first_chunk::<4>(), rest.get(4..).and_then(<[u8]>::first_chunk::<4>))
            else {
                break Ok(());
            };
            let (object, word) = (u32::from_ne_bytes(*object), u32::from_ne_bytes(*word));
            let len = usize::try_from(word >> 16).unwrap_or(0);
            if !(8..=MAX_REQUEST).contains(&len) || len % 4 != 0 {
                break self.fail(
                    id,
                    Fault {
                        object: 1,
                        code: display_error::INVALID_METHOD,
                        text: "a request of invalid length",
                    },
                );
            }
            let Some((request, next)) = rest.split_at_checked(len) else { break Ok(()) };
            rest = next;
            let arguments = request.get(8..).unwrap_or(&[]);
            let opcode = u16::try_from(word & 0xffff).unwrap_or(u16::MAX);
            match self.request(platform, id, object, opcode, &mut Reader::new(arguments)) {
                Ok(()) => {}
                Err(Failure::Malformed) => {
                    break self.fail(
                        id,
                        Fault {
                            object,
                            code: display_error::INVALID_METHOD,
                            text: "an invalid request or argument",
                        },
                    );
                }
                Err(Failure::Fault(fault)) => break self.fail(id, fault),
            }
            if self.clients.get(&id).is_none_or(|c| c.failed) {
                break Err(ClientError::Protocol);
            }
        };
        if let Some(client) = self.clients.get_mut(&id) {
            client.input = if result.is_ok() { rest.to_vec() } else { Vec::new() };
        }
        self.answer_syncs();
        result
    }

    fn fail(&mut self, id: ClientId, fault: Fault) -> Result<(), ClientError> {
        if let Some(client) = self.clients.get_mut(&id) {
            drop(client.event(1, 0).u32(fault.object).u32(fault.code).string(fault.text.as_bytes()));
            client.failed = true;
        }
        Err(ClientError::Protocol)
    }

    /// Registers an object that the client made.
    pub(crate) fn create(&mut self, id: ClientId, object: u32, kind: Kind, version: u32) -> Done {
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        if object == 0 || object >= FIRST_SERVER_ID || client.objects.contains_key(&object) {
            return fault(1, display_error::INVALID_OBJECT, "an invalid new id");
        }
        if client.objects.len() >= MAX_OBJECTS {
            return fault(1, display_error::NO_MEMORY, "too many objects");
        }
        client.objects.insert(object, Object { kind, version });
        Ok(())
    }

    pub(crate) fn kind_of(&self, id: ClientId, object: u32) -> Option<&Kind> {
        self.clients.get(&id)?.objects.get(&object).map(|o| &o.kind)
    }

    /// The surface number behind a wl_surface argument.
    pub(crate) fn surface_of(&self, id: ClientId, object: u32) -> Result<u32, Failure> {
        match self.kind_of(id, object) {
            Some(Kind::Surface(number)) => Ok(*number),
            _ => Err(Failure::Malformed),
        }
    }

    pub(crate) fn destroy(&mut self, id: ClientId, object: u32) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.remove(object);
        }
    }

    fn request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let Some(found) = self.clients.get(&id).and_then(|c| c.objects.get(&object)) else {
            return fault(1, display_error::INVALID_OBJECT, "an unknown object");
        };
        let version = found.version;
        if !found.has_request(opcode) {
            return Err(Failure::Malformed);
        }
        match &found.kind {
            Kind::Display => self.display_request(id, opcode, r),
            Kind::Registry if opcode == 0 => self.bind(id, r),
            Kind::Compositor => self.compositor_request(id, object, version, opcode, r),
            Kind::Surface(number) => {
                let number = *number;
                self.surface_request(id, object, version, number, opcode, r)
            }
            Kind::Region(_) => self.region_request(id, object, opcode, r),
            Kind::Subcompositor => self.subcompositor_request(id, object, opcode, r),
            Kind::Subsurface(number) => {
                let number = *number;
                self.subsurface_request(id, object, number, opcode, r)
            }
            Kind::Shm => self.shm_request(platform, id, object, opcode, r),
            Kind::ShmPool(pool) => {
                let pool = *pool;
                self.pool_request(platform, id, object, pool, opcode, r)
            }
            Kind::Buffer(buffer) if opcode == 0 => {
                let pool = buffer.pool;
                self.check_icons(id, object)?;
                self.destroy_buffer(id, object, pool);
                Ok(())
            }
            Kind::WmBase => self.wm_base_request(id, object, version, opcode, r),
            Kind::Positioner(positioner) => {
                if opcode == 0 {
                    self.destroy(id, object);
                    return Ok(());
                }
                let mut changed = *positioner;
                Self::positioner_request(object, &mut changed, opcode, r)?;
                self.create_over(id, object, Kind::Positioner(changed));
                Ok(())
            }
            Kind::XdgSurface(number) => {
                let number = *number;
                self.xdg_request(id, object, number, version, opcode, r)
            }
            Kind::Toplevel(number) | Kind::Popup(number) if opcode == 0 => {
                let number = *number;
                self.destroy_window(id, object, number)
            }
            Kind::Toplevel(number) => {
                let number = *number;
                self.toplevel_request(id, object, number, opcode, r)
            }
            Kind::Popup(number) => {
                let number = *number;
                self.popup_request(id, object, number, opcode, r)
            }
            _ => self.extra_request(platform, id, object, version, opcode, r),
        }
    }

    /// Replaces the state kept in an object.
    pub(crate) fn create_over(&mut self, id: ClientId, object: u32, kind: Kind) {
        if let Some(o) = self.clients.get_mut(&id).and_then(|c| c.objects.get_mut(&object)) {
            o.kind = kind;
        }
    }

    fn display_request(&mut self, id: ClientId, opcode: u16, r: &mut Reader<'_>) -> Done {
        let new = r.u32()?;
        match opcode {
            0 => {
                self.create(id, new, Kind::Callback, 1)?;
                self.sync(id, new);
                Ok(())
            }
            1 => {
                self.create(id, new, Kind::Registry, 1)?;
                self.list_globals(id, new);
                Ok(())
            }
            _ => Err(Failure::Malformed),
        }
    }

    fn bind(&mut self, id: ClientId, r: &mut Reader<'_>) -> Done {
        let name = r.u32()?;
        let interface = r.string()?.unwrap_or(b"");
        let (version, new) = (r.u32()?, r.u32()?);
        let Some((kind, highest)) = self.global(name, interface) else {
            return fault(1, display_error::INVALID_OBJECT, "no such global");
        };
        if version == 0 || version > highest {
            return fault(1, display_error::INVALID_METHOD, "a version that is not offered");
        }
        self.create(id, new, kind, version)?;
        let capabilities = self.seat.capabilities;
        let decoration_mode = self.default_decoration_mode();
        let Some(client) = self.clients.get_mut(&id) else { return Ok(()) };
        match client.objects.get(&new).map(|o| &o.kind) {
            Some(Kind::Shm) => {
                drop(client.event(new, 0).u32(0));
                drop(client.event(new, 0).u32(1));
            }
            Some(Kind::Seat) => {
                drop(client.event(new, 0).u32(capabilities));
                if version >= 2 {
                    drop(client.event(new, 1).string(b"seat0"));
                }
            }
            Some(Kind::KdeDecorationManager) => drop(client.event(new, 0).u32(decoration_mode)),
            Some(Kind::Presentation) => drop(client.event(new, 0).u32(crate::presentation::CLOCK)),
            // No size is preferred.
            Some(Kind::IconManager) => drop(client.event(new, 1)),
            Some(Kind::Output(_)) => self.greet_output(id, new),
            _ => {}
        }
        Ok(())
    }

    fn compositor_request(
        &mut self,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        if opcode == 2 {
            self.destroy(id, object);
            return Ok(());
        }
        let new = r.u32()?;
        match opcode {
            0 => {
                let Some(number) = self.new_surface(id, new) else {
                    return fault(1, display_error::NO_MEMORY, "too many surfaces");
                };
                let made = self.create(id, new, Kind::Surface(number), version);
                if made.is_err() {
                    self.surfaces.remove(&number);
                }
                made
            }
            1 => self.create(id, new, Kind::Region(Vec::new()), version),
            _ => Err(Failure::Malformed),
        }
    }

    fn region_request(&mut self, id: ClientId, object: u32, opcode: u16, r: &mut Reader<'_>) -> Done {
        match opcode {
            0 => self.destroy(id, object),
            1 | 2 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                let found = self.clients.get_mut(&id).and_then(|c| c.objects.get_mut(&object));
                if let Some(Kind::Region(rects)) = found.map(|o| &mut o.kind) {
                    let rect = crate::commit::cut(rect);
                    if opcode == 1 && rects.len() < 256 {
                        rects.push(rect);
                    } else if opcode == 2 {
                        // Kept simple on the safe side: what a subtraction touches is not claimed at all.
                        let touches = |a: &Rect| {
                            a.x < rect.x + rect.width
                                && rect.x < a.x + a.width
                                && a.y < rect.y + rect.height
                                && rect.y < a.y + a.height
                        };
                        rects.retain(|a| !touches(a));
                    }
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    fn surface_request(
        &mut self,
        id: ClientId,
        object: u32,
        version: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let region = |display: &Self, object: u32| -> Result<Option<Vec<Rect>>, Failure> {
            match display.kind_of(id, object) {
                _ if object == 0 => Ok(None),
                Some(Kind::Region(rects)) => Ok(Some(rects.clone())),
                _ => Err(Failure::Malformed),
            }
        };
        match opcode {
            0 => {
                if self.surfaces.get(&number).is_some_and(|s| s.xdg_role != 0) {
                    return fault(object, error::DEFUNCT_ROLE_OBJECT, "it is destroyed before its role");
                }
                self.destroy_surface(number);
                self.destroy(id, object);
                return Ok(());
            }
            6 => return Ok(self.commit(id, number)?),
            11 => {
                let callback = r.u32()?;
                self.create(id, callback, Kind::Callback, 1)?;
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    if surface.pending.releases.len() >= 256 {
                        return fault(1, display_error::NO_MEMORY, "too many release callbacks");
                    }
                    surface.pending.releases.push(callback);
                }
                return Ok(());
            }
            3 => {
                let callback = r.u32()?;
                self.create(id, callback, Kind::Callback, 1)?;
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    if surface.pending.frames.len() + surface.frames.len() > 4096 {
                        return fault(1, display_error::NO_MEMORY, "too many frame callbacks");
                    }
                    surface.pending.frames.push(callback);
                }
                return Ok(());
            }
            _ => {}
        }
        match opcode {
            1 => {
                let (buffer, offset) = (r.u32()?, [r.i32()?, r.i32()?]);
                let attach = match self.kind_of(id, buffer) {
                    _ if buffer == 0 => Attach::Null,
                    Some(Kind::Buffer(_)) => Attach::Buffer(buffer),
                    _ => return Err(Failure::Malformed),
                };
                if version >= 5 && offset != [0; 2] {
                    return fault(object, error::INVALID_OFFSET, "the offset has a request of its own");
                }
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    surface.pending.attach = attach;
                    if version < 5 {
                        surface.pending.offset = offset;
                    }
                }
            }
            4 | 5 => {
                let rects = r.u32().map_err(Failure::from).and_then(|o| region(self, o))?;
                let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
                if opcode == 4 {
                    surface.pending.opaque = Some(largest(&rects.unwrap_or_default()));
                } else {
                    let bounds = rects.map(|rects| rects.into_iter().fold(None, union).unwrap_or_default());
                    surface.pending.input = Some(bounds.map(crate::commit::cut));
                }
            }
            2 | 9 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
                let damage = if opcode == 2 {
                    &mut surface.pending.surface_damage
                } else {
                    &mut surface.pending.damage
                };
                *damage = union(*damage, rect);
            }
            7 | 8 => {
                let value = r.i32()?;
                let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
                if opcode == 7 {
                    let value = u32::try_from(value).ok().filter(|v| *v <= 7);
                    if value.is_none() {
                        return fault(object, error::INVALID_TRANSFORM, "an invalid transform");
                    }
                    surface.pending.transform = value;
                } else {
                    // Larger ones than any screen's would be allowed, but nothing draws so.
                    if !(1..=8).contains(&value) {
                        return fault(object, error::INVALID_SCALE, "an invalid scale");
                    }
                    surface.pending.scale = Some(value);
                }
            }
            10 => {
                let offset = [r.i32()?, r.i32()?];
                let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
                surface.pending.offset = offset;
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }
}
