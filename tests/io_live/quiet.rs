//! What the machine's own stack says, and does not say, about packets that are the gateway's.

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use transload::io::memory::Packet;
use transload::io::quiet::{Quiet, UdpListener, Unheard};
use transload_encaps::checksum;
use transload_encaps::outer::pseudo_header;
use transload_lab::eventually;

use crate::lab::{Namespace, Place, namespaces};
use crate::wire::{Wire, frame, ours};

const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";
const HERE6: &str = "fd00::1";
const THERE6: &str = "fd00::2";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// VXLAN's port of an address.
fn vxlan(address: &str) -> UdpListener {
    UdpListener { address: SocketAddr::new(address.parse().unwrap(), 4789), device: None }
}

/// A gateway with addresses on `v0`, and a wire to it.
fn gateway(gw: &Namespace, far: &Namespace) -> Wire {
    gw.join("v0", far, "v1");
    gw.ip("link set v0 address 02:00:00:00:00:01");
    gw.ip(&format!("addr add {HERE}/24 dev v0"));
    gw.ip(&format!("addr add {HERE6}/64 dev v0 nodad"));
    // The answers need no resolution.
    gw.ip(&format!("neigh add {THERE} lladdr 02:00:00:00:00:aa dev v0"));
    gw.ip(&format!("neigh add {THERE6} lladdr 02:00:00:00:00:aa dev v0"));
    far.run(|| Wire::open("v1"))
}

/// An IP packet from far to the gateway.
fn packet(v6: bool, protocol: u8, payload: &[u8]) -> Packet {
    let mut rest = if v6 { vec![0x86, 0xdd, 0x60, 0, 0, 0] } else { vec![0x08, 0x00, 0x45, 0] };
    let (src, dst): (IpAddr, IpAddr) = if v6 {
        (THERE6.parse().unwrap(), HERE6.parse().unwrap())
    } else {
        (THERE.parse().unwrap(), HERE.parse().unwrap())
    };
    match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            rest.extend((payload.len() as u16).to_be_bytes());
            rest.extend([protocol, 64]);
            rest.extend([src.octets(), dst.octets()].concat());
        }
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            rest.extend((20 + payload.len() as u16).to_be_bytes());
            rest.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            rest.extend([src.octets(), dst.octets()].concat());
            let sum = checksum::of(&rest[2..]);
            rest[12..14].copy_from_slice(&sum.to_be_bytes());
        }
        _ => unreachable!("both of one family"),
    }
    let at = rest.len();
    rest.extend(payload);
    if protocol == 17 {
        let sum = checksum::fold(checksum::add(pseudo_header(src, dst, 17, payload.len()), &rest[at..]));
        rest[at + 6..at + 8].copy_from_slice(&(!sum).to_be_bytes());
    }
    let mut packet = frame(&rest);
    packet.bytes[..6].copy_from_slice(&MAC);
    packet
}

/// UDP to the VXLAN port, and GRE with Ethernet inside.
fn tunnel_packets(v6: bool) -> [Packet; 2] {
    let udp = [0x80, 0, 0x12, 0xb5, 0, 16, 0, 0, 8, 0, 0, 0, 0, 0, 100, 0];
    let gre = [0x20, 0, 0x65, 0x58, 0, 0, 0, 7];
    [packet(v6, 17, &udp), packet(v6, 47, &gre)]
}

/// Waits until the gateway's stack has answered this packet.
fn is_answered(wire: &mut Wire, question: &Packet) {
    eventually("the stack does answer, or the test shows nothing", || !answers(wire, question).is_empty());
}

/// What the gateway's stack answers to this packet: ICMP errors of either version, ARP replies.
fn answers(wire: &mut Wire, question: &Packet) -> Vec<Packet> {
    wire.receive();
    assert_eq!(wire.send(std::slice::from_ref(question)).frames, 1);
    // An answer is sent while the packet is being delivered; this is ample.
    sleep(Duration::from_millis(100));
    wire.receive().into_iter().filter(is_answer).collect()
}

fn is_answer(packet: &Packet) -> bool {
    let bytes = &packet.bytes;
    let arp_reply = bytes[12..14] == [0x08, 0x06] && bytes[20..22] == [0, 2];
    let unreachable4 = bytes[12..14] == [0x08, 0x00] && bytes[23] == 1 && bytes[34] == 3;
    let unreachable6 = bytes[12..14] == [0x86, 0xdd] && bytes[20] == 58 && bytes[54] < 128;
    !ours(packet) && (arp_reply || unreachable4 || unreachable6)
}

#[test]
fn tunnel_packets_are_answered_by_nobody() {
    namespaces!("tunnel_packets_are_answered_by_nobody": gw, far);
    let mut wire = gateway(&gw, &far);
    for v6 in [false, true] {
        for question in tunnel_packets(v6) {
            is_answered(&mut wire, &question);
        }
        let quiet = gw.run(|| {
            let mut quiet = Quiet::new();
            assert!(quiet.udp(&vxlan(if v6 { HERE6 } else { HERE })).unwrap());
            quiet.ip(47, v6).unwrap();
            quiet
        });
        for question in tunnel_packets(v6) {
            assert_eq!(answers(&mut wire, &question), []);
        }
        drop(quiet);
    }
}

#[test]
fn an_address_that_is_not_there_yet_can_be_kept_quiet() {
    namespaces!("an_address_that_is_not_there_yet_can_be_kept_quiet": gw);
    let mut quiet = Quiet::new();
    gw.run(|| {
        assert!(quiet.udp(&vxlan("198.51.100.7")).unwrap());
        assert!(quiet.udp(&vxlan("fd00::77")).unwrap());
    });
}

#[test]
fn a_port_that_a_kernel_tunnel_holds_is_left_to_it() {
    namespaces!("a_port_that_a_kernel_tunnel_holds_is_left_to_it": gw);
    gw.ip("link add vx type vxlan id 5 dstport 4789 local 127.0.0.1");
    gw.ip("link set vx up");
    let ours = gw.run(|| Quiet::new().udp(&vxlan("127.0.0.1")).unwrap());
    assert!(!ours);
}

/// Who has the gateway's address?
fn arp_request() -> Packet {
    let mut request =
        frame(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0xaa, 192, 0, 2, 2, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    request.bytes[..6].copy_from_slice(&[0xff; 6]);
    request
}

#[test]
fn tenants_hear_nothing_of_the_machine_and_the_port_hears_them() {
    namespaces!("tenants_hear_nothing_of_the_machine_and_the_port_hears_them": gw, far);
    let mut wire = gateway(&gw, &far);
    let mut port = gw.run(|| Wire::open("v0"));
    is_answered(&mut wire, &arp_request());
    port.receive();

    let quiet = gw.run(|| {
        let mut quiet = Quiet::new();
        quiet.device("v0", Unheard::Everything).unwrap();
        quiet.device("lo", Unheard::Everything).unwrap();
        quiet
    });
    assert_eq!(answers(&mut wire, &arp_request()), []);
    assert_eq!(port.wait(1, ours), [arp_request()]);

    // However a process ends, its descriptors are closed; a child of another test may hold them a moment longer.
    drop(quiet);
    is_answered(&mut wire, &arp_request());
}

#[test]
fn two_gateways_keep_their_devices_quiet_beside_each_other() {
    namespaces!("two_gateways_keep_their_devices_quiet_beside_each_other": gw, far);
    gw.join("v0", &far, "v1");
    gw.run(|| {
        let (mut one, mut two) = (Quiet::new(), Quiet::new());
        one.device("v0", Unheard::Everything).unwrap();
        two.device("v0", Unheard::Tagged).unwrap();
    });
}
