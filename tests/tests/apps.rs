//! Unmodified desktop apps in a headless session, natively and under Postern, driven by the compositor's input.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::desktop::{COLOURS, alone, assert_same_look, wait_change, with};
use postern_tests::picture::Picture;
use postern_tests::pointer::RIGHT;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::collections::HashSet;
use std::fs;

fn foot(options: Option<&[&str]>) -> Picture {
    // A shell without a prompt of the user's own.
    with(options, &["foot", "--title", "shell-in-foot", "sh"], "shell-in-foot", |rig, session, _| {
        let before = session.settled(rig).unwrap();
        session.type_text(rig, "seq 12; echo typed > $HOME/typed\n").unwrap();
        wait_change(rig, session, &before, 500);
        let home = match options {
            None => rig.home(),
            Some(_) => rig.home().join(".local/share/postern/homes/foot"),
        };
        let text =
            wait_for("the file that was typed", || Ok(fs::read_to_string(home.join("typed")).ok())).unwrap();
        assert_eq!(text, "typed\n");
        session.settled(rig).unwrap()
    })
}

#[test]
fn a_command_typed_into_foot() {
    let _one = alone();
    assert_same_look("foot", &foot(None), &foot(Some(&[])));
}

fn calculator(options: Option<&[&str]>) -> Picture {
    with(options, &["gnome-calculator"], "Calculator", |rig, session, _| {
        let before = session.settled(rig).unwrap();
        session.type_text(rig, "6*7").unwrap();
        wait_change(rig, session, &before, 20);
        session.press(rig, &[], "Return").unwrap();
        let picture = session.settled(rig).unwrap();
        session.press(rig, &["ctrl"], "c").unwrap();
        // The result, as the app itself writes it.
        let text = wait_for("the result in the clipboard", || {
            let text = session.run(rig, &["timeout", "5", "wl-paste", "-n"])?;
            Ok((!text.trim().is_empty()).then_some(text))
        })
        .unwrap();
        assert_eq!(text.trim(), "42");
        picture
    })
}

#[test]
fn six_times_seven_in_the_calculator() {
    let _one = alone();
    let sandboxed = calculator(Some(&["--permit", "clipboard-write=on"]));
    assert_same_look("calculator", &calculator(None), &sandboxed);
}

/// Opens a context menu, closes it, moves and resizes.
fn demo(options: Option<&[&str]>, program: &str, title: &str, place: (usize, usize)) {
    with(options, &[program], title, |rig, session, window| {
        let before = session.settled(rig).unwrap();
        session.click_with(place.0, place.1, RIGHT).unwrap();
        wait_change(rig, session, &before, 1500);
        session.press(rig, &[], "Escape").unwrap();
        let closed = session.settled(rig).unwrap();
        assert!(closed.difference(&before, [0, 0, 1280, 800]) < 20_000, "the menu did not close");
        let id = format!("[con_id={}]", window.id);
        session
            .message(
                rig,
                &[&format!("{id} floating enable, resize set 800 500, move absolute position 200 100")],
            )
            .unwrap();
        let moved = wait_for("the window to move and take its size", || {
            let now = session.windows(rig)?.into_iter().find(|w| w.id == window.id);
            Ok(now.filter(|w| w.rect == [200, 100, 800, 500]))
        })
        .unwrap();
        // It has painted itself anew, into all of its new size.
        let path = rig.dir.join("run/moved.png");
        wait_for("the window to paint at its new size", || {
            let picture = session.screenshot(rig, &path)?;
            let [x, y, width, height] = moved.rect;
            let corner = picture.colours([x + 10, y + height - 60, width - 20, 50]);
            Ok((corner >= 1 && picture.colours(moved.rect) > COLOURS).then_some(()))
        })
        .unwrap();
    });
}

#[test]
fn gtk3_demo() {
    let _one = alone();
    demo(None, "gtk3-demo", "Application Class", (900, 150));
    demo(Some(&[]), "gtk3-demo", "Application Class", (900, 150));
}

#[test]
fn gtk4_demo() {
    let _one = alone();
    demo(None, "gtk4-demo", "GTK Demo", (900, 230));
    demo(Some(&[]), "gtk4-demo", "GTK Demo", (900, 230));
}

/// Types into mousepad and saves by its menu.
fn type_and_save(rig: &Rig, session: &Session) -> Picture {
    let before = session.settled(rig).unwrap();
    session.type_text(rig, "typed by hand").unwrap();
    let path = rig.dir.join("run/typed.png");
    wait_for("the text", || {
        let first_line = [0, 30, 640, 30];
        Ok((session.screenshot(rig, &path)?.difference(&before, first_line) > 100).then_some(()))
    })
    .unwrap();
    let typed = session.settled(rig).unwrap();
    session.click(16, 12).unwrap();
    wait_change(rig, session, &typed, 5000);
    let menu = session.settled(rig).unwrap();
    session.click(45, 170).unwrap();
    wait_change(rig, session, &menu, 5000)
}

#[test]
fn mousepad_saves_into_a_granted_folder() {
    let _one = alone();
    let folder = std::env::temp_dir().join(format!("postern-granted-{}", std::process::id()));
    let rig = Rig::new().unwrap();
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    let file = folder.join("note.txt");
    for options in [None, Some(["--grant", folder.to_str().unwrap()])] {
        let _ = fs::remove_file(&file);
        with(
            options.as_ref().map(|o| &o[..]),
            &["mousepad", file.to_str().unwrap()],
            "note.txt",
            |rig, session, _| {
                type_and_save(rig, session);
                let text = wait_for("the saved file", || {
                    Ok(fs::read_to_string(&file).ok().filter(|t| !t.is_empty()))
                })
                .unwrap();
                assert_eq!(text.trim_end(), "typed by hand");
            },
        );
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn mousepad_is_refused_elsewhere_with_a_message() {
    let _one = alone();
    for options in [None, Some(&[][..])] {
        with(options, &["mousepad", "/usr/share/postern-note.txt"], "postern-note.txt", |rig, session, _| {
            let before = session.settled(rig).unwrap();
            type_and_save(rig, session);
            // The app's own dialog, over its window.
            let after = session.settled(rig).unwrap();
            assert!(after.difference(&before, [300, 200, 680, 400]) > 5000, "no message");
            assert!(!std::path::Path::new("/usr/share/postern-note.txt").exists());
        });
    }
}

#[test]
fn the_clipboard_needs_its_permission() {
    let _one = alone();
    for (permit, wanted) in [("clipboard-read=off", "no"), ("clipboard-read=on", "from the desktop")] {
        with(
            Some(&["--permit", permit]),
            &["foot", "--title", "paste", "sh", "-c", "while read x; do echo \"$x\" > $HOME/pasted; done"],
            "paste",
            |rig, session, _| {
                let mut owner = session.launch(rig, &["wl-copy", "-f", "from the desktop"]).unwrap();
                session.settled(rig).unwrap();
                session.press(rig, &["ctrl", "shift"], "v").unwrap();
                session.type_text(rig, "no\n").unwrap();
                let file = rig.home().join(".local/share/postern/homes/foot/pasted");
                let text = wait_for("what was pasted", || {
                    Ok(fs::read_to_string(&file).ok().filter(|t| !t.is_empty()))
                })
                .unwrap();
                assert!(text.starts_with(wanted), "{permit}: {text:?}");
                owner.kill().unwrap();
                owner.wait().unwrap();
            },
        );
    }
}

#[test]
fn two_apps_at_once() {
    let _one = alone();
    with(
        Some(&[]),
        &["foot", "--title", "one", "sh", "-c", "seq 20; exec sleep 900"],
        "one",
        |rig, session, first| {
            let _second = Running::start_in(rig, session, &[], &["gnome-calculator"]).unwrap();
            session.wait_painted(rig, "Calculator", COLOURS).unwrap();
            assert!(session.windows(rig).unwrap().iter().any(|w| w.id == first.id));
            let list = rig.postern(&["ps"]).unwrap().stdout;
            assert!(list.contains("foot") && list.contains("gnome-calculator"), "{list}");
        },
    );
}

/// Call sites, of 40 bytes each, and lookups in what is kept of a start.
fn kept_parts(text: &[u8]) -> (HashSet<&[u8]>, &[u8]) {
    let len = u64::from_le_bytes(*text[8..].first_chunk().unwrap());
    let (sites, lookups) = text[16..].split_at(usize::try_from(len).unwrap());
    (sites.chunks(40).collect(), lookups)
}

#[test]
fn what_an_app_does_at_its_start_is_kept_for_the_next() {
    let _one = alone();
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let kept = rig.home().join(".local/state/postern/starts/foot");
    let mut before: Option<Vec<u8>> = None;
    for round in 0..3 {
        let argv = ["foot", "--title", "start", "sh", "-c", "seq 12; exec sleep 900"];
        let app = Running::start_in(&rig, &session, &[], &argv).unwrap();
        session.wait_painted(&rig, "start", COLOURS).unwrap();
        let long = |text: &Vec<u8>| text.len() > 1000;
        let text = wait_for("what was looked up", || Ok(fs::read(&kept).ok().filter(long))).unwrap();
        drop(app);
        wait_for("the window to go", || Ok(session.windows(&rig)?.is_empty().then_some(()))).unwrap();
        let (sites, list) = kept_parts(&text);
        assert!(sites.len() > 10, "{}", sites.len());
        let lookups: Vec<&[u8]> = list.split(|byte| *byte == 0).collect();
        assert!(lookups.contains(&&b"o/usr/bin/foot"[..]), "{}", String::from_utf8_lossy(&text));
        assert!(lookups.iter().all(|l| l.is_empty() || l[1..].starts_with(b"/")));
        // A strange one is no harm.
        if round == 1 {
            let before = before.take().unwrap();
            let (sites_before, list_before) = kept_parts(&before);
            assert!(sites.is_superset(&sites_before) && list.starts_with(list_before));
            // The same files and places, where the code would be another; files that are not there; any bytes.
            let mut sites = text[16..text.len() - list.len()].to_vec();
            sites.iter_mut().skip(24).step_by(40).for_each(|code| *code ^= 1);
            sites.extend([0xff; 40]);
            sites.extend(1..=40);
            let len = (sites.len() as u64).to_le_bytes();
            let strange = b"o/../..\0d/usr/bin/foot\0o/usr\0l/\0o/usr/bin/foot\0";
            fs::write(&kept, [&text[..8], &len, &sites, strange].concat()).unwrap();
        } else {
            before = Some(text);
        }
    }
    // The app itself does not see it.
    let argv = ["/bin/sh", "-c", "ls $HOME/.local/state/postern 2>&1; cat \"$0\"", &kept.to_string_lossy()];
    let out = rig.sandboxed_with(&["--id", "foot"], &argv, None).unwrap();
    assert_ne!(out.status, 0, "{out:?}");
}
