//! Peers whose address is a DNS name: the address that they have now, of those that the name resolves to.
//!
//! What the file says takes precedence: an answer is refused that is somebody else's. Of several peers with names,
//! those keep their address whose name still resolves to it. A peer without an address has its place in the tables, but
//! nothing comes from it and nothing is sent.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address_kind::AddressKind;
use super::endpoints::{self, OwnEndpoint};
use super::peers::{PeerDraft, PeerPass};
use super::plan::NamedPeer;
use super::sides::FarSide;
use super::specs::{self, Spoken};
use super::wire;
use crate::config::{Answers, Name, Peer};
use crate::forwarding::{Members, PeerId, Scope, Sender};

/// A peer whose address is a name, before it has one.
pub(super) struct NamedDraft<'c> {
    name: Name<'c>,
    label: String,
    host: &'c str,
    config: &'c Peer,
    spoken: Spoken<'c>,
    place: OwnEndpoint<'c>,
    scope: Scope,
    id: PeerId,
}

impl NamedDraft<'_> {
    fn draft(&self, address: Option<IpAddr>) -> PeerDraft<'_> {
        let nobody = match self.place.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        PeerDraft {
            label: &self.label,
            name: self.name.text.to_owned(),
            address: address.unwrap_or(nobody),
            span: self.config.address.span,
            knobs: self.config.knobs(),
            spoken: &self.spoken,
            scope: self.scope,
            multicast_group: None,
        }
    }

    fn kept(&self, answers: &Answers) -> Option<IpAddr> {
        answers.kept.get(&(self.name.text.to_owned(), self.host.to_owned())).copied()
    }

    /// Whether the address that it has had is still one of its name's.
    pub(super) fn is_settled(&self, answers: &Answers) -> bool {
        let Some(Ok(found)) = answers.found.get(self.host) else { return true };
        self.kept(answers).is_some_and(|kept| found.contains(&kept))
    }

    /// The addresses that it may have, the best first.
    fn candidates(&self, answers: &Answers) -> Vec<IpAddr> {
        let kept = self.kept(answers);
        let found = answers.found.get(self.host).and_then(|found| found.as_ref().ok());
        let still = kept.filter(|kept| found.is_some_and(|found| found.contains(kept)));
        let fresh = found.into_iter().flatten().copied();
        still.into_iter().chain(fresh).chain(kept).collect()
    }
}

impl<'c> PeerPass<'_, '_, 'c> {
    /// A peer with a name, up to its address: its number, its endpoint, and what else it accepts from.
    pub(super) fn prepare(&mut self, name: Name<'c>, config: &'c Peer, host: &'c str) -> Option<NamedDraft<'c>> {
        let label = format!("peer `{}`", name.text);
        let spoken = specs::spoken(config.knobs().encap, &mut self.context.findings)?;
        let place = self.place_of_name(config, &label, host)?;
        let scope = self.context.numbers.scope(&label);
        let mut draft = NamedDraft { name, label, host, config, spoken, place, scope, id: PeerId::new(0) };
        draft.id = self.number(&draft.draft(None))?;
        wire::warn_of_idle_udp_rules(
            config.knobs(),
            draft.spoken.compiled.kind(),
            draft.place.address,
            &mut self.context.findings,
        );
        self.endpoints.add_carrier(draft.place.id, draft.spoken.compiled.carrier());
        self.accept_from(config, &draft.draft(None), draft.id, &draft.place);
        Some(draft)
    }

    /// The endpoint: a name does not say its address family.
    fn place_of_name(&mut self, config: &Peer, label: &str, host: &str) -> Option<OwnEndpoint<'c>> {
        let findings = &mut self.context.findings;
        if let Some(reference) = &config.endpoint {
            return self.endpoints.table.find(reference, findings).cloned();
        }
        let has = |is_ipv4| self.endpoints.families().any(|family| family == is_ipv4);
        if has(true) && has(false) {
            let message = format!("{label} has a name, `{host}`, which may have IPv4 and IPv6 addresses");
            let help = "say by which of our endpoints it is reached: `endpoint: NAME`";
            findings.error(config.address.span, message, help);
            return None;
        }
        let any = if has(false) { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
        self.place(config.knobs(), label, any, config.address.span)
    }

    /// Gives a peer the first address of its name that is nobody else's.
    pub(super) fn named_peer(&mut self, named: NamedDraft<'c>, answers: &Answers) -> FarSide {
        let (mut address, mut refused) = (None, None);
        for candidate in named.candidates(answers) {
            match self.refusal(&named, candidate) {
                None => {
                    address = Some(candidate);
                    break;
                }
                Some(why) if refused.is_none() => {
                    refused = Some(format!("{} resolves to {candidate}, which {why}", named.host));
                }
                Some(_) => {}
            }
        }
        let draft = named.draft(address);
        let is_its_own = |address: &IpAddr| self.owner(&named, *address).is_some();
        if let Some(address) = address.filter(|address| !is_its_own(address)) {
            self.take_from(address, draft.span, named.id, &draft, &named.place);
        }
        let path = self.put(&draft, &named.place, named.id, false);
        self.all.named.push(NamedPeer {
            peer: named.id,
            name: named.name.text.to_owned(),
            host: named.host.to_owned(),
            endpoint: named.place.name.to_owned(),
            address,
            complaint: complaint(&named, address, refused, answers),
            span: named.config.address.span,
        });
        let (label, id, scope) = (named.label, named.id, named.scope);
        let by_address: HashMap<_, _> = address.map(|address| (address, id)).into_iter().collect();
        let Spoken { spec, compiled } = named.spoken;
        let (kind, spec, path) = (compiled.kind(), spec.clone(), Some(path));
        let (members, peers) = (Members::One(id), vec![id]);
        FarSide { label, kind, spec, compiled, scope, members, peers, flooded: 1, by_address, path }
    }

    /// Why a peer cannot have this address: "is a multicast address".
    fn refusal(&self, named: &NamedDraft<'_>, address: IpAddr) -> Option<String> {
        let kind = AddressKind::of(named.place.address);
        if AddressKind::of(address) != kind {
            return Some(format!("is not {} address, as endpoint `{}` has", kind.words(), named.place.name));
        }
        if let Some(wrong) = endpoints::not_a_tunnels(address) {
            return Some(wrong.to_owned());
        }
        if let Some(own) = self.endpoints.with_address(address, named.place.id) {
            return Some(format!("is our own endpoint `{}`", own.name.text));
        }
        let owner = self.owner(named, address).filter(|(peer, _)| *peer != named.id);
        owner.map(|(_, label)| format!("is an address of {label}"))
    }

    /// The peer that this address is already taken by, at the endpoint and by the carrier of a peer with a name.
    fn owner(&self, named: &NamedDraft<'_>, address: IpAddr) -> Option<(PeerId, &str)> {
        let carrier = named.spoken.compiled.carrier();
        self.all.senders.owner(&Sender { endpoint: named.place.id, address, carrier })
    }
}

/// What stands in the way of a name, in words.
fn complaint(
    named: &NamedDraft<'_>,
    address: Option<IpAddr>,
    refused: Option<String>,
    answers: &Answers,
) -> Option<String> {
    let why = match answers.found.get(named.host) {
        None => None,
        Some(Err(why)) => Some(format!("{} cannot be resolved: {why}", named.host)),
        Some(Ok(found)) if address.is_some_and(|address| found.contains(&address)) => None,
        Some(Ok(_)) => refused,
    };
    match (address, why) {
        (None, None) => Some(format!("name not resolved yet: {}", named.host)),
        (None, Some(why)) => Some(format!("name not resolved yet: {why}")),
        (Some(_), None) => None,
        (Some(kept), Some(why)) => Some(format!("{why}; {kept} is kept")),
    }
}
