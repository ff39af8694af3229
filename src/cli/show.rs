//! `transload show`: what a running gateway knows, as a table or as JSON.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::Failure;
use super::render::output;
use crate::admin::client::{self, AskError};
use crate::report::rows::{DropRow, FdbRow, LoopRow, MappingRow, PeerRow, PortRow, TenantRow};
use crate::admin::socket;

const COLUMNS: &str = "\
Columns that need a word:
  LOST       frames that arrived and were lost before the gateway took them, since its queue was full
  DROPPED    frames dropped by name; of a port, without `underlay_control`, with which nothing is wrong
  TOLERATED  frames carried, though a stricter gateway would have dropped them for this reason
  HOLES      IDs of a mapping that have no counterpart, since it is reserved
  TO HOLES   frames that came with such an ID, and were dropped
  MOVES      how often a MAC address has moved to another place
  LOOPS      attachments that something besides the gateway joins";

#[derive(Debug, clap::Args)]
#[command(after_help = COLUMNS)]
pub(super) struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    /// Only what concerns this tenant: of fdb, tenants and peers
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Also what is zero
    #[arg(long)]
    all: bool,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Where MAC addresses live
    Fdb,
    /// Tenants and their attachments
    Tenants,
    /// Mappings and what crosses them
    Mappings,
    /// Tunnel peers and the ways to them
    Peers,
    /// Ports and their traffic
    Ports,
    /// Why frames were dropped, and whose move it is
    Drops,
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
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = match &args.socket {
        Some(socket) => socket.clone(),
        None => the_only_one(&socket::running())?,
    };
    output(&answer(args, &socket).map_err(|error| Failure::new(error.to_string()))?)
}

pub(super) fn the_only_one(running: &[PathBuf]) -> Result<PathBuf, Failure> {
    match running {
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
    if args.json {
        return client::ask(socket, path, tenant);
    }
    Ok(match args.what {
        What::Fdb => fdb(&client::rows(socket, path, tenant)?),
        What::Tenants => tenants(&client::rows(socket, path, tenant)?),
        What::Mappings => mappings(&client::rows(socket, path, tenant)?),
        What::Peers => peers(&client::rows(socket, path, tenant)?),
        What::Ports => ports(&client::rows(socket, path, tenant)?),
        What::Drops => drops(&client::rows(socket, path, tenant)?, args.all),
    })
}

fn fdb(rows: &[FdbRow]) -> String {
    let mut table = table(&["TENANT", "MAC", "ATTACHMENT", "VIA", "AGE", "MOVES", "LAST MOVE"], &["AGE", "MOVES"]);
    for row in rows {
        let age = row.age.map_or_else(|| "static".into(), |seconds| format!("{seconds} s"));
        table.add_row([&row.tenant, &row.mac, &row.attachment, &row.via, &age, &row.moves.to_string(), &last_move(row)]);
    }
    finish(&table, rows.len(), "No MAC address has been learned yet.")
}

/// `leafs (192.0.2.11) to ce (access), 12 s ago; held for 168 s`
fn last_move(row: &FdbRow) -> String {
    let last = row.last_move.as_ref().map(|last| {
        format!("{} ({}) to {} ({}), {} s ago", last.from, last.from_via, last.to, last.to_via, last.ago)
    });
    let held = row.held_for.map(|seconds| format!("held for {seconds} s: moved too often"));
    let parts: Vec<_> = last.into_iter().chain(held).collect();
    if parts.is_empty() { "-".into() } else { parts.join("; ") }
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
    let all: Vec<_> = row.loops.iter().map(of).collect();
    if all.is_empty() { "-".into() } else { all.join("\n") }
}

fn tenants(rows: &[TenantRow]) -> String {
    let columns = ["TENANT", "ATTACHMENTS", "MACS", "FRAMES IN", "FRAMES OUT", "FLOODED", "DROPPED", "LOOPS"];
    let mut table = table(&columns, &["MACS", "FRAMES IN", "FRAMES OUT", "FLOODED", "DROPPED"]);
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
            row.dropped.to_string(),
            loops(row),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no tenants.")
}

fn mappings(rows: &[MappingRow]) -> String {
    let columns = ["MAPPING", "FROM", "TO", "IDS", "HOLES", "FRAMES FORTH", "FRAMES BACK", "DROPPED", "TO HOLES"];
    let mut table = table(&columns, &columns[3..]);
    for row in rows {
        let numbers = [row.ids, row.holes, row.crossed.sent_to, row.crossed.sent_from, row.crossed.dropped];
        let texts = [row.mapping.clone(), row.from.clone(), row.to.clone()];
        let numbers = numbers.into_iter().chain([row.crossed.holes]).map(|number| number.to_string());
        table.add_row(texts.into_iter().chain(numbers));
    }
    finish(&table, rows.len(), "The configuration has no mappings.")
}

fn peers(rows: &[PeerRow]) -> String {
    let columns = ["PEER", "ENCAP", "ADDRESS", "ENDPOINT", "NEXT HOPS", "FRAMES IN", "FRAMES OUT", "DROPPED"];
    let mut table = table(&columns, &["FRAMES IN", "FRAMES OUT", "DROPPED"]);
    for row in rows {
        let hops = row.hops.iter().map(|hop| format!("{} {}", hop.port, hop.mac));
        let hops: Vec<_> = hops.chain(row.complaints.iter().cloned()).collect();
        table.add_row([
            row.learned_ago.map_or_else(|| row.peer.clone(), |ago| format!("{} (learned {ago} s ago)", row.peer)),
            row.encap.clone(),
            row.address.clone(),
            row.endpoint.clone(),
            hops.join("\n"),
            row.traffic.rx_frames.to_string(),
            row.traffic.tx_frames.to_string(),
            row.dropped.to_string(),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no tunnel peers.")
}

fn ports(rows: &[PortRow]) -> String {
    let columns =
        ["PORT", "I/O", "MAC", "MTU", "FRAMES IN", "BYTES IN", "LOST", "FRAMES OUT", "BYTES OUT", "DROPPED", "STATE"];
    let mut table = table(&columns, &columns[3..10]);
    for row in rows {
        table.add_row([
            row.port.clone(),
            row.io.clone(),
            row.mac.clone().unwrap_or_else(|| "-".into()),
            row.mtu.map_or_else(|| "-".into(), |mtu| mtu.to_string()),
            row.traffic.rx_frames.to_string(),
            row.traffic.rx_bytes.to_string(),
            row.lost.to_string(),
            row.traffic.tx_frames.to_string(),
            row.traffic.tx_bytes.to_string(),
            row.dropped.to_string(),
            row.failure.clone().unwrap_or_else(|| "up".into()),
        ]);
    }
    finish(&table, rows.len(), "The configuration has no ports.")
}

fn drops(rows: &[DropRow], all: bool) -> String {
    let columns = ["REASON", "DROPPED", "TOLERATED", "PORTS", "WHOSE MOVE", "LOOK AT"];
    let mut table = table(&columns, &["DROPPED", "TOLERATED"]);
    let rows: Vec<_> = rows.iter().filter(|row| all || row.dropped + row.tolerated > 0).collect();
    for row in &rows {
        let counts = [row.dropped.to_string(), row.tolerated.to_string()];
        let [dropped, tolerated] = counts.map(|count| if count == "0" { "-".into() } else { count });
        let ports: Vec<_> = row.ports.iter().map(|(port, count)| format!("{port} {count}")).collect();
        table.add_row([&row.reason, &dropped, &tolerated, &ports.join(", "), &row.fault, &row.hint]);
    }
    finish(&table, rows.len(), "No frame has been dropped.")
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
