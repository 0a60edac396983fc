//! Moving bytes between handles of the host and where a call wants them.

use crate::Result;
use crate::io::{Sink, Source};
use postern_pal::handle::Handle;

/// Reads at most `limit` bytes at `at`.
///
/// # Errors
/// The host's.
pub fn read_at(handle: &Handle, sink: &mut Sink<'_>, at: u64, limit: usize) -> Result<usize> {
    read_how(handle, sink, at, limit, 0)
}

/// As [`read_at`], with flags of [`postern_pal::handle::how`] where the bytes go to the app's memory.
///
/// # Errors
/// The host's.
pub fn read_how(handle: &Handle, sink: &mut Sink<'_>, at: u64, limit: usize, how: u32) -> Result<usize> {
    let limit = limit.min(sink.left());
    if limit == 0 {
        return Ok(0);
    }
    match sink {
        Sink::User(ranges) => {
            let count = match ranges.single(limit) {
                Some(range) => handle.read_user(&[range], Some(at), how)?,
                None => handle.read_user(&ranges.host_ranges(limit), Some(at), how)?,
            };
            ranges.advance(count);
            Ok(count)
        }
        Sink::Kernel(buf, filled) => {
            let count = handle.read(buf.get_mut(*filled..*filled + limit).unwrap_or(&mut []), Some(at))?;
            *filled += count;
            Ok(count)
        }
    }
}

/// Writes at most `limit` bytes at `at`.
///
/// # Errors
/// The host's.
pub fn write_at(handle: &Handle, source: &mut Source<'_>, at: u64, limit: usize) -> Result<usize> {
    write_how(handle, source, at, limit, 0)
}

/// As [`write_at`], with flags of [`postern_pal::handle::how`] where the bytes come from the app's memory.
///
/// # Errors
/// The host's.
pub fn write_how(handle: &Handle, source: &mut Source<'_>, at: u64, limit: usize, how: u32) -> Result<usize> {
    let limit = limit.min(source.left());
    if limit == 0 {
        return Ok(0);
    }
    match source {
        Source::User(ranges) => {
            let count = match ranges.single(limit) {
                Some(range) => handle.write_user(&[range], Some(at), how)?,
                None => handle.write_user(&ranges.host_ranges(limit), Some(at), how)?,
            };
            ranges.advance(count);
            Ok(count)
        }
        Source::Kernel(bytes, used) => {
            let count = handle.write(bytes.get(*used..*used + limit).unwrap_or(&[]), Some(at))?;
            *used += count;
            Ok(count)
        }
    }
}
