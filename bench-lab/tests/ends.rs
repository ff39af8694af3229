//! Hosts whose ends of a tunnel are BPF programs reach each other through it, and nobody else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use transload_bench_lab::path::{Encapsulation, text};
use transload_bench_lab::traffic::{Station, Tunnel, TunnelPrograms};
use transload_lab::{Host, Namespace, need, veth};

const ALL: [Encapsulation; 3] = [
    Encapsulation::Nvgre { vsid: 5001 },
    Encapsulation::Gre { key: 0xdead_beef },
    Encapsulation::QinQ { s_vid: 100, c_vid: 7 },
];
const PATIENCE: Duration = Duration::from_secs(20);
const DEVICE: &str = "cable";
const LEFT: Station = Station { mac: [2, 0, 0, 0, 0, 1], address: Ipv4Addr::new(10, 9, 0, 1) };
const RIGHT: Station = Station { mac: [2, 0, 0, 0, 0, 2], address: Ipv4Addr::new(10, 9, 0, 2) };
const OUTER: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// Two hosts on one cable.
struct Pair {
    left: Namespace,
    right: Namespace,
    _programs: [TunnelPrograms; 2],
}

/// Each speaks its own.
fn pair(left_encap: Encapsulation, right_encap: Encapsulation) -> Pair {
    let (left, right) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    veth((&left, DEVICE), (&right, DEVICE), 1600).unwrap();
    let end = |place: &Namespace, encap, [local, remote]: [Ipv4Addr; 2], [here, there]: [Station; 2]| {
        place
            .sh(&format!(
                "ip link set {DEVICE} address {}; ip addr add {} dev {DEVICE}; ip addr add {local}/24 dev {DEVICE}
                 ip route add {} dev {DEVICE} mtu 1450; ip neigh add {} lladdr {} dev {DEVICE} nud permanent",
                text(here.mac),
                here.address,
                there.address,
                there.address,
                text(there.mac)
            ))
            .unwrap();
        Tunnel { encap, local, remote, here, there }.attach(place, DEVICE).unwrap()
    };
    let programs =
        [end(&left, left_encap, OUTER, [LEFT, RIGHT]), end(&right, right_encap, [OUTER[1], OUTER[0]], [RIGHT, LEFT])];
    Pair { left, right, _programs: programs }
}

fn ping(pair: &Pair, len: u16) -> bool {
    pair.left.sh(&format!("ping -c 2 -i 0.2 -W 2 -M do -s {len} {}", RIGHT.address)).is_ok()
}

#[test]
fn hosts_with_the_same_tunnel_reach_each_other_with_packets_of_any_length() {
    need!(root, ip, ping);
    for encap in ALL {
        let pair = pair(encap, encap);
        for len in [0, 1, 555, 1422] {
            assert!(ping(&pair, len), "{encap:?}, {len} bytes");
        }
    }
}

#[test]
fn hosts_with_different_ids_do_not() {
    need!(root, ip, ping);
    let [nvgre, gre, qinq] = ALL;
    let others = [
        (nvgre, Encapsulation::Nvgre { vsid: 5002 }),
        (gre, Encapsulation::Gre { key: 0xdead_beee }),
        (qinq, Encapsulation::QinQ { s_vid: 101, c_vid: 7 }),
        (qinq, Encapsulation::QinQ { s_vid: 100, c_vid: 8 }),
    ];
    for (one, other) in others {
        assert!(!ping(&pair(one, other), 100), "{one:?} and {other:?}");
    }
}

#[test]
fn tcp_comes_through_with_super_frames_whole_cut_on_the_way_out_and_not_made_at_all() {
    need!(root, ip, ethtool);
    for encap in ALL {
        for features in ["tx on tso on gso on gro on", "tx on tso off gso on gro off", "tx off tso off gso off gro off"]
        {
            let pair = pair(encap, encap);
            for host in [&pair.left, &pair.right] {
                host.sh(&format!("ethtool -K {DEVICE} {features} >/dev/null")).unwrap();
            }
            let (sent, received) = transfer(&pair);
            assert!(sent == received, "{encap:?}, {features}: {} bytes of {}", received.len(), sent.len());
        }
    }
}

/// What one host sends, and what the other has of it; what does not come through in time is missing.
fn transfer(pair: &Pair) -> (Vec<u8>, Vec<u8>) {
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| (number >> 2) as u8 ^ number as u8).collect();
    let listener = pair.right.enter(|| TcpListener::bind((RIGHT.address, 5001))).unwrap();
    let mut stream = pair.left.enter(|| TcpStream::connect((RIGHT.address, 5001))).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(accepted));
        // If it fails, something is missing.
        let _ = stream.write_all(&sent).and_then(|()| stream.shutdown(Shutdown::Write));
        receiver.join().unwrap()
    });
    (sent, received)
}

fn receive(mut from: TcpStream) -> Vec<u8> {
    let end = Instant::now() + PATIENCE;
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut all, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = from.read(&mut chunk)
        && Instant::now() < end
    {
        all.extend(&chunk[..count]);
    }
    all
}
