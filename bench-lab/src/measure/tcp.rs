//! A TCP stream between two hosts of the kernel, with a gateway between them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use transload_interop_tests::Host;
use transload_interop_tests::peers::Namespace;

use crate::cpus;
use crate::lab::Lab;
use crate::path::{Encapsulation, Path, Side};
use crate::systems::{Why, device, missing};

const LEFT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const PORT: u16 = 5001;
/// Of the tenant's packets: what fits into any tunnel of the lab.
const MTU: u16 = 1450;
const PATIENCE: Duration = Duration::from_secs(5);
const CHUNK: usize = 1 << 17;

/// Furnishes the ends of the lab with hosts and measures a stream from the first to the second.
///
/// # Errors
/// When this kernel has no device for one side, or nothing comes through.
pub fn bits_per_second(lab: &Lab, path: &Path, offloads: bool, time: Duration) -> Result<f64, Why> {
    let right = lab.beyond.as_ref().ok_or_else(|| io::Error::other("this lab has no hosts"))?;
    let hosts = [(&lab.outside, &path.from, LEFT), (right, &path.to, RIGHT)];
    for (host, side, address) in hosts {
        furnish(host, side, address, offloads)?;
    }
    Ok(thread::scope(|scope| {
        let far = scope.spawn(|| right.enter(receive));
        let sent = lab.outside.enter(|| send(time));
        let received = far.join().map_err(|_| io::Error::other("the receiver panicked"))?;
        sent.and(received)
    })?)
}

fn furnish(host: &Namespace, side: &Side, address: Ipv4Addr, offloads: bool) -> Result<(), Why> {
    let end = side.mirrored();
    let (cable, peer, mac) = (end.device, end.peer, crate::path::text(side.gateway_mac()));
    if !matches!(side.encap, Encapsulation::QinQ { .. }) {
        host.sh(&format!(
            "ip addr replace {}/24 dev {cable}; ip neigh replace {peer} lladdr {mac} dev {cable} nud permanent",
            end.gateway
        ))?;
    }
    // A measurement that failed may have left it.
    host.sh("ip link del tenant 2>/dev/null || true")?;
    host.sh(&device(&end, "tenant")).map_err(|error| missing(side, error))?;
    let onoff = if offloads { "on" } else { "off" };
    host.sh(&format!("ip link set tenant mtu {MTU} up; ip addr add {address}/24 dev tenant"))?;
    for device in [cable, "tenant"] {
        host.sh(&format!(
            "ethtool -K {device} tx {onoff} tso {onoff} gso {onoff} gro {onoff} >/dev/null 2>&1 || true"
        ))?;
    }
    Ok(())
}

/// Takes one connection and gives back how many bits a second it carried.
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
