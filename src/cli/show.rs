//! `transload show`: what a running gateway knows, as a table or as JSON.

mod lists;
mod pages;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Deserialize;

use super::Failure;
use super::render::{output, tell};
use super::watch::{WatchArgs, watch};
use crate::admin::client::{self, AskError};
use crate::admin::socket;
use crate::config::suggestion;
use crate::report::rows::{DropRow, DropSampleRow, FdbRow, LogRow, MappingRow, PeerDetailRow, TenantDetailRow};
pub(super) use lists::rate;
use lists::{MAPPINGS, PEERS, PORTS, TENANTS, WATCHED_MAPPINGS, WORKERS, list, watched, watched_mappings};

const COLUMNS: &str = "\
A column is a key of the JSON (docs/ROWS.md has them all; with the package it is in /usr/share/doc/transload). Some need a word:
  LOST                of a port, frames that its queue had no room for; of the log, lines that could not be written
  HELD BACK           lines of a kind that had already said much; the log sums them up
  DROPPED             frames dropped and counted by reason
  LEFT                frames left to the machine's own network stack, which takes them: nothing is lost
  COPIES              copies of flooded frames, or segments of super-frames, dropped while others of the frame left
  TOLERATED           frames carried, though a stricter gateway would have dropped them for this reason
  RESPONSIBLE         who can do something about it: peer, config (the file), local (this machine), or nobody (nothing is wrong)
  UNSENT              frames that were to be sent to a peer and were dropped; where they came from they count as DROPPED
  UNMAPPED IDS        IDs of a mapping that have no counterpart, since it is reserved
  DROPPED (UNMAPPED)  frames that came with such an ID, and were dropped
  PATH MTU            the longest IP packet that is sent to a peer, in bytes, and the router that reported so
  SOURCE              what made it known: static (the file), learned, or restored (learned before a restart)
  MOVES               how often a MAC address has moved to another place
  STATE               of a peer: fine, silent, unreachable, unresolved or idle; of a port: up, or why it does not receive
  LAST HEARD          when something came from a peer last, whether it was dropped or not
  BUSY                the part of the last seconds in which a worker had frames in hand
  LOOPS               attachment pairs between which broadcasts come back, from a loop outside or an echo";

/// The heads of the tables, as far as they are not in `lists`. Each is a key of the row, in capitals.
const FDB: [&str; 8] = ["TENANT", "MAC", "ATTACHMENT", "VIA", "SOURCE", "AGE", "MOVES", "LAST MOVE"];
const LOG: [&str; 2] = ["HELD BACK", "LOST"];
/// Below the drops.
const SAMPLES: [&str; 9] = ["AT", "REASON", "PORT", "VIA", "SOURCE", "ID", "SOURCE MAC", "LEN", "TENANT"];
/// Of what is watched: frames dropped in a second.
const NOW: &str = "NOW/S";
/// Reasons of which the workers see no frame: a device does not take it.
const BY_DEVICES: [&str; 2] = ["port_busy", "port_refused"];
/// Reasons for which the program of an XDP port drops frames before a worker sees them (`src/io/af_xdp/rows.rs`).
const BY_PROGRAMS: [&str; 8] = [
    "not_for_us",
    "not_our_mac",
    "outer_fragment",
    "unknown_peer",
    "unclaimed_tags",
    "truncated",
    "bad_ip_header",
    "extension_headers",
];
const DROPS: [&str; 8] = ["REASON", "DROPPED", "COPIES", "LEFT", "TOLERATED", "PORTS", "RESPONSIBLE", "MEANING"];

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = COLUMNS)]
pub(super) struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    /// The name of the peer or tenant: of peer and tenant
    #[arg(required_if_eq_any([("what", "peer"), ("what", "tenant")]))]
    name: Option<String>,
    /// Only the rows of this tenant: of fdb, tenants and peers
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Also the reasons for which no frame was dropped, and the last frames that were left to the machine: of drops
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    watch: WatchArgs,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// MAC addresses, and where they are
    Fdb,
    /// Tenants, their attachments and traffic
    Tenants,
    /// One tenant in detail: its attachments, its limits and how far they are used
    Tenant,
    /// Mappings and the frames that cross them
    Mappings,
    /// Tunnel peers, whether they work, and the next hops towards them
    Peers,
    /// One tunnel peer in detail: its path, its traffic, and the tenants that it serves
    Peer,
    /// Ports and their traffic
    Ports,
    /// Why frames were dropped, and who is responsible
    Drops,
    /// The threads that move frames, and how busy they are
    Workers,
    /// Lines that are not in the log
    Log,
    /// All numbers as metrics, in OpenMetrics: what `metrics: { listen: .. }` serves to Prometheus
    Metrics,
}

impl What {
    const fn path(self) -> &'static str {
        match self {
            Self::Fdb => "/fdb",
            Self::Tenants => "/tenants",
            Self::Tenant => "/tenant",
            Self::Mappings => "/mappings",
            Self::Peers => "/peers",
            Self::Peer => "/peer",
            Self::Ports => "/ports",
            Self::Drops => "/drops",
            Self::Workers => "/workers",
            Self::Log => "/log",
            Self::Metrics => "/metrics",
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.what == What::Metrics && (args.json || args.tenant.is_some()) {
        return Err(Failure::new(
            "metrics are of all tenants, and in the format of their own: leave out --json and --tenant",
        ));
    }
    let is_of_one = matches!(args.what, What::Peer | What::Tenant);
    if is_of_one && args.tenant.is_some() {
        return Err(Failure::new("one peer or tenant is shown by its name alone, without --tenant"));
    }
    if !is_of_one && let Some(name) = &args.name {
        let help = "`show peer NAME` and `show tenant NAME` show one of many; --tenant NAME chooses rows of a tenant";
        return Err(Failure::with_help(format!("`{name}` says nothing about which rows to show"), help));
    }
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    let mut question = Question { args: args.clone(), socket, drops_before: None, mappings_before: None };
    let answer = question.ask().map_err(|error| question.failure(&error))?;
    match args.watch.watch {
        None => output(&answer),
        Some(every) => watch(every, &answer, move || question.ask()),
    }
}

/// The socket that somebody names, or that of the only gateway of this user. Of a named one it is said if it is neither
/// root's nor one's own.
pub(super) fn socket_or_the_only_one(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(socket) = named {
        if let Some(user) = socket::stranger(socket, None) {
            tell(&format!("note: {} is of user {user}, who may answer anything there", socket.display()));
        }
        return Ok(socket.to_owned());
    }
    let (running, refused) = socket::running();
    for why in &refused {
        tell(&format!("not asked: {why}"));
    }
    match &running[..] {
        [] => Err(Failure::with_help(
            "no gateway is running here, or none that you may ask",
            "start one with `transload run FILE`; one with an admin socket of its own is asked with --socket PATH",
        )),
        [socket] => Ok(socket.clone()),
        several => {
            let paths: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            Err(Failure::with_help(
                "several gateways are running here",
                format!("say which: --socket {}", paths.join(" or ")),
            ))
        }
    }
}

/// What is asked, and what was answered before.
struct Question {
    args: Args,
    socket: PathBuf,
    /// The drops of the round before, and when that was.
    drops_before: Option<(Instant, Vec<DropRow>)>,
    /// The mappings of the round before, and when that was.
    mappings_before: Option<(Instant, Vec<MappingRow>)>,
}

impl Question {
    fn ask(&mut self) -> Result<String, AskError> {
        let Self { args, socket, drops_before, mappings_before } = self;
        let (socket, tenant, what) = (&**socket, args.tenant.as_deref(), args.what);
        let path = args.name.as_ref().map_or_else(|| what.path().to_owned(), |name| client::named(what.path(), name));
        if args.json && what != What::Fdb {
            return client::ask(socket, &path, tenant);
        }
        let is_watched = args.watch.watch.is_some();
        Ok(match what {
            What::Fdb => {
                let mut rows: Vec<FdbRow> = client::rows(socket, &path, tenant)?;
                rows.sort_by(|a, b| (&a.tenant, &a.mac).cmp(&(&b.tenant, &b.mac)));
                if args.json { serde_json::to_string(&rows).unwrap_or_default() } else { fdb(&rows) }
            }
            What::Tenants => {
                let rows = client::rows(socket, &path, tenant)?;
                let draw = if is_watched { watched } else { list };
                draw(TENANTS, &rows, "The configuration has no tenants.")
            }
            What::Peers => {
                let rows = client::rows(socket, &path, tenant)?;
                let draw = if is_watched { watched } else { list };
                draw(PEERS, &rows, "The configuration has no tunnel peers.")
            }
            What::Ports => {
                let rows = client::rows(socket, &path, tenant)?;
                let draw = if is_watched { watched } else { list };
                draw(PORTS, &rows, "The configuration has no ports.")
            }
            What::Mappings => {
                let rows: Vec<MappingRow> = client::rows(socket, &path, tenant)?;
                let none = "The configuration has no mappings.";
                if is_watched {
                    let before = mappings_before.replace((Instant::now(), rows.clone()));
                    list(WATCHED_MAPPINGS, &watched_mappings(rows, before.as_ref()), none)
                } else {
                    list(MAPPINGS, &rows, none)
                }
            }
            What::Workers => list(WORKERS, &client::rows(socket, &path, tenant)?, "There are no workers."),
            What::Peer => {
                let rows: Vec<PeerDetailRow> = client::rows(socket, &path, None)?;
                rows.first().map_or_else(String::new, |row| page(pages::peer(row), &row.samples))
            }
            What::Tenant => {
                let rows: Vec<TenantDetailRow> = client::rows(socket, &path, None)?;
                rows.first().map_or_else(String::new, |row| page(pages::tenant(row), &row.samples))
            }
            What::Drops => {
                let rows: Vec<DropRow> = client::rows(socket, &path, tenant)?;
                let earlier = drops_before.replace((Instant::now(), rows.clone()));
                drops(&rows, args.all, earlier.as_ref().filter(|_| is_watched))
            }
            What::Metrics => client::metrics(socket)?.trim_end().to_owned(),
            What::Log => log(&client::rows(socket, &path, tenant)?),
        })
    }

    /// Why there is no answer, and which name may have been meant.
    fn failure(&self, error: &AskError) -> Failure {
        let wrong = match self.args.what {
            What::Peer => self.args.name.as_deref().map(|name| ("/peers", name)),
            What::Tenant => self.args.name.as_deref().map(|name| ("/tenants", name)),
            _ => self.args.tenant.as_deref().map(|name| ("/tenants", name)),
        };
        let known = wrong.filter(|_| matches!(error, AskError::Refused(_)));
        let help = known.and_then(|(path, wrong)| {
            let rows: Vec<NamedRow> = client::rows(&self.socket, path, None).ok()?;
            // A name that is known is not what was wrong.
            let is_known = rows.iter().any(|row| row.name == wrong);
            if is_known { None } else { suggestion(wrong, rows.iter().map(|row| row.name.as_str())) }
        });
        Failure::Other { message: error.to_string(), help }
    }
}

/// The name in a row.
#[derive(Deserialize)]
struct NamedRow {
    #[serde(alias = "peer", alias = "tenant")]
    name: String,
}

/// A page, and below it the last frames that were dropped.
fn page(drawn: String, dropped: &[DropSampleRow]) -> String {
    match samples(dropped.iter()) {
        Some(samples) => format!("{drawn}\n\n{samples}"),
        None => drawn,
    }
}

fn fdb(rows: &[FdbRow]) -> String {
    let mut table = table(&FDB, &FDB[5..7]);
    for row in rows {
        let (source, age) = (row.source.to_string(), row.age.map(|seconds| format!("{seconds} s")));
        let (age, moves) = (or_none(age), row.moves.to_string());
        table.add_row([&row.tenant, &row.mac, &row.attachment, &row.via, &source, &age, &moves, &last_move(row)]);
    }
    finish(&table, rows.len(), "No MAC address is known.")
}

/// `leafs (192.0.2.11) to ce (access), 12 s ago; held for 168 s`
fn last_move(row: &FdbRow) -> String {
    let last = row
        .last_move
        .as_ref()
        .map(|last| format!("{} ({}) to {} ({}), {} s ago", last.from, last.from_via, last.to, last.to_via, last.ago));
    let held = row.held_for.map(|seconds| format!("held for {seconds} s: moved too often"));
    or_none(joined(last.into_iter().chain(held), "; "))
}

/// The reasons, and where `before` is known, how many frames were dropped for each in every second since then.
fn drops(rows: &[DropRow], all: bool, before: Option<&(Instant, Vec<DropRow>)>) -> String {
    let now_and_then = DROPS.iter().copied().chain(before.is_some().then_some(NOW)).collect::<Vec<_>>();
    let mut table = table(&now_and_then, &[&DROPS[1..5], &[NOW]].concat());
    let rows: Vec<_> =
        rows.iter().filter(|row| all || row.dropped + row.left + row.copies + row.tolerated > 0).collect();
    for row in &rows {
        let frames = |count: u64| or_none((count > 0).then(|| count.to_string()));
        let [dropped, copies, left, tolerated] = [row.dropped, row.copies, row.left, row.tolerated].map(frames);
        let ports = or_none(joined(row.ports.iter().map(|(port, count)| format!("{port} {count}")), ", "));
        let mut cells = vec![&row.reason, &dropped, &copies, &left, &tolerated, &ports, &row.responsible, &row.meaning];
        let rate = before.map(|before| drops_per_second(row, before));
        cells.extend(&rate);
        table.add_row(cells);
    }
    let counts = finish(&table, rows.len(), "No frame has been dropped.");
    let of_drops = rows.iter().filter(|row| all || row.dropped + row.copies > 0);
    let samples = samples(of_drops.flat_map(|row| &row.samples));
    let unseen = unseen(&rows);
    joined([Some(counts), samples, unseen].into_iter().flatten(), "\n\n").unwrap_or_default()
}

/// The reasons of which there is no sample, and why, as far as that is known; none if there are none.
fn unseen(rows: &[&DropRow]) -> Option<String> {
    let those = |are_asked: &dyn Fn(&str) -> bool| {
        let all = rows.iter().filter(|row| row.dropped > 0 && row.samples.is_empty() && are_asked(&row.reason));
        joined(all.map(|row| row.reason.clone()), ", ")
    };
    let (by_device, by_program) =
        (|reason: &str| BY_DEVICES.contains(&reason), |reason: &str| BY_PROGRAMS.contains(&reason));
    let lines = [
        (those(&by_device), ": a device refused these frames as they left."),
        (those(&by_program), ": the program of an XDP port may have dropped these frames."),
        (those(&|reason| !by_device(reason) && !by_program(reason)), "."),
    ];
    joined(lines.into_iter().filter_map(|(reasons, why)| Some(format!("No sample of {}{why}", reasons?))), "\n")
}

/// The last frames that were dropped, the latest first; none if there are none.
fn samples<'r>(rows: impl Iterator<Item = &'r DropSampleRow>) -> Option<String> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| b.at.cmp(&a.at));
    let mut table = table(&SAMPLES, &SAMPLES[7..8]);
    for row in &rows {
        let between = |ends: [&Option<String>; 2]| {
            or_none(ends[0].as_ref().zip(ends[1].as_ref()).map(|(from, to)| format!("{from} > {to}")))
        };
        let outer = between([&row.source, &row.destination]);
        let carrier = row.carrier.as_ref().map_or_else(String::new, |carrier| format!(", {carrier}"));
        let tag = row.vlan.map_or_else(String::new, |vlan| format!(", VLAN {vlan}"));
        let owner = row.tenant.as_ref().zip(row.attachment.as_ref());
        let owner = owner.map(|(tenant, attachment)| format!("{tenant} ({attachment})"));
        table.add_row([
            row.at.clone(),
            row.reason.clone(),
            row.port.clone(),
            or_none(row.via.clone()),
            format!("{outer}{carrier}"),
            or_none(row.id.clone()),
            format!("{}{tag}", between([&row.source_mac, &row.destination_mac])),
            row.len.to_string(),
            or_none(owner.or_else(|| row.mapping.clone())),
        ]);
    }
    (!rows.is_empty())
        .then(|| format!("Dropped last, at most one frame a second of each reason and peer:\n\n{}", table.trim_fmt()))
}

fn drops_per_second(row: &DropRow, (at, rows): &(Instant, Vec<DropRow>)) -> String {
    let all = |row: &DropRow| row.dropped + row.left + row.copies;
    let before = rows.iter().find(|before| before.reason == row.reason).map_or(0, all);
    a_second(all(row), before, *at).to_string()
}

/// How much a counter has grown in every second since it was this at that time.
fn a_second(count: u64, before: u64, at: Instant) -> u128 {
    u128::from(count.saturating_sub(before)) * 1_000 / at.elapsed().as_millis().max(1)
}

fn log(rows: &[LogRow]) -> String {
    let mut table = table(&LOG, &LOG);
    for row in rows {
        table.add_row([row.held_back, row.lost]);
    }
    table.trim_fmt()
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The parts in one text; `None` without any.
fn joined(parts: impl Iterator<Item = String>, between: &str) -> Option<String> {
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(between))
}

fn table(columns: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(columns);
    // Only a terminal has a width to keep to; into a pipe a row is a line.
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        table.set_width(size.ws_col);
    }
    for (n, name) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(n) else { continue };
        column.set_padding((0, 2));
        if numbers.contains(name) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn finish(table: &Table, rows: usize, none: &str) -> String {
    if rows == 0 { none.to_owned() } else { table.trim_fmt() }
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::lists::Column;
    use super::*;
    use crate::report::rows::{PeerRow, PortRow, TenantRow, WorkerRow};

    fn heads<R>(columns: &[Column<R>]) -> Vec<&'static str> {
        columns.iter().map(|column| column.head).collect()
    }

    /// `DROPPED (UNMAPPED)` is `dropped_unmapped`.
    fn key(head: &str) -> String {
        let words = head.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
    }

    #[test]
    fn every_head_is_a_key_of_the_row() {
        let tables = [
            (FDB.to_vec(), schema_for!(FdbRow)),
            (heads(TENANTS), schema_for!(TenantRow)),
            (heads(MAPPINGS), schema_for!(MappingRow)),
            (heads(PEERS), schema_for!(PeerRow)),
            (heads(&PORTS[..11]), schema_for!(PortRow)),
            (heads(WORKERS), schema_for!(WorkerRow)),
            (DROPS.to_vec(), schema_for!(DropRow)),
            (SAMPLES.to_vec(), schema_for!(DropSampleRow)),
            (LOG.to_vec(), schema_for!(LogRow)),
        ];
        for (heads, schema) in tables {
            let keys = schema.get("properties").and_then(|keys| keys.as_object()).expect("a row has keys");
            for head in heads {
                assert!(keys.contains_key(&key(head)), "{head} is no key of {keys:?}");
            }
        }
    }

    #[test]
    fn every_column_that_is_explained_is_one() {
        let lists =
            [heads(TENANTS), heads(MAPPINGS), heads(PEERS), heads(PORTS), heads(WORKERS), DROPS.to_vec(), LOG.to_vec()];
        let heads = [&FDB[..], &lists.concat()].concat();
        for line in COLUMNS.lines().skip(1) {
            let (head, _) = line.trim().split_once("  ").expect("a head and what it means");
            assert!(heads.contains(&head), "{head} is no column");
        }
    }
}
