//! Groups: members that are named, members that are learned, and the multicast group that reaches all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address_kind::mismatch;
use super::endpoints::{self, OwnEndpoint};
use super::peers::{PeerDraft, PeerPass};
use super::plan::{LearningGroup, TunnelPlan};
use super::sides::{FarSide, Path};
use super::specs::{self, Spoken};
use super::wire;
use crate::config::{Address, Addresses, At, Group, Knobs, LearnFrom, Name, Prefix, Span};
use crate::forwarding::{GroupId, Learner, MAX_PEERS, Members, PeerId, Scope};

/// Most members a group learns, unless the file says otherwise.
const MAX_LEARNED: usize = 1024;

/// A group that is being compiled.
struct GroupDraft<'a> {
    name: Name<'a>,
    /// "group `leafs`"
    label: &'a str,
    config: &'a Group,
    knobs: Knobs<'a>,
    spoken: &'a Spoken<'a>,
    scope: Scope,
    place: OwnEndpoint<'a>,
    /// The first address, which says the address family.
    first: IpAddr,
    multicast: Option<IpAddr>,
}

impl GroupDraft<'_> {
    /// A member of the group, named `GROUP/LAST`.
    fn draft(&self, last: &str, address: IpAddr, span: Span) -> PeerDraft<'_> {
        PeerDraft {
            label: self.label,
            name: format!("{}/{last}", self.name.text),
            address,
            span,
            knobs: self.knobs,
            spoken: self.spoken,
            scope: self.scope,
            multicast_group: self.multicast,
        }
    }
}

/// The members of a group that the file names.
#[derive(Default)]
struct NamedMembers {
    by_address: HashMap<IpAddr, PeerId>,
    peers: Vec<PeerId>,
    path: Option<Path>,
}

impl PeerPass<'_, '_, '_> {
    pub(super) fn group(&mut self, name: Name<'_>, config: &Group) -> Option<FarSide> {
        let label = format!("group `{}`", name.text);
        let knobs = config.knobs();
        let spoken = specs::spoken(knobs.encap, &mut self.context.findings);
        let first = self.first_address(name, &label, config);
        let (spoken, (first, span)) = (spoken?, first?);
        let place = self.place(knobs, &label, first, span)?;
        wire::warn_of_idle_udp_rules(knobs, spoken.compiled.kind(), first, &mut self.context.findings);
        wire::check_df(knobs, &label, first, &mut self.context.findings);
        let scope = self.context.numbers.scope(&label);
        let multicast = config.bum.as_ref().and_then(|at| self.multicast(at, first));
        let making = GroupDraft { name, label: &label, config, knobs, spoken: &spoken, scope, place, first, multicast };
        let mut named = self.named(&making)?;
        let id = self.context.numbers.group(name.text);
        let everyone = self.everyone(&making, id);
        let row = self.all.members.get_or_default(id);
        row.members.clone_from(&named.peers);
        if let Some((peer, path)) = everyone {
            row.multicast = multicast.map(|_| peer);
            row.anonymous = config.learn_from.as_ref().map(|_| peer);
            named.peers.push(peer);
            named.path.get_or_insert(path);
        }
        let flooded = row.multicast.map_or(row.members.len(), |_| 1);
        let NamedMembers { by_address, peers, path } = named;
        let Spoken { spec, compiled } = spoken;
        let (kind, spec, members) = (compiled.kind(), spec.clone(), Members::Group(id));
        Some(FarSide { label, kind, spec, compiled, scope, members, peers, flooded, by_address, path })
    }

    /// The first address that can be read; it stands for the group's address family.
    fn first_address(&mut self, name: Name<'_>, label: &str, config: &Group) -> Option<(IpAddr, Span)> {
        let help =
            "name its peers: `members: [192.0.2.11-192.0.2.50]`, or say where they are: `learn_from: 192.0.2.0/24`";
        match (&config.members, &config.learn_from) {
            (None, None) => {
                self.context.findings.error(name.span, format!("{label} has neither `members` nor `learn_from`"), help);
            }
            (Some(at), None) if at.get().is_some_and(Vec::is_empty) => {
                self.context.findings.error(at.span, format!("{label} has no members"), help);
            }
            (_, Some(at)) if at.get().is_some_and(LearnFrom::is_empty) => {
                let help = "name a prefix: `learn_from: 192.0.2.0/24`";
                self.context.findings.error(at.span, format!("`learn_from` of {label} is empty"), help);
            }
            _ => {}
        }
        if let (Some(at), None) = (&config.max_learned, &config.learn_from) {
            let message = format!("{label} learns no members, so `max_learned` does nothing");
            self.context.findings.warning(at.span, message, "remove it, or add `learn_from: 192.0.2.0/24`");
        }
        let members = config.members.as_ref().and_then(At::get).into_iter().flatten();
        let mut members = members.filter_map(|range| Some((range.get()?.first, range.span)));
        let prefix = || {
            let at = config.learn_from.as_ref()?;
            at.get()?.iter(at.span).next().map(|(prefix, span)| (prefix.first, span))
        };
        members.next().or_else(prefix)
    }

    /// The multicast group of the underlay, if it can be one.
    fn multicast(&mut self, at: &At<Address>, first: IpAddr) -> Option<IpAddr> {
        let Address(group) = at.value()?;
        let (message, help) = match group {
            _ if !group.is_multicast() => (
                format!("{group} is not a multicast address"),
                "write a group such as 239.1.1.1 or ff05::1, or remove `bum`: every member then gets its own copy",
            ),
            IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => (
                format!("{group} is reserved for protocols of one link (RFC 5771 §4)"),
                "write a group of your own, such as 239.1.1.1",
            ),
            IpAddr::V6(v6) if matches!(v6.octets()[1] & 0xf, 0 | 1) => (
                format!("{group} never leaves a host (RFC 4291 §2.7)"),
                "write a group of a wider scope, such as ff05::1",
            ),
            _ if group.is_ipv4() != first.is_ipv4() => (
                format!("{group} and {first} are of different address families"),
                "a group and its multicast group have the same address family",
            ),
            _ => return Some(group),
        };
        self.context.findings.error(at.span, message, help);
        None
    }

    fn named(&mut self, making: &GroupDraft<'_>) -> Option<NamedMembers> {
        let mut named = NamedMembers::default();
        let Some(ranges) = &making.config.members else { return Some(named) };
        for range in ranges.get()? {
            let Some(addresses) = self.usable(range, making.first) else { continue };
            for address in addresses.iter() {
                let draft = making.draft(&address.to_string(), address, range.span);
                // What is wrong with one of a range is most likely wrong with all of it.
                let Some((id, way)) = self.add(&draft, &making.place) else { break };
                named.by_address.insert(address, id);
                named.peers.push(id);
                named.path = Some(way);
            }
        }
        Some(named)
    }

    /// A range, if it can be peers at all: a typing error must not become 2^64 of them.
    fn usable<'a>(&mut self, range: &'a At<Addresses>, first: IpAddr) -> Option<&'a Addresses> {
        let addresses = range.get()?;
        let count = addresses.count();
        if count > MAX_PEERS as u128 {
            let message = format!("this range holds {count} addresses; a gateway has at most {MAX_PEERS} peers");
            self.context.findings.error(range.span, message, "end the range earlier");
        } else if let Some((message, help)) = mismatch(addresses.first, addresses.first, first, "group") {
            self.context.findings.error(range.span, message, help);
        } else if endpoints::is_tunnel_address(addresses.first, range.span, &mut self.context.findings)
            && endpoints::is_tunnel_address(addresses.last, range.span, &mut self.context.findings)
        {
            return Some(addresses);
        }
        None
    }

    /// The peer that stands for all members at once: flooded frames go to it, if there is a multicast group, and
    /// packets of senders that are still to be learned count as its own.
    fn everyone(&mut self, making: &GroupDraft<'_>, group: GroupId) -> Option<(PeerId, Path)> {
        let Group { bum, learn_from, max_learned, .. } = making.config;
        let span =
            learn_from.as_ref().map(|at| at.span).or_else(|| making.multicast.and(bum.as_ref()).map(|at| at.span))?;
        let nobody =
            if making.first.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let last = making.multicast.map_or_else(|| "*".to_owned(), |group| group.to_string());
        let draft = making.draft(&last, making.multicast.unwrap_or(nobody), span);
        let id = self.number(&draft)?;
        let path = self.put(&draft, &making.place, id, true);
        if let Some(multicast) = making.multicast {
            self.endpoints.add_multicast_group(making.place.id, multicast);
        }
        let Some(prefixes) = learn_from else { return Some((id, path)) };
        for (prefix, span) in prefixes.get()?.iter(prefixes.span) {
            self.learn_from(making, prefix, span, id);
        }
        self.all.learning.push(LearningGroup {
            group,
            name: making.name.text.to_owned(),
            anonymous: id,
            endpoint: making.place.id,
            underlay: draft.underlay(&making.place),
            udp: wire::udp_rules(making.knobs, making.spoken.compiled.kind()),
            multicast_group: making.multicast,
            tunnel: TunnelPlan { span, ..draft.tunnel(&making.place, id) },
            most: max_learned.as_ref().and_then(At::value).map_or(MAX_LEARNED, |most| most.0 as usize),
            attachments: 0,
        });
        Some((id, path))
    }

    fn learn_from(&mut self, making: &GroupDraft<'_>, prefix: Prefix, span: Span, peer: PeerId) {
        if let Some((message, help)) = mismatch(prefix, prefix.first, making.first, "group") {
            self.context.findings.error(span, message, help);
            return;
        }
        if prefix.len > 0 && (prefix.first.is_multicast() || prefix.first.is_loopback()) {
            let message = format!("no tunnel packet comes from {prefix}");
            self.context.findings.error(span, message, "write the prefix that the peers' unicast addresses are in");
            return;
        }
        let carrier = making.spoken.compiled.carrier();
        self.endpoints.add_carrier(making.place.id, carrier);
        let learner = Learner { endpoint: making.place.id, carrier, first: prefix.first, last: prefix.last(), peer };
        self.all.learners.claim(learner, making.label, prefix.to_string(), span, self.context);
    }
}
