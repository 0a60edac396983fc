//! Clipboard, primary selection and drags, between apps and other clients of a real session.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_bridge::{FilesAnswer, Report, Settings};
use postern_channel::{
    Commit, CommitFlag, Data, DataState, Drag, DragEvent, Message, Offer, PointerEvent, Request, Role,
    Selection, limit,
};
use rig::fake_app::FakeApp;
use rig::pointer::{LEFT, VirtualPointer};
use rig::session::Session;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Bytes that are no text, so many that they need many windows.
fn picture() -> Vec<u8> {
    (0..3_000_000_u32).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect()
}

fn copy(session: &Session, options: &[&str], bytes: &[u8]) {
    let mut copying = session.user_command("wl-copy").args(options).stdin(Stdio::piped()).spawn().unwrap();
    copying.stdin.take().unwrap().write_all(bytes).unwrap();
    copying.wait().unwrap();
}

fn paste(session: &Session, options: &[&str]) -> Child {
    session.user_command("wl-paste").arg("-n").args(options).stdout(Stdio::piped()).spawn().unwrap()
}

/// A keyboard, which gives the window in front the focus; killed when dropped.
struct Keyboard(Child);

impl Keyboard {
    fn new(session: &Session) -> Self {
        Self(session.user_command("wtype").args(["-s", "60000", "x"]).spawn().unwrap())
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Presses and releases, and returns the serial of the press.
fn click(app: &mut FakeApp, pointer: &mut VirtualPointer) -> u32 {
    app.forget();
    pointer.click();
    pressed(app)
}

fn pressed(app: &mut FakeApp) -> u32 {
    app.wait(|m| match m {
        Message::Pointer(p, _) if p.event == PointerEvent::BUTTON && p.state == 1 => Some(p.serial),
        _ => None,
    })
}

fn offer(app: &FakeApp, selection: u32, serial: u32, list: &[u8]) {
    app.send(&Message::Offer(Offer { selection, serial, ..Default::default() }, list));
}

/// Waits for an offer with MIME types, and returns them.
fn offered(app: &mut FakeApp, selection: u32) -> String {
    app.wait(|m| match m {
        Message::Offer(o, list) if o.selection == selection && !list.is_empty() => {
            Some(String::from_utf8(list.to_vec()).unwrap())
        }
        _ => None,
    })
}

fn ask(app: &FakeApp, transfer: u32, selection: u32, mime: &str) {
    app.send(&Message::Request(Request { transfer, selection }, mime.as_bytes()));
}

/// Receives all of a transfer, as a display server does whose client reads.
fn receive(app: &mut FakeApp, transfer: u32) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (state, piece) = app.wait(|m| match m {
            Message::Data(d, piece) if d.transfer == transfer => Some((d.state, piece.to_vec())),
            _ => None,
        });
        all.extend(piece);
        match state {
            DataState::MORE => app.send(&Message::Data(Data { transfer, state: DataState::TAKEN }, &[])),
            DataState::LAST => return all,
            other => panic!("state {other} after {} bytes", all.len()),
        }
    }
}

/// What somebody wants of the app: transfer and MIME type.
fn wanted(app: &mut FakeApp, selection: u32) -> (u32, String) {
    app.wait(|m| match m {
        Message::Request(r, mime) if r.selection == selection => {
            Some((r.transfer, String::from_utf8(mime.to_vec()).unwrap()))
        }
        _ => None,
    })
}

/// Sends all of a transfer, no further ahead of the reader than allowed.
fn give(app: &mut FakeApp, transfer: u32, bytes: &[u8]) {
    let mut window = limit::WINDOW;
    for piece in bytes.chunks(limit::PIECE) {
        if window == 0 {
            app.wait(|m| {
                matches!(m, Message::Data(d, _) if (d.transfer, d.state) == (transfer, DataState::TAKEN))
                    .then_some(())
            });
            window += 1;
        }
        window -= 1;
        app.send(&Message::Data(Data { transfer, state: DataState::MORE }, piece));
    }
    app.send(&Message::Data(Data { transfer, state: DataState::LAST }, &[]));
}

fn denied(app: &mut FakeApp, wanted: &str) {
    app.report(|r| matches!(r, Report::Denied { permission, .. } if permission == wanted).then_some(()));
}

fn is_offer(m: &Message<'_>) -> bool {
    matches!(m, Message::Offer(_, list) if !list.is_empty())
}

#[test]
fn what_is_copied_crosses_only_as_permitted() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &[]);
    let canvas = app.canvas(200, 200);
    app.window(&canvas);
    session.window(|_| true);
    // The first touch only brings the pointer in.
    pointer.go(390, 300);
    app.wait(|m| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::ENTER).then_some(()));
    pointer.go(400, 300);
    let serial = click(&mut app, &mut pointer);
    let _keyboard = Keyboard::new(&session);

    // Without permission: nothing is offered to the app, what it asks for is refused, what it offers is not taken.
    copy(&session, &["-t", "text/plain"], b"from the session");
    copy(&session, &["--primary"], b"selected");
    assert!(!app.comes(Duration::from_millis(300), is_offer));
    for (transfer, selection) in [(5, Selection::CLIPBOARD), (6, Selection::PRIMARY)] {
        ask(&app, transfer, selection, "text/plain");
        app.wait(|m| {
            matches!(m, Message::Data(d, _) if (d.transfer, d.state) == (transfer, DataState::FAILED))
                .then_some(())
        });
        denied(&mut app, "clipboard-read");
        offer(&app, selection, serial, b"text/plain\0");
        denied(&mut app, "clipboard-write");
    }
    let text = paste(&session, &["-t", "text/plain"]).wait_with_output().unwrap().stdout;
    assert_eq!(text, b"from the session");

    // Permitted while the app runs.
    app.set(&Settings { clipboard_read: Some(true), clipboard_write: Some(true), ..Settings::default() });
    assert!(offered(&mut app, Selection::CLIPBOARD).contains("text/plain\0"));
    assert!(offered(&mut app, Selection::PRIMARY).contains("text/plain\0"));
    ask(&app, 7, Selection::CLIPBOARD, "text/plain");
    assert_eq!(receive(&mut app, 7), b"from the session");
    ask(&app, 8, Selection::PRIMARY, "text/plain");
    assert_eq!(receive(&mut app, 8), b"selected");

    // Not only text, and a lot of it.
    let picture = picture();
    copy(&session, &["-t", "image/png"], &picture);
    assert_eq!(offered(&mut app, Selection::CLIPBOARD), "image/png\0");
    ask(&app, 9, Selection::CLIPBOARD, "image/png");
    assert!(receive(&mut app, 9) == picture);

    // An app that does not take it gets no more than the window; the rest waits with its owner.
    app.forget();
    ask(&app, 10, Selection::CLIPBOARD, "image/png");
    app.comes(Duration::from_millis(300), |_| false);
    let mut pieces = 0;
    while app.comes(Duration::ZERO, |m| matches!(m, Message::Data(d, _) if d.transfer == 10)) {
        app.wait(|m| matches!(m, Message::Data(d, _) if d.transfer == 10).then_some(()));
        pieces += 1;
    }
    assert_eq!(pieces, limit::WINDOW);
    app.send(&Message::Data(Data { transfer: 10, state: DataState::STOP }, &[]));

    // And out of the app.
    let serial = click(&mut app, &mut pointer);
    offer(&app, Selection::CLIPBOARD, serial, b"image/png\0text/plain\0");
    offer(&app, Selection::PRIMARY, serial, b"text/plain\0");
    session.until("the app's offer", || {
        let types = paste(&session, &["-l"]).wait_with_output().unwrap().stdout;
        String::from_utf8_lossy(&types).starts_with("image/png\ntext/plain\n")
    });
    for (options, selection, bytes) in [
        (&["-t", "image/png"][..], Selection::CLIPBOARD, &picture[..]),
        (&["-p", "-t", "text/plain"], Selection::PRIMARY, b"selected in the app"),
    ] {
        let pasting = paste(&session, options);
        let reader = std::thread::spawn(|| pasting.wait_with_output().unwrap().stdout);
        let (transfer, mime) = wanted(&mut app, selection);
        assert_eq!(mime, *options.last().unwrap());
        give(&mut app, transfer, bytes);
        assert!(reader.join().unwrap() == bytes);
    }

    // A reader that goes away stops the app.
    let mut pasting = paste(&session, &["-t", "image/png"]);
    let (transfer, _) = wanted(&mut app, Selection::CLIPBOARD);
    pasting.kill().unwrap();
    pasting.wait().unwrap();
    // The copying itself is done by a child of it, which ends when it can write nowhere.
    drop(pasting.stdout.take());
    // Its pipe and that child take a little even so.
    let is_stopped = (0..limit::WINDOW * 8).any(|_| {
        app.send(&Message::Data(Data { transfer, state: DataState::MORE }, &picture[..limit::PIECE]));
        let answer = |m: &Message<'_>| match m {
            Message::Data(d, _) if d.transfer == transfer => Some(d.state),
            _ => None,
        };
        app.wait(|m| answer(m)) == DataState::STOP
    });
    assert!(is_stopped);

    // What somebody else copies takes the app's place, and the app hears of it.
    copy(&session, &["-t", "text/plain"], b"later");
    app.wait(|m| {
        matches!(m, Message::Offer(o, []) if (o.selection, o.serial) == (Selection::CLIPBOARD, 1))
            .then_some(())
    });
}

#[test]
fn an_app_that_sends_ahead_loses_its_display() {
    let Some(session) = Session::start() else { return };
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut app = FakeApp::start(&session, &["--clipboard-write"]);
    let canvas = app.canvas(200, 200);
    app.window(&canvas);
    session.window(|_| true);
    pointer.go(390, 300);
    app.wait(|m| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::ENTER).then_some(()));
    let serial = click(&mut app, &mut pointer);
    offer(&app, Selection::CLIPBOARD, serial, b"text/plain\0");
    session.until("the app's offer", || {
        let types = paste(&session, &["-l"]).wait_with_output().unwrap().stdout;
        String::from_utf8_lossy(&types).starts_with("text/plain\n")
    });
    // It never reads.
    let mut pasting = paste(&session, &["-t", "text/plain"]);
    let (transfer, _) = wanted(&mut app, Selection::CLIPBOARD);
    let piece = [0; limit::PIECE];
    while !app.is_over() {
        app.try_send(&Message::Data(Data { transfer, state: DataState::MORE }, &piece));
    }
    let (_, words) = app.last_words();
    assert!(words.unwrap().contains("more pieces"), "it ends with a report");
    pasting.kill().unwrap();
    pasting.wait().unwrap();
}

/// Two apps side by side, and a pointer over the first. Returns the number of the first one's surface.
fn side_by_side(session: &Session) -> (FakeApp, FakeApp, VirtualPointer, [u32; 2]) {
    let mut pointer = VirtualPointer::new(&session.socket());
    let mut apps = ["left", "right"].map(|title| FakeApp::start(session, &["--title", title]));
    let mut surfaces = [0; 2];
    for ((app, surface), (title, x)) in apps.iter_mut().zip(&mut surfaces).zip([("left", 0), ("right", 400)])
    {
        let canvas = app.canvas(300, 300);
        canvas.fill_all(0x20_4080);
        *surface = app.window(&canvas).surface;
        session.window(|window| window["name"] == title);
        let place = format!("[title={title}] move absolute position {x} 100");
        session.ask(&[&place]);
        session.window(|window| window["name"] == title && window["rect"]["x"] == x);
    }
    let [mut first, second] = apps;
    pointer.go(100, 200);
    first.wait(|m| matches!(m, Message::Pointer(p, _) if p.event == PointerEvent::ENTER).then_some(()));
    (first, second, pointer, surfaces)
}

fn event(app: &mut FakeApp, event: u32) -> (Drag, String) {
    app.wait(|m| match m {
        Message::Drag(d, mime) if d.event == event => Some((*d, String::from_utf8(mime.to_vec()).unwrap())),
        _ => None,
    })
}

fn say(app: &FakeApp, drag: Drag, mime: &str) {
    app.send(&Message::Drag(drag, mime.as_bytes()));
}

/// Presses, and begins a drag with these MIME types and an icon.
fn start(app: &mut FakeApp, pointer: &mut VirtualPointer, surface: u32, list: &[u8]) {
    app.forget();
    pointer.press(LEFT, true);
    let serial = pressed(app);
    let icon = app.number();
    app.commit(&Commit { role: Role::DRAG_ICON, ..Commit::empty(icon) });
    let wish = Offer { selection: Selection::DRAG, serial, surface, icon, actions: 3 };
    app.send(&Message::Offer(wish, list));
    let canvas = app.canvas(40, 40);
    canvas.fill_all(0xff_ff00);
    let shown = app.shows(Commit { role: Role::DRAG_ICON, ..Commit::empty(icon) }, &canvas);
    assert_ne!(shown.flags & CommitFlag::BUFFER, 0);
    app.commit(&Commit { position: [10, 10], ..shown });
}

/// Takes the drag that entered: as this MIME type, as a copy.
fn take(app: &FakeApp, enter: &Drag, mime: &str) {
    say(app, Drag { event: DragEvent::ACCEPT, serial: enter.serial, ..Drag::default() }, mime);
    say(app, Drag { event: DragEvent::SET_ACTIONS, actions: 3, action: 1, ..Drag::default() }, "");
}

#[test]
fn a_drag_from_one_app_to_another() {
    let Some(session) = Session::start() else { return };
    let (mut first, mut second, mut pointer, [surface, target]) = side_by_side(&session);
    start(&mut first, &mut pointer, surface, b"image/png\0text/plain\0");
    // Over the app itself first: it knows what it drags.
    pointer.go(110, 210);
    let (own, _) = event(&mut first, DragEvent::ENTER);
    assert_eq!(own.surface, surface);
    assert!(!first.comes(Duration::ZERO, is_offer));
    session.picture_when("drag-icon", |picture| picture.at(110 + 10 + 20, 210 + 10 + 20) == [0xff, 0xff, 0]);
    let entered = Instant::now();
    pointer.go(500, 200);
    event(&mut first, DragEvent::LEAVE);
    let (enter, _) = event(&mut second, DragEvent::ENTER);
    assert_eq!(enter.surface, target);
    assert_eq!(offered(&mut second, Selection::DRAG), "image/png\0text/plain\0");

    // What is asked for before the drop waits until it has been over the window for a moment, without any permission then.
    ask(&second, 3, Selection::DRAG, "image/png");
    take(&second, &enter, "image/png");
    assert_eq!(event(&mut second, DragEvent::OFFER_ACTION).0.action, 1);
    assert_eq!(event(&mut first, DragEvent::TARGET).1, "image/png");
    assert_eq!(event(&mut first, DragEvent::SOURCE_ACTION).0.action, 1);
    let (transfer, mime) = wanted(&mut first, Selection::DRAG);
    assert_eq!(mime, "image/png");
    assert!(entered.elapsed() >= Duration::from_millis(300), "{:?}", entered.elapsed());
    give(&mut first, transfer, b"a glance");
    assert_eq!(receive(&mut second, 3), b"a glance");
    pointer.press(LEFT, false);
    event(&mut second, DragEvent::DROP);
    event(&mut first, DragEvent::DROP_PERFORMED);
    ask(&second, 3, Selection::DRAG, "image/png");
    let (transfer, mime) = wanted(&mut first, Selection::DRAG);
    assert_eq!(mime, "image/png");
    let picture = picture();
    std::thread::scope(|scope| {
        let giving = scope.spawn(|| give(&mut first, transfer, &picture));
        assert!(receive(&mut second, 3) == picture);
        giving.join().unwrap();
    });
    say(&second, Drag { event: DragEvent::FINISH, ..Drag::default() }, "");
    event(&mut first, DragEvent::FINISHED);

    // One that leaves gives nothing.
    pointer.go(100, 200);
    start(&mut first, &mut pointer, surface, b"text/plain\0");
    second.forget();
    pointer.go(500, 200);
    event(&mut second, DragEvent::ENTER);
    ask(&second, 4, Selection::DRAG, "text/plain");
    pointer.go(380, 50);
    event(&mut second, DragEvent::LEAVE);
    second.wait(|m| {
        matches!(m, Message::Data(d, _) if (d.transfer, d.state) == (4, DataState::FAILED)).then_some(())
    });
    pointer.press(LEFT, false);
    event(&mut first, DragEvent::CANCELLED);

    // Who may read the clipboard has it before the drop: Qt's editors agree to nothing that they have not seen.
    second.set(&Settings { clipboard_read: Some(true), ..Settings::default() });
    second.wait(|m| matches!(m, Message::Offer(o, _) if o.selection == Selection::CLIPBOARD).then_some(()));
    pointer.go(100, 200);
    start(&mut first, &mut pointer, surface, b"text/plain\0");
    second.forget();
    pointer.go(500, 200);
    event(&mut second, DragEvent::ENTER);
    ask(&second, 5, Selection::DRAG, "text/plain");
    let (transfer, _) = wanted(&mut first, Selection::DRAG);
    give(&mut first, transfer, b"looked at");
    assert_eq!(receive(&mut second, 5), b"looked at");
    pointer.go(380, 50);
    event(&mut second, DragEvent::LEAVE);
    pointer.press(LEFT, false);
    event(&mut first, DragEvent::CANCELLED);

    // Without a button held there is no drag.
    let wish = Offer { selection: Selection::DRAG, serial: 1, surface, icon: 0, actions: 1 };
    first.send(&Message::Offer(wish, b"text/plain\0"));
    event(&mut first, DragEvent::CANCELLED);
    // Nor in a surface that is not there.
    first.send(&Message::Offer(Offer { surface: 999, ..wish }, b"text/plain\0"));
    event(&mut first, DragEvent::CANCELLED);
}

#[test]
fn files_cross_by_the_monitor() {
    let Some(session) = Session::start() else { return };
    let (mut first, mut second, mut pointer, [surface, _]) = side_by_side(&session);
    start(&mut first, &mut pointer, surface, b"text/uri-list\0");
    pointer.go(500, 200);
    let (enter, _) = event(&mut second, DragEvent::ENTER);
    take(&second, &enter, "text/uri-list");
    event(&mut second, DragEvent::OFFER_ACTION);
    pointer.press(LEFT, false);

    // The bridge of the target reads the list; the one of the source has it looked at first.
    let (transfer, _) = wanted(&mut first, Selection::DRAG);
    give(&mut first, transfer, b"file:///seen%20by/the-app\r\nfile:///not/seen\r\n");
    let (question, uris) = files(&mut first, false);
    assert_eq!(uris, ["file:///seen%20by/the-app", "file:///not/seen"]);
    let uris = vec![Some("file:///home/real".to_owned()), None];
    first.set(&Settings { files: Some(FilesAnswer { question, uris }), ..Settings::default() });

    let (question, uris) = files(&mut second, true);
    assert_eq!(uris, ["file:///home/real"]);
    let is_drop = |m: &Message<'_>| matches!(m, Message::Drag(d, _) if d.event == DragEvent::DROP);
    assert!(!second.comes(Duration::from_millis(200), is_drop), "not before the files are granted");
    let answer = FilesAnswer { question, uris: Vec::new() };
    second.set(&Settings { files: Some(answer), ..Settings::default() });
    event(&mut second, DragEvent::DROP);
    event(&mut second, DragEvent::LEAVE);
    ask(&second, 3, Selection::DRAG, "text/uri-list");
    let (transfer, _) = wanted(&mut first, Selection::DRAG);
    give(&mut first, transfer, b"file:///seen%20by/the-app\r\n");
    let (question, _) = files(&mut first, false);
    let uris = vec![Some("file:///home/real".to_owned())];
    first.set(&Settings { files: Some(FilesAnswer { question, uris }), ..Settings::default() });
    assert_eq!(receive(&mut second, 3), b"file:///home/real\r\n");
    say(&second, Drag { event: DragEvent::GIVE_UP, ..Drag::default() }, "");
    event(&mut first, DragEvent::CANCELLED);
}

/// The bridge's question about files.
fn files(app: &mut FakeApp, is_drop: bool) -> (u32, Vec<String>) {
    app.report(|report| match report {
        Report::Files { question, dropped, uris } if dropped == is_drop => Some((question, uris)),
        _ => None,
    })
}
