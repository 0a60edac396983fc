//! `postern run`: from what the user wrote to what the monitor is told.

use super::{RunArgs, endpoints, grants};
use anyhow::{Context as _, bail};
use postern_library::{Surroundings, find_app};
use postern_monitor::config::{Config, Display, Session};
use postern_monitor::files::Mounts;
use postern_monitor::manifest::{FileGrant, Manifest, ManifestError, NetworkMode};
use postern_monitor::{image, paths};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

mod environment;
mod program;

/// The library OS, as the build script made it.
static IMAGE: &[u8] = include_bytes!(env!("POSTERN_IMAGE"));

/// What is to be run, before permissions.
struct Wanted {
    id: String,
    manifest: Manifest,
    argv: Vec<OsString>,
    /// Whether it is a desktop app, which is of no use without a session.
    has_windows: bool,
}

/// Runs it and returns its exit status.
pub fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let wanted = find(&args)?;
    let Wanted { id, mut manifest, argv, has_windows } = wanted;
    permit(&args, &mut manifest)?;
    let display = display(&args, &id, &manifest, has_windows)?;
    let home = home()?;
    let host_ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let ids = (args.uid.unwrap_or(host_ids.0), host_ids.1);
    let mut mounts = Mounts::new(host_ids, ids);
    image::mount_host(&mut mounts)?;
    let home_lock = image::mount_home(&mut mounts, &id, &home, manifest.permissions.home)?;
    for grant in &manifest.permissions.files {
        image::mount_grant(&mut mounts, grant).context("a granted file or folder")?;
    }
    let cwd = working_directory(args.cwd.as_deref(), &mounts, &home)?;
    let env = environment::build(&args.env, &home, &cwd, ids.0, display.is_some())?;
    let program = match program::find(argv.first().map(OsString::as_os_str), &mounts, &cwd, &env) {
        Ok(program) => program,
        Err(problem) => {
            eprintln!("postern: {problem}");
            return Ok(ExitCode::from(problem.status()));
        }
    };
    let config = Config {
        instance: format!("{id}-{}", std::process::id()),
        name: if manifest.name.is_empty() { id.clone() } else { manifest.name },
        app: id,
        program,
        argv,
        env,
        cwd,
        ids,
        permissions: manifest.permissions,
        limits: manifest.limits,
        mounts,
        home_lock,
        display,
        verbose: args.verbose,
        json_report: args.json_report.as_deref().map(absolute).transpose()?,
    };
    Ok(ExitCode::from(postern_monitor::run(config, IMAGE)))
}

/// The app or program that is meant: by its id from the desktop entries or a manifest, or as it is written.
fn find(args: &RunArgs) -> anyhow::Result<Wanted> {
    let Some(id) = &args.app else {
        let id = match &args.id {
            Some(id) => id.clone(),
            None => id_of_program(args.command.first().map_or(OsStr::new(""), OsString::as_os_str)),
        };
        let manifest = Manifest::load_or_new(&id)?;
        return Ok(Wanted { id, manifest, argv: args.command.clone(), has_windows: false });
    };
    let id = id.strip_suffix(".desktop").unwrap_or(id);
    if paths::check_id(id).is_err() {
        bail!("{id:?} is not the id of an app; to run a program write: postern run -- {id}");
    }
    let app = find_app(&Surroundings::from_env(), id);
    let mut manifest = match Manifest::load(id) {
        Ok(manifest) => manifest,
        Err(ManifestError::Missing { .. }) if app.is_some() => Manifest::new(id),
        Err(ManifestError::Missing { .. }) => {
            bail!(
                "no app {id:?} is installed (postern list shows them); to run a program write: postern run -- {id}"
            )
        }
        Err(error) => return Err(error.into()),
    };
    let mut argv: Vec<OsString> = if manifest.command.is_empty() {
        let app = app.as_ref().with_context(|| format!("the manifest of {id} names no command"))?;
        let command =
            app.command.as_ref().map_err(|reason| anyhow::anyhow!("{}: {reason}", app.entry.name))?;
        command.iter().map(OsString::from).collect()
    } else {
        manifest.command.iter().map(OsString::from).collect()
    };
    argv.extend(args.command.iter().cloned());
    if manifest.name.is_empty()
        && let Some(app) = &app
    {
        manifest.name.clone_from(&app.entry.name);
    }
    Ok(Wanted { id: id.to_owned(), manifest, argv, has_windows: app.is_some() })
}

/// An id for a program that is no installed app: its name. It names the private home.
fn id_of_program(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@');
    let name: String = name.trim_start_matches('.').chars().filter(|c| good(*c)).take(100).collect();
    if name.is_empty() { "program".to_owned() } else { name }
}

/// Adds what the command line permits for this run.
fn permit(args: &RunArgs, manifest: &mut Manifest) -> anyhow::Result<()> {
    let permissions = &mut manifest.permissions;
    permissions.files.extend(grants(&args.grant)?);
    if let Some(list) = &args.net {
        permissions.network.mode = NetworkMode::Outbound;
        permissions.network.allow = endpoints(list)?;
    }
    permissions.network.listen.extend(&args.listen);
    for setting in &args.permit {
        let (name, value) = setting.split_once('=').context("--permit takes PERMISSION=VALUE")?;
        permissions.set(name, value)?;
    }
    Ok(())
}

/// A grant as the command line has it: a relative path is taken from the working directory.
pub fn parse_grant(text: &str) -> anyhow::Result<FileGrant> {
    let (path, suffix) = match text.strip_suffix(":ro") {
        Some(path) => (path, ":ro"),
        None => (text, ""),
    };
    let path = absolute(Path::new(path))?;
    let text = path.to_str().with_context(|| format!("--grant: {} is not UTF-8", path.display()))?;
    format!("{text}{suffix}")
        .parse()
        .map_err(|error| anyhow::anyhow!("--grant: {} is {error}", path.display()))
}

/// An absolute path without `.` and `..`.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    let mut out = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    Ok(out)
}

fn home() -> anyhow::Result<PathBuf> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    absolute(&home.context("the user has no home directory (HOME is not set)")?)
}

/// The working directory as the app sees it: the caller's, if the app can see that, else its home.
fn working_directory(wanted: Option<&Path>, mounts: &Mounts, home: &Path) -> anyhow::Result<PathBuf> {
    if let Some(wanted) = wanted {
        let path = absolute(wanted)?;
        if mounts.host_path(&path).is_some_and(|on_host| !on_host.is_dir()) {
            bail!("--cwd: {} is not a directory that the app sees", path.display());
        }
        return Ok(path);
    }
    let seen =
        std::env::current_dir().ok().filter(|here| mounts.host_path(here).is_some_and(|path| path.is_dir()));
    Ok(seen.unwrap_or_else(|| home.to_owned()))
}

/// Whether the app has a display, and which session shows it.
fn display(
    args: &RunArgs,
    id: &str,
    manifest: &Manifest,
    has_windows: bool,
) -> anyhow::Result<Option<Display>> {
    let session = if args.no_display {
        Session::Nowhere
    } else {
        match session() {
            Ok(session) => session,
            // A program for the terminal needs none.
            Err(_) if !has_windows => return Ok(None),
            Err(reason) => bail!(
                "{id} cannot show its windows: {reason} (with --no-display it runs all the same, and \
                 postern attach {id} shows them later)"
            ),
        }
    };
    Ok(Some(Display {
        app_id: has_windows.then(|| id.to_owned()),
        title_prefix: manifest.title_prefix.clone(),
        border: manifest.border.clone(),
        session,
    }))
}

/// The caller's session.
fn session() -> Result<Session, String> {
    if std::env::var_os("WAYLAND_SOCKET").is_some() {
        return Ok(Session::Given);
    }
    socket().map(Session::At)
}

/// The socket of the caller's compositor.
///
/// # Errors
/// Why there is none.
pub fn socket() -> Result<PathBuf, String> {
    let name = std::env::var_os("WAYLAND_DISPLAY").filter(|name| !name.is_empty());
    let name = name.ok_or("there is no Wayland session (WAYLAND_DISPLAY is not set)")?;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    // An absolute name stands by itself.
    let path = Path::new(&runtime).join(name);
    if path.is_absolute() && path.exists() {
        return Ok(path);
    }
    Err(format!("there is no Wayland session at {}", path.display()))
}

/// `NAME=VALUE`.
fn variable(name: &OsStr, value: &OsStr) -> OsString {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_ids_that_are_file_names() {
        for (program, id) in
            [("/usr/bin/git", "git"), ("./a b/c d", "cd"), ("..", "program"), ("", "program")]
        {
            assert_eq!(id_of_program(OsStr::new(program)), id);
            assert!(paths::check_id(id).is_ok());
        }
    }

    #[test]
    fn grants_become_absolute() {
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(parse_grant("x/../y:ro").expect("good"), FileGrant { path: here.join("y"), write: false });
        assert_eq!(parse_grant("/srv/").expect("good"), FileGrant { path: "/srv".into(), write: true });
        assert!(parse_grant("/").is_err());
    }
}
