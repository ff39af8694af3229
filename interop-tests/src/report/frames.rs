//! What was on the cables while a case ran: a few frames of each cell, decoded by us and by tshark.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use transload::explain::{Decoded, dissect};
use transload::io::pcap::{CaptureWriter, Record};
use transload_encaps::Kind;
use transload_lab::host::output;
use transload_lab::skip;

use crate::cases::Place;
use crate::runner::{CaseRun, Cell};
use crate::testbed::{Family, Site, Stack, Tape, Tenant, Underlay};

/// Most frames of a case, and of one of its cells at one site.
const PER_CASE: usize = 24;
const PER_SITE: usize = 2;
/// A super-frame is shown as far as its headers go.
const SHOWN: usize = 256;

/// A frame that was on a cable.
#[derive(Debug, Serialize)]
pub struct WireFrame {
    /// The site whose tunnel it is of.
    pub site: String,
    /// The sites of the cell.
    pub cell: String,
    /// Microseconds since the cell began.
    pub micros: u64,
    /// Its length on the wire, in bytes.
    pub len: u32,
    /// Its first bytes in hex.
    pub hex: String,
    /// Our own decode.
    pub decoded: Decoded,
    /// tshark's: one line.
    pub tshark: Option<String>,
    #[serde(skip)]
    record: Record,
}

/// The frames of every case, by its name.
///
/// # Errors
/// When a capture cannot be read. Without tshark its decode is left out.
pub fn collect(runs: &[CaseRun], tapes: &[Tape], scratch: &Path) -> io::Result<BTreeMap<&'static str, Vec<WireFrame>>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut records: BTreeMap<Stack, Vec<Record>> = BTreeMap::new();
    for tape in tapes {
        records.entry(tape.stack).or_default().extend(tape.frames(0, u64::MAX)?);
    }
    for of_stack in records.values_mut() {
        of_stack.sort_by_key(|record| record.stamp);
    }
    for run in runs {
        let mut frames = Vec::new();
        let mut shown: BTreeMap<String, usize> = BTreeMap::new();
        for cell in &run.cells {
            pick(cell, &records, &mut shown, &mut frames);
        }
        all.insert(run.case.name, frames);
    }
    // Who has no tshark still has a report.
    if skip::tshark().is_ok() {
        let frames: Vec<_> = all.values_mut().flatten().collect();
        let lines = lines(&frames, scratch)?;
        for (frame, line) in frames.into_iter().zip(lines) {
            frame.tshark = Some(line);
        }
    }
    Ok(all)
}

fn pick(
    cell: &Cell,
    records: &BTreeMap<Stack, Vec<Record>>,
    shown: &mut BTreeMap<String, usize>,
    frames: &mut Vec<WireFrame>,
) {
    let Place::Site(from, to) = &cell.place else { return };
    let words = to.as_ref().map_or_else(|| from.name.clone(), |to| format!("{from} to {to}"));
    for site in std::iter::once(from).chain(to) {
        let of_stack = records.get(&site.stack).map_or(&[][..], Vec::as_slice);
        let begin = of_stack.partition_point(|record| record.stamp < cell.span.0);
        let during = of_stack[begin..].iter().take_while(|record| record.stamp <= cell.span.1);
        let hosts: Vec<_> = std::iter::once(from).chain(to).map(|site| mac(&site.mac())).collect();
        let wanted = during.filter(|record| {
            let head = &record.bytes[..record.bytes.len().min(128)];
            is_of(site, head) && hosts.iter().any(|mac| contains(head, mac)) && !contains(head, &[0x33, 0x33, 0, 0, 0])
        });
        for record in wanted {
            let already = shown.entry(site.name.clone()).or_default();
            if *already >= PER_SITE || frames.len() >= PER_CASE {
                break;
            }
            *already += 1;
            frames.push(frame(site, &words, cell.span.0, record));
        }
    }
}

fn frame(site: &Site, cell: &str, begin: u64, record: &Record) -> WireFrame {
    let head = &record.bytes[..record.bytes.len().min(SHOWN)];
    WireFrame {
        site: site.name.clone(),
        cell: cell.to_owned(),
        micros: record.stamp.saturating_sub(begin) / 1000,
        len: record.original_len,
        hex: hex(head),
        decoded: dissect(&record.bytes, kind(site)),
        tshark: None,
        record: record.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn kind(site: &Site) -> Option<Kind> {
    match site.family() {
        Family::Vxlan => Some(Kind::Vxlan),
        Family::Nvgre => Some(Kind::Nvgre),
        Family::Gre => Some(Kind::Gre),
        Family::Tags => None,
    }
}

/// Whether a frame is of a site's tunnel: by its addresses, or by its tag.
fn is_of(site: &Site, head: &[u8]) -> bool {
    if site.underlay == Underlay::Cable {
        let tags = [site.s_vid(), site.id(Tenant::Blue), site.id(Tenant::Red)];
        let tci = head.get(14..16).map(|tci| u32::from(u16::from_be_bytes([tci[0], tci[1]]) & 0x0fff));
        return tci.is_some_and(|vid| tags.contains(&vid)) && matches!(head.get(12), Some(0x81 | 0x88));
    }
    let address = |text: &String| match text.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(std::net::IpAddr::V6(address)) => address.octets().to_vec(),
        Err(_) => vec![],
    };
    let carrier = if site.family() == Family::Vxlan { &[0x12, 0xb5][..] } else { &[0x65, 0x58] };
    contains(head, &address(&site.addresses.0))
        && contains(head, &address(&site.addresses.1))
        && contains(head, carrier)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    !wanted.is_empty() && bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn mac(text: &str) -> Vec<u8> {
    text.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// What tshark says of each frame, in their order: protocols, and what it read of the tunnel.
fn lines(frames: &[&mut WireFrame], scratch: &Path) -> io::Result<Vec<String>> {
    let capture = scratch.join("frames.pcap");
    let mut writer = CaptureWriter::create(&capture)?;
    for (at, frame) in frames.iter().enumerate() {
        writer.write(at as u64, &frame.record.bytes)?;
    }
    writer.finish()?;
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&capture).args(["-n", "-T", "fields", "-E", "separator=;"]);
    for field in ["frame.protocols", "vxlan.vni", "gre.key", "vlan.id", "_ws.col.Info"] {
        command.args(["-e", field]);
    }
    Ok(output(&mut command)?.lines().map(said).collect())
}

/// The fields of a line with their names; what is not there is left out.
fn said(line: &str) -> String {
    let names = ["", "vni ", "key ", "vid ", ""];
    let fields = line.splitn(names.len(), ';').zip(names).filter(|(field, _)| !field.is_empty());
    fields.map(|(field, name)| format!("{name}{field}")).collect::<Vec<_>>().join(" · ")
}
