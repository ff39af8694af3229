//! Static addresses of a tenant.

use std::collections::{BTreeMap, HashMap};

use transload_encaps::Mac;

use super::plan::Static;
use super::ports;
use super::report::Report;
use super::sides::Side;
use crate::config::{self, Address, At, MacAddress, Tenant, suggestion};
use crate::forwarding::{AttachmentId, DomainId, Members, PeerId, Target};

/// The attachments of a draft by name: their place in it, and what they lead to; `None` is one that is broken.
pub(super) type Known<'c, 'p> = BTreeMap<&'c str, Option<(usize, &'p Side)>>;

/// A static address of every tenant of a draft.
pub(super) struct Fixed {
    mac: Mac,
    /// Which of the draft's attachments.
    way: usize,
    peer: PeerId,
}

impl Fixed {
    /// That of one tenant, by the numbers of its attachments.
    pub(super) fn at(&self, domain: DomainId, attachments: &[Option<AttachmentId>]) -> Option<Static> {
        let attachment = (*attachments.get(self.way)?)?;
        Some(Static { domain, mac: self.mac, target: Target { attachment, peer: self.peer } })
    }
}

pub(super) fn compile<V>(tenant: &Tenant<V>, known: &Known<'_, '_>, report: &mut Report) -> Vec<Fixed> {
    let (mut lines, mut all) = (HashMap::new(), Vec::new());
    for at in &tenant.statics {
        let Some(config) = at.get() else { continue };
        let target = target(config, known, report);
        let Some(MacAddress(mac)) = config.mac.value() else { continue };
        if !ports::unicast(mac, config.mac.span, report) {
            continue;
        }
        if let Some(first) = lines.insert(mac, config.mac.span) {
            let message = format!("{mac} is already static on {}", report.line(first, config.mac.span));
            report.conflict(config.mac.span, first, "first here", message, "an address lives in one place; keep one");
        } else if let Some((way, peer)) = target {
            all.push(Fixed { mac, way, peer });
        }
    }
    all
}

fn target(config: &config::Static, known: &Known<'_, '_>, report: &mut Report) -> Option<(usize, PeerId)> {
    let name = config.via.get()?;
    let Some(found) = known.get(name.as_str()) else {
        let help =
            suggestion(name, known.keys().copied()).unwrap_or_else(|| "name an attachment of this tenant".into());
        report.error(config.via.span, format!("this tenant has no attachment `{name}`"), help);
        return None;
    };
    let (way, side) = (*found)?;
    Some((way, peer(config, side, report)?))
}

/// Which peer of the attachment: its only one, or the one named.
fn peer(config: &config::Static, side: &Side, report: &mut Report) -> Option<PeerId> {
    match (&config.peer, side.members) {
        (None, Members::One(peer)) => Some(peer),
        (None, Members::Group(_)) => {
            let message = format!("{} has many members, and this does not say which", side.label);
            report.error(config.via.span, message, "add `peer: ADDRESS`");
            None
        }
        (Some(at), _) => member(at, side, report),
    }
}

fn member(at: &At<Address>, side: &Side, report: &mut Report) -> Option<PeerId> {
    let Address(address) = at.value()?;
    let found = side.by_address.get(&address).copied();
    if found.is_none() {
        let (message, help) = match side.members {
            Members::Group(_) => (format!("{address} is not a member of {}", side.label), "write a member's address"),
            Members::One(_) if side.path.is_some() => {
                (format!("{address} is not the address of {}", side.label), "remove `peer`: there is only one")
            }
            Members::One(_) => (format!("{} is no group of peers", side.label), "remove `peer`"),
        };
        report.error(at.span, message, help);
    }
    found
}
