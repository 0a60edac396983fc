//! Desktop apps, natively and under Postern: starting them, and looking at what they show. What fails here fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::picture::Picture;
use crate::rig::{root, test_user};
use crate::running::App;
use crate::session::{Window, wait_for};
use crate::{Rig, Session};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Colours of a window with text on it.
pub const COLOURS: usize = 12;

/// One app at a time: they are large for a small machine.
static ONE: Mutex<()> = Mutex::new(());

/// Waits until no other test of this program uses an app.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Starts an app natively (no options) or under Postern, lets `drive` use it, and ends it.
pub fn with<T>(
    options: Option<&[&str]>,
    argv: &[&str],
    title: &str,
    drive: impl FnOnce(&Rig, &Session, Window) -> T,
) -> T {
    let rig = Rig::new().unwrap();
    // Before the session, so that a failed test's last sight still has the app.
    let app;
    let session = Session::start(&rig).unwrap();
    app = App::start(&rig, &session, options, argv).unwrap();
    let log = || fs::read_to_string(rig.dir.join("apps.log")).unwrap_or_default();
    let (window, _) =
        session.wait_painted(&rig, title, COLOURS).unwrap_or_else(|e| panic!("{argv:?}: {e}\n{}", log()));
    let result = drive(&rig, &session, window);
    drop(app);
    result
}

/// Compares the middle of two pictures: what a border or a title of Postern's own at the edges does not touch.
pub fn assert_same_look(name: &str, native: &Picture, sandboxed: &Picture) {
    let rect = [8, 40, native.width - 16, native.height - 48];
    let differing = native.difference(sandboxed, rect);
    if differing * 50 > rect[2] * rect[3] {
        let folder = root().join("target/failed");
        fs::create_dir_all(&folder).unwrap();
        native.save(&folder.join(format!("{name}-native.png"))).unwrap();
        sandboxed.save(&folder.join(format!("{name}-sandboxed.png"))).unwrap();
        panic!("{differing} pixels differ: see {name}-*.png in {}", folder.display());
    }
}

/// Waits until two screenshots half a second apart are almost equal: apps with animations never rest quite. Returns the
/// last.
pub fn almost_settled(rig: &Rig, session: &Session) -> Picture {
    let path = rig.dir.join("run/almost.png");
    let mut last = session.screenshot(rig, &path).unwrap();
    wait_for("the screen to rest almost", || {
        std::thread::sleep(Duration::from_millis(500));
        let next = session.screenshot(rig, &path)?;
        let whole = [0, 0, next.width, next.height];
        let rests = next.difference(&last, whole) * 100 < next.width * next.height;
        last = next;
        Ok(rests.then(|| last.clone()))
    })
    .unwrap()
}

/// Waits until so many pixels of a window have a colour that `is` accepts.
pub fn wait_colour(
    rig: &Rig,
    session: &Session,
    window: &Window,
    pixels: usize,
    is: impl Fn([u8; 3]) -> bool,
) {
    let path = rig.dir.join("run/colour.png");
    wait_for("the colour", || {
        Ok((session.screenshot(rig, &path)?.count(window.rect, &is) >= pixels).then_some(()))
    })
    .unwrap();
}

/// Waits for a file with something in it. Returns its text.
pub fn wait_text(file: &Path) -> String {
    wait_for("a file", || Ok(fs::read_to_string(file).ok().filter(|text| !text.is_empty()))).unwrap()
}

/// Makes a film of colour bars, with a codec as ffmpeg calls it.
pub fn make_film(path: &str, codec: &str) {
    make_video(path, &[&format!("--ovc={codec}")], "size=640x360:rate=30:duration=3");
}

/// Makes a film of colour bars, with options for mpv's encoder; size, rate and duration as ffmpeg's test sources want
/// them.
pub fn make_video(path: &str, options: &[&str], source: &str) {
    let source = format!("av://lavfi:testsrc2={source}");
    let output = format!("--o={path}");
    let argv = [&["mpv", "--no-config"], options, &[&output, &source]].concat();
    let made = Rig::new().unwrap().native(&argv).unwrap();
    assert!(made.status == 0 && fs::metadata(path).unwrap().len() > 10_000, "{made:?}");
}

/// A folder of the rig's user outside of its home, to be granted. Removed when dropped.
pub struct Granted(PathBuf);

impl Granted {
    /// A fresh folder.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postern-granted-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        let granted = Self(path);
        granted.own("");
        granted
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
        self.own(name);
    }

    /// Makes a folder in it, if there is none.
    pub fn folder(&self, name: &str) {
        fs::create_dir_all(self.0.join(name)).unwrap();
        self.own(name);
    }

    fn own(&self, name: &str) {
        let user = test_user().unwrap();
        nix::unistd::chown(&self.0.join(name), Some(user.uid), Some(user.gid)).unwrap();
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until the screen differs from `before` by so many pixels.
pub fn wait_change(rig: &Rig, session: &Session, before: &Picture, pixels: usize) -> Picture {
    let path = rig.dir.join("run/change.png");
    wait_for("the screen to change", || {
        let now = session.screenshot(rig, &path)?;
        Ok((now.difference(before, [0, 0, now.width, now.height]) > pixels).then_some(now))
    })
    .unwrap()
}
