//! The command line.

mod abi;
mod apps;
mod attach;
mod bridge;
mod permit;
mod ps;
mod reports;
mod run;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use postern_monitor::manifest::{Endpoint, FileGrant};

/// Runs unmodified Linux desktop apps, each in a picoprocess of its own with its own library OS. Without a command it
/// opens the manager window.
#[derive(Debug, Parser)]
#[command(name = "postern", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an app, or any program of the image; stdio and exit status pass through
    Run(RunArgs),
    /// List the apps of this machine
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the running apps
    Ps {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the running apps with what they use, again and again
    Top,
    /// Ask an app to end
    Stop {
        /// The app's id, or one run of it as `ps` shows it
        app: String,
        /// End it at once
        #[arg(long)]
        kill: bool,
    },
    /// Show a running app in this Wayland session: its windows leave the one where they were, if any
    ///
    /// The session is that of WAYLAND_DISPLAY and XDG_RUNTIME_DIR. An app outlives its compositor: its windows come
    /// back by themselves when another one listens on the same socket, and otherwise where this command is used.
    Attach {
        /// The app's id, or one run of it as `ps` shows it
        app: String,
    },
    /// Change a permission of an app, for now and for later
    Permit {
        /// The app's id
        app: String,
        /// Which permission
        permission: String,
        /// Its new value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Show the permissions of an app
    Permissions {
        /// The app's id
        app: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the reports of what died
    Reports {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a report
    Report {
        /// The report's id, as `reports` shows it
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Delete it instead
        #[arg(long)]
        delete: bool,
    },
    /// Print what a picoprocess can ask for: downcalls, upcalls, and the host system calls of its filter
    Abi {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the table of Linux system calls with how well each is supported
    Syscalls {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an app's surfaces in the Wayland session (started by a monitor, with the channel as standard input)
    #[command(hide = true)]
    Bridge(bridge::BridgeArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Id of an installed app, as `list` shows it
    #[arg(required_unless_present = "command")]
    app: Option<String>,
    /// A program of the image and its arguments; after the id of an app: more arguments for it
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
    /// Where programs come from; `host` is the host's own system directories, read-only
    #[arg(long, value_name = "NAME", default_value = "host", value_parser = ["host"])]
    image: String,
    /// Let it use a file or folder, at its real path
    #[arg(long, value_name = "PATH[:ro]")]
    grant: Vec<String>,
    /// Let it connect: to all, or only to these
    #[arg(long, value_name = "HOST:PORT,…", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    net: Option<String>,
    /// Let it listen on a port
    #[arg(long, value_name = "PORT")]
    listen: Vec<u16>,
    /// Set a permission, as `postern permit` does, for this run
    #[arg(long, value_name = "PERMISSION=VALUE")]
    permit: Vec<String>,
    /// Set an environment variable, or pass it on
    #[arg(long, value_name = "K[=V]")]
    env: Vec<OsString>,
    /// User id that it sees
    #[arg(long, value_name = "N")]
    uid: Option<u32>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Run CMD as the app of this id: with its manifest and its private home
    #[arg(long, value_name = "ID", conflicts_with = "app")]
    id: Option<String>,
    /// Show no windows for now: the app runs all the same, and `postern attach` shows them
    #[arg(long)]
    no_display: bool,
    /// Write what it used and asked for to a file when it has ended
    #[arg(long, value_name = "FILE")]
    json_report: Option<PathBuf>,
    /// Print what the library OS logs
    #[arg(long, short)]
    verbose: bool,
}

fn grants(arguments: &[String]) -> anyhow::Result<Vec<FileGrant>> {
    arguments.iter().map(|text| run::parse_grant(text)).collect()
}

fn endpoints(list: &str) -> anyhow::Result<Vec<Endpoint>> {
    list.split(',')
        .filter(|one| !one.is_empty())
        .map(|one| one.parse().map_err(|error| anyhow::anyhow!("--net: {one:?} is {error}")))
        .collect()
}

/// Runs what the command line says, or the manager if it says nothing.
pub fn main(manager: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match Cli::parse().command {
        None => done(manager()),
        // 125 says that Postern failed and not the program.
        Some(Command::Run(args)) => {
            return run::run(args).unwrap_or_else(|error| {
                eprintln!("postern: {error:#}");
                ExitCode::from(postern_monitor::launch::OWN_FAILURE)
            });
        }
        Some(Command::List { json }) => done(apps::list(json)),
        Some(Command::Ps { json }) => done(ps::list(json)),
        Some(Command::Top) => done(ps::top()),
        Some(Command::Stop { app, kill }) => done(ps::stop(&app, kill)),
        Some(Command::Attach { app }) => done(attach::attach(&app)),
        Some(Command::Permit { app, permission, value }) => done(permit::permit(&app, &permission, &value)),
        Some(Command::Permissions { app, json }) => done(permit::show(&app, json)),
        Some(Command::Reports { json }) => done(reports::list(json)),
        Some(Command::Report { id, json, delete }) => done(reports::show(&id, json, delete)),
        Some(Command::Abi { json }) => done(abi::abi(json)),
        Some(Command::Syscalls { json }) => done(abi::syscalls(json)),
        Some(Command::Bridge(args)) => return bridge::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("postern: {error:#}");
        ExitCode::FAILURE
    })
}

/// Prints a line to standard output. A reader that has gone away ends the program quietly, as `postern list | head`
/// should.
fn print(text: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(format_args!("{}", serde_json::to_string_pretty(value)?))
}
