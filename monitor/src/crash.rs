//! Crash reports of app processes: what the library OS tells of a dying process, with names for its addresses.

mod symbols;

use crate::account::clean;
use crate::files::Mounts;
use crate::report::{Frame, Report, signal_text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most frames of a backtrace.
const MAX_FRAMES: usize = 64;

/// Payload of the notice, as the library OS writes it: hostile as everything from there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    comm: String,
    argv: Vec<String>,
    code: i64,
    registers: BTreeMap<String, u64>,
    maps: String,
    stack: Vec<u64>,
}

/// A file mapping of the dying process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

/// Fills in a report from a crash notice: `facts` are guest pid, signal, faulting address and instruction pointer.
pub fn fill(report: &mut Report, facts: [u64; 4], payload: &[u8], mounts: &Mounts) {
    let [pid, signal, fault, pointer] = facts;
    let details: Details = serde_json::from_slice(payload).unwrap_or_default();
    let signal = i32::try_from(signal).unwrap_or(0);
    report.set_signal(signal);
    report.pid = u32::try_from(pid).ok();
    report.fault_address = matches!(signal, libc::SIGSEGV | libc::SIGBUS).then_some(fault);
    let process = clean(details.comm.as_bytes());
    report.summary = format!(
        "{} was ended by {}",
        if process.is_empty() { "A process" } else { &process },
        signal_text(signal)
    );
    report.process = (!process.is_empty()).then_some(process);
    if !details.argv.is_empty() {
        report.command = details.argv.iter().take(64).map(|argument| clean(argument.as_bytes())).collect();
    }
    if details.code != 0 {
        report.details = Some(format!("Signal code {}", details.code));
    }
    report.registers =
        details.registers.into_iter().take(40).map(|(name, value)| (clean(name.as_bytes()), value)).collect();
    let maps = parse_maps(&details.maps);
    let mut symbols = symbols::Symbols::new(mounts);
    let addresses = std::iter::once((pointer, true)).chain(details.stack.into_iter().map(|a| (a, false)));
    report.backtrace = addresses
        .take(MAX_FRAMES)
        .map(|(address, innermost)| frame(address, innermost, &maps, &mut symbols))
        .collect();
}

/// A return address names the instruction after the call, which may belong to the next function: what is looked up is
/// the byte before it.
fn frame(address: u64, innermost: bool, maps: &[Mapping], symbols: &mut symbols::Symbols<'_>) -> Frame {
    let mut frame = Frame { address, ..Frame::default() };
    let wanted = if innermost { address } else { address.saturating_sub(1) };
    let Some(mapping) = maps.iter().find(|m| (m.start..m.end).contains(&wanted)) else { return frame };
    let offset = (wanted - mapping.start).saturating_add(mapping.offset);
    let back = address - wanted;
    frame.module = Some(mapping.path.clone());
    frame.module_offset = Some(offset.saturating_add(back));
    if let Some((function, start)) = symbols.find(&mapping.path, offset) {
        frame.function = Some(clean(function.as_bytes()));
        frame.function_offset = Some(start.saturating_add(back));
    }
    frame
}

/// The file mappings in a text like `/proc/PID/maps`.
fn parse_maps(text: &str) -> Vec<Mapping> {
    text.lines()
        .take(20_000)
        .filter_map(|line| {
            // start-end perms offset dev inode path
            let path = line.get(line.find('/')?..)?;
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            let offset = hex(fields.nth(1)?)?;
            Some(Mapping {
                start: hex(start)?,
                end: hex(end)?,
                offset,
                path: PathBuf::from(clean(path.as_bytes())),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_like_proc_shows_them() {
        let text = "00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/db us\n\
                    7fff0000-7fff1000 rw-p 00000000 00:00 0           [stack]\nrubbish\n\
                    35b1800000-35b1820000 r-xp 00000000 08:02 135522  /usr/lib/ld.so\n";
        let maps = parse_maps(text);
        assert_eq!(maps.len(), 2);
        assert_eq!(
            maps[0],
            Mapping { start: 0x40_0000, end: 0x45_2000, offset: 0x1000, path: "/usr/bin/db us".into() }
        );
    }

    #[test]
    fn rubbish_still_gives_a_report() {
        let mut report = Report::default();
        fill(&mut report, [7, 11, 0x10, 0x1234], b"\xff{not json", &Mounts::default());
        assert_eq!((report.signal, report.fault_address, report.backtrace.len()), (Some(11), Some(0x10), 1));
    }
}
