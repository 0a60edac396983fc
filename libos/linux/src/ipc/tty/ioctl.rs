//! ioctl_tty(2).

use super::pty::{self, Master};
use super::termios::{CLOCAL, SIZE, SIZE_OLD, SIZE2, Termios};
use super::{Tty, Window, job};
use crate::fs::OpenFile;
use crate::fs::file::flags;
use crate::task::{Thread, process};
use crate::{Errno, Result, signal};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCSETSW: u32 = 0x5403;
const TCSETSF: u32 = 0x5404;
const TCGETS2: u32 = 0x802c_542a;
const TCSETS2: u32 = 0x402c_542b;
const TCSETSW2: u32 = 0x402c_542c;
const TCSETSF2: u32 = 0x402c_542d;
const TCGETA: u32 = 0x5405;
const TCSETA: u32 = 0x5406;
const TCSETAW: u32 = 0x5407;
const TCSETAF: u32 = 0x5408;
const TCSBRK: u32 = 0x5409;
const TCXONC: u32 = 0x540a;
const TCFLSH: u32 = 0x540b;
const TIOCEXCL: u32 = 0x540c;
const TIOCNXCL: u32 = 0x540d;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCOUTQ: u32 = 0x5411;
const TIOCSTI: u32 = 0x5412;
const TIOCGWINSZ: u32 = 0x5413;
const TIOCSWINSZ: u32 = 0x5414;
const TIOCGSOFTCAR: u32 = 0x5419;
const TIOCSSOFTCAR: u32 = 0x541a;
const FIONREAD: u32 = 0x541b;
const TIOCPKT: u32 = 0x5420;
const TIOCNOTTY: u32 = 0x5422;
const TIOCSETD: u32 = 0x5423;
const TIOCGETD: u32 = 0x5424;
const TCSBRKP: u32 = 0x5425;
const TIOCGSID: u32 = 0x5429;
const TIOCGPTN: u32 = 0x8004_5430;
const TIOCSPTLCK: u32 = 0x4004_5431;
const TIOCGPKT: u32 = 0x8004_5438;
const TIOCGPTLCK: u32 = 0x8004_5439;
const TIOCGEXCL: u32 = 0x8004_5440;
const TIOCGPTPEER: u32 = 0x5441;
const TIOCSIG: u32 = 0x4004_5436;
const TIOCVHANGUP: u32 = 0x5437;
const TIOCGLCKTRMIOS: u32 = 0x5456;
const TIOCSLCKTRMIOS: u32 = 0x5457;

fn set_attributes(tty: &Tty, thread: &Thread, argument: usize, size: usize, flush: bool) -> Result<u64> {
    job::may_change(tty, thread)?;
    let mut bytes = [0; SIZE2];
    let bytes = bytes.get_mut(..size).ok_or(Errno::EINVAL)?;
    user::read_bytes(argument, bytes)?;
    change(tty, flush, |termios| termios.update(bytes))
}

fn set_old_attributes(tty: &Tty, thread: &Thread, argument: usize, flush: bool) -> Result<u64> {
    job::may_change(tty, thread)?;
    let bytes: [u8; SIZE_OLD] = user::read(argument)?;
    change(tty, flush, |termios| {
        termios.update_old(&bytes);
        Ok(())
    })
}

fn change(tty: &Tty, flush: bool, update: impl FnOnce(&mut Termios) -> Result<()>) -> Result<u64> {
    {
        let mut state = tty.state.lock();
        let mut termios: Termios = state.discipline.termios;
        update(&mut termios)?;
        if flush {
            state.discipline.flush_input();
        }
        state.discipline.set(termios);
    }
    // Another mode may make readable what was not, or let output go on.
    tty.queue.wake();
    tty.unthrottle();
    Ok(0)
}

/// Requests that both sides of a terminal answer.
fn common(tty: &Arc<Tty>, thread: &Thread, request: u32, argument: usize) -> Result<u64> {
    match request {
        TCGETS | TCGETS2 => {
            let bytes = tty.state.lock().discipline.termios.format();
            let size = if request == TCGETS { SIZE } else { SIZE2 };
            user::write_bytes(argument, bytes.get(..size).unwrap_or(&[]))?;
        }
        TCSETS | TCSETSW => return set_attributes(tty, thread, argument, SIZE, false),
        TCSETSF => return set_attributes(tty, thread, argument, SIZE, true),
        TCSETS2 | TCSETSW2 => return set_attributes(tty, thread, argument, SIZE2, false),
        TCSETSF2 => return set_attributes(tty, thread, argument, SIZE2, true),
        TCGETA => user::write(argument, &tty.state.lock().discipline.termios.format_old())?,
        TCSETA | TCSETAW => return set_old_attributes(tty, thread, argument, false),
        TCSETAF => return set_old_attributes(tty, thread, argument, true),
        TIOCGSOFTCAR => {
            let is_local = tty.state.lock().discipline.termios.cflag & CLOCAL != 0;
            user::write(argument, &i32::from(is_local))?;
        }
        TIOCSSOFTCAR => {
            let on: i32 = user::read(argument)?;
            return change(tty, false, |termios| {
                termios.cflag = termios.cflag & !CLOCAL | if on == 0 { 0 } else { CLOCAL };
                Ok(())
            });
        }
        // No bit is locked, and only the administrator locks any.
        TIOCGLCKTRMIOS => user::write(argument, &[0u8; SIZE])?,
        TIOCSLCKTRMIOS | TIOCVHANGUP => return Err(Errno::EPERM),
        TIOCGWINSZ => {
            let window: Window = tty.state.lock().window;
            user::write(argument, &window)?;
        }
        TIOCSWINSZ => tty.set_window(user::read(argument)?),
        TCFLSH => {
            job::may_change(tty, thread)?;
            flush(tty, argument)?;
        }
        TCXONC => {
            job::may_change(tty, thread)?;
            match argument {
                0 | 1 => tty.state.lock().discipline.stopped = argument == 0,
                2 | 3 => {}
                _ => return Err(Errno::EINVAL),
            }
            tty.queue.wake();
        }
        // Output goes out at once, so there is nothing to be drained and no line to be broken.
        TCSBRK | TCSBRKP => job::may_change(tty, thread)?,
        TIOCEXCL => tty.state.lock().exclusive = true,
        TIOCNXCL => tty.state.lock().exclusive = false,
        TIOCGEXCL => user::write(argument, &i32::from(tty.state.lock().exclusive))?,
        TIOCGETD => user::write(argument, &0i32)?,
        TIOCSETD if user::read::<i32>(argument)? == 0 => {}
        TIOCSETD => return Err(Errno::EINVAL),
        // Faking input is how one program attacks another through a terminal.
        TIOCSTI => return Err(Errno::EPERM),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn flush(tty: &Tty, which: usize) -> Result<()> {
    {
        let mut state = tty.state.lock();
        if which > 2 {
            return Err(Errno::EINVAL);
        }
        if which != 1 {
            state.discipline.flush_input();
            state.packet_status |= pty::FLUSH_READ;
        }
        if which != 0 {
            state.output.clear();
            state.packet_status |= pty::FLUSH_WRITE;
        }
    }
    tty.queue.wake();
    tty.unthrottle();
    Ok(())
}

fn set_foreground(tty: &Tty, thread: &Thread, argument: usize) -> Result<u64> {
    job::may_change(tty, thread)?;
    let own = job::terminal_of(&thread.process);
    let session = thread.process.session.load(Ordering::Relaxed);
    if own.is_none_or(|own| !core::ptr::eq(Arc::as_ptr(&own), tty)) || tty.state.lock().session != session {
        return Err(Errno::ENOTTY);
    }
    let group: i32 = user::read(argument)?;
    let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
    let members = process::all();
    let mut members = members.iter().filter(|p| p.group.load(Ordering::Relaxed) == group).peekable();
    if members.peek().is_none() {
        return Err(Errno::ESRCH);
    }
    if !members.any(|p| p.session.load(Ordering::Relaxed) == session) {
        return Err(Errno::EPERM);
    }
    tty.state.lock().foreground = group;
    // Readers look again whether they still may.
    tty.queue.wake();
    Ok(0)
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Requests to the program's side.
pub(super) fn slave(tty: &Arc<Tty>, thread: &Thread, request: u32, argument: usize) -> Result<u64> {
    if tty.state.lock().hung_up {
        return Err(Errno::EIO);
    }
    let process = &thread.process;
    let is_own = || job::terminal_of(process).is_some_and(|own| Arc::ptr_eq(&own, tty));
    match request {
        TIOCSCTTY => job::acquire(tty, process)?,
        TIOCNOTTY if is_own() => job::release(process),
        TIOCGPGRP | TIOCGSID | TIOCNOTTY if !is_own() => return Err(Errno::ENOTTY),
        TIOCGPGRP => user::write(argument, &signed(tty.state.lock().foreground))?,
        TIOCGSID => user::write(argument, &signed(tty.state.lock().session))?,
        TIOCSPGRP => return set_foreground(tty, thread, argument),
        FIONREAD => {
            let count = tty.state.lock().discipline.available();
            user::write(argument, &i32::try_from(count).unwrap_or(i32::MAX))?;
        }
        TIOCOUTQ => {
            let count = tty.state.lock().output.len();
            user::write(argument, &i32::try_from(count).unwrap_or(i32::MAX))?;
        }
        _ => return common(tty, thread, request, argument),
    }
    Ok(0)
}

/// Requests to the master.
pub(super) fn master(master: &Master, thread: &Thread, request: u32, argument: usize) -> Result<u64> {
    let tty = &master.tty;
    match request {
        TIOCGPTN => user::write(argument, &tty.number())?,
        TIOCSPTLCK => {
            let lock: i32 = user::read(argument)?;
            tty.state.lock().locked = lock != 0;
        }
        TIOCGPTLCK => user::write(argument, &i32::from(tty.state.lock().locked))?,
        TIOCPKT => {
            let on: i32 = user::read(argument)?;
            let mut state = tty.state.lock();
            state.packet = on != 0;
            state.packet_status = 0;
        }
        TIOCGPKT => user::write(argument, &i32::from(tty.state.lock().packet))?,
        TIOCGPTPEER => {
            let status = u32::try_from(argument & 0xffff_ffff).unwrap_or(0);
            if status & !pty::PEER_FLAGS != 0 {
                return Err(Errno::EINVAL);
            }
            let ops = pty::open_slave(tty, thread, status | flags::O_NOCTTY)?;
            let keep = flags::O_ACCMODE | flags::O_NONBLOCK;
            let fd =
                thread.process.add_file(OpenFile::new(ops, status & keep), status & flags::O_CLOEXEC != 0)?;
            return Ok(u64::try_from(fd).unwrap_or(0));
        }
        TIOCSIG => {
            let number = u32::try_from(argument).map_err(|_| Errno::EINVAL)?;
            let foreground = tty.state.lock().foreground;
            if number == 0 || number > 64 {
                return Err(Errno::EINVAL);
            }
            if foreground != 0 {
                signal::kernel_to_group(foreground, number);
            }
        }
        TIOCGPGRP => user::write(argument, &signed(tty.state.lock().foreground))?,
        TIOCGSID => {
            let session = tty.state.lock().session;
            if session == 0 {
                return Err(Errno::ENOTTY);
            }
            user::write(argument, &signed(session))?;
        }
        FIONREAD => {
            let count = tty.state.lock().output.len();
            user::write(argument, &i32::try_from(count).unwrap_or(i32::MAX))?;
        }
        TIOCOUTQ => user::write(argument, &0i32)?,
        TIOCSCTTY | TIOCNOTTY | TIOCSPGRP => return Err(Errno::ENOTTY),
        _ => return common(tty, thread, request, argument),
    }
    Ok(0)
}
