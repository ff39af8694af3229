//! `transload run FILE`: the gateway itself, until it is stopped.

use std::path::PathBuf;

use super::Failure;
use crate::logging::{LogFormat, Logging};
use crate::run::start::{self, Orders, StartError};

const SIGNALS: &str = "\
Ctrl-C, SIGINT, SIGQUIT or SIGTERM stops it and leaves nothing behind; SIGHUP has it read its file again, as `transload \
reload` does; SIGUSR1, SIGUSR2 and SIGALRM are ignored. RUST_LOG says how much it logs.";

#[derive(Debug, clap::Args)]
#[command(after_help = SIGNALS)]
pub(super) struct Args {
    /// The gateway's file
    file: PathBuf,
    /// The socket that `transload show` and `reload` ask, if not the file's (`admin:`) or /run/transload/admin.sock
    #[arg(long, visible_alias = "socket", value_name = "PATH")]
    admin: Option<PathBuf>,
    /// Take the place of the running gateway, which is told to end once everything is ready: on packet sockets, a few
    /// milliseconds without traffic
    #[arg(long)]
    replace: bool,
    /// What the log is written as
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
    /// Stop when standard input is closed
    #[arg(long, hide = true)]
    attended: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let _log = Logging::start(args.log_format).map_err(|error| match args.log_format {
        LogFormat::Journald => {
            Failure::with_help(format!("cannot log to the journal: {error}"), "use --log-format text, or json")
        }
        _ => Failure::new(format!("cannot start the log: {error}")),
    })?;
    let orders =
        Orders { file: args.file.clone(), admin: args.admin.clone(), replace: args.replace, attended: args.attended };
    start::run(&orders).map_err(|error| match error {
        StartError::File(problems) => Failure::File(problems),
        StartError::Problems(problems) => problems.into(),
        other => Failure::new(other.to_string()),
    })
}
