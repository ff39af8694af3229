//! A TCP stream between two hosts of the kernel, with a gateway between them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use transload_lab::{Host, Namespace};

use super::ends::End;
use crate::cpus;
use crate::lab::Lab;
use crate::path::{Path, Side};
use crate::systems::Why;
use crate::traffic::Station;

const LEFT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const PORT: u16 = 5001;
const PATIENCE: Duration = Duration::from_secs(5);
const CHUNK: usize = 1 << 17;

/// What one TCP connection carried.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Bits per second that the receiver got.
    pub rate: f64,
    /// What the receiving host had as its end of the tunnel.
    pub far_end: &'static str,
}

/// Furnishes the ends of the lab with hosts and measures a stream from the first to the second.
///
/// # Errors
/// When this kernel has nothing that could be one of the ends, or nothing comes through.
pub fn stream(lab: &Lab, path: &Path, offloads: bool, time: Duration) -> Result<Stream, Why> {
    let right = lab.beyond.as_ref().ok_or_else(|| io::Error::other("this lab has no hosts"))?;
    let station = |side: &Side, address| Station { mac: side.peer_mac(), address };
    let (from, to) = (station(&path.from, LEFT), station(&path.to, RIGHT));
    let near_end = End::furnish(&lab.outside, &path.from, from, to)?;
    let far_end = End::furnish(right, &path.to, to, from)?;
    switch_offloads(&lab.outside, &path.from, &near_end, offloads)?;
    switch_offloads(right, &path.to, &far_end, offloads)?;
    let rate = thread::scope(|scope| {
        let far = scope.spawn(|| right.enter(receive));
        let sent = lab.outside.enter(|| send(time));
        let received = far.join().map_err(|_| io::Error::other("the receiver panicked"))?;
        sent.and(received)
    })?;
    Ok(Stream { rate, far_end: far_end.name() })
}

fn switch_offloads(host: &Namespace, side: &Side, end: &End, on: bool) -> io::Result<()> {
    let onoff = if on { "on" } else { "off" };
    for device in [side.outside, end.device(side)] {
        // Not every device has all of them.
        for features in ["tx", "tso", "gso", "gro", "txvlan", "tx-vlan-stag-hw-insert"] {
            host.sh(&format!("ethtool -K {device} {features} {onoff} >/dev/null 2>&1 || true"))?;
        }
    }
    Ok(())
}

/// Takes one connection. Returns how many bits a second it carried.
fn receive() -> io::Result<f64> {
    cpus::pin(cpus::GENERATOR)?;
    let listener = TcpListener::bind((RIGHT, PORT))?;
    listener.set_nonblocking(true)?;
    let end = Instant::now() + PATIENCE;
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    };
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut bytes, mut all, begin) = (vec![0; CHUNK], 0_u64, Instant::now());
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(8.0 * all as f64 / begin.elapsed().as_secs_f64()),
            count => all += count as u64,
        }
    }
}

fn send(time: Duration) -> io::Result<f64> {
    cpus::pin(cpus::GENERATOR)?;
    let mut stream = connect(SocketAddr::from((RIGHT, PORT)))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (bytes, begin) = (vec![0; CHUNK], Instant::now());
    while begin.elapsed() < time {
        stream.write_all(&bytes)?;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(0.0)
}

/// The receiver may be a moment late.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&to, PATIENCE) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < end => {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}
