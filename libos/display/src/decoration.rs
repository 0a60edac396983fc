//! Who draws the frame around a window: `zxdg_decoration_manager_v1`, and `org_kde_kwin_server_decoration_manager`,
//! which is the one that GTK 3 knows.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{CommitFlag, Feature};

/// `org_kde_kwin_server_decoration.mode`.
mod kde_mode {
    pub const CLIENT: u32 = 1;
    pub const SERVER: u32 = 2;
}

/// Errors of zxdg_toplevel_decoration_v1. That a decoration is made after the first buffer, or destroyed after its
/// window, is forgiven: compositors did so for long, and toolkits rely on it.
mod error {
    pub const ALREADY_CONSTRUCTED: u32 = 1;
}

impl<P: Platform> Display<P> {
    /// What clients of the older protocol do if they have no wish.
    pub(crate) fn default_decoration_mode(&self) -> u32 {
        if self.has_server_decorations() { kde_mode::SERVER } else { kde_mode::CLIENT }
    }

    /// Whether the compositor can draw decorations.
    fn has_server_decorations(&self) -> bool {
        self.features & Feature::DECORATIONS != 0
    }

    /// A bridge said whether its compositor can draw decorations; `before` is what the last one said.
    pub(crate) fn decorations_changed(&mut self, before: u32) {
        if (before ^ self.features) & Feature::DECORATIONS == 0 {
            return;
        }
        let mode = self.default_decoration_mode();
        for client in self.clients.values_mut() {
            let is_manager = |kind: &Kind| matches!(kind, Kind::KdeDecorationManager);
            let managers: Vec<u32> =
                client.objects.iter().filter(|(_, o)| is_manager(&o.kind)).map(|(id, _)| *id).collect();
            for manager in managers {
                drop(client.event(manager, 0).u32(mode));
            }
        }
    }

    /// A request of one of the managers: 1 of the newer, 0 of the older.
    pub(crate) fn make_decoration(
        &mut self,
        id: ClientId,
        manager: u32,
        opcode: u16,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            1 => {
                let (new, toplevel) = (r.u32()?, r.u32()?);
                let Some(&Kind::Toplevel(number)) = self.kind_of(id, toplevel) else {
                    return Err(Failure::Malformed);
                };
                if self.surfaces.get(&number).is_some_and(|s| s.decoration != 0) {
                    return fault(manager, error::ALREADY_CONSTRUCTED, "the window has a decoration");
                }
                self.create(id, new, Kind::Decoration(number), version)?;
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.decoration = new;
                    s.sent.flags &= !CommitFlag::CLIENT_DECORATION;
                }
            }
            0 => {
                let (new, surface) = (r.u32()?, r.u32()?);
                let number = self.surface_of(id, surface)?;
                self.create(id, new, Kind::KdeDecoration(number), version)?;
                let mode = self.default_decoration_mode();
                if let Some(client) = self.client(id) {
                    drop(client.event(new, 0).u32(mode));
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// A request of a `zxdg_toplevel_decoration_v1`.
    pub(crate) fn decoration_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.decoration == object) {
                    s.decoration = 0;
                    s.sent.flags |= CommitFlag::CLIENT_DECORATION;
                }
                self.destroy(id, object);
            }
            1 | 2 => {
                let by_client = opcode == 1 && r.u32()? == 1;
                self.decorate(number, by_client);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// A request of an `org_kde_kwin_server_decoration`.
    pub(crate) fn kde_decoration_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => self.destroy(id, object),
            1 => {
                // 0 is no decoration at all, which again is the client's business.
                let wish = r.u32()?;
                let by_client = wish != kde_mode::SERVER || !self.has_server_decorations();
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.kde_server = !by_client;
                }
                let mode = if by_client { wish.min(kde_mode::CLIENT) } else { kde_mode::SERVER };
                if let Some(client) = self.client(id) {
                    drop(client.event(object, 0).u32(mode));
                }
                self.decorate(number, by_client);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    fn decorate(&mut self, number: u32, by_client: bool) {
        let Some(s) = self.surfaces.get_mut(&number) else { return };
        s.sent.flags &= !CommitFlag::CLIENT_DECORATION;
        if by_client {
            s.sent.flags |= CommitFlag::CLIENT_DECORATION;
        }
        if s.announced {
            self.send_commit(number);
        }
    }
}
