//! The redirect program of a port: `redirect.bpf.c`, compiled, with a [`Filter`] in its maps.
//!
//! Another filter is another program with other maps; what they share are the sockets and the counts.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;

use transload_encaps::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::filter::{AllowedSenders, Claims, Filter, Tags};
use super::rows::{
    EndpointRow, EntranceKey, HostKey, MacRow, NO_ENDPOINT, NO_TUNNEL, OUTER, PrefixKey, REASONS, RideKey, SINGLE,
    SenderKey, TUNNEL, TrafficRow, XdpPortRow, in_frame,
};
use crate::bpf::object::{self, Aligned};
use crate::bpf::{Map, MapKind, Program, ProgramKind};

/// `XDP_PASS`.
pub(super) const PASS: u32 = 2;

static OBJECT: Aligned<{ include_bytes!("redirect.bpf.o").len() }> = Aligned(*include_bytes!("redirect.bpf.o"));

/// What a port's programs have in common.
#[derive(Debug)]
pub(super) struct CommonMaps {
    /// By queue: the socket.
    pub(super) sockets: Map<u32>,
    /// By reason: what was not taken.
    pub(super) left: Map<TrafficRow>,
}

impl CommonMaps {
    /// Of a device with so many queues.
    pub(super) fn new(queues: u32) -> io::Result<Self> {
        let left = Map::new(MapKind::PerCpuArray, REASONS.len() as u32)?;
        Ok(Self { sockets: Map::new(MapKind::Sockets, queues)?, left })
    }
}

/// Loads the program for a filter. What it answers for a frame whose queue has no socket is `PASS`, but for tests.
pub(super) fn load(
    filter: &Filter,
    shared: &CommonMaps,
    kind: ProgramKind,
    without_socket: u32,
) -> io::Result<Program> {
    let Rows { port, entrances, own, carriers, peers, learners, tags, tpids } = Rows::of(filter, without_socket);
    let (port, tags) = (table(MapKind::Array, &port)?, table(MapKind::Array, &tags)?);
    let (entrances, own, carriers) = (hash(&entrances)?, hash(&own)?, hash(&carriers)?);
    let (peers, learners, tpids) = (hash(&peers)?, table(MapKind::LongestPrefix, &learners)?, hash(&tpids)?);
    let maps = [
        ("sockets", shared.sockets.as_fd()),
        ("left", shared.left.as_fd()),
        ("ports", port.as_fd()),
        ("entrances", entrances.as_fd()),
        ("own", own.as_fd()),
        ("carriers", carriers.as_fd()),
        ("peers", peers.as_fd()),
        ("learners", learners.as_fd()),
        ("tags", tags.as_fd()),
        ("tpids", tpids.as_fd()),
    ];
    Program::load(&object::instructions(&OBJECT.0, "redirect", &maps)?, kind)
}

fn hash<K, V>(rows: &BTreeMap<K, V>) -> io::Result<Map<V, K>>
where
    K: IntoBytes + Immutable,
    V: FromBytes + IntoBytes + Immutable,
{
    table(MapKind::Hash, rows)
}

/// A map with these rows. The kernel knows none without any room.
fn table<K, V>(kind: MapKind, rows: &BTreeMap<K, V>) -> io::Result<Map<V, K>>
where
    K: IntoBytes + Immutable,
    V: FromBytes + IntoBytes + Immutable,
{
    let map = Map::new(kind, rows.len().max(1) as u32)?;
    rows.iter().try_for_each(|(key, value)| map.set(key, value))?;
    Ok(map)
}

/// What stands in the maps of a program.
struct Rows {
    port: BTreeMap<u32, XdpPortRow>,
    entrances: BTreeMap<EntranceKey, EndpointRow>,
    own: BTreeMap<HostKey, u32>,
    carriers: BTreeMap<RideKey, u32>,
    peers: BTreeMap<SenderKey, u32>,
    learners: BTreeMap<PrefixKey, u32>,
    tags: BTreeMap<u32, u32>,
    tpids: BTreeMap<u32, u32>,
}

impl Rows {
    fn of(filter: &Filter, without_socket: u32) -> Self {
        let (kind, untagged) = match &filter.tags {
            Tags::None => (0, false),
            Tags::Some(claims) => (1, claims.untagged),
            Tags::Tagged(_) => (2, false),
            Tags::All => (3, true),
        };
        let port = XdpPortRow { mac: filter.mac.into(), tags: kind, untagged: untagged.into(), without_socket };
        let tpids = match &filter.tags {
            Tags::Some(Claims { tpids, .. }) | Tags::Tagged(tpids) => tpids.as_slice(),
            Tags::None | Tags::All => &[],
        };
        let mut rows = Self {
            port: BTreeMap::from([(0, port)]),
            entrances: BTreeMap::new(),
            own: filter.own.iter().map(|address| ((*address).into(), 1)).collect(),
            carriers: BTreeMap::new(),
            peers: BTreeMap::new(),
            learners: BTreeMap::new(),
            tags: if let Tags::Some(claims) = &filter.tags { vids(claims) } else { BTreeMap::new() },
            tpids: tpids.iter().map(|tpid| (in_frame(*tpid), 1)).collect(),
        };
        rows.entrances(filter);
        for (carriers, what) in [(&filter.other_tunnels, TUNNEL), (&filter.no_tunnels, NO_TUNNEL)] {
            for key in carriers.iter().filter_map(|carrier| RideKey::new(NO_ENDPOINT, Some(*carrier))) {
                rows.carriers.entry(key).or_insert(what);
            }
        }
        rows
    }

    fn entrances(&mut self, filter: &Filter) {
        for (id, entrance) in (NO_ENDPOINT + 1..).zip(&filter.entrances) {
            let any_sender = u32::from(entrance.senders == AllowedSenders::Anyone);
            for address in std::iter::once(entrance.address).chain(entrance.multicast.iter().copied()) {
                // RFC 1112 §6.4, RFC 2464 §7: a multicast group has a MAC address of its own.
                let mac = if address.is_multicast() { Some(Mac::of_group(address)) } else { filter.mac };
                let key = EntranceKey { host: address.into(), vlan: entrance.vlan.map_or(0, u32::from) };
                let row = EndpointRow { id, any_sender, mac: MacRow::from(mac) };
                // Of two entrances with one address and VLAN, the first takes the packets.
                self.entrances.entry(key).or_insert(row);
            }
            let rides = entrance.carriers.iter().filter_map(|carrier| RideKey::new(id, Some(*carrier)));
            self.carriers.extend(rides.map(|ride| (ride, TUNNEL)));
            let AllowedSenders::Known { peers, learners } = &entrance.senders else { continue };
            for (carrier, address) in peers {
                let rides = [Some(*carrier), None].into_iter().filter_map(|carrier| RideKey::new(id, carrier));
                self.peers.extend(rides.map(|ride| (SenderKey::new(ride, *address), 1)));
            }
            for (carrier, first, last) in learners {
                let rides = [Some(*carrier), None].into_iter().filter_map(|carrier| RideKey::new(id, carrier));
                self.learners.extend(rides.map(|ride| (PrefixKey::new(ride, *first, *last), 1)));
            }
        }
    }
}

/// By VLAN ID, what it is claimed as.
fn vids(claims: &Claims) -> BTreeMap<u32, u32> {
    const VIDS: u32 = 4096;
    let has = |vids: &[u16], vid: u32| vids.iter().any(|&claimed| u32::from(claimed) == vid);
    let kinds =
        |vid| if has(&claims.outer, vid) { OUTER } else { 0 } | if has(&claims.single, vid) { SINGLE } else { 0 };
    (0..VIDS).map(|vid| (vid, kinds(vid))).collect()
}
