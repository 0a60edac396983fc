//! Clipboard, primary selection, drag and drop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, Data, DataState, DragEvent, Message, Selection, limit};
use postern_display::{ClientError, ClientId};
use rig::{Event, Rig};

const MANAGER: u32 = 8;
const DEVICE: u32 = 60;
const SOURCE: u32 = 61;
const SURFACE: u32 = 10;

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap())
}

fn text(bytes: &[u8]) -> &str {
    let len = usize::try_from(word(bytes, 0)).unwrap();
    std::str::from_utf8(&bytes[4..4 + len - 1]).unwrap()
}

/// A mapped window and a data device of this version. Returns the surface's number.
fn begin(version: u32) -> (Rig, u32) {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.bind(6, "wl_data_device_manager", version, MANAGER);
    rig.request(MANAGER, 1, &[DEVICE, 6]);
    (rig, surface)
}

fn focus(rig: &mut Rig, surface: u32) {
    let key =
        msg::Key { event: 1, surface, serial: 9, time: 0, key: 0, state: 0, modifiers: [0; 4], keys: [0; 8] };
    rig.bridge_says(&Message::Key(key, &[]), None);
}

/// A source with these MIME types.
fn source(rig: &mut Rig, id: u32, mimes: &[&str]) {
    rig.request(MANAGER, 0, &[id]);
    for mime in mimes {
        rig.request_text(id, 0, &[], mime, &[]);
    }
}

/// The last offer that a device was told of, and the MIME types that came with it.
fn offered(events: &[Event], device: u32) -> (u32, Vec<String>) {
    let offer = word(&events.iter().rfind(|e| (e.0, e.1) == (device, 0)).expect("an offer").2, 0);
    let mimes = events.iter().filter(|e| (e.0, e.1) == (offer, 0)).map(|e| text(&e.2).to_owned());
    (offer, mimes.collect())
}

fn drag(event: u32) -> msg::Drag {
    msg::Drag { event, ..msg::Drag::default() }
}

fn tell(rig: &mut Rig, m: msg::Drag, mime: &str) {
    rig.bridge_says(&Message::Drag(m, mime.as_bytes()), None);
}

fn enter(rig: &mut Rig, surface: u32) {
    tell(rig, msg::Drag { surface, serial: 33, x: 256, y: 512, ..drag(DragEvent::ENTER) }, "");
}

fn host_offer(rig: &mut Rig, selection: u32, list: &[u8]) {
    let offer = msg::Offer { selection, actions: 3, ..Default::default() };
    rig.bridge_says(&Message::Offer(offer, list), None);
}

fn data(rig: &mut Rig, transfer: u32, state: u32, piece: &[u8]) {
    rig.bridge_says(&Message::Data(Data { transfer, state }, piece), None);
}

/// Drag messages to the bridge that wait: event, actions, action and MIME type.
fn drags(rig: &mut Rig) -> Vec<(u32, u32, u32, String)> {
    let mut all = Vec::new();
    for bytes in rig.messages() {
        if let Ok(Message::Drag(d, mime)) = Message::decode(&bytes) {
            all.push((d.event, d.actions, d.action, String::from_utf8(mime.to_vec()).unwrap()));
        }
    }
    all
}

fn error(rig: &mut Rig) -> (u32, u32) {
    let events = rig.events();
    let error = events.iter().find(|e| (e.0, e.1) == (1, 0)).expect("wl_display.error");
    (word(&error.2, 0), word(&error.2, 1))
}

/// Sends what breaks the protocol, and returns the object and code of the error.
fn breaks(rig: &mut Rig, object: u32, opcode: u16, words: &[u32]) -> (u32, u32) {
    let mut bytes = Vec::new();
    let writer = postern_display::wire::Writer::new(&mut bytes, object, opcode);
    drop(words.iter().fold(writer, |w, word| w.u32(*word)));
    rig.events();
    assert_eq!(rig.try_send(&bytes), Err(ClientError::Protocol));
    error(rig)
}

#[test]
fn copy_in_one_client_and_paste_in_the_same() {
    let (mut rig, surface) = begin(3);
    source(&mut rig, SOURCE, &["text/plain", "image/png"]);
    focus(&mut rig, surface);
    rig.request(DEVICE, 1, &[SOURCE, 9]);
    let (offer, mimes) = offered(&rig.events(), DEVICE);
    assert_eq!(mimes, ["text/plain", "image/png"]);
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "text/plain", &[]);
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (SOURCE, 1)), "wl_data_source.send");
    // The next copy makes the old offer void.
    source(&mut rig, 62, &["text/html"]);
    rig.request(DEVICE, 1, &[62, 10]);
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (SOURCE, 2)), "cancelled");
    rig.files.push_back(71);
    rig.request_text(offer, 1, &[], "text/plain", &[]);
    assert_eq!(rig.mock.closed, [71]);
}

#[test]
fn the_host_pastes_and_is_pasted_from() {
    let (mut rig, surface) = begin(3);
    focus(&mut rig, surface);
    host_offer(&mut rig, Selection::CLIPBOARD, b"image/png\0bad\x01type\0text/plain\0");
    let (offer, mimes) = offered(&rig.events(), DEVICE);
    assert_eq!(mimes, ["image/png", "text/plain"]);
    rig.messages();
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "image/png", &[]);
    let asked = rig.sent().unwrap();
    let Ok(Message::Request(request, b"image/png")) = Message::decode(&asked) else { panic!("{asked:?}") };
    data(&mut rig, request.transfer, DataState::MORE, b"ab");
    // What is written is told; so the host may send more.
    rig.display.transfer_written(request.transfer, 1);
    let taken = rig.sent().unwrap();
    assert!(matches!(Message::decode(&taken), Ok(Message::Data(d, _)) if d.state == DataState::TAKEN));
    data(&mut rig, request.transfer, DataState::LAST, b"c");
    assert_eq!(rig.mock.written, [(70, b"ab".to_vec(), false), (70, b"c".to_vec(), true)]);
    assert_eq!(rig.mock.closed, [70]);

    // One that fails, and one that nobody reads.
    for file in [72, 73] {
        rig.files.push_back(file);
        rig.request_text(offer, 1, &[], "image/png", &[]);
    }
    let numbers: Vec<u32> = rig
        .messages()
        .iter()
        .filter_map(|bytes| match Message::decode(bytes) {
            Ok(Message::Request(request, _)) => Some(request.transfer),
            _ => None,
        })
        .collect();
    data(&mut rig, numbers[0], DataState::FAILED, b"");
    assert_eq!(rig.mock.unwritten, [numbers[0]]);
    rig.display.transfer_unread(&mut rig.mock, numbers[1]);
    let stopped = rig.sent().unwrap();
    assert!(matches!(Message::decode(&stopped), Ok(Message::Data(d, _)) if d.state == DataState::STOP));
    assert_eq!(rig.mock.closed, [70, 72, 73]);

    // The other way: no more than the window goes out before the host has taken it.
    source(&mut rig, SOURCE, &["image/png"]);
    rig.request(DEVICE, 1, &[SOURCE, 9]);
    let request = msg::Request { transfer: 5, selection: Selection::CLIPBOARD };
    rig.bridge_says(&Message::Request(request, b"image/png"), None);
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (SOURCE, 1)), "wl_data_source.send");
    for _ in 0..limit::WINDOW {
        assert!(rig.display.may_collect(5));
        rig.display.transfer_data(5, b"x", false);
    }
    assert!(!rig.display.may_collect(5));
    data(&mut rig, 5, DataState::TAKEN, b"");
    assert_eq!(rig.mock.collectable, [5]);
    assert!(rig.display.may_collect(5));
    data(&mut rig, 5, DataState::STOP, b"");
    assert_eq!(rig.mock.uncollected, [5]);
    rig.messages();
    rig.display.transfer_data(5, b"late", true);
    assert!(rig.messages().is_empty());
}

#[test]
fn what_was_replaced_on_the_host_is_cancelled_in_the_app() {
    let (mut rig, surface) = begin(3);
    focus(&mut rig, surface);
    source(&mut rig, SOURCE, &["text/plain"]);
    rig.request(DEVICE, 1, &[SOURCE, 9]);
    rig.events();
    // Nothing that the app may see, and nothing about what it has: it keeps it.
    host_offer(&mut rig, Selection::CLIPBOARD, b"");
    assert!(rig.events().is_empty());
    let replaced = msg::Offer { selection: Selection::CLIPBOARD, serial: 1, ..Default::default() };
    rig.bridge_says(&Message::Offer(replaced, &[]), None);
    let events = rig.events();
    assert!(events.iter().any(|e| (e.0, e.1) == (SOURCE, 2)), "cancelled");
    assert!(events.iter().any(|e| (e.0, e.1) == (DEVICE, 5) && word(&e.2, 0) == 0), "no selection");
}

#[test]
fn the_primary_selection_crosses_too() {
    let (mut rig, surface) = begin(3);
    rig.bind(12, "zwp_primary_selection_device_manager_v1", 1, 9);
    rig.request(9, 1, &[65, 6]);
    focus(&mut rig, surface);
    host_offer(&mut rig, Selection::PRIMARY, b"text/plain\0");
    let (offer, _) = offered(&rig.events(), 65);
    rig.messages();
    rig.files.push_back(70);
    rig.request_text(offer, 0, &[], "text/plain", &[]);
    let asked = rig.sent().unwrap();
    assert!(
        matches!(Message::decode(&asked), Ok(Message::Request(r, _)) if r.selection == Selection::PRIMARY)
    );
    // And the app's own.
    rig.request(9, 0, &[66]);
    rig.request_text(66, 0, &[], "text/plain", &[]);
    rig.request(65, 0, &[66, 12]);
    let told = rig.sent().unwrap();
    let Ok(Message::Offer(o, b"text/plain\0")) = Message::decode(&told) else { panic!("{told:?}") };
    assert_eq!((o.selection, o.serial), (Selection::PRIMARY, 12));
    rig.events();
    let request = msg::Request { transfer: 6, selection: Selection::PRIMARY };
    rig.bridge_says(&Message::Request(request, b"text/plain"), None);
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (66, 0)), "send");
}

#[test]
fn a_drag_from_outside_is_dropped_and_read() {
    let (mut rig, surface) = begin(3);
    host_offer(&mut rig, Selection::DRAG, b"text/uri-list\0text/plain\0");
    enter(&mut rig, surface);
    let events = rig.events();
    let (offer, mimes) = offered(&events, DEVICE);
    assert_eq!(mimes, ["text/uri-list", "text/plain"]);
    assert!(events.contains(&(offer, 1, 3u32.to_ne_bytes().to_vec())), "source_actions");
    let entered = events.iter().find(|e| (e.0, e.1) == (DEVICE, 1)).expect("enter");
    assert_eq!((0..5).map(|at| word(&entered.2, at)).collect::<Vec<_>>(), [33, SURFACE, 256, 512, offer]);
    rig.messages();
    rig.request_text(offer, 0, &[33], "text/plain", &[]);
    rig.request(offer, 4, &[3, 1]);
    let told = drags(&mut rig);
    assert_eq!(told[0], (DragEvent::ACCEPT, 0, 0, "text/plain".into()));
    assert_eq!(told[1], (DragEvent::SET_ACTIONS, 3, 1, String::new()));
    tell(&mut rig, msg::Drag { action: 1, ..drag(DragEvent::OFFER_ACTION) }, "");
    tell(&mut rig, drag(DragEvent::MOTION), "");
    tell(&mut rig, drag(DragEvent::DROP), "");
    tell(&mut rig, drag(DragEvent::LEAVE), "");
    let opcodes: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(opcodes, [(offer, 2), (DEVICE, 3), (DEVICE, 4), (DEVICE, 2)]);
    // The offer outlives the drop.
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "text/plain", &[]);
    let asked = rig.sent().unwrap();
    assert!(matches!(Message::decode(&asked), Ok(Message::Request(r, _)) if r.selection == Selection::DRAG));
    rig.request(offer, 3, &[]);
    assert_eq!(drags(&mut rig)[0].0, DragEvent::FINISH);
    rig.request(offer, 2, &[]);
    assert!(drags(&mut rig).is_empty());
}

#[test]
fn a_drag_that_left_gives_nothing() {
    let (mut rig, surface) = begin(3);
    host_offer(&mut rig, Selection::DRAG, b"text/plain\0");
    enter(&mut rig, surface);
    let (offer, _) = offered(&rig.events(), DEVICE);
    tell(&mut rig, drag(DragEvent::LEAVE), "");
    rig.messages();
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "text/plain", &[]);
    rig.request_text(offer, 0, &[33], "text/plain", &[]);
    assert_eq!(rig.mock.closed, [70]);
    assert!(rig.messages().is_empty());
    rig.request(offer, 2, &[]);
    // Dropped, and let go of without an end.
    host_offer(&mut rig, Selection::DRAG, b"text/plain\0");
    enter(&mut rig, surface);
    let (offer, _) = offered(&rig.events(), DEVICE);
    tell(&mut rig, drag(DragEvent::DROP), "");
    rig.messages();
    rig.request(offer, 2, &[]);
    assert_eq!(drags(&mut rig)[0].0, DragEvent::GIVE_UP);
}

/// Begins a drag from the window, with an icon.
fn start(rig: &mut Rig) -> msg::Offer {
    source(rig, SOURCE, &["text/plain", "x/y"]);
    rig.request(SOURCE, 2, &[3]);
    rig.request(3, 0, &[40]);
    rig.messages();
    rig.request(DEVICE, 0, &[SOURCE, SURFACE, 40, 17]);
    let messages = rig.messages();
    let Ok(Message::Commit(commit, _)) = Message::decode(&messages[0]) else { panic!("the icon first") };
    assert_eq!(commit.role, msg::Role::DRAG_ICON);
    let Ok(Message::Offer(offer, b"text/plain\0x/y\0")) = Message::decode(&messages[1]) else { panic!() };
    assert_eq!(offer.icon, commit.surface);
    offer
}

#[test]
fn a_drag_out_of_the_app() {
    let (mut rig, surface) = begin(3);
    let offer = start(&mut rig);
    assert_eq!(
        (offer.selection, offer.surface, offer.serial, offer.actions),
        (Selection::DRAG, surface, 17, 3)
    );
    // The icon moves with the offset of its surface.
    rig.request(40, 1, &[21, 0u32.wrapping_sub(5), 6]);
    rig.request(40, 6, &[]);
    rig.request(40, 1, &[21, 1, 1]);
    rig.request(40, 6, &[]);
    assert_eq!(rig.commits().iter().map(|c| c.position).collect::<Vec<_>>(), [[-5, 6], [-4, 7]]);
    rig.events();
    tell(&mut rig, drag(DragEvent::TARGET), "x/y");
    tell(&mut rig, drag(DragEvent::TARGET), "");
    tell(&mut rig, msg::Drag { action: 2, ..drag(DragEvent::SOURCE_ACTION) }, "");
    tell(&mut rig, drag(DragEvent::DROP_PERFORMED), "");
    let events = rig.events();
    assert_eq!(
        events.iter().map(|e| (e.0, e.1)).collect::<Vec<_>>(),
        [(SOURCE, 0), (SOURCE, 0), (SOURCE, 5), (SOURCE, 3)]
    );
    assert_eq!(text(&events[0].2), "x/y");
    assert_eq!(word(&events[1].2, 0), 0, "no type");
    let request = msg::Request { transfer: 8, selection: Selection::DRAG };
    rig.bridge_says(&Message::Request(request, b"x/y"), None);
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (SOURCE, 1)), "send");
    rig.display.transfer_data(8, b"dragged", true);
    let sent = rig.messages();
    assert!(matches!(Message::decode(&sent[0]), Ok(Message::Data(_, b"dragged"))));
    tell(&mut rig, drag(DragEvent::FINISHED), "");
    assert_eq!(rig.events().iter().map(|e| (e.0, e.1)).collect::<Vec<_>>(), [(SOURCE, 4)]);
    // It is over: nothing more is given, and its end needs no word.
    rig.bridge_says(&Message::Request(request, b"x/y"), None);
    rig.request(SOURCE, 1, &[]);
    let sent = rig.messages();
    assert_eq!(sent.len(), 1);
    assert!(matches!(Message::decode(&sent[0]), Ok(Message::Data(d, _)) if d.state == DataState::FAILED));
}

#[test]
fn a_drag_within_the_app_goes_from_client_to_client() {
    let (mut rig, surface) = begin(3);
    start(&mut rig);
    // Another client of the same display is the target.
    let first = rig.client;
    let second = other(&mut rig);
    let target = rig.commits().iter().map(|c| c.surface).find(|s| *s != surface).unwrap();
    enter(&mut rig, target);
    let events = rig.events();
    let (offer, mimes) = offered(&events, DEVICE);
    assert_eq!(mimes, ["text/plain", "x/y"]);
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "x/y", &[]);
    rig.client = first;
    assert!(rig.events().iter().any(|e| (e.0, e.1) == (SOURCE, 1)), "send, directly");
    assert!(rig.messages().iter().all(|m| !matches!(Message::decode(m), Ok(Message::Request(..)))));
    // Its source goes away.
    rig.request(SOURCE, 1, &[]);
    assert_eq!(drags(&mut rig)[0].0, DragEvent::CANCEL);
    rig.client = second;
    rig.files.push_back(71);
    rig.request_text(offer, 1, &[], "x/y", &[]);
    assert_eq!(rig.mock.closed, [71]);
}

/// A second client with a window and a data device; it is the rig's from now on.
fn other(rig: &mut Rig) -> ClientId {
    rig.client = rig.display.connect();
    rig.map();
    rig.bind(6, "wl_data_device_manager", 3, MANAGER);
    rig.request(MANAGER, 1, &[DEVICE, 6]);
    rig.client
}

#[test]
fn a_drag_without_source_is_its_clients_own() {
    let (mut rig, surface) = begin(3);
    rig.messages();
    rig.request(DEVICE, 0, &[0, SURFACE, 0, 17]);
    let sent = rig.messages();
    assert!(matches!(Message::decode(&sent[0]), Ok(Message::Offer(o, [])) if o.surface == surface));
    let first = rig.client;
    other(&mut rig);
    let target = rig.commits().iter().map(|c| c.surface).find(|s| *s != surface).unwrap();
    rig.events();
    enter(&mut rig, target);
    assert!(rig.events().is_empty());
    rig.client = first;
    enter(&mut rig, surface);
    let events = rig.events();
    let entered = events.iter().find(|e| (e.0, e.1) == (DEVICE, 1)).expect("enter");
    assert_eq!(word(&entered.2, 4), 0, "no offer");
}

#[test]
fn old_clients_copy_and_need_not_finish() {
    let (mut rig, surface) = begin(1);
    host_offer(&mut rig, Selection::DRAG, b"text/plain\0");
    rig.messages();
    enter(&mut rig, surface);
    assert_eq!(drags(&mut rig), [(DragEvent::SET_ACTIONS, 1, 1, String::new())]);
    let events = rig.events();
    let (offer, _) = offered(&events, DEVICE);
    assert!(!events.iter().any(|e| (e.0, e.1) == (offer, 1)), "source_actions is of version 3");
    tell(&mut rig, msg::Drag { action: 1, ..drag(DragEvent::OFFER_ACTION) }, "");
    assert!(rig.events().is_empty());
    rig.request_text(offer, 0, &[33], "text/plain", &[]);
    tell(&mut rig, drag(DragEvent::DROP), "");
    rig.messages();
    rig.request(offer, 2, &[]);
    assert_eq!(drags(&mut rig)[0].0, DragEvent::FINISH);
    // As sources they are not told of what they do not know either.
    source(&mut rig, SOURCE, &["text/plain"]);
    rig.request(DEVICE, 0, &[SOURCE, SURFACE, 0, 17]);
    rig.events();
    for event in [DragEvent::DROP_PERFORMED, DragEvent::SOURCE_ACTION, DragEvent::FINISHED] {
        tell(&mut rig, drag(event), "");
    }
    assert!(rig.events().is_empty());
}

#[test]
fn a_new_bridge_ends_drags_and_transfers() {
    let (mut rig, surface) = begin(3);
    focus(&mut rig, surface);
    host_offer(&mut rig, Selection::CLIPBOARD, b"text/plain\0");
    let (offer, _) = offered(&rig.events(), DEVICE);
    rig.files.push_back(70);
    rig.request_text(offer, 1, &[], "text/plain", &[]);
    start(&mut rig);
    enter(&mut rig, surface);
    rig.events();
    rig.hello();
    let events = rig.events();
    assert!(events.iter().any(|e| (e.0, e.1) == (DEVICE, 2)), "leave");
    assert!(events.iter().any(|e| (e.0, e.1) == (SOURCE, 2)), "cancelled");
    assert_eq!(rig.mock.closed, [70]);
}

#[test]
fn what_the_protocol_forbids() {
    let fresh = || begin(3).0;
    // Actions.
    let mut rig = fresh();
    source(&mut rig, SOURCE, &["a/b"]);
    assert_eq!(breaks(&mut rig, SOURCE, 2, &[8]), (SOURCE, 0));
    let mut rig = fresh();
    source(&mut rig, SOURCE, &["a/b"]);
    rig.request(SOURCE, 2, &[1]);
    assert_eq!(breaks(&mut rig, SOURCE, 2, &[1]), (SOURCE, 0), "twice");
    let mut rig = fresh();
    source(&mut rig, SOURCE, &["a/b"]);
    rig.request(SOURCE, 2, &[1]);
    assert_eq!(breaks(&mut rig, DEVICE, 1, &[SOURCE, 9]), (SOURCE, 1), "a drag's source as selection");
    let mut rig = fresh();
    source(&mut rig, SOURCE, &["a/b"]);
    rig.request(DEVICE, 1, &[SOURCE, 9]);
    assert_eq!(breaks(&mut rig, DEVICE, 0, &[SOURCE, SURFACE, 0, 9]), (DEVICE, 1), "used");
    let mut rig = fresh();
    source(&mut rig, SOURCE, &["a/b"]);
    assert_eq!(breaks(&mut rig, DEVICE, 0, &[SOURCE, SURFACE, SURFACE, 9]), (DEVICE, 0), "a window as icon");
    // Offers.
    let mut rig = fresh();
    let surface = 1;
    host_offer(&mut rig, Selection::DRAG, b"text/plain\0");
    enter(&mut rig, surface);
    let (offer, _) = offered(&rig.events(), DEVICE);
    assert_eq!(breaks(&mut rig, offer, 3, &[]), (offer, 0), "finish before the drop");
    for (words, code) in [([8, 0], 1), ([1, 8], 1), ([1, 2], 2), ([3, 3], 2)] {
        let mut rig = fresh();
        let surface = 1;
        host_offer(&mut rig, Selection::DRAG, b"text/plain\0");
        enter(&mut rig, surface);
        let (offer, _) = offered(&rig.events(), DEVICE);
        assert_eq!(breaks(&mut rig, offer, 4, &words), (offer, code), "{words:?}");
    }
    for (opcode, words, code) in [(3, &[][..], 0), (4, &[1, 1][..], 3)] {
        let mut rig = fresh();
        let surface = 1;
        focus(&mut rig, surface);
        host_offer(&mut rig, Selection::CLIPBOARD, b"text/plain\0");
        let (offer, _) = offered(&rig.events(), DEVICE);
        assert_eq!(breaks(&mut rig, offer, opcode, words), (offer, code), "no drag");
    }
}
