//! Browsers in a headless session, natively and under Postern: a page with scripts, canvas and video, used by hand.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::desktop::{Granted, alone, make_film, wait_colour, wait_text, with};
use postern_tests::picture::Picture;
use postern_tests::session::{Session, Window, wait_for};
use std::fs;

/// The folder of the page, with a film, a file to upload and a place for downloads.
fn pages() -> Granted {
    let folder = Granted::new("browser");
    folder.write("index.html", include_bytes!("../programs/browser/index.html"));
    folder.write("start.sh", include_bytes!("../programs/browser/start.sh"));
    let second = "<!doctype html><title>the other page</title><body style='background: #ffc080'>";
    folder.write("second.html", second.as_bytes());
    folder.write("upload.txt", b"from a file\n");
    make_film(&folder.file("film.webm"), "libvpx");
    folder
}

/// Where the page begins in the window: its canvas has a red rectangle at (20, 20).
fn origin(picture: &Picture) -> (usize, usize) {
    let places = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
    let mut red = places.filter(|(x, y)| picture.at(*x, *y) == Some([0xc0, 0, 0]));
    let (x, y) = red.next().expect("the canvas");
    (x - 20, y - 20)
}

/// Uses the page: looks, types, and presses its buttons.
fn use_page(rig: &Rig, session: &Session, window: &Window) -> (usize, usize) {
    session.wait_window(rig, "page ready 1,4,9").unwrap();
    wait_colour(rig, session, window, 25_000, |c| c == [0xc0, 0, 0]);
    wait_colour(rig, session, window, 15_000, |c| c == [0, 0xa0, 0]);
    // The film's bars.
    wait_colour(rig, session, window, 8000, |[r, g, b]| r > 180 && b > 180 && g < 70);
    let (x, y) = origin(&session.screenshot(rig, &rig.dir.join("run/page.png")).unwrap());
    session.click(x + 100, y + 350).unwrap();
    session.type_text(rig, "by hand").unwrap();
    session.wait_window(rig, "page typed by hand").unwrap();
    (x, y)
}

#[test]
fn firefox_with_its_own_sandbox() {
    let _one = alone();
    let grant = pages();
    for is_sandboxed in [false, true] {
        let folder = grant.path().to_str().unwrap();
        for name in ["look", "seccomp", "ended", "downloads/made.txt"] {
            let _ = fs::remove_file(grant.file(name));
        }
        let _ = fs::remove_dir_all(grant.file("profile"));
        grant.folder("profile");
        grant.folder("downloads");
        let downloads = format!(
            "user_pref(\"browser.download.folderList\", 2);\nuser_pref(\"browser.download.dir\", \"{folder}/downloads\");\n"
        );
        let preferences = [include_bytes!("../programs/browser/user.js"), downloads.as_bytes()].concat();
        grant.write("profile/user.js", &preferences);
        let (start, profile) = (grant.file("start.sh"), grant.file("profile"));
        let (page, other) = (format!("file://{folder}/index.html"), format!("file://{folder}/second.html"));
        let firefox = ["firefox-esr", "--no-remote", "--profile", &profile, &page, &other];
        let argv = [&["env", "MOZ_ENABLE_WAYLAND=1", "sh", &start, folder][..], &firefox[..]].concat();
        let options = ["--grant", folder];
        with(is_sandboxed.then_some(&options[..]), &argv, "Mozilla Firefox", |rig, session, window| {
            let (x, y) = use_page(rig, session, &window);
            session.click(x + 700, y + 350).unwrap();
            assert_eq!(wait_text(grant.file("downloads/made.txt").as_ref()), "made by a page\n");
            session.click(x + 400, y + 350).unwrap();
            let chooser = session.wait_painted(rig, "File Upload", 12).unwrap().0;
            session.type_text(rig, &grant.file("upload.txt")).unwrap();
            let [left, top, width, _] = chooser.rect;
            session.click(left + width - 48, top + 22).unwrap();
            session.wait_window(rig, "page uploaded from a file").unwrap();
            session.press(rig, &["ctrl"], "Next").unwrap();
            session.wait_window(rig, "the other page").unwrap();
            wait_colour(rig, session, &window, 400_000, |c| c == [0xff, 0xc0, 0x80]);
            // Its processes for pages have filters of system calls of Firefox's own.
            fs::write(grant.file("look"), "").unwrap();
            let filters = wait_text(grant.file("seccomp").as_ref());
            assert!(filters.lines().filter(|line| *line == "Seccomp:\t2").count() >= 2, "{filters}");
            session.press(rig, &["ctrl"], "q").unwrap();
            assert_eq!(wait_text(grant.file("ended").as_ref()), "0\n");
            let reports = rig.postern(&["reports"]).unwrap().stdout;
            assert!(!reports.contains("ended by"), "{reports}");
        });
    }
}

#[test]
#[ignore = "heavy: make programs"]
fn chromium() {
    let _one = alone();
    let grant = pages();
    let page = format!("file://{}", grant.file("index.html"));
    let folder = grant.path().to_str().unwrap();
    for is_sandboxed in [false, true] {
        // Without user namespaces it has no sandbox that it accepts, and says so.
        let program = ["chromium", "--no-sandbox", "--ozone-platform=wayland", "--no-first-run", &page];
        let options = ["--grant", folder];
        with(is_sandboxed.then_some(&options[..]), &program, "Chromium", |rig, session, window| {
            use_page(rig, session, &window);
            session.press(rig, &["ctrl"], "t").unwrap();
            session.wait_window(rig, "New Tab").unwrap();
            session.press(rig, &["ctrl"], "w").unwrap();
            session.wait_window(rig, "page typed by hand").unwrap();
            session.press(rig, &["ctrl"], "w").unwrap();
            wait_for("the window to go", || Ok(session.windows(rig)?.is_empty().then_some(()))).unwrap();
            let reports = rig.postern(&["reports"]).unwrap().stdout;
            assert!(!reports.contains("ended by"), "{reports}");
        });
    }
}
