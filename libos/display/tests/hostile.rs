//! Bad input: whatever clients say, nothing panics, and the bridge only hears what it does not end the display for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel as msg;
use postern_channel::Message;
use postern_display::wire::Writer;
use rig::Rig;
use rig::checker::{Bridge, Dice};

const GLOBALS: [(u32, &str, u32); 26] = [
    (1, "wl_compositor", 7),
    (2, "wl_subcompositor", 1),
    (3, "wl_shm", 2),
    (4, "xdg_wm_base", 7),
    (5, "wl_seat", 10),
    (6, "wl_data_device_manager", 3),
    (7, "zxdg_output_manager_v1", 3),
    (8, "wp_viewporter", 1),
    (9, "wp_cursor_shape_manager_v1", 2),
    (10, "zxdg_decoration_manager_v1", 1),
    (11, "org_kde_kwin_server_decoration_manager", 1),
    (12, "zwp_primary_selection_device_manager_v1", 1),
    (13, "xdg_activation_v1", 1),
    (14, "wp_fractional_scale_manager_v1", 1),
    (15, "zwp_text_input_manager_v3", 1),
    (16, "zwp_idle_inhibit_manager_v1", 1),
    (17, "zwp_pointer_constraints_v1", 1),
    (18, "zwp_relative_pointer_manager_v1", 1),
    (19, "wp_presentation", 1),
    (20, "wp_single_pixel_buffer_manager_v1", 1),
    (21, "zxdg_exporter_v2", 1),
    (22, "zxdg_importer_v2", 1),
    (23, "xdg_wm_dialog_v1", 1),
    (24, "xdg_toplevel_icon_manager_v1", 1),
    (25, "xdg_system_bell_v1", 1),
    (26, "zwp_keyboard_shortcuts_inhibit_manager_v1", 1),
];

/// A window with two subsurface surfaces, a second window and objects of every interface.
fn playground() -> Rig {
    let mut rig = Rig::new();
    rig.output(1);
    rig.map();
    for (name, interface, version) in GLOBALS {
        rig.bind(name, interface, version, 100 + name);
    }
    rig.bind(1001, "wl_output", 4, 150);
    for surface in [30, 31, 32] {
        rig.request(3, 0, &[surface]);
    }
    rig.request(102, 1, &[33, 30, 10]);
    rig.request(108, 1, &[34, 10]);
    rig.request(106, 0, &[35]);
    rig.request(106, 1, &[36, 6]);
    rig.request(112, 0, &[37]);
    rig.request(112, 1, &[38, 6]);
    rig.request(5, 1, &[39]);
    rig.request(39, 1, &[50, 50]);
    rig.request(39, 2, &[0, 0, 10, 10]);
    rig.request(5, 2, &[40, 31]);
    rig.request(6, 0, &[41]);
    rig.request(6, 1, &[42]);
    rig.request(3, 1, &[43]);
    rig.request(115, 1, &[44, 6]);
    rig.request(117, 1, &[45, 10, 41, 43, 1]);
    rig.request(117, 2, &[46, 30, 41, 0, 2]);
    rig.request(118, 1, &[47, 41]);
    rig.request(120, 1, &[48, u32::MAX, 0, 0, u32::MAX]);
    rig.request(121, 1, &[49, 10]);
    rig.request(123, 1, &[51, 12]);
    rig.request(124, 1, &[52]);
    rig.request(126, 1, &[53, 10, 6]);
    rig.request(116, 1, &[54, 10]);
    rig.request(113, 1, &[55]);
    rig.request(114, 1, &[56, 10]);
    rig.request(6, 2, &[57]);
    // From the start, for a bridge that has heard nothing yet.
    rig.hello();
    rig
}

/// Says something that a bridge could say.
fn host_event(dice: &mut Dice, rig: &mut Rig, bridge: &Bridge) {
    let surfaces: Vec<u32> = bridge.surfaces.keys().copied().chain([1, 9999]).collect();
    let surface = dice.pick(&surfaces);
    match dice.roll(12) {
        0 => rig.configure(surface, dice.roll(50)),
        1 => rig.bridge_says(&Message::Close(msg::Close { surface }, &[]), None),
        2 => {
            let (time, output, feedback) = (dice.roll(5000), 1 + dice.roll(2), 1 + dice.roll(9));
            let (event, flags) = (dice.roll(6), 1 + dice.roll(400));
            let frame = msg::Frame { surface, time, event, output, feedback, flags, ..Default::default() };
            rig.bridge_says(&Message::Frame(frame, &[]), None);
        }
        3 => {
            let held: Vec<u32> = bridge.held.iter().copied().chain([77]).collect();
            rig.release(dice.pick(&held));
        }
        4 => {
            let event = 1 + dice.roll(6);
            let (serial, key, state) = (dice.roll(99), dice.roll(99), dice.roll(3));
            let key =
                msg::Key { event, surface, serial, time: 0, key, state, modifiers: [1; 4], keys: [3; 8] };
            rig.bridge_says(&Message::Key(key, &[]), None);
        }
        5 => {
            let (event, state) = (1 + dice.roll(9), dice.roll(4));
            let discrete = [0, dice.roll(240).cast_signed()];
            let (serial, time, x, y, button) = (1, 1, 5, 5, dice.roll(4));
            let pointer =
                msg::Pointer { event, surface, serial, time, x, y, button, state, discrete, high: 0 };
            rig.bridge_says(&Message::Pointer(pointer, &[]), None);
        }
        6 => rig.output(1 + dice.roll(2)),
        7 => {
            let output = 1 + dice.roll(2);
            rig.bridge_says(&Message::OutputGone(msg::OutputGone { output }, &[]), None);
        }
        8 => {
            let (event, id) = (1 + dice.roll(7), dice.roll(3).cast_signed());
            rig.bridge_says(
                &Message::Touch(msg::Touch { event, surface, id, ..Default::default() }, &[]),
                None,
            );
        }
        9 => {
            let (event, serial, preedit) = (dice.roll(3), dice.roll(5), dice.roll(9));
            let edit = msg::TextEdit { event, surface, serial, preedit, ..Default::default() };
            rig.bridge_says(&Message::TextEdit(edit, b"hello"), None);
        }
        10 => {
            let features = dice.roll(msg::Feature::ALL + 1);
            rig.bridge_says(
                &Message::Hello(msg::Hello { version: 1, features, ..Default::default() }, &[]),
                None,
            );
        }
        _ => {
            let transfer = 1 + dice.roll(9);
            let request = msg::Request { transfer, selection: msg::Selection::CLIPBOARD };
            rig.bridge_says(&Message::Request(request, b"text/plain"), None);
        }
    }
}

#[test]
fn hostile_bytes_never_panic() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let objects: Vec<u32> =
        [1, 2, 3, 4, 5, 6, 10, 10, 10, 11, 12, 20, 21].into_iter().chain(30..58).collect();
    let objects: Vec<u32> = objects.into_iter().chain(101..127).chain([150, 200, 201, 202, 203]).collect();
    let mut lasted = 0;
    for _ in 0..3000 {
        let mut rig = playground();
        let mut bridge = Bridge::default();
        for step in 0..200 {
            rig.files.push_back(dice.roll(100));
            let object = if dice.roll(40) == 0 { dice.roll(u32::MAX) } else { dice.pick(&objects) };
            let words: Vec<u32> = (0..dice.roll(8))
                .map(|_| match dice.roll(5) {
                    0 => dice.roll(300),
                    1 => dice.pick(&[0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000, 256, 16_640]),
                    2 => 200 + dice.roll(8),
                    _ => dice.pick(&objects),
                })
                .collect();
            let mut bytes = Vec::new();
            let opcode = u16::try_from(dice.roll(12)).unwrap();
            drop(words.iter().fold(Writer::new(&mut bytes, object, opcode), |w, word| w.u32(*word)));
            if dice.roll(64) == 0 {
                bytes.truncate(dice.roll(64) as usize % (bytes.len() + 1));
            }
            let alive = rig.try_send(&bytes).is_ok();
            while let Some(message) = rig.sent() {
                bridge.hears(&message);
            }
            match dice.roll(12) {
                0..3 => host_event(&mut dice, &mut rig, &bridge),
                3 => rig.display.tick(dice.roll(100_000)),
                4 if dice.roll(20) == 0 => rig.hello(),
                5 if dice.roll(20) == 0 => rig.display.bridge_lost(),
                _ => {}
            }
            if !alive {
                lasted = lasted.max(step);
                break;
            }
        }
        rig.display.disconnect(rig.client);
        while let Some(message) = rig.sent() {
            bridge.hears(&message);
        }
        rig.hello();
        while let Some(message) = rig.sent() {
            bridge.hears(&message);
        }
        assert!(
            bridge.pools.is_empty() && bridge.surfaces.is_empty(),
            "a client that is gone leaves nothing"
        );
    }
    assert!(lasted > 10, "the clients break off too early to try much");
}

#[test]
fn breaking_off_in_the_middle_of_a_request_is_fine() {
    let mut rig = Rig::new();
    let mut bytes = Vec::new();
    drop(Writer::new(&mut bytes, 1, 1).u32(2));
    drop(Writer::new(&mut bytes, 1, 0).u32(3));
    for byte in &bytes {
        rig.try_send(std::slice::from_ref(byte)).unwrap();
    }
    let events = rig.events();
    assert!(events.iter().any(|e| e.0 == 2) && events.iter().any(|e| e.0 == 3));
}

#[test]
fn chains_and_circles_of_surfaces_are_refused() {
    let mut rig = Rig::new();
    rig.window();
    rig.bind(2, "wl_subcompositor", 1, 7);
    for surface in 100..130 {
        rig.request(3, 0, &[surface]);
    }
    let mut bytes = Vec::new();
    let mut depth = 0;
    for surface in 101..130 {
        bytes.clear();
        drop(
            [surface + 100, surface, surface - 1]
                .iter()
                .fold(Writer::new(&mut bytes, 7, 1), |w, word| w.u32(*word)),
        );
        if rig.try_send(&bytes).is_err() {
            break;
        }
        depth += 1;
    }
    assert!((10..29).contains(&depth), "{depth}");
    let mut rig = Rig::new();
    rig.window();
    rig.bind(2, "wl_subcompositor", 1, 7);
    for surface in [100, 101] {
        rig.request(3, 0, &[surface]);
    }
    rig.request(7, 1, &[200, 100, 101]);
    bytes.clear();
    drop([201, 101, 100].iter().fold(Writer::new(&mut bytes, 7, 1), |w, word| w.u32(*word)));
    assert!(rig.try_send(&bytes).is_err());
}

#[test]
fn one_client_cannot_take_everything() {
    let mut rig = Rig::new();
    rig.window();
    let mut bytes = Vec::new();
    let failed = (1000..2000).any(|surface| {
        bytes.clear();
        drop(Writer::new(&mut bytes, 3, 0).u32(surface));
        rig.try_send(&bytes).is_err()
    });
    assert!(failed, "surfaces are bounded");
    // Not even disconnected yet: the next client has room.
    rig.client = rig.display.connect();
    rig.window();
    rig.commit(10);
    assert_eq!(rig.commits().len(), 1);
}
