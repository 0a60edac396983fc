//! `zxdg_exporter_v2` and `zxdg_importer_v2`: a window of one client as the parent of another's, within this display.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;

/// Error of zxdg_exporter_v2 and zxdg_imported_v2.
const INVALID_SURFACE: u32 = 0;
/// Most exports at a time.
const MAX_EXPORTS: usize = 256;

/// A window that clients may have as a parent.
pub struct Export {
    surface: u32,
}

const PREFIX: &str = "postern-window-";

impl<P: Platform> Display<P> {
    /// zxdg_exporter_v2.export_toplevel.
    pub(crate) fn export(&mut self, id: ClientId, exporter: u32, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, surface) = (r.u32()?, r.u32()?);
        let surface = self.toplevel_surface(id, surface, exporter)?;
        if self.exports.len() >= MAX_EXPORTS {
            return fault(1, crate::client::display_error::NO_MEMORY, "too many exported windows");
        }
        let number = Self::fresh(&mut self.next_export, &self.exports);
        self.create(id, new, Kind::Exported(number), version)?;
        self.exports.insert(number, Export { surface });
        if let Some(client) = self.client(id) {
            drop(client.event(new, 0).string(alloc::format!("{PREFIX}{number}").as_bytes()));
        }
        Ok(())
    }

    /// The surface of a window; an error of `object` if it is none.
    fn toplevel_surface(&self, id: ClientId, surface: u32, object: u32) -> Result<u32, Failure> {
        let number = self.surface_of(id, surface)?;
        if self.surfaces.get(&number).is_some_and(|s| s.role == Role::Toplevel && s.xdg_role != 0) {
            return Ok(number);
        }
        fault(object, INVALID_SURFACE, "the surface is no window")
    }

    /// zxdg_importer_v2.import_toplevel.
    pub(crate) fn import(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, handle) = (r.u32()?, r.string()?.unwrap_or(b""));
        let number = core::str::from_utf8(handle).ok().and_then(|h| h.strip_prefix(PREFIX)?.parse().ok());
        let number = number.filter(|n| self.exports.contains_key(n)).unwrap_or(0);
        self.create(id, new, Kind::Imported(number), version)?;
        if let Some(client) = self.client(id).filter(|_| number == 0) {
            drop(client.event(new, 0));
        }
        Ok(())
    }

    /// A request of zxdg_imported_v2.
    pub(crate) fn imported_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                self.destroy(id, object);
                self.orphan(|client, export| client == id && export == number);
            }
            1 => {
                let surface = r.u32()?;
                let surface = self.toplevel_surface(id, surface, object)?;
                let Some(parent) = self.exports.get(&number).map(|e| e.surface) else { return Ok(()) };
                if self.is_circle(surface, parent) {
                    return Ok(());
                }
                if let Some(s) = self.surfaces.get_mut(&surface) {
                    s.sent.parent = parent;
                    s.foreign_parent = number;
                }
                self.resend(surface);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// zxdg_exported_v2.destroy, or its window is gone.
    pub(crate) fn withdraw_export(&mut self, number: u32) {
        if self.exports.remove(&number).is_none() {
            return;
        }
        for client in self.clients.values_mut() {
            for (imported, _) in client.find(|k| matches!(k, Kind::Imported(n) if *n == number)) {
                drop(client.event(imported, 0));
                if let Some(object) = client.objects.get_mut(&imported) {
                    object.kind = Kind::Imported(0);
                }
            }
        }
        self.orphan(|_, export| export == number);
    }

    /// A window vanishes.
    pub(crate) fn withdraw_exports_of(&mut self, surface: u32) {
        let of_it: Vec<u32> =
            self.exports.iter().filter(|(_, e)| e.surface == surface).map(|(n, _)| *n).collect();
        of_it.into_iter().for_each(|number| self.withdraw_export(number));
    }

    /// Windows lose the parent that they have by an import.
    fn orphan(&mut self, fits: impl Fn(ClientId, u32) -> bool) {
        let is_child =
            |s: &crate::surface::Surface| s.foreign_parent != 0 && fits(s.client, s.foreign_parent);
        let children: Vec<u32> = self.surfaces.iter().filter(|(_, s)| is_child(s)).map(|(n, _)| *n).collect();
        for child in children {
            if let Some(s) = self.surfaces.get_mut(&child) {
                s.foreign_parent = 0;
                s.sent.parent = 0;
            }
            self.resend(child);
        }
    }
}
