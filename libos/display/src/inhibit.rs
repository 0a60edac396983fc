//! What the compositor is to leave alone: `zwp_idle_inhibit_v1` and `zwp_keyboard_shortcuts_inhibit_v1`.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::CommitFlag;

/// zwp_keyboard_shortcuts_inhibit_manager_v1.error.already_inhibited.
const ALREADY_INHIBITED: u32 = 0;

impl<P: Platform> Display<P> {
    /// zwp_idle_inhibit_manager_v1.create_inhibitor.
    pub(crate) fn new_idle_inhibitor(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, surface) = (r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        self.create(id, new, Kind::IdleInhibitor(number), version)?;
        self.count_inhibitors(number, |count| count + 1);
        Ok(())
    }

    /// zwp_idle_inhibitor_v1.destroy.
    pub(crate) fn destroy_idle_inhibitor(&mut self, id: ClientId, object: u32, number: u32) {
        self.destroy(id, object);
        self.count_inhibitors(number, |count| count.saturating_sub(1));
    }

    fn count_inhibitors(&mut self, number: u32, change: impl Fn(usize) -> usize) {
        let Some(s) = self.surfaces.get_mut(&number) else { return };
        s.inhibitors = change(s.inhibitors);
        let before = s.sent.flags;
        s.sent.flags &= !CommitFlag::INHIBIT_IDLE;
        if s.inhibitors > 0 {
            s.sent.flags |= CommitFlag::INHIBIT_IDLE;
        }
        if s.sent.flags != before {
            self.resend(number);
        }
    }

    /// zwp_keyboard_shortcuts_inhibit_manager_v1.inhibit_shortcuts.
    pub(crate) fn new_shortcuts_inhibitor(
        &mut self,
        id: ClientId,
        manager: u32,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (new, surface, seat) = (r.u32()?, r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        if !matches!(self.kind_of(id, seat), Some(Kind::Seat)) {
            return Err(Failure::Malformed);
        }
        if self.surfaces.get(&number).is_some_and(|s| s.shortcuts != 0) {
            return fault(manager, ALREADY_INHIBITED, "the shortcuts are inhibited there already");
        }
        self.create(id, new, Kind::ShortcutsInhibitor(number), version)?;
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.shortcuts = new;
            s.sent.flags |= CommitFlag::INHIBIT_SHORTCUTS;
        }
        self.resend(number);
        Ok(())
    }

    /// zwp_keyboard_shortcuts_inhibitor_v1.destroy.
    pub(crate) fn destroy_shortcuts_inhibitor(&mut self, id: ClientId, object: u32, number: u32) {
        if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.shortcuts == object) {
            s.shortcuts = 0;
            s.sent.flags &= !CommitFlag::INHIBIT_SHORTCUTS;
            self.resend(number);
        }
        self.destroy(id, object);
    }

    /// The compositor leaves its key combinations to a surface from now on, or not any more.
    pub(crate) fn host_inhibits(&mut self, number: u32, is_active: bool) {
        let Some(s) = self.surfaces.get(&number).filter(|s| s.shortcuts != 0) else { return };
        let (client, object) = (s.client, s.shortcuts);
        if let Some(c) = self.clients.get_mut(&client) {
            drop(c.event(object, u16::from(!is_active)));
        }
    }
}
