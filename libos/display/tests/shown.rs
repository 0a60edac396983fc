//! Where, when and at what scale things are shown, and what windows say of themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, CommitFlag, Feature, FrameEvent, Message};
use rig::{Rig, word};

fn window() -> (Rig, u32) {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.forget();
    (rig, surface)
}

fn output(rig: &mut Rig, output: u32, scale: i32, fraction: u32, transform: u32) {
    let output = msg::Output { output, scale, fraction, transform, ..Default::default() };
    rig.bridge_says(&Message::Output(output, &[]), None);
}

#[test]
fn the_scale_is_that_of_the_output_where_the_surface_is() {
    let (mut rig, surface) = window();
    output(&mut rig, 1, 1, 120, 0);
    output(&mut rig, 2, 2, 180, 1);
    rig.bind(1, "wl_compositor", 6, 70);
    rig.bind(1001, "wl_output", 4, 71);
    rig.bind(1002, "wl_output", 4, 72);
    rig.bind(14, "wp_fractional_scale_manager_v1", 1, 73);
    rig.events();
    rig.request(73, 1, &[74, 10]);
    assert_eq!(rig.events(), [(74, 0, 180u32.to_ne_bytes().to_vec())], "the sharpest until it is somewhere");
    rig.frame_event(surface, FrameEvent::ENTERED, 1);
    assert_eq!(rig.events(), [(10, 0, 71u32.to_ne_bytes().to_vec()), (74, 0, 120u32.to_ne_bytes().to_vec())]);
    rig.frame_event(surface, FrameEvent::ENTERED, 2);
    assert_eq!(rig.events(), [(10, 0, 72u32.to_ne_bytes().to_vec()), (74, 0, 180u32.to_ne_bytes().to_vec())]);
    rig.frame_event(surface, FrameEvent::LEFT, 2);
    assert_eq!(rig.events(), [(10, 1, 72u32.to_ne_bytes().to_vec()), (74, 0, 120u32.to_ne_bytes().to_vec())]);
    // The compositor's own word counts more.
    let scale = msg::Frame { surface, event: FrameEvent::SCALE, flags: 150, ..Default::default() };
    rig.bridge_says(&Message::Frame(scale, &[]), None);
    assert_eq!(rig.events(), [(74, 0, 150u32.to_ne_bytes().to_vec())]);
    // On no output it stays as it was.
    rig.frame_event(surface, FrameEvent::LEFT, 1);
    assert_eq!(rig.events(), [(10, 1, 71u32.to_ne_bytes().to_vec())]);

    // A surface of version 6, which goes by its parent.
    rig.frame_event(surface, FrameEvent::ENTERED, 2);
    rig.bind(2, "wl_subcompositor", 1, 80);
    rig.request(70, 0, &[81]);
    rig.request(80, 1, &[82, 81, 10]);
    rig.attach(81, 21);
    rig.commit(81);
    rig.events();
    rig.commit(10);
    let events = rig.events();
    assert!(events.contains(&(81, 2, 2u32.to_ne_bytes().to_vec())), "preferred_buffer_scale: {events:?}");
    // The parent's outputs are not the child's, but its scale is: 150/120 by the compositor's word.
    let own = msg::Frame { surface, event: FrameEvent::SCALE, flags: 400, ..Default::default() };
    rig.bridge_says(&Message::Frame(own, &[]), None);
    assert!(rig.events().contains(&(81, 2, 4u32.to_ne_bytes().to_vec())));
}

#[test]
fn a_surface_that_vanishes_is_on_no_output() {
    let (mut rig, surface) = window();
    output(&mut rig, 1, 1, 120, 0);
    rig.bind(1001, "wl_output", 4, 71);
    rig.frame_event(surface, FrameEvent::ENTERED, 1);
    rig.events();
    rig.attach(10, 0);
    rig.commit(10);
    assert!(rig.events().contains(&(10, 1, 71u32.to_ne_bytes().to_vec())));
}

fn feedback(surface: u32, event: u32, feedback: u32) -> msg::Frame {
    msg::Frame {
        surface,
        event,
        feedback,
        seconds: 1 << 32 | 7,
        nanoseconds: 9,
        refresh: 16_666_666,
        sequence: 3,
        flags: 7,
        output: 1,
        ..Default::default()
    }
}

#[test]
fn presentation_is_told_as_the_compositor_saw_it() {
    let (mut rig, surface) = window();
    output(&mut rig, 1, 1, 120, 0);
    rig.bind(1001, "wl_output", 4, 71);
    rig.events();
    rig.bind(19, "wp_presentation", 1, 70);
    assert_eq!(rig.events(), [(70, 0, 1u32.to_ne_bytes().to_vec())], "CLOCK_MONOTONIC");
    rig.request(70, 1, &[10, 72]);
    rig.request(70, 1, &[10, 73]);
    rig.attach(10, 21);
    rig.commit(10);
    let number = rig.commits().pop().unwrap().feedback;
    assert_ne!(number, 0);
    // A commit with nothing to say about it has no wish.
    rig.commit(10);
    assert_eq!(rig.commits().pop().unwrap().feedback, 0);
    rig.events();
    let shown = feedback(surface, FrameEvent::PRESENTED, number);
    for _ in 0..2 {
        rig.bridge_says(&Message::Frame(shown, &[]), None);
    }
    let events = rig.events();
    let kinds: Vec<(u32, u16)> = events.iter().map(|e| (e.0, e.1)).collect();
    assert_eq!(kinds, [(72, 0), (72, 1), (1, 1), (73, 0), (73, 1), (1, 1)], "once: {events:?}");
    let presented: Vec<u32> = (0..7).map(|at| word(&events[1].2, at)).collect();
    assert_eq!(presented, [1, 7, 9, 16_666_666, 0, 3, 7]);

    // Never shown: as the bridge says, when the surface goes, when the bridge goes, and where there is none.
    let discarded = |rig: &mut Rig, object| rig.events().contains(&(object, 2, vec![]));
    rig.request(70, 1, &[10, 74]);
    rig.commit(10);
    let number = rig.commits().pop().unwrap().feedback;
    rig.bridge_says(&Message::Frame(feedback(surface, FrameEvent::DISCARDED, number), &[]), None);
    assert!(discarded(&mut rig, 74));
    rig.request(70, 1, &[10, 75]);
    rig.commit(10);
    rig.hello();
    assert!(discarded(&mut rig, 75));
    assert_eq!(rig.commits().pop().unwrap().feedback, 0, "not asked again");
    rig.request(70, 1, &[10, 76]);
    rig.display.bridge_lost();
    rig.commit(10);
    assert!(discarded(&mut rig, 76));
    rig.hello();
    rig.request(70, 1, &[10, 77]);
    rig.commit(10);
    rig.request(12, 0, &[]);
    assert!(discarded(&mut rig, 77));
}

#[test]
fn one_pixel_needs_no_memory() {
    let (mut rig, _) = window();
    rig.bind(20, "wp_single_pixel_buffer_manager_v1", 1, 70);
    rig.request(70, 1, &[71, 0x1122_3344, 0x5566_7788, 0x99aa_bbcc, u32::MAX]);
    rig.attach(10, 71);
    rig.commit(10);
    let commit = rig.commits().pop().unwrap();
    assert_ne!(commit.flags & CommitFlag::SINGLE_PIXEL, 0);
    assert_eq!((commit.offset, commit.pool, commit.width, commit.height), (0xff11_5599, 0, 1, 1));
    rig.attach(10, 21);
    rig.commit(10);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::SINGLE_PIXEL, 0);
    rig.events();
    rig.release(commit.buffer);
    assert_eq!(rig.events(), [(71, 0, vec![])]);
}

#[test]
fn release_callbacks_belong_to_the_commit() {
    let (mut rig, _) = window();
    rig.bind(1, "wl_compositor", 7, 70);
    rig.bind(2, "wl_subcompositor", 1, 71);
    rig.request(70, 0, &[72]);
    rig.request(71, 1, &[73, 72, 10]);
    rig.request(73, 5, &[]);
    rig.request(20, 0, &[22, 0, 64, 64, 256, 1]);
    rig.attach(72, 22);
    rig.request(72, 11, &[74]);
    rig.commit(72);
    let first = rig.commits().pop().unwrap().buffer;
    rig.attach(72, 22);
    rig.commit(72);
    let second = rig.commits().pop().unwrap().buffer;
    rig.events();
    rig.release(first);
    // The buffer is still in use by the second commit.
    assert_eq!(rig.events()[0], (74, 0, vec![0; 4]));
    rig.release(second);
    assert_eq!(rig.events(), [(22, 0, vec![])]);
}

#[test]
fn a_cursor_that_moves_in_its_surface_moves_the_hotspot() {
    let (mut rig, surface) = window();
    let enter = msg::Pointer { event: 1, surface, serial: 5, ..Default::default() };
    rig.bridge_says(&Message::Pointer(enter, &[]), None);
    rig.bind(1, "wl_compositor", 5, 70);
    rig.request(70, 0, &[72]);
    rig.request(6, 0, &[71]);
    rig.request(71, 0, &[5, 72, 10, 10]);
    rig.forget();
    rig.request(72, 10, &[2, (-3i32).cast_unsigned()]);
    rig.attach(72, 21);
    rig.commit(72);
    let mut hotspot = None;
    while let Some(bytes) = rig.sent() {
        if let Ok(Message::Cursor(cursor, _)) = Message::decode(&bytes) {
            hotspot = Some(cursor.hotspot);
        }
    }
    assert_eq!(hotspot, Some([8, 13]));
}

/// The next request for a window.
fn interactive(rig: &mut Rig) -> Option<msg::Interactive> {
    while let Some(bytes) = rig.sent() {
        if let Ok(Message::Interactive(message, _)) = Message::decode(&bytes) {
            return Some(message);
        }
    }
    None
}

#[test]
fn a_token_brings_one_window_to_the_front() {
    let (mut rig, surface) = window();
    rig.bind(13, "xdg_activation_v1", 1, 70);
    rig.request(70, 1, &[71]);
    rig.request(71, 0, &[99, 6]);
    rig.request(71, 2, &[10]);
    rig.request(71, 3, &[]);
    let events = rig.events();
    let done = events.iter().find(|e| e.0 == 71 && e.1 == 0).unwrap();
    let token = std::str::from_utf8(&done.2[4..3 + word(&done.2, 0) as usize]).unwrap().to_owned();
    rig.request_string(70, 2, "postern-777", &[10]);
    assert!(interactive(&mut rig).is_none(), "nobody was given that one");
    rig.request_string(70, 2, &token, &[10]);
    let asked = interactive(&mut rig).unwrap();
    assert_eq!((asked.action, asked.surface, asked.serial), (msg::Action::ACTIVATE, surface, 99));
    rig.request_string(70, 2, &token, &[10]);
    assert!(interactive(&mut rig).is_none(), "it is used");
    rig.bind(25, "xdg_system_bell_v1", 1, 72);
    rig.request(72, 1, &[0]);
    assert_eq!(interactive(&mut rig).unwrap().action, msg::Action::BELL);
}

#[test]
fn a_window_of_another_client_can_be_the_parent() {
    let (mut rig, parent) = window();
    let first = rig.client;
    rig.bind(21, "zxdg_exporter_v2", 1, 70);
    rig.request(70, 1, &[71, 10]);
    let events = rig.events();
    let handle = events.iter().find(|e| e.0 == 71 && e.1 == 0).unwrap();
    let handle = std::str::from_utf8(&handle.2[4..3 + word(&handle.2, 0) as usize]).unwrap().to_owned();
    rig.client = rig.display.connect();
    rig.map();
    rig.bind(22, "zxdg_importer_v2", 1, 70);
    rig.forget();
    let import = |rig: &mut Rig, id: u32, handle: &str| {
        let mut bytes = Vec::new();
        drop(postern_display::wire::Writer::new(&mut bytes, 70, 1).u32(id).string(handle.as_bytes()));
        rig.try_send(&bytes).unwrap();
    };
    import(&mut rig, 71, "nonsense");
    assert_eq!(rig.events(), [(71, 0, vec![])], "destroyed");
    import(&mut rig, 72, &handle);
    assert_eq!(rig.events(), []);
    rig.request(72, 1, &[10]);
    assert_eq!(rig.commits().pop().unwrap().parent, parent);
    // The exporting client goes.
    rig.display.disconnect(first);
    assert!(rig.events().contains(&(72, 0, vec![])));
    assert_eq!(rig.commits().pop().unwrap().parent, 0);
}

#[test]
fn dialogs_icons_and_what_windows_may_do() {
    let (mut rig, _) = window();
    rig.bind(23, "xdg_wm_dialog_v1", 1, 70);
    rig.request(70, 1, &[71, 12]);
    rig.request(71, 1, &[]);
    assert_ne!(rig.commits().pop().unwrap().flags & CommitFlag::MODAL, 0);
    rig.request(71, 0, &[]);
    assert_eq!(rig.commits().pop().unwrap().flags & CommitFlag::MODAL, 0);
    rig.bind(24, "xdg_toplevel_icon_manager_v1", 1, 72);
    assert_eq!(rig.events().pop(), Some((72, 1, vec![])), "done");
    rig.request(72, 1, &[73]);
    rig.request_string(73, 1, "some-app", &[]);
    rig.request(73, 2, &[21, 1]);
    rig.request(72, 2, &[12, 73]);
    assert!(rig.sent().is_none(), "the bridge decides on icons");

    rig.bind(4, "xdg_wm_base", 7, 80);
    rig.request(3, 0, &[81]);
    rig.request(80, 2, &[82, 81]);
    rig.request(82, 1, &[83]);
    rig.commit(81);
    let surface = rig.commits().pop().unwrap().surface;
    rig.events();
    let configure = |capabilities, states| msg::Configure {
        surface,
        serial: 1,
        states,
        capabilities,
        bounds: [9, 8],
        ..Default::default()
    };
    rig.bridge_says(&Message::Configure(configure(0b1_0000, 1 << 9 | 1 << 13), &[]), None);
    let array = |numbers: &[u32]| {
        let bytes = numbers.iter().flat_map(|n| n.to_ne_bytes());
        u32::try_from(numbers.len() * 4).unwrap().to_ne_bytes().into_iter().chain(bytes).collect::<Vec<u8>>()
    };
    let events = rig.events();
    assert!(events.contains(&(83, 3, array(&[4]))), "wm_capabilities: {events:?}");
    assert!(events.contains(&(83, 2, [9u32, 8].iter().flat_map(|n| n.to_ne_bytes()).collect())));
    let states = events.iter().find(|e| e.0 == 83 && e.1 == 0).unwrap();
    assert_eq!(states.2[8..], array(&[9, 13]), "suspended and constrained_bottom");
    // A compositor that does not say: everything, and only when it changes.
    rig.bridge_says(&Message::Configure(configure(0, 0), &[]), None);
    rig.bridge_says(&Message::Configure(configure(0, 0), &[]), None);
    let told: Vec<_> = rig.events().into_iter().filter(|e| e.0 == 83 && e.1 == 3).collect();
    assert_eq!(told, [(83, 3, array(&[1, 2, 3, 4]))]);
}

#[test]
fn what_the_compositor_lacks_is_not_offered() {
    let mut rig = Rig::new();
    let hello = |rig: &mut Rig, features| {
        rig.bridge_says(
            &Message::Hello(msg::Hello { version: 1, features, ..Default::default() }, &[]),
            None,
        );
    };
    hello(&mut rig, 0);
    rig.request(1, 1, &[2]);
    let names: Vec<u32> = rig.events().iter().filter(|e| e.0 == 2).map(|e| word(&e.2, 0)).collect();
    assert!(names.contains(&1) && names.contains(&20));
    for name in [13, 15, 16, 17, 18, 19, 23, 25, 26] {
        assert!(!names.contains(&name), "{name}");
    }
    hello(&mut rig, Feature::TEXT_INPUT | Feature::BELL);
    let came: Vec<(u16, u32)> = rig.events().iter().map(|e| (e.1, word(&e.2, 0))).collect();
    assert_eq!(came, [(0, 15), (0, 25)]);
    hello(&mut rig, Feature::BELL);
    let gone: Vec<(u16, u32)> = rig.events().iter().map(|e| (e.1, word(&e.2, 0))).collect();
    assert_eq!(gone, [(1, 15)]);
    // Versions are the compositor's, for those who come after it was known.
    let hello = msg::Hello { version: 1, features: 0, compositor: 5, seat: 9, shell: 3 };
    rig.bridge_says(&Message::Hello(hello, &[]), None);
    rig.request(1, 1, &[4]);
    let offered: Vec<(u32, u32)> = rig
        .events()
        .iter()
        .filter(|e| e.0 == 4 && e.1 == 0)
        .map(|e| (word(&e.2, 0), word(&e.2, e.2.len() / 4 - 1)))
        .collect();
    for known in [(1, 5), (5, 9), (4, 3), (3, 2)] {
        assert!(offered.contains(&known), "{known:?} is not among {offered:?}");
    }
    // A client that had not heard of it yet is not ended.
    rig.bind(15, "zwp_text_input_manager_v3", 1, 70);
}
