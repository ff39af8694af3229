//! `transload run FILE`: the gateway itself, until it is stopped.

use std::io::IsTerminal;
use std::path::PathBuf;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

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
    let stated = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = stated.and_then(|text| text.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false).with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
}
