//! What goes through packet sockets and TAPs, and what happens when the device does not play along.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::time::Instant;

use transload::dataplane::offload::segments;
use transload::io::memory::Packet;
use transload::io::{Backend, Pool, open};
use transload_encaps::{Checksum, Gso, GsoKind, HEADROOM};
use transload_lab::{PATIENCE, eventually};

use crate::lab::{Place, may_make_taps, namespaces};
use crate::wire::{CHUNK, Wire, arena, frame, ours};

/// A TCP segment behind these tags, its checksum left to the device.
fn unfinished_tcp(tags: &[u8], payload: usize) -> Packet {
    let mut rest = tags.to_vec();
    rest.extend([0x08, 0x00, 0x45, 0]);
    rest.extend((40 + payload as u16).to_be_bytes());
    rest.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let ip = tags.len() + 2;
    let sum = transload_encaps::checksum::of(&rest[ip..]);
    rest[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
    // Sequence number 1; the checksum field holds the pseudo-header's sum.
    let pseudo = (0x0a00_u32 + 1 + 0x0a00 + 2 + 6 + 20 + payload as u32) as u16;
    rest.extend([0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff]);
    rest.extend(pseudo.to_be_bytes());
    rest.extend([0, 0]);
    rest.extend((0..payload).map(|n| n as u8));
    let start = 12 + ip as u32 + 20;
    Packet { checksum: Checksum::Partial { start, offset: 16 }, ..frame(&rest) }
}

const S_AND_C_TAG: [u8; 8] = [0x88, 0xa8, 0x60, 100, 0x81, 0, 0xa0, 7];

#[test]
fn stripped_tags_are_put_back() {
    namespaces!("stripped_tags_are_put_back": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    let stacks: [&[u8]; 5] = [
        &[0x88, 0xb5, 1],
        &[0x81, 0x00, 0xb0, 7, 0x88, 0xb5, 2],
        &[0x88, 0xa8, 0x60, 100, 0x88, 0xb5, 3],
        &[0x88, 0xa8, 0x60, 100, 0x81, 0x00, 0xa0, 7, 0x88, 0xb5, 4],
        &[0x91, 0x00, 0x60, 100, 0x81, 0x00, 0xa0, 7, 0x88, 0xb5, 5],
    ];
    let packets = stacks.map(frame);
    assert_eq!(sender.send(&packets).frames, 5);
    assert_eq!(listener.wait(5, ours), packets);
    assert_eq!(listener.pool.free(), 256);
}

#[test]
fn the_place_of_an_unfinished_checksum_is_right_behind_a_restored_tag() {
    namespaces!("the_place_of_an_unfinished_checksum_is_right_behind_a_restored_tag": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    for tags in [&[][..], &S_AND_C_TAG[..4], &S_AND_C_TAG[..]] {
        let packet = unfinished_tcp(tags, 500);
        assert_eq!(sender.send(std::slice::from_ref(&packet)).frames, 1);
        let received = listener.wait(1, ours).remove(0);
        if received.checksum == Checksum::Valid || received.checksum == Checksum::Unknown {
            // The kernel has finished it on the way.
            assert_eq!(joined(vec![received]), packet.bytes[packet.bytes.len() - 500..]);
        } else {
            assert_eq!(received, packet, "with {} bytes of tags", tags.len());
        }
    }
}

/// The TCP payload of these frames, each of which must have a right checksum once it is cut and finished.
fn joined(packets: Vec<Packet>) -> Vec<u8> {
    let mut pool = Pool::new(arena(64), CHUNK);
    let mut payload = Vec::new();
    for packet in packets {
        let mut whole = pool.take(HEADROOM).unwrap();
        assert!(packet.load(&mut whole));
        segments(&whole, &mut pool, HEADROOM, |segment| {
            let bytes = segment.bytes();
            let (_, ip) = transload_encaps::ethernet::payload(bytes).unwrap();
            let tcp = pnet_packet::tcp::TcpPacket::new(&bytes[ip + 20..]).unwrap();
            let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            assert_eq!(pnet_packet::tcp::ipv4_checksum(&tcp, &src, &dst), tcp.get_checksum());
            assert_eq!(tcp.get_sequence() as usize, 1 + payload.len(), "in order");
            payload.extend(&bytes[ip + 40..]);
        })
        .unwrap();
    }
    payload
}

#[test]
fn a_super_frame_leaves_whole_behind_two_tags() {
    namespaces!("a_super_frame_leaves_whole_behind_two_tags": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    assert!(sender.port.caps().gso);
    for tags in [&[][..], &S_AND_C_TAG[..4], &S_AND_C_TAG[..]] {
        let mut packet = unfinished_tcp(tags, 20_000);
        packet.gso = Some(Gso { kind: GsoKind::Tcp4, size: 1400 });
        assert_eq!(sender.send(std::slice::from_ref(&packet)).frames, 1);
        // Whether the kernel cuts it on the way is its own affair.
        let mut received = listener.wait(1, ours);
        while received.iter().map(|part| if part.gso.is_some() { 15 } else { 1 }).sum::<usize>() < 15 {
            received.extend(listener.wait(1, ours));
        }
        assert_eq!(joined(received), packet.bytes[packet.bytes.len() - 20_000..], "{} bytes of tags", tags.len());
    }
}

#[test]
fn a_super_frame_leaves_by_a_device_that_cannot_cut_it() {
    const TEST: &str = "a_super_frame_leaves_by_a_device_that_cannot_cut_it";
    namespaces!("a_super_frame_leaves_by_a_device_that_cannot_cut_it": near, far);
    near.join("v0", &far, "v1");
    let ethtool = ["-K", "v0", "tso", "off", "gso", "off", "tx", "off"];
    if near.run(|| Command::new("ethtool").args(ethtool).output()).is_err() {
        eprintln!("SKIPPED: {TEST}: ethtool");
        return;
    }
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    for tags in [&[][..], &S_AND_C_TAG[..4], &S_AND_C_TAG[..]] {
        let gso = Some(Gso { kind: GsoKind::Tcp4, size: 1400 });
        let packet = Packet { gso, ..unfinished_tcp(tags, 20_000) };
        assert_eq!(sender.send(std::slice::from_ref(&packet)).frames, 1);
        let received = listener.wait(15, ours);
        assert!(received.iter().all(|part| part.gso.is_none()));
        assert_eq!(joined(received), packet.bytes[packet.bytes.len() - 20_000..], "{} bytes of tags", tags.len());
    }
}

/// A UDP packet of the flow with this number.
fn udp(flow: u16, number: u8) -> Packet {
    let mut rest = vec![0x08, 0x00, 0x45, 0, 0, 29, 0, number, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    rest.extend((1000 + flow).to_be_bytes());
    rest.extend([0x12, 0x34, 0, 9, 0, 0, number]);
    frame(&rest)
}

#[test]
fn every_flow_goes_to_one_worker_and_every_frame_comes_once() {
    namespaces!("every_flow_goes_to_one_worker_and_every_frame_comes_once": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut workers = far.run(|| Wire::open_all("v1", 2));
    for number in 0..4 {
        let packets: Vec<_> = (0..64).map(|flow| udp(flow, number)).collect();
        assert_eq!(sender.send(&packets).frames, 64);
    }
    let mut seen: HashMap<u16, HashSet<usize>> = HashMap::new();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while frames.len() < 256 && Instant::now() < deadline {
        for (index, worker) in workers.iter_mut().enumerate() {
            for packet in worker.receive().into_iter().filter(ours) {
                seen.entry(u16::from_be_bytes([packet.bytes[34], packet.bytes[35]])).or_default().insert(index);
                frames.push(packet.bytes);
            }
        }
    }
    let distinct: HashSet<_> = frames.iter().collect();
    assert_eq!((frames.len(), distinct.len(), seen.len()), (256, 256, 64));
    assert!(seen.values().all(|workers| workers.len() == 1), "a flow keeps its worker");
    let first = seen.values().filter(|workers| workers.contains(&0)).count();
    assert!(first > 0 && first < 64, "both workers have work: {first} flows to the first");
}

#[test]
fn what_a_worker_sends_does_not_come_back() {
    namespaces!("what_a_worker_sends_does_not_come_back": near, far);
    near.join("v0", &far, "v1");
    let mut workers = near.run(|| Wire::open_all("v0", 2));
    let mut another = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    assert_eq!(workers[0].send(&[frame(&[0x88, 0xb5])]).frames, 1);
    listener.wait(1, ours);
    assert!(!workers.iter_mut().any(|worker| worker.receive().iter().any(ours)));
    assert!(!another.receive().iter().any(ours));
}

#[test]
fn a_full_queue_is_counted() {
    namespaces!("a_full_queue_is_counted": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    let burst = vec![frame(&[0x88, 0xb5]); 128];
    let mut sent = 0;
    while listener.port.kernel_drops() == 0 && sent < 1_000_000 {
        sent += sender.send(&burst).frames;
    }
    assert!(listener.port.kernel_drops() > 0, "{sent} frames fit");
}

#[test]
fn a_device_that_goes_down_and_comes_back_works_again() {
    namespaces!("a_device_that_goes_down_and_comes_back_works_again": near, far);
    near.join("v0", &far, "v1");
    let mut sender = near.run(|| Wire::open("v0"));
    let mut listener = far.run(|| Wire::open("v1"));
    near.ip("link set v0 down");
    let sent = sender.send(&[frame(&[0x88, 0xb5]), frame(&[0x88, 0xb5])]);
    assert_eq!((sent.frames, sent.down), (0, 2));
    let mut burst = Vec::new();
    let error = sender.port.rx_burst(&mut sender.pool, &mut burst, 64).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkDown);
    assert_eq!(sender.pool.free(), 256);

    near.ip("link set v0 up");
    near.wait_until_running("v0");
    far.wait_until_running("v1");
    assert_eq!(sender.send(&[frame(&[0x88, 0xb5])]).frames, 1);
    listener.wait(1, ours);
    assert_eq!(listener.send(&[frame(&[0x88, 0xb5])]).frames, 1);
    sender.wait(1, ours);
}

#[test]
fn a_device_that_is_gone_is_an_error_and_loses_no_chunk() {
    namespaces!("a_device_that_is_gone_is_an_error_and_loses_no_chunk": near, far);
    near.join("v0", &far, "v1");
    let mut wire = near.run(|| Wire::open("v0"));
    near.ip("link del v0");
    let mut burst = Vec::new();
    for _ in 0..3 {
        wire.port.rx_burst(&mut wire.pool, &mut burst, 64).unwrap_err();
    }
    assert_eq!(wire.send(&[frame(&[0x88, 0xb5])]).down, 1);
    assert_eq!((wire.pool.free(), burst.len()), (256, 0));
}

#[test]
fn a_device_that_is_down_opens_and_says_so() {
    namespaces!("a_device_that_is_down_opens_and_says_so": lone);
    lone.ip("link add v0 mtu 1400 type veth peer name v1");
    let opened = lone.run(|| open("up1", &Backend::Auto { device: "v0".into() }, 1, None).unwrap());
    assert_eq!((opened.up, opened.mtu, opened.kind), (false, Some(1400), "af_packet"));
    assert!(opened.mac.is_some() && opened.ifindex.is_some());
}

#[test]
fn without_permission_the_error_says_what_is_missing() {
    namespaces!("without_permission_the_error_says_what_is_missing": lone);
    let errors = lone.run(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let mut mine = capabilities(None).unwrap();
        mine.effective.remove(CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN);
        set_capabilities(None, mine).unwrap();
        let af_packet = open("up1", &Backend::AfPacket { device: "lo".into() }, 1, None).unwrap_err();
        let tap = open("tap", &Backend::Tap { device: "tap7".into() }, 1, None).unwrap_err();
        [af_packet.to_string(), tap.to_string()]
    });
    assert_eq!(
        errors,
        [
            "port up1: no permission to open a packet socket on lo; run as root, or with CAP_NET_RAW",
            "port tap: no permission to open the TAP \"tap7\"; run as root, or with CAP_NET_ADMIN",
        ]
    );
}

#[test]
fn a_tap_is_made_and_goes_with_its_last_worker() {
    namespaces!("a_tap_is_made_and_goes_with_its_last_worker": lone);
    if !may_make_taps("a_tap_is_made_and_goes_with_its_last_worker") {
        return;
    }
    let exists = || lone.run(|| pnet_datalink::interfaces().iter().any(|device| device.name == "tap7"));
    let opened = lone.run(|| open("host", &Backend::Tap { device: "tap7".into() }, 2, None).unwrap());
    assert_eq!((opened.ports.len(), opened.kind, opened.mac, opened.mtu), (2, "tap", None, Some(1500)));
    assert!(opened.up && exists());
    let busy = lone.run(|| open("host", &Backend::Tap { device: "tap7".into() }, 1, None).unwrap_err().to_string());
    assert!(busy.starts_with("port host: cannot open the TAP \"tap7\""), "{busy}");
    let mut ports = opened.ports;
    ports.truncate(1);
    assert!(exists());
    drop(ports);
    // A child process of another test may hold our descriptors until it has begun.
    eventually("the TAP goes", || !exists());
    let error = lone.run(|| open("host", &Backend::Tap { device: "lo".into() }, 1, None).unwrap_err().to_string());
    assert!(error.contains("exists and is no TAP"), "{error}");
}
