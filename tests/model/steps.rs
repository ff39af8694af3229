//! What may happen, at random.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::frames::{NextHop, Speaker};
use crate::settings::{Fabric, Far, HOSTS, Host, IDS, LearnFrom, Peer, Settings, Side, Static, TENANTS, Tenant, Way};
use crate::underlay::PORTS;

/// A frame that arrives.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) speaker: Speaker,
    pub(crate) id: u16,
    pub(crate) dst: u8,
    pub(crate) src: Host,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A frame arrives, or several alike, one after the other.
    Frames(Arrival, u8),
    /// Frames arrive at once.
    Burst(Vec<Arrival>),
    /// Seconds pass, and everybody had a turn.
    Sleep(u64),
    /// Control does what is due.
    Tick,
    /// Another file is taken in, and nobody has had a turn yet.
    Reload(Settings),
    /// Another file is taken in while these frames are handled, which arrive at once.
    ReloadMeanwhile(Vec<Arrival>, Settings),
    /// The ways to a far end are others now, and the source of paths tells.
    Route(Far, Vec<NextHop>),
    /// A link goes down or comes back, and whoever looks at devices and paths tells.
    Link(&'static str, bool),
    /// The source of paths answers what it was asked.
    Answer,
}

/// Tunnel addresses; more of those that change what they are.
const SPEAKERS: [Far; 14] = [8, 9, 9, 10, 11, 12, 13, 14, 14, 15, 16, 77, 78, 99];

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        14 => (arrival(), 1..4_u8).prop_map(|(arrival, times)| Step::Frames(arrival, times)),
        10 => burst().prop_map(Step::Burst),
        3 => prop_oneof![1..16_u64, 16..150_u64].prop_map(Step::Sleep),
        2 => Just(Step::Tick),
        2 => settings().prop_map(Step::Reload),
        2 => (burst(), settings()).prop_map(|(burst, settings)| Step::ReloadMeanwhile(burst, settings)),
        2 => (far(), hops()).prop_map(|(far, hops)| Step::Route(far, hops)),
        2 => (select(&PORTS[..]), any::<bool>()).prop_map(|(port, is_down)| Step::Link(port, is_down)),
        2 => Just(Step::Answer),
    ];
    prop::collection::vec(step, 1..60)
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let speaker = prop_oneof![1 => Just(Speaker::Port), 3 => far().prop_map(Speaker::Tunnel)];
    let all = (speaker, 0..IDS, 0..HOSTS + 3, 1..=HOSTS);
    all.prop_map(|(speaker, id, dst, src)| Arrival { speaker, id, dst, src })
}

/// Several frames, some of them several times in a row.
fn burst() -> impl Strategy<Value = Vec<Arrival>> {
    let runs = prop::collection::vec((arrival(), 1..4_usize), 1..6);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(arrival, times)| vec![arrival; times]).collect())
}

fn far() -> impl Strategy<Value = Far> {
    select(&SPEAKERS[..])
}

fn hops() -> impl Strategy<Value = Vec<NextHop>> {
    let hop = (select(&["up", "north"][..]), 0x40..0x44_u8).prop_map(|(port, mac)| NextHop { port, mac });
    prop::collection::vec(hop, 0..3)
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let names = subsequence(TENANTS.to_vec(), 1..=TENANTS.len()).prop_shuffle();
    let ids = Just((0..IDS).collect::<Vec<_>>()).prop_shuffle();
    (names, ids, fabric(), prop::collection::vec(traits(), TENANTS.len())).prop_map(|(names, ids, fabric, traits)| {
        let tenants = names.into_iter().zip(ids).zip(traits);
        let tenants = tenants.map(|((name, id), traits)| tenant(name, id, &fabric, traits));
        Settings { tenants: tenants.collect(), fabric: fabric.clone() }
    })
}

fn fabric() -> impl Strategy<Value = Fabric> {
    let places = (prop_oneof![4 => Just(9), 1 => Just(10)], prop_oneof![4 => Just(77), 1 => Just(78)]);
    let members = subsequence(vec![11, 12, 13], 0..=2);
    let prefix = prop_oneof![4 => Just(("192.0.2.8/29", 8..=15)), 1 => Just(("192.0.2.12/30", 12..=15))];
    let most = prop_oneof![2 => Just(None), 1 => (1..4_usize).prop_map(Some)];
    let learn_from = (prefix, most).prop_map(|((prefix, inside), most)| LearnFrom { prefix, inside, most });
    let stated = prop::option::weighted(0.3, (select(&[8, 9, 12, 77][..]), 0x50..0x52_u8));
    (places, members, prop::option::weighted(0.8, learn_from), stated).prop_map(
        |((one, nvgre), mut members, learn_from, stated)| {
            // A group is somebody at least.
            if members.is_empty() && learn_from.is_none() {
                members.push(11);
            }
            Fabric { one, nvgre, members, learn_from, stated }
        },
    )
}

type Traits = (Vec<(Side, Option<u8>)>, u8, bool, bool, u64, usize, Vec<(Host, Index, Index)>);

fn traits() -> impl Strategy<Value = Traits> {
    let ways = subsequence(Side::ALL.to_vec(), 2..=Side::ALL.len()).prop_shuffle().prop_flat_map(|sides| {
        let horizon = prop_oneof![3 => Just(None), 1 => (0..2_u8).prop_map(Some)];
        let count = sides.len();
        (Just(sides), prop::collection::vec(horizon, count))
            .prop_map(|(sides, horizons)| sides.into_iter().zip(horizons).collect())
    });
    (
        ways,
        prop_oneof![4 => Just(0_u8), 1 => Just(1)],
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.8),
        prop_oneof![Just(60_u64), Just(100)],
        prop_oneof![1..5_usize, Just(1000)],
        prop::collection::vec((1..=HOSTS, any::<Index>(), any::<Index>()), 0..3),
    )
}

fn tenant(name: &'static str, id: u16, fabric: &Fabric, traits: Traits) -> Tenant {
    let (ways, twist, learning, flood_unknown, ageing, macs, wanted) = traits;
    // The same name mostly means the same side, but not always.
    let way = |(side, horizon)| Way { name: format!("w{}", side as u8 + twist), side, horizon };
    let ways: Vec<_> = ways.into_iter().map(way).collect();
    let mut statics: Vec<Static> = Vec::new();
    for (host, way, member) in wanted {
        let Way { name, side, .. } = way.get(&ways);
        let peer = match side {
            Side::Mesh if fabric.members.is_empty() => continue,
            Side::Mesh => Peer::Member(*member.get(&fabric.members)),
            side => Peer::Sole(*side),
        };
        if statics.iter().all(|known| known.host != host) {
            statics.push(Static { host, way: name.clone(), peer });
        }
    }
    Tenant { name, id, ways, learning, flood_unknown, ageing, macs, statics }
}
