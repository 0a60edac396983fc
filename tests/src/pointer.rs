//! A virtual pointer: a headless seat has no pointer until a client makes one (`zwlr_virtual_pointer_v1`). Spoken in raw
//! Wayland messages, which is all that this needs.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Object ids, in the order in which they are made.
const REGISTRY: u32 = 2;
const SYNC: u32 = 3;
const MANAGER: u32 = 4;
const POINTER: u32 = 5;
/// Linux input code of the left button.
pub const LEFT: u32 = 0x110;
/// Linux input code of the right button.
pub const RIGHT: u32 = 0x111;

/// A pointer in a session. It goes with its connection.
pub struct Pointer {
    socket: UnixStream,
    start: Instant,
    extent: (u32, u32),
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(value.len() + 1).unwrap_or(0).to_ne_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes.resize(4 + (value.len() / 4 + 1) * 4, 0);
    bytes
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

impl Pointer {
    /// Makes a pointer for an output of `extent` pixels.
    ///
    /// # Errors
    /// If the compositor cannot be reached or offers no virtual pointers.
    pub fn connect(socket: &Path, extent: (u32, u32)) -> io::Result<Self> {
        let mut pointer = Self { socket: UnixStream::connect(socket)?, start: Instant::now(), extent };
        pointer.socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        pointer.request(1, 1, &words(&[REGISTRY]))?;
        pointer.request(1, 0, &words(&[SYNC]))?;
        let name = pointer.global("zwlr_virtual_pointer_manager_v1")?;
        let mut bind = words(&[name]);
        bind.extend(text("zwlr_virtual_pointer_manager_v1"));
        bind.extend(words(&[1, MANAGER]));
        pointer.request(REGISTRY, 0, &bind)?;
        pointer.request(MANAGER, 0, &words(&[0, POINTER]))?;
        pointer.move_to(5, 5)?;
        Ok(pointer)
    }

    fn request(&mut self, object: u32, opcode: u32, body: &[u8]) -> io::Result<()> {
        let size = u32::try_from(8 + body.len()).map_err(io::Error::other)?;
        let mut bytes = words(&[object, size << 16 | opcode]);
        bytes.extend(body);
        self.socket.write_all(&bytes)
    }

    /// Reads the globals and returns the name of the one wanted.
    fn global(&mut self, wanted: &str) -> io::Result<u32> {
        let mut found = None;
        loop {
            let mut head = [0; 8];
            self.socket.read_exact(&mut head)?;
            let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|i| head[at + i]));
            let (object, size) = (word(0), word(4) >> 16);
            let mut body = vec![0; usize::try_from(size).unwrap_or(8).saturating_sub(8)];
            self.socket.read_exact(&mut body)?;
            if object == SYNC {
                return found.ok_or_else(|| io::Error::other(format!("the compositor has no {wanted}")));
            }
            if object == REGISTRY && body.get(8..8 + wanted.len()) == Some(wanted.as_bytes()) {
                found = body.first_chunk().map(|name| u32::from_ne_bytes(*name));
            }
        }
    }

    fn time(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_millis()).unwrap_or(0)
    }

    fn frame(&mut self) -> io::Result<()> {
        self.request(POINTER, 4, &[])
    }

    /// Moves to a place of the output.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn move_to(&mut self, x: u32, y: u32) -> io::Result<()> {
        let body = words(&[self.time(), x, y, self.extent.0, self.extent.1]);
        self.request(POINTER, 1, &body)?;
        self.frame()
    }

    /// Presses or releases a button.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn button(&mut self, code: u32, down: bool) -> io::Result<()> {
        let body = words(&[self.time(), code, u32::from(down)]);
        self.request(POINTER, 2, &body)?;
        self.frame()
    }

    /// Moves somewhere and clicks.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn click(&mut self, x: u32, y: u32, code: u32) -> io::Result<()> {
        self.move_to(x, y)?;
        pause(150);
        self.button(code, true)?;
        pause(60);
        self.button(code, false)?;
        pause(60);
        Ok(())
    }

    /// Turns the wheel by notches; down is positive.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn scroll(&mut self, notches: i32) -> io::Result<()> {
        self.request(POINTER, 5, &words(&[1]))?;
        let mut body = words(&[self.time(), 0]);
        body.extend((notches * 15 * 256).to_ne_bytes());
        self.request(POINTER, 3, &body)?;
        self.frame()
    }
}

/// The time that a hand takes.
fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}
