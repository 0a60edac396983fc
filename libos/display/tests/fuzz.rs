//! Random requests that are mostly what the protocols say, in any order, with messages of a bridge and its ends between
//! them: nothing panics, the bridge only hears what it does not end the display for, and what a client leaves behind
//! when it goes is nothing.
//!
//! Runs for POSTERN_DISPLAY_FUZZ_SECONDS (default: 5). The rounds are the same each time; POSTERN_DISPLAY_FUZZ_ROUND runs
//! one of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, Message, ROWS};
use postern_display::wire::Writer;
use rig::Rig;
use rig::checker::{Bridge, Dice};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Requests of a client in one round.
const STEPS: u32 = 400;

type Request = Vec<&'static str>;

/// Requests by interface.
fn interfaces() -> BTreeMap<&'static str, Vec<Request>> {
    let text = include_str!("rig/interfaces.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, requests) = line.split_once(':').unwrap();
            (name, requests.split(';').map(|r| r.split_whitespace().collect()).collect())
        })
        .collect()
}

/// A client that knows what objects it has.
#[derive(Default)]
struct Client {
    objects: BTreeMap<u32, &'static str>,
    /// What objects were used for: by `role`, or an interface that may be used once for each.
    used: BTreeSet<(&'static str, u32)>,
    next: u32,
}

impl Client {
    fn any(&self, dice: &mut Dice, interface: &str, not: Option<&'static str>) -> Option<u32> {
        let is_free = |id: u32| not.is_none_or(|tag| !self.used.contains(&(tag, id)));
        let fits = self.objects.iter().filter(|(id, i)| **i == interface && is_free(**id));
        let fits: Vec<u32> = fits.map(|(id, _)| *id).collect();
        match dice.roll(500) {
            0 => Some(dice.roll(40)),
            1 => Some(0),
            // Rather the newest: chains of requests come about.
            _ if dice.roll(2) == 0 => fits.last().copied(),
            _ if fits.is_empty() => None,
            _ => Some(dice.pick(&fits)),
        }
    }

    /// Writes the arguments. `None`: there is no object for one of them.
    fn arguments(
        &mut self,
        dice: &mut Dice,
        rig: &mut Rig,
        (object, interface): (u32, &'static str),
        request: &Request,
        mut w: Writer<'_>,
    ) -> Option<()> {
        let mut made = Vec::new();
        let mut used = Vec::new();
        let mut file = None;
        for argument in request {
            w = match argument.split_once(':').unwrap_or((argument, "")) {
                ("n", interface) => {
                    made.push((self.next, interface));
                    self.next += 1;
                    w.u32(self.next - 1)
                }
                ("o", wanted) => w.u32(self.any(dice, wanted, None)?),
                (kind @ ("r" | "1"), wanted) if wanted.parse::<u32>().is_err() => {
                    let tag = if kind == "r" { "role" } else { interface };
                    let id = self.any(dice, wanted, Some(tag))?;
                    used.push((tag, id));
                    w.u32(id)
                }
                ("@", _) => {
                    if dice.roll(100) != 0 && self.used.contains(&("role", object)) {
                        return None;
                    }
                    used.push(("role", object));
                    w
                }
                (low, high) if !high.is_empty() => {
                    let (low, high): (u32, u32) = (low.parse().unwrap(), high.parse().unwrap());
                    w.u32(match dice.roll(300) {
                        0 => number(dice).cast_unsigned(),
                        _ => low + dice.roll(high - low + 1),
                    })
                }
                (nullable, _) if nullable.starts_with('?') => {
                    let some = dice.roll(4) != 0;
                    w.u32(if some { self.any(dice, &nullable[1..], None).unwrap_or(0) } else { 0 })
                }
                ("i", _) => w.i32(number(dice)),
                ("u", _) => w.u32(match dice.roll(8) {
                    0 => number(dice).cast_unsigned(),
                    _ => dice.roll(12),
                }),
                ("s", _) => {
                    let mut text = vec![b'a'; dice.pick(&[0, 1, 3, 10, 200, 300, 3900])];
                    if let Some(byte) = text.first_mut() {
                        *byte = dice.pick(&[b'a', 0xff, 0xc3, b'/', 1]);
                    }
                    let mimes: [&[u8]; 3] = [b"text/plain", b"text/plain;charset=utf-8", b"image/png"];
                    if dice.roll(2) == 0 { w.string(dice.pick(&mimes)) } else { w.string(&text) }
                }
                ("h", _) => {
                    // 90 and above: files that cannot leave the family.
                    file = (dice.roll(100) != 0).then(|| dice.roll(99));
                    w
                }
                other => panic!("{other:?}"),
            };
        }
        rig.files.extend(file);
        self.used.extend(used);
        // One that could not be made ends the client, so that all these exist.
        self.objects.extend(made);
        Some(())
    }
}

fn number(dice: &mut Dice) -> i32 {
    match dice.roll(12) {
        0 => dice.pick(&[i32::MIN, i32::MAX, -1, 0x8000, 16_384, 16_385, 1 << 20]),
        1 => 256,
        2 => 64,
        3 => 0,
        4 => -dice.roll(50).cast_signed(),
        5 => dice.roll(70_000).cast_signed(),
        _ => dice.roll(70).cast_signed(),
    }
}

/// A message as a bridge could send it: numbers that exist, and anything else at random.
fn host_says(dice: &mut Dice, rig: &mut Rig, bridge: &Bridge) {
    let surfaces: Vec<u32> = bridge.surfaces.keys().copied().chain([1, 9999]).collect();
    let surface = dice.pick(&surfaces);
    match dice.roll(8) {
        0 | 1 => rig.configure(surface, dice.roll(50)),
        2 => {
            let held: Vec<u32> = bridge.held.iter().copied().chain([77]).collect();
            rig.release(dice.pick(&held));
        }
        3 => {
            let frame = msg::Frame { surface, time: dice.roll(5000), ..Default::default() };
            rig.bridge_says(&Message::Frame(frame, &[]), None);
        }
        4 => rig.output(1 + dice.roll(3)),
        // Anything that can be decoded.
        _ => {
            let row = &ROWS[dice.roll(u32::try_from(ROWS.len()).unwrap()) as usize];
            let mut bytes = vec![0_u8; 8 + row.body];
            bytes[..2].copy_from_slice(&row.kind.to_le_bytes());
            bytes[2..4].copy_from_slice(&msg::VERSION.to_le_bytes());
            for word in bytes[8..].chunks_exact_mut(4) {
                let value = match dice.roll(5) {
                    0 => surface,
                    1 => number(dice).cast_unsigned(),
                    _ => dice.roll(6),
                };
                word.copy_from_slice(&value.to_le_bytes());
            }
            if row.payload > 0 && dice.roll(3) != 0 {
                bytes.extend(b"text/plain\0image/png\0".iter().take(dice.pick(&[21, 10, 3])));
            }
            let len = u32::try_from(bytes.len()).unwrap();
            bytes[4..8].copy_from_slice(&len.to_le_bytes());
            let handle = row.handle.then_some(3);
            // A Hello is followed by the replay, as ever.
            let _ = rig.display.channel_message(&mut rig.mock, &bytes, handle, dice.roll(9999));
        }
    }
}

fn listen(rig: &mut Rig, bridge: &mut Bridge) {
    let _ = rig.display.take_copies();
    while let Some(message) = rig.sent() {
        bridge.hears(&message);
    }
}

/// Binds every global that there is.
fn greet(rig: &mut Rig, known: &BTreeMap<&'static str, Vec<Request>>, dice: &mut Dice) -> Client {
    rig.request(1, 1, &[2]);
    let mut client = Client { next: 3, ..Client::default() };
    for (object, opcode, body) in rig.events() {
        if (object, opcode) != (2, 0) {
            continue;
        }
        let word = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().unwrap());
        let len = word(4) as usize;
        let name = std::str::from_utf8(&body[8..8 + len - 1]).unwrap();
        let highest = word(8 + len.next_multiple_of(4));
        let Some((interface, _)) = known.get_key_value(name) else { panic!("{name} is not in the list") };
        let version = if dice.roll(3) == 0 { 1 + dice.roll(highest) } else { highest };
        rig.bind(word(0), name, version, client.next);
        client.objects.insert(client.next, interface);
        client.next += 1;
    }
    client
}

/// Makes a window, so that most rounds have one.
fn open(rig: &mut Rig, client: &mut Client) {
    let find = |client: &Client, interface: &str| {
        *client.objects.iter().find(|(_, i)| **i == interface).expect("a global").0
    };
    let (compositor, base) = (find(client, "wl_compositor"), find(client, "xdg_wm_base"));
    let at = client.next;
    rig.request(compositor, 0, &[at]);
    rig.request(base, 2, &[at + 1, at]);
    rig.request(at + 1, 1, &[at + 2]);
    rig.request(at, 6, &[]);
    let shm = find(client, "wl_shm");
    rig.files.push_back(if at.is_multiple_of(2) { 5 } else { 95 });
    rig.request(shm, 0, &[at + 3, 65_536]);
    rig.request(at + 3, 0, &[at + 4, 0, 64, 64, 256, 1]);
    rig.request(at + 3, 0, &[at + 5, 16_384, 32, 60, 300, 0]);
    let made = ["wl_surface", "xdg_surface", "xdg_toplevel", "wl_shm_pool", "wl_buffer", "wl_buffer"];
    client.objects.extend((at..).zip(made));
    client.used.extend([("role", at), ("role", at + 1)]);
    client.next += 6;
}

/// Objects that the server made, and ids that are free again.
fn hear(rig: &mut Rig, client: &mut Client) {
    for (object, opcode, body) in rig.events() {
        let Some(word) = body.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)) else { continue };
        if (object, opcode) == (1, 1) {
            client.objects.remove(&word);
        }
        let offer = match client.objects.get(&object) {
            Some(&"wl_data_device") => "wl_data_offer",
            Some(&"zwp_primary_selection_device_v1") => "zwp_primary_selection_offer_v1",
            _ => continue,
        };
        if opcode == 0 {
            client.objects.insert(word, offer);
        }
    }
}

/// One request. `None`: the client is disconnected.
fn step(
    dice: &mut Dice,
    rig: &mut Rig,
    client: &mut Client,
    known: &BTreeMap<&'static str, Vec<Request>>,
) -> Option<u32> {
    if dice.roll(5) == 0 {
        // What most of a client's talk is.
        let (Some(surface), Some(buffer)) =
            (client.any(dice, "wl_surface", None), client.any(dice, "wl_buffer", None))
        else {
            return Some(0);
        };
        let mut bytes = Vec::new();
        drop(Writer::new(&mut bytes, surface, 1).u32(buffer).u32(0).u32(0));
        drop(
            Writer::new(&mut bytes, surface, 9).i32(number(dice)).i32(number(dice)).u32(50).i32(number(dice)),
        );
        drop(Writer::new(&mut bytes, surface, 6));
        rig.try_send(&bytes).ok()?;
        return Some(3);
    }
    let ids: Vec<u32> = client.objects.keys().copied().collect();
    let newest = &ids[ids.len().saturating_sub(8)..];
    let object = if dice.roll(3) == 0 { dice.pick(newest) } else { dice.pick(&ids) };
    let interface = client.objects[&object];
    let Some(requests) = known.get(interface) else { return Some(0) };
    let opcode = dice.roll(u32::try_from(requests.len()).unwrap());
    let request = &requests[opcode as usize];
    let end = request.first().copied().filter(|first| first.starts_with('!'));
    // Most objects stay a while, and those that are something stay to the last.
    let has_role = end == Some("!r") && client.used.contains(&("role", object));
    if end.is_some() && dice.roll(if has_role { 300 } else { 6 }) != 0 {
        return Some(0);
    }
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, object, u16::try_from(opcode).unwrap());
    let empty = Vec::new();
    let arguments = if end.is_some() { &empty } else { request };
    if client.arguments(dice, rig, (object, interface), arguments, writer).is_none() {
        return Some(0);
    }
    if dice.roll(1000) == 0 {
        let at = dice.roll(u32::try_from(bytes.len()).unwrap()) as usize;
        bytes[at] ^= 1 << dice.roll(8);
    }
    if end.is_some() {
        client.objects.remove(&object);
        client.used.retain(|(_, id)| *id != object);
    }
    rig.try_send(&bytes).ok()?;
    hear(rig, client);
    Some(1)
}

/// Returns how many requests were understood, and how many buffers the bridge heard of.
fn round(number: u64, known: &BTreeMap<&'static str, Vec<Request>>) -> (u32, usize) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ number << 17);
    let mut rig = Rig::new();
    let mut bridge = Bridge::default();
    rig.output(1);
    let mut client = greet(&mut rig, known, &mut dice);
    open(&mut rig, &mut client);
    rig.hello();
    let mut good = 0;
    let mut configured = BTreeSet::new();
    for _ in 0..STEPS {
        match step(&mut dice, &mut rig, &mut client, known) {
            Some(count) => good += count,
            // It is disconnected when its error was sent; another one comes.
            None => {
                rig.display.disconnect(rig.client);
                rig.client = rig.display.connect();
                rig.files.clear();
                client = greet(&mut rig, known, &mut dice);
                open(&mut rig, &mut client);
            }
        }
        listen(&mut rig, &mut bridge);
        let windows =
            bridge.surfaces.values().filter(|s| matches!(s.role, msg::Role::TOPLEVEL | msg::Role::POPUP));
        let new: Vec<u32> = windows.map(|s| s.surface).filter(|n| !configured.contains(n)).collect();
        for surface in new {
            if dice.roll(3) != 0 {
                rig.configure(surface, dice.roll(50));
                configured.insert(surface);
            }
        }
        match dice.roll(20) {
            0..4 => host_says(&mut dice, &mut rig, &bridge),
            4 => rig.display.tick(dice.roll(100_000)),
            5 if dice.roll(20) == 0 => rig.hello(),
            6 if dice.roll(20) == 0 => rig.display.bridge_lost(),
            7 if dice.roll(20) == 0 => rig.display.go_on_alone(),
            _ => {}
        }
        listen(&mut rig, &mut bridge);
    }
    let shown = bridge.held.len();
    rig.display.disconnect(rig.client);
    listen(&mut rig, &mut bridge);
    rig.hello();
    listen(&mut rig, &mut bridge);
    assert!(bridge.pools.is_empty() && bridge.surfaces.is_empty(), "a client that is gone leaves nothing");
    (good, shown)
}

#[test]
fn random_clients_harm_nobody() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let known = interfaces();
    if let Some(one) = number("POSTERN_DISPLAY_FUZZ_ROUND") {
        round(one, &known);
        return;
    }
    let limit = Duration::from_secs(number("POSTERN_DISPLAY_FUZZ_SECONDS").unwrap_or(5));
    let start = Instant::now();
    let (mut rounds, mut good, mut shown) = (0, 0_u64, 0);
    while start.elapsed() < limit {
        rounds += 1;
        match std::panic::catch_unwind(|| round(rounds, &known)) {
            Ok((count, buffers)) => {
                good += u64::from(count);
                shown += buffers;
            }
            Err(panic) => {
                eprintln!("round {rounds}: POSTERN_DISPLAY_FUZZ_ROUND={rounds} repeats it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    eprintln!("{rounds} rounds, {} requests each on average, {shown} buffers shown", good / rounds);
    assert!(good / rounds > u64::from(STEPS) / 4, "the clients break off too early to try much");
    assert!(u64::try_from(shown).unwrap() > rounds, "hardly anything is ever shown");
}
