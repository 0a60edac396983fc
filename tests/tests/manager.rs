//! The manager itself, in a headless session, driven by real input.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::picture::Picture;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::io::Write;
use std::net::TcpListener;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places of a window of 1280 × 800.
const FIRST_TILE: (usize, usize) = (330, 157);
const RUNNING: (usize, usize) = (82, 126);
const REPORTS: (usize, usize) = (100, 168);
const FIRST_ROW: (usize, usize) = (420, 130);
const FIRST_REPORT: (usize, usize) = (500, 100);
const COPY_REPORT: (usize, usize) = (376, 155);
const NETWORK_TOGGLE: (usize, usize) = (1153, 600);
/// The graph of the processor on an app's page, and the running list of the side bar: x, y, width, height.
const GRAPH: [usize; 4] = [330, 256, 400, 90];
const SIDE_LIST: [usize; 4] = [15, 235, 190, 60];
const PAGE: [usize; 4] = [230, 0, 1050, 800];

struct Manager {
    rig: Rig,
    session: Session,
    process: Child,
}

impl Manager {
    fn open() -> Self {
        let rig = Rig::new().unwrap();
        let session = Session::start(&rig).unwrap();
        let process = Self::launch(&rig, &session);
        Self { rig, session, process }
    }

    fn launch(rig: &Rig, session: &Session) -> Child {
        let process = session.launch(rig, &[&rig.postern.to_string_lossy()]).unwrap();
        session.wait_painted(rig, "Postern", 24).unwrap();
        process
    }

    fn shot(&self) -> Picture {
        self.session.screenshot(&self.rig, &self.rig.dir.join("run/test.png")).unwrap()
    }

    /// Clicks until a part of the window changes: the first click may come before the window has its input.
    fn click(&self, place: (usize, usize), part: [usize; 4], pixels: usize) {
        let before = self.shot();
        self.session.click(place.0, place.1).unwrap();
        wait_for(&format!("a change after the click at {place:?}"), || {
            Ok((self.shot().difference(&before, part) > pixels).then_some(()))
        })
        .unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.session.keep_last_sight();
        for app in ["foot", "downloader"] {
            let _ = self.rig.postern(&["stop", "--kill", app]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn search_and_launch_by_click() {
    let m = Manager::open();
    m.session.type_text(&m.rig, "foot").unwrap();
    m.session.settled(&m.rig).unwrap();
    m.session.click(FIRST_TILE.0, FIRST_TILE.1).unwrap();
    let window = wait_for("the app's window", || {
        Ok(m.session
            .windows(&m.rig)?
            .into_iter()
            .find(|w| !w.title.contains("Postern") && w.app_id.contains("foot")))
    })
    .unwrap();
    wait_for("it to paint", || Ok((m.shot().colours(window.rect) > 3).then_some(()))).unwrap();
}

#[test]
fn search_and_launch_by_keyboard() {
    let m = Manager::open();
    m.session.type_text(&m.rig, "foot").unwrap();
    m.session.settled(&m.rig).unwrap();
    m.session.press(&m.rig, &[], "Return").unwrap();
    wait_for("the app's window", || {
        Ok(m.session.windows(&m.rig)?.into_iter().find(|w| w.app_id.contains("foot")))
    })
    .unwrap();
}

const LOOP: &str = "import socket, sys, time\nwhile True:\n  try:\n    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5); s.recv(100); s.close()\n  except OSError: pass\n  time.sleep(0.05)";

#[test]
fn network_off_stops_a_download_and_the_graph_moves() {
    let m = Manager::open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = { stream }.write_all(b"data");
        }
    });
    let net = format!("--net=127.0.0.1:{port}");
    let options = ["--no-display", "--id", "downloader", &net];
    let app =
        Running::start_in(&m.rig, &m.session, &options, &["/usr/bin/python3", "-c", LOOP, &port]).unwrap();
    wait_for("downloads", || Ok((count.load(Ordering::SeqCst) > 5).then_some(()))).unwrap();
    m.click(RUNNING, PAGE, 500);
    wait_for("the app in the list", || Ok((m.shot().colours(SIDE_LIST) > 10).then_some(()))).unwrap();
    m.click(FIRST_ROW, PAGE, 5000);
    let before = m.shot();
    wait_for("the graph to move", || Ok((m.shot().difference(&before, GRAPH) > 50).then_some(()))).unwrap();
    m.session.click(NETWORK_TOGGLE.0, NETWORK_TOGGLE.1).unwrap();
    wait_for("the network to be off", || {
        let status = app.status()?;
        Ok((status["permissions"]["network"]["mode"] == "none").then_some(()))
    })
    .unwrap();
    let at = count.load(Ordering::SeqCst);
    // The loop goes on trying, and is refused.
    wait_for(
        "refusals",
        || Ok((!app.status()?["denied"].as_array().is_none_or(Vec::is_empty)).then_some(())),
    )
    .unwrap();
    let after = count.load(Ordering::SeqCst);
    assert!(after <= at + 1, "{at} downloads became {after}");
}

#[test]
fn the_report_of_a_crash() {
    let m = Manager::open();
    let out = m.rig.sandboxed_with(&["--id", "crasher"], &["/bin/sh", "-c", "kill -SEGV $$"], None).unwrap();
    assert_eq!(out.status, 139, "{out:?}");
    m.click(REPORTS, PAGE, 500);
    m.click(FIRST_REPORT, PAGE, 5000);
    m.session.settled(&m.rig).unwrap();
    // A keyboard on the seat is what gives clients a clipboard.
    let mut keyboard = m.session.launch(&m.rig, &["wtype", "-s", "60000"]).unwrap();
    m.session.click(COPY_REPORT.0, COPY_REPORT.1).unwrap();
    let text = wait_for("the report in the clipboard", || {
        let text = m.session.run(&m.rig, &["timeout", "5", "wl-paste", "-n"])?;
        Ok((!text.is_empty()).then_some(text))
    });
    keyboard.kill().unwrap();
    keyboard.wait().unwrap();
    let text = text.unwrap();
    assert!(text.contains("SIGSEGV") && text.contains("crasher"), "{text}");
}

#[test]
fn running_apps_are_found_again_after_a_crash_of_the_manager() {
    let mut m = Manager::open();
    let app = Running::start_in(
        &m.rig,
        &m.session,
        &["--no-display", "--id", "downloader"],
        &["/bin/sleep", "900"],
    )
    .unwrap();
    app.wait_processes(1).unwrap();
    wait_for("the app in the list", || Ok((m.shot().colours(SIDE_LIST) > 10).then_some(()))).unwrap();
    m.process.kill().unwrap();
    m.process.wait().unwrap();
    wait_for("its window to go", || Ok(m.session.windows(&m.rig)?.is_empty().then_some(()))).unwrap();
    m.process = Manager::launch(&m.rig, &m.session);
    wait_for("the app in the list again", || Ok((m.shot().colours(SIDE_LIST) > 10).then_some(()))).unwrap();
    assert!(postern_tests::processes::alive(app.pid_of("pid").unwrap()));
}

#[test]
fn two_managers_at_once() {
    let mut m = Manager::open();
    let mut second = m.session.launch(&m.rig, &[&m.rig.postern.to_string_lossy()]).unwrap();
    // Either it opens too, or it leaves the field to the first; both are well afterwards.
    wait_for("the second manager", || {
        Ok(m.session
            .windows(&m.rig)?
            .len()
            .ge(&2)
            .then_some(())
            .or(second.try_wait()?.map(|s| assert!(s.success()))))
    })
    .unwrap();
    let out = m.rig.postern(&["permit", "foot", "network", "outbound"]).unwrap();
    assert_eq!(out.status, 0, "{out:?}");
    let _ = second.kill();
    second.wait().unwrap();
    assert!(m.process.try_wait().unwrap().is_none(), "the first manager ended");
}
