//! The standard streams of the initial process, and what the monitor tells about the terminal behind them.

use super::host_stream::{HostStream, Kind};
use super::outside;
use crate::fs::OpenFile;
use crate::fs::file::flags;
use crate::task::Process;
use crate::{Once, Result};
use alloc::sync::Arc;
use postern_abi::boot::{Boot, stdio};
use postern_abi::layout::handle::STDIO;
use postern_pal::handle::Handle;

static INITIAL: Once<Arc<Process>> = Once::new();

/// Gives the initial process its descriptors 0 to 2.
///
/// # Errors
/// `EMFILE`.
pub fn init(boot: &Boot, process: &Arc<Process>) -> Result<()> {
    let _ = INITIAL.set(process.clone());
    for (number, kind) in STDIO.into_iter().zip(boot.stdio) {
        let kind = match kind {
            stdio::STREAM | stdio::TERMINAL => Kind::Stream,
            stdio::FILE => Kind::File,
            stdio::DEVICE => Kind::Device,
            _ => continue,
        };
        let Some(handle) = Handle::initial(number) else { continue };
        let ops = HostStream::new(Arc::new(handle), kind, [boot.uid, boot.gid]);
        let file = OpenFile::new(ops, flags::O_RDWR);
        process.files.replace(number, file, false, 3)?;
    }
    Ok(())
}

/// Sends a signal to the initial process, for the launcher.
pub(super) fn signal_initial(signal: u32) {
    if let Some(process) = INITIAL.get() {
        outside::send_to_process(process, signal);
    }
}

/// The terminal behind `console:` changed its size.
pub(super) fn set_window(_rows: u64, _columns: u64) {}
