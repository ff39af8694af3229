//! More peers than anybody remembers one by one, in any order.

use proptest::prelude::*;

use crate::CHUNK_LEN;
use crate::common::twins::{Arenas, Twins};
use crate::common::wire;
use crate::places::{Wire, packet};

/// A tenant with 440 peers in three groups: with so many, some share a place among the known senders of a worker.
const FILE: &str = r#"version: 1
fdb: { capacity: 4000 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  north:  { device: north, mac: "02:aa:00:00:00:02" }
  access: { device: access }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
  wide: { address: 192.0.2.5, ports: [up, north] }
groups:
  first:  { endpoint: v4, encap: vxlan, members: [10.1.0.1-10.1.1.44], bum: 239.1.1.1 }
  second: { endpoint: v6, encap: vxlan, members: ["2001:db8:1::1-2001:db8:1::50"], bum: "ff05::1" }
  third:  { endpoint: wide, encap: nvgre, members: [10.3.0.1-10.3.0.60], bum: 239.1.1.3 }
tenants:
  crowd:
    unknown_unicast: drop
    attachments:
      first:  { group: first, vni: 100 }
      other:  { group: first, vni: 101 }
      second: { group: second, vni: 100 }
      third:  { group: third, vsid: 5000 }
      ce:     { port: access, s_vid: 100 }
"#;

/// Members that another file does not have.
const FEWER: [(&str, &str); 2] =
    [("10.1.0.1-10.1.1.44", "10.1.0.20-10.1.1.44"), ("10.3.0.1-10.3.0.60", "10.3.0.1-10.3.0.9")];

/// One of the peers, or the tags.
#[derive(Debug, Clone, Copy)]
enum Member {
    First(u16, u32),
    Second(u16),
    Third(u16),
    Tags,
}

impl Member {
    fn host(self) -> [u8; 6] {
        let (kind, [high, low]) = match self {
            Self::First(n, vni) => (vni as u8, n.to_be_bytes()),
            Self::Second(n) => (2, n.to_be_bytes()),
            Self::Third(n) => (3, n.to_be_bytes()),
            Self::Tags => (4, [0, 0]),
        };
        [2, 0, 0, kind, high, low]
    }

    /// What its host says to that of another.
    fn says_to(self, other: Self, number: u16) -> Wire {
        let frame = wire::tenant_frame(other.host(), self.host(), number % 100);
        match self {
            Self::First(n, vni) => {
                let from = format!("10.1.{}.{}", n >> 8, n & 0xff);
                packet(&from, "192.0.2.1", 0, 17, &wire::udp(number, 4789, &wire::vxlan(vni, &frame)))
            }
            Self::Second(n) => {
                let from = format!("2001:db8:1::{n:x}");
                packet(&from, "2001:db8::1", 0, 17, &wire::udp(number, 4789, &wire::vxlan(100, &frame)))
            }
            Self::Third(n) => {
                packet(&format!("10.3.0.{n}"), "192.0.2.5", 0, 47, &wire::nvgre(5000, number as u8, &frame))
            }
            Self::Tags => ("access", wire::tag(&frame, 0x88a8, 100).into()),
        }
    }
}

fn member() -> impl Strategy<Value = Member> {
    prop_oneof![
        6 => (1..=300_u16, 100..102_u32).prop_map(|(n, vni)| Member::First(n, vni)),
        2 => (1..=80_u16).prop_map(Member::Second),
        2 => (1..=60_u16).prop_map(Member::Third),
        1 => Just(Member::Tags),
    ]
}

/// The speaker, the one spoken to, the number of frames in a row, and whether one frame answers them.
type Talk = (Member, Member, u8, bool);

fn frames(talks: &[Talk]) -> Vec<Wire> {
    let frames = (0..).zip(talks).flat_map(|(number, &(one, other, times, is_answered))| {
        let said = (0..u16::from(times)).map(move |more| one.says_to(other, number + more));
        said.chain(is_answered.then(|| other.says_to(one, number)))
    });
    frames.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_peers_in_any_order(
        bursts in prop::collection::vec(prop::collection::vec((member(), member(), 1..4_u8, any::<bool>()), 1..150), 1..5),
    ) {
        let mut arenas = Arenas::new(256, CHUNK_LEN);
        let mut twins = Twins::new(FILE, &mut arenas);
        let fewer = FEWER.iter().fold(FILE.to_owned(), |text, (before, after)| text.replace(before, after));
        for (number, talks) in bursts.iter().enumerate() {
            // Twice: by then every host is known.
            for _ in 0..2 {
                let sent = twins.try_receive(&frames(talks));
                prop_assert!(sent.is_ok(), "{}", sent.unwrap_err());
            }
            twins.take_in(if number % 2 == 0 { &fewer } else { FILE });
        }
    }
}

#[test]
fn sixty_four_peers_in_turn_are_carried() {
    let mut arenas = Arenas::new(256, CHUNK_LEN);
    let mut twins = Twins::new(FILE, &mut arenas);
    let peers = (1..=64).map(|n| Member::First(n * 4, 100));
    let talks: Vec<Talk> = peers.map(|peer| (Member::Second(1), peer, 1, true)).collect();
    twins.receive(&frames(&talks));
    assert_eq!(twins.receive(&frames(&talks)).len(), 128, "nothing is lost: {:?}", twins.drops());
}
