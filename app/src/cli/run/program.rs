//! Finding the program: what is wrong with it is said before anything is started, as a shell would say it.

use postern_monitor::files::Mounts;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a program cannot be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// No name was given.
    Nothing,
    /// There is no such program.
    NotFound(OsString),
    /// It is there, but cannot be executed, and why.
    NotExecutable(PathBuf, String),
}

impl Problem {
    /// The exit status that a shell has for it.
    pub fn status(&self) -> u8 {
        match self {
            Self::Nothing | Self::NotFound(_) => 127,
            Self::NotExecutable(..) => 126,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no program was named"),
            Self::NotFound(name) if name.as_bytes().contains(&b'/') => {
                write!(f, "{}: no such file that the app may see", name.display())
            }
            Self::NotFound(name) => write!(f, "{}: command not found", name.display()),
            Self::NotExecutable(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

/// The path of the program as the app sees it.
///
/// # Errors
/// Why it cannot be run, as far as that can be told from outside.
pub fn find(name: Option<&OsStr>, mounts: &Mounts, cwd: &Path, env: &[OsString]) -> Result<PathBuf, Problem> {
    let name = name.filter(|name| !name.is_empty()).ok_or(Problem::Nothing)?;
    if name.as_bytes().contains(&b'/') {
        let path = cwd.join(name);
        // Outside the mounts only the library OS knows what is there.
        if let Some(on_host) = mounts.host_path(&path) {
            if on_host.symlink_metadata().is_err() {
                return Err(Problem::NotFound(name.to_owned()));
            }
            check(&path, &on_host)?;
        }
        return Ok(path);
    }
    let value = env.iter().find_map(|one| one.as_bytes().strip_prefix(b"PATH=")).unwrap_or(b"");
    let mut problem = None;
    for directory in value.split(|byte| *byte == b':') {
        let path = cwd.join(OsStr::from_bytes(directory)).join(name);
        let Some(on_host) = mounts.host_path(&path) else { continue };
        if on_host.symlink_metadata().is_err() || on_host.is_dir() {
            continue;
        }
        match check(&path, &on_host) {
            Ok(()) => return Ok(path),
            Err(found) => problem = problem.or(Some(found)),
        }
    }
    Err(problem.unwrap_or_else(|| Problem::NotFound(name.to_owned())))
}

/// Looks at the file on the host. Links are followed there by the host; where that leads elsewhere for the app, the
/// library OS finds out.
fn check(path: &Path, on_host: &Path) -> Result<(), Problem> {
    let no = |why: &str| Err(Problem::NotExecutable(path.to_owned(), why.to_owned()));
    let Ok(meta) = on_host.metadata() else { return Ok(()) };
    if meta.is_dir() {
        return no("is a directory");
    }
    if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
        return no("permission denied");
    }
    let mut header = [0; 20];
    let Ok(mut file) = File::open(on_host) else { return no("permission denied") };
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF") {
        // A script, or something that the library OS will refuse in its own words.
        return Ok(());
    }
    let machine = u16::from_le_bytes([header[18], header[19]]);
    if machine == X86_64 && header[4] == 2 {
        return Ok(());
    }
    no(&format!("is a program for {}, and this is an x86-64 machine", machine_name(machine)))
}

/// `EM_X86_64`.
const X86_64: u16 = 62;

fn machine_name(machine: u16) -> String {
    match machine {
        3 | X86_64 => "32-bit x86".to_owned(),
        8 => "MIPS".to_owned(),
        20 => "32-bit PowerPC".to_owned(),
        21 => "PowerPC".to_owned(),
        22 => "S/390".to_owned(),
        40 => "32-bit Arm".to_owned(),
        183 => "64-bit Arm".to_owned(),
        243 => "RISC-V".to_owned(),
        258 => "LoongArch".to_owned(),
        other => format!("machine type {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Mounts {
        let mut mounts = Mounts::new((0, 0), (0, 0));
        postern_monitor::image::mount_host(&mut mounts).expect("this host has system directories");
        mounts
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let env = ["PATH=/nonexistent:/usr/bin:/bin".into()];
        let find = |name: &str| find(Some(OsStr::new(name)), &mounts(), Path::new("/usr"), &env);
        assert_eq!(find("sh"), Ok("/usr/bin/sh".into()));
        assert_eq!(find("/bin/sh"), Ok("/bin/sh".into()));
        assert_eq!(find("bin/sh"), Ok("/usr/bin/sh".into()));
        assert_eq!(find("no-such-program").map_err(|p| p.status()), Err(127));
        assert_eq!(find("/usr/bin/no-such-program").map_err(|p| p.status()), Err(127));
        assert_eq!(find("/etc/passwd").map_err(|p| p.status()), Err(126));
        assert_eq!(find("/usr/bin").map_err(|p| p.status()), Err(126));
    }

    #[test]
    fn another_machine_is_named() {
        let path = std::env::temp_dir().join(format!("postern-arm-{}", std::process::id()));
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0";
        std::fs::write(&path, header).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let problem = check(&path, &path).expect_err("refused");
        assert!(problem.to_string().contains("64-bit Arm"), "{problem}");
        header[18] = 62;
        std::fs::write(&path, header).expect("written");
        assert_eq!(check(&path, &path), Ok(()));
        let _ = std::fs::remove_file(path);
    }
}
