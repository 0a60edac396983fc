//! The written specification says what the code does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_channel::{Direction, MAX_KINDS, ROWS, Row, VERSION, limit};
use std::fmt::Write as _;
use std::path::Path;

/// With this in the environment the table is written anew.
const WRITE: &str = "POSTERN_WRITE_SPECIFICATION";
const HEAD: &str =
    "| type | name | sent by | body, bytes | payload, at most | handle |\n|---:|---|---|---:|---:|---|\n";

fn table() -> String {
    let mut text = String::from(HEAD);
    for Row { name, kind, direction, body, payload, handle } in ROWS {
        let by = match direction {
            Direction::ToBridge => "server",
            Direction::ToApp => "bridge",
            Direction::Both => "both",
        };
        let payload = if *payload == 0 { "–".to_owned() } else { payload.to_string() };
        let handle = if *handle { "yes" } else { "–" };
        writeln!(text, "| {kind} | {name} | {by} | {body} | {payload} | {handle} |").unwrap();
    }
    text
}

#[test]
fn the_specification_has_the_messages_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SPECIFICATION.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find(HEAD).expect("the table of messages");
    let end = start + text[start..].find("\n\n").expect("the end of the table") + 1;
    if std::env::var_os(WRITE).is_some() {
        let new = [&text[..start], &table(), &text[end..]].concat();
        std::fs::write(&path, new).unwrap();
        return;
    }
    assert_eq!(&text[start..end], table(), "run this test with {WRITE}=1");
    for said in [
        format!("version {VERSION}."),
        format!("never more than {MAX_KINDS} types"),
        format!("| title or application id | {} bytes", limit::TEXT),
        format!("| pools | {} (one client: {}) |", limit::POOLS, limit::POOLS / 2),
        format!("| surfaces | {} (one client: {}) |", limit::SURFACES, limit::SURFACES / 2),
        format!("| windows | {} |", limit::TOPLEVELS),
    ] {
        assert!(text.contains(&said), "the specification does not say: {said}");
    }
    assert_eq!((limit::SIZE, limit::POOL), (16_384, (1 << 31) - 1));
}
