//! wl_display.sync. Its answer tells that what came before has been handled, and programs (mpv, glmark2) rely on a
//! compositor that has then also answered the first commit of a window: they attach a buffer at once. Here the first
//! configure comes from the host, so answers wait for it.

use crate::client::ClientId;
use crate::surface::{Role, Surface};
use crate::{Display, Platform};
use alloc::vec::Vec;

/// How long answers wait for a host that does not configure a window, in milliseconds.
const PATIENCE_MS: u32 = 1000;

impl<P: Platform> Display<P> {
    /// wl_display.sync with this new callback.
    pub(crate) fn sync(&mut self, id: ClientId, callback: u32) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.syncs.push(callback);
        }
        self.answer_syncs();
    }

    /// Answers what has no more to wait for.
    pub(crate) fn answer_syncs(&mut self) {
        let waiting: Vec<ClientId> =
            self.clients.iter().filter(|(_, c)| !c.syncs.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            if self.patience(id).is_some() {
                continue;
            }
            let Some(client) = self.clients.get_mut(&id) else { continue };
            for callback in core::mem::take(&mut client.syncs) {
                let serial = self.serial();
                let Some(client) = self.clients.get_mut(&id) else { break };
                drop(client.event(callback, 0).u32(serial));
                client.remove(callback);
            }
        }
    }

    /// Milliseconds until an answer is due though the host is silent; `None` = no answer waits.
    pub(crate) fn sync_timeout(&self) -> Option<u32> {
        let waiting = self.clients.iter().filter(|(_, c)| !c.syncs.is_empty());
        waiting.filter_map(|(id, _)| self.patience(*id)).min()
    }

    /// How long a client's answers may still wait, in milliseconds; `None` = not at all.
    fn patience(&self, id: ClientId) -> Option<u32> {
        let awaits = |s: &&Surface| {
            s.client == id && s.role == Role::Toplevel && s.announced && !s.configured && self.connected
        };
        let left = |s: &Surface| PATIENCE_MS.checked_sub(self.now_ms.wrapping_sub(s.announced_at));
        self.surfaces.values().filter(awaits).filter_map(left).filter(|left| *left > 0).max()
    }
}
