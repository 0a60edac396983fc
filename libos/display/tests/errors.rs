//! What the protocols call an error ends the client, with the error's own object and number.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, Message};
use rig::Rig;

/// The window of the rig, with wm_base version 7 as object 70.
fn shell() -> Rig {
    let mut rig = Rig::new();
    rig.map();
    rig.bind(4, "xdg_wm_base", 7, 70);
    rig.forget();
    rig
}

/// A complete positioner.
fn positioner(rig: &mut Rig, id: u32) {
    rig.request(70, 1, &[id]);
    rig.request(id, 1, &[40, 30]);
    rig.request(id, 2, &[0, 0, 10, 10]);
}

/// A popup object `id` of surface `id + 2`, on xdg_surface `parent`.
fn popup(rig: &mut Rig, id: u32, parent: u32) {
    positioner(rig, id + 3);
    rig.request(3, 0, &[id + 2]);
    rig.request(70, 2, &[id + 1, id + 2]);
    rig.request(id + 1, 2, &[id, parent, id + 3]);
}

#[test]
fn surfaces() {
    assert_eq!(shell().refused(10, 8, &[0]), (10, 0), "scale 0");
    assert_eq!(shell().refused(10, 7, &[8]), (10, 1), "transform 8");
    assert_eq!(shell().refused(10, 0, &[]), (10, 4), "destroyed before its role");
    let mut rig = shell();
    rig.bind(1, "wl_compositor", 7, 71);
    rig.request(71, 0, &[72]);
    assert_eq!(rig.refused(72, 1, &[21, 1, 0]), (72, 3), "an offset in attach");
    let mut rig = shell();
    rig.bind(1, "wl_compositor", 7, 71);
    rig.request(71, 0, &[72]);
    rig.request(72, 11, &[73]);
    assert_eq!(rig.refused(72, 6, &[]), (72, 5), "a release callback without a buffer");
    assert_eq!(shell().refused(10, 11, &[73]).1, 1, "a request that came with version 7");
}

#[test]
fn windows() {
    assert_eq!(shell().refused(5, 2, &[71, 10]), (5, 0), "the surface has an xdg_surface");
    assert_eq!(shell().refused(5, 0, &[]), (5, 1), "the shell goes before its surfaces");
    assert_eq!(shell().refused(11, 1, &[71]), (11, 2), "already constructed");
    assert_eq!(shell().refused(11, 0, &[]), (11, 6), "destroyed before its role");
    assert_eq!(shell().refused(11, 3, &[0, 0, 0, 5]), (11, 5), "an empty geometry");
    assert_eq!(shell().refused(11, 4, &[78]), (11, 4), "a serial that was never sent");
    assert_eq!(shell().refused(11, 4, &[77]), (11, 4), "a serial that was acknowledged already");
    assert_eq!(shell().refused(12, 6, &[6, 1, 3]), (12, 0), "no edge");
    assert_eq!(shell().refused(12, 1, &[12]), (12, 1), "its own parent");
    let minus = (-1i32).cast_unsigned();
    assert_eq!(shell().refused(12, 7, &[minus, 0]), (12, 2), "a negative size");
    let mut rig = shell();
    rig.request(12, 8, &[100, 100]);
    rig.request(12, 7, &[99, 0]);
    assert_eq!(rig.refused(10, 6, &[]), (12, 2), "crossed limits");
    let mut rig = Rig::new();
    rig.window();
    rig.attach(10, 21);
    assert_eq!(rig.refused(10, 6, &[]), (11, 3), "a buffer before the configure");
    let mut rig = shell();
    rig.request(3, 0, &[72]);
    rig.attach(72, 21);
    rig.commit(72);
    assert_eq!(rig.refused(70, 2, &[73, 72]), (70, 4), "a surface with a buffer");
    let mut rig = shell();
    rig.request(3, 0, &[72]);
    rig.request(70, 2, &[73, 72]);
    assert_eq!(rig.refused(73, 4, &[1]), (73, 1), "acknowledged before it has a role");
    let mut rig = shell();
    rig.bind(10, "zxdg_decoration_manager_v1", 1, 71);
    rig.request(71, 1, &[72, 12]);
    assert_eq!(rig.refused(71, 1, &[73, 12]).1, 1, "a second decoration");
    let mut rig = shell();
    rig.bind(2, "wl_subcompositor", 1, 71);
    rig.request(3, 0, &[72]);
    rig.request(71, 1, &[73, 72, 10]);
    assert_eq!(rig.refused(70, 2, &[74, 72]), (70, 0), "a subsurface as a window");
}

#[test]
fn popups() {
    let minus = (-1i32).cast_unsigned();
    for (opcode, words) in [(1, [0, 5, 0, 0]), (2, [0, 0, minus, 1]), (3, [9, 0, 0, 0]), (4, [9, 0, 0, 0])] {
        let mut rig = shell();
        rig.request(70, 1, &[71]);
        assert_eq!(rig.refused(71, opcode, &words), (71, 0), "positioner request {opcode}");
    }
    let mut rig = shell();
    rig.request(3, 0, &[72]);
    rig.request(70, 2, &[73, 72]);
    rig.request(70, 1, &[74]);
    rig.request(74, 1, &[5, 5]);
    assert_eq!(rig.refused(73, 2, &[75, 11, 74]), (70, 5), "no anchor");
    let mut rig = shell();
    positioner(&mut rig, 74);
    rig.request(3, 0, &[72]);
    rig.request(70, 2, &[73, 72]);
    assert_eq!(rig.refused(73, 2, &[75, 0, 74]), (70, 3), "no parent");

    let mut rig = shell();
    popup(&mut rig, 80, 11);
    popup(&mut rig, 90, 81);
    assert_eq!(rig.refused(80, 0, &[]), (70, 2), "there is one on top");
    let mut rig = shell();
    popup(&mut rig, 80, 11);
    popup(&mut rig, 90, 81);
    rig.request(90, 0, &[]);
    rig.request(80, 0, &[]);

    let mut rig = shell();
    popup(&mut rig, 80, 11);
    popup(&mut rig, 90, 81);
    assert_eq!(rig.refused(90, 1, &[6, 1]), (90, 0), "the one below has no grab");
    let mut rig = shell();
    popup(&mut rig, 80, 11);
    rig.request(80, 1, &[6, 1]);
    popup(&mut rig, 90, 11);
    assert_eq!(rig.refused(90, 1, &[6, 1]), (70, 2), "another one has the grab");

    // One that was dismissed is none any more, though the client has not taken it away yet.
    let mut rig = shell();
    popup(&mut rig, 80, 11);
    rig.request(80, 1, &[6, 1]);
    rig.commit(82);
    let surface = rig.commits().pop().unwrap().surface;
    rig.bridge_says(&Message::Close(msg::Close { surface }, &[]), None);
    popup(&mut rig, 90, 11);
    rig.request(90, 1, &[6, 1]);

    let mut rig = shell();
    popup(&mut rig, 80, 11);
    rig.commit(82);
    let surface = rig.commits().pop().unwrap().surface;
    rig.configure(surface, 5);
    rig.request(81, 4, &[5]);
    rig.attach(82, 21);
    rig.commit(82);
    assert_eq!(rig.refused(80, 1, &[6, 1]), (80, 0), "a grab when it is shown");
}

#[test]
fn smaller_protocols() {
    let bind = |name, interface: &str, request: u16, words: &[u32]| {
        let mut rig = shell();
        rig.bind(name, interface, 1, 71);
        rig.request(71, request, words);
        rig
    };
    let viewport = || bind(8, "wp_viewporter", 1, &[72, 10]);
    assert_eq!(viewport().refused(71, 1, &[73, 10]), (71, 0), "a second viewport");
    assert_eq!(viewport().refused(72, 1, &[0, 0, 0, 256]), (72, 0), "an empty source");
    assert_eq!(viewport().refused(72, 2, &[0, 5]), (72, 0), "an empty destination");
    let mut rig = viewport();
    rig.request(72, 1, &[0, 0, 65 * 256, 256]);
    assert_eq!(rig.refused(10, 6, &[]), (72, 2), "a source outside of the buffer");
    let mut rig = viewport();
    rig.request(72, 1, &[0, 0, 100, 256]);
    assert_eq!(rig.refused(10, 6, &[]), (72, 1), "a source of broken size");
    let mut rig = shell();
    rig.request(3, 0, &[73]);
    rig.bind(8, "wp_viewporter", 1, 71);
    rig.request(71, 1, &[72, 73]);
    rig.request(73, 0, &[]);
    assert_eq!(rig.refused(72, 2, &[5, 5]), (72, 3), "its surface is gone");

    let mut rig = bind(14, "wp_fractional_scale_manager_v1", 1, &[72, 10]);
    assert_eq!(rig.refused(71, 1, &[73, 10]), (71, 0), "a second scale");
    rig = bind(26, "zwp_keyboard_shortcuts_inhibit_manager_v1", 1, &[72, 10, 6]);
    assert_eq!(rig.refused(71, 1, &[73, 10, 6]), (71, 0), "inhibited already");
    rig = bind(23, "xdg_wm_dialog_v1", 1, &[72, 12]);
    assert_eq!(rig.refused(71, 1, &[73, 12]), (71, 0), "a dialog already");
    rig = bind(13, "xdg_activation_v1", 1, &[72]);
    rig.request(72, 3, &[]);
    assert_eq!(rig.refused(72, 0, &[1, 6]), (72, 0), "the token is used");

    let mut rig = bind(24, "xdg_toplevel_icon_manager_v1", 1, &[72]);
    rig.request(72, 2, &[21, 1]);
    assert_eq!(rig.refused(21, 0, &[]), (72, 3), "the buffer goes before its icon");
    let mut rig = bind(24, "xdg_toplevel_icon_manager_v1", 1, &[72]);
    rig.request(20, 0, &[22, 0, 64, 32, 256, 0]);
    assert_eq!(rig.refused(72, 2, &[22, 1]), (72, 1), "no square");
    let mut rig = bind(24, "xdg_toplevel_icon_manager_v1", 1, &[72]);
    rig.request(71, 2, &[12, 72]);
    assert_eq!(rig.refused(72, 2, &[21, 1]), (72, 2), "it is a window's already");

    let mut rig = shell();
    rig.request(3, 0, &[73]);
    rig.bind(21, "zxdg_exporter_v2", 1, 71);
    assert_eq!(rig.refused(71, 1, &[72, 73]), (71, 0), "no window");

    let constrained = || {
        let mut rig = shell();
        rig.bind(17, "zwp_pointer_constraints_v1", 1, 71);
        rig.request(6, 0, &[72]);
        rig.request(71, 1, &[73, 10, 72, 0, 2]);
        rig
    };
    assert_eq!(constrained().refused(71, 2, &[74, 10, 72, 0, 2]), (71, 1), "locked already");
    let mut rig = constrained();
    rig.request(73, 0, &[]);
    rig.request(71, 2, &[74, 10, 72, 0, 2]);
    let mut rig = shell();
    rig.bind(9, "wp_cursor_shape_manager_v1", 1, 71);
    rig.request(6, 0, &[72]);
    rig.request(71, 1, &[73, 72]);
    assert_eq!(rig.refused(73, 1, &[1, 35]), (73, 1), "a shape of version 2");
}

#[test]
fn a_device_that_never_was_cannot_be_asked_for() {
    let mut rig = Rig::without_seat();
    rig.window();
    assert_eq!(rig.refused(6, 2, &[72]), (6, 0));
    let mut rig = Rig::new();
    rig.window();
    let seat = msg::Seat { capabilities: 0, ..Default::default() };
    rig.bridge_says(&Message::Seat(seat, &[]), None);
    rig.request(6, 2, &[72]);
}
