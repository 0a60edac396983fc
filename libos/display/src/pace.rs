//! Windows that draw faster than the host shows. Two commits of a window between two frames of the host go out at once;
//! what comes after waits for the next frame, and only the newest of it goes: the buffers of the others come back at once,
//! as they do from a compositor that had a newer one before it got to paint. A client that draws as fast as it can so
//! costs neither bridge nor compositor anything.

use crate::surface::{Role, Surface, union};
use crate::{Display, Platform};
use postern_channel::{Commit, CommitFlag};

/// Commits between two frames of the host that do not wait.
const AT_ONCE: u8 = 2;

/// What the bridge was told of a surface.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Commits sent since the host's last frame.
    since_frame: u8,
    /// The state of the surface in the last commit that was sent.
    told: Commit,
    /// Since when a commit waits.
    held: Option<u32>,
    /// Damage of commits that did not go out.
    damage: Option<postern_channel::Rect>,
}

impl Pace {
    /// Whether the bridge has heard of the attachment that it was shown last.
    pub fn is_told(&self, attachment: u32) -> bool {
        let has_buffer = self.told.flags & CommitFlag::BUFFER != 0;
        attachment == if has_buffer { self.told.buffer } else { 0 }
    }

    /// Milliseconds since a commit began to wait; `None` = none waits.
    pub fn waits(&self, now: u32) -> Option<u32> {
        self.held.map(|since| now.wrapping_sub(since))
    }
}

impl Surface {
    /// A commit goes out: completes it with what the ones that did not go out said.
    pub fn set_out(&mut self, commit: &mut Commit) {
        let pace = &mut self.pace;
        commit.damage = union(pace.damage, commit.damage).unwrap_or_default();
        let has_buffer = commit.flags & CommitFlag::BUFFER != 0;
        if pace.since_frame > 0 && has_buffer && self.role == Role::Toplevel {
            // Whether the client wants to know or not: to learn when the next one may go.
            commit.flags |= CommitFlag::FRAME;
        }
        *pace = Pace {
            since_frame: pace.since_frame.saturating_add(u8::from(has_buffer)),
            told: self.sent,
            held: None,
            damage: None,
        };
    }

    /// Whether a commit has to wait for the host's next frame. Only new contents do, of a window without subsurfaces: one
    /// that says anything else goes at once.
    fn must_wait(&self) -> bool {
        let (commit, told) = (&self.sent, &self.pace.told);
        let with_new_contents = Commit {
            buffer: commit.buffer,
            pool: commit.pool,
            offset: commit.offset,
            damage: commit.damage,
            flags: told.flags & !CommitFlag::FRAME | commit.flags & CommitFlag::FRAME,
            ..*told
        };
        self.role == Role::Toplevel
            && self.announced
            && self.children.is_empty()
            && self.pace.since_frame >= AT_ONCE
            && commit.buffer != told.buffer
            && commit.feedback == 0
            && commit.flags & (CommitFlag::BUFFER | CommitFlag::MINIMIZE | CommitFlag::SINGLE_PIXEL)
                == CommitFlag::BUFFER
            && *commit == with_new_contents
    }
}

impl<P: Platform> Display<P> {
    /// Keeps a commit back if it has to wait. Returns whether.
    pub(crate) fn hold_back(&mut self, number: u32) -> bool {
        let (is_connected, now) = (self.connected, self.now_ms);
        let Some(surface) = self.surfaces.get_mut(&number).filter(|s| is_connected && s.must_wait()) else {
            return false;
        };
        surface.pace.held = surface.pace.held.or(Some(now));
        surface.pace.damage = union(surface.pace.damage, surface.sent.damage);
        true
    }

    /// The host showed a frame, or has not for a long time: what waits goes out.
    pub(crate) fn let_go(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        surface.pace.since_frame = 0;
        if surface.pace.held.is_some() {
            self.send_commit(number);
        }
    }
}
