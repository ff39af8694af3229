//! `transload run FILE`: the gateway itself, until it is stopped.

use std::io::IsTerminal;
use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::run::start::{self, Orders, StartError};

const SIGNALS: &str = "\
Ctrl-C, SIGINT or SIGTERM stops it and leaves nothing behind; SIGHUP has it read its file again, as `transload reload` \
does. RUST_LOG says how much it logs.";

#[derive(Debug, clap::Args)]
#[command(after_help = SIGNALS)]
pub(super) struct Args {
    /// The gateway's file
    file: PathBuf,
    /// The socket that `transload show` and `reload` ask, if not the file's (`admin:`) or /run/transload/admin.sock
    #[arg(long, visible_alias = "socket", value_name = "PATH")]
    admin: Option<PathBuf>,
    /// Stop when standard input is closed
    #[arg(long, hide = true)]
    attended: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    log();
    let orders = Orders { file: args.file.clone(), admin: args.admin.clone(), attended: args.attended };
    start::run(&orders).map_err(|error| match error {
        StartError::Problems(problems) => problems.into(),
        other => Failure::new(other.to_string()),
    })
}

/// The log goes to standard error; `RUST_LOG` says how much of it (`info` unless it does).
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
}
