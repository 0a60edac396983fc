//! wl_subcompositor and wl_subsurface.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::limit;

impl<P: Platform> Display<P> {
    pub(crate) fn subcompositor_request(
        &mut self,
        id: ClientId,
        object: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => self.destroy(id, object),
            1 => {
                let (new, surface, parent) = (r.u32()?, r.u32()?, r.u32()?);
                let (child, parent) = (self.surface_of(id, surface)?, self.surface_of(id, parent)?);
                let Some(s) = self.surfaces.get(&child) else { return Ok(()) };
                if !matches!(s.role, Role::None | Role::Subsurface) || s.subsurface != 0 || s.xdg_surface != 0
                {
                    return fault(object, 0, "the surface cannot become a subsurface");
                }
                if self.is_circle(child, parent) {
                    return fault(object, 1, "surfaces that are each other's parents, or too many of them");
                }
                self.create(id, new, Kind::Subsurface(child), 1)?;
                if let Some(s) = self.surfaces.get_mut(&child) {
                    s.role = Role::Subsurface;
                    s.subsurface = new;
                    s.sync = true;
                    s.sent.parent = parent;
                }
                if let Some(p) = self.surfaces.get_mut(&parent) {
                    p.children.push(child);
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    pub(crate) fn subsurface_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                // The surface may be gone already, or be the subsurface of a later object.
                if self.surfaces.get(&number).is_some_and(|s| s.subsurface == object) {
                    self.retract(number);
                    if let Some(s) = self.surfaces.get_mut(&number) {
                        s.subsurface = 0;
                        s.position = None;
                    }
                    for other in self.surfaces.values_mut() {
                        other.children.retain(|c| *c != number);
                    }
                }
                self.destroy(id, object);
            }
            1 => {
                let position = [r.i32()?, r.i32()?].map(|v| v.clamp(-limit::SIZE, limit::SIZE));
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.position = Some(position);
                }
            }
            2 | 3 => {
                let sibling = r.u32()?;
                let sibling = self.surface_of(id, sibling)?;
                return self.restack(object, number, sibling, opcode == 2);
            }
            4 => {
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.sync = true;
                }
            }
            5 => {
                if let Some(s) = self.surfaces.get_mut(&number) {
                    s.sync = false;
                }
                self.release_cached(number)?;
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// Puts a subsurface right above or below a sibling or its parent; it shows with the parent's next commit. What is
    /// to lie below the parent lies right above it, below all siblings.
    fn restack(&mut self, object: u32, number: u32, sibling: u32, above: bool) -> Done {
        let Some(parent) = self.surfaces.get(&number).map(|s| s.sent.parent) else { return Ok(()) };
        let Some(p) = self.surfaces.get_mut(&parent) else { return Ok(()) };
        let at = if sibling == parent { Some(0) } else { p.children.iter().position(|c| *c == sibling) };
        let (Some(_), true) = (at, sibling != number) else {
            return fault(object, 0, "neither a sibling nor the parent");
        };
        p.children.retain(|c| *c != number);
        let at = p.children.iter().position(|c| *c == sibling).map_or(0, |at| at + usize::from(above));
        p.children.insert(at, number);
        Ok(())
    }
}
