//! Apps look the same natively and under Postern in the compositors of GNOME and KDE and in Weston: same place, same size,
//! decorations once. Their windows come back when the compositor does.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::desktop::{almost_settled, alone, wait_change};
use postern_tests::nested::Kind;
use postern_tests::picture::Picture;
use postern_tests::session::wait_for;
use postern_tests::{Nested, Rig, Session};

/// A GTK 3 app with decorations of its own, and one of Qt 5 that leaves them to a compositor that has some.
const APPS: [&str; 2] = ["gtk3-demo", "featherpad"];
/// Pixels that any window covers.
const WINDOW: usize = 100_000;
/// Pixels of a text cursor that blinks, and of pointers: where they are after a start is the compositor's business.
const CURSORS: usize = 1500;

/// Waits until the screen looks like this.
fn wait_same(rig: &Rig, session: &Session, what: &str, before: &Picture) {
    let path = rig.dir.join("run/same.png");
    let result = wait_for(what, || {
        let now = session.screenshot(rig, &path)?;
        Ok((now.difference(before, [0, 0, now.width, now.height]) <= CURSORS).then_some(()))
    });
    if let Err(error) = result {
        let folder = postern_tests::rig::root().join("target/failed");
        std::fs::create_dir_all(&folder).unwrap();
        before.save(&folder.join("compositors-wanted.png")).unwrap();
        std::fs::copy(&path, folder.join("compositors-seen.png")).unwrap();
        panic!("{error}: see compositors-*.png in {}", folder.display());
    }
}

fn shows_apps_as_natively(kind: Kind) {
    let _one = alone();
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let nested = Nested::start(&rig, &session, kind).unwrap();
    let empty = session.settled(&rig).unwrap();
    let mut last = None;
    for name in APPS {
        drop(last.take());
        wait_same(&rig, &session, "an empty screen", &empty);
        let mut native = nested.launch(&[name]).unwrap();
        wait_change(&rig, &session, &empty, WINDOW);
        let look = almost_settled(&rig, &session);
        native.kill().unwrap();
        native.wait().unwrap();
        wait_same(&rig, &session, "the window to go", &empty);
        let app = nested.launch_sandboxed(&[name]).unwrap();
        wait_same(&rig, &session, &format!("{name} in {kind:?} to look as natively"), &look);
        last = Some((app, look));
    }
    // The last one outlives the compositor.
    let (_app, look) = last.unwrap();
    drop(nested);
    wait_change(&rig, &session, &look, WINDOW);
    let _again = Nested::start(&rig, &session, kind).unwrap();
    wait_same(&rig, &session, &format!("the window to come back to {kind:?}"), &look);
}

#[test]
fn mutter_shows_apps_as_natively() {
    shows_apps_as_natively(Kind::Mutter);
}

#[test]
fn kwin_shows_apps_as_natively() {
    shows_apps_as_natively(Kind::Kwin);
}

#[test]
fn weston_shows_apps_as_natively() {
    shows_apps_as_natively(Kind::Weston);
}
