//! Datagrams of any kind: streams of what the channel allows, and in each, at a random place, something that it does not
//! allow. The bridge ends with a report that blames the app, or goes on; it never dies otherwise, hangs, or gets the
//! compositor to refuse something.
//!
//! Runs for POSTERN_BRIDGE_FUZZ_SECONDS (default: 5). The rounds are the same each time; POSTERN_BRIDGE_FUZZ_ROUND runs one of
//! them.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_channel::{MAX_MESSAGE, Message, Pool, PoolDestroy, ROWS, VERSION};
use rig::fake_app::{Canvas, FakeApp};
use rig::random::{Random, end_round};
use rig::session::Session;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Most messages of a round before the bad one.
const MESSAGES: u32 = 120;

/// A datagram of a type that exists, with any content.
fn message(random: &mut Random) -> Vec<u8> {
    let row = &ROWS[random.next(u32::try_from(ROWS.len()).unwrap()) as usize];
    let mut bytes = vec![0; 8 + row.body];
    bytes[..2].copy_from_slice(&row.kind.to_le_bytes());
    bytes[2..4].copy_from_slice(&VERSION.to_le_bytes());
    for word in bytes[8..].chunks_exact_mut(4) {
        let value = match random.next(6) {
            0 => u32::MAX >> random.next(32),
            1 => 16_384,
            2 => 0,
            _ => random.next(10),
        };
        word.copy_from_slice(&value.to_le_bytes());
    }
    let payload = [0, 1, 11, 100, row.payload, row.payload + 1][random.next(6) as usize];
    let letters = b"text/plain\0image/png\0\xff\xfe";
    bytes.extend(letters.iter().cycle().take(payload.min(MAX_MESSAGE)));
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    bytes
}

fn memory(size: u64, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("pixels", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, size).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

/// A file that is no good pool, or a good one with other numbers than the app had.
fn pool(random: &mut Random, app: &FakeApp, canvas: &Canvas) {
    let file: OwnedFd = match random.next(6) {
        0 => memory(100, SealFlags::empty()),
        1 => memory(1 << 20, SealFlags::WRITE),
        2 => memory(1 << 20, SealFlags::SEAL),
        3 => std::fs::File::open("/proc/self/exe").unwrap().into(),
        4 => rustix::pipe::pipe().unwrap().0,
        _ => memory(1 << 20, SealFlags::SHRINK),
    };
    let pool = if random.next(3) == 0 { canvas.pool } else { 900 + random.next(3) };
    let size = [1, 40_000, 1 << 20, 0x7fff_ffff][random.next(4) as usize];
    let wanted = Message::Pool(Pool { pool, copied: random.next(2), size }, &[]);
    app.send_with(&wanted, (random.next(8) != 0).then_some(&file));
    if random.next(3) == 0 {
        app.send(&Message::PoolDestroy(PoolDestroy { pool }, &[]));
    }
}

/// Something that is hardly ever allowed.
fn bad(random: &mut Random, app: &FakeApp, canvas: &Canvas) {
    match random.next(6) {
        0 => {
            let len = random.next(600) as usize;
            let bytes: Vec<u8> = (0..len).map(|_| u8::try_from(random.next(256)).unwrap()).collect();
            app.send_bytes(&bytes, None);
        }
        1 => {
            let mut bytes = message(random);
            let at = random.next(u32::try_from(bytes.len()).unwrap()) as usize;
            bytes[at] ^= 1 << random.next(8);
            app.send_bytes(&bytes, None);
        }
        2 => {
            let mut bytes = message(random);
            bytes.truncate(random.next(u32::try_from(bytes.len()).unwrap()) as usize);
            app.send_bytes(&bytes, None);
        }
        3 => app.send_bytes(&message(random), Some(&canvas.file)),
        4 => pool(random, app, canvas),
        _ => app.send_bytes(&vec![1; MAX_MESSAGE + 1 + random.next(5000) as usize], None),
    }
}

fn round(number: u64, session: &mut Session) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ number << 20);
    let border: &[&str] = if random.next(2) == 0 { &["--border", "ff0000"] } else { &[] };
    let mut app = FakeApp::start(session, border);
    let canvas = app.canvas(100, 100);
    for _ in 0..random.next(MESSAGES) {
        if app.is_over() {
            break;
        }
        random.act(&mut app, &canvas);
        app.receive_all();
    }
    for _ in 0..1 + random.next(4) {
        bad(&mut random, &app, &canvas);
    }
    end_round(app, session, number);
}

#[test]
fn random_messages_harm_nobody() {
    let Some(mut session) = Session::start() else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(one) = number("POSTERN_BRIDGE_FUZZ_ROUND") {
        return round(one, &mut session);
    }
    let limit = Duration::from_secs(number("POSTERN_BRIDGE_FUZZ_SECONDS").unwrap_or(5));
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < limit {
        rounds += 1;
        round(rounds, &mut session);
    }
    eprintln!("{rounds} rounds");
}
