//! Facts: what a configuration says of each thing, field by field, with the defaults filled in where tables have them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use transload_encaps::Segment;
use transload_encaps::l2cp::ControlGroups;

use super::{Key, Side, Thing};
use crate::claims::attachments;
use crate::config::{At, Knobs, PeerAddress, Seccomp};
use crate::forwarding::{Attachment, BumLimits, Claim, Duplicates, Members, MssClamp, Peer};
use crate::io::Backend;
use crate::report::crossings;

/// By thing and name: its fields.
pub(super) type Facts = BTreeMap<Key, BTreeMap<String, String>>;
type Fields = BTreeMap<String, String>;

pub(super) fn facts(side: Side<'_>) -> Facts {
    let mut facts = Facts::new();
    ports(side, &mut facts);
    endpoints(side, &mut facts);
    peers(side, &mut facts);
    tenants(side, &mut facts);
    mappings(side, &mut facts);
    let settings = &side.plan.settings;
    let admin = settings.admin.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let seccomp = if settings.seccomp == Seccomp::On { "on" } else { "off" };
    let metrics = [
        ("listen", text(side, side.config.file.metrics.listen.as_ref())),
        ("leave_out", text(side, side.config.file.metrics.tenants.leave_out.as_ref())),
    ];
    facts.insert((Thing::Setting, "metrics".to_owned()), fields_of(metrics));
    let fields = [
        ("workers", settings.workers.to_string()),
        ("fdb", settings.fdb_capacity.to_string()),
        ("admin", admin),
        ("user", settings.user.clone().unwrap_or_default()),
        ("seccomp", seccomp.to_owned()),
    ];
    for (name, value) in fields {
        facts.insert((Thing::Setting, name.to_owned()), fields_of([("value", value)]));
    }
    facts
}

fn fields_of<const N: usize>(fields: [(&str, String); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A value as it is written; empty where it is left out.
fn text<T>(side: Side<'_>, at: Option<&At<T>>) -> String {
    at.map_or_else(String::new, |at| side.config.source.slice(at.span).trim().to_owned())
}

fn ports(side: Side<'_>, facts: &mut Facts) {
    for port in &side.plan.ports {
        let io = match &port.backend {
            Backend::Auto { device } => format!("auto {device}"),
            Backend::AfPacket { device } => format!("af_packet {device}"),
            Backend::AfXdp { device } => format!("af_xdp {device}"),
            Backend::Tap { device } => format!("tap {device}"),
            Backend::Unix { local, remote } => {
                let remote = remote.as_ref().map_or_else(String::new, |remote| format!(" to {}", remote.display()));
                format!("unix {}{remote}", local.display())
            }
        };
        let or_empty = |value: Option<String>| value.unwrap_or_default();
        let mac = or_empty(port.mac.map(|mac| mac.to_string()));
        let mut fields = fields_of([("io", io), ("mac", mac), ("mtu", or_empty(port.mtu.map(|mtu| mtu.to_string())))]);
        for (address, mac) in &port.next_hops {
            fields.insert(format!("next hop {address}"), mac.to_string());
        }
        facts.insert((Thing::Port, port.name.clone()), fields);
    }
    for (name, port) in side.config.file.ports.iter().filter_map(|(name, port)| Some((name, port?))) {
        if let Some(fields) = facts.get_mut(&(Thing::Port, name.text.to_owned())) {
            fields.insert("tpids".into(), text(side, port.tpids.as_ref()));
            fields.insert("emit_tpid".into(), text(side, port.emit_tpid.as_ref()));
        }
    }
}

fn endpoints(side: Side<'_>, facts: &mut Facts) {
    for (name, endpoint) in side.config.file.endpoints.iter().filter_map(|(name, endpoint)| Some((name, endpoint?))) {
        let mut ports: Vec<_> = endpoint.ports.get().into_iter().flatten().filter_map(At::get).cloned().collect();
        ports.sort_unstable();
        let fields = fields_of([
            ("address", endpoint.address.value().map_or_else(String::new, |address| address.0.to_string())),
            ("ports", ports.join(" ")),
            ("vlan", text(side, endpoint.vlan.as_ref())),
            ("ttl", text(side, endpoint.ttl.as_ref())),
            ("ipsec", text(side, endpoint.ipsec.as_ref())),
            ("reassemble", text(side, endpoint.reassemble.as_ref())),
        ]);
        facts.insert((Thing::Endpoint, name.text.to_owned()), fields);
    }
}

fn peers(side: Side<'_>, facts: &mut Facts) {
    let locals: BTreeMap<_, _> =
        side.plan.tunnels.iter().map(|tunnel| (side.plan.names.peer(tunnel.peer), tunnel)).collect();
    for (name, peer) in side.config.file.peers.iter().filter_map(|(name, peer)| Some((name, peer?))) {
        let mut accepted: Vec<_> =
            peer.accept_from.iter().filter_map(At::value).map(|more| more.0.to_string()).collect();
        accepted.sort_unstable();
        let mut fields = knobs(side, peer.knobs());
        fields.insert("accept_from".into(), accepted.join(" "));
        if let Some(PeerAddress::Name(host)) = peer.address.get() {
            fields.insert("name".into(), host.clone());
        }
        if let Some(tunnel) = locals.get(name.text) {
            fields.insert("address".into(), tunnel.remote.to_string());
            fields.insert("from".into(), tunnel.local.to_string());
        }
        facts.insert((Thing::Peer, name.text.to_owned()), fields);
    }
    for (name, group) in side.config.file.groups.iter().filter_map(|(name, group)| Some((name, group?))) {
        let shared = knobs(side, group.knobs());
        let learns = fields_of([
            ("learn_from", text(side, group.learn_from.as_ref())),
            ("max_learned", text(side, group.max_learned.as_ref())),
            ("bum", text(side, group.bum.as_ref())),
        ]);
        for (member, tunnel) in locals.range(Cow::from(format!("{}/", name.text))..) {
            if member.split_once('/').is_none_or(|(group, _)| group != name.text) {
                break;
            }
            let mut fields = shared.clone();
            fields.insert("address".into(), tunnel.remote.to_string());
            fields.insert("from".into(), tunnel.local.to_string());
            facts.insert((Thing::Peer, member.clone().into_owned()), fields);
        }
        facts.insert((Thing::Group, name.text.to_owned()), shared.into_iter().chain(learns).collect());
    }
}

fn knobs(side: Side<'_>, knobs: Knobs<'_>) -> Fields {
    let mut fields = fields_of([
        ("dscp", text(side, knobs.dscp)),
        ("ecn", text(side, knobs.ecn)),
        ("ttl", text(side, knobs.ttl)),
        ("df", text(side, knobs.df)),
        ("udp_checksum", text(side, knobs.udp_checksum)),
        ("udp_source_ports", text(side, knobs.udp_source_ports)),
    ]);
    let Some(spec) = knobs.encap.get() else { return fields };
    fields.insert("encap".into(), spec.kind().info().tag.to_owned());
    // With every default filled in.
    let options = serde_json::to_value(spec).unwrap_or_default();
    for (option, value) in
        options.get(spec.kind().info().tag).and_then(|options| options.as_object()).into_iter().flatten()
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields.insert(option.clone(), value);
    }
    fields
}

fn tenants(side: Side<'_>, facts: &mut Facts) {
    let (names, tables) = (&side.plan.names, &side.plan.tables);
    for (id, name) in names.domains() {
        let Some(domain) = tables.domain(id) else { continue };
        let fields = fields_of([
            ("learning", domain.learning.to_string()),
            ("ageing", format!("{}s", domain.ageing)),
            ("unknown_unicast", if domain.flood_unknown { "flood" } else { "drop" }.to_owned()),
            ("macs", domain.mac_limit.to_string()),
            ("bum", bum(domain.bum)),
            ("mss_clamp", clamp(domain.mss_clamp)),
            ("duplicates", domain.duplicates.map_or_else(|| "off".to_owned(), duplicates)),
            ("loop_guard", if domain.loop_hold == 0 { "off".to_owned() } else { seconds(domain.loop_hold) }),
        ]);
        facts.insert((Thing::Tenant, name.to_owned()), fields);
    }
    for (claim, attachment) in attachments(tables) {
        facts.insert((Thing::Attachment, attachment_name(side, claim)), attachment_fields(side, claim, attachment));
    }
    for entry in &side.plan.statics {
        let name = format!("{}/{}", names.domain(entry.domain), entry.mac);
        let via = names.attachment(entry.domain, entry.target.attachment).into_owned();
        let fields = fields_of([("via", via), ("peer", names.peer(entry.target.peer).into_owned())]);
        facts.insert((Thing::Static, name), fields);
    }
}

fn mappings(side: Side<'_>, facts: &mut Facts) {
    let (names, tables) = (&side.plan.names, &side.plan.tables);
    for (id, name) in names.mappings() {
        let Some(connection) = tables.mappings.get(id) else { continue };
        let mut fields = Fields::new();
        let sides = ["from", "to"].into_iter().zip(crossings::sides(connection, tables, names)).zip(&connection.ends);
        for ((word, text), end) in sides {
            fields.insert(word.to_owned(), text.to);
            fields.extend(text.fields.into_iter().map(|(field, text)| (format!("{word} {field}"), text)));
            fields.insert(format!("{word} inner_tags"), format!("{:?}", end.inner_tags).to_lowercase());
        }
        facts.insert((Thing::Mapping, name.to_owned()), fields);
    }
}

fn bum(limits: BumLimits) -> String {
    let rate =
        |interval| 1_000_000_000_u64.checked_div(interval).map_or("unlimited".to_owned(), |rate| rate.to_string());
    let BumLimits { broadcast, multicast, unknown_unicast } = limits;
    if [multicast, unknown_unicast] == [broadcast; 2] {
        return rate(broadcast);
    }
    let [broadcast, multicast, unknown_unicast] = [broadcast, multicast, unknown_unicast].map(rate);
    format!("broadcast {broadcast} multicast {multicast} unknown_unicast {unknown_unicast}")
}

fn clamp(clamp: Option<MssClamp>) -> String {
    match clamp {
        None => "false".to_owned(),
        Some(MssClamp::Path) => "true".to_owned(),
        Some(MssClamp::Bytes(bytes)) => bytes.to_string(),
    }
}

fn duplicates(policy: Duplicates) -> String {
    format!("{} moves within {}, held for {}", policy.moves, seconds(policy.within), seconds(policy.hold))
}

fn seconds(nanos: u64) -> String {
    format!("{}s", nanos / 1_000_000_000)
}

fn attachment_name(side: Side<'_>, claim: Claim) -> String {
    let names = &side.plan.names;
    format!("{}/{}", names.domain(claim.domain), names.attachment(claim.domain, claim.attachment))
}

fn attachment_fields(side: Side<'_>, claim: Claim, attachment: &Attachment) -> Fields {
    let (names, tables) = (&side.plan.names, &side.plan.tables);
    let first = tables.speaker(&attachment.members);
    let mut fields = Fields::new();
    if let Some((id, peer)) = first.and_then(|id| Some((id, tables.peer(id)?))) {
        let name = names.peer(id);
        let to = match attachment.members {
            Members::Group(_) => format!("group {}", name.split_once('/').map_or(&*name, |(group, _)| group)),
            Members::One(_) if peer.compiled.kind().has_peers() => format!("peer {name}"),
            Members::One(_) => format!("port {name}"),
        };
        fields.insert("to".into(), to);
        fields.extend(id_fields(peer, attachment.received));
        if attachment.segment != attachment.received {
            let sent = id_fields(peer, attachment.segment).into_iter();
            fields.extend(sent.map(|(field, value)| (format!("{field} sent"), value)));
        }
    }
    let inner_tags = format!("{:?}", attachment.inner_tags).to_lowercase();
    fields.insert("inner_tags".into(), inner_tags);
    let l2cp = match attachment.relayed {
        ControlGroups::ALL => "tunnel",
        ControlGroups::NONE => "drop",
        _ => "drop but for customers' bridges",
    };
    fields.insert("l2cp".into(), l2cp.into());
    let others = tables.domain(claim.domain).into_iter().flat_map(|domain| domain.attachments.iter());
    let fellows = others.filter(|(id, other)| *id != claim.attachment && other.horizon == attachment.horizon);
    let fellows = fellows.map(|(id, _)| names.attachment(claim.domain, id).into_owned());
    fields.insert("split_horizon with".into(), fellows.collect::<Vec<_>>().join(" "));
    fields
}

/// The ID fields of an attachment; of one with several segments, each with all its values.
fn id_fields(peer: &Peer, segment: Segment) -> Fields {
    let mut fields = Fields::new();
    for segment in peer.compiled.fellows(segment) {
        for (field, value) in peer.compiled.kind().ids(segment).iter() {
            let (all, value) = (fields.entry(field.to_owned()).or_default(), value.to_string());
            if all.is_empty() {
                *all = value;
            } else if *all != value {
                all.push_str(", ");
                all.push_str(&value);
            }
        }
    }
    if fields.is_empty() {
        fields.insert("key".into(), "none".into());
    }
    fields
}

/// The tunnels of attachments that are touched, or that lead to peers that are.
pub(super) fn tunnels(side: Side<'_>, facts: &Facts, touched: &BTreeSet<Key>) -> Facts {
    let (names, tables) = (&side.plan.names, &side.plan.tables);
    let mut tunnels = Facts::new();
    for (claim, attachment) in attachments(tables) {
        let name = attachment_name(side, claim);
        let all = touched.contains(&(Thing::Attachment, name.clone()));
        for &peer in tables.members(&attachment.members) {
            let Some(row) = tables.peer(peer).filter(|row| row.compiled.kind().has_peers()) else { continue };
            let key = (Thing::Peer, names.peer(peer).into_owned());
            if !all && !touched.contains(&key) {
                continue;
            }
            let mut fields = fields_of([("segment", row.compiled.kind().ids(attachment.segment).to_string())]);
            for field in ["address", "from", "encap", "udp_port"] {
                let value = facts.get(&key).and_then(|peer| peer.get(field));
                fields.extend(value.map(|value| (field.to_owned(), value.clone())));
            }
            tunnels.insert((Thing::Tunnel, format!("{name} -> {}", key.1)), fields);
        }
    }
    tunnels
}
