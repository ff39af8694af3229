//! Tunnel packets that leave in one piece, through the kernel to a TAP's reader.

use std::process::Command;

use transload::dataplane::offload::{finish, segments};
use transload::io::memory::Packet;
use transload::io::{Backend, Pool, open};
use transload_encaps::underlay::{
    Dscp, EcnMode, LinkAddresses, SourcePorts, Summing, UdpChecksum, Underlay, UnderlaySpec,
};
use transload_encaps::{Carrier, Checksum, Frame, HEADROOM, Mac, checksum};

use crate::lab::{Place, may_make_taps, namespaces};
use crate::wire::{CHUNK, Wire, arena, ours};

/// Packets of three sizes and two flows, as the pipeline leaves them to the device.
fn packets(dst: &str, summing: Summing) -> Vec<Packet> {
    let link = LinkAddresses { dst: Mac([2, 0, 0, 0, 0, 0xbb]), src: Mac([2, 0, 0, 0, 0, 0xaa]) };
    let dst: std::net::IpAddr = dst.parse().unwrap();
    let src = if dst.is_ipv6() { "fd00::1" } else { "192.0.2.1" }.parse().unwrap();
    let (carrier, dscp, ecn, udp_checksum) = (Carrier::Udp(4789), Dscp::Pipe(0), EcnMode::Normal, UdpChecksum::Compute);
    let source_ports = SourcePorts::DYNAMIC;
    let underlay = Underlay::compile(&UnderlaySpec {
        src,
        dst,
        vlan: None,
        carrier,
        ttl: 64,
        df: true,
        dscp,
        ecn,
        udp_checksum,
        source_ports,
    });
    let mut chunk = vec![0; CHUNK];
    let sizes = [1400; 20].into_iter().chain([333]).chain([800; 4]);
    sizes
        .enumerate()
        .map(|(number, size)| {
            let mut frame = Frame::new(&mut chunk);
            assert!(frame.fill(HEADROOM, &vec![number as u8; size]));
            underlay.stamp(&mut frame, link, if number < 23 { 1 } else { 2 }, 0, summing).unwrap();
            Packet::from(&frame)
        })
        .collect()
}

/// What a reader has who cuts and completes what it asked for.
fn apart(received: &[Packet]) -> Vec<Vec<u8>> {
    let mut pool = Pool::new(arena(128), CHUNK);
    let mut all = Vec::new();
    for packet in received {
        let mut frame = pool.take(HEADROOM).unwrap();
        assert!(packet.load(&mut frame));
        if packet.gso.is_none() {
            finish(&mut frame).unwrap();
            all.push(frame.bytes().to_vec());
        } else {
            let mut parts = Vec::new();
            segments(&frame, &mut pool, HEADROOM, |part| parts.push(part)).unwrap();
            all.extend(parts.iter().map(|part| part.bytes().to_vec()));
            for part in parts {
                pool.put(part);
            }
        }
        pool.put(frame);
    }
    all
}

/// Whether these are the same packets, but for IPv4's identification: whoever cuts a packet counts it up, and DF makes
/// it meaningless (RFC 6864).
fn assert_same(came: Vec<Vec<u8>>, wanted: Vec<Vec<u8>>) {
    assert_eq!(came.len(), wanted.len());
    let bare = |mut bytes: Vec<u8>| {
        if bytes[12..14] == [8, 0] {
            assert_eq!(checksum::of(&bytes[14..34]), 0);
            bytes[18..20].fill(0);
            bytes[24..26].fill(0);
        }
        bytes
    };
    for (number, (came, wanted)) in came.into_iter().zip(wanted).enumerate() {
        assert!(bare(came) == bare(wanted), "packet {number} differs");
    }
}

fn bytes(packets: Vec<Packet>) -> Vec<Vec<u8>> {
    packets.into_iter().map(|packet| packet.bytes).collect()
}

#[test]
fn what_left_in_one_piece_arrives_as_it_would_have_one_by_one() {
    namespaces!("what_left_in_one_piece_arrives_as_it_would_have_one_by_one": lone);
    if !may_make_taps("what_left_in_one_piece_arrives_as_it_would_have_one_by_one") {
        return;
    }
    let tap = lone.run(|| open("host", &Backend::Tap { device: "tap7".into() }, 1, None).unwrap());
    lone.wait_until_running("tap7");
    let mut reader = Wire::new(tap.ports.into_iter().next().unwrap());
    let mut port = lone.run(|| Wire::open("tap7"));
    assert!(port.port.caps().outer_checksum, "a TAP's reader gets what it asked for");

    for dst in ["192.0.2.2", "fd00::2"] {
        let wanted = bytes(packets(dst, Summing::Here));
        let sent = port.send(&packets(dst, Summing::Device));
        assert_eq!((sent.frames, sent.busy, sent.down, sent.too_big), (25, 0, 0, 0));
        // 21 of one flow, the last one short; two of the next size; two of the other flow.
        let came = reader.wait(3, ours);
        assert!(came.iter().all(|packet| packet.gso.is_some()), "{dst}: they came in one piece");
        assert_same(apart(&came), wanted);
    }
}

#[test]
fn who_does_not_take_them_in_one_piece_gets_them_cut_and_complete() {
    namespaces!("who_does_not_take_them_in_one_piece_gets_them_cut_and_complete": lone);
    if !may_make_taps("who_does_not_take_them_in_one_piece_gets_them_cut_and_complete") {
        return;
    }
    let tap = lone.run(|| open("host", &Backend::Tap { device: "tap7".into() }, 1, None).unwrap());
    lone.wait_until_running("tap7");
    let words = ["-K", "tap7", "tx", "off", "tso", "off", "gso", "off"];
    match lone.run(|| Command::new("ethtool").args(words).output()) {
        Ok(output) if output.status.success() => {}
        problem => {
            eprintln!("SKIPPED: who_does_not_take_them_in_one_piece_gets_them_cut_and_complete: ethtool: {problem:?}");
            return;
        }
    }
    let mut reader = Wire::new(tap.ports.into_iter().next().unwrap());
    let mut port = lone.run(|| Wire::open("tap7"));
    for dst in ["192.0.2.2", "fd00::2"] {
        assert_eq!(port.send(&packets(dst, Summing::Device)).frames, 25);
        let came = reader.wait(25, ours);
        assert!(came.iter().all(|packet| packet.gso.is_none() && !matches!(packet.checksum, Checksum::Partial { .. })));
        assert_same(bytes(came), bytes(packets(dst, Summing::Here)));
    }
}
