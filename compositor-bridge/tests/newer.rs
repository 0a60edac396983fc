//! What the bridge does in a compositor that has more than the one of this machine: touch, fractional scales,
//! dialogs, the bell, one-pixel buffers, newer cursor shapes.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_channel::{
    Action, Commit, CommitFlag, Cursor, FrameEvent, Interactive, Message, PointerEvent, PoolDestroy, Role,
    State, TouchEvent,
};
use rig::fake_app::{FakeApp, example};
use rig::newer::Newer;
use std::time::{Duration, Instant};
use wayland_server::protocol::wl_pointer::{Axis, AxisRelativeDirection, AxisSource};

/// The next touch event of a kind.
#[track_caller]
fn touch(app: &mut FakeApp, event: u32) -> postern_channel::Touch {
    app.wait(|m| match m {
        Message::Touch(touch, _) if touch.event == event => Some(*touch),
        _ => None,
    })
}

#[test]
fn a_newer_compositor_is_made_use_of() {
    let session = Newer::start();
    let mut command = session.command(example());
    let mut app = FakeApp::start_by(command.env("XDG_ACTIVATION_TOKEN", "launched"));
    assert_eq!(app.versions, [6, 9, 7], "of compositor, seat and shell");
    let canvas = app.canvas(100, 80);
    let surface = app.number();
    let empty = Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) };
    app.commit(&empty);
    let configure = app.configured(surface);
    assert_eq!(configure.capabilities, 1 << 3 | 1 << 4);
    assert_eq!(configure.states, 1 << 9 | 1 << 12, "suspended and constrained_top");
    assert_eq!(configure.states & State::ACTIVATED, 0);
    let shown = app.shows(Commit { acked: configure.serial, ..empty }, &canvas);
    app.commit(&shown);
    session.hears("activate launched");

    session.says(|said| said.scales.first().map(|scale| scale.preferred_scale(210)));
    let scale = app.wait(|m| match m {
        Message::Frame(f, _) if f.event == FrameEvent::SCALE => Some((f.surface, f.flags)),
        _ => None,
    });
    assert_eq!(scale, (surface, 210));

    // Two fingers, one of which turns.
    session.says(|said| {
        let (fingers, window) = (said.touch.as_ref()?, said.surfaces.last()?);
        fingers.down(7, 1000, window, 1, 10.5, 20.0);
        fingers.shape(1, 6.0, 4.0);
        fingers.orientation(1, 45.0);
        fingers.frame();
        fingers.motion(1010, 1, 11.0, 21.0);
        fingers.up(8, 1020, 1);
        fingers.down(9, 1030, window, 2, 1.0, 1.0);
        fingers.cancel();
        Some(())
    });
    let down = touch(&mut app, TouchEvent::DOWN);
    assert_eq!((down.surface, down.serial, down.time, down.id), (surface, 7, 1000, 1));
    assert_eq!((down.x, down.y), (2688, 5120));
    let shape = touch(&mut app, TouchEvent::SHAPE);
    assert_eq!((shape.id, shape.x, shape.y), (1, 1536, 1024));
    assert_eq!(touch(&mut app, TouchEvent::ORIENTATION).x, 45 * 256);
    touch(&mut app, TouchEvent::FRAME);
    assert_eq!(touch(&mut app, TouchEvent::MOTION).x, 2816);
    assert_eq!(touch(&mut app, TouchEvent::UP).serial, 8);
    assert_eq!(touch(&mut app, TouchEvent::DOWN).id, 2);
    touch(&mut app, TouchEvent::CANCEL);

    // A finger is recent input.
    app.commit(&Commit { flags: shown.flags | CommitFlag::MODAL, ..shown });
    session.hears("modal");
    app.commit(&shown);
    session.hears("not modal");
    for surface in [surface, 0] {
        let ring = Interactive { surface, action: Action::BELL, serial: 0, x: 0, y: 0 };
        app.send(&Message::Interactive(ring, &[]));
    }
    session.hears("bell true");
    let ask = Interactive { surface, action: Action::ACTIVATE, serial: 7, x: 0, y: 0 };
    app.send(&Message::Interactive(ask, &[]));
    session.hears("serial 7");
    session.hears("activate given");
    let rings = session.says(|said| Some(said.log.iter().filter(|line| line.starts_with("bell")).count()));
    assert_eq!(rings, 1, "not as fast as an app likes");

    let (pixel, buffer) = (app.number(), app.number());
    app.commit(&Commit {
        role: Role::SUBSURFACE,
        parent: surface,
        flags: CommitFlag::BUFFER | CommitFlag::SINGLE_PIXEL,
        buffer,
        offset: 0x8000_40ff,
        width: 1,
        height: 1,
        ..Commit::empty(pixel)
    });
    session.hears("pixel 0 40404040 ffffffff 80808080");

    let cursor = Cursor { shape: 36, surface: 0, hotspot: [0; 2], serial: 1 };
    app.send(&Message::Cursor(cursor, &[]));
    session.hears("shape Value(AllResize)");
    session.says(|said| {
        let (pointer, window) = (said.pointer.as_ref()?, said.surfaces.first()?);
        pointer.enter(3, window, 1.0, 2.0);
        pointer.frame();
        pointer.axis_source(AxisSource::Wheel);
        pointer.axis_relative_direction(Axis::VerticalScroll, AxisRelativeDirection::Inverted);
        pointer.axis_value120(Axis::VerticalScroll, 30);
        pointer.axis(5, Axis::VerticalScroll, 2.5);
        pointer.frame();
        Some(())
    });
    let scroll = app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::AXIS => Some(*p),
        _ => None,
    });
    assert_eq!((scroll.button, scroll.discrete, scroll.y), (8, [0, 30], 640));
}

/// Waits until the app has this buffer back.
#[track_caller]
fn back(app: &mut FakeApp, buffer: u32) {
    app.wait(|m| matches!(m, Message::BufferRelease(release, _) if release.buffer == buffer).then_some(()));
}

#[test]
fn buffers_serve_again_once_they_are_back() {
    let session = Newer::start();
    let mut app = FakeApp::start_by(&mut session.command(example()));
    let [left, right] = [app.canvas(100, 80), app.canvas(100, 80)];
    let surface = app.number();
    let empty = Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) };
    app.commit(&empty);
    let acked = app.configured(surface).serial;
    let first = app.shows(Commit { acked, ..empty }, &left);
    app.commit(&first);
    let second = app.shows(Commit { flags: CommitFlag::FRAME, ..first }, &right);
    app.commit(&second);
    let attached = |count: usize| session.says(|said| Some(said.attached.get(count - 1)?.clone()));
    let made = [attached(1), attached(2)];
    assert_ne!(made[0], made[1]);

    // Held by the compositor: another one for the same pixels.
    let third = app.shows(second, &right);
    app.commit(&third);
    assert!(!made.contains(&attached(3)));

    // The app waits for its frame, which does not come: it has its buffer back all the same.
    made[0].release();
    back(&mut app, first.buffer);
    let fourth = app.shows(third, &left);
    app.commit(&fourth);
    assert_eq!(attached(4), made[0]);

    // With the frame, and before it.
    made[1].release();
    session.says(|said| said.frames.pop().map(|frame| frame.done(7)));
    let mut order = Vec::new();
    while order.len() < 2 {
        order.push(app.wait(|m| match m {
            Message::BufferRelease(release, _) => Some(release.buffer),
            Message::Frame(frame, _) if frame.event == 0 => Some(0),
            _ => None,
        }));
    }
    assert_eq!(order, [second.buffer, 0]);

    // An app that draws on without waiting for frames has its buffers back at once.
    let (mut shown, mut count, mut quickest) = (fourth, 4, Duration::MAX);
    for canvas in [&right, &left, &right, &left, &right, &left] {
        let next = app.shows(shown, canvas);
        app.commit(&next);
        count += 1;
        attached(count);
        let start = Instant::now();
        attached(count - 1).release();
        back(&mut app, shown.buffer);
        quickest = quickest.min(start.elapsed());
        shown = next;
    }
    assert!(quickest < Duration::from_millis(15), "{quickest:?}");

    // What has another size or is in another pool is another buffer.
    let smaller = app.shows(shown, &right);
    app.commit(&Commit { height: 40, ..smaller });
    assert!(attached(count + 1) != made[1]);
    app.send(&Message::PoolDestroy(PoolDestroy { pool: right.pool }, &[]));
    app.send_canvas(&right);
    let again = app.shows(smaller, &right);
    app.commit(&again);
    assert!(attached(count + 2) != made[1]);
}
