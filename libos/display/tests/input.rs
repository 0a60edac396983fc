//! Touch, input methods, and the pointer held on a surface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, CommitFlag, Message, PointerEvent, TouchEvent};
use rig::{Rig, word};

/// A mapped window; its number.
fn window() -> (Rig, u32) {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.forget();
    (rig, surface)
}

fn pointer(rig: &mut Rig, event: u32, surface: u32) {
    let message = msg::Pointer { event, surface, serial: 5, x: 256, y: 512, ..Default::default() };
    rig.bridge_says(&Message::Pointer(message, &[]), None);
}

fn touch(rig: &mut Rig, event: u32, surface: u32, id: i32) {
    let message = msg::Touch { event, surface, serial: 3, time: 4, id, x: 512, y: 768 };
    rig.bridge_says(&Message::Touch(message, &[]), None);
}

#[test]
fn fingers_stay_with_the_surface_that_they_touched() {
    let (mut rig, surface) = window();
    rig.bind(5, "wl_seat", 5, 70);
    rig.request(6, 2, &[71]);
    rig.request(70, 2, &[72]);
    rig.events();
    touch(&mut rig, TouchEvent::DOWN, surface, 1);
    let down: Vec<u8> = [3u32, 4, 10, 1, 512, 768].iter().flat_map(|v| v.to_ne_bytes()).collect();
    assert_eq!(rig.events(), [(71, 0, down.clone()), (72, 0, down)]);
    // Of another finger that never came down, nothing is heard.
    touch(&mut rig, TouchEvent::MOTION, 0, 9);
    assert_eq!(rig.events(), []);
    for event in [TouchEvent::MOTION, TouchEvent::SHAPE, TouchEvent::ORIENTATION, TouchEvent::FRAME] {
        touch(&mut rig, event, 0, 1);
    }
    let kinds: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    // Shape and orientation came with version 6.
    assert_eq!(kinds, [(71, 2), (72, 2), (71, 5), (71, 6), (71, 3), (72, 3)]);
    touch(&mut rig, TouchEvent::UP, 0, 1);
    touch(&mut rig, TouchEvent::FRAME, 0, 0);
    let kinds: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(kinds, [(71, 1), (72, 1), (71, 3), (72, 3)]);
    touch(&mut rig, TouchEvent::DOWN, surface, 2);
    rig.events();
    // A new bridge knows of no fingers.
    rig.hello();
    assert!(rig.events().iter().any(|e| e.0 == 71 && e.1 == 4), "cancel");
}

#[test]
fn scrolling_says_which_way_is_natural() {
    let (mut rig, surface) = window();
    for (version, object) in [(9, 70), (8, 71), (7, 72)] {
        rig.bind(5, "wl_seat", version, object);
        rig.request(object, 0, &[object + 10]);
    }
    pointer(&mut rig, PointerEvent::ENTER, surface);
    rig.events();
    let axis = msg::Pointer {
        event: PointerEvent::AXIS,
        y: 2560,
        discrete: [0, 120],
        button: 8,
        ..Default::default()
    };
    rig.bridge_says(&Message::Pointer(axis, &[]), None);
    let of = |events: &[rig::Event], object| -> Vec<u16> {
        events.iter().filter(|e| e.0 == object).map(|e| e.1).collect()
    };
    let events = rig.events();
    assert_eq!(of(&events, 80), [6, 10, 9, 4]);
    assert_eq!(of(&events, 81), [6, 9, 4]);
    assert_eq!(of(&events, 82), [6, 8, 4]);
    let inverted = events.iter().find(|e| e.0 == 80 && e.1 == 10).unwrap();
    assert_eq!((word(&inverted.2, 0), word(&inverted.2, 1)), (0, 1));
}

#[test]
fn a_repeated_key_is_news_since_version_10() {
    let (mut rig, surface) = window();
    for (version, object) in [(10, 70), (9, 71)] {
        rig.bind(5, "wl_seat", version, object);
        rig.request(object, 1, &[object + 10]);
    }
    let key = |event, state| msg::Key { event, surface, key: 30, state, ..Default::default() };
    rig.bridge_says(&Message::Key(key(1, 0), &[]), None);
    rig.events();
    rig.bridge_says(&Message::Key(key(3, 2), &[]), None);
    let heard: Vec<u32> = rig.events().iter().map(|e| e.0).collect();
    assert_eq!(heard, [80]);
}

#[test]
fn the_pointer_is_locked_by_the_surfaces_state() {
    let (mut rig, surface) = window();
    rig.bind(17, "zwp_pointer_constraints_v1", 1, 70);
    rig.request(6, 0, &[71]);
    rig.request(3, 1, &[72]);
    rig.request(72, 1, &[5, 6, 20, 30]);
    rig.request(70, 1, &[73, 10, 71, 72, 2]);
    let commit = rig.commits().pop().expect("it is told at once");
    assert_ne!(commit.flags & CommitFlag::LOCK_POINTER, 0);
    assert_eq!(commit.flags & CommitFlag::POINTER_ONESHOT, 0);
    assert_ne!(commit.flags & CommitFlag::POINTER_REGION, 0);
    assert_eq!(commit.pointer_region, msg::Rect { x: 5, y: 6, width: 20, height: 30 });
    pointer(&mut rig, PointerEvent::CONSTRAINED, surface);
    assert_eq!(rig.events(), [(73, 0, vec![])]);
    // Double-buffered.
    rig.request(73, 1, &[2560, 1280]);
    rig.request(73, 2, &[0]);
    assert!(rig.commits().is_empty());
    rig.commit(10);
    let commit = rig.commits().pop().unwrap();
    assert_eq!(commit.cursor_hint, [2560, 1280]);
    assert_ne!(commit.flags & CommitFlag::CURSOR_HINT, 0);
    assert_eq!(commit.flags & CommitFlag::POINTER_REGION, 0);
    // It may come back.
    pointer(&mut rig, PointerEvent::UNCONSTRAINED, surface);
    pointer(&mut rig, PointerEvent::CONSTRAINED, surface);
    assert_eq!(rig.events().iter().map(|e| e.1).collect::<Vec<_>>(), [1, 0]);
    // The bridge goes: so does the lock, until the next one says otherwise. The wish is said again.
    rig.hello();
    assert!(rig.events().contains(&(73, 1, vec![])));
    assert_ne!(rig.commits().pop().unwrap().flags & CommitFlag::LOCK_POINTER, 0);
    rig.request(73, 0, &[]);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::LOCK_POINTER, 0);
}

#[test]
fn a_confinement_of_once_ends_for_good() {
    let (mut rig, surface) = window();
    rig.bind(17, "zwp_pointer_constraints_v1", 1, 70);
    rig.request(6, 0, &[71]);
    rig.request(70, 2, &[73, 10, 71, 0, 1]);
    let flags = rig.commits().pop().unwrap().flags;
    assert_ne!(flags & CommitFlag::CONFINE_POINTER, 0);
    assert_ne!(flags & CommitFlag::POINTER_ONESHOT, 0);
    pointer(&mut rig, PointerEvent::CONSTRAINED, surface);
    pointer(&mut rig, PointerEvent::UNCONSTRAINED, surface);
    assert_eq!(rig.events(), [(73, 0, vec![]), (73, 1, vec![])]);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::CONFINE_POINTER, 0);
    // The next one may come although the old object is still there, which stays without effect.
    rig.request(70, 1, &[74, 10, 71, 0, 2]);
    assert_ne!(rig.commits().pop().unwrap().flags & CommitFlag::LOCK_POINTER, 0);
    rig.request(73, 0, &[]);
    assert!(rig.commits().is_empty());
    // One that a new bridge finds in force ends, and is not among what the bridge hears, before the pools least of all.
    rig.request(74, 0, &[]);
    rig.request(70, 2, &[75, 10, 71, 0, 1]);
    pointer(&mut rig, PointerEvent::CONSTRAINED, surface);
    rig.forget();
    rig.hello();
    let mut kinds = Vec::new();
    while let Some(bytes) = rig.sent() {
        let message = Message::decode(&bytes).unwrap();
        if let Message::Commit(commit, _) = message {
            assert_eq!(commit.flags & CommitFlag::CONFINE_POINTER, 0);
        }
        kinds.push(message.kind());
    }
    assert_eq!(kinds[..3], [msg::Kind::Hello, msg::Kind::Pool, msg::Kind::Commit]);
    assert!(!kinds[3..].contains(&msg::Kind::Commit));
}

#[test]
fn relative_motion_goes_to_the_client_under_the_pointer() {
    let (mut rig, surface) = window();
    rig.bind(18, "zwp_relative_pointer_manager_v1", 1, 70);
    rig.request(6, 0, &[71]);
    rig.request(70, 1, &[72, 71]);
    let moved = msg::Pointer {
        event: PointerEvent::RELATIVE,
        time: 7,
        high: 1,
        x: -256,
        y: 128,
        discrete: [-512, 64],
        ..Default::default()
    };
    rig.bridge_says(&Message::Pointer(moved, &[]), None);
    assert!(!rig.events().iter().any(|e| e.0 == 72), "the pointer is elsewhere");
    pointer(&mut rig, PointerEvent::ENTER, surface);
    rig.events();
    rig.bridge_says(&Message::Pointer(moved, &[]), None);
    let words: Vec<u8> = [1i32, 7, -256, 128, -512, 64].iter().flat_map(|v| v.to_ne_bytes()).collect();
    assert_eq!(rig.events(), [(72, 0, words)]);
}

fn edit(rig: &mut Rig, event: u32, surface: u32) {
    let edit = msg::TextEdit { event, surface, ..Default::default() };
    rig.bridge_says(&Message::TextEdit(edit, &[]), None);
}

/// The next state of a text field that goes to the bridge.
fn state(rig: &mut Rig) -> Option<(msg::TextInput, Vec<u8>)> {
    while let Some(bytes) = rig.sent() {
        if let Ok(Message::TextInput(state, text)) = Message::decode(&bytes) {
            return Some((state, text.to_vec()));
        }
    }
    None
}

#[test]
fn a_text_field_is_served_by_the_input_method() {
    let (mut rig, surface) = window();
    rig.bind(15, "zwp_text_input_manager_v3", 1, 70);
    rig.request(70, 1, &[71, 6]);
    // Not reached yet: such requests are ignored.
    rig.request(71, 1, &[]);
    rig.request(71, 7, &[]);
    assert!(state(&mut rig).is_none());
    edit(&mut rig, 1, surface);
    assert_eq!(rig.events(), [(71, 0, 10u32.to_ne_bytes().to_vec())]);
    rig.request(70, 1, &[72, 6]);
    assert!(rig.events().contains(&(72, 0, 10u32.to_ne_bytes().to_vec())), "a late text input");

    rig.request(71, 1, &[]);
    rig.request_string(71, 3, "größe", &[4, 7]);
    rig.request(71, 5, &[0x42, 9]);
    rig.request(71, 6, &[1, 2, 3, 4]);
    assert!(state(&mut rig).is_none(), "double-buffered");
    rig.request(71, 7, &[]);
    let (first, text) = state(&mut rig).unwrap();
    assert_eq!((first.surface, first.fresh, first.has_text), (surface, 1, 1));
    assert_eq!((first.cursor, first.anchor, first.hint, first.purpose), (4, 7, 0x42, 9));
    assert_eq!(first.rectangle, msg::Rect { x: 1, y: 2, width: 3, height: 4 });
    assert_eq!(text, "größe".as_bytes());

    let typed = msg::TextEdit {
        serial: first.serial,
        preedit: 2,
        cursor_begin: 0,
        cursor_end: 2,
        delete_before: 3,
        ..Default::default()
    };
    rig.bridge_says(&Message::TextEdit(typed, b"nihao"), None);
    let events = rig.events();
    let kinds: Vec<(u32, u16)> = events.iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(kinds, [(71, 2), (71, 3), (71, 4), (71, 5)], "preedit, commit, delete, done");
    assert_eq!(events[0].2[..8], [3, 0, 0, 0, b'n', b'i', 0, 0]);
    assert_eq!(events[1].2[..8], [4, 0, 0, 0, b'h', b'a', b'o', 0]);
    // The object's own count: it has committed twice, once before it was reached.
    assert_eq!(word(&events[3].2, 0), 2);

    // Another text field: what was meant for the first is not typed into it.
    rig.request(72, 1, &[]);
    rig.request(72, 7, &[]);
    let (second, _) = state(&mut rig).unwrap();
    assert!(second.fresh == 1 && second.serial > first.serial);
    rig.bridge_says(&Message::TextEdit(typed, b"nihao"), None);
    assert_eq!(rig.events(), []);
    rig.bridge_says(&Message::TextEdit(msg::TextEdit { serial: second.serial, ..typed }, b"abc"), None);
    assert!(rig.events().iter().any(|e| e.0 == 72 && e.1 == 5 && word(&e.2, 0) == 1));

    rig.request(72, 2, &[]);
    rig.request(72, 7, &[]);
    assert_eq!(state(&mut rig).unwrap().0.surface, 0, "no text field any more");
    edit(&mut rig, 2, surface);
    let left: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(left, [(71, 1), (72, 1)]);
}

#[test]
fn a_text_field_that_lies_about_its_cursor_gets_no_help() {
    let (mut rig, surface) = window();
    rig.bind(15, "zwp_text_input_manager_v3", 1, 70);
    rig.request(70, 1, &[71, 6]);
    edit(&mut rig, 1, surface);
    for cursor in [100, u32::MAX, 3] {
        rig.request(71, 1, &[]);
        // The third byte is in the middle of a character.
        rig.request_string(71, 3, "größe", &[cursor, 0]);
        rig.request(71, 7, &[]);
        let (state, text) = state(&mut rig).unwrap();
        assert_eq!((state.has_text, text.len(), state.cursor), (0, 0, 0), "{cursor}");
    }
    // The input goes away while a text field is active.
    rig.request(71, 0, &[]);
    assert_eq!(state(&mut rig).unwrap().0.surface, 0);
}

#[test]
fn shortcuts_and_idleness_are_flags_of_the_surface() {
    let (mut rig, surface) = window();
    rig.bind(26, "zwp_keyboard_shortcuts_inhibit_manager_v1", 1, 70);
    rig.request(70, 1, &[71, 10, 6]);
    assert_ne!(rig.commits().pop().unwrap().flags & CommitFlag::INHIBIT_SHORTCUTS, 0);
    for (event, opcode) in [(msg::KeyEvent::INHIBITED, 0), (msg::KeyEvent::UNINHIBITED, 1)] {
        rig.bridge_says(&Message::Key(msg::Key { event, surface, ..Default::default() }, &[]), None);
        assert_eq!(rig.events(), [(71, opcode, vec![])]);
    }
    rig.request(71, 0, &[]);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::INHIBIT_SHORTCUTS, 0);

    rig.bind(16, "zwp_idle_inhibit_manager_v1", 1, 72);
    rig.request(72, 1, &[73, 10]);
    assert_ne!(rig.commits().pop().unwrap().flags & CommitFlag::INHIBIT_IDLE, 0);
    rig.request(72, 1, &[74, 10]);
    rig.request(73, 0, &[]);
    assert!(rig.commits().is_empty(), "one is left");
    rig.request(74, 0, &[]);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::INHIBIT_IDLE, 0);
}
