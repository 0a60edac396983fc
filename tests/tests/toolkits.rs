//! One program of each toolkit and kind in a headless session, natively and under Postern, driven by real input.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;
use postern_tests::desktop::{
    Granted, almost_settled, alone, assert_same_look, make_film, wait_change, wait_colour, wait_text, with,
};
use postern_tests::picture::Picture;
use postern_tests::session::{Window, wait_for};
use std::fs;

/// Types into an editor that shows an empty file of a granted folder, saves by the keyboard, and looks at the file.
fn edit(argv: &[&str], name: &str) {
    let _one = alone();
    let folder = Granted::new(name);
    let path = folder.file("note.txt");
    let grant = folder.path().to_str().unwrap();
    let argv: Vec<&str> = argv.iter().copied().chain([path.as_str()]).collect();
    let typed = |options: Option<&[&str]>| {
        folder.write("note.txt", b"");
        with(options, &argv, "note", |rig, session, _| {
            let before = almost_settled(rig, session);
            session.type_text(rig, "typed by hand").unwrap();
            wait_change(rig, session, &before, 50);
            session.press(rig, &["ctrl"], "s").unwrap();
            assert_eq!(wait_text(folder.file("note.txt").as_ref()).trim_end(), "typed by hand");
            almost_settled(rig, session)
        })
    };
    assert_same_look(name, &typed(None), &typed(Some(&["--grant", grant])));
}

#[test]
fn qt_5_featherpad() {
    edit(&["featherpad"], "featherpad");
}

#[test]
fn qt_6_focuswriter() {
    edit(&["focuswriter"], "focuswriter");
}

#[test]
fn libadwaita_gnome_text_editor() {
    edit(&["gnome-text-editor"], "gnome-text-editor");
}

#[test]
fn kde_kcalc() {
    let _one = alone();
    let result = |options: Option<&[&str]>| {
        with(options, &["kcalc"], "KCalc", |rig, session, _| {
            let before = session.settled(rig).unwrap();
            session.type_text(rig, "6*7=").unwrap();
            wait_change(rig, session, &before, 50);
            let picture = session.settled(rig).unwrap();
            session.press(rig, &["ctrl"], "c").unwrap();
            let text = wait_for("the result in the clipboard", || {
                let text = session.run(rig, &["timeout", "5", "wl-paste", "-n"])?;
                Ok((!text.trim().is_empty()).then_some(text))
            });
            assert_eq!(text.unwrap().trim(), "42");
            picture
        })
    };
    assert_same_look("kcalc", &result(None), &result(Some(&["--permit", "clipboard-write=on"])));
}

#[test]
fn weston_terminal() {
    let _one = alone();
    for options in [None, Some(&[][..])] {
        with(options, &["weston-terminal", "--shell=/bin/sh"], "Terminal", |rig, session, _| {
            let before = session.settled(rig).unwrap();
            session.type_text(rig, "seq 12; echo typed > $HOME/typed\n").unwrap();
            wait_change(rig, session, &before, 300);
            let home = match options {
                None => rig.home(),
                Some(_) => rig.home().join(".local/share/postern/homes/weston-terminal"),
            };
            assert_eq!(wait_text(&home.join("typed")), "typed\n");
        });
    }
}

/// All pages of a widget factory, by clicks on their names.
fn pages(options: Option<&[&str]>, program: &str, title: &str, names: [(usize, usize); 2]) -> Vec<Picture> {
    with(options, &[program], title, |rig, session, _| {
        let mut all = vec![almost_settled(rig, session)];
        for (x, y) in names {
            session.click(x, y).unwrap();
            wait_change(rig, session, all.last().unwrap(), 50_000);
            // Where nothing shows that the pointer is over it.
            session.move_to(1278, 798).unwrap();
            all.push(almost_settled(rig, session));
        }
        all
    })
}

fn factory(program: &str, title: &str, names: [(usize, usize); 2]) {
    let _one = alone();
    let native = pages(None, program, title, names);
    let sandboxed = pages(Some(&[]), program, title, names);
    for (index, (native, sandboxed)) in native.iter().zip(&sandboxed).enumerate() {
        assert_same_look(&format!("{program}-page-{}", index + 1), native, sandboxed);
    }
}

#[test]
fn gtk3_widget_factory() {
    factory("gtk3-widget-factory", "gtk3-widget-factory", [(700, 22), (815, 22)]);
}

#[test]
fn gtk4_widget_factory() {
    factory("gtk4-widget-factory", "Widget Factory", [(700, 22), (815, 22)]);
}

/// A program that paints without end: its window changes, and shows so many pixels of a colour.
fn animation(argv: &[&str], title: &str, pixels: usize, is: impl Fn([u8; 3]) -> bool + Copy) {
    let _one = alone();
    for options in [None, Some(&[][..])] {
        with(options, argv, title, |rig, session, window| {
            wait_colour(rig, session, &window, pixels, is);
            let before = session.screenshot(rig, &rig.dir.join("run/before.png")).unwrap();
            wait_change(rig, session, &before, 2000);
        });
    }
}

#[test]
fn gl_es2gears() {
    animation(&["es2gears_wayland"], "es2gears", 50_000, |[r, g, b]| r > 120 && g < 60 && b < 60);
}

#[test]
fn gl_glmark2() {
    animation(&["glmark2-es2-wayland", "-b", "build:duration=200"], "glmark2", 2000, |[r, g, b]| {
        r > 100 && r == g && g == b
    });
}

#[test]
fn vulkan_vkcube() {
    // The teal of the logo on the cube.
    animation(&["vkcube-wayland"], "vkcube", 3000, |[r, g, b]| r < 60 && g > 60 && b > g);
}

#[test]
fn sdl2_program() {
    let _one = alone();
    let builder = Rig::new().unwrap();
    let program = builder.compile("sdl", &["-lSDL2"]).unwrap();
    let argv = ["env", "SDL_VIDEODRIVER=wayland", &program];
    let grant = format!("{}:ro", builder.dir.join("bin").display());
    for options in [None, Some(["--grant", grant.as_str()])] {
        with(options.as_ref().map(|o| &o[..]), &argv, "sdl-window", |rig, session, window| {
            let is_red = |c: [u8; 3]| c == [220, 0, 0];
            wait_colour(rig, session, &window, 9000, is_red);
            // The square comes to where the button is pressed, and turns green with the key.
            session.click(window.rect[0] + 400, window.rect[1] + 150).unwrap();
            let square = Window { rect: [window.rect[0] + 350, window.rect[1] + 100, 100, 100], ..window };
            wait_colour(rig, session, &square, 9000, is_red);
            session.type_text(rig, "g").unwrap();
            wait_colour(rig, session, &square, 9000, |c| c == [0, 200, 0]);
            session.type_text(rig, "q").unwrap();
            let log = rig.dir.join("apps.log");
            wait_for("its last words", || {
                Ok(fs::read_to_string(&log)?.contains("keys 1 clicks 1\n").then_some(()))
            })
            .unwrap();
            assert_eq!(fs::read_to_string(&log).unwrap(), "driver wayland\nkeys 1 clicks 1\n");
        });
    }
}

/// A film of colour bars, shown in one way or another.
fn film(output: &[&str]) {
    let _one = alone();
    let folder = Granted::new("film");
    let path = folder.file("film.mkv");
    make_film(&path, "mpeg4");
    let grant = format!("{}:ro", folder.path().display());
    for options in [None, Some(["--grant", grant.as_str()])] {
        let play = ["mpv", "--no-config", "--no-terminal", "--loop", "--no-audio"];
        let argv = [&play[..], output, &[path.as_str()]].concat();
        with(options.as_ref().map(|o| &o[..]), &argv, "film.mkv", |rig, session, window| {
            for channel in 0..3 {
                let is_bar = |c: [u8; 3]| c[channel] > 180 && c.iter().filter(|v| **v < 70).count() == 2;
                wait_colour(rig, session, &window, 10_000, is_bar);
            }
            let before = session.screenshot(rig, &rig.dir.join("run/before.png")).unwrap();
            wait_change(rig, session, &before, 2000);
        });
    }
}

#[test]
fn mpv_paints_itself() {
    film(&["--vo=wlshm"]);
}

#[test]
fn mpv_tries_all_ways_to_paint() {
    film(&[]);
}

#[test]
fn a_stroke_in_mypaint() {
    let _one = alone();
    for options in [None, Some(&[][..])] {
        with(options, &["mypaint"], "MyPaint", |rig, session, window| {
            let before = almost_settled(rig, session);
            let is_ink = |[r, g, b]: [u8; 3]| b > r && b - r > 25 && g > r;
            let middle = Window { rect: [250, 200, 750, 400], ..window };
            assert!(before.count(middle.rect, is_ink) < 100, "ink before the stroke");
            session.drag(&[(300, 300), (700, 500), (900, 250)]).unwrap();
            wait_colour(rig, session, &middle, 4000, is_ink);
        });
    }
}
