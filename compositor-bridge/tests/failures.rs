//! Ends: of the compositor, of a bridge, of an app; and what happens to one that does not keep to the rules.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_bridge::Report;
use postern_channel::{Commit, CommitFlag, Message, Role, SurfaceDestroy, VERSION};
use rig::fake_app::FakeApp;
use rig::pointer::VirtualPointer;
use rig::session::Session;
use std::time::Duration;

fn failure(app: &mut FakeApp) -> (String, bool) {
    app.report(|report| match report {
        Report::Failed { error, retry } => Some((error, retry)),
        _ => None,
    })
}

#[test]
fn windows_outlive_their_bridge_and_their_compositor() {
    let Some(mut session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &["--title", "[one] "]);
    let canvas = app.canvas(300, 200);
    canvas.fill_all(0xff_0000);
    let menu_canvas = app.canvas(50, 50);
    menu_canvas.fill_all(0x00_00ff);
    let shown = app.window(&canvas);
    let popup = app.number();
    let wanted = Commit {
        role: Role::POPUP,
        parent: shown.surface,
        anchor_rect: postern_channel::Rect { x: 10, y: 10, width: 1, height: 1 },
        anchor: 8,
        gravity: 8,
        size: [50, 50],
        ..Commit::empty(popup)
    };
    app.commit(&wanted);
    let configure = app.configured(popup);
    let shown_popup = app.shows(Commit { acked: configure.serial, ..wanted }, &menu_canvas);
    app.commit(&shown_popup);
    session.window(|window| window["name"] == "[one] ");

    // The bridge dies in the middle of things; what was said meanwhile is for nobody.
    app.bridge.kill().unwrap();
    app.bridge.wait().unwrap();
    app.commit(&shown);
    app.send_bytes(b"\xff\xff not a message", None);
    app.forget();
    app.restart(&session, &["--title", "[two] "]);
    replay(&app, &[&canvas, &menu_canvas], &[&shown, &shown_popup]);
    session.window(|window| window["name"] == "[two] ");
    session.picture_when("second-bridge", |picture| {
        picture.at(400, 350) == [0xff, 0, 0] && picture.at(275, 225) == [0, 0, 0xff]
    });

    // The compositor dies: the bridge says that a new one may try again.
    app.forget();
    session.crash();
    let (error, retry) = failure(&mut app);
    assert!(retry, "{error}");
    assert!(!app.end().success());
    app.forget();
    let Some(next) = Session::start() else { return };
    app.restart(&next, &["--title", "[three] "]);
    replay(&app, &[&canvas, &menu_canvas], &[&shown, &shown_popup]);
    next.picture_when("second-compositor", |picture| {
        picture.at(400, 350) == [0xff, 0, 0] && picture.at(275, 225) == [0, 0, 0xff]
    });

    // The app's end is an ordinary end.
    app.close();
    assert!(app.end().success());
}

fn replay(app: &FakeApp, canvases: &[&rig::fake_app::Canvas], commits: &[&Commit]) {
    for canvas in canvases {
        app.send_canvas(canvas);
    }
    for commit in commits {
        app.commit(commit);
    }
}

/// A message's header.
fn header(kind: u16, len: u32) -> [u8; 8] {
    let ([a, b], [c, d]) = (kind.to_le_bytes(), VERSION.to_le_bytes());
    let [e, f, g, h] = len.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

#[test]
fn a_message_that_must_not_be_closes_the_display() {
    let Some(session) = Session::start() else { return };
    let mut good = FakeApp::start(&session, &["--title", "good"]);
    let canvas = good.canvas(100, 100);
    let surface = good.window(&canvas).surface;
    session.window(|window| window["name"] == "good");

    type Wrong = fn(&mut FakeApp);
    let wrongs: [(&str, Wrong); 8] = [
        ("unknown message type", |app| app.send_bytes(&header(99, 8), None)),
        ("wrong length", |app| app.send_bytes(&[&header(5, 9)[..], &[0]].concat(), None)),
        ("only a bridge sends", |app| {
            let close = postern_channel::Close { surface: 1 };
            app.send(&Message::Close(close, &[]));
        }),
        ("unknown pool", |app| {
            let commit = Commit { role: Role::TOPLEVEL, flags: CommitFlag::BUFFER, ..Commit::empty(1) };
            app.commit(&Commit { buffer: 1, pool: 9, stride: 4, width: 1, height: 1, ..commit });
        }),
        ("does not fit", |app| {
            let canvas = app.canvas(10, 10);
            let commit = app.shows(Commit { role: Role::TOPLEVEL, ..Commit::empty(77) }, &canvas);
            app.commit(&Commit { offset: 4, ..commit });
        }),
        ("each other's parents", |app| {
            app.commit(&Commit { role: Role::SUBSURFACE, parent: 2, ..Commit::empty(1) });
            app.commit(&Commit { role: Role::SUBSURFACE, parent: 1, ..Commit::empty(2) });
        }),
        ("a handle with", |app| {
            let canvas = app.canvas(1, 1);
            let destroy = Message::SurfaceDestroy(SurfaceDestroy { surface: 1 }, &[]);
            app.send_with(&destroy, Some(&canvas.file));
        }),
        ("too many windows", |app| {
            for surface in 1..=65 {
                app.commit(&Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) });
            }
        }),
    ];
    for (expected, wrong) in wrongs {
        let mut bad = FakeApp::start(&session, &[]);
        wrong(&mut bad);
        let (error, retry) = failure(&mut bad);
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!retry);
        assert!(!bad.end().success());
    }
    // The other app did not notice.
    let commit = good.shows(Commit { role: Role::TOPLEVEL, ..Commit::empty(surface) }, &canvas);
    good.commit(&Commit { flags: commit.flags | CommitFlag::FRAME, ..commit });
    good.wait(|m| matches!(m, Message::Frame(..)).then_some(()));
}

#[test]
fn neither_a_stopped_compositor_nor_a_stopped_app_stops_the_bridge() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(300, 300);
    canvas.fill_all(0xff_0000);
    let mut shown = app.window(&canvas);
    session.window(|_| true);
    let alive = |app: &mut FakeApp| {
        app.set_line("nonsense");
        app.report(|r| {
            matches!(r, Report::Refused { what } if what.contains("not understood")).then_some(())
        });
    };

    // The compositor takes nothing: in the end the app is held up, not the bridge, and nothing piles up there.
    session.stop(true);
    let mut sent = 0;
    loop {
        let commit = app.shows(shown, &canvas);
        if !app.try_send(&Message::Commit(commit, &[])) {
            std::thread::sleep(Duration::from_millis(200));
            if !app.try_send(&Message::Commit(commit, &[])) {
                break;
            }
        }
        shown = commit;
        sent += 1;
        assert!(sent < 100_000, "the bridge takes everything and keeps it");
    }
    alive(&mut app);
    session.stop(false);
    shown = app.shows(Commit { flags: shown.flags | CommitFlag::FRAME, ..shown }, &canvas);
    app.commit(&shown);
    app.wait(|m| matches!(m, Message::Frame(..)).then_some(()));

    // The app reads nothing: input is dropped after a while, the rest waits.
    app.forget();
    for step in 0..20_000_u32 {
        let is_awaited = step % 250 == 0;
        pointer.move_quickly(350 + step % 100, 250 + step % 90, is_awaited);
        if is_awaited {
            // No mouse is so fast that a client has no turn between hundreds of its motions: sway ends such a client.
            alive(&mut app);
        }
    }
    pointer.go(400, 300);
    alive(&mut app);
    shown = app.shows(shown, &canvas);
    app.commit(&shown);
    app.wait(|m| matches!(m, Message::Frame(..)).then_some(()));
}

#[test]
fn a_connected_bridge_is_confined() {
    let Some(session) = Session::start() else { return };
    let mut app = FakeApp::start(&session, &[]);
    app.report(|report| matches!(report, Report::Ready { .. }).then_some(()));
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.bridge.id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Threads:"), "1");
}

#[test]
fn without_a_session_there_is_a_clear_error() {
    let Some(mut session) = Session::start() else { return };
    session.crash();
    let _ = std::fs::remove_file(session.socket());
    let mut app = FakeApp::start_silent(&session, &[]);
    let (error, retry) = failure(&mut app);
    assert!(error.contains("cannot reach the Wayland session"), "{error}");
    assert!(retry);
    assert!(!app.end().success());
}
