//! The apps of this machine, as its desktop entries describe them.
#![forbid(unsafe_code)]

pub mod desktop_entry;
pub mod exec;
pub mod locale;

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use desktop_entry::{DesktopEntry, MAX_ENTRY_BYTES};
use exec::FieldCodes;
use locale::Locale;

/// How deep folders below `applications/` are searched. Real ones are at most two deep; a link loop ends here.
const MAX_DEPTH: usize = 6;

/// How many entries are read at most, so that a folder full of rubbish cannot hold up the manager.
const MAX_ENTRIES: usize = 20_000;

/// An installed app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The desktop file id without its ending, such as `org.gnome.Calculator`: the name it goes by everywhere.
    pub id: String,
    /// Where its desktop entry lies.
    pub entry_path: PathBuf,
    /// What the entry says.
    pub entry: DesktopEntry,
    /// Whether this desktop's menus list it. Others can still be started by their id.
    pub listed: bool,
    /// The program and its arguments, or one sentence that says why it cannot be started.
    pub command: Result<Vec<String>, String>,
}

/// The surroundings that decide which apps there are: directories, language and desktop.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The XDG data directories, the user's own first.
    pub data_dirs: Vec<PathBuf>,
    /// The user's home directory, where there is one.
    pub home: Option<PathBuf>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// The parts of `XDG_CURRENT_DESKTOP`.
    pub desktops: Vec<String>,
    /// The user's language.
    pub locale: Locale,
}

impl Surroundings {
    /// Reads the environment as the XDG base directory specification says: relative paths are ignored.
    #[must_use]
    pub fn from_env() -> Self {
        let absolute = |value: std::ffi::OsString| -> Vec<PathBuf> {
            std::env::split_paths(&value).filter(|path| path.is_absolute()).collect()
        };
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let own = std::env::var_os("XDG_DATA_HOME")
            .and_then(|value| absolute(value).into_iter().next())
            .or_else(|| home.as_ref().map(|home| home.join(".local/share")));
        let shared = std::env::var_os("XDG_DATA_DIRS").map(absolute).unwrap_or_default();
        let mut data_dirs: Vec<PathBuf> = own.into_iter().chain(shared).collect();
        if std::env::var_os("XDG_DATA_DIRS").is_none_or(|value| value.is_empty()) {
            data_dirs.extend([PathBuf::from("/usr/local/share"), PathBuf::from("/usr/share")]);
        }
        Self {
            data_dirs,
            home,
            path: std::env::var_os("PATH").map(absolute).unwrap_or_default(),
            desktops: std::env::var("XDG_CURRENT_DESKTOP")
                .map(|value| value.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect())
                .unwrap_or_default(),
            locale: Locale::from_env(),
        }
    }

    /// The directories that hold desktop entries, in order of precedence.
    pub fn application_dirs(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.data_dirs.iter().map(|dir| dir.join("applications"))
    }

    /// Whether a program exists: an absolute path, or a name found through `PATH`.
    fn has_program(&self, program: &str) -> bool {
        let executable = |path: &Path| {
            fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if program.contains('/') {
            executable(Path::new(program))
        } else {
            self.path.iter().any(|dir| executable(&dir.join(program)))
        }
    }
}

/// Reads all desktop entries and returns the apps in the order of their names.
///
/// Where several directories hold the same id, the first one counts, even if it only says that the app is hidden.
/// What is no application, cannot be read, or names a `TryExec` program that is missing is left out.
#[must_use]
pub fn installed_apps(around: &Surroundings) -> Vec<App> {
    let mut seen = HashSet::new();
    let mut apps = Vec::new();
    for dir in around.application_dirs() {
        let mut files = Vec::new();
        collect_entries(&dir, "", 0, &mut files);
        for (id, path) in files {
            if seen.insert(id.clone())
                && let Some(app) = read_app(around, id, path)
            {
                apps.push(app);
            }
        }
    }
    apps.sort_by(|a, b| {
        a.entry.name.to_lowercase().cmp(&b.entry.name.to_lowercase()).then_with(|| a.id.cmp(&b.id))
    });
    apps
}

/// Finds one app by its id, listed or not, as [`installed_apps`] does, but reads no other entry.
#[must_use]
pub fn find_app(around: &Surroundings, id: &str) -> Option<App> {
    let id = id.strip_suffix(".desktop").unwrap_or(id);
    let path = around.application_dirs().find_map(|dir| {
        let mut files = Vec::new();
        collect_entries(&dir, "", 0, &mut files);
        files.into_iter().find(|(found, _)| found == id).map(|(_, path)| path)
    })?;
    read_app(around, id.to_owned(), path)
}

/// Collects `(id, path)` of the entries below `dir`; folder names become part of the id, joined by dashes.
fn collect_entries(dir: &Path, prefix: &str, depth: usize, out: &mut Vec<(String, PathBuf)>) {
    let Ok(items) = fs::read_dir(dir) else { return };
    let mut items: Vec<_> = items.flatten().collect();
    items.sort_by_key(fs::DirEntry::file_name);
    for item in items {
        if out.len() >= MAX_ENTRIES {
            return;
        }
        let path = item.path();
        let Ok(name) = item.file_name().into_string() else { continue };
        // Follows links: package managers link entries into place.
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() && depth < MAX_DEPTH {
            collect_entries(&path, &format!("{prefix}{name}-"), depth + 1, out);
        } else if meta.is_file()
            && let Some(stem) = name.strip_suffix(".desktop")
            && !stem.is_empty()
        {
            out.push((format!("{prefix}{stem}"), path));
        }
    }
}

fn read_app(around: &Surroundings, id: String, entry_path: PathBuf) -> Option<App> {
    let mut bytes = Vec::new();
    fs::File::open(&entry_path).ok()?.take(MAX_ENTRY_BYTES).read_to_end(&mut bytes).ok()?;
    let entry = DesktopEntry::parse(&String::from_utf8_lossy(&bytes), &around.locale).ok()?;
    if entry.hidden || entry.try_exec.as_ref().is_some_and(|program| !around.has_program(program)) {
        return None;
    }
    let listed = entry.is_listed_in(&around.desktops);
    let command = command_of(around, &id, &entry, &entry_path);
    Some(App { id, entry_path, entry, listed, command })
}

/// The terminal emulator that runs apps with `Terminal=true`.
const TERMINAL: &str = "foot";

fn command_of(
    around: &Surroundings,
    id: &str,
    entry: &DesktopEntry,
    path: &Path,
) -> Result<Vec<String>, String> {
    let exec = entry.exec.as_deref().ok_or("Its desktop entry names no program to run")?;
    let codes =
        FieldCodes { name: &entry.name, icon: entry.icon.as_deref(), entry_path: &path.to_string_lossy() };
    let command =
        exec::command_line(exec, codes).map_err(|error| format!("It cannot be started: {error}"))?;
    let program = command.first().map_or("", String::as_str);
    if !around.has_program(program) {
        return Err(format!("The program {program} is not installed"));
    }
    if !entry.terminal {
        return Ok(command);
    }
    if !around.has_program(TERMINAL) {
        return Err(format!("It needs a terminal window, and the terminal {TERMINAL} is not installed"));
    }
    let wrapper = [TERMINAL, "--app-id", id, "--title", &entry.name, "--"];
    Ok(wrapper.into_iter().map(str::to_owned).chain(command).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("postern-library-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).expect("scratch directory");
            Self(dir)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, text).expect("file");
        }

        fn surroundings(&self) -> Surroundings {
            Surroundings {
                data_dirs: vec![self.0.join("own"), self.0.join("shared")],
                home: None,
                path: vec![PathBuf::from("/bin")],
                desktops: vec!["sway".to_owned()],
                locale: Locale::from_tag("C"),
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn entry(name: &str, more: &str) -> String {
        format!("[Desktop Entry]\nType=Application\nName={name}\nExec=sh -c true\n{more}")
    }

    #[test]
    fn the_users_own_entries_come_first_and_can_hide() {
        let scratch = Scratch::new("precedence");
        scratch.write("own/applications/a.desktop", &entry("Own a", ""));
        scratch.write("shared/applications/a.desktop", &entry("Shared a", ""));
        scratch.write("own/applications/b.desktop", &entry("b", "Hidden=true"));
        scratch.write("shared/applications/b.desktop", &entry("b", ""));
        scratch.write("shared/applications/kde/c.desktop", &entry("a nested one", "OnlyShowIn=KDE;"));
        scratch.write("shared/applications/d.desktop", &entry("d", "TryExec=/no/such/program"));
        scratch.write("shared/applications/e.desktop", "\u{0}\u{1}rubbish");
        scratch.write("shared/applications/notes.txt", &entry("x", ""));
        let apps = installed_apps(&scratch.surroundings());
        let seen: Vec<_> =
            apps.iter().map(|app| (app.id.as_str(), app.entry.name.as_str(), app.listed)).collect();
        assert_eq!(seen, [("kde-c", "a nested one", false), ("a", "Own a", true)]);
        assert!(find_app(&scratch.surroundings(), "kde-c.desktop").is_some());
        assert!(find_app(&scratch.surroundings(), "b").is_none());
        assert_eq!(
            find_app(&scratch.surroundings(), "a").map(|app| app.entry.name),
            Some("Own a".to_owned())
        );
    }

    #[test]
    fn a_link_loop_ends() {
        let scratch = Scratch::new("loop");
        scratch.write("own/applications/a.desktop", &entry("a", ""));
        std::os::unix::fs::symlink("..", scratch.0.join("own/applications/up")).expect("link");
        assert!(installed_apps(&scratch.surroundings()).iter().any(|app| app.id == "a"));
    }

    #[test]
    fn what_cannot_start_says_why() {
        let scratch = Scratch::new("reasons");
        let command = |more: &str| {
            scratch.write(
                "own/applications/a.desktop",
                &format!("[Desktop Entry]\nType=Application\nName=A\n{more}"),
            );
            installed_apps(&scratch.surroundings()).remove(0).command
        };
        assert_eq!(command("Exec=sh %f"), Ok(vec!["sh".to_owned()]));
        assert_eq!(command(""), Err("Its desktop entry names no program to run".to_owned()));
        assert_eq!(
            command("Exec=no-such-program"),
            Err("The program no-such-program is not installed".to_owned())
        );
        assert!(command("Exec=sh '").is_err_and(|reason| reason.contains("quotation mark")));
    }
}
