//! Peers of a tenant that may send to each other, too: each broadcast of theirs then arrives twice.

use std::collections::BTreeMap;

use transload_encaps::{Kind, Segment};

use crate::compile::Plan;
use crate::forwarding::{Attachment, Domain, Members, PeerId};

/// Most peers of a mesh that are named.
const MOST_NAMED: usize = 4;

/// A line for every set of peers that a tenant has one by one under the same ID, as peers of one mesh have it.
pub(super) fn hints(plan: &Plan) -> Vec<String> {
    // By the peers and what is the same of them: the first such tenant, and how many there are.
    let mut found: BTreeMap<(Vec<String>, &str), (String, usize)> = BTreeMap::new();
    for (id, domain) in plan.tables.domains.iter() {
        for (kind, peers) in alike(plan, domain) {
            let first = || (plan.names.domain(id).into_owned(), 0);
            found.entry((peers, kind.info().title)).or_insert_with(first).1 += 1;
        }
    }
    found.into_iter().map(|((peers, title), (tenant, count))| line(&peers, title, &tenant, count)).collect()
}

fn line(peers: &[String], title: &str, tenant: &str, count: usize) -> String {
    let tenants = if count == 1 { String::new() } else { format!(" (and {} more)", count - 1) };
    let more = peers.len().checked_sub(MOST_NAMED).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    let named = peers.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "hint: tenant {tenant}{tenants} has {named}{more} under the same {title} ID: if they send to each other as well, \
         every broadcast arrives twice; then make them `members` of one group, or give their attachments the same \
         `split_horizon`"
    )
}

/// A peer that may be one of a mesh.
struct Member {
    kind: Kind,
    peer: PeerId,
    horizon: u16,
}

/// The peers of a tenant that have the same ID in the same encapsulation, and feed each other.
fn alike(plan: &Plan, domain: &Domain) -> Vec<(Kind, Vec<String>)> {
    let mut by_id = BTreeMap::<(&str, Segment), Vec<Member>>::new();
    let single = |attachment: &Attachment| match attachment.members {
        Members::One(peer) => Some((plan.tables.peer(peer)?.compiled.kind(), peer)),
        Members::Group(_) => None,
    };
    for attachment in domain.attachments.values() {
        if let Some((kind, peer)) = single(attachment).filter(|(kind, _)| kind.has_peers()) {
            let rows = by_id.entry((kind.info().tag, attachment.segment)).or_default();
            rows.push(Member { kind, peer, horizon: attachment.horizon });
        }
    }
    let meshes = by_id.into_values().filter_map(|rows| {
        let Member { kind, horizon, .. } = *rows.first()?;
        rows.iter()
            .any(|member| member.horizon != horizon)
            .then(|| (kind, rows.iter().map(|member| plan.names.peer(member.peer).into_owned()).collect()))
    });
    meshes.collect()
}
