//! `transload reload`: a running gateway reads its file again.

use std::path::PathBuf;

use super::Failure;
use super::render::{output, tell};
use super::show::socket_or_the_only_one;
use super::upgrade::{NotReplaced, OtherBuild};
use crate::admin::client::{self, AskError};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// If the running gateway is of another build than this program, start this one in its place with the same arguments, as
    /// `run --replace` does: it reads the file, and knows the MAC addresses that were known. Where that cannot be, the running
    /// one reads its file. That is so too if it runs as another user, or as a service whose unit this is not called by:
    /// `systemctl reload` upgrades that one
    #[arg(long)]
    upgrade: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    if args.upgrade
        && let Some(other) = OtherBuild::on(&socket)?
    {
        match other.replace(&socket) {
            Ok(process) => return output(&format!("upgraded: process {process} has taken over")),
            Err(NotReplaced { why, advice, goes_on: true }) => {
                tell(&format!("note: the running gateway is not upgraded, and reads its file again: {why}; {advice}"));
            }
            Err(NotReplaced { why, .. }) => {
                return Err(Failure::with_help(format!("{why}; no gateway runs now"), "start it with `transload run`"));
            }
        }
    }
    let reloaded = client::reload(&socket).map_err(|error| match error {
        AskError::Refused(why) => {
            tell(&why);
            Failure::with_help("reload rejected, running configuration unchanged", "fix the file and reload again")
        }
        other => Failure::new(other.to_string()),
    })?;
    for warning in &reloaded.warnings {
        tell(warning);
    }
    for change in &reloaded.changes {
        output(change)?;
    }
    let changes = match reloaded.changes.len() {
        0 => "nothing changed".to_owned(),
        1 => "1 change".to_owned(),
        several => format!("{several} changes"),
    };
    output(&format!("reloaded: {changes}; now {}", reloaded.summary))
}
