//! What a userspace process over XDP sockets can carry at most: it receives, writes a few constant bytes, and sends,
//! with the sockets of transload and nothing of its pipeline. It learns nothing and spins; it is a yardstick, no gateway.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use transload::io::af_xdp::{Filter, Tags, chunks_for};
use transload::io::arena::Layout;
use transload::io::{Backend, Port, Xdp, open};

use crate::lab::Lab;
use crate::path::{Encapsulation, Path, Side};

use super::{Holder, Running, Why};

/// The word on the command line that makes a process the forwarder.
pub const WORD: &str = "forward";
const BURST: usize = 64;
/// Where the VNI is behind Ethernet, IPv4, UDP and half of VXLAN's header.
const VNI_AT: usize = 14 + 20 + 8 + 4;

/// Ends the process when it is dropped.
pub(super) struct Forwarder(Child);

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn start(lab: &Lab, path: &Path) -> Result<Running, Why> {
    if vnis(path).is_none() {
        return Err(Why::NotAvailable("it knows VXLAN to VXLAN only".into()));
    }
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = lab.gateway.spawn(command.arg(WORD).stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let out = child.stdout.take();
    let running = Running { processes: vec![child.id()], _holder: Holder::Forwarder(Forwarder(child)) };
    let mut line = String::new();
    out.map(|out| BufReader::new(out).read_line(&mut line)).transpose()?;
    if line.is_empty() { Err(Why::NotAvailable("it cannot open XDP sockets here".into())) } else { Ok(running) }
}

fn vnis(path: &Path) -> Option<[u32; 2]> {
    match (path.from.encap, path.to.encap) {
        (Encapsulation::Vxlan { vni: from }, Encapsulation::Vxlan { vni: to }) => Some([from, to]),
        _ => None,
    }
}

/// What the process of its own does, until its standard input ends: that is, no longer than its parent lives.
///
/// # Errors
/// When a port cannot be opened.
pub fn forward() -> io::Result<()> {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let [path, ..] = Path::measured();
    let layout = Layout::xdp(chunks_for(2), 1600);
    let mut arena = layout.arena();
    let (mut pool, umem) = layout.cut(&mut arena);
    let umems = [umem.ok_or_else(|| io::Error::other("the arena has no memory for XDP sockets"))?];
    let port = |side: &Side| -> io::Result<Box<dyn Port<'_> + '_>> {
        let backend = Backend::AfXdp { device: side.device.into() };
        let xdp = Xdp { umems: &umems, filter: Filter { tags: Tags::All, ..Filter::default() } };
        let opened = open(side.device, &backend, 1, Some(xdp)).map_err(io::Error::other)?;
        opened.ports.into_iter().next().ok_or_else(|| io::Error::other("no port"))
    };
    let mut ports = [port(&path.from)?, port(&path.to)?];
    println!("ready");
    let mut burst = Vec::with_capacity(BURST);
    loop {
        for (at, to) in [(0, &path.to), (1, &path.from)] {
            ports[at].rx_burst(&mut pool, &mut burst, BURST)?;
            for frame in &mut burst {
                rewrite(frame.bytes_mut(), to);
            }
            ports[1 - at].tx_burst(&mut pool, &mut burst);
        }
    }
}

/// Readdresses a packet to the far end of a side, with that side's VNI.
fn rewrite(packet: &mut [u8], to: &Side) {
    let Encapsulation::Vxlan { vni } = to.encap else { return };
    if packet.len() < VNI_AT + 4 {
        return;
    }
    packet[..6].copy_from_slice(&to.peer_mac());
    packet[6..12].copy_from_slice(&to.gateway_mac());
    packet[26..30].copy_from_slice(&to.gateway.octets());
    packet[30..34].copy_from_slice(&to.peer.octets());
    packet[VNI_AT..VNI_AT + 4].copy_from_slice(&(vni << 8).to_be_bytes());
}
