//! Input that is more than keys and clicks, and what windows ask of the compositor, in a real one.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_bridge::Report;
use postern_channel::{
    Action, Commit, CommitFlag, Feature, Frame, FrameEvent, Interactive, KeyEvent, Message, PointerEvent,
    Rect, Role, TextInput,
};
use rig::fake_app::{Canvas, FakeApp};
use rig::input_method::InputMethod;
use rig::pointer::VirtualPointer;
use rig::session::Session;
use std::time::Duration;

/// A red window of 300 × 200 that has the keyboard and was just clicked, and where the pointer is.
#[track_caller]
fn clicked_window(session: &Session, pointer: &mut VirtualPointer) -> (FakeApp, Commit, [u32; 2]) {
    let mut app = FakeApp::start(session, &[]);
    let canvas = app.canvas(300, 200);
    canvas.fill_all(0xff_0000);
    let shown = app.window(&canvas);
    let window = session.window(|_| true);
    let at = |axis: &str, by| u32::try_from(window["rect"][axis].as_i64().unwrap()).unwrap() + by;
    let place = [at("x", 150), at("y", 100)];
    pointer.go(place[0] - 5, place[1]);
    pointer_event(&mut app, PointerEvent::ENTER);
    pointer.go(place[0], place[1]);
    pointer.click();
    pointer_event(&mut app, PointerEvent::BUTTON);
    (app, shown, place)
}

#[track_caller]
fn pointer_event(app: &mut FakeApp, event: u32) -> postern_channel::Pointer {
    app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == event => Some(*p),
        _ => None,
    })
}

#[track_caller]
fn frame_event(app: &mut FakeApp, surface: u32, event: u32) -> Frame {
    app.wait(|m| match m {
        Message::Frame(f, _) if f.event == event && f.surface == surface => Some(*f),
        _ => None,
    })
}

fn set(app: &FakeApp, base: &Commit, flags: u32) {
    app.commit(&Commit { flags: base.flags | flags, ..*base });
}

#[test]
fn the_app_learns_what_the_compositor_has() {
    let Some(session) = Session::start() else { return };
    let mut app = FakeApp::start_silent(&session, &[]);
    let features = app.wait(|m| match m {
        Message::Hello(hello, _) => Some(hello.features),
        _ => None,
    });
    // sway 1.7 and later.
    let all = Feature::DECORATIONS
        | Feature::TEXT_INPUT
        | Feature::POINTER_CONSTRAINTS
        | Feature::RELATIVE_POINTER
        | Feature::PRESENTATION
        | Feature::INHIBIT_IDLE
        | Feature::INHIBIT_SHORTCUTS
        | Feature::ACTIVATION;
    assert_eq!(features & all, all, "{features:#x}");
}

#[test]
fn the_pointer_is_locked_and_its_motion_is_told() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let (mut app, shown, [x, y]) = clicked_window(&session, &mut pointer);
    set(&app, &shown, CommitFlag::LOCK_POINTER);
    assert_eq!(pointer_event(&mut app, PointerEvent::CONSTRAINED).surface, shown.surface);
    app.forget();
    pointer.go(x + 10, y + 20);
    let moved = pointer_event(&mut app, PointerEvent::RELATIVE);
    assert!((moved.x - 10 * 256).abs() <= 512 && (moved.y - 20 * 256).abs() <= 512, "{moved:?}");
    assert!(moved.time != 0 || moved.high != 0);
    let is_motion = |m: &Message<'_>| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::MOTION);
    assert!(!app.comes(Duration::from_millis(200), is_motion), "the pointer stays where it is");
    // Let go: it moves again.
    app.commit(&shown);
    app.forget();
    pointer.go(x + 12, y + 22);
    pointer.go(x + 30, y + 30);
    pointer_event(&mut app, PointerEvent::MOTION);

    // Confined, once, to a part: when another window takes the keyboard that is over for good.
    let region = Rect { x: 100, y: 50, width: 100, height: 100 };
    let flags = CommitFlag::CONFINE_POINTER | CommitFlag::POINTER_ONESHOT | CommitFlag::POINTER_REGION;
    pointer.go(x, y);
    app.forget();
    let confined = Commit { flags: shown.flags | flags, pointer_region: region, ..shown };
    app.commit(&confined);
    pointer_event(&mut app, PointerEvent::CONSTRAINED);
    pointer.go(x + 140, y);
    let moved = pointer_event(&mut app, PointerEvent::MOTION);
    assert!(moved.x <= 200 * 256 && moved.x >= 190 * 256, "at the region's edge: {moved:?}");
    let canvas = app.canvas(50, 50);
    let other = app.window(&canvas);
    assert_eq!(pointer_event(&mut app, PointerEvent::UNCONSTRAINED).surface, shown.surface);
    app.send(&Message::SurfaceDestroy(postern_channel::SurfaceDestroy { surface: other.surface }, &[]));
    let is_back =
        |m: &Message<'_>| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::CONSTRAINED);
    assert!(!app.comes(Duration::from_millis(300), is_back));
}

#[test]
fn windows_are_moved_and_resized_by_the_pointer() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let (mut app, shown, [x, y]) = clicked_window(&session, &mut pointer);
    let before = session.windows()[0]["rect"]["x"].as_i64().unwrap();
    let mut drag = |app: &mut FakeApp, from: [u32; 2], action: u32, to: [u32; 2]| {
        pointer.go(from[0], from[1]);
        app.forget();
        pointer.press(rig::pointer::LEFT, true);
        let serial = pointer_event(app, PointerEvent::BUTTON).serial;
        let wish = Interactive { surface: shown.surface, action, serial, x: 0, y: 0 };
        app.send(&Message::Interactive(wish, &[]));
        // The compositor takes the pointer away when the drag begins.
        pointer_event(app, PointerEvent::LEAVE);
        pointer.go(to[0], to[1]);
        pointer.press(rig::pointer::LEFT, false);
    };
    drag(&mut app, [x, y], Action::MOVE, [x + 60, y + 40]);
    session.window(|window| (58..=62).contains(&(window["rect"]["x"].as_i64().unwrap() - before)));
    // By its lower right corner.
    let corner = Action::RESIZE + 10;
    drag(&mut app, [x + 200, y + 130], corner, [x + 230, y + 150]);
    let size = app.wait(|m| match m {
        Message::Configure(c, _) if c.width > 300 && c.height > 200 => Some([c.width, c.height]),
        _ => None,
    });
    assert!(size[0] <= 332 && size[1] <= 222, "{size:?}");
}

#[test]
fn an_input_method_types_into_the_app() {
    let Some(session) = Session::start() else { return };
    let mut method = InputMethod::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let surface = app.window(&canvas).surface;
    let reached = app.wait(|m| match m {
        Message::TextEdit(edit, _) if edit.event == 1 => Some(edit.surface),
        _ => None,
    });
    assert_eq!(reached, surface);
    let field = TextInput {
        surface,
        serial: 41,
        hint: 0x80,
        purpose: 13,
        has_text: 1,
        cursor: 4,
        anchor: 0,
        rectangle: Rect { x: 5, y: 6, width: 1, height: 12 },
        fresh: 1,
        cause: 1,
    };
    app.send(&Message::TextInput(field, "größe".as_bytes()));
    method.wait(|f| f.is_active && f.text == "größe");
    assert_eq!((method.field.cursor, method.field.anchor), (4, 0));
    assert_eq!((method.field.hint, method.field.purpose), (0x80, 13));
    method.edit("nǐ", "你好", [2, 1]);
    let (edit, text) = app.wait(|m| match m {
        Message::TextEdit(edit, text) if edit.event == 0 && !text.is_empty() => Some((*edit, text.to_vec())),
        _ => None,
    });
    assert_eq!(text, "nǐ你好".as_bytes());
    assert_eq!((edit.preedit, edit.cursor_begin, edit.cursor_end), (3, 0, 3));
    assert_eq!((edit.delete_before, edit.delete_after, edit.serial), (2, 1, 41));
    // The next state, and then none.
    app.send(&Message::TextInput(TextInput { serial: 42, fresh: 0, cursor: 1, ..field }, b"abc"));
    method.wait(|f| f.text == "abc" && f.cursor == 1);
    method.edit("", "d", [0, 0]);
    app.wait(|m| matches!(m, Message::TextEdit(e, b"d") if e.serial == 42).then_some(()));
    app.send(&Message::TextInput(TextInput { serial: 43, ..TextInput::default() }, &[]));
    method.wait(|f| !f.is_active);
}

#[test]
fn a_lying_text_field_closes_the_display() {
    let Some(session) = Session::start() else { return };
    let _method = InputMethod::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let surface = app.window(&canvas).surface;
    app.wait(|m| matches!(m, Message::TextEdit(edit, _) if edit.event == 1).then_some(()));
    let field = TextInput { surface, has_text: 1, cursor: 100, ..TextInput::default() };
    app.send(&Message::TextInput(field, b"abc"));
    let (status, said) = app.last_words();
    assert!(!status.success() && said.unwrap().contains("cursor outside"));
}

#[test]
fn presentation_is_told() {
    // sway's headless output tells of no presentation.
    let Some(session) = Session::start_weston() else { return };
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let shown = app.window(&canvas);
    let surface = shown.surface;
    let entered = frame_event(&mut app, surface, FrameEvent::ENTERED).output;
    let shown = Commit { feedback: 5, ..app.shows(shown, &canvas) };
    app.commit(&shown);
    let presented = frame_event(&mut app, surface, FrameEvent::PRESENTED);
    assert_eq!((presented.feedback, presented.output), (5, entered));
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(now.tv_sec).unwrap();
    assert!(presented.seconds <= now && now - presented.seconds < 60, "{presented:?}");
    assert!((1_000_000..100_000_000).contains(&presented.refresh), "{presented:?}");
    // The same state again is no new wish.
    app.commit(&shown);
    let is_answer = |m: &Message<'_>| matches!(m, Message::Frame(f, _) if f.feedback == 5);
    assert!(!app.comes(Duration::from_millis(200), is_answer));

    // A surface that is not shown yet when the next update replaces the first.
    let waiting = app.number();
    let child = Commit { role: Role::SUBSURFACE, parent: 999, feedback: 7, ..Commit::empty(waiting) };
    app.commit(&child);
    app.commit(&Commit { feedback: 8, ..child });
    assert_eq!(frame_event(&mut app, waiting, FrameEvent::DISCARDED).feedback, 7);
}

#[test]
fn outputs_are_told() {
    let Some(mut session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let surface = app.window(&canvas).surface;
    let entered = frame_event(&mut app, surface, FrameEvent::ENTERED).output;
    session.ask(&["create_output"]);
    session.ask(&["output HEADLESS-2 scale 2"]);
    let second = app.wait(|m| match m {
        Message::Output(output, _) if output.output != entered && output.scale == 2 => Some(output.output),
        _ => None,
    });
    session.ask(&["move container to output HEADLESS-2"]);
    let moved = app.wait(|m| match m {
        Message::Frame(f, _) if f.event == FrameEvent::ENTERED && f.output == second => Some(f.surface),
        _ => None,
    });
    assert_eq!(moved, surface);
    assert_eq!(frame_event(&mut app, surface, FrameEvent::LEFT).output, entered);
    session.check("after the window left the first output");
}

#[test]
fn idleness_and_shortcuts_are_the_compositors_to_give() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let shown = app.window(&canvas);
    session.window(|window| window["inhibit_idle"] == false);
    set(&app, &shown, CommitFlag::INHIBIT_IDLE);
    session.window(|window| window["inhibit_idle"] == true);
    app.commit(&shown);
    session.window(|window| window["inhibit_idle"] == false);

    let is_given = |m: &Message<'_>| matches!(m, Message::Key(k, _) if k.event == KeyEvent::INHIBITED);
    set(&app, &shown, CommitFlag::INHIBIT_SHORTCUTS);
    assert!(!app.comes(Duration::from_millis(300), is_given), "nobody pressed anything");
    app.commit(&shown);
    let (mut other, shown, _) = {
        drop(app);
        clicked_window(&session, &mut pointer)
    };
    set(&other, &shown, CommitFlag::INHIBIT_SHORTCUTS);
    let surface = other.wait(|m| match m {
        Message::Key(k, _) if k.event == KeyEvent::INHIBITED => Some(k.surface),
        _ => None,
    });
    assert_eq!(surface, shown.surface);
}

#[test]
fn a_part_of_a_window_keeps_the_screen_on_by_its_window() {
    let Some(mut session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let (whole, other) = (app.window(&canvas), app.window(&canvas));
    app.title(whole.surface, "whole");
    let part = app.number();
    let wanted = Commit { role: Role::SUBSURFACE, parent: whole.surface, ..Commit::empty(part) };
    let part = app.shows(wanted, &canvas);
    set(&app, &part, CommitFlag::INHIBIT_IDLE);
    app.commit(&whole);
    session.window(|window| window["name"] == "whole" && window["inhibit_idle"] == true);
    set(&app, &other, CommitFlag::INHIBIT_IDLE);
    session.window(|window| window["name"] != "whole" && window["inhibit_idle"] == true);
    // Without its connection all goes in the order in which it was made: the whole, the other, and then the part.
    app.bridge.kill().unwrap();
    app.bridge.wait().unwrap();
    session.ask(&["nop"]);
    session.check("a bridge was killed");
}

#[test]
fn windows_ask_for_attention() {
    let Some(session) = Session::start() else { return };
    session.ask(&["focus_on_window_activation urgent"]);
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    let first = app.window(&canvas);
    app.title(first.surface, "first");
    let second = app.window(&canvas);
    app.title(second.surface, "second");
    session.window(|window| window["name"] == "second" && window["focused"] == true);
    let ask = Interactive { surface: first.surface, action: Action::ACTIVATE, serial: 0, x: 0, y: 0 };
    app.send(&Message::Interactive(ask, &[]));
    session.window(|window| window["name"] == "first" && window["urgent"] == true);
    // A bell that the compositor does not have.
    let ring = Interactive { surface: 0, action: Action::BELL, serial: 0, x: 0, y: 0 };
    app.send(&Message::Interactive(ring, &[]));
    app.title(first.surface, "rang");
    session.window(|window| window["name"] == "rang");
}

/// A menu of this size on a surface.
fn menu(app: &mut FakeApp, parent: u32, flags: u32, size: [i32; 2]) -> Commit {
    let number = app.number();
    let wanted = Commit {
        role: Role::POPUP,
        parent,
        flags,
        anchor_rect: Rect { x: 10, y: 10, width: 1, height: 1 },
        size,
        ..Commit::empty(number)
    };
    app.commit(&wanted);
    wanted
}

#[track_caller]
fn is_closed(app: &mut FakeApp, surface: u32) {
    app.wait(|m| matches!(m, Message::Close(close, _) if close.surface == surface).then_some(()));
}

#[track_caller]
fn show(app: &mut FakeApp, wanted: Commit, canvas: &Canvas) -> Commit {
    let configure = app.configured(wanted.surface);
    let shown = app.shows(Commit { acked: configure.serial, ..wanted }, canvas);
    app.commit(&shown);
    shown
}

#[test]
fn menus_need_a_click_and_cover_no_screen() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(300, 200);
    let window = app.window(&canvas).surface;
    session.window(|_| true);
    let unasked = menu(&mut app, window, CommitFlag::GRAB, [50, 50]).surface;
    is_closed(&mut app, unasked);
    app.report(|r| matches!(r, Report::Refused { what } if what.contains("grabs without")).then_some(()));

    // 800 × 600 is the screen: this is more than nine tenths of it, and no dimension is larger.
    let large = app.canvas(780, 580);
    let wanted = menu(&mut app, window, 0, [780, 580]);
    let covering = show(&mut app, wanted, &large).surface;
    is_closed(&mut app, covering);
    app.report(|r| matches!(r, Report::Refused { what } if what.contains("covers")).then_some(()));
    // A geometry that says it is mostly shadow does not help.
    let wanted = Commit {
        geometry: Rect { x: 0, y: 0, width: 10, height: 10 },
        ..menu(&mut app, window, 0, [10, 10])
    };
    let larger = app.canvas(900, 700);
    let covering = show(&mut app, wanted, &larger).surface;
    is_closed(&mut app, covering);

    drop(app);
    let (mut app, shown, _) = clicked_window(&session, &mut pointer);
    let serial = app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::BUTTON => Some(p.serial),
        _ => None,
    });
    let wanted = Commit { serial, ..menu(&mut app, shown.surface, 0, [50, 50]) };
    let small = app.canvas(50, 50);
    small.fill_all(0x00_ff00);
    let opened = show(&mut app, Commit { flags: CommitFlag::GRAB, ..wanted }, &small);
    session.picture_when("menu", |picture| {
        let window = &session.windows()[0]["rect"];
        picture.at(window["x"].as_i64().unwrap() + 30, window["y"].as_i64().unwrap() + 30) == [0, 0xff, 0]
    });
    let is_close = |m: &Message<'_>| matches!(m, Message::Close(close, _) if close.surface == opened.surface);
    assert!(!app.comes(Duration::from_millis(200), is_close));
}

#[test]
fn a_pixel_becomes_a_surface() {
    let Some(session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(300, 200);
    canvas.fill_all(0xff_0000);
    let window = app.window(&canvas).surface;
    let number = app.number();
    let buffer = app.number();
    let pixel = Commit {
        role: Role::SUBSURFACE,
        parent: window,
        flags: CommitFlag::BUFFER | CommitFlag::SINGLE_PIXEL,
        buffer,
        offset: 0xff00_80ff,
        width: 1,
        height: 1,
        destination: [40, 30],
        position: [100, 50],
        ..Commit::empty(number)
    };
    app.commit(&pixel);
    let place = session.window(|_| true);
    let (x, y) = (place["rect"]["x"].as_i64().unwrap(), place["rect"]["y"].as_i64().unwrap());
    let picture = session.picture_when("pixel", |picture| picture.at(x + 120, y + 60) == [0, 0x80, 0xff]);
    assert_eq!(picture.at(x + 99, y + 60), [0xff, 0, 0]);
    assert_eq!(picture.at(x + 141, y + 60), [0xff, 0, 0]);
    let next = app.number();
    let damage = Rect { x: 0, y: 0, width: 1, height: 1 };
    app.commit(&Commit { buffer: next, offset: 0xffff_ffff, damage, ..pixel });
    app.wait(|m| matches!(m, Message::BufferRelease(r, _) if r.buffer == buffer).then_some(()));
}
