//! `transload replay`: captures through the production pipeline, without a device and without a privilege.

use std::path::PathBuf;

use super::Failure;
use super::host_names::{GivenNames, all_resolved};
use super::render::{output, problems_of, tell};
use crate::compile::{Names, Numbers, compile};
use crate::offline::replay::{self, Input};

/// Writes DIR/PORT.pcap for each port that sent frames, and a summary as JSON to stdout. Needs no privilege and looks
/// at no device: a port without `mac` accepts tunnel packets to any address and sends from 02:74:6c:70 and its
/// number, and a peer without `next_hops` is reached by 02:74:6e and its number. A port without `mtu` carries frames
/// of any length. Two runs are bit-identical.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    file: PathBuf,
    /// A capture (pcap or pcapng, Ethernet), and the port its frames arrive at; may be repeated
    #[arg(long = "in", value_name = "PORT=FILE", required = true, value_parser = capture)]
    inputs: Vec<(String, PathBuf)>,
    #[command(flatten)]
    names: GivenNames,
    /// Where the captures of what the ports sent go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn capture(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((port, file)) if !port.is_empty() && !file.is_empty() => Ok((port.to_owned(), file.into())),
        _ => Err("write the port, `=`, and the capture: up1=frames.pcap".to_owned()),
    }
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.names.load(&args.file)?;
    let plan = compile(&config, &Numbers::default(), None)?;
    all_resolved(&plan)?;
    problems_of(&plan.warnings);
    let inputs: Result<Vec<_>, _> =
        args.inputs.iter().map(|(port, file)| input(&plan.names, port, file.clone())).collect();
    let report = replay::replay(plan, &inputs?, &args.out).map_err(|error| Failure::new(error.to_string()))?;
    report.captured.remarks().iter().for_each(|remark| tell(remark));
    let summary = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))?;
    output(&summary)
}

fn input(names: &Names, port: &str, file: PathBuf) -> Result<Input, Failure> {
    names.port_id(port).map(|port| Input { port, file }).ok_or_else(|| {
        let known: Vec<_> = names.ports().map(|(_, name)| name).collect();
        Failure::with_help(
            format!("the configuration has no port `{port}`"),
            format!("its ports: {}", known.join(", ")),
        )
    })
}
