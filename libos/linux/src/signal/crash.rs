//! The crash notice: what the monitor gets for its report when a process ends by a fault.

use super::info::Info;
use super::set::{bit, sig};
use crate::mm::space::Area;
use crate::task::Thread;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use postern_abi::calls::notice;
use postern_abi::message::MAX_PAYLOAD;
use postern_pal::frame::Frame;
use postern_pal::{gate, user};

/// Signals that mean a bug of the app.
const REPORTED: u64 = bit(sig::SEGV)
    | bit(sig::BUS)
    | bit(sig::ILL)
    | bit(sig::FPE)
    | bit(sig::ABRT)
    | bit(sig::TRAP)
    | bit(sig::SYS);

/// Most frames of the backtrace.
const MAX_FRAMES: usize = 32;
/// Room for the memory map, so that the whole notice stays below one message.
const MAX_MAPS: usize = MAX_PAYLOAD / 2;
/// Room for all arguments.
const MAX_ARGUMENTS: usize = 4096;

fn push_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn map_line(out: &mut String, area: &Area) {
    let bit = |mask: u32, c: char| if area.prot & mask != 0 { c } else { '-' };
    let shared = if area.shared { 's' } else { 'p' };
    let _ = writeln!(
        out,
        "{:x}-{:x} {}{}{}{shared} {:x}",
        area.start,
        area.end,
        bit(1, 'r'),
        bit(2, 'w'),
        bit(4, 'x'),
        area.offset
    );
}

/// Return addresses by the chain of frame pointers, as far as it goes.
fn backtrace(frame: &Frame) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = frame.rbp;
    while found.len() < MAX_FRAMES {
        let Ok(address) = usize::try_from(at) else { break };
        let Ok([next, back]) = user::read::<[u64; 2]>(address) else { break };
        if back == 0 || next <= at {
            break;
        }
        found.push(back);
        at = next;
    }
    found
}

/// Tells the monitor that `thread` dies of `info`, if that is a crash.
pub fn report(thread: &Thread, frame: &Frame, info: &Info) {
    if bit(info.signal()) & REPORTED == 0 {
        return;
    }
    let process = &thread.process;
    let mut text = String::from("{\"comm\":");
    let name = *thread.name.lock();
    let len = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    push_string(&mut text, name.get(..len).unwrap_or(&name));
    text.push_str(",\"argv\":[");
    let arguments = process.program.lock().arguments.clone();
    let arguments = arguments.get(..arguments.len().min(MAX_ARGUMENTS)).unwrap_or(&[]);
    for (i, argument) in arguments.strip_suffix(&[0]).unwrap_or(arguments).split(|b| *b == 0).enumerate() {
        if i > 0 {
            text.push(',');
        }
        push_string(&mut text, argument);
    }
    let _ = write!(text, "],\"code\":{},\"registers\":{{", info.code());
    let f = frame;
    let registers = [
        ("rax", f.rax),
        ("rbx", f.rbx),
        ("rcx", f.rcx),
        ("rdx", f.rdx),
        ("rsi", f.rsi),
        ("rdi", f.rdi),
        ("rbp", f.rbp),
        ("rsp", f.rsp),
        ("r8", f.r8),
        ("r9", f.r9),
        ("r10", f.r10),
        ("r11", f.r11),
        ("r12", f.r12),
        ("r13", f.r13),
        ("r14", f.r14),
        ("r15", f.r15),
        ("rip", f.rip),
        ("rflags", f.rflags),
    ];
    for (i, (name, value)) in registers.into_iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(text, "{comma}\"{name}\":{value}");
    }
    text.push_str("},\"maps\":");
    let mut maps = String::new();
    process.space().for_each(&mut |area| {
        if maps.len() < MAX_MAPS {
            map_line(&mut maps, area);
        }
    });
    push_string(&mut text, maps.as_bytes());
    text.push_str(",\"stack\":[");
    for (i, address) in backtrace(frame).into_iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{address}");
    }
    text.push_str("]}");
    let args = [u64::from(process.pid), u64::from(info.signal()), info.address(), frame.rip];
    gate::tell(notice::CRASH, args, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_for_json() {
        let mut out = String::new();
        push_string(&mut out, b"a\"b\\c\nd\x01\xff");
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\u0001\u{fffd}\"");
    }
}
