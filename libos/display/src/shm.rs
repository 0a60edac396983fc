//! Pools, buffers and who still reads them.

use crate::client::ClientId;
use crate::object::{Buffer, Kind};
use crate::shell::{Done, Failure, fault};
use crate::surface::Attach;
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, Message, limit};

/// Errors of wl_shm.
mod error {
    pub const INVALID_FORMAT: u32 = 0;
    pub const INVALID_STRIDE: u32 = 1;
    pub const INVALID_FD: u32 = 2;
}

/// A memory file that a client offered.
pub struct Pool<F, H> {
    pub client: ClientId,
    pub file: F,
    pub handle: H,
    pub size: u64,
    /// The handle is of a memory file of ours, into which the file's pixels are copied.
    pub is_copied: bool,
    /// The pool object, its buffers, and the surfaces that show one of them.
    pub references: u32,
}

/// A buffer that was committed and not released by the bridge.
pub struct Attachment {
    pub client: ClientId,
    /// Object id of the wl_buffer, 0 once it is destroyed.
    pub buffer: u32,
    /// Callbacks of wl_surface.get_release.
    pub releases: Vec<u32>,
}

impl<P: Platform> Display<P> {
    pub(crate) fn shm_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {}
            1 => {
                self.destroy(id, object);
                return Ok(());
            }
            _ => return Err(Failure::Malformed),
        }
        let (new, size) = (r.u32()?, r.i32()?);
        let Some(file) = self.clients.get_mut(&id).and_then(|c| c.files.pop_front()) else {
            return Err(Failure::Malformed);
        };
        let size = u64::try_from(size).unwrap_or(0);
        if size == 0 {
            return fault(object, error::INVALID_STRIDE, "an invalid pool size");
        }
        let own = self.pools.values().filter(|p| p.client == id).count();
        if self.pools.len() >= limit::POOLS || own >= limit::POOLS / 2 {
            return fault(object, error::INVALID_FD, "too many pools");
        }
        let memory = match platform.pool_memory(&file) {
            Some((handle, actual)) => (actual >= size).then_some((handle, false)),
            None => platform.copied_memory(&file, size, None).map(|handle| (handle, true)),
        };
        let Some((handle, is_copied)) = memory else {
            return fault(object, error::INVALID_FD, "no memory file, or one smaller than the pool");
        };
        let number = Self::fresh(&mut self.next_pool, &self.pools);
        self.create(id, new, Kind::ShmPool(number), 1)?;
        self.pools.insert(number, Pool { client: id, file, handle, size, is_copied, references: 1 });
        self.send_pool(number);
        Ok(())
    }

    pub(crate) fn pool_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => return self.new_buffer(id, object, number, r),
            1 => {
                self.destroy(id, object);
                self.release_pool(number);
            }
            2 => {
                let size = u64::try_from(r.i32()?).unwrap_or(0);
                let Some(pool) = self.pools.get_mut(&number) else { return Ok(()) };
                let is_there = if pool.is_copied {
                    platform.copied_memory(&pool.file, size, Some(&pool.handle)).is_some()
                } else {
                    platform.pool_memory(&pool.file).is_some_and(|(_, actual)| actual >= size)
                };
                if size < pool.size || !is_there {
                    return fault(
                        object,
                        error::INVALID_FD,
                        "a pool can neither shrink nor outgrow its file",
                    );
                }
                pool.size = size;
                self.send_pool(number);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// wl_shm_pool.create_buffer.
    fn new_buffer(&mut self, id: ClientId, object: u32, pool: u32, r: &mut Reader<'_>) -> Done {
        let new = r.u32()?;
        let (offset, width, height, stride, format) = (r.i32()?, r.i32()?, r.i32()?, r.i32()?, r.u32()?);
        if format > 1 {
            return fault(object, error::INVALID_FORMAT, "a pixel format that is not offered");
        }
        let in_range = (1..=limit::SIZE).contains(&width) && (1..=limit::SIZE).contains(&height);
        let is_wide_enough = i64::from(stride) >= i64::from(width) * 4;
        // Below 2^31 * 2^15.
        let end = i64::from(offset) + i64::from(stride) * i64::from(height);
        let size = self.pools.get(&pool).map_or(0, |p| p.size);
        let fits = u64::try_from(end).is_ok_and(|end| end <= size);
        let (Ok(offset), Ok(stride)) = (u32::try_from(offset), u32::try_from(stride)) else {
            return fault(object, error::INVALID_STRIDE, "a negative offset or stride");
        };
        if !(in_range && is_wide_enough && fits) {
            return fault(object, error::INVALID_STRIDE, "the buffer does not fit into its pool");
        }
        self.create(
            id,
            new,
            Kind::Buffer(Buffer { pool, offset, width, height, stride, format, is_pixel: false, uses: 0 }),
            1,
        )?;
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.references += 1;
        }
        Ok(())
    }

    /// wl_buffer.destroy.
    pub(crate) fn destroy_buffer(&mut self, id: ClientId, object: u32, pool: u32) {
        self.destroy(id, object);
        self.copies.forget(id, object);
        for attachment in self.attachments.values_mut() {
            if attachment.client == id && attachment.buffer == object {
                attachment.buffer = 0;
            }
        }
        // The id may name another buffer by the time of the commit.
        for surface in self.surfaces.values_mut().filter(|s| s.client == id) {
            if matches!(surface.pending.attach, Attach::Buffer(attached) if attached == object) {
                surface.pending.attach = Attach::Null;
            }
        }
        self.release_pool(pool);
    }

    pub(crate) fn send_pool(&mut self, number: u32) {
        if let Some(pool) = self.pools.get(&number) {
            let body = msg::Pool { pool: number, copied: u32::from(pool.is_copied), size: pool.size };
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
        for callback in attachment.releases {
            drop(client.event(callback, 0).u32(0));
            client.remove(callback);
        }
        let Some(object) = client.objects.get_mut(&attachment.buffer) else { return };
        let Kind::Buffer(buffer) = &mut object.kind else { return };
        buffer.uses = buffer.uses.saturating_sub(1);
        if buffer.uses == 0 {
            drop(client.event(attachment.buffer, 0));
        }
    }
}
