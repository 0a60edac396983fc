//! Running programs natively and under Postern, and comparing.

use nix::unistd::{Gid, Uid, User, chown};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Longest that a program may take before it is ended and counts as failed, in seconds.
const LIMIT: &str = "240";

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status as a shell sees it: 128 + n for signal n; 124 when it took too long.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A place to run programs in, removed when dropped.
pub struct Rig {
    /// Its directory, readable and writable by the user: also holds compiled programs.
    pub dir: PathBuf,
    /// The user that programs run as.
    pub user: User,
    /// The binary under test, where the user can run it.
    pub postern: PathBuf,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The release binary of the repository.
#[must_use]
pub fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::env::var_os("POSTERN").map_or_else(|| target.join("release/postern"), PathBuf::from)
}

/// The ordinary user that programs run as.
///
/// # Errors
/// If there is none.
pub fn test_user() -> io::Result<User> {
    let found = if Uid::effective().is_root() {
        User::from_name(&std::env::var("POSTERN_TEST_USER").unwrap_or_else(|_| "postern-test".into()))
    } else {
        User::from_uid(Uid::effective())
    };
    found
        .map_err(io::Error::from)?
        .ok_or_else(|| io::Error::other("no ordinary user: run `make test`, which makes one"))
}

impl Rig {
    /// A fresh place.
    ///
    /// # Errors
    /// If there is no binary or no user, or the directory cannot be made.
    pub fn new() -> io::Result<Self> {
        let user = test_user()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("postern-rig-{}-{number}", std::process::id()));
        let mut rig = Self { postern: dir.join("postern"), dir, user };
        fs::create_dir(&rig.dir)?;
        rig.own(&rig.dir)?;
        for sub in ["home", "run", "bin"] {
            fs::create_dir(rig.dir.join(sub))?;
            rig.own(&rig.dir.join(sub))?;
        }
        fs::set_permissions(rig.dir.join("run"), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        rig.place_binary()?;
        Ok(rig)
    }

    /// Uses the binary where it is, or a copy if the user cannot run it there.
    fn place_binary(&mut self) -> io::Result<()> {
        let from = binary();
        if !from.exists() {
            let text = format!("no {}: run `cargo build --release` first", from.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let direct =
            self.command(&from).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if direct.is_ok_and(|status| status.success()) {
            self.postern = from;
            return Ok(());
        }
        fs::copy(&from, &self.postern).map(|_| ())
    }

    /// Gives a file to the user.
    ///
    /// # Errors
    /// The system's.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.user.uid), Some(self.user.gid)).map_err(io::Error::from)
    }

    /// The user's home in this rig.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// A command that runs as the user, with a clean environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if Uid::effective().is_root() {
            // Supplementary groups go too.
            command.uid(self.user.uid.as_raw()).gid(self.user.gid.as_raw());
        }
        command.env_clear().current_dir(self.home());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/games");
        command
            .env("HOME", self.home())
            .env("USER", &self.user.name)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm");
        command.env("XDG_RUNTIME_DIR", self.dir.join("run"));
        command
    }

    fn finish(mut command: Command, input: Option<&str>) -> io::Result<Outcome> {
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
            let text = text.to_owned();
            std::thread::spawn(move || io::Write::write_all(&mut pipe, text.as_bytes()));
        }
        let out = child.wait_with_output()?;
        let status = out.status.code().or_else(|| out.status.signal().map(|s| 128 + s)).unwrap_or(-1);
        Ok(Outcome {
            status,
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        })
    }

    fn limited(&self) -> Command {
        let mut command = self.command("timeout");
        // Not in the foreground group: what the program leaves behind is ended with it.
        command.args(["-k", "5", LIMIT]);
        command
    }

    /// Runs a program natively.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn native(&self, argv: &[&str]) -> io::Result<Outcome> {
        let mut command = self.limited();
        command.args(argv);
        Self::finish(command, None)
    }

    /// Runs a program under Postern with more options. The rig's `bin` folder is granted.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn sandboxed_with(
        &self,
        options: &[&str],
        argv: &[&str],
        input: Option<&str>,
    ) -> io::Result<Outcome> {
        let mut command = self.limited();
        command.arg(&self.postern).args(["run", "--grant"]);
        command.arg(format!("{}:ro", self.dir.join("bin").display()));
        command.args(options).arg("--").args(argv);
        Self::finish(command, input)
    }

    /// Runs a program under Postern.
    ///
    /// # Errors
    /// If Postern cannot be started.
    pub fn sandboxed(&self, argv: &[&str]) -> io::Result<Outcome> {
        self.sandboxed_with(&[], argv, None)
    }

    /// Runs another command of Postern.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn postern(&self, args: &[&str]) -> io::Result<Outcome> {
        let mut command = self.limited();
        command.arg(&self.postern).args(args);
        Self::finish(command, None)
    }

    /// Compiles a C program of `tests/programs` into the rig's `bin` folder.
    ///
    /// # Errors
    /// The compiler's message.
    pub fn compile(&self, name: &str, options: &[&str]) -> io::Result<String> {
        let source = root().join("tests/programs").join(format!("{name}.c"));
        let suffix = if options.contains(&"-static") { "-static" } else { "" };
        let target = self.dir.join("bin").join(format!("{name}{suffix}"));
        let out = Command::new("gcc")
            .args(["-O1", "-Wall", "-pthread", "-o"])
            .arg(&target)
            .arg(source)
            .args(options)
            .output()?;
        if !out.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&out.stderr).into_owned()));
        }
        self.own(&target)?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Writes a file into the rig's `bin` folder. Returns its path.
    ///
    /// # Errors
    /// The system's.
    pub fn file(&self, name: &str, content: &[u8]) -> io::Result<String> {
        let path = self.dir.join("bin").join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        self.own(&path)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Runs a program natively and under Postern and asserts that output and status are equal.
    ///
    /// # Panics
    /// If they differ, or something cannot be started: this is the assertion of most tests.
    pub fn same(&self, argv: &[&str]) -> Outcome {
        self.same_as(&[], argv, |outcome| outcome)
    }

    /// As [`Rig::same`], without standard error, which names process ids, times or the like.
    ///
    /// # Panics
    /// As [`Rig::same`].
    pub fn same_stdout(&self, argv: &[&str]) -> Outcome {
        self.same_as(&[], argv, |outcome| Outcome { stderr: String::new(), ..outcome })
    }

    /// As [`Rig::same`], with options for Postern, and with what may differ taken out by `normal`.
    ///
    /// # Panics
    /// As [`Rig::same`].
    #[expect(clippy::panic, reason = "an assertion of tests")]
    pub fn same_as(&self, options: &[&str], argv: &[&str], normal: impl Fn(Outcome) -> Outcome) -> Outcome {
        let native = self.native(argv);
        let both = native.and_then(|native| Ok((native, self.sandboxed_with(options, argv, None)?)));
        match both {
            Ok((native, sandboxed)) => {
                let (native, sandboxed) = (normal(native), normal(sandboxed));
                assert!(native == sandboxed, "{argv:?}\nnative    {native:?}\nsandboxed {sandboxed:?}");
                sandboxed
            }
            Err(error) => panic!("{argv:?}: {error}"),
        }
    }

    /// User and group id of the user.
    #[must_use]
    pub fn ids(&self) -> (Uid, Gid) {
        (self.user.uid, self.user.gid)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}
