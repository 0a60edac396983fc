//! The crash notice: what the monitor gets for its report when a process ends by a fault.

use super::info::{Info, code};
use super::set::{bit, sig};
use crate::fs::proc::maps::line;
use crate::task::Thread;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use postern_abi::calls::notice;
use postern_abi::message::MAX_PAYLOAD;
use postern_pal::frame::Frame;
use postern_pal::mem::bits::PROT_EXEC;
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
/// Most words of the stack that are looked at.
const MAX_WORDS: usize = 2048;
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

/// Executable ranges of the app, in order.
struct Code(Vec<(u64, u64)>);

impl Code {
    fn holds(&self, address: u64) -> bool {
        let at = self.0.partition_point(|(start, _)| *start <= address);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| address < *end)
    }

    /// Whether `address` is one that a call returns to: the instruction before it is a call.
    fn returns_here(&self, address: u64) -> bool {
        const LONGEST: usize = 7;
        if !self.holds(address) {
            return false;
        }
        let mut before = [0u8; LONGEST];
        let start = usize::try_from(address).unwrap_or(0).wrapping_sub(LONGEST);
        user::read_bytes(start, &mut before).is_ok() && ends_in_call(&before)
    }
}

/// Whether bytes end in a call instruction: `e8` with a displacement, or `ff /2` in one of its forms.
fn ends_in_call(bytes: &[u8]) -> bool {
    let back = |len: usize| bytes.len().checked_sub(len).and_then(|at| bytes.get(at..)).unwrap_or(&[]);
    let indirect = |len: usize| match back(len) {
        [0xff, modrm, rest @ ..] if modrm & 0x38 == 0x10 => {
            let memory = modrm >> 6;
            let sib = usize::from(memory != 3 && modrm & 7 == 4);
            let displacement = match memory {
                0 if modrm & 7 == 5 => 4,
                1 => 1,
                2 => 4,
                _ => 0,
            };
            rest.len() == sib + displacement
        }
        _ => false,
    };
    back(5).first() == Some(&0xe8) || (2..=7).any(indirect)
}

/// Return addresses, innermost first: by the chain of frame pointers where there is one, else whatever on the stack
/// looks like one.
fn backtrace(frame: &Frame, code: &Code) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = frame.rbp;
    while found.len() < MAX_FRAMES {
        let Ok(address) = usize::try_from(at) else { break };
        let Ok([next, back]) = user::read::<[u64; 2]>(address) else { break };
        if next <= at || !code.returns_here(back) {
            break;
        }
        found.push(back);
        at = next;
    }
    if found.len() > 1 {
        return found;
    }
    found.clear();
    let mut at = usize::try_from(frame.rsp & !7).unwrap_or(0);
    for _ in 0..MAX_WORDS {
        let Ok(word) = user::load_u64(at) else { break };
        if code.returns_here(word) {
            found.push(word);
            if found.len() >= MAX_FRAMES {
                break;
            }
        }
        at = at.wrapping_add(8);
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
    let mut text_ranges = Code(Vec::new());
    process.space().for_each(&mut |area| {
        if maps.len() < MAX_MAPS {
            line(&mut maps, area);
        }
        if area.prot & PROT_EXEC != 0 {
            text_ranges.0.push((area.start as u64, area.end as u64));
        }
    });
    push_string(&mut text, maps.as_bytes());
    text.push_str(",\"stack\":[");
    for (i, address) in backtrace(frame, &text_ranges).into_iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{address}");
    }
    text.push_str("]}");
    // Only faults have an address.
    let is_fault = info.code() > 0 && info.code() != code::KERNEL;
    let address = if is_fault { info.address() } else { 0 };
    let args = [u64::from(process.pid), u64::from(info.signal()), address, frame.rip];
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

    #[test]
    fn calls_are_recognised_before_return_addresses() {
        // call rel32; call *%rax; call *8(%rax); call *0x1234(%rip); call *8(%rax,%rcx,4)
        assert!(ends_in_call(&[0x90, 0x90, 0xe8, 1, 2, 3, 4]));
        assert!(ends_in_call(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0]));
        assert!(ends_in_call(&[0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 8]));
        assert!(ends_in_call(&[0x90, 0xff, 0x15, 0x34, 0x12, 0, 0]));
        assert!(ends_in_call(&[0x90, 0x90, 0x90, 0xff, 0x54, 0x88, 8]));
        // jmp *%rax; mov
        assert!(!ends_in_call(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0]));
        assert!(!ends_in_call(&[0x48, 0x89, 0xc3, 0x90, 0x90, 0x90, 0x90]));
    }
}
