//! `postern bridge`: the compositor bridge of one app, as its monitor starts it. Standard input is the display
//! channel, standard output the control stream.

use clap::Args;
use postern_bridge::{BridgeConfig, HostSession};
use postern_monitor::sys::memory::Text;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

/// What a monitor tells its bridge.
#[derive(Debug, Args)]
pub struct BridgeArgs {
    /// Application id of every window
    #[arg(long)]
    app_id: Option<String>,
    /// Start of every window title
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    title_prefix: String,
    /// Colour of a border around every window
    #[arg(long, value_name = "#rrggbb")]
    border: Option<String>,
    /// The app may paste
    #[arg(long)]
    clipboard_read: bool,
    /// The app may copy
    #[arg(long)]
    clipboard_write: bool,
}

/// Runs until the app or the session is gone.
pub fn run(args: BridgeArgs) -> ExitCode {
    let border = args.border.as_deref().and_then(postern_monitor::manifest::parse_colour);
    let channel = std::io::stdin().as_fd().try_clone_to_owned();
    let control = std::io::stdout().as_fd().try_clone_to_owned();
    let (Ok(channel), Ok(control)) = (channel, control) else { return ExitCode::FAILURE };
    let config = BridgeConfig {
        host: HostSession::Environment,
        title_prefix: args.title_prefix,
        app_id: args.app_id,
        border,
        clipboard_read: args.clipboard_read,
        clipboard_write: args.clipboard_write,
        control: Some(control),
        before_confinement: || {
            let text = Text::mapped();
            Box::new(|| text.release())
        },
    };
    match postern_bridge::run(channel, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
