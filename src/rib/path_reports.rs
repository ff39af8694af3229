//! Path reports: what ICMP errors said of the paths to peers, as far as it can be true and is not too old.
//!
//! Whoever can send us packets can send ICMP errors. One is believed if it quotes a packet that we may have sent (RFC 5927
//! §4), from our endpoint to a peer in that peer's encapsulation, and no more than it has to be: a path MTU falls, down
//! to what every link must carry, and rises only by being forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::facts::{IcmpError, PacketFate, QuotedTunnel, Unreachable};
use super::{News, Output, Rib};
use crate::dataplane::Now;
use crate::forwarding::{Exit, Hop, Peer, PeerId, Sender, Slab};

const SECOND: u64 = 1_000_000_000;
/// RFC 1191 §6.3, RFC 8201 §4: after so long the path is tried again with longer packets.
const MTU_HOLDS: u64 = 600 * SECOND;
/// Who is sent packets and cannot be reached says so again before; or nothing is sent, and it is old news.
const UNREACHABLE_HOLDS: u64 = 120 * SECOND;
/// What every host takes in one piece (RFC 791 §3.2); links that carry less are not to be had any more.
const LEAST_IPV4: u32 = 576;
/// RFC 8200 §5; RFC 8201 §4: what reports less is not believed.
const LEAST_IPV6: u32 = 1280;
/// RFC 1191 §7.1: the MTUs that links have, for routers that do not say which.
const PLATEAUS: [u32; 8] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, LEAST_IPV4];

/// What ICMP errors said of the paths to all peers.
#[derive(Debug, Default)]
pub struct PathReports(BTreeMap<PeerId, PathReport>);

/// What ICMP errors said of the path to one peer.
#[derive(Debug, Clone)]
pub struct PathReport {
    /// The tunnel that they quoted.
    pub tunnel: QuotedTunnel,
    /// How long packets may be.
    pub mtu: Option<ReportedMtu>,
    /// Why packets do not get there.
    pub unreachable: Option<ReportedUnreachable>,
}

/// A path MTU that a router reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedMtu {
    /// Most bytes of an IP packet.
    pub mtu: u32,
    /// The router.
    pub from: IpAddr,
    /// When it last said so, in nanoseconds of the workers' clock.
    pub at: u64,
}

/// A report that packets do not get to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedUnreachable {
    /// The reason.
    pub why: Unreachable,
    /// Who says so: the peer itself, or a router.
    pub from: IpAddr,
    /// When it last said so, in nanoseconds of the workers' clock.
    pub at: u64,
}

impl PathReport {
    /// `UDP port 4789 unreachable`
    #[must_use]
    pub fn words(&self, why: Unreachable) -> String {
        match why {
            Unreachable::Network => "network unreachable".into(),
            Unreachable::Host => "host unreachable".into(),
            Unreachable::Protocol | Unreachable::Port => format!("{} unreachable", self.tunnel.carrier),
            Unreachable::Prohibited => "administratively prohibited".into(),
            Unreachable::Expired => "TTL expired on the way".into(),
        }
    }
}

impl PathReports {
    /// What was said of the path to a peer.
    #[must_use]
    pub fn of(&self, peer: PeerId) -> Option<&PathReport> {
        self.0.get(&peer)
    }

    /// The paths, with the MTUs that were reported where these are smaller.
    pub(super) fn applied(&self, hops: &Slab<PeerId, Arc<[Hop]>>) -> Slab<PeerId, Arc<[Hop]>> {
        let mut narrowed = hops.clone();
        for (peer, report) in &self.0 {
            let (Some(known), Some(reported)) = (hops.get(*peer), report.mtu) else { continue };
            let narrow =
                |hop: &Hop| Hop { mtu: Some(hop.mtu.map_or(reported.mtu, |mtu| mtu.min(reported.mtu))), ..*hop };
            narrowed.insert(*peer, known.iter().map(narrow).collect());
        }
        narrowed
    }

    /// Forgets what was said of the path to a peer.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    /// Forgets what is old. Returns whether a path MTU was among it.
    pub(super) fn age(&mut self, now: Now) -> bool {
        let is_old = |at: u64, holds: u64| now.nanos.saturating_sub(at) >= holds;
        let mut has_risen = false;
        for report in self.0.values_mut() {
            has_risen |= report.mtu.take_if(|mtu| is_old(mtu.at, MTU_HOLDS)).is_some();
            report.unreachable.take_if(|unreachable| is_old(unreachable.at, UNREACHABLE_HOLDS));
        }
        self.0.retain(|_, report| report.mtu.is_some() || report.unreachable.is_some());
        has_risen
    }

    fn entry(&mut self, peer: PeerId, tunnel: QuotedTunnel) -> &mut PathReport {
        self.0.entry(peer).or_insert(PathReport { tunnel, mtu: None, unreachable: None })
    }
}

impl Rib {
    /// Takes in what an ICMP error says, as far as it is about a packet that we may have sent.
    pub fn reported(&mut self, error: &IcmpError, now: Now) {
        for peer in self.quoted_peers(&error.tunnel) {
            match error.fate {
                PacketFate::TooBig { mtu } => self.lower_mtu(peer, error, mtu, now),
                PacketFate::Unreachable(why) => self.note_unreachable(peer, error, why, now),
            }
        }
    }

    fn note_unreachable(&mut self, peer: PeerId, error: &IcmpError, why: Unreachable, now: Now) {
        let report = self.reports.entry(peer, error.tunnel);
        let reported = ReportedUnreachable { why, from: error.from, at: now.nanos };
        if report.unreachable.replace(reported).is_none() {
            let what = report.words(why);
            self.outputs.push_back(Output::News(News::Unreachable { peer, from: error.from, what }));
        }
    }

    /// Lowers the path MTU of a peer to what a router said, if it can have said that of a packet of ours.
    fn lower_mtu(&mut self, peer: PeerId, error: &IcmpError, mtu: Option<u32>, now: Now) {
        let least = if error.tunnel.remote.is_ipv4() { LEAST_IPV4 } else { LEAST_IPV6 };
        let sent = self.hops(peer).iter().map(|hop| hop.mtu.unwrap_or(u32::MAX)).max();
        // RFC 1191 §5: of a router that does not say, the next plateau below the length of the packet.
        let mtu = mtu.or_else(|| PLATEAUS.into_iter().find(|plateau| *plateau < error.len));
        let Some((mtu, sent)) = mtu.filter(|mtu| *mtu >= least && *mtu < error.len).zip(sent) else { return };
        if error.may_be_fragmented || self.may_be_fragmented(peer) || error.len > sent {
            return;
        }
        let report = self.reports.entry(peer, error.tunnel);
        let before = report.mtu.map_or(u32::MAX, |reported| reported.mtu);
        if mtu > before {
            return;
        }
        report.mtu = Some(ReportedMtu { mtu, from: error.from, at: now.nanos });
        if mtu < before {
            self.is_changed = true;
            self.outputs.push_back(Output::News(News::PathMtu { peer, from: error.from, mtu }));
        }
    }

    /// The peers to which packets of a tunnel go: one, unless endpoints in several VLANs have the same address.
    fn quoted_peers(&self, tunnel: &QuotedTunnel) -> Vec<PeerId> {
        let (tables, learned) = (&self.plan.tables, self.learned.tables());
        let endpoints = tables.endpoints.iter().filter(|(_, endpoint)| endpoint.address == tunnel.local);
        let senders =
            endpoints.map(|(endpoint, _)| Sender { endpoint, address: tunnel.remote, carrier: tunnel.carrier });
        let peers = senders.filter_map(|sender| tables.senders.get(&sender).or_else(|| learned.senders.get(&sender)));
        // A peer may send from addresses that we do not send to.
        peers.copied().filter(|peer| self.destination(*peer) == Some(tunnel.remote)).collect()
    }

    /// The peer with this number, if the file names it or it is learned.
    fn peer(&self, id: PeerId) -> Option<&Peer> {
        let learned = || self.learned.tables().peers.get(&id).map(|learned| &learned.peer);
        self.plan.tables.peer(id).or_else(learned)
    }

    /// Whether a peer's packets get through links that are narrower than they are long.
    fn may_be_fragmented(&self, peer: PeerId) -> bool {
        self.peer(peer).is_some_and(|peer| peer.ids.is_some())
    }

    fn destination(&self, peer: PeerId) -> Option<IpAddr> {
        match &self.peer(peer)?.exit {
            Exit::Tunnel(underlay) => underlay.destination(),
            Exit::Port(_) => None,
        }
    }

    /// Keeps what was said of tunnels that are still those of their peers.
    pub(super) fn keep_reports(&mut self) {
        let mut reports = std::mem::take(&mut self.reports);
        reports.0.retain(|peer, report| self.quoted_peers(&report.tunnel).contains(peer));
        for (peer, report) in &mut reports.0 {
            report.mtu.take_if(|_| self.may_be_fragmented(*peer));
        }
        self.reports = reports;
    }
}
