//! A capture as text: a line for each sighting of a frame.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write as _};
use std::net::IpAddr;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use transload_encaps::words::type_name;
use transload_encaps::{Mac, ethernet, outer};

use super::Failure;
use super::capture::{CaptureCounts, ended_early};
use super::render::{printable, written};
use crate::logging::utc;

/// Prints a line for each sighting until the capture ends; none of its counts when nobody reads them.
pub(super) fn lines(capture: impl Read) -> Result<Option<CaptureCounts>, Failure> {
    let unreadable =
        |error: pcap_file::PcapError| Failure::new(format!("the gateway's answer cannot be read: {error}"));
    let mut reader = PcapNgReader::new(capture).map_err(|_| ended_early())?;
    let (mut names, mut seen) = (Vec::new(), CaptureCounts::default());
    let mut out = std::io::stdout();
    while let Some(block) = reader.next_block() {
        match block {
            Ok(Block::InterfaceDescription(interface)) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                names.push(name.unwrap_or_default());
            }
            Ok(Block::EnhancedPacket(packet)) => {
                let name = names.get(packet.interface_id as usize).map_or("", String::as_str);
                seen.packets += 1;
                let text = line(&packet, name);
                match writeln!(out, "{}", printable(&text)) {
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(None),
                    outcome => written(outcome)?,
                }
            }
            Ok(Block::InterfaceStatistics(counts)) => {
                for option in &counts.options {
                    match option {
                        InterfaceStatisticsOption::Comment(why) if seen.ended.is_none() => {
                            seen.ended = Some(why.to_string());
                        }
                        InterfaceStatisticsOption::IsbIfDrop(missed) => seen.missed = seen.missed.max(*missed),
                        _ => {}
                    }
                }
            }
            Ok(_) => {}
            Err(pcap_file::PcapError::IncompleteBuffer) => break,
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(Some(seen))
}

/// `2026-11-30T12:00:00.123456Z in up1: 02:00:00:00:00:01 > 02:00:00:00:00:02 IPv4 192.0.2.9 > 192.0.2.1, 148 bytes: frame 17 ..`
fn line(packet: &EnhancedPacketBlock<'_>, interface: &str) -> String {
    let (mut comment, mut way) = ("", "at");
    for option in &packet.options {
        match option {
            EnhancedPacketOption::Comment(text) => comment = text,
            EnhancedPacketOption::Flags(flags) if flags & 3 == 1 => way = "in",
            EnhancedPacketOption::Flags(flags) if flags & 3 == 2 => way = "out",
            _ => {}
        }
    }
    let at = utc(packet.timestamp.as_nanos() as u64);
    format!("{at} {way} {interface}: {}, {} bytes: {comment}", headers(&packet.data), packet.original_len)
}

/// `02:00:00:00:00:01 > 02:00:00:00:00:02 VLAN 5 IPv4 10.0.0.1 > 10.0.0.2`
fn headers(frame: &[u8]) -> String {
    let Some((to, from)) = ethernet::addresses(frame) else { return "no Ethernet header".to_owned() };
    let mut text = format!("{} > {}", Mac::from_bits(from), Mac::from_bits(to));
    let mut at = ethernet::ADDRESSES_LEN;
    while let (Some(kind), Some(tag)) = (ethernet::be16(frame, at), ethernet::be16(frame, at + 2)) {
        if !ethernet::is_tag(kind) {
            break;
        }
        let _ = write!(text, " VLAN {}", tag & 0x0fff);
        at += ethernet::TAG_LEN;
    }
    let Some((kind, at)) = ethernet::payload(frame) else { return text };
    text += &type_name(kind).map_or_else(|| format!(" {kind:#06x}"), |name| format!(" {name}"));
    let ends: Option<(IpAddr, IpAddr)> = outer::ip_source(frame, at).zip(outer::ip_destination(frame, at));
    if let Some((from, to)) = ends.filter(|_| matches!(kind, ethernet::IPV4 | ethernet::IPV6)) {
        let _ = write!(text, " {from} > {to}");
    }
    text
}
