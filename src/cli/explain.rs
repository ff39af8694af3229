//! `transload explain`: one frame through the production pipeline, and the reason for each step.

use std::path::{Path, PathBuf};

use super::Failure;
use super::dump;
use super::host_names::{GivenNames, all_resolved};
use super::render::{output, problems_of, tell};
use crate::compile::compile_with_origins;
use crate::explain::{self, NotLearned};
use crate::forwarding::PortId;
use crate::io::memory::Packet;
use crate::io::pcap::{Capture, Record};
use crate::offline::captured::{self, Captured};
use crate::offline::{self, Offline};

/// Nanoseconds of the gateway's clock when a frame from the command line arrives.
const NOW: u64 = 1_000_000_000_000;

/// The first line is the answer. Looks at no device and needs no privilege: a port without `mac` takes tunnel packets
/// to any address, a peer without `next_hops` is reached by 02:74:6e and its number, as in `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The gateway's file
    file: PathBuf,
    /// The port the frame arrives at
    #[arg(long)]
    port: String,
    /// The frame in hex, from the destination MAC on; or its dump by `xxd`, `od -tx1`, `hexdump -C`, `tcpdump -xx`,
    /// `tshark -x` or `explain` itself
    #[arg(long, value_name = "HEX", value_parser = bytes, required_unless_present = "pcap", conflicts_with = "pcap")]
    frame: Option<Bytes>,
    /// A capture (pcap or pcapng, Ethernet) that has the frame
    #[arg(long, value_name = "FILE", requires = "packet")]
    pcap: Option<PathBuf>,
    /// Which packet of the capture, counted from 1; those before it arrive first, so that the gateway has learned
    /// what it would have
    #[arg(long, value_name = "N", requires = "pcap", value_parser = packet_number)]
    packet: Option<u64>,
    /// Leave out the packets before it
    #[arg(long, requires = "pcap")]
    alone: bool,
    /// An address that has been learned already; of a group: TENANT/MAC=ATTACHMENT/ADDRESS. May be repeated
    #[arg(long, value_name = "TENANT/MAC=ATTACHMENT")]
    learned: Vec<String>,
    #[command(flatten)]
    names: GivenNames,
    /// Print the same as JSON
    #[arg(long)]
    json: bool,
}

fn packet_number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("packets are counted from 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// A frame as the command line has it.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

fn bytes(text: &str) -> Result<Bytes, String> {
    dump::read(text).map(Bytes)
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.names.load(&args.file)?;
    let (plan, origins) = compile_with_origins(&config)?;
    all_resolved(&plan)?;
    problems_of(&plan.warnings);
    let port = plan.names.port_id(&args.port).ok_or_else(|| {
        let known: Vec<_> = plan.names.ports().map(|(_, name)| name).collect();
        let help = format!("its ports: {}", known.join(", "));
        Failure::with_help(format!("the configuration has no port `{}`", args.port), help)
    })?;
    let mut arena = offline::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    let ((packet, seen), now) = match (&args.frame, &args.pcap) {
        (Some(Bytes(bytes)), _) => (captured::of_bytes(&gateway.shared().forwarding.load(), port, bytes.clone()), NOW),
        (None, Some(file)) => from_capture(&mut gateway, port, file, args)?,
        (None, None) => return Err(Failure::new("there is no frame: give --frame or --pcap")),
    };
    for remark in seen.remarks() {
        tell(&remark);
    }
    for learned in &args.learned {
        let told = |NotLearned { message, help }| Failure::with_help(message, help);
        explain::learn(&gateway, learned, now).map_err(told)?;
    }
    let told = explain::explain(&mut gateway, &origins, port, packet, now);
    if args.json {
        return output(&serde_json::to_string_pretty(&told).map_err(|error| Failure::new(error.to_string()))?);
    }
    output(&explain::text(&told))
}

/// The packet of the capture, with what is to be said of it, and when it arrives; those before it have gone through the
/// gateway.
fn from_capture(
    gateway: &mut Offline<'_>,
    port: PortId,
    file: &Path,
    args: &Args,
) -> Result<((Packet, Captured), u64), Failure> {
    let wanted = args.packet.unwrap_or(1);
    let capture = Capture::open(file).map_err(|error| Failure::new(error.to_string()))?;
    let (mut count, mut clock) = (0, 0);
    for record in capture {
        let record: Record = record.map_err(|error| Failure::new(error.to_string()))?;
        count += 1;
        clock = record.stamp.max(clock);
        let tables = gateway.shared().forwarding.load_full();
        if count == wanted {
            return Ok((captured::of_record(&tables, port, record), clock));
        }
        if !args.alone
            && let Some(packet) = Captured::default().arrival(&tables, port, record)
        {
            gateway.receive(port, packet, clock);
            (0..).map_while(|id| gateway.port(PortId::new(id))).for_each(|port| drop(port.collect()));
        }
    }
    let message = format!("{} has {count} packets, so there is no packet {wanted}", file.display());
    Err(Failure::with_help(message, "packets are counted from 1"))
}
