//! Interactive programs on a terminal.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::{Rig, Terminal};
use std::io;

/// The same conversation natively and under Postern; the same transcript and status.
fn same(argv: &[&str], talk: impl Fn(&mut Terminal) -> io::Result<()>) {
    let rig = Rig::new().unwrap();
    let converse = |argv: &[&str]| {
        let mut terminal = Terminal::start(&rig, argv).unwrap();
        if let Err(error) = talk(&mut terminal) {
            panic!("{argv:?}: {error}");
        }
        let status = terminal.end().unwrap_or_else(|error| panic!("{argv:?}: {error}"));
        (terminal.transcript.clone(), status)
    };
    let native = converse(argv);
    let postern = rig.postern.to_string_lossy().into_owned();
    let mut sandboxed = vec![postern.as_str(), "run", "--no-display", "--"];
    sandboxed.extend(argv);
    assert_eq!(native, converse(&sandboxed));
}

#[test]
fn interactive_bash_with_interrupt_and_stop() {
    // A background job of a script, as tests may be, inherits SIGINT ignored.
    let bash = ["/usr/bin/env", "--default-signal=INT,QUIT", "/bin/bash", "--norc", "--noediting", "-i"];
    same(&bash, |t| {
        t.expect("$ ")?;
        t.send("PS1='ready> '\n")?;
        t.expect("ready> ")?;
        t.expect("ready> ")?;
        t.send("cat\n")?;
        t.expect("cat")?;
        t.send("echoed by cat\n")?;
        t.expect("echoed by cat")?;
        t.expect("echoed by cat")?;
        t.send("\x03")?;
        t.expect("ready> ")?;
        t.send("echo status $?\n")?;
        t.expect("status 130")?;
        t.expect("ready> ")?;
        t.send("cat\n")?;
        t.expect("cat")?;
        t.send("x\n")?;
        t.expect("x\r\nx\r\n")?;
        t.send("\x1a")?;
        t.expect("Stopped")?;
        t.expect("ready> ")?;
        t.send("jobs\n")?;
        t.expect("Stopped")?;
        t.expect("ready> ")?;
        t.send("fg\n")?;
        t.expect("cat\r\n")?;
        t.send("again\n")?;
        t.expect("again\r\nagain\r\n")?;
        t.send("\x04")?;
        t.expect("ready> ")?;
        t.send("stty -a | head -1; tty > /dev/null && echo a terminal\n")?;
        t.expect("a terminal\r\n")?;
        t.expect("ready> ")?;
        t.send("exit 7\n")
    });
}

#[test]
fn line_editing_by_readline() {
    same(&["/bin/bash", "--norc", "-i"], |t| {
        t.expect("$ ")?;
        t.send("PS1='> '; bind 'set enable-bracketed-paste off'; clear\r")?;
        t.expect("\x1b[3J> ")?;
        t.send("echo abd\x1b[D\x1b[D\x1b[Dx\x05e\r")?;
        t.expect("xabde\r\n")?;
        t.expect("> ")?;
        t.send("\x1b[A\r")?;
        t.expect("xabde\r\n")?;
        t.expect("> ")?;
        t.send("\x04")
    });
}

#[test]
fn a_full_screen_program() {
    same(
        &[
            "/usr/bin/python3",
            "-c",
            "import curses\ndef main(s):\n  s.addstr(3, 5, 'size %dx%d' % (curses.COLS, curses.LINES)); s.refresh()\n  k = s.getkey(); s.addstr(5, 5, 'key ' + k); s.refresh(); s.getkey()\ncurses.wrapper(main)",
        ],
        |t| {
            t.expect("size 80x24")?;
            t.send("q")?;
            t.expect("key q")?;
            t.send("q")
        },
    );
}
