//! Near misses: what would have let a frame pass that nobody claims, from the tables alone.
//!
//! Each is another reading of the same bytes, or the same reading in another place, under which somebody claims it.

use std::fmt;
use std::net::IpAddr;

use transload_encaps::{Carrier, Ids, Kind, Segment, ethernet};

use super::{Claims, Entrance, Place, Space};
use crate::forwarding::{Claim, EndpointId, PeerId, PortId};

/// What an unclaimed frame looks like, as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stray<'a> {
    /// The port it came to.
    pub port: PortId,
    /// TPID and VLAN ID of its outer tags, at most two, the outermost first.
    pub tags: &'a [(u16, u16)],
    /// Source, destination and carrier, where an IP packet follows the tags.
    pub outer: Option<(IpAddr, IpAddr, Carrier)>,
    /// The value of the ID bits, where a tunnel header follows: the VNI, or the whole GRE key; 1 << 32 for no key.
    pub id: Option<u64>,
}

/// Something that, had it been so, would have let the frame pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// What would have to be otherwise.
    pub miss: Miss,
    /// The peer it would then be from, where there is one.
    pub peer: Option<PeerId>,
    /// Whose it would then be, where that is known.
    pub claim: Option<Claim>,
}

/// How a frame misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// The same bits, read as another encapsulation or in another order, are an ID that is claimed.
    Reading {
        /// What the reading is.
        how: Reading,
        /// The ID it gives.
        id: Ids,
    },
    /// Another carrier of the same sender is configured.
    Carrier(Carrier),
    /// The endpoint has another outer tag.
    EndpointTag(Option<u16>),
    /// The endpoint is reached through another port.
    Port(PortId),
    /// The sender is known at another endpoint of ours.
    Endpoint(IpAddr),
    /// The sender is unknown; this one, in the same network, is not.
    Sender(IpAddr),
    /// The ID is claimed of another peer.
    Peer,
    /// The tags would be claimed with this TPID outside.
    Tpid(u16),
    /// The tags would be claimed the other way round.
    SwappedTags(Ids),
    /// Other tags of the same numbers are claimed.
    Tags(Ids),
}

/// Another reading of the ID bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The upper 24 bits of a key, the rest being a `FlowID`: the peer speaks NVGRE.
    Vsid,
    /// A VSID with its `FlowID` as one key: the peer speaks plain GRE.
    WholeKey,
    /// The upper 24 bits of a key are claimed with a `FlowID` of zero.
    FlowId,
    /// The ID as whoever wrote it shifted it up by eight bits.
    Shifted,
    /// The ID's bytes in the other order.
    Swapped,
    /// No key where key 0 is claimed, or the other way round.
    KeylessOrZero,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vsid => "the key's upper 24 bits as a VSID, its lower eight being a FlowID: the peer speaks NVGRE",
            Self::WholeKey => "all 32 bits as one key: the peer speaks plain GRE",
            Self::FlowId => "the key without its lower eight bits, which the peer fills as a FlowID: it speaks NVGRE",
            Self::Shifted => "the ID shifted by eight bits",
            Self::Swapped => "the ID's bytes in the other order",
            Self::KeylessOrZero => "key 0 and no key taken for each other",
        })
    }
}

/// What would have let a frame pass, the likeliest first.
#[must_use]
pub fn candidates(claims: &Claims<'_>, stray: &Stray<'_>) -> Vec<NearMiss> {
    let mut found = Vec::new();
    if let Some(outer) = stray.outer {
        tunnels(claims, stray, outer, &mut found);
    }
    tags(claims, stray, &mut found);
    found
}

fn tunnels(
    claims: &Claims<'_>,
    stray: &Stray<'_>,
    (source, destination, carrier): (IpAddr, IpAddr, Carrier),
    found: &mut Vec<NearMiss>,
) {
    let wire = claims.wire(stray.port);
    let vlan = match stray.tags {
        [] => Some(None),
        [(ethernet::C_TAG, vid)] => Some(Some(*vid)),
        _ => None,
    };
    let all = || claims.entrances.values().flatten();
    let here = |place: &Place| place.wire == wire && Some(place.vlan) == vlan && place.destination == destination;
    let from = |entrance: &&Entrance| entrance.source.contains(source);
    let exact = all().find(|entrance| here(&entrance.place) && entrance.place.carrier == carrier && from(entrance));
    if let (Some(entrance), Some(id)) = (exact, stray.id) {
        readings(claims, entrance, id, found);
        return other_peers(claims, entrance, id, found);
    }
    let mut add = |miss: Miss, entrance: &Entrance| {
        let id =
            stray.id.filter(|_| entrance.place.carrier == carrier || is_udp(carrier) && is_udp(entrance.place.carrier));
        let space = &claims.spaces[entrance.space];
        let claim = id.and_then(|id| space.takers(id).next()).map(|held| held.claim);
        let near = NearMiss { miss, peer: Some(entrance.peer), claim };
        if !found.contains(&near) {
            found.push(near);
        }
    };
    for entrance in all().filter(|entrance| from(entrance)) {
        let place = entrance.place;
        let there = place.destination == destination;
        match (there, place.wire == wire, Some(place.vlan) == vlan, place.carrier == carrier) {
            (true, true, true, false) => add(Miss::Carrier(place.carrier), entrance),
            (true, true, false, true) => add(Miss::EndpointTag(place.vlan), entrance),
            (true, false, _, true) => add(Miss::Port(entrance.port), entrance),
            (false, _, _, true) => add(Miss::Endpoint(place.destination), entrance),
            _ => {}
        }
    }
    let neighbours = all().filter(|entrance| here(&entrance.place) && !from(entrance));
    let nearest = neighbours.max_by_key(|entrance| common_bits(entrance.source.first(), source));
    if let Some(entrance) = nearest.filter(|entrance| common_bits(entrance.source.first(), source) >= prefix(source)) {
        add(Miss::Sender(entrance.source.first()), entrance);
    }
}

const fn is_udp(carrier: Carrier) -> bool {
    matches!(carrier, Carrier::Udp(_))
}

/// How long a network is whose hosts are taken for neighbours.
const fn prefix(address: IpAddr) -> u32 {
    if address.is_ipv4() { 24 } else { 64 }
}

fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// Other readings of the ID bits under which the peer's ID is claimed.
fn readings(claims: &Claims<'_>, entrance: &Entrance, id: u64, found: &mut Vec<NearMiss>) {
    let space = &claims.spaces[entrance.space];
    for (how, segment) in other_readings(space.kind, id) {
        if let Some(held) = space.taken.iter().find(|held| held.segment == segment) {
            let id = space.kind.ids(segment);
            found.push(NearMiss {
                miss: Miss::Reading { how, id },
                peer: Some(entrance.peer),
                claim: Some(held.claim),
            });
        }
    }
}

/// What else the ID bits could have been meant for, as a segment of this encapsulation.
fn other_readings(kind: Kind, id: u64) -> Vec<(Reading, Segment)> {
    const KEYLESS: u64 = 1 << 32;
    let swapped24 = |id: u64| u64::from((id as u32).swap_bytes() >> 8);
    let swapped32 = |id: u64| u64::from((id as u32).swap_bytes());
    let readings = match kind.info().id_bits {
        // A segment of 24 bits in a key of 32.
        "GRE key" if kind.info().tag == "nvgre" => {
            let vsid = id >> 8;
            vec![(Reading::WholeKey, id), (Reading::Shifted, vsid >> 8), (Reading::Swapped, swapped24(vsid))]
        }
        "GRE key" if id == KEYLESS => vec![(Reading::KeylessOrZero, 0)],
        "GRE key" if id == 0 => vec![(Reading::KeylessOrZero, KEYLESS)],
        "GRE key" => vec![
            (Reading::Vsid, id >> 8),
            (Reading::FlowId, id & !0xff),
            (Reading::Shifted, id << 8 & 0xffff_ffff),
            (Reading::Swapped, swapped32(id)),
        ],
        _ => vec![
            (Reading::Swapped, swapped24(id)),
            (Reading::Shifted, id >> 8),
            (Reading::Shifted, id << 8 & 0xff_ffff),
        ],
    };
    let own = if kind.info().tag == "nvgre" { id >> 8 } else { id };
    readings.into_iter().filter(|&(_, segment)| segment != own).map(|(how, segment)| (how, Segment(segment))).collect()
}

/// Peers of the same encapsulation at the same endpoint that have the ID.
fn other_peers(claims: &Claims<'_>, entrance: &Entrance, id: u64, found: &mut Vec<NearMiss>) {
    let reads_alike = |space: &Space| space.reads_like(&claims.spaces[entrance.space]);
    let endpoint: EndpointId = entrance.endpoint;
    let others = claims.entrances.values().flatten().filter(|other| {
        other.endpoint == endpoint && other.space != entrance.space && reads_alike(&claims.spaces[other.space])
    });
    for other in others {
        if let Some(held) = claims.spaces[other.space].takers(id).next() {
            let near = NearMiss { miss: Miss::Peer, peer: Some(other.peer), claim: Some(held.claim) };
            if !found.contains(&near) {
                found.push(near);
            }
        }
    }
}

/// Tags that are nearly those of an attachment of the port.
fn tags(claims: &Claims<'_>, stray: &Stray<'_>, found: &mut Vec<NearMiss>) {
    let wire = claims.wire(stray.port);
    for entrance in claims.tags.iter().filter(|entrance| entrance.wire == wire) {
        let space = &claims.spaces[entrance.space];
        for (miss, ids) in other_tags(stray.tags) {
            let Ok(segment) = space.kind.segment(&ids) else { continue };
            if let Some(held) = space.taken.iter().find(|held| held.segment == segment) {
                found.push(NearMiss { miss, peer: Some(entrance.peer), claim: Some(held.claim) });
            }
        }
    }
}

/// Tags that could have been meant by these.
fn other_tags(tags: &[(u16, u16)]) -> Vec<(Miss, Ids)> {
    let pair = |outer: u16, inner: u16| Ids::of(&[("s_vid", outer.into()), ("c_vid", inner.into())]);
    let outer = |vid: u16| Ids::of(&[("s_vid", vid.into())]);
    let single = |vid: u16| Ids::of(&[("vid", vid.into())]);
    let named = |ids: Ids| (Miss::Tags(ids), ids);
    match *tags {
        [] => vec![],
        [(tpid, vid)] => vec![(Miss::Tpid(tpid), outer(vid)), (Miss::Tpid(ethernet::C_TAG), single(vid))],
        [(tpid, one), (_, other), ..] => {
            let swapped = pair(other, one);
            vec![
                (Miss::Tpid(tpid), pair(one, other)),
                (Miss::SwappedTags(swapped), swapped),
                (Miss::Tpid(tpid), outer(one)),
                named(single(one)),
                named(single(other)),
                named(outer(other)),
            ]
        }
    }
}
