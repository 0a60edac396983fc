//! A headless Wayland session: sway on the wlroots headless backend with the pixman renderer, driven by its own input
//! commands and looked at with grim.

use crate::picture::Picture;
use crate::pointer::{LEFT, Pointer};
use crate::rig::{Rig, root};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for something to happen on the screen.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A running session. Ended when dropped.
pub struct Session {
    compositor: Child,
    /// A keyboard that is always there, as in a real session: a client that first has to notice one misses what is typed
    /// meanwhile.
    keyboard: Child,
    display: String,
    control: PathBuf,
    run: PathBuf,
    pointer: RefCell<Pointer>,
    is_sight_kept: Cell<bool>,
}

/// A window, as the compositor sees it.
#[derive(Clone, Debug)]
pub struct Window {
    /// Title.
    pub title: String,
    /// Application id.
    pub app_id: String,
    /// Process id of its client.
    pub pid: u32,
    /// Content: x, y, width, height.
    pub rect: [usize; 4],
    /// The compositor's number for it.
    pub id: u64,
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// If none came in time; the message names `what`.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain for {what}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The compositors' sockets in a folder that somebody listens on.
fn displays(run: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(run)?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let is_display = |name: &String| name.starts_with("wayland-") && !name.ends_with(".lock");
    Ok(names.filter(is_display).filter(|name| UnixStream::connect(run.join(name)).is_ok()).collect())
}

impl Session {
    /// Starts a session of 1280 × 800 for the rig's user.
    ///
    /// # Errors
    /// If the compositor does not come up.
    pub fn start(rig: &Rig) -> io::Result<Self> {
        let run = rig.dir.join("run");
        let others = displays(&run)?;
        let config = rig.dir.join("sway.conf");
        fs::write(
            &config,
            "output HEADLESS-1 resolution 1280x800\nseat * hide_cursor 0\nfocus_follows_mouse no\n\
             default_border none\nxwayland disable\n",
        )?;
        let log = fs::OpenOptions::new().create(true).append(true).open(rig.dir.join("sway.log"))?;
        let compositor = rig
            .command("sway")
            .arg("-c")
            .arg(&config)
            .env("WLR_BACKENDS", "headless")
            .env("WLR_RENDERER", "pixman")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let own = format!(".{}.sock", compositor.id());
        let found = wait_for("the compositor", || {
            let names = fs::read_dir(&run)?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
            let control = names.into_iter().find(|n| n.starts_with("sway-ipc") && n.ends_with(&own));
            let display = displays(&run)?.into_iter().find(|name| !others.contains(name));
            let Some((control, display)) = control.zip(display) else { return Ok(None) };
            // The socket may be there a moment before the compositor answers on it.
            let pointer = Pointer::connect(&run.join(&display), (1280, 800)).ok();
            Ok(pointer.map(|pointer| (control, display, pointer)))
        });
        let (control, display, pointer) = found?;
        let keyboard = rig
            .command("wtype")
            .env("WAYLAND_DISPLAY", &display)
            .env("XDG_RUNTIME_DIR", &run)
            // Sleeps longer than any test; the key gives it a keymap.
            .args(["-s", "1000000", "-s", "1000000", "-s", "1000000", "a"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            compositor,
            keyboard,
            display,
            control: run.join(control),
            run,
            pointer: RefCell::new(pointer),
            is_sight_kept: Cell::new(false),
        })
    }

    /// The name of the compositor's socket.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The path of that socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run.join(&self.display)
    }

    /// The process id of the compositor.
    #[must_use]
    pub fn compositor(&self) -> u32 {
        self.compositor.id()
    }

    /// Ends the compositor as a crash would.
    ///
    /// # Errors
    /// The system's.
    pub fn crash(&mut self) -> io::Result<()> {
        self.compositor.kill()?;
        self.compositor.wait().map(|_| ())
    }

    /// Puts the session into a command's environment.
    pub fn enter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("WAYLAND_DISPLAY", &self.display)
            .env("SWAYSOCK", &self.control)
            .env("XDG_RUNTIME_DIR", &self.run)
            .env("XDG_SESSION_TYPE", "wayland")
            .env("XDG_CURRENT_DESKTOP", "sway")
            .env("GDK_BACKEND", "wayland")
            .env("QT_QPA_PLATFORM", "wayland")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            // What GTK 4 does where there is no GPU path: natively it would emulate a GPU, slowly and with 120 MiB more.
            .env("GSK_RENDERER", "cairo")
    }

    /// Runs a command in the session to its end.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, rig: &Rig, argv: &[&str]) -> io::Result<String> {
        let (program, args) = argv.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let out = self.enter(rig.command(program).args(args)).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Starts a command in the session.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&self, rig: &Rig, argv: &[&str]) -> io::Result<Child> {
        let (program, args) = argv.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let log = fs::OpenOptions::new().create(true).append(true).open(rig.dir.join("apps.log"))?;
        self.enter(rig.command(program).args(args))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }

    /// Starts a program under Postern in the session.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch_sandboxed(&self, rig: &Rig, options: &[&str], argv: &[&str]) -> io::Result<Child> {
        let postern = rig.postern.to_string_lossy();
        let mut all = vec![&*postern, "run"];
        all.extend(options);
        all.push("--");
        all.extend(argv);
        self.launch(rig, &all)
    }

    /// Sends a command to the compositor.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn message(&self, rig: &Rig, words: &[&str]) -> io::Result<Value> {
        let mut argv = vec!["swaymsg", "-r"];
        argv.extend(words);
        Ok(serde_json::from_str(&self.run(rig, &argv)?).unwrap_or(Value::Null))
    }

    /// The windows.
    ///
    /// # Errors
    /// If the compositor does not answer.
    pub fn windows(&self, rig: &Rig) -> io::Result<Vec<Window>> {
        fn walk(node: &Value, found: &mut Vec<Window>) {
            let children =
                ["nodes", "floating_nodes"].into_iter().filter_map(|k| node.get(k)?.as_array()).flatten();
            let number =
                |v: Option<&Value>| usize::try_from(v.and_then(Value::as_i64).unwrap_or(0)).unwrap_or(0);
            if let Some(pid) = node.get("pid").and_then(Value::as_u64).filter(|_| node.get("shell").is_some())
            {
                let rect = node.get("rect");
                let side = |k: &str| number(rect.and_then(|r| r.get(k)));
                found.push(Window {
                    title: node.get("name").and_then(Value::as_str).unwrap_or("").to_owned(),
                    app_id: node.get("app_id").and_then(Value::as_str).unwrap_or("").to_owned(),
                    pid: u32::try_from(pid).unwrap_or(0),
                    rect: [side("x"), side("y"), side("width"), side("height")],
                    id: node.get("id").and_then(Value::as_u64).unwrap_or(0),
                });
            }
            for child in children {
                walk(child, found);
            }
        }
        let mut found = Vec::new();
        walk(&self.message(rig, &["-t", "get_tree"])?, &mut found);
        Ok(found)
    }

    /// Waits for a window whose title contains `title`.
    ///
    /// # Errors
    /// If none comes in time.
    pub fn wait_window(&self, rig: &Rig, title: &str) -> io::Result<Window> {
        wait_for(&format!("a window with “{title}” in its title"), || {
            Ok(self
                .windows(rig)?
                .into_iter()
                .find(|w| w.title.to_lowercase().contains(&title.to_lowercase())))
        })
    }

    /// Waits until a window has painted more than `colours` colours. Returns the screenshot.
    ///
    /// # Errors
    /// If it stays flat.
    pub fn wait_painted(&self, rig: &Rig, title: &str, colours: usize) -> io::Result<(Window, Picture)> {
        wait_for(&format!("“{title}” to paint"), || {
            let window = self.wait_window(rig, title)?;
            let picture = self.screenshot(rig, &rig.dir.join("run/painted.png"))?;
            // The window may have been resized meanwhile.
            let window = self.wait_window(rig, title).unwrap_or(window);
            Ok((picture.colours(window.rect) > colours).then_some((window, picture)))
        })
    }

    /// Waits until two screenshots half a second apart are equal. Returns the last.
    ///
    /// # Errors
    /// If the screen never rests.
    pub fn settled(&self, rig: &Rig) -> io::Result<Picture> {
        let path = rig.dir.join("run/settled.png");
        let mut last = self.screenshot(rig, &path)?;
        wait_for("the screen to rest", || {
            std::thread::sleep(Duration::from_millis(500));
            let next = self.screenshot(rig, &path)?;
            let rests = next == last;
            last = next;
            Ok(rests.then(|| last.clone()))
        })
    }

    /// Takes a screenshot.
    ///
    /// # Errors
    /// If grim fails.
    pub fn screenshot(&self, rig: &Rig, path: &Path) -> io::Result<Picture> {
        let target = self.run.join("shot.png");
        self.run(rig, &["grim", &target.to_string_lossy()])?;
        fs::copy(&target, path)?;
        Picture::load(path)
    }

    /// Clicks with the left button.
    ///
    /// # Errors
    /// If the compositor is gone.
    pub fn click(&self, x: usize, y: usize) -> io::Result<()> {
        self.click_with(x, y, LEFT)
    }

    /// Clicks with a button, given by its Linux input code.
    ///
    /// # Errors
    /// If the compositor is gone.
    pub fn click_with(&self, x: usize, y: usize, button: u32) -> io::Result<()> {
        let side = |v: usize| u32::try_from(v).unwrap_or(0);
        self.pointer.borrow_mut().click(side(x), side(y), button)
    }

    /// Moves the pointer.
    ///
    /// # Errors
    /// If the compositor is gone.
    pub fn move_to(&self, x: usize, y: usize) -> io::Result<()> {
        let side = |v: usize| u32::try_from(v).unwrap_or(0);
        self.pointer.borrow_mut().move_to(side(x), side(y))
    }

    /// Draws with the left button held, from place to place.
    ///
    /// # Errors
    /// If the compositor is gone.
    pub fn drag(&self, places: &[(usize, usize)]) -> io::Result<()> {
        const STEPS: usize = 20;
        let side = |v: usize| u32::try_from(v).unwrap_or(0);
        let mut pointer = self.pointer.borrow_mut();
        for (index, (from, to)) in places.iter().zip(places.iter().skip(1)).enumerate() {
            for step in 0..=STEPS {
                let between = |a: usize, b: usize| (a * (STEPS - step) + b * step) / STEPS;
                pointer.move_to(side(between(from.0, to.0)), side(between(from.1, to.1)))?;
                if index == 0 && step == 0 {
                    pointer.button(LEFT, true)?;
                }
                std::thread::sleep(Duration::from_millis(12));
            }
        }
        pointer.button(LEFT, false)
    }

    /// Drags something to another place, slowly enough for the apps to follow, and drops it there.
    ///
    /// # Errors
    /// If the compositor is gone.
    pub fn drag_and_drop(&self, from: (usize, usize), to: (usize, usize)) -> io::Result<()> {
        const STEPS: usize = 40;
        let side = |v: usize| u32::try_from(v).unwrap_or(0);
        let mut pointer = self.pointer.borrow_mut();
        let pause = || std::thread::sleep(Duration::from_millis(25));
        pointer.move_to(side(from.0), side(from.1))?;
        pause();
        pointer.button(LEFT, true)?;
        for step in 1..=STEPS {
            pause();
            let between = |a: usize, b: usize| (a * (STEPS - step) + b * step) / STEPS;
            pointer.move_to(side(between(from.0, to.0)), side(between(from.1, to.1)))?;
        }
        // What is below learns of it, and answers.
        for step in 0..STEPS {
            pause();
            pointer.move_to(side(to.0 + step % 10), side(to.1))?;
        }
        pointer.button(LEFT, false)
    }

    /// Types text. The keyboard that types is a new one each time, so apps get a moment to take notice of it.
    ///
    /// # Errors
    /// If wtype fails.
    pub fn type_text(&self, rig: &Rig, text: &str) -> io::Result<()> {
        self.run(rig, &["wtype", "-s", "600", "-d", "25", text, "-s", "200"]).map(|_| ())
    }

    /// Presses a key by its xkb name, with modifiers held (`ctrl`, `shift`, `alt`).
    ///
    /// # Errors
    /// If wtype fails.
    pub fn press(&self, rig: &Rig, modifiers: &[&str], key: &str) -> io::Result<()> {
        let mut argv = vec!["wtype", "-s", "600"];
        argv.extend(modifiers.iter().flat_map(|m| ["-M", m]));
        argv.extend(["-k", key]);
        argv.extend(modifiers.iter().flat_map(|m| ["-m", m]));
        argv.extend(["-s", "200"]);
        self.run(rig, &argv).map(|_| ())
    }
}

impl Session {
    /// If a test is failing, keeps what the screen shows for people to look at. Once.
    pub fn keep_last_sight(&self) {
        if !std::thread::panicking() || self.is_sight_kept.replace(true) {
            return;
        }
        let folder = root().join("target/failed");
        let name = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let _ = fs::create_dir_all(&folder);
        let mut grim = Command::new("grim");
        grim.arg(folder.join(name).with_extension("png"));
        let _ = self.enter(&mut grim).status();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keep_last_sight();
        for child in [&mut self.keyboard, &mut self.compositor] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
