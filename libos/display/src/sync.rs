//! wl_display.sync. Its answer tells that what came before has been handled, and programs rely on what a compositor has
//! then done, too. Here the host does it, so answers wait for that:
//!
//! - The first commit of a window is answered by a configure. mpv and glmark2 attach a buffer after one round trip.
//! - Buffers that newer ones replaced are let go. Programs that paint without frame callbacks keep pace by sync, and
//!   Mesa's software EGL crashes where none of its four buffers is free.

use crate::client::ClientId;
use crate::surface::{Role, Surface};
use crate::{Display, Platform};
use alloc::vec::Vec;

/// How long answers wait for a host that does not configure a window, in milliseconds.
const CONFIGURE_MS: u32 = 1000;
/// How long they wait for one that keeps replaced buffers, from the last that was heard of it.
const RELEASE_MS: u32 = 100;
/// How long they wait for replaced buffers of a host that says nothing: on a busy machine it may not have had its turn.
const SILENCE_MS: u32 = 1000;
/// So many replaced buffers are nothing to wait for: hosts may let go with their next frame.
const KEPT: usize = 1;

impl<P: Platform> Display<P> {
    /// wl_display.sync with this new callback.
    pub(crate) fn sync(&mut self, id: ClientId, callback: u32) {
        let now = self.now_ms;
        if let Some(client) = self.clients.get_mut(&id) {
            if client.syncs.is_empty() {
                client.syncs_since = now;
            }
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
        let client = self.clients.get(&id).filter(|_| self.connected)?;
        let left = |limit: u32, since: u32| limit.checked_sub(self.now_ms.wrapping_sub(since));
        let own = || self.surfaces.values().filter(|s| s.client == id);
        let awaits = |s: &&Surface| s.role == Role::Toplevel && s.announced && !s.configured;
        let configure = own().filter(awaits).filter_map(|s| left(CONFIGURE_MS, s.announced_at)).max();
        let used = self.attachments.values().filter(|a| a.client == id).count();
        let is_crowded =
            used > KEPT && used > KEPT + own().filter(|s| s.sent.buffer != 0 || s.cached.is_some()).count();
        let since = client.syncs_since;
        let is_heard = self.now_ms.wrapping_sub(self.heard_ms) <= self.now_ms.wrapping_sub(since);
        let mut release = left(SILENCE_MS, since).filter(|_| is_crowded);
        if is_heard {
            release = release.min(left(RELEASE_MS, self.heard_ms));
        }
        configure.max(release).filter(|left| *left > 0)
    }
}
