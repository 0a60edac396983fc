//! The table of system calls, from the rows in `table_rows.rs`.

use crate::Errno;
use crate::call::Handler;

/// How well a call is supported.
#[derive(Clone, Copy, Debug)]
pub enum Support {
    /// As Linux has it.
    Full,
    /// With something missing; the note says what.
    Partial(&'static str),
    /// Always answers this error.
    Refused(Errno, &'static str),
}

/// One system call.
#[derive(Clone, Copy)]
pub struct Row {
    /// Number.
    pub number: u16,
    /// Name.
    pub name: &'static str,
    /// Support level.
    pub support: Support,
    /// Handler; `None` for refused calls.
    pub handler: Option<Handler>,
}

macro_rules! syscalls {
    ($($number:literal $name:ident: $level:ident $($what:ident)::+ $($note:literal)?;)*) => {
        /// All rows in order of number.
        pub static ROWS: &[Row] = &[$({
            let (support, handler) = syscalls!(@support $level $($what)::+ $(, $note)?);
            Row { number: $number, name: stringify!($name), support, handler }
        },)*];
    };
    (@support full $handler:path) => { (Support::Full, Some($handler as Handler)) };
    (@support partial $handler:path, $note:literal) => { (Support::Partial($note), Some($handler as Handler)) };
    (@support refused $errno:ident, $note:literal) => { (Support::Refused(Errno::$errno, $note), None) };
}

include!("table_rows.rs");

const SIZE: usize = 512;

/// Handlers by number.
static DISPATCH: [Option<Handler>; SIZE] = {
    let mut table = [None; SIZE];
    let mut i = 0;
    while i < ROWS.len() {
        table[ROWS[i].number as usize] = ROWS[i].handler;
        i += 1;
    }
    table
};

/// The handler of a call, if there is one.
#[inline]
#[must_use]
pub fn handler(number: u64) -> Option<Handler> {
    usize::try_from(number).ok().and_then(|n| DISPATCH.get(n)).copied().flatten()
}

/// The row of a call.
#[must_use]
pub fn row(number: u64) -> Option<&'static Row> {
    let number = u16::try_from(number).ok()?;
    ROWS.binary_search_by_key(&number, |row| row.number).ok().and_then(|at| ROWS.get(at))
}

/// What a refused or unknown call answers.
#[must_use]
pub fn refusal(number: u64) -> Errno {
    match row(number).map(|row| row.support) {
        Some(Support::Refused(errno, _)) => errno,
        _ => Errno::ENOSYS,
    }
}
