//! Copy, paste, drag and drop between apps under Postern and native clients, with a small client of the project's own on
//! both sides (`handover`) and wl-clipboard.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::pointer::{LEFT, Pointer};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};

/// One session at a time: they are large for a small machine.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A session with a pointer of its own, and the client.
struct Place {
    // Dropped before the rig whose directory it uses.
    session: Session,
    pointer: RefCell<Pointer>,
    client: String,
    rig: Rig,
}

impl Place {
    fn new() -> Self {
        let rig = Rig::new().unwrap();
        let session = Session::start(&rig).unwrap();
        let client = rig.file("handover", &fs::read(env!("CARGO_BIN_EXE_handover")).unwrap()).unwrap();
        let socket = fs::read_dir(rig.dir.join("run")).unwrap().flatten().map(|entry| entry.path());
        let is_socket = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("wayland-") && !name.ends_with(".lock")
        };
        let socket = socket.into_iter().find(is_socket).unwrap();
        let pointer = Pointer::connect(&socket, (1280, 800)).unwrap();
        Self { session, pointer: RefCell::new(pointer), client, rig }
    }

    /// A file that a client offers.
    fn file(&self, name: &str, content: &[u8]) -> String {
        self.rig.file(name, content).unwrap()
    }

    fn native(&self, options: &[&str]) -> Native {
        let mut argv = vec![self.client.as_str()];
        argv.extend(options);
        Native(self.session.launch(&self.rig, &argv).unwrap())
    }

    fn sandboxed(&self, permits: &[&str], options: &[&str]) -> Running<'_> {
        let bin = format!("{}:ro", self.rig.dir.join("bin").display());
        let mut all = vec!["--grant", &bin];
        permits.iter().for_each(|permit| all.extend(["--permit", *permit]));
        let mut argv = vec![self.client.as_str()];
        argv.extend(options);
        Running::start_in(&self.rig, &self.session, &all, &argv).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.rig.dir.join("apps.log")).unwrap_or_default()
    }

    /// Waits for a line of the clients.
    fn said(&self, line: &str) {
        let found = wait_for(line, || Ok(self.log().lines().any(|said| said == line).then_some(())));
        found.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Waits for the window, gives it a place and the focus. Returns the middle of it.
    fn put(&self, title: &str, x: u32) -> (u32, u32) {
        self.said(&format!("{title} mapped"));
        let window = self.session.wait_window(&self.rig, title).unwrap();
        let id = format!("[con_id={}]", window.id);
        let place =
            format!("{id} floating enable, resize set 300 300, move absolute position {x} 100, focus");
        let drawn = format!("{title} is drawn ");
        wait_for("the window at its place", || {
            let windows = self.session.windows(&self.rig)?;
            let wanted = [usize::try_from(x).unwrap_or(0), 100, 300, 300];
            let is_there = windows.iter().any(|w| w.id == window.id && w.rect == wanted);
            let last = self.log().lines().rfind(|line| line.starts_with(&drawn)).map(str::to_owned);
            if is_there && last == Some(format!("{drawn}300x300")) {
                return Ok(Some(()));
            }
            // Again: a floating window also takes the size of a buffer that was drawn for an earlier configure.
            self.session.message(&self.rig, &[&place])?;
            Ok(None)
        })
        .unwrap_or_else(|error| {
            panic!("{title}: {error}\n{:?}\n{}", self.session.windows(&self.rig), self.log())
        });
        (x + 150, 250)
    }

    fn count(&self, line: &str) -> usize {
        self.log().lines().filter(|said| *said == line).count()
    }

    /// Drags from one place to another, where the window `title` is entered by `types`, and drops when both sides agree.
    fn drag(&self, from: (u32, u32), to: (u32, u32), title: &str, types: &str) {
        let (entered, agrees) = (format!("{title} is entered by {types}"), format!("{title} agrees"));
        let before = (self.count(&entered), self.count(&agrees));
        let mut pointer = self.pointer.borrow_mut();
        // The first touch only brings the pointer in.
        pointer.move_to(from.0 - 20, from.1).unwrap();
        pointer.move_to(from.0, from.1).unwrap();
        pointer.button(LEFT, true).unwrap();
        // The drag begins when its client has answered; motion after that brings it on.
        let mut step = 0;
        let mut until = |what: &str, line: &str, before: usize| {
            let result = wait_for(what, || {
                step = (step + 1) % 20;
                pointer.move_to(to.0 + step, to.1)?;
                Ok((self.count(line) > before).then_some(()))
            });
            result.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        };
        until(&entered, &entered, before.0);
        until(&agrees, &agrees, before.1);
        pointer.button(LEFT, false).unwrap();
    }

    fn wl_copy(&self, options: &[&str], bytes: &[u8]) {
        let mut command = self.rig.command("wl-copy");
        let mut copying = self.session.enter(command.args(options)).stdin(Stdio::piped()).spawn().unwrap();
        copying.stdin.take().unwrap().write_all(bytes).unwrap();
        copying.wait().unwrap();
    }

    fn wl_paste(&self, options: &[&str]) -> Vec<u8> {
        let mut command: Command = self.rig.command("timeout");
        command.args(["10", "wl-paste", "-n"]).args(options);
        self.session.enter(&mut command).output().unwrap().stdout
    }
}

/// A client outside. Ended when dropped.
struct Native(Child);

impl Drop for Native {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Something that is no text, and longer than what pipes and windows hold.
fn picture() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((0..2_000_000_u32).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()));
    bytes
}

/// As the client shows it.
fn checksum(bytes: &[u8]) -> String {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[test]
fn text_and_a_picture_are_copied_both_ways() {
    let _one = alone();
    let place = Place::new();
    let picture = picture();
    let (text, image) = (place.file("text", "Größe".as_bytes()), place.file("image", &picture));
    let (text, image) = (format!("text/plain={text}"), format!("image/png={image}"));
    let app = place.sandboxed(
        &["clipboard-read=on", "clipboard-write=on"],
        &["--title", "app", "--key", "copy", "--offer", &text, "--offer", &image],
    );
    place.put("app", 0);
    place.session.type_text(&place.rig, "c").unwrap();
    place.said("app copied");
    wait_for("the app's copy", || {
        Ok(String::from_utf8_lossy(&place.wl_paste(&["-l"]))
            .starts_with("text/plain\nimage/png\n")
            .then_some(()))
    })
    .unwrap();
    assert_eq!(place.wl_paste(&["-t", "text/plain"]), "Größe".as_bytes());
    assert_eq!(place.wl_paste(&["-p", "-t", "text/plain"]), "Größe".as_bytes());
    assert!(place.wl_paste(&["-t", "image/png"]) == picture);
    drop(app);

    // And back: a picture by the clipboard, a text by the primary selection.
    place.wl_copy(&["-t", "image/png"], &picture);
    place.wl_copy(&["-p", "-t", "text/plain"], b"selected");
    let _paste = place
        .sandboxed(&["clipboard-read=on"], &["--title", "paste", "--key", "paste", "--take", "image/png"]);
    place.put("paste", 0);
    place.session.type_text(&place.rig, "v").unwrap();
    place.said(&format!("paste got image/png {} {}", picture.len(), checksum(&picture)));
    let _primary = place.sandboxed(
        &["clipboard-read=on"],
        &["--title", "primary", "--key", "paste-primary", "--take", "text/plain"],
    );
    place.put("primary", 400);
    place.session.type_text(&place.rig, "v").unwrap();
    place.said("primary got text/plain 8 selected");
    // Without the permission there is nothing.
    let _none = place.sandboxed(&[], &["--title", "none", "--key", "paste", "--take", "image/png"]);
    place.put("none", 800);
    place.session.type_text(&place.rig, "v").unwrap();
    place.said("none has nothing to paste");
}

#[test]
fn text_is_dragged_from_one_app_to_another() {
    let _one = alone();
    let place = Place::new();
    let text = format!("text/plain={}", place.file("text", b"dragged"));
    // Neither has any permission.
    let source = ["--title", "source", "--offer", &text];
    let _source = place.sandboxed(&[], &source);
    let from = place.put("source", 0);
    let options = ["--title", "target", "--take", "text/plain"];
    let target = place.sandboxed(&[], &options);
    let to = place.put("target", 400);
    place.drag(from, to, "target", "text/plain");
    place.said("target got text/plain 7 dragged");
    place.said("source finished");
    drop(target);

    // To a native client, and from one.
    let native = place.native(&["--title", "outside", "--take", "text/plain", "--offer", &text]);
    let to = place.put("outside", 400);
    place.drag(from, to, "outside", "text/plain");
    place.said("outside got text/plain 7 dragged");
    let _inside = place.sandboxed(&[], &["--title", "inside", "--take", "text/plain"]);
    let inside = place.put("inside", 800);
    place.drag(to, inside, "inside", "text/plain");
    place.said("inside got text/plain 7 dragged");
    place.said("outside finished");
    drop(native);
}

/// A folder of the user's outside of what apps see.
fn folder(rig: &Rig, name: &str) -> std::path::PathBuf {
    let path = rig.home().join(name);
    fs::create_dir(&path).unwrap();
    rig.own(&path).unwrap();
    path
}

fn note(rig: &Rig, path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    rig.own(path).unwrap();
}

#[test]
fn a_file_that_is_dropped_on_an_app_becomes_its() {
    let _one = alone();
    let place = Place::new();
    let documents = folder(&place.rig, "Documents");
    let file = documents.join("my letter.txt");
    note(&place.rig, &file, "Dear");
    let inner = documents.join("folder");
    fs::create_dir(&inner).unwrap();
    place.rig.own(&inner).unwrap();
    note(&place.rig, &documents.join("other.txt"), "not dropped");

    let uri = format!("file://{}\r\n", file.display().to_string().replace(' ', "%20"));
    let list = format!("text/uri-list={}", place.file("list", uri.as_bytes()));
    let manager = place.native(&["--title", "manager", "--offer", &list]);
    let from = place.put("manager", 0);
    let app = place.sandboxed(&[], &["--title", "app", "--take", "text/uri-list"]);
    let to = place.put("app", 400);
    assert!(app.status().unwrap()["permissions"]["files"].as_array().unwrap().len() <= 1);
    place.drag(from, to, "app", "text/uri-list");
    place.said(&format!("app read {} Dear", file.display()));
    place.said(&format!("app wrote {} Ok(())", file.display()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "Dear and more");
    place.said("manager finished");
    drop(manager);

    // A folder.
    let list = format!(
        "text/uri-list={}",
        place.file("list2", format!("file://{}\r\n", inner.display()).as_bytes())
    );
    let manager = place.native(&["--title", "second", "--offer", &list]);
    let from = place.put("second", 0);
    place.drag(from, to, "app", "text/uri-list");
    place.said(&format!("app folder {} Ok(())", inner.display()));
    assert_eq!(fs::read_to_string(inner.join("made")).unwrap(), "made");
    drop(manager);

    // The user sees it: in what runs, and in what holds from now on.
    let status = app.status().unwrap();
    let dropped: Vec<&str> =
        status["dropped"].as_array().unwrap().iter().filter_map(|path| path.as_str()).collect();
    assert_eq!(dropped, [file.to_str().unwrap(), inner.to_str().unwrap()]);
    let permissions = place.rig.postern(&["permissions", "handover", "--json"]).unwrap().stdout;
    assert!(
        permissions.contains("my letter.txt") && permissions.contains("Documents/folder"),
        "{permissions}"
    );
    assert!(!permissions.contains("other.txt"));

    // Postern's own is nobody's, and what the app needs is not covered.
    for (title, path) in
        [("own", place.rig.home().join(".config/postern/apps/handover.json")), ("home", place.rig.home())]
    {
        let uri = format!("file://{}\r\n", path.display());
        let list = format!("text/uri-list={}", place.file(title, uri.as_bytes()));
        let manager = place.native(&["--title", title, "--offer", &list]);
        let from = place.put(title, 0);
        place.drag(from, to, "app", "text/uri-list");
        place.said(&format!("{title} finished"));
        drop(manager);
        assert_eq!(app.status().unwrap()["dropped"].as_array().unwrap().len(), 2, "{title}");
    }
}

#[test]
fn a_file_is_dragged_from_a_file_manager_into_an_editor() {
    let _one = alone();
    let place = Place::new();
    let documents = folder(&place.rig, "Documents");
    let file = documents.join("letter.txt");
    note(&place.rig, &file, "Dear reader\n");
    let _manager = Native(
        place
            .session
            .launch(&place.rig, &["dbus-run-session", "thunar", documents.to_str().unwrap()])
            .unwrap(),
    );
    place.session.wait_painted(&place.rig, "Thunar", 12).unwrap();
    let _editor = Running::start_in(&place.rig, &place.session, &[], &["mousepad"]).unwrap();
    place.session.wait_painted(&place.rig, "Untitled 1", 12).unwrap();
    place.session.settled(&place.rig).unwrap();
    let mut pointer = place.pointer.borrow_mut();
    let pause = || std::thread::sleep(std::time::Duration::from_millis(25));
    // A hand that tries until it works: the apps say nothing of how far they are.
    let opened = wait_for("the editor to open the file", || {
        pointer.move_to(208, 105)?;
        pointer.button(LEFT, true)?;
        for step in 0..60 {
            pointer.move_to(213 + step * 12, 110 + step * 5)?;
            pause();
        }
        for step in 0..20 {
            pointer.move_to(930 + step, 410)?;
            pause();
        }
        pointer.button(LEFT, false)?;
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            let windows = place.session.windows(&place.rig)?;
            if windows.iter().any(|window| window.title.contains("letter.txt - Mousepad")) {
                return Ok(Some(()));
            }
        }
        Ok(None)
    });
    opened.unwrap_or_else(|error| panic!("{error}\n{}", place.log()));
    let permissions = place.rig.postern(&["permissions", "mousepad"]).unwrap().stdout;
    assert!(permissions.contains("Documents/letter.txt"), "{permissions}");
    assert!(place.log().contains("mousepad may use"), "the user is told");
}

#[test]
fn an_app_hands_out_only_files_that_it_sees() {
    let _one = alone();
    let place = Place::new();
    let secret = place.rig.home().join("secret");
    note(&place.rig, &secret, "secret");
    // Its own home is where the user's would be: it has a file `mine` there.
    let own = place.rig.home().join(".local/share/postern/homes/handover");
    let run = |argv: &[&str]| place.rig.sandboxed_with(&["--id", "handover"], argv, None).unwrap();
    assert_eq!(
        run(&["sh", "-c", "echo my own > $HOME/mine; ln -s ../../../../../secret $HOME/link"]).status,
        0
    );
    let home = place.rig.home().display().to_string();
    let uris = format!("file://{home}/secret\r\nfile://{home}/mine\r\nfile://{home}/link\r\n");
    let list = format!("text/uri-list={}", place.file("list", uris.as_bytes()));
    let _app = place.sandboxed(&[], &["--title", "app", "--offer", &list]);
    let from = place.put("app", 0);
    let _target = place.native(&["--title", "target", "--take", "text/uri-list"]);
    let to = place.put("target", 400);
    place.drag(from, to, "target", "text/uri-list");
    let wanted = format!("file://{}\r\n", own.join("mine").display());
    let shown = wanted.escape_debug().to_string();
    place.said(&format!("target got text/uri-list {} {shown}", wanted.len()));
    place.said(&format!("target read {} my own\\n", own.join("mine").display()));
}
