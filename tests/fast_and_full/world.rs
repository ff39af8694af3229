//! What a gateway is told besides its file: by devices, by whoever finds paths, by a controller.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use proptest::sample::select;
use transload::fdb::EntrySource;
use transload::forwarding::{Hop, PortId, Target};
use transload::io::Caps;
use transload::rib::facts::{DeviceFact, DeviceState, PathFact};
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use crate::common::twin::Twin;
use crate::common::twins::Twins;
use crate::common::wire::mac;

/// Something that is told.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    /// A device is down, or up again.
    Link(&'static str, bool),
    /// A device does by itself what the gateway would do otherwise, or nothing.
    Caps(&'static str, Caps),
    /// A device has room for so many frames of a burst, or for all.
    Room(&'static str, Option<usize>),
    /// A device is broken, or works again.
    Broken(&'static str, bool),
    /// The next hops to a peer: by these ports, with room for so many bytes.
    Paths(&'static str, Vec<(&'static str, Option<u32>)>),
    /// A controller tells where an address is: in this attachment of blue.
    Told(u8, &'static str, EntrySource),
}

const PORTS: [&str; 5] = ["up", "access", "thin", "dead", "narrow"];

pub(crate) fn facts() -> impl Strategy<Value = Fact> {
    let port = || select(&PORTS[..]);
    let caps = any::<[bool; 3]>().prop_map(|[checksum, gso, outer_checksum]| Caps { checksum, gso, outer_checksum });
    let room = prop_oneof![Just(None), (0..64_usize).prop_map(Some)];
    let peers = select(&["wide4", "wide6", "nobody4", "vxlan4", "gre6"][..]);
    let mtu = prop_oneof![3 => Just(None), 1 => (100..2_000_u32).prop_map(Some)];
    let hops = prop::collection::vec((select(&["up", "north", "narrow"][..]), mtu), 0..6);
    let source = select(&[EntrySource::Told, EntrySource::ToldSticky][..]);
    let place = select(&["vxlan4", "nvgre6", "both"][..]);
    prop_oneof![
        (port(), any::<bool>()).prop_map(|(port, is_down)| Fact::Link(port, is_down)),
        (port(), caps).prop_map(|(port, caps)| Fact::Caps(port, caps)),
        (port(), room).prop_map(|(port, room)| Fact::Room(port, room)),
        (port(), any::<bool>()).prop_map(|(port, is_broken)| Fact::Broken(port, is_broken)),
        (peers, hops).prop_map(|(peer, hops)| Fact::Paths(peer, hops)),
        (prop_oneof![0x90..0xa0_u8, 0xf1..0xf3_u8], place, source)
            .prop_map(|(host, place, source)| Fact::Told(host, place, source)),
    ]
}

impl Fact {
    /// Tells both.
    pub(crate) fn tell(&self, twins: &mut Twins<'_>) {
        match self {
            Self::Link(port, is_down) => {
                let id = twins.port(port);
                let state = Some(DeviceState { mac: None, mtu: None, is_down: *is_down });
                twins.change(|twin| twin.rib.devices([DeviceFact { port: id, state, failure: None }]));
            }
            Self::Caps(port, caps) => {
                let id = twins.port(port);
                twins.change(|twin| twin.port(id).set_caps(*caps));
            }
            Self::Room(port, room) => {
                let id = twins.port(port);
                twins.change(|twin| twin.port(id).set_room(*room));
            }
            Self::Broken(port, is_broken) => {
                let id = twins.port(port);
                twins.change(|twin| twin.port(id).fail(is_broken.then_some(io::ErrorKind::NotFound)));
            }
            Self::Paths(peer, hops) => {
                let hops: Vec<_> = hops.iter().map(|(port, mtu)| (twins.port(port), *mtu)).collect();
                twins.change(|twin| resolve(twin, peer, &hops));
            }
            Self::Told(host, place, source) => twins.change(|twin| install(twin, *host, place, *source)),
        }
    }
}

fn resolve(twin: &mut Twin<'_>, name: &str, hops: &[(PortId, Option<u32>)]) {
    let Some(peer) = twin.rib.names().peers().find(|(_, known)| *known == name).map(|(peer, _)| peer) else { return };
    let hop = |(n, &(port, mtu)): (u8, &(PortId, Option<u32>))| {
        let link = LinkAddresses { dst: Mac(mac(0x40 + n)), src: Mac([2, 0xaa, 0, 0, 0, 1 + port.number() as u8]) };
        Hop { port, link, mtu }
    };
    let hops: Arc<[Hop]> = (0..).zip(hops).map(hop).collect();
    twin.rib.resolved([PathFact { peer, hops, complaints: Vec::new() }]);
}

fn install(twin: &Twin<'_>, host: u8, place: &str, source: EntrySource) {
    let names = twin.rib.names();
    let Some(domain) = names.domain_id("blue") else { return };
    let shared = twin.rib.shared();
    let tables = shared.forwarding.load();
    let blue = tables.domain(domain).expect("a tenant that has a name");
    let found = blue.attachments.iter().find(|(id, _)| names.attachment(domain, *id) == place);
    let Some((attachment, row)) = found else { return };
    let peer = *tables.members(&row.members).first().expect("one peer");
    let key = shared.fdb.key(domain, Mac(mac(host)));
    let replaced = shared.fdb.install(key, Target { attachment, peer }, source).expect("room for it");
    // What is not the file's counts against the limit.
    if replaced.is_none_or(|replaced| replaced.source == EntrySource::File) {
        blue.state.macs.fetch_add(1, Ordering::Relaxed);
    }
}
