//! Servers with their clients on the app's own loopback.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::Running;
use postern_tests::session::wait_for;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

#[test]
fn nginx() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("nginx", &[]);
    assert!(out.stdout.contains("new page"), "{out:?}");
}

#[test]
fn sshd() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("sshd", &[]);
    assert!(out.stdout.contains("hello from") && out.stdout.contains("forwarded"), "{out:?}");
}

/// Asks a server of the host's port for a page; `None` if nobody listens.
fn page(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[test]
fn a_granted_port_is_reached_from_outside_and_no_other() {
    let rig = Rig::new().unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for address in ["127.0.0.1", "0.0.0.0", "::"] {
        let (granted, other) = (free().to_string(), free().to_string());
        let serve = "import http.server, sys, threading\n\
            class Server(http.server.ThreadingHTTPServer):\n    \
                address_family = 10 if ':' in sys.argv[1] else 2\n\
            for port in sys.argv[2:]:\n    \
                s = Server((sys.argv[1], int(port)), http.server.SimpleHTTPRequestHandler)\n    \
                threading.Thread(target=s.serve_forever).start()";
        let argv = ["python3", "-c", serve, address, &other, &granted];
        let app = Running::start(&rig, &["--no-display", "--listen", &granted], &argv).unwrap();
        let text = wait_for("the server", || Ok(page(granted.parse().unwrap()))).unwrap();
        assert!(text.starts_with("HTTP/1.0 200"), "{address}: {text}");
        assert_eq!(page(other.parse().unwrap()), None, "{address}");
        // A port of the app's own loopback is nothing that it was refused.
        let denied = app.status().unwrap()["denied"].to_string();
        assert_eq!(denied.contains("listen"), address != "127.0.0.1", "{address}: {denied}");
    }
}
