//! A display server of another version is refused with a report, in whatever message it shows.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use postern_bridge::Report;
use postern_channel::{Hello, MAX_MESSAGE, Message, SurfaceDestroy, VERSION};
use rig::fake_app::FakeApp;
use rig::session::Session;

fn encoded(message: &Message<'_>, version: u16) -> Vec<u8> {
    let mut bytes = [0; MAX_MESSAGE];
    let len = message.encode(&mut bytes).unwrap();
    bytes[2..4].copy_from_slice(&version.to_le_bytes());
    bytes[..len].to_vec()
}

#[test]
fn another_version_is_refused_with_a_report() {
    let Some(session) = Session::start() else { return };
    let hello = |version: u16| Hello { version: version.into(), ..Hello::default() };
    let other = VERSION + 1;
    let cases: [(bool, Vec<u8>); 4] = [
        // Says another version in the language of this one.
        (false, encoded(&Message::Hello(hello(other), &[]), VERSION)),
        // Speaks another one.
        (false, encoded(&Message::Hello(hello(other), &[]), other)),
        (false, encoded(&Message::Hello(hello(VERSION - 1), &[]), VERSION - 1)),
        // Begins to, in the middle.
        (true, encoded(&Message::SurfaceDestroy(SurfaceDestroy { surface: 1 }, &[]), other)),
    ];
    for (is_greeted, bytes) in cases {
        let mut app =
            if is_greeted { FakeApp::start(&session, &[]) } else { FakeApp::start_silent(&session, &[]) };
        app.send_bytes(&bytes, None);
        let (error, retry) = app.report(|report| match report {
            Report::Failed { error, retry } => Some((error, retry)),
            _ => None,
        });
        assert!(error.contains("version") && !retry, "{error}");
        assert!(!app.end().success());
    }
    // What an earlier bridge was sent is dropped, whatever it is, as long as nobody greeted.
    let mut app = FakeApp::start_silent(&session, &[]);
    app.send_bytes(&encoded(&Message::SurfaceDestroy(SurfaceDestroy { surface: 1 }, &[]), other), None);
    app.send(&Message::Hello(hello(VERSION), &[]));
    let canvas = app.canvas(50, 50);
    app.window(&canvas);
}
