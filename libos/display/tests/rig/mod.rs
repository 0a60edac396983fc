//! A scripted client and a scripted bridge around the display server.
#![allow(dead_code, reason = "not every test file uses all of it")]

pub mod checker;

use postern_channel::{self as msg, Message};
use postern_display::wire::Writer;
use postern_display::{ClientError, ClientId, Display, Platform};
use std::collections::VecDeque;

/// A platform whose files are numbers. Each can be a pool of 1 MiB: those below 90 as they are, those up to 98 as a copy.
#[derive(Default)]
pub struct Mock {
    pub written: Vec<(u32, Vec<u8>, bool)>,
    pub unwritten: Vec<u32>,
    pub collectable: Vec<u32>,
    pub uncollected: Vec<u32>,
    pub closed: Vec<u32>,
}

impl Platform for Mock {
    type File = u32;
    type Handle = u32;

    fn pool_memory(&mut self, file: &u32) -> Option<(u32, u64)> {
        (*file < 90).then_some((*file, 1 << 20))
    }

    fn copied_memory(&mut self, file: &u32, size: u64, known: Option<&u32>) -> Option<u32> {
        (*file != 99 && size <= 1 << 20).then(|| known.copied().unwrap_or(file + 2000))
    }

    fn file_from_handle(&mut self, handle: &u32, _size: u32) -> Option<u32> {
        Some(handle + 1000)
    }

    fn write(&mut self, _transfer: u32, file: &u32, bytes: &[u8], last: bool) {
        self.written.push((*file, bytes.to_vec(), last));
    }

    fn stop_writing(&mut self, transfer: u32) {
        self.unwritten.push(transfer);
    }

    fn collect(&mut self, transfer: u32) -> Option<u32> {
        Some(5000 + transfer)
    }

    fn go_on_collecting(&mut self, transfer: u32) {
        self.collectable.push(transfer);
    }

    fn stop_collecting(&mut self, transfer: u32) {
        self.uncollected.push(transfer);
    }

    fn close(&mut self, file: u32) {
        self.closed.push(file);
    }
}

/// An event: object, opcode, arguments.
pub type Event = (u32, u16, Vec<u8>);

pub struct Rig {
    pub display: Display<Mock>,
    pub mock: Mock,
    pub client: ClientId,
    pub files: VecDeque<u32>,
    /// Milliseconds.
    pub now: u32,
}

impl Rig {
    pub fn new() -> Self {
        let mut rig = Self::without_seat();
        rig.bridge_says(
            &Message::Seat(
                msg::Seat { capabilities: 7, repeat_rate: 25, repeat_delay: 600, keymap_size: 8 },
                &[],
            ),
            Some(7),
        );
        rig
    }

    pub fn without_seat() -> Self {
        let mut display = Display::new();
        let client = display.connect();
        let mut rig = Self { display, mock: Mock::default(), client, files: VecDeque::new(), now: 0 };
        rig.hello();
        rig
    }

    pub fn bridge_says(&mut self, message: &Message<'_>, handle: Option<u32>) {
        let mut bytes = vec![0; msg::MAX_MESSAGE];
        let len = message.encode(&mut bytes).unwrap();
        self.display.channel_message(&mut self.mock, &bytes[..len], handle, self.now).unwrap();
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.display.receive(&mut self.mock, self.client, bytes, &mut self.files, self.now)
    }

    pub fn request(&mut self, object: u32, opcode: u16, words: &[u32]) {
        let mut bytes = Vec::new();
        drop(words.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word)));
        self.try_send(&bytes).unwrap();
    }

    pub fn bind(&mut self, name: u32, interface: &str, version: u32, new: u32) {
        let mut bytes = Vec::new();
        drop(Writer::new(&mut bytes, 2, 0).u32(name).string(interface.as_bytes()).u32(version).u32(new));
        self.try_send(&bytes).unwrap();
    }

    pub fn events(&mut self) -> Vec<Event> {
        let (bytes, _) = self.display.take_events(self.client, usize::MAX);
        let mut events = Vec::new();
        let mut rest = bytes.as_slice();
        while rest.len() >= 8 {
            let object = u32::from_ne_bytes(rest[..4].try_into().unwrap());
            let word = u32::from_ne_bytes(rest[4..8].try_into().unwrap());
            let len = (word >> 16) as usize;
            events.push((object, (word & 0xffff) as u16, rest[8..len].to_vec()));
            rest = &rest[len..];
        }
        events
    }

    pub fn commits(&mut self) -> Vec<msg::Commit> {
        let mut commits = Vec::new();
        while let Some(out) = self.display.take_channel() {
            if let Ok(Message::Commit(commit, _)) = Message::decode(&out.bytes) {
                commits.push(commit);
            }
        }
        commits
    }

    /// A request with words, a string, and words after it.
    pub fn request_text(&mut self, object: u32, opcode: u16, before: &[u32], text: &str, after: &[u32]) {
        let mut bytes = Vec::new();
        let writer = before.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word));
        drop(after.iter().fold(writer.string(text.as_bytes()), |w, word| w.u32(*word)));
        self.try_send(&bytes).unwrap();
    }

    /// The messages to the bridge that wait.
    pub fn messages(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.sent()).collect()
    }

    /// Registry 2, compositor 3, shm 4, wm_base 5, seat 6; surface 10, xdg_surface 11, toplevel 12; pool 20 with
    /// buffer 21.
    pub fn window(&mut self) {
        self.window_of(2);
    }

    /// As [`Rig::window`], with this version of xdg_wm_base.
    pub fn window_of(&mut self, version: u32) {
        self.request(1, 1, &[2]);
        self.bind(1, "wl_compositor", 4, 3);
        self.bind(3, "wl_shm", 1, 4);
        self.bind(4, "xdg_wm_base", version, 5);
        self.bind(5, "wl_seat", 7, 6);
        self.request(3, 0, &[10]);
        self.request(5, 2, &[11, 10]);
        self.request(11, 1, &[12]);
        self.files.push_back(50);
        self.request(4, 0, &[20, 65536]);
        self.request(20, 0, &[21, 0, 64, 64, 256, 1]);
    }

    /// Maps the window of [`Rig::window`].
    pub fn map(&mut self) {
        self.window();
        self.request(10, 6, &[]);
        let surface = self.commits()[0].surface;
        self.configure(surface, 77);
        self.request(11, 4, &[77]);
        self.request(10, 1, &[21, 0, 0]);
        self.request(10, 6, &[]);
    }

    pub fn configure(&mut self, surface: u32, serial: u32) {
        let configure = msg::Configure {
            surface,
            serial,
            width: 640,
            height: 480,
            states: msg::State::ACTIVATED,
            ..Default::default()
        };
        self.bridge_says(&Message::Configure(configure, &[]), None);
    }

    /// The next message to the bridge, copied out of its datagram.
    pub fn sent(&mut self) -> Option<Vec<u8>> {
        Some(self.display.take_channel()?.bytes)
    }

    pub fn commit(&mut self, surface: u32) {
        self.request(surface, 6, &[]);
    }

    pub fn attach(&mut self, surface: u32, buffer: u32) {
        self.request(surface, 1, &[buffer, 0, 0]);
    }

    pub fn hello(&mut self) {
        self.bridge_says(
            &Message::Hello(
                msg::Hello { version: 1, features: msg::Feature::ALL, ..Default::default() },
                &[],
            ),
            None,
        );
    }

    pub fn release(&mut self, buffer: u32) {
        self.bridge_says(&Message::BufferRelease(msg::BufferRelease { buffer }, &[]), None);
    }

    pub fn output(&mut self, output: u32) {
        let output = msg::Output {
            output,
            scale: 1,
            fraction: 120,
            transform: 0,
            mode: [1280, 800],
            refresh: 60_000,
            subpixel: 0,
            physical: [300, 200],
            logical: msg::Rect { x: 0, y: 0, width: 1280, height: 800 },
            name: [0; 32],
        };
        self.bridge_says(&Message::Output(output, &[]), None);
    }

    /// The bridge says where a surface is.
    pub fn frame_event(&mut self, surface: u32, event: u32, output: u32) {
        let frame = msg::Frame { surface, event, output, ..Default::default() };
        self.bridge_says(&Message::Frame(frame, &[]), None);
    }

    /// A request with one string before the words.
    pub fn request_string(&mut self, object: u32, opcode: u16, text: &str, words: &[u32]) {
        self.request_text(object, opcode, &[], text, words);
    }

    /// Sends a request that must end the client, and returns the object and the code of the error.
    pub fn refused(&mut self, object: u32, opcode: u16, words: &[u32]) -> (u32, u32) {
        self.events();
        let mut bytes = Vec::new();
        drop(words.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word)));
        assert_eq!(self.try_send(&bytes), Err(ClientError::Protocol), "{object} {opcode} {words:?} passed");
        let events = self.events();
        let error = events.iter().find(|e| e.0 == 1 && e.1 == 0).expect("wl_display.error");
        (word(&error.2, 0), word(&error.2, 1))
    }

    /// All that waits for the bridge, forgotten.
    pub fn forget(&mut self) {
        while self.sent().is_some() {}
        self.events();
    }
}

/// An argument of an event.
pub fn word(arguments: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(arguments[at * 4..at * 4 + 4].try_into().unwrap())
}
