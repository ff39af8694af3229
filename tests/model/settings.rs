//! Gateways that differ in everything a reload may change, as values and as YAML.

use std::fmt::Write;
use std::ops::Range;

use proptest::prelude::*;

use crate::common::wire::mac;
use crate::frames::{HOSTS, Host};

/// Tenants' IDs, as an offset that every encapsulation adds to its own first one.
pub(crate) const IDS: u16 = 6;
/// The last byte of a mesh member's address.
pub(crate) const MEMBERS: Range<u8> = 11..14;
const TENANTS: [&str; 4] = ["a", "b", "c", "d"];

/// What an attachment is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Vxlan,
    Vxlan2,
    Nvgre,
    Gre,
    Mesh,
    Tags,
}

impl Side {
    const ALL: [Self; 6] = [Self::Vxlan, Self::Vxlan2, Self::Nvgre, Self::Gre, Self::Mesh, Self::Tags];

    pub(crate) fn any() -> impl Strategy<Value = Self> {
        prop::sample::select(&Self::ALL[..])
    }

    pub(crate) fn port(self) -> &'static str {
        if self == Self::Tags { "access" } else { "up" }
    }

    /// The last byte of its address.
    pub(crate) fn host(self, member: u8) -> u8 {
        match self {
            Self::Vxlan => 9,
            Self::Vxlan2 => 8,
            Self::Nvgre => 77,
            Self::Gre => 99,
            Self::Mesh => member,
            Self::Tags => 0,
        }
    }

    /// What people call the peer behind it.
    pub(crate) fn peer_name(self, member: u8) -> String {
        match self {
            Self::Mesh => format!("mesh/192.0.2.{member}"),
            Self::Tags => "access".to_owned(),
            _ => format!("p{}", self.host(member)),
        }
    }

    fn reference(self, id: u16) -> String {
        let peer = self.peer_name(0);
        match self {
            Self::Vxlan | Self::Vxlan2 => format!("peer: {peer}, vni: {}", 5000 + id),
            Self::Nvgre => format!("peer: {peer}, vsid: {}", 5000 + id),
            Self::Gre => format!("peer: {peer}, key: {id}"),
            Self::Mesh => format!("group: mesh, vni: {}", 5000 + id),
            Self::Tags => format!("port: access, s_vid: 100, c_vid: {}", id + 1),
        }
    }
}

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) horizon: Option<u8>,
}

/// One tenant.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) id: u16,
    pub(crate) ways: Vec<Way>,
    pub(crate) learning: bool,
    pub(crate) flood_unknown: bool,
    pub(crate) ageing: u64,
    pub(crate) macs: usize,
    /// An address, its attachment's place in `ways`, and the member there.
    pub(crate) statics: Vec<(Host, usize, u8)>,
}

/// A whole gateway. What nobody uses is not in its file.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) members: Vec<u8>,
}

type Traits = (Vec<(Side, Option<u8>)>, u8, bool, bool, u64, usize, Vec<(Host, prop::sample::Index, u8)>);

fn traits() -> impl Strategy<Value = Traits> {
    let horizon = prop_oneof![3 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let ways = prop::sample::subsequence(Side::ALL.to_vec(), 1..=Side::ALL.len()).prop_shuffle();
    let ways = ways.prop_flat_map(move |sides| {
        let count = sides.len();
        (Just(sides), prop::collection::vec(horizon.clone(), count))
            .prop_map(|(sides, horizons)| sides.into_iter().zip(horizons).collect())
    });
    (
        ways,
        prop_oneof![4 => Just(0_u8), 1 => Just(1)],
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.8),
        prop_oneof![Just(60_u64), Just(100)],
        prop_oneof![1..5_usize, Just(1000)],
        prop::collection::vec((1..=HOSTS, any::<prop::sample::Index>(), MEMBERS), 0..3),
    )
}

impl Settings {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let names = prop::sample::subsequence(TENANTS.to_vec(), 0..=TENANTS.len()).prop_shuffle();
        let ids = Just((0..IDS).collect::<Vec<_>>()).prop_shuffle();
        let members = prop::sample::subsequence(MEMBERS.collect::<Vec<_>>(), 1..=MEMBERS.len()).prop_shuffle();
        (names, ids, members, prop::collection::vec(traits(), TENANTS.len())).prop_map(
            |(names, ids, members, traits)| {
                let tenants = names
                    .into_iter()
                    .zip(ids)
                    .zip(traits)
                    .map(|((name, id), traits)| tenant(name, id, &members, traits));
                Self { tenants: tenants.collect(), members }
            },
        )
    }

    pub(crate) fn yaml(&self) -> String {
        let used = |side| self.tenants.iter().any(|tenant| tenant.ways.iter().any(|way| way.side == side));
        let mut text =
            "version: 1\nports:\n  up: { device: up, mac: \"02:aa:00:00:00:01\" }\n  access: { device: access }\n\
                        fdb: { capacity: 1024 }\nendpoints:\n  fabric: { address: 192.0.2.1, ports: [up] }\npeers:\n"
                .to_owned();
        for (side, encap) in
            [(Side::Vxlan, "vxlan"), (Side::Vxlan2, "vxlan"), (Side::Nvgre, "nvgre"), (Side::Gre, "gre")]
        {
            if used(side) {
                let (name, host) = (side.peer_name(0), side.host(0));
                let _ = writeln!(text, "  {name}: {{ address: 192.0.2.{host}, encap: {encap} }}");
            }
        }
        if used(Side::Mesh) {
            let members: Vec<_> = self.members.iter().map(|member| format!("192.0.2.{member}")).collect();
            let _ = writeln!(text, "groups:\n  mesh: {{ encap: vxlan, members: [{}] }}", members.join(", "));
        }
        text.push_str("tenants:\n");
        self.tenants.iter().for_each(|tenant| tenant.write(&mut text));
        text
    }
}

fn tenant(name: &'static str, id: u16, members: &[u8], traits: Traits) -> Tenant {
    let (ways, twist, learning, flood_unknown, ageing, macs, wanted) = traits;
    // The same name mostly means the same side, but not always.
    let way = |(side, horizon)| Way { name: format!("w{}", side as u8 + twist), side, horizon };
    let ways: Vec<_> = ways.into_iter().map(way).collect();
    let mut statics: Vec<(Host, usize, u8)> = Vec::new();
    for (host, way, member) in wanted {
        let way = way.index(ways.len());
        let exists = ways[way].side != Side::Mesh || members.contains(&member);
        if exists && statics.iter().all(|(known, ..)| *known != host) {
            statics.push((host, way, member));
        }
    }
    Tenant { name, id, ways, learning, flood_unknown, ageing, macs, statics }
}

impl Tenant {
    fn write(&self, text: &mut String) {
        let unknown = if self.flood_unknown { "flood" } else { "drop" };
        let Self { name, learning, ageing, macs, .. } = self;
        let _ = writeln!(
            text,
            "  {name}:\n    learning: {learning}\n    unknown_unicast: {unknown}\n    ageing: {ageing}s"
        );
        let _ = writeln!(text, "    limits: {{ bum: unlimited, macs: {macs} }}\n    attachments:");
        for way in &self.ways {
            let horizon = way.horizon.map_or_else(String::new, |number| format!(", split_horizon: h{number}"));
            let _ = writeln!(text, "      {}: {{ {}{horizon} }}", way.name, way.side.reference(self.id));
        }
        let _ = writeln!(text, "    static:{}", if self.statics.is_empty() { " []" } else { "" });
        for &(host, way, member) in &self.statics {
            let (way, mac) = (&self.ways[way], mac(host).map(|byte| format!("{byte:02x}")).join(":"));
            let peer = if way.side == Side::Mesh { format!(", peer: 192.0.2.{member}") } else { String::new() };
            let _ = writeln!(text, "      - {{ mac: \"{mac}\", via: {}{peer} }}", way.name);
        }
    }
}
