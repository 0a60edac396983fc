//! The standard streams of the initial process, and what the monitor tells about the terminal behind them.

use super::host_stream::{HostStream, Kind};
use super::tty::{self, Tty, Window};
use crate::fs::OpenFile;
use crate::fs::file::flags;
use crate::task::Process;
use crate::{Once, Result, signal};
use alloc::sync::Arc;
use postern_abi::boot::{Boot, stdio};
use postern_abi::calls::Downcall;
use postern_abi::layout::handle::STDIO;
use postern_pal::gate;
use postern_pal::handle::Handle;

/// [`Downcall::Console`]: switch to raw mode.
const RAW: u64 = 1;

static INITIAL: Once<Arc<Process>> = Once::new();
static CONSOLE: Once<Arc<Tty>> = Once::new();

fn window(rows: u64, columns: u64) -> Window {
    let cut = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    [cut(rows), cut(columns), 0, 0]
}

/// Gives the initial process its descriptors 0 to 2. All that are terminals are one terminal here, the controlling
/// one of the initial session; the host's is switched to raw mode, because the line discipline is ours.
///
/// # Errors
/// `EMFILE`.
pub fn init(boot: &Boot, process: &Arc<Process>) -> Result<()> {
    let _ = INITIAL.set(process.clone());
    let owner = [boot.uid, boot.gid];
    let mut console = None;
    for (number, kind) in STDIO.into_iter().zip(boot.stdio) {
        if kind == stdio::NONE {
            continue;
        }
        let Some(handle) = Handle::initial(number) else { continue };
        let kind = match kind {
            stdio::TERMINAL => {
                let tty = console.get_or_insert_with(|| {
                    let [rows, columns] = boot.window;
                    // Without raw mode the terminal still works, only line by line.
                    let _ = gate::call(Downcall::Console, [RAW, 0, 0, 0, 0, 0], &[]);
                    let size = window(u64::from(rows), u64::from(columns));
                    tty::console(Arc::new(handle), size, owner, process)
                });
                process.files.replace(number, tty::open_console(tty), false, 3)?;
                continue;
            }
            stdio::FILE => Kind::File,
            stdio::DEVICE => Kind::Device,
            _ => Kind::Stream,
        };
        let ops = HostStream::new(Arc::new(handle), kind, owner);
        process.files.replace(number, OpenFile::new(ops, flags::O_RDWR), false, 3)?;
    }
    if let Some(tty) = console {
        let _ = CONSOLE.set(tty);
    }
    Ok(())
}

/// Sends a signal to the initial process, for the launcher.
pub(super) fn signal_initial(number: u32) {
    if let Some(process) = INITIAL.get()
        && (1..=64).contains(&number)
    {
        signal::kernel_to_process(process, number);
    }
}

/// The terminal behind `console:` changed its size.
pub(super) fn set_window(rows: u64, columns: u64) {
    if let Some(tty) = CONSOLE.get() {
        tty.set_window(window(rows, columns));
    }
}
