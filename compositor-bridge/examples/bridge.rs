//! A bridge by itself: the channel is standard input, the control socket standard output.
//!
//! `bridge [--title PREFIX] [--app-id ID] [--border RRGGBB] [--clipboard-read] [--clipboard-write]`
#![forbid(unsafe_code)]

use postern_bridge::{BridgeConfig, HostSession, run};
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut config = BridgeConfig {
        host: HostSession::Environment,
        title_prefix: String::new(),
        app_id: None,
        border: None,
        clipboard_read: false,
        clipboard_write: false,
        control: std::io::stdout().as_fd().try_clone_to_owned().ok(),
        before_confinement: || Box::new(|| {}),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--title" => config.title_prefix = arguments.next().unwrap_or_default(),
            "--border" => {
                let colour = arguments.next().and_then(|colour| u32::from_str_radix(&colour, 16).ok());
                config.border = colour.map(u32::to_be_bytes).map(|[_, red, green, blue]| [red, green, blue]);
            }
            "--app-id" => config.app_id = arguments.next(),
            "--clipboard-read" => config.clipboard_read = true,
            "--clipboard-write" => config.clipboard_write = true,
            other => {
                eprintln!("bridge: unknown argument {other}");
                return ExitCode::from(2);
            }
        }
    }
    let Ok(channel) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(2) };
    match run(channel, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bridge: {error}");
            ExitCode::FAILURE
        }
    }
}
