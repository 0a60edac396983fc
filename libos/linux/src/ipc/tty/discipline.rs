//! The line discipline (N_TTY): what a terminal does between the keys and the program. Pure: bytes in, bytes and
//! signals out.

use super::termios::{Termios, cc, input, local, output};
use crate::Result;
use crate::io::Sink;
use crate::ipc::ring::Ring;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most bytes of input that wait for the program.
const MAX_INPUT: usize = 4096;
const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGTSTP: u32 = 20;
const TAB: usize = 8;

/// What input leads to, besides bytes for the program.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Bytes to show (already processed for output).
    pub echo: Vec<u8>,
    /// Signals for the foreground process group.
    pub signals: Vec<u32>,
    /// Output that waits must be dropped.
    pub flush_output: bool,
    /// A signal character dropped the input that waited.
    pub flushed_input: bool,
}

/// State of a line discipline.
#[derive(Debug, Default)]
pub struct Discipline {
    /// Attributes.
    pub termios: Termios,
    /// Bytes that the program can read.
    ready: Ring,
    /// In canonical mode: lengths of the lines in `ready`.
    lines: VecDeque<usize>,
    /// The line being edited.
    line: Vec<u8>,
    /// The next character is taken literally.
    literal: bool,
    /// Output was stopped by the STOP character.
    pub stopped: bool,
    /// Cursor column.
    column: usize,
    /// Cursor column where the edited line began.
    line_column: usize,
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

impl Discipline {
    fn has(&self, bit: u32) -> bool {
        self.termios.lflag & bit != 0
    }

    fn is(&self, byte: u8, index: usize) -> bool {
        self.termios.control(index) == Some(byte)
    }

    /// Replaces the attributes.
    pub fn set(&mut self, termios: Termios) {
        let was = self.has(local::ICANON);
        self.termios = termios;
        let is = self.has(local::ICANON);
        if was && !is {
            self.ready.push(&core::mem::take(&mut self.line));
            self.lines.clear();
        } else if is && !was {
            self.lines.clear();
            if !self.ready.is_empty() {
                self.lines.push_back(self.ready.len());
            }
        }
        if self.termios.iflag & input::IXON == 0 {
            self.stopped = false;
        }
    }

    /// Drops all input.
    pub fn flush_input(&mut self) {
        self.ready.clear();
        self.lines.clear();
        self.line.clear();
        self.literal = false;
    }

    /// Bytes of input that can be taken in.
    #[must_use]
    pub fn room(&self) -> usize {
        // While no line is complete more must be let in, or no line ever will be; what is too much is dropped.
        if self.has(local::ICANON) && self.lines.is_empty() {
            return MAX_INPUT;
        }
        MAX_INPUT.saturating_sub(self.ready.len() + self.line.len())
    }

    /// Bytes that a read can get now.
    #[must_use]
    pub fn available(&self) -> usize {
        if self.has(local::ICANON) { self.lines.front().copied().unwrap_or(0) } else { self.ready.len() }
    }

    /// Whether a read would return (in canonical mode: a line or an end of file is there).
    #[must_use]
    pub fn is_readable(&self) -> bool {
        if self.has(local::ICANON) {
            return !self.lines.is_empty();
        }
        let (min, time) = (self.termios.number(cc::MIN), self.termios.number(cc::TIME));
        self.ready.len() >= if time == 0 { min.max(1) } else { 1 }
    }

    /// Gives the program what it can get: at most one line in canonical mode.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read(&mut self, sink: &mut Sink<'_>) -> Result<usize> {
        if !self.has(local::ICANON) {
            return self.ready.drain(sink, usize::MAX);
        }
        let Some(len) = self.lines.front().copied() else { return Ok(0) };
        let count = self.ready.drain(sink, len)?;
        if count >= len {
            self.lines.pop_front();
        } else if let Some(len) = self.lines.front_mut() {
            *len -= count;
        }
        Ok(count)
    }

    /// Takes in bytes from the keyboard.
    pub fn input(&mut self, bytes: &[u8]) -> Reaction {
        let mut reaction = Reaction::default();
        for byte in bytes {
            self.key(*byte, &mut reaction);
        }
        reaction
    }

    fn key(&mut self, byte: u8, out: &mut Reaction) {
        let iflag = self.termios.iflag;
        let mut byte = if iflag & input::ISTRIP != 0 { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal) {
            self.accept(byte, out);
            return;
        }
        if iflag & input::IXON != 0 {
            if self.is(byte, cc::START) {
                self.stopped = false;
                return;
            }
            if self.is(byte, cc::STOP) {
                self.stopped = true;
                return;
            }
            if iflag & input::IXANY != 0 {
                self.stopped = false;
            }
        }
        if self.has(local::ISIG) {
            for (index, signal) in [(cc::INTR, SIGINT), (cc::QUIT, SIGQUIT), (cc::SUSP, SIGTSTP)] {
                if self.is(byte, index) {
                    self.signal(byte, signal, out);
                    return;
                }
            }
        }
        match byte {
            b'\r' if iflag & input::IGNCR != 0 => return,
            b'\r' if iflag & input::ICRNL != 0 => byte = b'\n',
            b'\n' if iflag & input::INLCR != 0 => byte = b'\r',
            _ => {}
        }
        if self.has(local::ICANON) && self.edit(byte, out) {
            return;
        }
        self.accept(byte, out);
    }

    fn signal(&mut self, byte: u8, signal: u32, out: &mut Reaction) {
        if !self.has(local::NOFLSH) {
            self.flush_input();
            out.flush_output = true;
            out.flushed_input = true;
            out.echo.clear();
        }
        if self.termios.iflag & input::IXON != 0 {
            self.stopped = false;
        }
        self.echo(byte, out);
        out.signals.push(signal);
    }

    /// Editing characters of canonical mode. Returns whether `byte` was one.
    fn edit(&mut self, byte: u8, out: &mut Reaction) -> bool {
        let extended = self.has(local::IEXTEN);
        if self.is(byte, cc::ERASE) {
            self.erase_character(byte, out);
        } else if extended && self.is(byte, cc::WERASE) {
            self.erase_word(byte, out);
        } else if self.is(byte, cc::KILL) {
            self.kill_line(byte, out);
        } else if extended && self.is(byte, cc::LNEXT) {
            self.literal = true;
            if self.has(local::ECHO) && self.has(local::ECHOCTL) {
                self.show(b"^\x08", out);
            }
        } else if extended && self.has(local::ECHO) && self.is(byte, cc::REPRINT) {
            self.echo(byte, out);
            self.show(b"\n", out);
            self.line_column = self.column;
            for byte in self.line.clone() {
                self.echo(byte, out);
            }
        } else if byte == b'\n' {
            if self.has(local::ECHO) || self.has(local::ECHONL) {
                self.show(b"\n", out);
            }
            self.line.push(byte);
            self.complete();
        } else if self.is(byte, cc::EOF) {
            self.complete();
        } else if self.is(byte, cc::EOL) || (extended && self.is(byte, cc::EOL2)) {
            self.echo(byte, out);
            self.line.push(byte);
            self.complete();
        } else {
            return false;
        }
        true
    }

    fn complete(&mut self) {
        self.ready.push(&self.line);
        self.lines.push_back(self.line.len());
        self.line.clear();
        self.line_column = self.column;
    }

    /// An ordinary character.
    fn accept(&mut self, byte: u8, out: &mut Reaction) {
        let canonical = self.has(local::ICANON);
        let full = self.ready.len() + self.line.len() >= MAX_INPUT - usize::from(canonical);
        if full {
            if self.termios.iflag & input::IMAXBEL != 0 {
                out.echo.push(7);
            }
            return;
        }
        if canonical && self.line.is_empty() {
            self.line_column = self.column;
        }
        if self.has(local::ECHO) {
            if byte == b'\n' {
                self.show(b"\n", out);
            } else {
                self.echo(byte, out);
            }
        }
        let marked = byte == 0xff && self.termios.iflag & (input::PARMRK | input::ISTRIP) == input::PARMRK;
        let bytes = [byte, byte];
        let bytes = if marked { &bytes[..] } else { &bytes[..1] };
        if canonical {
            self.line.extend_from_slice(bytes);
        } else {
            self.ready.push(bytes);
        }
    }

    /// Columns that `byte` takes when echoed at `column`.
    fn width(&self, byte: u8, column: usize) -> usize {
        match byte {
            b'\t' => TAB - column % TAB,
            0..0x20 | 0x7f if self.has(local::ECHOCTL) => 2,
            0..0x20 | 0x7f => 0,
            _ if self.termios.iflag & input::IUTF8 != 0 && is_continuation(byte) => 0,
            _ => 1,
        }
    }

    /// Takes the last character off the line; returns the columns it took.
    fn pop_character(&mut self) -> Option<usize> {
        let mut last = self.line.pop()?;
        if self.termios.iflag & input::IUTF8 != 0 {
            while is_continuation(last) {
                match self.line.pop() {
                    Some(byte) => last = byte,
                    None => break,
                }
            }
        }
        let mut column = self.line_column;
        for byte in &self.line {
            column += self.width(*byte, column);
        }
        Some(self.width(last, column))
    }

    fn rub_out(&mut self, columns: usize, out: &mut Reaction) {
        for _ in 0..columns {
            self.show(b"\x08 \x08", out);
        }
    }

    fn erase_character(&mut self, byte: u8, out: &mut Reaction) {
        let tab = self.line.last() == Some(&b'\t');
        let Some(columns) = self.pop_character() else { return };
        if !self.has(local::ECHO) {
            return;
        }
        if !self.has(local::ECHOE) {
            self.echo(byte, out);
        } else if tab {
            // A tab left nothing to be blanked.
            for _ in 0..columns {
                self.show(b"\x08", out);
            }
        } else {
            self.rub_out(columns, out);
        }
    }

    fn erase_word(&mut self, byte: u8, out: &mut Reaction) {
        let mut seen = false;
        while let Some(last) = self.line.last().copied() {
            let word = last.is_ascii_alphanumeric() || last == b'_' || last >= 0x80;
            if seen && !word {
                break;
            }
            seen |= word;
            self.erase_character(byte, out);
        }
    }

    fn kill_line(&mut self, byte: u8, out: &mut Reaction) {
        if !self.has(local::ECHO) {
            self.line.clear();
        } else if self.has(local::ECHOK) && self.has(local::ECHOKE) && self.has(local::ECHOE) {
            while !self.line.is_empty() {
                self.erase_character(byte, out);
            }
        } else {
            self.line.clear();
            self.echo(byte, out);
            if self.has(local::ECHOK) {
                self.show(b"\n", out);
            }
        }
    }

    /// Echoes a character, control characters as `^X`.
    fn echo(&mut self, byte: u8, out: &mut Reaction) {
        if !self.has(local::ECHO) {
            return;
        }
        if self.has(local::ECHOCTL) && (byte < 0x20 || byte == 0x7f) && byte != b'\t' {
            self.show(&[b'^', byte ^ 0x40], out);
        } else {
            self.show(&[byte], out);
        }
    }

    fn show(&mut self, bytes: &[u8], out: &mut Reaction) {
        for byte in bytes {
            self.put(*byte, &mut out.echo);
        }
    }

    /// Processes what the program writes.
    pub fn output(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.termios.oflag & output::OPOST == 0 {
            out.extend_from_slice(bytes);
            return;
        }
        for byte in bytes {
            self.put(*byte, out);
        }
    }

    fn put(&mut self, byte: u8, out: &mut Vec<u8>) {
        let flags = self.termios.oflag;
        if flags & output::OPOST == 0 {
            out.push(byte);
            return;
        }
        match byte {
            b'\n' => {
                if flags & output::ONLCR != 0 {
                    out.push(b'\r');
                }
                if flags & (output::ONLCR | output::ONLRET) != 0 {
                    self.column = 0;
                }
                out.push(b'\n');
            }
            b'\r' => {
                if flags & output::ONOCR != 0 && self.column == 0 {
                    return;
                }
                if flags & output::OCRNL != 0 {
                    if flags & output::ONLRET != 0 {
                        self.column = 0;
                    }
                    out.push(b'\n');
                } else {
                    self.column = 0;
                    out.push(b'\r');
                }
            }
            b'\t' => {
                let columns = TAB - self.column % TAB;
                self.column += columns;
                if flags & output::TABDLY == output::XTABS {
                    out.resize(out.len() + columns, b' ');
                } else {
                    out.push(b'\t');
                }
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                out.push(byte);
            }
            _ => {
                let byte = if flags & output::OLCUC != 0 { byte.to_ascii_uppercase() } else { byte };
                let continuation = self.termios.iflag & input::IUTF8 != 0 && is_continuation(byte);
                if byte >= 0x20 && byte != 0x7f && !continuation {
                    self.column += 1;
                }
                out.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tty: &mut Discipline) -> Vec<u8> {
        let mut buf = [0; 100];
        let count = tty.read(&mut Sink::Kernel(&mut buf, 0)).unwrap();
        buf[..count].to_vec()
    }

    #[test]
    fn a_line_is_readable_when_it_is_complete() {
        let mut tty = Discipline::default();
        assert_eq!(tty.input(b"ab").echo, b"ab");
        assert!(!tty.is_readable());
        assert_eq!(tty.input(b"c\rnext").echo, b"c\r\nnext");
        assert!(tty.is_readable());
        assert_eq!(read(&mut tty), b"abc\n");
        assert!(!tty.is_readable());
    }

    #[test]
    fn editing_characters_edit_and_rub_out() {
        let mut tty = Discipline::default();
        assert_eq!(tty.input(b"ax\x7f").echo, b"ax\x08 \x08");
        assert_eq!(tty.input(b"\x01\x7f").echo, b"^A\x08 \x08\x08 \x08");
        tty.input(b" one two\x17\n");
        assert_eq!(read(&mut tty), b"a one \n");
        assert_eq!(tty.input(b"zz\x15").echo, b"zz\x08 \x08\x08 \x08");
        tty.input(b"\x16\x03\n");
        assert_eq!(read(&mut tty), b"\x03\n");
    }

    #[test]
    fn end_of_file_gives_what_is_there_and_then_nothing() {
        let mut tty = Discipline::default();
        tty.input(b"ab\x04\x04");
        assert_eq!(read(&mut tty), b"ab");
        assert!(tty.is_readable());
        assert_eq!(read(&mut tty), b"");
        assert!(!tty.is_readable());
    }

    #[test]
    fn interrupt_flushes_echoes_and_signals() {
        let mut tty = Discipline::default();
        let reaction = tty.input(b"half\x03");
        assert_eq!((reaction.echo.as_slice(), reaction.signals.as_slice()), (&b"^C"[..], &[2][..]));
        tty.input(b"new\n");
        assert_eq!(read(&mut tty), b"new\n");
    }

    #[test]
    fn raw_mode_passes_everything() {
        let mut tty = Discipline::default();
        let mut raw = tty.termios;
        raw.lflag = 0;
        raw.iflag = 0;
        raw.oflag = 0;
        tty.set(raw);
        let reaction = tty.input(b"\x03\r\x7f");
        assert_eq!(reaction, Reaction::default());
        assert_eq!(read(&mut tty), b"\x03\r\x7f");
        let mut out = Vec::new();
        tty.output(b"a\n", &mut out);
        assert_eq!(out, b"a\n");
    }

    #[test]
    fn what_was_typed_before_a_change_of_mode_is_kept() {
        let mut tty = Discipline::default();
        tty.input(b"abc");
        let cooked = tty.termios;
        let mut raw = cooked;
        raw.lflag &= !local::ICANON;
        tty.set(raw);
        assert!(tty.is_readable());
        tty.set(cooked);
        assert_eq!(read(&mut tty), b"abc");
    }

    #[test]
    fn minimum_counts_without_a_timer() {
        let mut tty = Discipline::default();
        let mut raw = tty.termios;
        raw.lflag = 0;
        raw.controls[cc::MIN] = 3;
        tty.set(raw);
        tty.input(b"ab");
        assert!(!tty.is_readable());
        tty.input(b"c");
        assert!(tty.is_readable());
    }

    #[test]
    fn output_is_processed_with_columns() {
        let mut tty = Discipline::default();
        tty.termios.oflag |= output::XTABS;
        let mut out = Vec::new();
        tty.output(b"ab\tc\n\td", &mut out);
        assert_eq!(out, b"ab      c\r\n        d");
    }

    #[test]
    fn stop_and_start_characters_stop_and_start() {
        let mut tty = Discipline::default();
        tty.input(b"\x13");
        assert!(tty.stopped);
        tty.input(b"\x11");
        assert!(!tty.stopped);
    }

    #[test]
    fn utf8_characters_are_erased_whole() {
        let mut tty = Discipline::default();
        tty.termios.iflag |= input::IUTF8;
        tty.input("aé".as_bytes());
        assert_eq!(tty.input(b"\x7f").echo, b"\x08 \x08");
        tty.input(b"\n");
        assert_eq!(read(&mut tty), b"a\n");
    }
}
