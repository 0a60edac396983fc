//! Drag and drop by hand between apps of all toolkits, natively and under Postern: what arrives, and what stays.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::desktop::{COLOURS, Granted, almost_settled, alone, wait_change, wait_text};
use postern_tests::running::App;
use postern_tests::session::{Session, Window, wait_for};
use std::fs;
use std::time::{Duration, Instant};

/// The text that is dragged: wherever in the upper half of a window one takes it there is some.
fn words() -> String {
    "dragged by hand, line after line\n".repeat(24)
}

/// Runs two apps beside each other, both natively (no options) or under Postern, the left one first.
fn beside<T>(
    options: [Option<&[&str]>; 2],
    left: (&[&str], &str),
    right: (&[&str], &str),
    drive: impl FnOnce(&Rig, &Session, [Window; 2]) -> T,
) -> T {
    let rig = Rig::new().unwrap();
    let mut apps = Vec::new();
    let session = Session::start(&rig).unwrap();
    for (options, (argv, title)) in options.into_iter().zip([left, right]) {
        apps.push(App::start(&rig, &session, options, argv).unwrap());
        let log = || fs::read_to_string(rig.dir.join("apps.log")).unwrap_or_default();
        let painted = session.wait_painted(&rig, title, COLOURS);
        let window = painted.unwrap_or_else(|e| panic!("{argv:?}: {e}\n{}", log())).0;
        // For programs that like to be alone.
        session.message(&rig, &[&format!("[con_id={}] fullscreen disable", window.id)]).unwrap();
    }
    let windows = [left, right].map(|(_, title)| {
        wait_for("the windows beside each other", || {
            let window = session.wait_window(&rig, title)?;
            Ok((window.rect[2] < 700).then_some(window))
        })
        .unwrap()
    });
    almost_settled(&rig, &session);
    let result = drive(&rig, &session, windows);
    drop(apps);
    result
}

/// Drags until what `arrived` asks for is there: apps say nothing of how far they are.
fn drag_until<T>(
    session: &Session,
    from: (usize, usize),
    to: (usize, usize),
    what: &str,
    mut arrived: impl FnMut() -> Option<T>,
) -> T {
    wait_for(what, || {
        session.drag_and_drop(from, to)?;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if let Some(result) = arrived() {
                return Ok(Some(result));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(None)
    })
    .unwrap()
}

/// Whether there is a window with this in its title.
fn has(rig: &Rig, session: &Session, title: &str) -> Option<()> {
    session.windows(rig).ok()?.iter().any(|window| window.title.contains(title)).then_some(())
}

fn middle(window: &Window) -> (usize, usize) {
    let [x, y, width, height] = window.rect;
    (x + width / 2, y + height / 2)
}

/// Drags text that is selected in one editor into another. What both have saved after that is the same both ways.
fn text_between(from: &str, to: &str) {
    let _one = alone();
    let folder = Granted::new(&format!("drag-{from}-{to}"));
    let (source, target) = (folder.file("source.txt"), folder.file("target.txt"));
    let dragged = |options: Option<&[&str]>| {
        folder.write("source.txt", words().as_bytes());
        folder.write("target.txt", b"");
        beside(
            [options; 2],
            (&[from, &source], "source"),
            (&[to, &target], "target"),
            |rig, session, windows| {
                let [(x, y), drop] = [middle(&windows[0]), middle(&windows[1])];
                session.click(x, y).unwrap();
                let before = almost_settled(rig, session);
                session.press(rig, &["ctrl"], "a").unwrap();
                wait_change(rig, session, &before, 1000);
                let first = (x - 100, windows[0].rect[1] + 160);
                session.drag_and_drop(first, drop).unwrap();
                session.click(drop.0, drop.1).unwrap();
                session.press(rig, &["ctrl"], "s").unwrap();
                let arrived = wait_text(target.as_ref());
                session.click(x, y).unwrap();
                session.press(rig, &["ctrl"], "s").unwrap();
                almost_settled(rig, session);
                (arrived, fs::read_to_string(&source).unwrap())
            },
        )
    };
    let native = dragged(None);
    assert_eq!(native.0.trim_end(), words().trim_end());
    let options = ["--grant", folder.path().to_str().unwrap()];
    assert_eq!(native, dragged(Some(&options)));
}

#[test]
fn text_from_gtk_4_to_qt_5() {
    text_between("gnome-text-editor", "featherpad");
}

#[test]
#[ignore = "heavy: make programs"]
fn text_from_qt_5_to_qt_6() {
    text_between("featherpad", "focuswriter");
}

#[test]
#[ignore = "heavy: make programs"]
fn text_from_qt_6_to_gtk_4() {
    text_between("focuswriter", "gnome-text-editor");
}

/// Where the page begins on the screen: it has a red square there.
fn origin(session: &Session, rig: &Rig) -> (usize, usize) {
    let picture = almost_settled(rig, session);
    let places = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
    let mut red = places.filter(|(x, y)| picture.at(*x, *y) == Some([0xc0, 0, 0]));
    red.next().expect("the page")
}

/// The folder of a page to drag from and to.
fn page(name: &str) -> Granted {
    let folder = Granted::new(name);
    folder.write("drag.html", include_bytes!("../programs/browser/drag.html"));
    folder
}

#[test]
#[ignore = "heavy: make programs"]
fn text_from_a_page_of_firefox() {
    let _one = alone();
    let folder = page("drag-page");
    let (target, profile) = (folder.file("target.txt"), folder.file("profile"));
    let page = format!("file://{}", folder.file("drag.html"));
    let firefox = ["env", "MOZ_ENABLE_WAYLAND=1", "firefox-esr", "--no-remote", "--profile", &profile, &page];
    let editor = ["gnome-text-editor", &target];
    let dragged = |options: Option<&[&str]>| {
        let _ = fs::remove_dir_all(&profile);
        folder.folder("profile");
        folder.write("profile/user.js", include_bytes!("../programs/browser/user.js"));
        folder.write("target.txt", b"");
        beside([options; 2], (&firefox, "page ready"), (&editor, "target"), |rig, session, windows| {
            let (x, y) = origin(session, rig);
            let from = (x + 200, y + 60);
            drag_until(session, from, (x + 200, y + 280), "the text in the page", || {
                has(rig, session, "page got from a page from a page.")
            });
            almost_settled(rig, session);
            let drop = middle(&windows[1]);
            session.drag_and_drop(from, drop).unwrap();
            session.click(drop.0, drop.1).unwrap();
            session.press(rig, &["ctrl"], "s").unwrap();
            wait_text(target.as_ref())
        })
    };
    let native = dragged(None);
    assert!(native.starts_with("from a page from a page"), "{native}");
    assert_eq!(native, dragged(Some(&["--grant", folder.path().to_str().unwrap()])));
}

/// A folder outside of what apps see, with a file.
fn documents(name: &str) -> Granted {
    let folder = Granted::new(name);
    folder.write("letter.txt", b"Dear reader\n");
    folder
}

/// Where a file manager on the left shows its first file.
const FIRST_FILE: (usize, usize) = (208, 105);

#[test]
fn a_file_into_an_editor_of_qt_5() {
    let _one = alone();
    let documents = documents("drag-letter");
    let manager = ["dbus-run-session", "thunar", documents.path().to_str().unwrap()];
    for options in [None, Some(&[][..])] {
        beside(
            [None, options],
            (&manager, "Thunar"),
            (&["featherpad"], "Untitled"),
            |rig, session, windows| {
                let is_there = || has(rig, session, "letter.txt");
                drag_until(session, FIRST_FILE, middle(&windows[1]), "the file in the editor", is_there);
            },
        );
    }
}
