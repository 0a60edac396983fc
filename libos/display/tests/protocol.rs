//! Scripted clients and a scripted bridge against the display server: the rules whose breach made other servers go
//! quiet, and bad input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

use postern_channel::{self as msg, CommitFlag, Message};
use postern_display::wire::Writer;
use postern_display::{ClientError, ClientId, Display, Platform};
use std::collections::VecDeque;

/// A platform whose files are numbers and whose every file can be a pool of 1 MiB.
#[derive(Default)]
struct Mock {
    written: Vec<(u32, Vec<u8>, bool)>,
}

impl Platform for Mock {
    type File = u32;
    type Handle = u32;

    fn pool_memory(&mut self, file: &u32) -> Option<(u32, u64)> {
        (*file != 99).then_some((*file, 1 << 20))
    }

    fn file_from_handle(&mut self, handle: &u32, _size: u32) -> Option<u32> {
        Some(handle + 1000)
    }

    fn write(&mut self, file: &u32, bytes: &[u8], last: bool) {
        self.written.push((*file, bytes.to_vec(), last));
    }

    fn collect(&mut self, transfer: u32) -> Option<u32> {
        Some(5000 + transfer)
    }
}

/// An event: object, opcode, arguments.
type Event = (u32, u16, Vec<u8>);

struct Rig {
    display: Display<Mock>,
    mock: Mock,
    client: ClientId,
    files: VecDeque<u32>,
}

impl Rig {
    fn new() -> Self {
        let mut display = Display::new();
        let client = display.connect();
        let mut rig = Self { display, mock: Mock::default(), client, files: VecDeque::new() };
        rig.bridge_says(&Message::Hello(msg::Hello { version: 1 }, &[]), None);
        rig.bridge_says(
            &Message::Seat(
                msg::Seat { capabilities: 3, repeat_rate: 25, repeat_delay: 600, keymap_size: 8 },
                &[],
            ),
            Some(7),
        );
        rig
    }

    fn bridge_says(&mut self, message: &Message<'_>, handle: Option<u32>) {
        let mut bytes = vec![0; msg::MAX_MESSAGE];
        let len = message.encode(&mut bytes).unwrap();
        self.display.channel_message(&mut self.mock, &bytes[..len], handle, 0).unwrap();
    }

    fn try_send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.display.receive(&mut self.mock, self.client, bytes, &mut self.files, 0)
    }

    fn request(&mut self, object: u32, opcode: u16, words: &[u32]) {
        let mut bytes = Vec::new();
        drop(words.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word)));
        self.try_send(&bytes).unwrap();
    }

    fn bind(&mut self, name: u32, interface: &str, version: u32, new: u32) {
        let mut bytes = Vec::new();
        drop(Writer::new(&mut bytes, 2, 0).u32(name).string(interface.as_bytes()).u32(version).u32(new));
        self.try_send(&bytes).unwrap();
    }

    fn events(&mut self) -> Vec<Event> {
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

    fn commits(&mut self) -> Vec<msg::Commit> {
        let mut commits = Vec::new();
        while let Some(out) = self.display.take_channel() {
            if let Ok(Message::Commit(commit, _)) = Message::decode(&out.bytes) {
                commits.push(commit);
            }
        }
        commits
    }

    /// Registry 2, compositor 3, shm 4, wm_base 5, seat 6; surface 10, xdg_surface 11, toplevel 12; pool 20 with
    /// buffer 21.
    fn window(&mut self) {
        self.request(1, 1, &[2]);
        self.bind(1, "wl_compositor", 4, 3);
        self.bind(3, "wl_shm", 1, 4);
        self.bind(4, "xdg_wm_base", 2, 5);
        self.bind(5, "wl_seat", 7, 6);
        self.request(3, 0, &[10]);
        self.request(5, 2, &[11, 10]);
        self.request(11, 1, &[12]);
        self.files.push_back(50);
        self.request(4, 0, &[20, 65536]);
        self.request(20, 0, &[21, 0, 64, 64, 256, 1]);
    }

    /// Maps the window of [`Rig::window`].
    fn map(&mut self) {
        self.window();
        self.request(10, 6, &[]);
        let surface = self.commits()[0].surface;
        self.configure(surface, 77);
        self.request(11, 4, &[77]);
        self.request(10, 1, &[21, 0, 0]);
        self.request(10, 6, &[]);
    }

    fn configure(&mut self, surface: u32, serial: u32) {
        let configure = msg::Configure {
            surface,
            serial,
            width: 640,
            height: 480,
            x: 0,
            y: 0,
            states: msg::State::ACTIVATED,
            token: 0,
            bounds: [0, 0],
            server_decoration: 0,
        };
        self.bridge_says(&Message::Configure(configure, &[]), None);
    }
}

#[test]
fn the_first_configure_answers_the_first_commit() {
    let mut rig = Rig::new();
    rig.window();
    assert!(rig.commits().is_empty(), "nothing is shown before a commit");
    assert!(!rig.events().iter().any(|e| e.0 == 11), "no configure before the commit");
    rig.request(10, 6, &[]);
    let commit = rig.commits()[0];
    assert_eq!(commit.role, msg::Role::TOPLEVEL);
    assert_eq!(commit.flags & CommitFlag::BUFFER, 0);
    rig.configure(commit.surface, 77);
    let events = rig.events();
    let toplevel = events.iter().position(|e| e.0 == 12 && e.1 == 0).expect("xdg_toplevel.configure");
    let surface = events.iter().position(|e| e.0 == 11 && e.1 == 0).expect("xdg_surface.configure");
    assert!(toplevel < surface);
    assert_eq!(events[surface].2, 77u32.to_ne_bytes());
}

#[test]
fn a_buffer_goes_out_with_its_pool_and_comes_back_by_release() {
    let mut rig = Rig::new();
    rig.map();
    let commit = rig.commits().pop().unwrap();
    assert_eq!((commit.width, commit.height, commit.stride, commit.acked), (64, 64, 256, 77));
    rig.events();
    rig.bridge_says(&Message::BufferRelease(msg::BufferRelease { buffer: commit.buffer }, &[]), None);
    assert!(rig.events().iter().any(|e| e.0 == 21 && e.1 == 0), "wl_buffer.release");
}

#[test]
fn every_frame_callback_is_answered_once() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(10, 3, &[30]);
    rig.request(10, 3, &[31]);
    rig.request(10, 6, &[]);
    let surface = rig.commits().pop().unwrap().surface;
    rig.events();
    rig.bridge_says(&Message::Frame(msg::Frame { surface, time: 5 }, &[]), None);
    let done: Vec<u32> =
        rig.events().iter().filter(|e| e.1 == 0 && (e.0 == 30 || e.0 == 31)).map(|e| e.0).collect();
    assert_eq!(done, [30, 31]);
    rig.bridge_says(&Message::Frame(msg::Frame { surface, time: 6 }, &[]), None);
    assert!(rig.events().is_empty());
}

#[test]
fn hidden_windows_still_get_frames_slowly() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(10, 3, &[30]);
    rig.request(10, 6, &[]);
    rig.events();
    assert!(rig.display.next_timeout().is_some());
    rig.display.tick(5000);
    assert!(rig.events().iter().any(|e| e.0 == 30));
    assert_eq!(rig.display.next_timeout(), None);
}

#[test]
fn synchronised_subsurfaces_wait_for_their_parent() {
    let mut rig = Rig::new();
    rig.map();
    rig.bind(2, "wl_subcompositor", 1, 7);
    rig.request(3, 0, &[40]);
    rig.request(7, 1, &[41, 40, 10]);
    rig.commits();
    rig.request(40, 1, &[21, 0, 0]);
    rig.request(40, 6, &[]);
    assert!(rig.commits().is_empty(), "held back");
    rig.request(10, 6, &[]);
    let commits = rig.commits();
    assert_eq!(
        commits.iter().map(|c| c.role).collect::<Vec<_>>(),
        [msg::Role::SUBSURFACE, msg::Role::TOPLEVEL]
    );
}

#[test]
fn a_new_bridge_hears_everything_again() {
    let mut rig = Rig::new();
    rig.map();
    rig.commits();
    rig.bridge_says(&Message::Hello(msg::Hello { version: 1 }, &[]), None);
    let mut kinds = Vec::new();
    while let Some(out) = rig.display.take_channel() {
        kinds.push(Message::decode(&out.bytes).unwrap().kind());
    }
    let at = |k| kinds.iter().position(|x| *x == k);
    assert_eq!(at(msg::Kind::Hello), Some(0));
    assert!(at(msg::Kind::Pool) < at(msg::Kind::Commit) && at(msg::Kind::Commit).is_some());
}

#[test]
fn copy_in_one_client_and_paste_in_the_same() {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.bind(6, "wl_data_device_manager", 3, 8);
    rig.request(8, 1, &[60, 6]);
    rig.request(8, 0, &[61]);
    let mut bytes = Vec::new();
    drop(Writer::new(&mut bytes, 61, 0).string(b"text/plain"));
    rig.try_send(&bytes).unwrap();
    let key =
        msg::Key { event: 1, surface, serial: 9, time: 0, key: 0, state: 0, modifiers: [0; 4], keys: [0; 8] };
    rig.bridge_says(&Message::Key(key, &[]), None);
    rig.request(60, 1, &[61, 9]);
    let events = rig.events();
    let offer = events.iter().find(|e| e.0 == 60 && e.1 == 0).expect("an offer");
    let offer = u32::from_ne_bytes(offer.2[..4].try_into().unwrap());
    rig.files.push_back(70);
    let mut bytes = Vec::new();
    drop(Writer::new(&mut bytes, offer, 1).string(b"text/plain"));
    rig.try_send(&bytes).unwrap();
    assert!(rig.events().iter().any(|e| e.0 == 61 && e.1 == 1), "wl_data_source.send");
}

#[test]
fn breaking_the_protocol_ends_one_client_only() {
    let mut rig = Rig::new();
    rig.map();
    let other = rig.display.connect();
    // A buffer outside its pool.
    let mut bytes = Vec::new();
    drop([22, 0, 4096, 4096, 16384, 0].iter().fold(Writer::new(&mut bytes, 20, 0), |w, v| w.u32(*v)));
    assert_eq!(rig.try_send(&bytes), Err(ClientError::Protocol));
    assert!(rig.events().iter().any(|e| e.0 == 1 && e.1 == 0), "wl_display.error");
    rig.display.disconnect(rig.client);
    rig.client = other;
    rig.request(1, 0, &[2]);
    assert!(rig.events().iter().any(|e| e.0 == 2), "the other client is served");
}

#[test]
fn hostile_bytes_never_panic() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 32).unwrap()
    };
    for round in 0..400 {
        let mut rig = Rig::new();
        rig.map();
        for interface in 0..16u32 {
            let names = [
                "wl_compositor",
                "wl_subcompositor",
                "wl_shm",
                "xdg_wm_base",
                "wl_seat",
                "wl_data_device_manager",
            ];
            if let Some(name) = names.get(interface as usize) {
                rig.bind(interface + 1, name, 1, 100 + interface);
            }
        }
        for _ in 0..200 {
            rig.files.push_back(next() % 100);
            let object = [1, 2, 3, 4, 5, 6, 10, 11, 12, 20, 21, 100, 101, 102, 103, 104, 105, next()]
                [next() as usize % 18];
            let words: Vec<u32> = (0..next() % 8)
                .map(|_| match next() % 4 {
                    0 => next(),
                    1 => next() % 256,
                    2 => 200 + next() % 64,
                    _ => [0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000, 10, 21][next() as usize % 7],
                })
                .collect();
            let mut bytes = Vec::new();
            let opcode = u16::try_from(next() % 16).unwrap();
            drop(words.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word)));
            if next() % 16 == 0 {
                bytes.truncate(next() as usize % (bytes.len() + 1));
            }
            if rig.try_send(&bytes).is_err() {
                break;
            }
        }
        // Whatever the client said, the bridge only gets messages that decode.
        while let Some(out) = rig.display.take_channel() {
            assert!(Message::decode(&out.bytes).is_ok(), "round {round}: {:?}", Message::decode(&out.bytes));
        }
        rig.display.disconnect(rig.client);
    }
}
