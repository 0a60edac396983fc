//! `postern abi` and `syscalls`: the wall, and the Linux personality behind it, from the sources that they are built
//! from.

use super::{print, print_json};
use postern_abi::calls::{Call, DIRECT, MONITOR, Transport, UPCALLS};
use postern_monitor::filter::HOST_CALLS;
use serde::Serialize;
use serde_json::json;

fn rows(calls: &[Call]) -> Vec<serde_json::Value> {
    calls
        .iter()
        .map(|call| {
            let transport = match call.transport {
                Transport::Direct => "direct",
                Transport::Monitor => "monitor",
            };
            json!({"name": call.name, "transport": transport, "summary": call.summary})
        })
        .collect()
}

/// Prints downcalls, upcalls and the host system calls of the filter.
pub fn abi(json: bool) -> anyhow::Result<()> {
    if json {
        let host: Vec<_> = HOST_CALLS
            .iter()
            .map(|call| json!({"name": call.name, "number": call.number, "why": call.why}))
            .collect();
        let downcalls: Vec<_> = rows(DIRECT).into_iter().chain(rows(MONITOR)).collect();
        return print_json(&json!({
            "version": postern_abi::VERSION,
            "downcalls": downcalls,
            "upcalls": rows(UPCALLS),
            "host_syscalls": host,
        }));
    }
    for (title, calls) in
        [("Downcalls, direct", DIRECT), ("Downcalls, by the monitor", MONITOR), ("Upcalls", UPCALLS)]
    {
        print(format_args!("{title}"))?;
        for call in calls {
            print(format_args!("  {:16} {}", call.name, call.summary))?;
        }
    }
    print(format_args!("Host system calls of the filter"))?;
    for call in HOST_CALLS {
        print(format_args!("  {:16} {}", call.name, call.why))?;
    }
    Ok(())
}

/// A row of the Linux personality.
#[derive(Serialize)]
struct Syscall {
    number: u16,
    name: &'static str,
    /// `full`, `partial`, or `refused`.
    support: &'static str,
    /// What is missing; for a refused call the errno and why.
    note: String,
}

/// Reads the rows as the library OS itself does, without its handlers.
macro_rules! syscalls {
    ($($number:literal $name:ident: $level:ident $($what:ident)::+ $($note:literal)?;)*) => {
        const ROWS: &[(u16, &str, &str, &[&str], &str)] = &[$(
            ($number, stringify!($name), stringify!($level), &[$(stringify!($what)),+], concat!("" $(, $note)?)),
        )*];
    };
}

include!("../../../libos/linux/src/table_rows.rs");

/// Prints the table of system calls.
pub fn syscalls(json: bool) -> anyhow::Result<()> {
    let rows: Vec<Syscall> = ROWS
        .iter()
        .map(|(number, name, support, what, note)| {
            let note = match (*support, what) {
                ("refused", [errno]) => format!("{errno}: {note}"),
                _ => (*note).to_owned(),
            };
            Syscall { number: *number, name, support, note }
        })
        .collect();
    if json {
        return print_json(&rows);
    }
    for row in &rows {
        print(format_args!("{:>4} {:24} {:8} {}", row.number, row.name, row.support, row.note))?;
    }
    Ok(())
}
