//! The tables of tenants, mappings, peers, ports and workers: as they are, and as they change while they are watched.

use std::time::Instant;

use super::{a_second, finish, joined, or_none, table};
use crate::report::rows::{LoopRow, MappingRow, PeerRow, PeerState, PortRow, RatesRow, TenantRow, WorkerRow};

/// A column: its head, which is a key of the row in capitals, and what stands in it.
pub(super) struct Column<R> {
    pub(super) head: &'static str,
    is_number: bool,
    text: fn(&R) -> String,
}

const fn text<R>(head: &'static str, text: fn(&R) -> String) -> Column<R> {
    Column { head, is_number: false, text }
}

const fn number<R>(head: &'static str, text: fn(&R) -> String) -> Column<R> {
    Column { head, is_number: true, text }
}

pub(super) const TENANTS: &[Column<TenantRow>] = &[
    text("TENANT", |row| row.tenant.clone()),
    text("ATTACHMENTS", attachments),
    number("MACS", |row| format!("{} of {}", row.macs, row.mac_limit)),
    number("RX FRAMES", |row| row.traffic.rx_frames.to_string()),
    number("TX FRAMES", |row| row.traffic.tx_frames.to_string()),
    number("FLOODED", |row| row.flooded.to_string()),
    number("COPIES DROPPED", |row| row.copies_dropped.to_string()),
    number("DROPPED", |row| row.dropped.to_string()),
    text("LOOPS", loops),
];

pub(super) const MAPPINGS: &[Column<MappingRow>] = &[
    text("MAPPING", |row| row.mapping.clone()),
    text("FROM", |row| row.from.clone()),
    text("TO", |row| row.to.clone()),
    number("IDS", |row| row.ids.to_string()),
    number("UNMAPPED IDS", |row| row.unmapped_ids.to_string()),
    number("FROM-TO FRAMES", |row| row.from_to_frames.to_string()),
    number("TO-FROM FRAMES", |row| row.to_from_frames.to_string()),
    number("DROPPED", |row| row.dropped.to_string()),
    number("DROPPED (UNMAPPED)", |row| row.dropped_unmapped.to_string()),
];

pub(super) const PEERS: &[Column<PeerRow>] = &[
    text("PEER", |row| row.peer.clone()),
    text("STATE", |row| row.state.to_string()),
    text("SOURCE", source),
    text("ENCAP", |row| row.encap.clone()),
    text("ADDRESS", |row| row.address.clone()),
    text("ENDPOINT", |row| row.endpoint.clone()),
    text("NEXT HOPS", |row| or_none(joined(hops(row), "\n"))),
    text("PATH MTU", |row| or_none(path_mtu(row))),
    number("LAST HEARD", |row| seconds_ago(row.last_heard)),
    number("RX FRAMES", |row| row.traffic.rx_frames.to_string()),
    number("TX FRAMES", |row| row.traffic.tx_frames.to_string()),
    number("DROPPED", |row| row.dropped.to_string()),
    number("UNSENT", |row| row.unsent.to_string()),
    text("FAILURES", |row| or_none(joined(failures(row), "\n"))),
];

/// The last one is not a key: it is made of `failure`.
pub(super) const PORTS: &[Column<PortRow>] = &[
    text("PORT", |row| row.port.clone()),
    text("IO", |row| or_none(row.io.clone())),
    text("MAC", |row| or_none(row.mac.clone())),
    number("MTU", |row| or_none(row.mtu.map(|mtu| mtu.to_string()))),
    number("RX FRAMES", |row| row.traffic.rx_frames.to_string()),
    number("RX BYTES", |row| row.traffic.rx_bytes.to_string()),
    number("LOST", |row| row.lost.to_string()),
    number("TX FRAMES", |row| row.traffic.tx_frames.to_string()),
    number("TX BYTES", |row| row.traffic.tx_bytes.to_string()),
    number("DROPPED", |row| row.dropped.to_string()),
    number("LEFT", |row| row.left.to_string()),
    text("STATE", |row| row.failure.clone().unwrap_or_else(|| "up".into())),
];

pub(super) const WORKERS: &[Column<WorkerRow>] = &[
    text("WORKER", |row| row.worker.clone()),
    text("PORTS", |row| row.ports.join(", ")),
    number("BUSY", |row| format!("{}.{} %", row.busy / 10, row.busy % 10)),
];

/// A mapping while it is watched.
pub(super) struct WatchedMapping {
    row: MappingRow,
    /// Frames in a second: from-to, to-from, and dropped. Unknown in the first round.
    rates: Option<[u128; 3]>,
}

impl WatchedMapping {
    fn rate(&self, which: usize) -> String {
        or_none(self.rates.and_then(|rates| rates.get(which).map(u128::to_string)))
    }
}

pub(super) const WATCHED_MAPPINGS: &[Column<WatchedMapping>] = &[
    text("MAPPING", |it| it.row.mapping.clone()),
    text("FROM", |it| it.row.from.clone()),
    text("TO", |it| it.row.to.clone()),
    number("FROM-TO FRAMES/S", |it| it.rate(0)),
    number("TO-FROM FRAMES/S", |it| it.rate(1)),
    number("DROPPED/S", |it| it.rate(2)),
    number("DROPPED", |it| it.row.dropped.to_string()),
    number("DROPPED (UNMAPPED)", |it| it.row.dropped_unmapped.to_string()),
];

/// Mappings with how many frames have crossed each in every second since they were as in `before`.
pub(super) fn watched_mappings(
    rows: Vec<MappingRow>,
    before: Option<&(Instant, Vec<MappingRow>)>,
) -> Vec<WatchedMapping> {
    let counts = |row: &MappingRow| [row.from_to_frames, row.to_from_frames, row.dropped];
    let with_rates = |row: MappingRow| {
        let rates = before.and_then(|(at, rows)| {
            let earlier = counts(rows.iter().find(|earlier| earlier.mapping == row.mapping)?);
            let [there, back, dropped] = counts(&row);
            Some([
                a_second(there, earlier[0], *at),
                a_second(back, earlier[1], *at),
                a_second(dropped, earlier[2], *at),
            ])
        });
        WatchedMapping { row, rates }
    };
    rows.into_iter().map(with_rates).collect()
}

/// Columns of what happens in a second.
const fn rates<R: HasRates>() -> [Column<R>; 4] {
    [
        number("RX FRAMES/S", |row| per_second(row, |rates| rates.rx_frames.to_string())),
        number("RX RATE", |row| per_second(row, |rates| bits(rates.rx_bits))),
        number("TX FRAMES/S", |row| per_second(row, |rates| rates.tx_frames.to_string())),
        number("TX RATE", |row| per_second(row, |rates| bits(rates.tx_bits))),
    ]
}

fn per_second<R: HasRates>(row: &R, of: impl FnOnce(RatesRow) -> String) -> String {
    or_none(row.rates().map(of))
}

/// A row that changes while it is watched.
pub(super) trait HasRates: Sized {
    /// What happens in a second.
    fn rates(&self) -> Option<RatesRow>;

    /// The heads of the columns that are left while it is watched: before its rates, and behind them.
    const KEPT: [&[&str]; 2];
}

impl HasRates for TenantRow {
    const KEPT: [&[&str]; 2] = [&["TENANT", "MACS"], &["FLOODED", "COPIES DROPPED", "DROPPED", "LOOPS"]];

    fn rates(&self) -> Option<RatesRow> {
        self.rates
    }
}

impl HasRates for PeerRow {
    const KEPT: [&[&str]; 2] = [&["PEER", "STATE", "LAST HEARD"], &["DROPPED", "UNSENT", "FAILURES"]];

    fn rates(&self) -> Option<RatesRow> {
        self.rates
    }
}

impl HasRates for PortRow {
    const KEPT: [&[&str]; 2] = [&["PORT"], &["LOST", "DROPPED", "LEFT", "STATE"]];

    fn rates(&self) -> Option<RatesRow> {
        self.rates
    }
}

/// Rows as a table.
pub(super) fn list<R>(columns: &[Column<R>], rows: &[R], none: &str) -> String {
    drawn(&columns.iter().collect::<Vec<_>>(), rows, none)
}

/// Rows as a table of what happens in a second.
pub(super) fn watched<R: HasRates>(columns: &[Column<R>], rows: &[R], none: &str) -> String {
    let [before, behind] = R::KEPT.map(|heads| columns.iter().filter(|column| heads.contains(&column.head)));
    let rates = rates();
    drawn(&before.chain(&rates).chain(behind).collect::<Vec<_>>(), rows, none)
}

fn drawn<R>(columns: &[&Column<R>], rows: &[R], none: &str) -> String {
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    let numbers: Vec<_> = columns.iter().filter(|column| column.is_number).map(|column| column.head).collect();
    let mut table = table(&heads, &numbers);
    for row in rows {
        table.add_row(columns.iter().map(|column| (column.text)(row)));
    }
    finish(&table, rows.len(), none)
}

/// `300 frames/s 2.4 Mbit/s`
pub(in crate::cli) fn rate(frames: u64, a_second: u64) -> String {
    let frames = match (frames, a_second) {
        (0, 1..) => "under 1 frame/s".to_owned(),
        (1, _) => "1 frame/s".to_owned(),
        _ => format!("{frames} frames/s"),
    };
    format!("{frames} {}", bits(a_second))
}

/// `8.0 kbit/s`
pub(in crate::cli) fn bits(a_second: u64) -> String {
    let units = [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s"), (1_000, "kbit/s")];
    match units.into_iter().find(|(unit, _)| a_second >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", a_second / unit, a_second % unit * 10 / unit),
        None => format!("{a_second} bit/s"),
    }
}

/// `leafs (vni 10100)`
fn attachments(row: &TenantRow) -> String {
    let attachments = row.attachments.iter().map(|at| format!("{} ({})", at.attachment, at.segment));
    joined(attachments, "\n").unwrap_or_default()
}

/// `dc2 and ce, held for 43 s`
pub(super) fn loops(row: &TenantRow) -> String {
    let of = |found: &LoopRow| {
        let [a, b] = &found.between;
        match found.held_for {
            Some(seconds) => format!("{a} and {b}, held for {seconds} s"),
            None => format!("{a} and {b}, {} s ago", found.ago),
        }
    };
    or_none(joined(row.loops.iter().map(of), "\n"))
}

/// `static`, `learned 12 s ago`
pub(super) fn source(row: &PeerRow) -> String {
    row.learned_ago.map_or_else(|| row.source.to_string(), |ago| format!("{} {ago} s ago", row.source))
}

/// `up1 02:00:00:00:00:09`
pub(super) fn hops(row: &PeerRow) -> impl Iterator<Item = String> {
    row.next_hops.iter().map(|hop| format!("{} {}", hop.port, hop.mac))
}

/// `12 s ago`
pub(super) fn seconds_ago(seconds: Option<u64>) -> String {
    or_none(seconds.map(|seconds| format!("{seconds} s ago")))
}

/// `1300 (192.0.2.254, 12 s ago)`
pub(super) fn path_mtu(row: &PeerRow) -> Option<String> {
    let mtu = row.path_mtu?;
    let limiting = row.path_mtu_report.as_ref().filter(|report| report.mtu == mtu);
    Some(limiting.map_or_else(|| mtu.to_string(), |report| format!("{mtu} ({}, {} s ago)", report.from, report.ago)))
}

/// What is wrong with a peer, in words.
pub(super) fn failures(row: &PeerRow) -> impl Iterator<Item = String> {
    let silence = row.silent_for.filter(|_| row.state == PeerState::Silent);
    let silence = silence.map(|seconds| format!("frames are sent to it, and for {seconds} s nothing came"));
    row.failures.iter().cloned().chain(unreachable(row)).chain(silence)
}

/// `192.0.2.12 answers: UDP port 4789 unreachable, 3 s ago`
fn unreachable(row: &PeerRow) -> Option<String> {
    let report = row.unreachable.as_ref()?;
    Some(format!("{} answers: {}, {} s ago", report.from, report.what, report.ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_while_it_is_watched_is_a_column() {
        fn check<R: HasRates>(columns: &[Column<R>]) {
            for head in R::KEPT.concat() {
                assert!(columns.iter().any(|column| column.head == head), "{head}");
            }
        }
        check(TENANTS);
        check(PEERS);
        check(PORTS);
    }

    #[test]
    fn a_watched_mapping_shows_what_crosses_it_in_a_second() {
        let row = |from_to_frames, dropped| MappingRow {
            mapping: "m".into(),
            from: "a".into(),
            to: "b".into(),
            ids: 1,
            unmapped_ids: 0,
            from_to_frames,
            to_from_frames: 7,
            copies: 0,
            too_big_answers: 0,
            dropped,
            dropped_unmapped: 0,
        };
        let first = list(WATCHED_MAPPINGS, &watched_mappings(vec![row(100, 5)], None), "none");
        assert!(first.contains("FROM-TO FRAMES/S") && !first.contains("100"), "{first}");
        let ago = Instant::now().checked_sub(std::time::Duration::from_secs(10)).expect("the machine is older");
        let rows = watched_mappings(vec![row(100_100, 25)], Some(&(ago, vec![row(100, 5)])));
        let [there, back, dropped] = rows[0].rates.expect("it was there before");
        assert!((9_000..=10_000).contains(&there) && back == 0 && (1..=2).contains(&dropped), "{there} {dropped}");
    }

    #[test]
    fn a_rate_is_nothing_only_if_nothing_passes() {
        let told = [(0, 0), (0, 536), (1, 800), (300, 2_400_000)].map(|(frames, bits)| rate(frames, bits));
        assert_eq!(
            told,
            ["0 frames/s 0 bit/s", "under 1 frame/s 536 bit/s", "1 frame/s 800 bit/s", "300 frames/s 2.4 Mbit/s"]
        );
    }

    #[test]
    fn bits_are_told_in_the_unit_that_is_read_best() {
        let told = [0, 999, 1_000, 8_050, 2_500_000, 99_999_999_999].map(bits);
        assert_eq!(told, ["0 bit/s", "999 bit/s", "1.0 kbit/s", "8.0 kbit/s", "2.5 Mbit/s", "99.9 Gbit/s"]);
    }
}
