//! The environment of an app: what says how the user likes things, and nothing that holds a secret or names something
//! that the app cannot reach.

use super::variable;
use anyhow::bail;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Variables that are passed on.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "COLORTERM",
    "TERM_PROGRAM",
    "COLUMNS",
    "LINES",
    "TZ",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESS",
    "LS_COLORS",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "DESKTOP_SESSION",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_DESKTOP",
    "XDG_DATA_DIRS",
    "XDG_CONFIG_DIRS",
    "XCURSOR_THEME",
    "XCURSOR_SIZE",
    "GTK_THEME",
    "QT_STYLE_OVERRIDE",
    "QT_SCALE_FACTOR",
    "GDK_SCALE",
    "GDK_DPI_SCALE",
    "SOURCE_DATE_EPOCH",
];

/// Beginnings of names of variables that are passed on.
const PASSED_PREFIXES: &[&str] = &["LC_"];

/// Variables that are set unless the user sets them: where the display is, and what would only fail or be slow in a
/// picoprocess (graphics hardware, the accessibility bus, the settings daemon).
const DISPLAY: &[(&str, &str)] = &[
    ("WAYLAND_DISPLAY", "wayland-0"),
    ("XDG_SESSION_TYPE", "wayland"),
    ("GDK_BACKEND", "wayland"),
    ("QT_QPA_PLATFORM", "wayland"),
    ("QT_QUICK_BACKEND", "software"),
    ("SDL_VIDEODRIVER", "wayland"),
    ("MOZ_ENABLE_WAYLAND", "1"),
    ("ELECTRON_OZONE_PLATFORM_HINT", "wayland"),
    ("LIBGL_ALWAYS_SOFTWARE", "1"),
    ("GALLIUM_DRIVER", "llvmpipe"),
    ("GSK_RENDERER", "cairo"),
    ("GSETTINGS_BACKEND", "keyfile"),
    ("GIO_USE_VFS", "local"),
    ("GTK_A11Y", "none"),
    ("NO_AT_BRIDGE", "1"),
];

/// Builds the environment. `given` are the `--env` options: `NAME=VALUE`, or `NAME` to pass the caller's value on.
pub fn build(
    given: &[OsString],
    home: &Path,
    cwd: &Path,
    uid: u32,
    display: bool,
) -> anyhow::Result<Vec<OsString>> {
    let mut out: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| is_passed(name)).collect();
    let mut set = |name: &OsStr, value: &OsStr| {
        out.retain(|(known, _)| known != name);
        out.push((name.to_owned(), value.to_owned()));
    };
    set(OsStr::new("HOME"), home.as_os_str());
    set(OsStr::new("PWD"), cwd.as_os_str());
    set(OsStr::new("XDG_RUNTIME_DIR"), OsStr::new(&format!("/run/user/{uid}")));
    if display {
        for (name, value) in DISPLAY {
            set(OsStr::new(name), OsStr::new(value));
        }
    }
    for one in given {
        let bytes = one.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(0) => bail!("--env: {} has no name", one.display()),
            Some(at) => (
                OsStr::from_bytes(bytes.get(..at).unwrap_or(&[])),
                Some(OsStr::from_bytes(bytes.get(at + 1..).unwrap_or(&[])).to_owned()),
            ),
            None => (one.as_os_str(), std::env::var_os(one)),
        };
        if let Some(value) = value {
            set(name, &value);
        }
    }
    if !out.iter().any(|(name, _)| name == "PATH") {
        out.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    }
    Ok(out.iter().map(|(name, value)| variable(name, value)).collect())
}

fn is_passed(name: &OsStr) -> bool {
    PASSED.iter().any(|passed| name == *passed)
        || PASSED_PREFIXES.iter().any(|prefix| name.as_bytes().starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_harmless_passes() {
        for name in ["PATH", "LANG", "LC_ALL", "TERM"] {
            assert!(is_passed(OsStr::new(name)), "{name}");
        }
        for name in [
            "DBUS_SESSION_BUS_ADDRESS",
            "SSH_AUTH_SOCK",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "AWS_SECRET_ACCESS_KEY",
            "LD_PRELOAD",
        ] {
            assert!(!is_passed(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_users_words_are_last() {
        let given = ["A=1=2".into(), "GDK_BACKEND=x11".into()];
        let env = build(&given, Path::new("/home/u"), Path::new("/"), 7, true).expect("good");
        let has = |one: &str| env.iter().any(|e| e == one);
        assert!(
            has("A=1=2")
                && has("GDK_BACKEND=x11")
                && has("HOME=/home/u")
                && has("XDG_RUNTIME_DIR=/run/user/7")
        );
        assert!(!has("GDK_BACKEND=wayland"));
        assert!(build(&["=x".into()], Path::new("/"), Path::new("/"), 0, false).is_err());
    }
}
