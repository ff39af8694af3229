//! Tags that nobody claims: what the same frame would be with one of them changed.
//!
//! Every guess is put to the port's own decapsulation, so that what is said here is true of it.

use transload_encaps::ethernet::{self, C_TAG, S_TAG};
use transload_encaps::{DropReason, Kind};

use super::super::case::Case;
use super::{Near, outer};
use crate::compile::Noun;
use crate::forwarding::{Peer, PeerId};

const ADDRESSES: usize = ethernet::ADDRESSES_LEN;
const TPIDS: [u16; 5] = [S_TAG, C_TAG, 0x9100, 0x9200, 0x9300];

/// A frame's tags: TPID and control information.
type Stack = Vec<(u16, u16)>;

fn stack(frame: &[u8]) -> Stack {
    let mut at = ADDRESSES;
    let mut tags = Vec::new();
    while let Some((tpid, tci)) = ethernet::be16(frame, at).zip(ethernet::be16(frame, at + 2))
        && ethernet::is_tag(tpid)
    {
        tags.push((tpid, tci));
        at += 4;
    }
    tags
}

fn with(frame: &[u8], old: &Stack, new: &Stack) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(ADDRESSES.min(frame.len()));
    let tags = new.iter().flat_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()].concat());
    addresses.iter().copied().chain(tags).chain(rest.iter().skip(4 * old.len()).copied()).collect()
}

fn vid(tag: (u16, u16)) -> u16 {
    tag.1 & 0x0fff
}

/// "VLAN 100 under 0x88a8 and VLAN 7 under 0x8100"
fn words(tags: &Stack) -> String {
    if tags.is_empty() {
        return "no tag".to_owned();
    }
    let each: Vec<_> = tags.iter().map(|&tag| format!("VLAN {} under {:#06x}", vid(tag), tag.0)).collect();
    each.join(" and ")
}

/// What would have let it pass.
pub(super) fn unclaimed(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let mut all = outer::nearly_a_tunnel(case);
    let Some((id, peer)) = case.origin() else { return all };
    let tags = stack(case.frame);
    if reason.label() == "qinq_reserved_vid" {
        let port = case.names.port(case.port);
        let text = format!("a tag on port {port} has VLAN ID 4095, which IEEE 802.1Q reserves: {}", words(&tags));
        all.insert(0, Near::new(text, case.line(Noun::Port(case.port))));
    }
    all.extend(guesses(&tags).into_iter().filter_map(|(new, why)| {
        let segment = Case::would_be(peer, &with(case.frame, &tags, &new))?;
        let (whose, place) = case.owner(peer.scope, segment)?;
        let why = match Kind::QinQ.ids(segment).get("vid") {
            Some(vlan) if why.contains("tpids") => {
                format!("`vid` is a tag under 0x8100; change it at the sender, or write `s_vid: {vlan}`")
            }
            _ => why,
        };
        let text = format!("{} is unclaimed, but {} would be {whose}: {why}", words(&tags), words(&new));
        let line = if why.contains("tpids") { case.line(Noun::PortTpids(case.port)) } else { None };
        Some(Near::new(text, line.or(place)))
    }));
    all.extend(half_claimed(case, peer, &tags));
    all.extend(outer_tag_lost(case, peer, &tags));
    all.extend(other_port(case, id, &tags));
    all.push(known(case, peer, &tags));
    all
}

/// What somebody may have meant, the likeliest first.
fn guesses(tags: &Stack) -> Vec<(Stack, String)> {
    let mut all = Vec::new();
    match *tags.as_slice() {
        [] => {}
        [only] => {
            if vid(only) == 0 {
                all.push((vec![], "a tag with VLAN ID 0 only marks a priority".to_owned()));
            }
            all.extend(other_tpids(only.0).map(|tpid| (vec![(tpid, only.1)], tpid_words(only.0))));
        }
        [outer, inner, ..] => {
            let swapped = (vec![(outer.0, inner.1), (inner.0, outer.1)], "S-VID and C-VID are swapped".to_owned());
            all.push(swapped);
            all.extend(other_tpids(outer.0).map(|tpid| (vec![(tpid, outer.1), inner], tpid_words(outer.0))));
            all.push((vec![outer, (C_TAG, inner.1)], format!("the inner tag must be 0x8100, not {:#06x}", inner.0)));
            all.push((vec![inner, outer], "the two tags are in the wrong order".to_owned()));
            all.extend(other_tpids(outer.0).map(|tpid| {
                (
                    vec![(tpid, inner.1), (C_TAG, outer.1)],
                    format!("{}, and S-VID and C-VID are swapped", tpid_words(outer.0)),
                )
            }));
            all.push((vec![outer], "there is one tag too many".to_owned()));
            all.push((vec![inner], "there is one tag too many, the outer one".to_owned()));
            all.push((vec![(C_TAG, inner.1)], "there is one tag too many, the outer one".to_owned()));
        }
    }
    all
}

fn other_tpids(tpid: u16) -> impl Iterator<Item = u16> {
    TPIDS.into_iter().filter(move |&other| other != tpid)
}

fn tpid_words(tpid: u16) -> String {
    format!("the sender writes TPID {tpid:#06x}; change it there, or add it to the port's `tpids`")
}

/// An outer tag that is claimed only together with an inner one, or the other way round.
fn half_claimed(case: &Case<'_>, peer: &Peer, tags: &Stack) -> Option<Near> {
    let segments = case.segments(peer.scope);
    let field = |segment, name: &str| Kind::QinQ.ids(segment).get(name);
    let outer = u64::from(vid(*tags.first()?));
    let (segment, claim) = *segments.iter().find(|(segment, _)| field(*segment, "s_vid") == Some(outer))?;
    let inner = field(segment, "c_vid");
    let text = match (inner, tags.get(1)) {
        (Some(inner), None) => format!(
            "S-VID {outer} alone is unclaimed: {} takes it with C-VID {inner}; the frame has one tag where two are needed",
            case.claim(claim)
        ),
        (Some(inner), Some(&tag)) => format!(
            "S-VID {outer} with C-VID {} is unclaimed: {} takes it with C-VID {inner}",
            vid(tag),
            case.claim(claim)
        ),
        (None, _) => return None,
    };
    Some(Near::new(text, case.line(Noun::Segment(peer.scope, segment))))
}

/// An inner tag that is claimed below an outer one, which is not there or says nothing.
fn outer_tag_lost(case: &Case<'_>, peer: &Peer, tags: &Stack) -> Option<Near> {
    let (inner, what) = match *tags.as_slice() {
        [only] => (only, "the outer tag is missing"),
        [outer, inner, ..] if vid(outer) == 0 => (inner, "the outer tag has VLAN ID 0, which only marks a priority"),
        _ => return None,
    };
    let segments = case.segments(peer.scope);
    let field = |segment, name: &str| Kind::QinQ.ids(segment).get(name);
    let wanted = Some(u64::from(vid(inner)));
    let (segment, claim) = *segments.iter().find(|(segment, _)| field(*segment, "c_vid") == wanted)?;
    let text = format!(
        "{} is unclaimed: {} takes C-VID {} below S-VID {}; {what}",
        words(tags),
        case.claim(claim),
        vid(inner),
        field(segment, "s_vid")?
    );
    Some(Near::new(text, case.line(Noun::Segment(peer.scope, segment))))
}

/// The same tags on another port.
fn other_port(case: &Case<'_>, id: PeerId, tags: &Stack) -> Option<Near> {
    let mut others = case.peers().filter(|(other, peer)| *other != id && peer.compiled.kind() == Kind::QinQ);
    others.find_map(|(other, peer)| {
        let (whose, line) = case.owner(peer.scope, Case::would_be(peer, case.frame)?)?;
        let text = format!(
            "{} would be {whose} on {}, but came in by port {}",
            words(tags),
            case.peer(other),
            case.names.port(case.port)
        );
        Some(Near::new(text, line))
    })
}

/// What is claimed on this port instead, the nearest VLAN first.
fn known(case: &Case<'_>, peer: &Peer, tags: &Stack) -> Near {
    const MOST_LISTED: usize = 4;
    let mut all = case.segments(peer.scope);
    let first = tags.first().map_or(0, |&tag| u64::from(vid(tag)));
    let number = |segment| {
        Kind::QinQ.ids(segment).iter().next().map_or(0, |(name, value)| if name == "untagged" { 0 } else { value })
    };
    all.sort_by_key(|(segment, _)| (number(*segment).abs_diff(first), *segment));
    let shown: Vec<_> = all
        .iter()
        .take(MOST_LISTED)
        .map(|(segment, claim)| format!("{} ({})", Case::ids(Kind::QinQ, *segment), case.tenant(claim.domain)))
        .chain(case.mappings(peer.scope))
        .collect();
    let port = case.names.port(case.port);
    let line = all.first().and_then(|(segment, _)| case.line(Noun::Segment(peer.scope, *segment)));
    let is_plain = tags.iter().all(|&tag| vid(tag) == 0);
    let untagged = if is_plain { "; `untagged: true` would take it" } else { "" };
    Near::new(format!("{} on port {port} is nobody's{untagged}; the port has {}", words(tags), shown.join(", ")), line)
}
