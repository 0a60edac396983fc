//! Windows of a bridge in a real compositor, without an app: what is on the screen, and what comes back.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_bridge::Report;
use postern_channel::{Commit, CommitFlag, Message, PointerEvent, Rect, Role};
use rig::fake_app::FakeApp;
use rig::pointer::VirtualPointer;
use rig::session::Session;
use std::time::Duration;

const RED: [u8; 3] = [0xff, 0, 0];
const GREEN: [u8; 3] = [0, 0xff, 0];
const BLUE: [u8; 3] = [0, 0, 0xff];

/// Left and top edge of a window.
fn place(window: &serde_json::Value) -> (i64, i64) {
    (window["rect"]["x"].as_i64().unwrap(), window["rect"]["y"].as_i64().unwrap())
}

#[test]
fn a_window_shows_the_apps_own_memory() {
    let Some(session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &["--title", "[test] "]);
    let canvas = app.canvas(300, 200);
    canvas.fill_all(0xff_0000);
    canvas.fill(100, 50, 100, 100, 0x00_ff00);
    let mut shown = app.window(&canvas);
    app.title(shown.surface, "hello\n\u{202e}there");
    let window = session.window(|window| window["name"] == "[test] hellothere");
    assert_eq!((&window["rect"]["width"], &window["rect"]["height"]), (&300.into(), &200.into()));
    let (x, y) = place(&window);
    let picture = session.picture_when("window", |picture| picture.at(x + 10, y + 10) == RED);
    assert_eq!(picture.at(x + 150, y + 100), GREEN);
    assert_eq!(picture.at(x + 299, y + 199), RED);
    assert_ne!(picture.at(x + 301, y + 100), RED);
    let windows = app.report(|report| match report {
        Report::Shown { windows, .. } if windows.iter().any(|w| w.title.contains("there")) => Some(windows),
        _ => None,
    });
    assert_eq!(windows[0].title, "[test] hellothere");
    assert_eq!((windows[0].width, windows[0].height), (300, 200));

    // The next frame: drawn into a second buffer, only the damaged part, with a frame callback and the first buffer
    // given back.
    let second = app.canvas(300, 200);
    second.fill_all(0x00_00ff);
    let first = shown.buffer;
    shown = app.shows(Commit { flags: CommitFlag::FRAME, ..shown }, &second);
    app.commit(&shown);
    app.wait(|m| matches!(m, Message::Frame(frame, _) if frame.surface == shown.surface).then_some(()));
    app.wait(|m| matches!(m, Message::BufferRelease(release, _) if release.buffer == first).then_some(()));
    session.picture_when("window-second", |picture| picture.at(x + 150, y + 100) == BLUE);

    // Without a buffer it goes.
    app.commit(&Commit { flags: 0, ..shown });
    let start = std::time::Instant::now();
    while !session.windows().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5), "the window stays");
    }
}

#[test]
fn pointer_and_keyboard_reach_the_right_surface() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    canvas.fill_all(0xff_0000);
    let surface = app.window(&canvas).surface;
    let (x, y) = place(&session.window(|_| true));
    let to = |at: i64| u32::try_from(at).unwrap();
    pointer.go(to(x + 20), to(y + 30));
    let (entered, serial) = app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::ENTER => Some((p.surface, p.serial)),
        _ => None,
    });
    assert_eq!(entered, surface);
    pointer.go(to(x + 25), to(y + 35));
    let moved = app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::MOTION => Some((p.x, p.y)),
        _ => None,
    });
    // The device has 1/800 of the screen for a step, so the place is exact to a pixel.
    assert!((moved.0 - 25 * 256).abs() <= 256 && (moved.1 - 35 * 256).abs() <= 256, "{moved:?}");
    pointer.click();
    for state in [1, 0] {
        app.wait(|m| match m {
            Message::Pointer(p, _) if p.event == PointerEvent::BUTTON && p.state == state => {
                (p.button == rig::pointer::LEFT).then_some(())
            }
            _ => None,
        });
    }
    pointer.scroll(2);
    let scroll = app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::AXIS => Some(*p),
        _ => None,
    });
    assert_eq!((scroll.y, scroll.discrete, scroll.state), (30 * 256, [0, 240], 0), "two steps of the wheel");

    // A cursor shape that the compositor does not know itself (sway 1.7) comes from the theme or is none at all: in
    // either case the connection goes on.
    let cursor = postern_channel::Cursor { shape: 9, surface: 0, hotspot: [0; 2], serial };
    app.send(&Message::Cursor(cursor, &[]));

    let (size, keymap) = {
        let mut typing = session.user_command("wtype").args(["-s", "700", "a", "-s", "300"]).spawn().unwrap();
        let found = app.wait_with(|m| match m {
            Message::Seat(seat, _) if seat.keymap_size > 0 => Some(seat.keymap_size),
            _ => None,
        });
        app.wait(|m| match m {
            Message::Key(key, _) if key.event == postern_channel::KeyEvent::ENTER => {
                (key.surface == surface).then_some(())
            }
            _ => None,
        });
        for state in [1, 0] {
            app.wait(|m| match m {
                Message::Key(key, _) if key.event == postern_channel::KeyEvent::KEY => {
                    (key.state == state && key.key != 0).then_some(())
                }
                _ => None,
            });
        }
        typing.wait().unwrap();
        found
    };
    let keymap = keymap.expect("a keymap comes as a file");
    let mut text = vec![0; usize::try_from(size).unwrap()];
    rustix::io::pread(&keymap, &mut text[..], 0).unwrap();
    assert!(text.starts_with(b"xkb_keymap"));
    assert!(rustix::io::pwrite(&keymap, b"x", 0).is_err(), "the app cannot change it");
}

#[test]
fn popups_and_subsurfaces_are_where_they_belong() {
    let Some(session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &["--border", "ff8000"]);
    let canvas = app.canvas(300, 200);
    canvas.fill_all(0xff_0000);
    let small = app.canvas(300, 200);
    small.fill_all(0x00_ff00);
    let surface = app.number();
    let child = app.number();
    let popup = app.number();

    // A child before its parent: it waits. It covers the whole window, but not the border.
    let sub = Commit { role: Role::SUBSURFACE, parent: surface, ..Commit::empty(child) };
    let sub = Commit { position: [0, 100], ..app.shows(sub, &small) };
    app.commit(&sub);
    let empty = Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) };
    app.commit(&empty);
    let configure = app.configured(surface);
    let geometry = Rect { x: 0, y: 0, width: 300, height: 200 };
    let shown = app.shows(Commit { acked: configure.serial, geometry, ..empty }, &canvas);
    app.commit(&shown);
    let (x, y) = place(&session.window(|_| true));
    let picture = session.picture_when("subsurface", |picture| {
        picture.at(x + 50, y + 50) == RED && picture.at(x + 50, y + 150) == GREEN
    });
    let orange = [0xff, 0x80, 0];
    for (at_x, at_y) in [(0, 0), (299, 0), (0, 150), (299, 150), (150, 1), (150, 198), (1, 50)] {
        assert_eq!(picture.at(x + at_x, y + at_y), orange, "border at {at_x}, {at_y}");
    }

    // A popup below the right half of a button at (200, 20).
    let menu = app.canvas(60, 40);
    menu.fill_all(0x00_00ff);
    let wanted = Commit {
        role: Role::POPUP,
        parent: surface,
        anchor_rect: Rect { x: 200, y: 20, width: 40, height: 10 },
        anchor: 6,
        gravity: 8,
        size: [60, 40],
        ..Commit::empty(popup)
    };
    app.commit(&wanted);
    let configure = app.configured(popup);
    assert_eq!((configure.x, configure.y, configure.width, configure.height), (200, 30, 60, 40));
    let shown_popup = app.shows(Commit { acked: configure.serial, ..wanted }, &menu);
    app.commit(&shown_popup);
    session.picture_when("popup", |picture| picture.at(x + 230, y + 50) == BLUE);

    // The window goes with a popup open: the bridge takes them apart in order, and says that the popup is closed.
    app.send(&Message::SurfaceDestroy(postern_channel::SurfaceDestroy { surface }, &[]));
    app.wait(|m| matches!(m, Message::Close(close, _) if close.surface == popup).then_some(()));
    for buffer in [shown.buffer, shown_popup.buffer] {
        app.wait(|m| matches!(m, Message::BufferRelease(r, _) if r.buffer == buffer).then_some(()));
    }
    let again = app.window(&canvas);
    session.window(|_| true);
    session.picture_when("again", |picture| picture.at(x + 50, y + 50) == RED);
    app.send(&Message::SurfaceDestroy(postern_channel::SurfaceDestroy { surface: again.surface }, &[]));
}

#[test]
fn windows_that_decorate_themselves_get_no_second_title_bar() {
    let Some(session) = Session::start() else { return };
    session.ask(&["default_floating_border normal"]);
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    for (flags, border) in [(CommitFlag::CLIENT_DECORATION, "csd"), (0, "normal")] {
        let surface = app.number();
        // A size that cannot change makes it a dialog, as far as sway can tell.
        let fixed = [200, 100];
        let empty = Commit {
            role: Role::TOPLEVEL,
            flags,
            min_size: fixed,
            max_size: fixed,
            ..Commit::empty(surface)
        };
        app.commit(&empty);
        let configure = app.configured(surface);
        let shown = app.shows(Commit { acked: configure.serial, ..empty }, &canvas);
        app.title(surface, border);
        app.commit(&shown);
        session.window(|window| window["name"] == border && window["border"] == border);
    }
}

#[test]
fn full_screen_needs_a_recent_click() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 100);
    canvas.fill_all(0xff_0000);
    let shown = app.window(&canvas);
    let (x, y) = place(&session.window(|_| true));
    app.forget();
    let full = Commit { flags: shown.flags | CommitFlag::FULLSCREEN, ..shown };
    app.commit(&full);
    assert_eq!(app.configured(shown.surface).states & postern_channel::State::FULLSCREEN, 0);
    app.report(|report| {
        matches!(report, Report::Refused { what } if what.contains("full screen")).then_some(())
    });
    app.commit(&shown);
    app.forget();
    let (x, y) = (u32::try_from(x).unwrap(), u32::try_from(y).unwrap());
    pointer.go(x + 50, y + 50);
    app.wait(|m| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::ENTER).then_some(()));
    pointer.go(x + 60, y + 50);
    pointer.click();
    app.wait(|m| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::BUTTON).then_some(()));
    app.commit(&full);
    app.wait(|m| match m {
        Message::Configure(c, _) if c.states & postern_channel::State::FULLSCREEN != 0 => {
            ((c.width, c.height) == (800, 600)).then_some(())
        }
        _ => None,
    });
}
