//! Static addresses of a tenant.

use std::collections::{BTreeMap, HashMap};

use transload_encaps::Mac;

use super::findings::Findings;
use super::plan::Static;
use super::ports;
use super::sides::FarSide;
use crate::config::{self, Address, At, MacAddress, Tenant, suggestion};
use crate::forwarding::{AttachmentId, DomainId, Members, PeerId, Target};

/// The attachments of a draft by name: their place in it, and what they lead to; `None` is one that is broken.
pub(super) type Known<'c, 'p> = BTreeMap<&'c str, Option<(usize, &'p FarSide)>>;

/// A static address of every tenant of a draft.
pub(super) struct StaticDraft {
    mac: Mac,
    /// The attachment, by its place in the draft.
    way: usize,
    peer: PeerId,
}

impl StaticDraft {
    /// The static address of one tenant, by the numbers of its attachments.
    pub(super) fn at(&self, domain: DomainId, attachments: &[Option<AttachmentId>]) -> Option<Static> {
        let attachment = (*attachments.get(self.way)?)?;
        Some(Static { domain, mac: self.mac, target: Target { attachment, peer: self.peer } })
    }
}

pub(super) fn compile<V>(tenant: &Tenant<V>, known: &Known<'_, '_>, findings: &mut Findings) -> Vec<StaticDraft> {
    let (mut lines, mut all) = (HashMap::new(), Vec::new());
    for at in &tenant.statics {
        let Some(config) = at.get() else { continue };
        let target = target(config, known, findings);
        let Some(MacAddress(mac)) = config.mac.value() else { continue };
        if !ports::unicast(mac, config.mac.span, findings) {
            continue;
        }
        if let Some(first) = lines.insert(mac, config.mac.span) {
            let message = format!("{mac} is already static on {}", findings.line(first, config.mac.span));
            findings.conflict(
                config.mac.span,
                first,
                "first here",
                message,
                "an address can be in one place only; keep one",
            );
        } else if let Some((way, peer)) = target {
            all.push(StaticDraft { mac, way, peer });
        }
    }
    all
}

fn target(config: &config::Static, known: &Known<'_, '_>, findings: &mut Findings) -> Option<(usize, PeerId)> {
    let name = config.via.get()?;
    let Some(found) = known.get(name.as_str()) else {
        let help =
            suggestion(name, known.keys().copied()).unwrap_or_else(|| "name an attachment of this tenant".into());
        findings.error(config.via.span, format!("this tenant has no attachment `{name}`"), help);
        return None;
    };
    let (way, side) = (*found)?;
    Some((way, peer(config, side, findings)?))
}

/// Which peer of the attachment: its only one, or the one named.
fn peer(config: &config::Static, side: &FarSide, findings: &mut Findings) -> Option<PeerId> {
    match (&config.peer, side.members) {
        (None, Members::One(peer)) => Some(peer),
        (None, Members::Group(_)) => {
            let message = format!("{} has many members, and this does not say which", side.label);
            findings.error(config.via.span, message, "add `peer: ADDRESS`");
            None
        }
        (Some(at), _) => member(at, side, findings),
    }
}

fn member(at: &At<Address>, side: &FarSide, findings: &mut Findings) -> Option<PeerId> {
    let Address(address) = at.value()?;
    let found = side.by_address.get(&address).copied();
    if found.is_none() {
        let (message, help) = match side.members {
            Members::Group(_) => (format!("{address} is not a member of {}", side.label), "write a member's address"),
            Members::One(_) if side.path.is_some() => {
                (format!("{address} is not the address of {}", side.label), "remove `peer`: there is only one")
            }
            Members::One(_) => (format!("{} is not a group of peers", side.label), "remove `peer`"),
        };
        findings.error(at.span, message, help);
    }
    found
}
