//! Groups: members that are named, members that are learned, and the multicast group that reaches all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use transload_encaps::Spec;

use super::names::slot;
use super::peers::{Draft, Pass, Place};
use super::plan::{LearningGroup, TunnelPlan};
use super::sides::{Path, Side};
use super::{endpoints, specs, wire};
use crate::config::{Address, Addresses, At, Group, Knobs, LearnFrom, Name, Prefix, Span};
use crate::forwarding::{GroupId, Learner, MAX_PEERS, Members, PeerId, Scope};

/// How many members a group learns, if the file does not say.
const MAX_LEARNED: usize = 1024;

/// A group on its way into the tables.
struct Making<'a> {
    name: Name<'a>,
    /// "group `leafs`"
    label: &'a str,
    config: &'a Group,
    knobs: Knobs<'a>,
    spec: &'a Spec,
    scope: Scope,
    place: Place,
    /// Stands for the address family.
    first: IpAddr,
    multicast: Option<IpAddr>,
}

impl Making<'_> {
    /// One of the group, called `GROUP/LAST`.
    fn draft(&self, last: &str, address: IpAddr, span: Span) -> Draft<'_> {
        Draft {
            label: self.label,
            name: format!("{}/{last}", self.name.text),
            address,
            span,
            knobs: self.knobs,
            spec: self.spec,
            scope: self.scope,
            hears: self.multicast,
        }
    }
}

/// The members of a group that the file names.
#[derive(Default)]
struct Named {
    by_address: HashMap<IpAddr, PeerId>,
    peers: Vec<PeerId>,
    path: Option<Path>,
}

impl Pass<'_, '_> {
    pub(super) fn group(&mut self, name: Name<'_>, config: &Group) -> Option<Side> {
        let label = format!("group `{}`", name.text);
        let knobs = config.knobs();
        let spec = specs::spoken(knobs.encap, self.report);
        let first = self.first_address(name, &label, config);
        let (spec, (first, span)) = (spec?, first?);
        let place = self.place(knobs, &label, first, span)?;
        wire::warn_of_idle_udp_rules(knobs, spec.kind(), first, self.report);
        let scope = self.numbers.scope(&label);
        let multicast = config.bum.as_ref().and_then(|at| self.multicast(at, first));
        let making = Making { name, label: &label, config, knobs, spec, scope, place, first, multicast };
        let mut named = self.named(&making)?;
        let id = self.numbers.group(name.text);
        let everyone = self.everyone(&making, id);
        let row = slot(&mut self.all.members, id.0 as usize);
        row.members.clone_from(&named.peers);
        if let Some((peer, path)) = everyone {
            row.multicast = multicast.map(|_| peer);
            row.anonymous = config.learn_from.as_ref().map(|_| peer);
            named.peers.push(peer);
            named.path.get_or_insert(path);
        }
        let Named { by_address, peers, path } = named;
        let (kind, spec, members) = (spec.kind(), spec.clone(), Members::Group(id));
        Some(Side { label, kind, spec, scope, members, peers, by_address, path })
    }

    /// The first address that can be read; it stands for the group's address family.
    fn first_address(&mut self, name: Name<'_>, label: &str, config: &Group) -> Option<(IpAddr, Span)> {
        let help =
            "name its peers: `members: [192.0.2.11-192.0.2.50]`, or say where they are: `learn_from: 192.0.2.0/24`";
        match (&config.members, &config.learn_from) {
            (None, None) => {
                self.report.error(name.span, format!("{label} has neither `members` nor `learn_from`"), help);
            }
            (Some(at), None) if at.get().is_some_and(Vec::is_empty) => {
                self.report.error(at.span, format!("{label} has no members"), help);
            }
            (_, Some(at)) if at.get().is_some_and(LearnFrom::is_empty) => {
                let help = "name a prefix: `learn_from: 192.0.2.0/24`";
                self.report.error(at.span, format!("{label} learns from nowhere"), help);
            }
            _ => {}
        }
        if let (Some(at), None) = (&config.max_learned, &config.learn_from) {
            let message = format!("{label} learns no members, so `max_learned` does nothing");
            self.report.warning(at.span, message, "remove it, or add `learn_from: 192.0.2.0/24`");
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
                format!("{group} is no multicast address"),
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
                "a group has one family; its multicast group too",
            ),
            _ => return Some(group),
        };
        self.report.error(at.span, message, help);
        None
    }

    fn named(&mut self, making: &Making<'_>) -> Option<Named> {
        let mut named = Named::default();
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
            self.report.error(range.span, message, "end it earlier");
        } else if addresses.first.is_ipv4() != first.is_ipv4() {
            let message = format!("{} and {first} are of different address families", addresses.first);
            self.report.error(range.span, message, "a group has one family; add another group for the other");
        } else if endpoints::is_tunnel_address(addresses.first, range.span, self.report)
            && endpoints::is_tunnel_address(addresses.last, range.span, self.report)
        {
            return Some(addresses);
        }
        None
    }

    /// Who stands for all members at once: what is flooded goes there, if there is a multicast group, and whoever is
    /// to be learned counts as it.
    fn everyone(&mut self, making: &Making<'_>, group: GroupId) -> Option<(PeerId, Path)> {
        let Group { bum, learn_from, max_learned, .. } = making.config;
        let span =
            learn_from.as_ref().map(|at| at.span).or_else(|| making.multicast.and(bum.as_ref()).map(|at| at.span))?;
        let nobody =
            if making.first.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
        let last = making.multicast.map_or_else(|| "*".to_owned(), |group| group.to_string());
        let draft = making.draft(&last, making.multicast.unwrap_or(nobody), span);
        let id = self.number(&draft)?;
        let path = self.put(&draft, &making.place, id, true)?;
        if let Some(multicast) = making.multicast {
            self.endpoints.hear(making.place.endpoint, multicast);
        }
        let Some(prefixes) = learn_from else { return Some((id, path)) };
        for (prefix, span) in prefixes.get()?.iter(prefixes.span) {
            self.learn_from(making, prefix, span, id);
        }
        self.all.learning.push(LearningGroup {
            group,
            name: making.name.text.to_owned(),
            anonymous: id,
            endpoint: making.place.endpoint,
            underlay: draft.underlay(&making.place),
            udp: wire::udp_rules(making.knobs, making.spec.kind()),
            hears: making.multicast,
            tunnel: TunnelPlan { span, ..draft.tunnel(&making.place, id) },
            most: max_learned.as_ref().and_then(At::value).map_or(MAX_LEARNED, |most| most.0 as usize),
        });
        Some((id, path))
    }

    fn learn_from(&mut self, making: &Making<'_>, prefix: Prefix, span: Span, peer: PeerId) {
        let Ok(compiled) = making.spec.compile() else { return };
        if prefix.first.is_ipv4() != making.first.is_ipv4() {
            let message = format!("{prefix} and {} are of different address families", making.first);
            self.report.error(span, message, "a group has one family; add another group for the other");
            return;
        }
        if prefix.len > 0 && (prefix.first.is_multicast() || prefix.first.is_loopback()) {
            let message = format!("no tunnel packet comes from {prefix}");
            self.report.error(span, message, "write the prefix that the peers' unicast addresses are in");
            return;
        }
        let carrier = compiled.carrier();
        self.endpoints.carry(making.place.endpoint, carrier);
        let learner =
            Learner { endpoint: making.place.endpoint, carrier, first: prefix.first, last: prefix.last(), peer };
        self.all.learners.claim(learner, making.label, prefix.to_string(), span, self.report);
    }
}
