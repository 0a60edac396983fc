//! Pixels that cannot be shared as they are, files that clients cut short, and frames of windows that nobody sees.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::session::{Window, wait_for};
use postern_tests::{Rig, Running, Session};
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255; 3];

/// Waits until the screen has these colours at these places.
fn wait_colours(rig: &Rig, session: &Session, wanted: &[(usize, usize, [u8; 3])]) {
    let path = rig.dir.join("run/colours.png");
    let mut seen = Vec::new();
    let result = wait_for("the colours", || {
        let picture = session.screenshot(rig, &path)?;
        seen = wanted.iter().map(|(x, y, _)| picture.at(*x, *y)).collect();
        Ok(wanted.iter().all(|(x, y, colour)| picture.at(*x, *y) == Some(*colour)).then_some(()))
    });
    result.unwrap_or_else(|error| panic!("{error}: {seen:?} instead of {wanted:?}"));
}

/// Where a surface that is smaller than its tile begins: the compositor shows it in the middle.
fn corner(window: &Window, size: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|i: usize| window.rect[i] + window.rect[i + 2].saturating_sub(size[i]) / 2)
}

/// Where the files of the pool are: on the host's disk, and in a file system of the app's own.
#[test]
fn pixels_in_ordinary_files_are_copied_and_counted() {
    let _one = alone();
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let program = rig.compile("wl_frames", &[]).unwrap();
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let home = rig.home().to_string_lossy().into_owned();
    for place in [None, Some(home.as_str()), Some("/dev/shm")] {
        let argv = [&program, "file", place.unwrap_or("/tmp"), "400", "400"];
        // Natively first: the very same pixels.
        let (mut native, mut app) = (None, None);
        if place.is_none() {
            native = Some(session.launch(&rig, &argv).unwrap());
        } else {
            app = Some(Running::start_in(&rig, &session, &["--grant", &grant], &argv).unwrap());
        }
        let window = session.wait_window(&rig, "file").unwrap();
        let [x, y] = corner(&window, [400, 400]);
        wait_colours(
            &rig,
            &session,
            &[
                (x + 100, y + 50, BLUE),
                (x + 350, y + 50, BLUE),
                (x + 100, y + 300, GREEN),
                (x + 350, y + 150, RED),
                (x + 250, y + 250, WHITE),
            ],
        );
        if let Some(app) = app {
            wait_for("the count of copied frames", || {
                let status = app.status()?;
                let counts = ["frames", "copied_frames"].map(|field| status[field].as_u64());
                Ok((counts == [Some(4); 2]).then_some(()))
            })
            .unwrap();
        }
        if let Some(mut child) = native {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        wait_for("the window to go", || Ok(session.windows(&rig)?.is_empty().then_some(()))).unwrap();
    }
}

#[test]
fn a_client_may_cut_its_pool_short() {
    let _one = alone();
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let program = rig.compile("wl_frames", &[]).unwrap();
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let script = format!("{program} shrink 300 200 > $HOME/said");
    let app = Running::start_in(&rig, &session, &["--id", "cut", "--grant", &grant], &["sh", "-c", &script]);
    let app = app.unwrap();
    let window = session.wait_window(&rig, "shrink").unwrap();
    let [x, y] = corner(&window, [300, 200]);
    let file = rig.home().join(".local/share/postern/homes/cut/said");
    let said = wait_for("what it says", || Ok(fs::read_to_string(&file).ok().filter(|t| t.ends_with('\n'))));
    // Cut to 4096 bytes, nothing to read beyond, made long again, zero there.
    assert_eq!(said.unwrap(), "0 4096 0 0 1 0\n");
    wait_colours(&rig, &session, &[(x + 10, y + 10, GREEN), (x + 250, y + 150, GREEN)]);
    assert_eq!(app.status().unwrap()["copied_frames"], 0);
}

#[test]
fn frame_callbacks_of_hidden_windows_come_slowly() {
    let _one = alone();
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let program = rig.compile("wl_frames", &[]).unwrap();
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let script = format!("{program} callbacks > $HOME/counts");
    let options = ["--id", "hidden", "--grant", &grant];
    let _app = Running::start_in(&rig, &session, &options, &["sh", "-c", &script]).unwrap();
    let window = session.wait_window(&rig, "callbacks").unwrap();
    let file = rig.home().join(".local/share/postern/homes/hidden/counts");
    let counts = || -> Vec<u32> {
        fs::read_to_string(&file).unwrap_or_default().lines().filter_map(|n| n.parse().ok()).collect()
    };
    let wait = |what: &str, fits: &dyn Fn(u32) -> bool| {
        let from = counts().len() + 1;
        wait_for(what, || {
            Ok(counts().get(from..).is_some_and(|new| new.iter().any(|n| fits(*n))).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {:?}", counts()));
    };
    wait("frames at the output's pace", &|count| (10..100).contains(&count));
    let id = format!("[con_id={}]", window.id);
    session.message(&rig, &[&format!("{id} move to workspace number 5")]).unwrap();
    wait("slow frames", &|count| count <= 2);
    // It neither stops nor runs wild.
    let from = counts().len();
    wait_for("some seconds", || Ok((counts().len() >= from + 5).then_some(()))).unwrap();
    let hidden = counts().split_off(from);
    let sum: u32 = hidden.iter().sum();
    assert!((2..=12).contains(&sum) && hidden.iter().all(|n| *n <= 3), "{hidden:?}");
    session.message(&rig, &["workspace number 5"]).unwrap();
    wait("frames at the output's pace again", &|count| (10..100).contains(&count));
}
