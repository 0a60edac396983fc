//! Memory files as `wl_shm` pools, and the buffers in them.

use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use postern_channel::{BufferRelease, Commit, CommitFlag, Message, Pool, limit};
use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fstat, memfd_create,
};
use rustix::io::write;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use wayland_client::backend::ObjectId;
use wayland_client::protocol::{wl_buffer, wl_shm, wl_shm_pool};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};

/// Most buffers of a pool that are kept for when the same is shown again.
const IDLE: usize = 4;

/// What a buffer shows, and of which surface.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    offset: i32,
    width: i32,
    height: i32,
    stride: i32,
    format: u32,
    surface: u32,
}

/// A pool that the compositor has.
struct HostPool {
    object: wl_shm_pool::WlShmPool,
    /// Buffers that the compositor gave back, oldest first. Making one anew for each frame would wake both sides twice.
    idle: Vec<(Shape, wl_buffer::WlBuffer)>,
    size: u64,
    /// Its pixels are copies.
    is_copied: bool,
    /// Device and inode of the memory file: the same number always means the same file.
    file: (u64, u64),
}

/// The app's pools, by its numbers.
#[derive(Default)]
pub struct Pools(BTreeMap<u32, HostPool>);

impl Pools {
    /// Drops all. Buffers that the compositor holds stay valid.
    pub fn clear(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(HostPool::destroy);
    }
}

impl HostPool {
    fn destroy(self) {
        self.idle.iter().for_each(|(_, buffer)| buffer.destroy());
        self.object.destroy();
    }
}

/// A buffer that is in one attachment.
pub struct Attachment {
    /// The app's number of the attachment.
    pub number: u32,
    /// The compositor's object.
    pub buffer: wl_buffer::WlBuffer,
    /// What it is good for again: the pool, by number and object, and the place in it.
    again: Option<(u32, ObjectId, Shape)>,
}

/// Bytes of a pixel of the formats that may be used.
fn pixel_size(format: u32) -> Option<u64> {
    match WEnum::<wl_shm::Format>::from(format).into_result().ok()? {
        wl_shm::Format::Argb8888
        | wl_shm::Format::Xrgb8888
        | wl_shm::Format::Abgr8888
        | wl_shm::Format::Xbgr8888
        | wl_shm::Format::Argb2101010
        | wl_shm::Format::Xrgb2101010
        | wl_shm::Format::Abgr2101010
        | wl_shm::Format::Xbgr2101010 => Some(4),
        wl_shm::Format::Rgb565 => Some(2),
        _ => None,
    }
}

/// Checks that a file is one that a compositor can map without danger to itself: memory, of at least `size` bytes, that
/// can never become smaller. Returns its device and inode.
fn check_file(file: &OwnedFd, size: u64) -> Result<(u64, u64), BridgeError> {
    let refused = |what: &str| malformed(format!("a pool whose file {what}"));
    // Only memory files have seals. Adding fails where sealing is closed, which is fine if the seal is there already.
    let _ = fcntl_add_seals(file, SealFlags::SHRINK);
    let seals = fcntl_get_seals(file).map_err(|_| refused("is no memory file"))?;
    if !seals.contains(SealFlags::SHRINK) {
        return Err(refused("can shrink"));
    }
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(refused("is sealed against writing, so that the compositor cannot map it"));
    }
    let flags = fcntl_getfl(file).map_err(|_| refused("cannot be looked at"))?;
    if flags & OFlags::ACCMODE != OFlags::RDWR {
        return Err(refused("is not open for reading and writing"));
    }
    // After the seal: what is there now stays.
    let stat = fstat(file).map_err(|_| refused("cannot be looked at"))?;
    if u64::try_from(stat.st_size).is_ok_and(|actual| actual >= size) {
        Ok((stat.st_dev, stat.st_ino))
    } else {
        Err(refused("is smaller than it says"))
    }
}

impl Bridge {
    /// A memory file came, or came again larger.
    pub fn pool(&mut self, pool: Pool, handle: Option<OwnedFd>) -> Result<(), BridgeError> {
        let handle = handle.ok_or_else(|| malformed("a pool without its file"))?;
        let file = check_file(&handle, pool.size)?;
        let size = i32::try_from(pool.size).map_err(|_| malformed("a pool that is too large"))?;
        if let Some(known) = self.pools.0.get_mut(&pool.pool) {
            if known.file != file {
                return Err(malformed("another file under the number of a pool"));
            }
            if pool.size > known.size {
                known.object.resize(size);
                known.size = pool.size;
            }
            return Ok(());
        }
        if self.pools.0.len() >= limit::POOLS {
            return Err(malformed("too many pools"));
        }
        let object = self.globals.shm.create_pool(handle.as_fd(), size, &self.queue, ());
        self.pools.0.insert(
            pool.pool,
            HostPool { object, idle: Vec::new(), size: pool.size, is_copied: pool.copied != 0, file },
        );
        Ok(())
    }

    /// No new buffers from this pool.
    pub fn pool_destroy(&mut self, number: u32) -> Result<(), BridgeError> {
        let pool = self.pools.0.remove(&number).ok_or_else(|| malformed("the end of an unknown pool"))?;
        pool.destroy();
        Ok(())
    }

    /// Whether the pixels of a pool are copies.
    pub fn is_copied(&self, pool: u32) -> bool {
        self.pools.0.get(&pool).is_some_and(|pool| pool.is_copied)
    }

    /// Makes the buffer that a commit attaches, or takes one that is idle.
    pub fn make_buffer(&mut self, commit: &Commit) -> Result<Attachment, BridgeError> {
        if commit.flags & CommitFlag::SINGLE_PIXEL != 0 {
            return self.make_pixel(commit);
        }
        let pool =
            self.pools.0.get_mut(&commit.pool).ok_or_else(|| malformed("a buffer in an unknown pool"))?;
        let pixel = pixel_size(commit.format)
            .filter(|_| self.globals.formats.contains(&commit.format))
            .ok_or_else(|| malformed(format!("a buffer of unknown format {:#x}", commit.format)))?;
        let format = WEnum::<wl_shm::Format>::from(commit.format)
            .into_result()
            .map_err(|_| malformed("a buffer of unknown format"))?;
        let outside = || malformed("a buffer that does not fit in its pool");
        let width = u64::try_from(commit.width).map_err(|_| outside())?;
        let height = u64::try_from(commit.height).map_err(|_| outside())?;
        let stride = i32::try_from(commit.stride).map_err(|_| outside())?;
        let offset = i32::try_from(commit.offset).map_err(|_| outside())?;
        // Factors are below 2^32 and 2^15, so nothing overflows 64 bits.
        let end = u64::from(commit.offset) + u64::from(commit.stride) * height;
        if u64::from(commit.stride) < width * pixel || end > pool.size {
            return Err(outside());
        }
        if commit.width % commit.scale != 0 || commit.height % commit.scale != 0 {
            return Err(malformed("a buffer whose size is no multiple of its scale"));
        }
        let (width, height, surface) = (commit.width, commit.height, commit.surface);
        let shape = Shape { offset, width, height, stride, format: commit.format, surface };
        let buffer = match pool.idle.iter().position(|(idle, _)| *idle == shape) {
            Some(at) => pool.idle.remove(at).1,
            None => {
                let owner = BufferOf { surface };
                pool.object.create_buffer(offset, width, height, stride, format, &self.queue, owner)
            }
        };
        let again = Some((commit.pool, pool.object.id(), shape));
        Ok(Attachment { number: commit.buffer, buffer, again })
    }

    /// Makes a buffer of one pixel: the compositor's own kind, else memory of the bridge.
    fn make_pixel(&self, commit: &Commit) -> Result<Attachment, BridgeError> {
        let (number, owner) = (commit.buffer, BufferOf { surface: commit.surface });
        if let Some(manager) = &self.globals.single_pixels {
            let [blue, green, red, alpha] = commit.offset.to_le_bytes().map(|v| u32::from(v) * 0x0101_0101);
            let buffer = manager.create_u32_rgba_buffer(red, green, blue, alpha, &self.queue, owner);
            return Ok(Attachment { number, buffer, again: None });
        }
        let failed = |error: rustix::io::Errno| BridgeError::System("make a pixel", error.into());
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("pixel", flags).map_err(failed)?;
        write(&file, &commit.offset.to_le_bytes()).map_err(failed)?;
        let pool = self.globals.shm.create_pool(file.as_fd(), 4, &self.queue, ());
        let buffer = pool.create_buffer(0, 1, 1, 4, wl_shm::Format::Argb8888, &self.queue, owner);
        pool.destroy();
        Ok(Attachment { number, buffer, again: None })
    }

    /// Gives a buffer back to the app that the compositor does not need to.
    pub fn release(&mut self, attachment: Attachment) {
        attachment.buffer.destroy();
        self.app.send(&Message::BufferRelease(BufferRelease { buffer: attachment.number }, &[]));
    }

    /// Gives a buffer back to the app that the compositor gave back. `is_pressing`: the app may wait for just that.
    fn released(&mut self, attachment: Attachment, is_pressing: bool) {
        let Attachment { number, buffer, again } = attachment;
        let pools = &mut self.pools.0;
        let place = again.and_then(|(pool, object, shape)| {
            Some((pools.get_mut(&pool).filter(|pool| pool.object.id() == object)?, shape))
        });
        match place {
            Some((pool, shape)) => {
                if pool.idle.len() >= IDLE {
                    pool.idle.remove(0).1.destroy();
                }
                pool.idle.push((shape, buffer));
            }
            None => buffer.destroy(),
        }
        let release = Message::BufferRelease(BufferRelease { buffer: number }, &[]);
        if is_pressing { self.app.send(&release) } else { self.app.send_soon(&release) }
    }
}

/// Data of a `wl_buffer`.
pub struct BufferOf {
    /// The app's number of the surface that it was attached to.
    surface: u32,
}

impl Dispatch<wl_buffer::WlBuffer, BufferOf> for Bridge {
    fn event(
        bridge: &mut Self,
        buffer: &wl_buffer::WlBuffer,
        event: wl_buffer::Event,
        data: &BufferOf,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if !matches!(event, wl_buffer::Event::Release) {
            return;
        }
        // One that is not held any more was given back with its surface.
        let Some(host) = bridge.surfaces.host_mut(data.surface) else { return };
        let Some(at) = host.held.iter().position(|held| held.buffer.id() == buffer.id()) else { return };
        let attachment = host.held.swap_remove(at);
        let is_pressing = !host.is_paced();
        bridge.released(attachment, is_pressing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, ftruncate, open};

    fn memory(flags: MemfdFlags, size: u64) -> OwnedFd {
        let file = memfd_create("test", flags | MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&file, size).unwrap();
        file
    }

    fn refusal(file: &OwnedFd, size: u64) -> String {
        check_file(file, size).unwrap_err().to_string()
    }

    #[test]
    fn a_pool_that_is_not_sealed_yet_gets_the_seal() {
        let file = memory(MemfdFlags::ALLOW_SEALING, 4096);
        check_file(&file, 4096).unwrap();
        assert!(fcntl_get_seals(&file).unwrap().contains(SealFlags::SHRINK));
        assert!(ftruncate(&file, 0).is_err());
        ftruncate(&file, 8192).unwrap();
        check_file(&file, 8192).unwrap();
    }

    #[test]
    fn files_that_could_hurt_the_compositor_are_refused() {
        let closed = memory(MemfdFlags::empty(), 4096);
        assert!(refusal(&closed, 4096).contains("can shrink"));
        let short = memory(MemfdFlags::ALLOW_SEALING, 4095);
        assert!(refusal(&short, 4096).contains("smaller"));
        let sealed = memory(MemfdFlags::ALLOW_SEALING, 4096);
        fcntl_add_seals(&sealed, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
        assert!(refusal(&sealed, 4096).contains("against writing"));
        let memory = memory(MemfdFlags::ALLOW_SEALING, 4096);
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&memory));
        let readable = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        check_file(&memory, 4096).unwrap();
        assert!(refusal(&readable, 4096).contains("not open"));
        let disk = open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert!(refusal(&disk, 1).contains("no memory file"));
    }

    #[test]
    fn formats_are_known_by_number() {
        assert_eq!(pixel_size(0), Some(4));
        assert_eq!(pixel_size(1), Some(4));
        assert_eq!(pixel_size(0x3631_4752), Some(2), "RG16");
        assert_eq!(pixel_size(0x3231_564e), None, "NV12 has planes");
    }
}
