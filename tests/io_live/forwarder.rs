//! TCP between kernels whose offloads are left on, through a forwarder made of two ports.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use transload::dataplane::offload::segments;
use transload::io::{Backend, open};
use transload_encaps::{Frame, HEADROOM, checksum};
use transload_lab::PATIENCE;

use crate::lab::{Namespace, Place, may_make_taps, namespaces};
use crate::wire::Wire;

const AMOUNT: usize = 3_000_000;
const PORT: u16 = 7777;

/// What the forwarder does to a frame.
#[derive(Clone, Copy)]
enum Deed {
    /// Nothing: super-frames leave as they came.
    Whole,
    /// Cuts and finishes.
    Cut,
    /// Takes a VXLAN frame out of its 50 bytes of headers, cuts and finishes what was inside, and puts it back.
    CutInside,
}

/// Moves what has come to one wire out by the other; returns how many super-frames there were.
fn forward(from: &mut Wire, to: &mut Wire, deed: Deed) -> usize {
    let (mut burst, mut out) = (Vec::new(), Vec::new());
    from.port.rx_burst(&mut from.pool, &mut burst, 64).expect("the port works");
    let supers = burst.iter().filter(|frame| frame.meta.gso.is_some()).count();
    for mut frame in burst {
        let outer = match deed {
            Deed::CutInside if is_vxlan(&frame) => frame.pull::<50>().ok(),
            _ => None,
        };
        match deed {
            Deed::Whole => {
                let mut copy = to.pool.take(HEADROOM).expect("a chunk");
                assert!(copy.copy_from(&frame));
                out.push(copy);
            }
            Deed::Cut => segments(&frame, &mut to.pool, HEADROOM, |segment| out.push(segment)).expect("cut"),
            Deed::CutInside => segments(&frame, &mut to.pool, HEADROOM, |mut segment| {
                if let Some(outer) = outer {
                    wrap(&mut segment, outer);
                }
                out.push(segment);
            })
            .expect("cut"),
        }
        from.pool.put(frame);
        to.port.tx_burst(&mut to.pool, &mut out);
    }
    supers
}

fn is_vxlan(frame: &Frame<'_>) -> bool {
    let bytes = frame.bytes();
    bytes.get(12..14) == Some(&[8, 0]) && bytes.get(23) == Some(&17) && bytes.get(36..38) == Some(&[0x12, 0xb5])
}

/// Outer Ethernet, IPv4 and UDP with the inner frame's length, and no UDP checksum.
fn wrap(frame: &mut Frame<'_>, mut outer: [u8; 50]) {
    let len = frame.len() as u16;
    outer[16..18].copy_from_slice(&(36 + len).to_be_bytes());
    outer[24..26].fill(0);
    let sum = checksum::of(&outer[14..34]);
    outer[24..26].copy_from_slice(&sum.to_be_bytes());
    outer[38..40].copy_from_slice(&(16 + len).to_be_bytes());
    outer[40..42].fill(0);
    frame.prepend(&outer).expect("headroom");
}

/// Runs the forwarder while `from` sends a file to `to`; returns how many super-frames it saw.
fn transfer(mut left: Wire, mut right: Wire, deed: Deed, from: &Namespace, to: (&Namespace, &str)) -> usize {
    let (done, supers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = SocketAddr::new(to.1.parse::<IpAddr>().expect("an address"), PORT);
    thread::scope(|scope| {
        let listener = to.0.run(|| TcpListener::bind(address).expect("binds"));
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let seen = forward(&mut left, &mut right, deed) + forward(&mut right, &mut left, deed);
                supers.fetch_add(seen, Ordering::Relaxed);
            }
        });
        let received = scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).map(|_| all)
        });
        let sent: Vec<u8> = (0..AMOUNT).map(|n| (n / 251) as u8 ^ n as u8).collect();
        let result = from.run(|| -> std::io::Result<()> {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(&sent)?;
            stream.shutdown(Shutdown::Write)
        });
        // A connection that was never made would leave the receiver waiting.
        if result.is_err() {
            drop(to.0.run(|| TcpStream::connect(address)));
        }
        let received = received.join().expect("no panic");
        done.store(true, Ordering::Relaxed);
        result.expect("everything was sent");
        assert!(received.expect("everything was received") == sent, "and it is the same");
    });
    supers.into_inner()
}

/// Two hosts with a gateway between them: 10.9.0.1 and .2, `fd09::1` and `::2`.
fn world(a: &Namespace, gw: &Namespace, b: &Namespace) -> (Wire, Wire) {
    gw.join("left", a, "v0");
    gw.join("right", b, "v0");
    for (host, n) in [(a, 1), (b, 2)] {
        host.ip(&format!("addr add 10.9.0.{n}/24 dev v0"));
        host.ip(&format!("addr add fd09::{n}/64 dev v0 nodad"));
    }
    gw.run(|| (Wire::open("left"), Wire::open("right")))
}

#[test]
fn tcp_passes_in_super_frames() {
    namespaces!("tcp_passes_in_super_frames": a, gw, b);
    let (left, right) = world(&a, &gw, &b);
    assert!(transfer(left, right, Deed::Whole, &a, (&b, "10.9.0.2")) > 0);
}

#[test]
fn tcp_passes_cut_into_segments() {
    namespaces!("tcp_passes_cut_into_segments": a, gw, b);
    let (left, right) = world(&a, &gw, &b);
    assert!(transfer(left, right, Deed::Cut, &a, (&b, "10.9.0.2")) > 0);
}

#[test]
fn tcp_over_ipv6_passes_cut_into_segments() {
    namespaces!("tcp_over_ipv6_passes_cut_into_segments": a, gw, b);
    let (left, right) = world(&a, &gw, &b);
    assert!(transfer(left, right, Deed::Cut, &a, (&b, "fd09::2")) > 0);
}

#[test]
fn tcp_inside_the_kernels_vxlan_is_cut_inside() {
    namespaces!("tcp_inside_the_kernels_vxlan_is_cut_inside": a, gw, b);
    let (left, right) = world(&a, &gw, &b);
    for (host, n, far) in [(&a, 1, 2), (&b, 2, 1)] {
        host.ip(&format!("link add vx type vxlan id 7 dstport 4789 local 10.9.0.{n} remote 10.9.0.{far} udpcsum"));
        host.ip("link set vx up");
        host.ip(&format!("addr add 10.8.0.{n}/24 dev vx"));
    }
    assert!(transfer(left, right, Deed::CutInside, &a, (&b, "10.8.0.2")) > 0);
}

#[test]
fn tcp_passes_between_a_tap_and_a_device() {
    namespaces!("tcp_passes_between_a_tap_and_a_device": gw, b);
    if !may_make_taps("tcp_passes_between_a_tap_and_a_device") {
        return;
    }
    gw.join("right", &b, "v0");
    b.ip("addr add 10.9.0.2/24 dev v0");
    for (deed, device) in [(Deed::Whole, "tap0"), (Deed::Cut, "tap1")] {
        let (tap, right) = gw.run(|| {
            let mut opened = open("host", &Backend::Tap { device: device.into() }, 1, None).expect("opens");
            (Wire::new(opened.ports.remove(0)), Wire::open("right"))
        });
        gw.ip("addr flush scope global");
        gw.ip(&format!("addr add 10.9.0.1/24 dev {device}"));
        assert!(transfer(tap, right, deed, &gw, (&b, "10.9.0.2")) > 0);
    }
}
