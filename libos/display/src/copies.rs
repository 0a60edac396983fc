//! Pools whose memory cannot leave the family: ordinary files of the app, files of its own tmpfs. The bridge gets a memory
//! file of the server's in their place, and what each commit damaged is copied into it: for every buffer all that was
//! damaged since it was last shown, because a client that draws into several buffers damages each time only what differs
//! from the one before.

use crate::client::ClientId;
use crate::object::Buffer;
use crate::surface::{Pending, union};
use crate::{Display, Platform};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use postern_channel::{self as msg, Rect};

/// Pixels to be copied before the next message goes to the bridge.
pub struct Copy<F, H> {
    /// The app's file.
    pub from: F,
    /// The server's memory file; the pixels have the same place in it.
    pub to: H,
    /// Byte of the first pixel.
    pub offset: u64,
    /// Bytes of a line.
    pub len: u64,
    /// Bytes from line to line.
    pub stride: u64,
    /// Lines.
    pub lines: u64,
}

/// A copy that is still gathered.
struct Job {
    buffer: Buffer,
    rect: Rect,
}

/// Where the copies of buffers differ from the originals.
#[derive(Default)]
pub struct Copies {
    /// By client and object id of the buffer: what changed since the buffer was copied.
    stale: BTreeMap<(ClientId, u32), Option<Rect>>,
    /// By the same: what to copy now.
    jobs: BTreeMap<(ClientId, u32), Job>,
}

impl Copies {
    /// A buffer is destroyed. What is to be copied of it still is.
    pub fn forget(&mut self, client: ClientId, object: u32) {
        self.stale.remove(&(client, object));
    }

    /// A client is gone.
    pub fn forget_client(&mut self, id: ClientId) {
        self.stale.retain(|(client, _), _| *client != id);
    }
}

impl<P: Platform> Display<P> {
    /// A buffer was committed: notes what is to be copied of it, if it is one of those.
    pub(crate) fn note_copy(
        &mut self,
        client: ClientId,
        object: u32,
        buffer: Buffer,
        pending: &Pending,
        sent: &msg::Commit,
    ) {
        if !self.pools.get(&buffer.pool).is_some_and(|pool| pool.is_copied) {
            return;
        }
        // As the commit will have it.
        let commit = msg::Commit {
            width: buffer.width,
            height: buffer.height,
            scale: pending.scale.unwrap_or(sent.scale),
            transform: pending.transform.unwrap_or(sent.transform),
            source: pending.source.unwrap_or(sent.source),
            destination: pending.destination.unwrap_or(sent.destination),
            ..*sent
        };
        let damage = crate::commit::damage(pending, &commit);
        let whole = Rect { x: 0, y: 0, width: buffer.width, height: buffer.height };
        for (_, stale) in self.copies.stale.range_mut((client, 0)..=(client, u32::MAX)) {
            *stale = union(*stale, damage);
        }
        let changed = match self.copies.stale.insert((client, object), None) {
            None => Some(whole),
            Some(stale) => stale,
        };
        let earlier = self.copies.jobs.get(&(client, object)).map(|job| job.rect);
        let Some(rect) = changed.map_or(earlier, |changed| union(earlier, changed)) else { return };
        let (x, y) = (rect.x.clamp(0, whole.width), rect.y.clamp(0, whole.height));
        let right = rect.x.saturating_add(rect.width).clamp(x, whole.width);
        let bottom = rect.y.saturating_add(rect.height).clamp(y, whole.height);
        let rect = Rect { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) };
        self.copies.jobs.insert((client, object), Job { buffer, rect });
    }

    /// What is to be copied before [`Display::take_channel`] is called again.
    pub fn take_copies(&mut self) -> Vec<Copy<P::File, P::Handle>> {
        let jobs = core::mem::take(&mut self.copies.jobs);
        let copy = |job: Job| {
            let pool = self.pools.get(&job.buffer.pool)?;
            let [x, y, width, height] = [job.rect.x, job.rect.y, job.rect.width, job.rect.height]
                .map(|value| u64::try_from(value).unwrap_or(0));
            let stride = u64::from(job.buffer.stride);
            if width == 0 || height == 0 {
                return None;
            }
            // Below 2^31 + 2^31 * 2^14: the buffer was checked to lie in its pool.
            let offset = u64::from(job.buffer.offset) + y * stride + x * 4;
            let (len, lines) = if width * 4 == stride { (height * stride, 1) } else { (width * 4, height) };
            let (from, to) = (pool.file.clone(), pool.handle.clone());
            Some(Copy { from, to, offset, len, stride, lines })
        };
        jobs.into_values().filter_map(copy).collect()
    }
}
