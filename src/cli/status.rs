//! `transload status`: how a running gateway is, on one page, with what to do about what is wrong.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Failure;
use super::render::{self, output};
use super::show::{rate, socket_or_the_only_one};
use super::watch::{WatchArgs, watch};
use crate::admin::client::{self, AskError};
use crate::report::rows::{GatewayRow, Health, PortRow, RatesRow, StatusRow, TroubleRow};

const EXIT_CODES: &str = "\
Exit codes, as monitoring systems take them:
  0  fine: there may be remarks
  1  trouble: somebody should look at it (a warning)
  2  critical: a port is down, or no peer can be reached; also a command line that cannot be understood
  3  no gateway answers";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    watch: WatchArgs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = socket_or_the_only_one(args.socket.as_deref()).map_err(|failure| nobody_answers(&failure))?;
    let status = ask(&socket).map_err(|error| nobody_answers(&Failure::new(error.to_string())))?;
    if let Some(every) = args.watch.watch {
        let as_json = args.json;
        return watch(every, &text(&status, as_json), move || Ok(text(&ask(&socket)?, as_json)));
    }
    output(&text(&status, args.json))?;
    match status.health {
        Health::Fine => Ok(()),
        Health::Trouble => Err(Failure::Code(1)),
        Health::Critical => Err(Failure::Code(2)),
    }
}

/// Says so, and what follows is the exit code.
fn nobody_answers(failure: &Failure) -> Failure {
    render::failure(failure);
    Failure::Code(3)
}

fn ask(socket: &Path) -> Result<StatusRow, AskError> {
    let rows = client::rows(socket, "/status", None)?;
    rows.into_iter().next().ok_or_else(|| AskError::Unreadable("there is no row".into()))
}

fn text(status: &StatusRow, as_json: bool) -> String {
    if as_json { serde_json::to_string(status).unwrap_or_default() } else { page(status) }
}

fn page(status: &StatusRow) -> String {
    let GatewayRow { version, role, started, .. } = &status.gateway;
    let mut lines = vec![format!("transload {version}, {role}: {}", status.health)];
    let mut say = |head: &str, text: String| lines.push(format!("  {head:<8} {text}"));
    say("file", file(status));
    say("up", span(seconds_since(*started)));
    for (at, worker) in status.workers.iter().enumerate() {
        let busy = format!("{} {}.{} % busy", worker.worker, worker.busy / 10, worker.busy % 10);
        say(if at == 0 { "workers" } else { "" }, format!("{busy}: {}", worker.ports.join(", ")));
    }
    for (at, row) in status.ports.iter().enumerate() {
        say(if at == 0 { "ports" } else { "" }, port(row));
    }
    if let Some(more) = status.more.get("port") {
        say("", format!("and {more} more"));
    }
    let peers: Vec<_> = status.peers.iter().map(|(state, count)| format!("{count} {state}")).collect();
    say("peers", if peers.is_empty() { "none".to_owned() } else { peers.join(", ") });
    lines.push(String::new());
    lines.extend(status.troubles.iter().map(trouble));
    let unlisted = status.more.iter().filter(|(kind, _)| *kind != "port");
    lines.extend(unlisted.map(|(kind, count)| format!("and {count} more ({kind})")));
    if status.health == Health::Fine && status.troubles.is_empty() {
        lines.push("All is well.".to_owned());
    }
    lines.join("\n")
}

/// `gateway.yaml (sha256 ba7816bf8f01), loaded 3 min ago`
fn file(status: &StatusRow) -> String {
    let GatewayRow { file, sha256, loaded, .. } = &status.gateway;
    let mut text = format!("{file} (sha256 {:.12}), loaded {} ago", sha256, span(seconds_since(*loaded)));
    if !status.changed_files.is_empty() {
        text.push_str("; not what is on disk now");
    }
    text
}

/// `up1  up, in 300 frames/s 2.4 Mbit/s, out 0 frames/s 0 bit/s`
fn port(row: &PortRow) -> String {
    let state = row.failure.as_ref().map_or_else(|| "up".to_owned(), |failure| format!("down: {failure}"));
    let rates = row.rates.as_ref().map_or_else(String::new, |rates| {
        let RatesRow { rx_frames, rx_bits, tx_frames, tx_bits } = *rates;
        format!(", in {}, out {}", rate(rx_frames, rx_bits), rate(tx_frames, tx_bits))
    });
    format!("{} {state}{rates}", row.port)
}

/// What is wrong, and below it what to do.
fn trouble(row: &TroubleRow) -> String {
    let TroubleRow { health, about, name, what, advice, responsible, .. } = row;
    let weight = if *health == Health::Fine { "remark".to_owned() } else { health.to_string() };
    let who = responsible.as_ref().map_or_else(String::new, |who| format!(" (responsible: {who})"));
    format!("{weight}: {about} {name}: {what}{who}\n    {advice}")
}

fn seconds_since(unix: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    now.saturating_sub(unix)
}

/// `34 s`, `5 min`, `2 h 13 min`, `3 d 4 h`
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{minutes} min"),
        7200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_short_as_they_can_be() {
        assert_eq!([0, 119, 120, 7_199].map(span), ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([7_200, 172_799, 172_800].map(span), ["2 h 0 min", "47 h 59 min", "2 d 0 h"]);
    }
}
