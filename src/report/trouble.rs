//! What is wrong with ports, peers, tenants and drops: one rule for each kind of trouble.
//!
//! The rules look at what is known now and at the last minute. Who asks them, and how many of the answers are kept, is
//! the inspection's business.

use transload_encaps::{Common, DropReason, Fault};

use super::advice::{self, Ends};
use super::drop_history::{LastMinute, RecentDrops};
use super::rows::{DropSampleRow, GatewayRow, Health, PeerRow, PeerState, PortRow, Subject, TroubleRow};
use super::state::{GatewayState, SECOND, TunnelState};
use crate::dataplane::held_for;
use crate::forwarding::{Claim, Domain, DomainId, Members, PortId};

/// Reasons for which frames are dropped in every network: bridges' control frames, frames that have no other place to go.
const ORDINARY: [Common; 6] = [
    Common::L2Control,
    Common::SameAttachment,
    Common::SplitHorizon,
    Common::NoTargets,
    Common::NotForUs,
    Common::UnknownUnicastOff,
];

/// For how long frames have to be sent by an attachment without an answer until it is worth a remark, in nanoseconds.
const UNHEARD: u64 = 60 * SECOND;

impl TroubleRow {
    fn of(about: Subject, name: impl Into<String>, health: Health, what: String, advice: String) -> Self {
        Self { health, about, name: name.into(), what, advice, last_minute: None, responsible: None }
    }
}

/// What is wrong with a port: it does not carry frames, or loses some.
pub(super) fn port(row: &PortRow, id: PortId, last: &LastMinute) -> Vec<TroubleRow> {
    let down = row.failure.as_ref().map(|failure| {
        let advice = format!("`ip link show` tells the state of its device: {}", row.io.as_deref().unwrap_or("none"));
        TroubleRow::of(Subject::Port, &row.port, Health::Critical, failure.clone(), advice)
    });
    let gone = last.lost(id);
    let losing = gone.rises().then(|| {
        let what =
            format!("{} frames that arrived in the last minute were lost before the gateway took them", gone.frames);
        let advice = "its workers are too busy, or frames longer than the port takes arrive: see `show ports`, give it \
                      more `workers`, or `io: af_xdp`";
        TroubleRow::of(Subject::Port, &row.port, Health::Trouble, what, advice.into())
    });
    down.into_iter().chain(losing).collect()
}

/// What is wrong with a peer: no path leads to it, somebody says that nothing arrives, or it says nothing.
pub(super) fn peer(
    row: &PeerRow,
    tunnel: &TunnelState<'_>,
    ends: Ends<'_>,
    stranger: Option<&DropSampleRow>,
) -> Vec<TroubleRow> {
    let of = |health, what, advice| TroubleRow::of(Subject::Peer, &row.peer, health, what, advice);
    let failures = || {
        let what = row.failures.join("; ");
        if what.is_empty() { "no next hop towards it is known yet".to_owned() } else { what }
    };
    let said = tunnel.report.and_then(|report| report.unreachable).zip(row.unreachable.as_ref());
    let trouble = match (row.state, said) {
        (PeerState::Unresolved, _) => Some(of(Health::Trouble, failures(), advice::unresolved(ends))),
        (PeerState::Unreachable, Some((why, said))) => Some(of(
            Health::Trouble,
            format!("{} answers: {}, {} s ago", said.from, said.what, said.ago),
            advice::unreachable(why.why, why.from, ends),
        )),
        (PeerState::Silent, _) => {
            let what = silence(row);
            Some(of(Health::Trouble, what, advice::silent(ends, stranger)))
        }
        _ if !row.failures.is_empty() => Some(of(Health::Trouble, failures(), advice::unresolved(ends))),
        _ => None,
    };
    let narrow = row.path_mtu_report.as_ref().map(|report| {
        let what = format!(
            "the way to it carries IP packets of at most {} bytes, as {} said {} s ago",
            report.mtu, report.from, report.ago
        );
        let advice = "hosts whose frames are longer are told by ICMP; raise the MTU of that link, or lower the hosts', or \
                      write `mss_clamp: true` for their TCP";
        of(Health::Fine, what, advice.into())
    });
    trouble.into_iter().chain(narrow).collect()
}

/// `nothing has come from it for 34 s though frames are sent to it`
fn silence(row: &PeerRow) -> String {
    let seconds = row.silent_for.unwrap_or(0);
    match row.last_heard {
        Some(heard) => {
            format!("nothing has come from it for {heard} s, and for {seconds} s frames have been sent to it")
        }
        None => format!("nothing has ever come from it, and for {seconds} s frames have been sent to it"),
    }
}

/// What is wrong with a tenant: loops, addresses in two places, or no room for more addresses.
pub(super) fn tenant(state: &GatewayState<'_>, id: DomainId, domain: &Domain) -> Vec<TroubleRow> {
    let name = state.names.domain(id);
    let of = |what, advice: &str| TroubleRow::of(Subject::Tenant, &*name, Health::Trouble, what, advice.into());
    let mut all = Vec::new();
    for (between, found) in state.loops.of(id) {
        if held_for(&domain.state.loops, between, state.now).is_none() {
            continue;
        }
        let [a, b] = between.map(|at| state.names.attachment(id, at));
        all.push(of(
            format!(
                "broadcasts come back between its attachments {a} and {b}, last one of {} {} s ago: only known unicast \
                 passes between the two",
                found.mac,
                state.seconds_since(found.at)
            ),
            "find what joins the two outside of the gateway, a cable, a bridge or a second gateway, and take it away",
        ));
    }
    let held = state.history.held(id).count();
    if let Some(mac) = state.history.held(id).next() {
        let also = if held > 1 { format!(" and {} more", held - 1) } else { String::new() };
        let places = state.history.of(id, mac).and_then(|heard| heard.moves.as_deref()).map(|moves| moves.last);
        let places = places.map_or_else(String::new, |last| {
            let [from, to] = [last.from, last.to].map(|target| {
                format!("{} ({})", state.names.attachment(id, target.attachment), state.names.peer(target.peer))
            });
            format!(", last from {from} to {to}")
        });
        all.push(of(
            format!("MAC address {mac}{also} moved too often{places}, and is held in one place"),
            "two hosts have the same MAC address, or a loop outside brings frames back: `show fdb` tells the places; change \
             the address of one of the hosts",
        ));
    }
    let macs = domain.state.macs.load(std::sync::atomic::Ordering::Relaxed);
    if macs >= domain.mac_limit {
        all.push(of(
            format!("it has learned {macs} MAC addresses, as many as it may: frames to further ones are flooded"),
            "raise `limits: { macs: .. }` of the tenant, or look in `show fdb` for who makes up addresses",
        ));
    }
    all.extend(unheard(state, id, domain));
    all
}

/// An attachment by which nothing has ever come, though what is behind it is heard: that may be meant so.
fn unheard(state: &GatewayState<'_>, id: DomainId, domain: &Domain) -> Option<TroubleRow> {
    let activity = state.activity?;
    let is_heard = |peer| activity.peer(peer).is_some_and(|peer| peer.heard().is_some());
    let (at, attachment, silence) = domain.attachments.iter().find_map(|(at, attachment)| {
        let recent = activity.attachment(Claim { domain: id, attachment: at })?;
        let silence = recent.silent_for(state.now).filter(|nanos| recent.heard().is_none() && *nanos >= UNHEARD)?;
        let may_be_heard = match attachment.members {
            Members::One(peer) => is_heard(peer),
            Members::Group(_) => true,
        };
        may_be_heard.then_some((at, attachment, silence))
    })?;
    let tables = state.shared.forwarding.load();
    let peer = tables.speaker(&attachment.members).and_then(|peer| tables.peer(peer));
    let ids = peer.map_or_else(String::new, |peer| format!(" ({})", attachment.ids_in_words(&peer.compiled)));
    let what = format!(
        "nothing has ever come by attachment {}{ids}, and for {} s frames have been sent there",
        state.names.attachment(id, at),
        silence / SECOND
    );
    let advice =
        "does the far side use this tenant ID, in both directions? Where nobody is meant to answer, nothing is wrong";
    Some(TroubleRow::of(Subject::Tenant, state.names.domain(id), Health::Fine, what, advice.into()))
}

/// What is wrong with a reason for drops: frames go on being dropped for it.
pub(super) fn drops(state: &GatewayState<'_>, reason: DropReason, last: &LastMinute) -> Option<TroubleRow> {
    let dropped: RecentDrops = last.of(reason);
    if !dropped.rises() || reason.info().fault == Fault::Nobody {
        return None;
    }
    let ports = state.names.ports().filter(|(id, _)| last.of_port(*id, reason).frames > 0);
    let ports: Vec<_> = ports.map(|(_, name)| name).collect();
    let by = if ports.is_empty() { String::new() } else { format!(" at port {}", ports.join(", ")) };
    let astray = (reason == Common::NotForUs.into()).then(|| state.last_astray()).flatten();
    let is_ordinary = astray.is_none() && ORDINARY.iter().any(|common| reason == (*common).into());
    let health = if is_ordinary { Health::Fine } else { Health::Trouble };
    let (sample, advice) = if let Some((sample, vlan)) = astray {
        let advice = advice::astray(&sample, vlan);
        (Some(sample), advice)
    } else {
        let sample = state.last_sample_of(reason).filter(|sample| sample.ago <= 60);
        let advice = advice::dropped(reason, sample.as_ref());
        (sample, advice)
    };
    let seen = sample.as_ref().map_or_else(String::new, |sample| format!("; the last one {}", in_words(sample)));
    let what = format!("{} frames dropped in the last minute{by}{seen}", dropped.frames);
    Some(TroubleRow {
        last_minute: Some(dropped.frames),
        responsible: Some(reason.info().fault.word().into()),
        ..TroubleRow::of(Subject::Drops, reason.label(), health, what, advice)
    })
}

/// `from 192.0.2.9 (leaf), vni 200, tenant blue, 02:00:00:00:00:01 to ff:ff:ff:ff:ff:ff`
fn in_words(sample: &DropSampleRow) -> String {
    let from = match (&sample.source, &sample.via) {
        (Some(source), Some(via)) => Some(format!("from {source} ({via})")),
        (Some(one), None) | (None, Some(one)) => Some(format!("from {one}")),
        (None, None) => None,
    };
    let macs =
        sample.source_mac.as_ref().zip(sample.destination_mac.as_ref()).map(|(from, to)| format!("{from} to {to}"));
    let tenant = sample.tenant.as_ref().map(|tenant| format!("tenant {tenant}"));
    let vlan = sample.vlan.map(|vlan| format!("VLAN {vlan}"));
    [from, sample.id.clone(), tenant, vlan, macs].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What is wrong with the gateway as a whole: the MAC table is full.
pub(super) fn table(macs: usize, capacity: usize) -> Option<TroubleRow> {
    let is_full = macs.saturating_mul(20) >= capacity.saturating_mul(19);
    is_full.then(|| {
        let what = format!(
            "{macs} of {capacity} places of the MAC table are taken; once it is full, frames to \
                            further addresses are flooded"
        );
        let advice =
            "raise `fdb: { capacity: .. }`, which takes a restart, or lower the tenants' `limits: { macs: .. }`";
        TroubleRow::of(Subject::Gateway, "fdb", Health::Trouble, what, advice.into())
    })
}

/// What is wrong if no peer can be reached.
pub(super) fn alone(peers: u64) -> TroubleRow {
    let what = match peers {
        1 => "the only tunnel peer cannot be reached".to_owned(),
        _ => format!("none of the {peers} tunnel peers can be reached"),
    };
    let advice = "look at what they have in common: the ports above, the machine's routes (`ip route`), and whether the \
                  underlay lets tunnel packets through";
    TroubleRow::of(Subject::Gateway, "peers", Health::Critical, what, advice.into())
}

/// What is to be said if a file of the configuration is not as it was loaded.
pub(super) fn file(name: &str, how: &str) -> TroubleRow {
    let (what, advice) = (
        format!("the file is not as it was loaded: {how}"),
        "`transload check FILE` with the gateway's file, then `transload reload`",
    );
    TroubleRow::of(Subject::Gateway, name, Health::Fine, what, advice.into())
}

/// What is wrong if scrapers find no port.
pub(super) fn metrics(row: &GatewayRow) -> Option<TroubleRow> {
    let what = format!("metrics are not served: {}", row.metrics_failure.as_deref()?);
    let advice = "`ss -ltnp` shows who has the port, `ip address` the addresses of this machine; it is tried again every few \
                  seconds";
    Some(TroubleRow::of(Subject::Gateway, "metrics", Health::Trouble, what, advice.into()))
}

/// What is wrong if the last reload was rejected.
pub(super) fn reload(row: &GatewayRow) -> Option<TroubleRow> {
    let rejected = row.last_reload.as_ref().filter(|_| !row.in_force)?;
    let why = rejected.why.as_deref().and_then(|why| why.lines().next()).unwrap_or("no reason given");
    let what = format!("the last reload was rejected, the file of before is in force: {why}");
    let advice = format!("`transload check {}` shows all that is wrong with it", row.file);
    Some(TroubleRow::of(Subject::Gateway, "reload", Health::Trouble, what, advice))
}
