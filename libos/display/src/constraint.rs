//! `zwp_pointer_constraints_v1` and `zwp_relative_pointer_v1`: the pointer held on a surface, and how the mouse moves
//! meanwhile. Whether a constraint comes into force is the compositor's to decide; it needs the pointer on the surface.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::surface::union;
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::{self as msg, CommitFlag, Rect, limit};

/// zwp_pointer_constraints_v1.error.already_constrained.
const ALREADY_CONSTRAINED: u32 = 1;
/// zwp_pointer_constraints_v1.lifetime.oneshot.
const ONESHOT: u32 = 1;

const CONSTRAINT: u32 = CommitFlag::LOCK_POINTER
    | CommitFlag::CONFINE_POINTER
    | CommitFlag::POINTER_ONESHOT
    | CommitFlag::POINTER_REGION
    | CommitFlag::CURSOR_HINT;

impl<P: Platform> Display<P> {
    /// zwp_pointer_constraints_v1.lock_pointer and confine_pointer.
    pub(crate) fn new_constraint(
        &mut self,
        id: ClientId,
        manager: u32,
        opcode: u16,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (new, surface, pointer, region, lifetime) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        if !matches!(self.kind_of(id, pointer), Some(Kind::Pointer)) {
            return Err(Failure::Malformed);
        }
        let region = self.bounds(id, region)?;
        if self.surfaces.get(&number).is_some_and(|s| s.constraint != 0) {
            return fault(manager, ALREADY_CONSTRAINED, "the pointer is locked or confined there already");
        }
        let (kind, flag) = match opcode {
            1 => (Kind::LockedPointer(number), CommitFlag::LOCK_POINTER),
            2 => (Kind::ConfinedPointer(number), CommitFlag::CONFINE_POINTER),
            _ => return Err(Failure::Malformed),
        };
        self.create(id, new, kind, version)?;
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.constraint = new;
            s.pending.pointer_region = None;
            s.pending.cursor_hint = None;
            s.sent.flags = s.sent.flags & !CONSTRAINT | flag;
            if lifetime == ONESHOT {
                s.sent.flags |= CommitFlag::POINTER_ONESHOT;
            }
            apply_region(&mut s.sent, region);
        }
        self.resend(number);
        Ok(())
    }

    /// A request of zwp_locked_pointer_v1 or zwp_confined_pointer_v1. One that is over takes all of them, too.
    pub(crate) fn constraint_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let is_lock = matches!(self.kind_of(id, object), Some(Kind::LockedPointer(_)));
        let is_current = |d: &mut Self| d.surfaces.get(&number).is_some_and(|s| s.constraint == object);
        match (opcode, is_lock) {
            (0, _) => {
                if is_current(self) {
                    self.end_constraint(number);
                }
                self.destroy(id, object);
            }
            (1, true) => {
                let most = limit::SIZE * 256;
                let hint = [r.i32()?, r.i32()?].map(|v| v.clamp(-most, most));
                if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.constraint == object) {
                    s.pending.cursor_hint = Some(hint);
                }
            }
            (2, true) | (1, false) => {
                let region = r.u32()?;
                let region = self.bounds(id, region)?;
                if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.constraint == object) {
                    s.pending.pointer_region = Some(region);
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// The rectangle around a region; `None` for no region.
    fn bounds(&self, id: ClientId, region: u32) -> Result<Option<Rect>, Failure> {
        match self.kind_of(id, region) {
            _ if region == 0 => Ok(None),
            Some(Kind::Region(rects)) => {
                let bounds = rects.iter().copied().fold(None, union).unwrap_or_default();
                Ok(Some(crate::commit::cut(bounds)))
            }
            _ => Err(Failure::Malformed),
        }
    }

    fn end_constraint(&mut self, number: u32) {
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.constraint = 0;
            s.is_constrained = false;
            s.sent.flags &= !CONSTRAINT;
        }
        self.resend(number);
    }

    /// The compositor says that a constraint is in force from now on, or not any more.
    pub(crate) fn host_constrains(&mut self, number: u32, is_in_force: bool) {
        let Some(s) = self.surfaces.get_mut(&number) else { return };
        if s.constraint == 0 || s.is_constrained == is_in_force {
            return;
        }
        s.is_constrained = is_in_force;
        let (client, object) = (s.client, s.constraint);
        let is_over = !is_in_force && s.sent.flags & CommitFlag::POINTER_ONESHOT != 0;
        if let Some(c) = self.clients.get_mut(&client) {
            drop(c.event(object, u16::from(!is_in_force)));
        }
        if is_over {
            self.end_constraint(number);
        }
    }

    /// A surface vanishes, or its bridge: no constraint holds there.
    pub(crate) fn unconstrain(&mut self, number: u32) {
        self.host_constrains(number, false);
    }

    /// zwp_relative_pointer_manager_v1.get_relative_pointer.
    pub(crate) fn new_relative_pointer(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, pointer) = (r.u32()?, r.u32()?);
        let Some(Kind::Pointer) = self.kind_of(id, pointer) else { return Err(Failure::Malformed) };
        self.create(id, new, Kind::RelativePointer, version)
    }

    /// The mouse moved.
    pub(crate) fn relative_motion(&mut self, m: &msg::Pointer) {
        let Some(client) = self.client_of(self.seat.pointer_focus) else { return };
        let Some(c) = self.clients.get_mut(&client) else { return };
        let [x, y] = m.discrete;
        for (object, _) in c.find(|k| matches!(k, Kind::RelativePointer)) {
            drop(c.event(object, 0).u32(m.high).u32(m.time).i32(m.x).i32(m.y).i32(x).i32(y));
        }
    }
}

/// Makes a region current.
pub fn apply_region(commit: &mut msg::Commit, region: Option<Rect>) {
    commit.flags &= !CommitFlag::POINTER_REGION;
    commit.pointer_region = Rect::default();
    if let Some(region) = region {
        commit.flags |= CommitFlag::POINTER_REGION;
        commit.pointer_region = region;
    }
}
