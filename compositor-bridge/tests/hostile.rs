//! Streams of messages that a hostile app could send: whatever they are, the bridge either goes on or says what was
//! wrong with them. It never gets the compositor to refuse something, hangs or dies otherwise.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use rig::fake_app::FakeApp;
use rig::random::{Random, end_round};
use rig::session::Session;

/// Rounds of this many messages, each with a new bridge. More by BRIDGE_HOSTILE_ROUNDS in the environment.
const MESSAGES: usize = 150;

#[test]
fn no_stream_of_messages_makes_the_compositor_refuse_the_bridge() {
    let Some(mut session) = Session::start() else { return };
    let rounds = std::env::var("BRIDGE_HOSTILE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40_u64);
    for round in 1..=rounds {
        session.check(&format!("stream {round}"));
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (round << 20));
        let mut app = FakeApp::start(&session, &["--border", "ff0000"]);
        let canvas = app.canvas(100, 100);
        for _ in 0..MESSAGES {
            if app.is_over() {
                break;
            }
            random.act(&mut app, &canvas);
            app.receive_all();
        }
        end_round(app, &mut session, round);
    }
}
