//! `transload show`: what a running gateway knows, as a table or as JSON.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::Failure;
use super::render::{output, tell};
use crate::admin::client::{self, AskError};
use crate::admin::socket;
use crate::report::rows::{DropRow, DropSampleRow, FdbRow, LogRow, LoopRow, MappingRow, PeerRow, PortRow, TenantRow};

const COLUMNS: &str = "\
A column is a key of the JSON (docs/ROWS.md has them all). Some need a word:
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
  LOOPS               attachment pairs between which broadcasts come back, from a loop outside or an echo";

/// The heads of the tables. Each is a key of the row, in capitals; STATE is made of `failure`.
const FDB: [&str; 8] = ["TENANT", "MAC", "ATTACHMENT", "VIA", "SOURCE", "AGE", "MOVES", "LAST MOVE"];
const TENANTS: [&str; 9] =
    ["TENANT", "ATTACHMENTS", "MACS", "RX FRAMES", "TX FRAMES", "FLOODED", "COPIES DROPPED", "DROPPED", "LOOPS"];
const MAPPINGS: [&str; 9] = [
    "MAPPING",
    "FROM",
    "TO",
    "IDS",
    "UNMAPPED IDS",
    "FROM-TO FRAMES",
    "TO-FROM FRAMES",
    "DROPPED",
    "DROPPED (UNMAPPED)",
];
const PEERS: [&str; 12] = [
    "PEER",
    "SOURCE",
    "ENCAP",
    "ADDRESS",
    "ENDPOINT",
    "NEXT HOPS",
    "PATH MTU",
    "RX FRAMES",
    "TX FRAMES",
    "DROPPED",
    "UNSENT",
    "FAILURES",
];
const PORTS: [&str; 12] =
    ["PORT", "IO", "MAC", "MTU", "RX FRAMES", "RX BYTES", "LOST", "TX FRAMES", "TX BYTES", "DROPPED", "LEFT", "STATE"];
const LOG: [&str; 2] = ["HELD BACK", "LOST"];
/// Below the drops.
const SAMPLES: [&str; 9] = ["AT", "REASON", "PORT", "VIA", "SOURCE", "ID", "SOURCE MAC", "LEN", "TENANT"];
const DROPS: [&str; 8] = ["REASON", "DROPPED", "COPIES", "LEFT", "TOLERATED", "PORTS", "RESPONSIBLE", "MEANING"];

#[derive(Debug, clap::Args)]
#[command(after_help = COLUMNS)]
pub(super) struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    /// Only the rows of this tenant: of fdb, tenants and peers
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Also the reasons for which no frame was dropped: of drops
    #[arg(long)]
    all: bool,
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
    /// Mappings and the frames that cross them
    Mappings,
    /// Tunnel peers and the next hops towards them
    Peers,
    /// Ports and their traffic
    Ports,
    /// Why frames were dropped, and who is responsible
    Drops,
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
            Self::Mappings => "/mappings",
            Self::Peers => "/peers",
            Self::Ports => "/ports",
            Self::Drops => "/drops",
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
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    output(&answer(args, &socket).map_err(|error| Failure::new(error.to_string()))?)
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

fn answer(args: &Args, socket: &Path) -> Result<String, AskError> {
    let tenant = args.tenant.as_deref();
    let path = args.what.path();
    Ok(match args.what {
        What::Fdb => {
            let mut rows: Vec<FdbRow> = client::rows(socket, path, tenant)?;
            rows.sort_by(|a, b| (&a.tenant, &a.mac).cmp(&(&b.tenant, &b.mac)));
            if args.json { serde_json::to_string(&rows).unwrap_or_default() } else { fdb(&rows) }
        }
        What::Metrics => client::metrics(socket)?.trim_end().to_owned(),
        _ if args.json => client::ask(socket, path, tenant)?,
        What::Tenants => tenants(&client::rows(socket, path, tenant)?),
        What::Mappings => mappings(&client::rows(socket, path, tenant)?),
        What::Peers => peers(&client::rows(socket, path, tenant)?),
        What::Ports => ports(&client::rows(socket, path, tenant)?),
        What::Drops => drops(&client::rows(socket, path, tenant)?, args.all),
        What::Log => log(&client::rows(socket, path, tenant)?),
    })
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

/// `dc2 and ce, held for 43 s`
fn loops(row: &TenantRow) -> String {
    let of = |found: &LoopRow| {
        let [a, b] = &found.between;
        match found.held_for {
            Some(seconds) => format!("{a} and {b}, held for {seconds} s"),
            None => format!("{a} and {b}, {} s ago", found.ago),
        }
    };
    or_none(joined(row.loops.iter().map(of), "\n"))
}

fn tenants(rows: &[TenantRow]) -> String {
    let mut table = table(&TENANTS, &TENANTS[2..8]);
    for row in rows {
        let attachments: Vec<_> =
            row.attachments.iter().map(|at| format!("{} ({})", at.attachment, at.segment)).collect();
        table.add_row([
            row.tenant.clone(),
            attachments.join("\n"),
            format!("{} of {}", row.macs, row.mac_limit),
            row.traffic.rx_frames.to_string(),
            row.traffic.tx_frames.to_string(),
            row.flooded.to_string(),
            row.copies_dropped.to_string(),
            row.dropped.to_string(),
            loops(row),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no tenants.")
}

fn mappings(rows: &[MappingRow]) -> String {
    let mut table = table(&MAPPINGS, &MAPPINGS[3..]);
    for row in rows {
        let texts = [row.mapping.clone(), row.from.clone(), row.to.clone()];
        let MappingRow { ids, unmapped_ids, from_to_frames, to_from_frames, dropped, dropped_unmapped, .. } = row;
        let numbers = [ids, unmapped_ids, from_to_frames, to_from_frames, dropped, dropped_unmapped];
        table.add_row(texts.into_iter().chain(numbers.map(ToString::to_string)));
    }
    finish(&table, rows.len(), "The configuration has no mappings.")
}

fn peers(rows: &[PeerRow]) -> String {
    let mut table = table(&PEERS, &PEERS[7..11]);
    for row in rows {
        let hops = row.next_hops.iter().map(|hop| format!("{} {}", hop.port, hop.mac));
        table.add_row([
            row.peer.clone(),
            row.learned_ago.map_or_else(|| row.source.to_string(), |ago| format!("{} {ago} s ago", row.source)),
            row.encap.clone(),
            row.address.clone(),
            row.endpoint.clone(),
            or_none(joined(hops, "\n")),
            or_none(path_mtu(row)),
            row.traffic.rx_frames.to_string(),
            row.traffic.tx_frames.to_string(),
            row.dropped.to_string(),
            row.unsent.to_string(),
            or_none(joined(row.failures.iter().cloned().chain(unreachable(row)), "\n")),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no tunnel peers.")
}

/// `1300 (192.0.2.254, 12 s ago)`
fn path_mtu(row: &PeerRow) -> Option<String> {
    let mtu = row.path_mtu?;
    let limiting = row.path_mtu_report.as_ref().filter(|report| report.mtu == mtu);
    Some(limiting.map_or_else(|| mtu.to_string(), |report| format!("{mtu} ({}, {} s ago)", report.from, report.ago)))
}

/// `192.0.2.12 answers: UDP port 4789 unreachable, 3 s ago`
fn unreachable(row: &PeerRow) -> Option<String> {
    let report = row.unreachable.as_ref()?;
    Some(format!("{} answers: {}, {} s ago", report.from, report.what, report.ago))
}

fn ports(rows: &[PortRow]) -> String {
    let mut table = table(&PORTS, &PORTS[3..11]);
    for row in rows {
        table.add_row([
            row.port.clone(),
            or_none(row.io.clone()),
            or_none(row.mac.clone()),
            or_none(row.mtu.map(|mtu| mtu.to_string())),
            row.traffic.rx_frames.to_string(),
            row.traffic.rx_bytes.to_string(),
            row.lost.to_string(),
            row.traffic.tx_frames.to_string(),
            row.traffic.tx_bytes.to_string(),
            row.dropped.to_string(),
            row.left.to_string(),
            row.failure.clone().unwrap_or_else(|| "up".into()),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no ports.")
}

fn drops(rows: &[DropRow], all: bool) -> String {
    let mut table = table(&DROPS, &DROPS[1..5]);
    let rows: Vec<_> =
        rows.iter().filter(|row| all || row.dropped + row.left + row.copies + row.tolerated > 0).collect();
    for row in &rows {
        let frames = |count: u64| or_none((count > 0).then(|| count.to_string()));
        let [dropped, copies, left, tolerated] = [row.dropped, row.copies, row.left, row.tolerated].map(frames);
        let ports = or_none(joined(row.ports.iter().map(|(port, count)| format!("{port} {count}")), ", "));
        table.add_row([&row.reason, &dropped, &copies, &left, &tolerated, &ports, &row.responsible, &row.meaning]);
    }
    let counts = finish(&table, rows.len(), "No frame has been dropped.");
    let samples = samples(rows.iter().flat_map(|row| &row.samples));
    joined([Some(counts), samples].into_iter().flatten(), "\n\n").unwrap_or_default()
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
        .then(|| format!("The last of them, at most one a second of each reason and peer:\n\n{}", table.trim_fmt()))
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

    use super::*;

    /// `DROPPED (UNMAPPED)` is `dropped_unmapped`.
    fn key(head: &str) -> String {
        let words = head.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
    }

    #[test]
    fn every_head_is_a_key_of_the_row() {
        let tables = [
            (&FDB[..], schema_for!(FdbRow)),
            (&TENANTS[..], schema_for!(TenantRow)),
            (&MAPPINGS[..], schema_for!(MappingRow)),
            (&PEERS[..], schema_for!(PeerRow)),
            (&PORTS[..11], schema_for!(PortRow)),
            (&DROPS[..], schema_for!(DropRow)),
            (&SAMPLES[..], schema_for!(DropSampleRow)),
            (&LOG[..], schema_for!(LogRow)),
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
        let heads = [&FDB[..], &TENANTS, &MAPPINGS, &PEERS, &PORTS, &DROPS, &LOG].concat();
        for line in COLUMNS.lines().skip(1) {
            let (head, _) = line.trim().split_once("  ").expect("a head and what it means");
            assert!(heads.contains(&head), "{head} is no column");
        }
    }
}
