//! `transload replay`: captures through the production pipeline, without a device and without a privilege.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::control::compile::{Names, placeholder_hops};
use crate::control::replay::{self, Input};

/// Sends captures through the gateway on the captures' own clock.
///
/// Writes DIR/PORT.pcap for each port that sent frames, and a summary as JSON to stdout. Needs no privilege and looks
/// at no device: a port without `mac` accepts tunnel packets to any address and sends from 02:74:6c:70:00:NN, and a
/// peer without `next_hops` is reached by 02:74:6e:00:00:NN. A port without `mtu` carries frames of any length. Two
/// runs are bit-identical.
#[derive(Debug, Args)]
pub struct Replay {
    /// The configuration
    file: PathBuf,
    /// A capture (pcap or pcapng, Ethernet), and the port its frames arrive at; may be repeated
    #[arg(long = "in", value_name = "PORT=FILE", required = true, value_parser = capture)]
    inputs: Vec<(String, PathBuf)>,
    /// Where the captures of what the ports sent go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn capture(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((port, file)) if !port.is_empty() && !file.is_empty() => Ok((port.to_owned(), file.into())),
        _ => Err("write the port, `=`, and the capture: up1=frames.pcap".to_owned()),
    }
}

impl Replay {
    /// Runs the verb.
    ///
    /// # Errors
    /// When the configuration or a capture is bad, or the output cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        let mut plan = super::plan(&self.file)?;
        placeholder_hops(&mut plan);
        let inputs: Result<Vec<_>, _> =
            self.inputs.into_iter().map(|(port, file)| input(&plan.names, port, file)).collect();
        let report = replay::replay(plan, &inputs?, &self.out).map_err(Failure::words)?;
        super::print_json(&report)
    }
}

fn input(names: &Names, port: String, file: PathBuf) -> Result<Input, Failure> {
    match names.port_id(&port) {
        Some(port) => Ok(Input { port, file }),
        None => {
            let known: Vec<_> = names.ports().map(|(_, name)| name).collect();
            Err(Failure::words(format!("the configuration has no port `{port}`; its ports are {}", known.join(", "))))
        }
    }
}
