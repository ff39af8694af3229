//! The pages of one peer and of one tenant.

use super::lists::{bits, failures, hops, loops, path_mtu, rate, seconds_ago, source};
use super::{or_none, table};
use crate::report::rows::{AttachmentRow, BumRow, PeerDetailRow, RatesRow, TenantDetailRow, TenantRow, Traffic};

/// Most attachments of other tenants' on the page of a peer.
const MOST_SERVED: usize = 40;

/// A line of a page for each: what it is about, and what is to be said of it.
type Lines = Vec<(&'static str, String)>;

pub(super) fn peer(detail: &PeerDetailRow) -> String {
    let row = &detail.row;
    let mut lines: Lines = vec![
        ("state", row.state.to_string()),
        ("source", source(row)),
        ("address", row.address.clone()),
        ("endpoint", row.endpoint.clone()),
        ("encapsulation", format!("{} on {}", row.encap, detail.carrier)),
    ];
    several(&mut lines, "next hop", hops(row));
    lines.push(("path MTU", path_mtu(row).unwrap_or_else(|| "no limit is known".into())));
    several(&mut lines, "wrong", failures(row));
    lines.push(("last heard", heard(row.last_heard)));
    lines.push(("silent for", or_none(row.silent_for.map(|seconds| format!("{seconds} s")))));
    lines.extend(traffic(row.traffic, row.rates));
    lines.push(("flooded", format!("{} of the frames sent, copies of what went to everyone", row.flooded)));
    lines.push(("dropped", format!("{} frames from it", row.dropped)));
    lines.push(("unsent", format!("{} frames to it", row.unsent)));
    let mut served = table(&["TENANT", "ATTACHMENT", "SEGMENT", "TENANT'S MTU"], &["TENANT'S MTU"]);
    for it in detail.serves.iter().take(MOST_SERVED) {
        let mtu = or_none(it.mtu.map(|mtu| mtu.to_string()));
        served.add_row([&it.tenant, &it.attachment, &it.segment, &mtu]);
    }
    let more = (detail.serves.len().saturating_sub(MOST_SERVED)) as u64 + detail.serves_more;
    let more = if more > 0 { format!("\n... and {more} more; --json lists them") } else { String::new() };
    let served = if detail.serves.is_empty() {
        "No tenant has an attachment to it.".to_owned()
    } else {
        format!("{}{more}", served.trim_fmt())
    };
    format!("peer {}\n{}\n\n{served}", row.peer, drawn(&lines))
}

pub(super) fn tenant(detail: &TenantDetailRow) -> String {
    let row = &detail.row;
    let TenantDetailRow { mac_reserve, table_macs, table_room, ageing, .. } = detail;
    let mut lines: Lines = vec![
        ("MACs", format!("{} of at most {}; {mac_reserve} are kept for it", row.macs, row.mac_limit)),
        ("MAC table", format!("{table_macs} of {table_room}, of all tenants; forgotten after {ageing} s of silence")),
    ];
    if let Some(refused) = refused(row) {
        lines.push(("not learned", refused));
    }
    lines.push(("moves", format!("{}, and {} frames from MACs that are held elsewhere", row.moved, row.held_moves)));
    lines.push(("loops", loops(row)));
    several(&mut lines, "copies", detail.bum.iter().map(bum));
    lines.extend(traffic(row.traffic, row.rates));
    lines.push(("flooded", format!("{} frames; {} copies were not made", row.flooded, row.copies_dropped)));
    lines.push(("dropped", format!("{} frames and copies", row.dropped)));
    lines.push(("too big", format!("{} frames whose sender got an ICMP error", row.too_big_answers)));
    format!("tenant {}\n{}\n\n{}", row.tenant, drawn(&lines), attachments(detail))
}

fn attachments(detail: &TenantDetailRow) -> String {
    let heads = [
        "ATTACHMENT",
        "SEGMENT",
        "VIA",
        "MTU",
        "LAST HEARD",
        "RX FRAMES",
        "RX RATE",
        "TX FRAMES",
        "TX RATE",
        "DROPPED",
    ];
    let mut table = table(&heads, &heads[3..]);
    for it in &detail.row.attachments {
        let rate = |of: fn(RatesRow) -> u64| or_none(it.rates.map(|rates| bits(of(rates))));
        table.add_row([
            it.attachment.clone(),
            it.segment.clone(),
            via(it),
            or_none(detail.mtus.get(&it.attachment).map(ToString::to_string)),
            seconds_ago(it.last_heard),
            it.traffic.rx_frames.to_string(),
            rate(|rates| rates.rx_bits),
            it.traffic.tx_frames.to_string(),
            rate(|rates| rates.tx_bits),
            it.dropped.to_string(),
        ]);
    }
    table.trim_fmt()
}

/// The first peers behind an attachment, and how many there are.
fn via(row: &AttachmentRow) -> String {
    const MOST: usize = 4;
    let first = row.via.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match row.via.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn refused(row: &TenantRow) -> Option<String> {
    let TenantRow { over_mac_limit, table_full, .. } = row;
    (over_mac_limit + table_full > 0)
        .then(|| format!("{over_mac_limit} MACs, being over the limit; {table_full} for want of room in the table"))
}

/// `broadcast: at most 1000 a second for each attachment, 12 % of that used`
fn bum(row: &BumRow) -> String {
    match row.limit {
        None => format!("{}: no limit", row.class),
        Some(limit) => {
            format!("{}: at most {limit} a second for each attachment, {} % used", row.class, row.used.div_ceil(10))
        }
    }
}

fn heard(seconds: Option<u64>) -> String {
    if seconds.is_none() { "never".into() } else { seconds_ago(seconds) }
}

fn traffic(counts: Traffic, rates: Option<RatesRow>) -> [(&'static str, String); 2] {
    let Traffic { rx_frames, rx_bytes, tx_frames, tx_bytes } = counts;
    let now = |of: fn(RatesRow) -> [u64; 2]| {
        let now = rates.map(of).map(|[frames, bits]| format!("; now {}", rate(frames, bits)));
        now.unwrap_or_default()
    };
    let (rx, tx) = (now(|now| [now.rx_frames, now.rx_bits]), now(|now| [now.tx_frames, now.tx_bits]));
    [
        ("received", format!("{rx_frames} frames, {rx_bytes} bytes{rx}")),
        ("sent", format!("{tx_frames} frames, {tx_bytes} bytes{tx}")),
    ]
}

/// A line for each, of which only the first says what they are about; none without any.
fn several(lines: &mut Lines, about: &'static str, all: impl Iterator<Item = String>) {
    lines.extend(all.enumerate().map(|(at, text)| (if at == 0 { about } else { "" }, text)));
}

fn drawn(lines: &Lines) -> String {
    let width = lines.iter().map(|(about, _)| about.len()).max().unwrap_or(0);
    let lines: Vec<_> = lines.iter().map(|(about, text)| format!("  {about:width$}  {text}")).collect();
    lines.join("\n")
}
