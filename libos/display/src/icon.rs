//! `xdg_toplevel_icon_v1`. Toolkits may say what their windows' icons are, and the rules are kept; but what the user
//! sees as an app's icon is the bridge's to say, by the application id, so that no app can look like another one.

use crate::client::ClientId;
use crate::object::{Icon, Kind};
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;

/// Errors of xdg_toplevel_icon_v1.
mod error {
    pub const INVALID_BUFFER: u32 = 1;
    pub const IMMUTABLE: u32 = 2;
    pub const NO_BUFFER: u32 = 3;
}

/// Most pictures of one icon.
const MAX_BUFFERS: usize = 64;

impl<P: Platform> Display<P> {
    /// A request of xdg_toplevel_icon_manager_v1.
    pub(crate) fn icon_manager_request(
        &mut self,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => self.destroy(id, object),
            1 => {
                let new = r.u32()?;
                self.create(id, new, Kind::Icon(Icon::default()), version)?;
            }
            2 => {
                let (toplevel, icon) = (r.u32()?, r.u32()?);
                let Some(Kind::Toplevel(_)) = self.kind_of(id, toplevel) else {
                    return Err(Failure::Malformed);
                };
                if icon != 0 {
                    let found = self.clients.get_mut(&id).and_then(|c| c.objects.get_mut(&icon));
                    let Some(Kind::Icon(icon)) = found.map(|o| &mut o.kind) else {
                        return Err(Failure::Malformed);
                    };
                    icon.is_immutable = true;
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// A request of xdg_toplevel_icon_v1.
    pub(crate) fn icon_request(
        &mut self,
        id: ClientId,
        object: u32,
        mut icon: Icon,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        if opcode == 0 {
            self.destroy(id, object);
            return Ok(());
        }
        if icon.is_immutable {
            return fault(object, error::IMMUTABLE, "the icon is a window's already");
        }
        match opcode {
            1 => {
                let _name = r.string()?;
            }
            2 => {
                let (buffer, scale) = (r.u32()?, r.i32()?);
                let Some(Kind::Buffer(picture)) = self.kind_of(id, buffer) else {
                    return Err(Failure::Malformed);
                };
                if picture.is_pixel || picture.width != picture.height || scale < 1 {
                    return fault(object, error::INVALID_BUFFER, "the buffer is no square of memory");
                }
                if icon.buffers.len() < MAX_BUFFERS && !icon.buffers.contains(&buffer) {
                    icon.buffers.push(buffer);
                }
                self.create_over(id, object, Kind::Icon(icon));
                if let Some(client) = self.client(id) {
                    client.has_icons = true;
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// A buffer is destroyed; those of an icon must outlive it.
    pub(crate) fn check_icons(&self, id: ClientId, buffer: u32) -> Done {
        let Some(client) = self.clients.get(&id).filter(|c| c.has_icons) else { return Ok(()) };
        let uses = |kind: &Kind| matches!(kind, Kind::Icon(icon) if icon.buffers.contains(&buffer));
        let users: Vec<(u32, u32)> = client.find(uses);
        match users.first() {
            Some((icon, _)) => fault(*icon, error::NO_BUFFER, "the buffer is destroyed before its icon"),
            None => Ok(()),
        }
    }
}
