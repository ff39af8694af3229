//! `transload events`: what happens in a running gateway, line by line, until it ends.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use super::Failure;
use super::render::tell;
use super::show::socket_or_the_only_one;
use crate::admin::client;
use crate::logging::{EventRow, KINDS, LogEvent};

const HELP: &str = "\
On a terminal an event is a line of text, elsewhere an object of JSON with its time, level, name (`event`), words \
(`message`) and fields; docs/EVENTS.md (with the package in /usr/share/doc/transload) lists names and fields. The gateway \
keeps the last 1,000. Of events that come in masses, those of a kind about one tenant are told 50 at once and 2 a second, \
and summed up (`held_back`).

It ends with the gateway: exit code 0 once that has said so (`stopping`), 1 if it was cut off.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Only events about this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only events about this peer or port, or about MAC addresses that move to it or from it
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Only events of these names, such as `mac_moved,loop_found`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_possible_values = true, value_parser = names())]
    name: Vec<String>,
    /// First the last so many that were
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    last: usize,
    /// Only events that were; do not wait for more
    #[arg(long)]
    no_follow: bool,
    /// As JSON on a terminal too
    #[arg(long)]
    json: bool,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    let (names, last) = (args.name.join(","), args.last.to_string());
    let mut query = vec![("last", &*last)];
    query.extend(args.tenant.iter().map(|tenant| ("tenant", &**tenant)));
    query.extend(args.peer.iter().map(|peer| ("peer", &**peer)));
    query.extend(Some(("name", &*names)).filter(|_| !args.name.is_empty()));
    query.extend(args.no_follow.then_some(("end", "now")));
    let as_text = io::stdout().is_terminal() && !args.json;
    let in_colour = std::env::var_os("NO_COLOR").is_none();
    let mut has_stopped = false;
    let take = |line: &str| {
        let row = serde_json::from_str::<EventRow>(line);
        has_stopped |= row.as_ref().is_ok_and(|row| row.event == LogEvent::STOPPING);
        let text = match row {
            Ok(row) if as_text => row.line(in_colour),
            _ => line.to_owned(),
        };
        let mut out = io::stdout();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    };
    match client::follow(&socket, "/events", &query, take).map_err(|error| Failure::new(error.to_string()))? {
        // A reader that has gone away, such as `head`, is no failure.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(Failure::new(format!("cannot write to standard output: {error}"))),
        None if args.no_follow => Ok(()),
        None if has_stopped => {
            tell("the gateway has stopped: there are no more events");
            Ok(())
        }
        None => Err(Failure::with_help(
            "the gateway told no more: it was killed, or needed the place for other clients",
            "see whether it runs (`transload show log`), and follow again",
        )),
    }
}
