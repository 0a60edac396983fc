//! `xdg_wm_dialog_v1`: windows that are dialogs, and whether their parent waits for them.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::CommitFlag;

/// xdg_wm_dialog_v1.error.already_used.
const ALREADY_USED: u32 = 0;

impl<P: Platform> Display<P> {
    /// xdg_wm_dialog_v1.get_xdg_dialog.
    pub(crate) fn new_dialog(
        &mut self,
        id: ClientId,
        manager: u32,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (new, toplevel) = (r.u32()?, r.u32()?);
        let Some(&Kind::Toplevel(number)) = self.kind_of(id, toplevel) else {
            return Err(Failure::Malformed);
        };
        if self.surfaces.get(&number).is_some_and(|s| s.dialog != 0) {
            return fault(manager, ALREADY_USED, "the window is a dialog already");
        }
        self.create(id, new, Kind::Dialog(number), version)?;
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.dialog = new;
        }
        Ok(())
    }

    /// A request of xdg_dialog_v1.
    pub(crate) fn dialog_request(&mut self, id: ClientId, object: u32, number: u32, opcode: u16) -> Done {
        if opcode > 2 {
            return Err(Failure::Malformed);
        }
        if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.dialog == object) {
            let before = s.sent.flags;
            s.sent.flags &= !CommitFlag::MODAL;
            match opcode {
                0 => s.dialog = 0,
                1 => s.sent.flags |= CommitFlag::MODAL,
                _ => {}
            }
            if s.sent.flags != before {
                self.resend(number);
            }
        }
        if opcode == 0 {
            self.destroy(id, object);
        }
        Ok(())
    }
}
