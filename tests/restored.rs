//! What a gateway knew before it was started again forwards and ages as before, and gives way to whatever is heard.

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac, tag, tenant_frame};
use transload::dataplane::Now;
use transload::report::rows::{FdbRow, RowSource};
use transload::rib::remembered::{Remembered, Restored};

const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const LEAF: &str = "198.51.100.7";

const FILE: &str = r#"
version: 1
fdb: { capacity: 1000 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access }
  ce:     { device: ce }
endpoints:
  e: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, learn_from: 198.51.100.0/24 }
peers:
  ce: { address: 192.0.2.9, encap: vxlan }
tenants:
  red:  { attachments: { access: { port: access, vid: 9 } } }
  blue:
    ageing: 100s
    unknown_unicast: drop
    limits: { macs: 3 }
    attachments:
      leafs: { group: leafs, vni: 100 }
      named: { peer: ce, vni: 100 }
      one:   { port: access, vid: 1 }
      two:   { port: ce, vid: 2 }
"#;

/// A packet of a host to everybody, as it comes in.
fn packet(from: &str, host: u8) -> Vec<u8> {
    let ends = (from.parse().unwrap(), "192.0.2.1".parse().unwrap());
    let frame = tenant_frame(BROADCAST, mac(host), 1);
    wire::outer((UP, mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, &frame)))
}

fn tagged(vid: u16, to: [u8; 6], from: u8) -> Vec<u8> {
    tag(&tenant_frame(to, mac(from), 1), 0x8100, vid)
}

/// A gateway that knows a host behind a learned peer, one behind a port and one behind a peer of the same name.
fn known() -> Remembered {
    let mut lab = Lab::new(FILE);
    for _ in 0..2 {
        lab.clock += 1_000_000;
        lab.send("up", packet(LEAF, 1));
    }
    lab.send("ce", tagged(2, BROADCAST, 2));
    lab.send("up", packet("192.0.2.9", 3));
    lab.sleep(5);
    let remembering = lab.gateway.rib().remembering();
    let remembered = remembering.remembered(Now { nanos: lab.clock });
    assert_eq!(remembering.reclaims, lab.gateway.rib().reclaims());
    remembered
}

/// A gateway that was started so many seconds after what it is told.
fn restarted(file: &str, remembered: &Remembered, seconds: u64) -> (Lab, Restored) {
    let mut lab = Lab::new(file);
    // A clock of its own, that has just begun.
    lab.clock = 1_000_000;
    let (mut restored, now) = (Restored::default(), Now { nanos: lab.clock });
    lab.gateway.change(|rib| restored = rib.restore(remembered, seconds, now));
    (lab, restored)
}

fn row(lab: &Lab, host: u8) -> Option<FdbRow> {
    let wanted = transload_encaps::Mac(mac(host)).to_string();
    lab.fdb().into_iter().find(|row| row.mac == wanted)
}

#[test]
fn what_was_known_forwards_and_is_shown_as_restored() {
    let (mut lab, restored) = restarted(FILE, &known(), 20);
    assert_eq!(restored, Restored { macs: 3, peers: 1, left_out: 0 });
    let shown = |host| row(&lab, host).map(|row| (row.via, row.source, row.age));
    assert_eq!(shown(1), Some((format!("leafs/{LEAF}"), RowSource::Restored, Some(25))));
    assert_eq!(shown(2), Some(("ce".into(), RowSource::Restored, Some(25))));
    let via = row(&lab, 3).unwrap();
    assert_eq!((via.attachment.as_str(), via.via.as_str()), ("named", "ce"), "the peer, not the port of its name");
    for host in 1..=3 {
        let sent = lab.send("access", tagged(1, mac(host), 99));
        assert_eq!(sent.len(), 1, "to host {host}, and nothing unknown is flooded here");
    }
    assert_eq!(row(&lab, 2).unwrap().source, RowSource::Restored, "nothing has been heard of it");
}

#[test]
fn a_restored_address_ages_as_if_nothing_had_happened() {
    let (mut lab, _) = restarted(FILE, &known(), 20);
    lab.sleep(75);
    assert!(row(&lab, 2).is_some());
    lab.sleep(2);
    assert_eq!(row(&lab, 2), None);
    assert_eq!(lab.dropped_for("access", tagged(1, mac(2), 99)), "unknown_unicast_off");
    let (lab, restored) = restarted(FILE, &known(), 100);
    assert_eq!((restored.macs, restored.left_out), (0, 3), "it was silent for too long");
    assert!(lab.fdb().is_empty());
}

#[test]
fn whatever_is_heard_takes_its_place_and_is_no_move() {
    let (mut lab, _) = restarted(FILE, &known(), 0);
    lab.send("ce", tagged(2, BROADCAST, 2));
    lab.send("ce", tagged(2, BROADCAST, 3));
    for (host, attachment) in [(2, "two"), (3, "two")] {
        let row = row(&lab, host).unwrap();
        assert_eq!((row.source, row.moves, row.age), (RowSource::Learned, 0, Some(0)), "host {host}");
        assert_eq!(row.attachment, attachment);
        assert_eq!(row.here_for, Some(0), "it was told as one that is new");
    }
    lab.send("access", tagged(1, BROADCAST, 2));
    assert_eq!(row(&lab, 2).unwrap().moves, 1, "from then on it moves as any other");
    let counted = lab.gateway.state(lab.clock).tenants(Some("blue")).unwrap().remove(0).macs;
    assert_eq!(counted, 3, "each has one place in the tenant's limit");
}

#[test]
fn what_has_no_place_in_the_file_any_more_is_left_out() {
    let known = known();
    for (file, macs, peers) in [
        (FILE.replace("  blue:", "  green:"), 0, 0),
        (FILE.replace("      two: ", "      deux: "), 2, 1),
        (FILE.replace("198.51.100.0/24", "203.0.113.0/24"), 2, 0),
        (FILE.replace("  leafs: { encap", "  spines: { encap").replace("group: leafs", "group: spines"), 2, 0),
        (FILE.replace("macs: 3", "macs: 2"), 2, 1),
        (FILE.replace("ageing: 100s", "learning: false"), 0, 1),
        (FILE.replace("    ageing: 100s", "    static: [{ mac: \"02:00:00:00:00:02\", via: one }]"), 2, 1),
    ] {
        let (lab, restored) = restarted(&file, &known, 0);
        assert_eq!((restored.macs, restored.peers), (macs, peers), "{file}");
        assert_eq!(restored.macs + restored.left_out, 3);
        let restored = lab.fdb().iter().filter(|row| row.source == RowSource::Restored).count();
        assert_eq!(restored, macs);
    }
}

#[test]
fn a_restored_peer_without_hosts_is_forgotten_as_any_other() {
    let mut known = known();
    known.macs.clear();
    let (mut lab, _) = restarted(FILE, &known, 0);
    lab.sleep(1);
    assert_eq!(lab.gateway.learned().rows().count(), 1);
    for _ in 0..8 {
        lab.sleep(15);
    }
    assert_eq!(lab.gateway.learned().rows().count(), 0);
}

#[test]
fn what_is_restored_twice_or_already_known_stays_as_it_is() {
    let known = known();
    let mut lab = Lab::new(FILE);
    lab.send("access", tagged(1, BROADCAST, 2));
    let now = Now { nanos: lab.clock };
    lab.gateway.change(|rib| assert_eq!(rib.restore(&known, 0, now).macs, 2));
    lab.gateway.change(|rib| assert_eq!(rib.restore(&known, 0, now), Restored { macs: 0, peers: 0, left_out: 3 }));
    assert_eq!(row(&lab, 2).map(|row| (row.attachment, row.source)), Some(("one".into(), RowSource::Learned)));
}
