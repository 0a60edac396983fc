//! Pools, buffers and who still reads them.

use crate::client::ClientId;
use crate::{Display, Platform};
use postern_channel::{self as msg, Message};

/// A memory file that a client offered.
pub struct Pool<H> {
    pub handle: H,
    pub size: u64,
    /// The pool object and its buffers.
    pub references: u32,
}

/// A buffer that was committed and not released by the bridge.
pub struct Attachment {
    pub client: ClientId,
    /// Object id of the wl_buffer, 0 once it is destroyed.
    pub buffer: u32,
}

impl<P: Platform> Display<P> {
    pub(crate) fn new_pool(&mut self, handle: P::Handle, size: u64) -> u32 {
        let number = Self::fresh(&mut self.next_pool, &self.pools);
        self.pools.insert(number, Pool { handle, size, references: 1 });
        self.send_pool(number);
        number
    }

    pub(crate) fn send_pool(&mut self, number: u32) {
        if let Some(pool) = self.pools.get(&number) {
            let body = msg::Pool { pool: number, reserved: 0, size: pool.size };
            let handle = pool.handle.clone();
            self.send(&Message::Pool(body, &[]), Some(handle));
        }
    }

    /// One reference less; the last one destroys the pool.
    pub(crate) fn release_pool(&mut self, number: u32) {
        let Some(pool) = self.pools.get_mut(&number) else { return };
        pool.references = pool.references.saturating_sub(1);
        if pool.references == 0 {
            self.pools.remove(&number);
            self.send(&Message::PoolDestroy(msg::PoolDestroy { pool: number }, &[]), None);
        }
    }

    /// The bridge (or nobody any more) reads the attachment: tell the client if it was the buffer's last one.
    pub(crate) fn release_attachment(&mut self, number: u32) {
        let Some(attachment) = self.attachments.remove(&number) else { return };
        let Some(client) = self.clients.get_mut(&attachment.client) else { return };
        let Some(object) = client.objects.get_mut(&attachment.buffer) else { return };
        let crate::object::Kind::Buffer(buffer) = &mut object.kind else { return };
        buffer.uses = buffer.uses.saturating_sub(1);
        if buffer.uses == 0 {
            drop(client.event(attachment.buffer, 0));
        }
    }
}
