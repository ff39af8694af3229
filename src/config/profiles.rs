//! Profiles: sets of knobs that are known to suit a kind of peer, under one word.
//!
//! [`PROFILES`] is the one table; the loader, the schema and the README say what it says. A profile stands for its
//! knobs as if they were written out: [`write_out`] does just that, before anything is read, and what the peer says
//! itself stays.

use std::fmt::Write;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::source::Span;
use super::tree::{Node, Value};

/// A kind of peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The Linux kernel's tunnels.
    Linux,
    /// Open vSwitch.
    Ovs,
    /// Anybody, held to the letter of the standards.
    Strict,
}

/// One knob of a profile.
#[derive(Debug, Clone, Copy)]
pub struct ProfileRow {
    /// The profile.
    pub profile: Profile,
    /// The encapsulation of the peers it is for.
    pub encap: &'static str,
    /// The path to the knob: the keys from the peer down to it. `encap` and the encapsulation come first for its options.
    pub knob: &'static [&'static str],
    /// The value it is set to.
    pub value: &'static str,
    /// Whether it only matters over IPv6.
    pub is_ipv6: bool,
    /// The reason, for the README.
    pub why: &'static str,
}

const fn row(
    profile: Profile,
    encap: &'static str,
    knob: &'static [&'static str],
    value: &'static str,
    why: &'static str,
) -> ProfileRow {
    ProfileRow { profile, encap, knob, value, is_ipv6: false, why }
}

/// Every knob of every profile.
pub const PROFILES: &[ProfileRow] = &[
    row(
        Profile::Linux,
        "nvgre",
        &["encap", "nvgre", "flow_id"],
        "zero",
        "`gretap key` compares all 32 bits, and answers a FlowID with protocol unreachable",
    ),
    row(Profile::Ovs, "nvgre", &["encap", "nvgre", "flow_id"], "flow", "`key=flow` takes every FlowID"),
    row(
        Profile::Strict,
        "vxlan",
        &["encap", "vxlan", "reserved"],
        "strict",
        "reserved bits are dropped, as Linux and Open vSwitch do",
    ),
    row(Profile::Strict, "nvgre", &["encap", "nvgre", "reserved"], "strict", "RFC 7637 has them sent as zero"),
    row(Profile::Strict, "gre", &["encap", "gre", "reserved"], "strict", "RFC 2784 has them sent as zero"),
    ProfileRow {
        is_ipv6: true,
        ..row(
            Profile::Strict,
            "vxlan",
            &["udp_checksum", "rx_zero"],
            "drop",
            "RFC 8200 has a checksum over IPv6; zero is an exception (RFC 6935)",
        )
    },
];

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Ovs, Self::Strict];

    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Ovs => "ovs",
            Self::Strict => "strict",
        }
    }

    /// Its knobs.
    fn rows(self) -> impl Iterator<Item = &'static ProfileRow> {
        PROFILES.iter().filter(move |row| row.profile == self)
    }
}

/// The table as Markdown, for the README.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| profile | peers that speak | sets | because |\n|---|---|---|---|\n");
    for ProfileRow { profile, encap, knob, value, is_ipv6, why } in PROFILES {
        let over = if *is_ipv6 { " over IPv6" } else { "" };
        let _ = writeln!(text, "| `{}` | {encap}{over} | `{}: {value}` | {why} |", profile.word(), knob.join("."));
    }
    text
}

impl JsonSchema for Profile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Profile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let choices: Vec<_> = Self::ALL
            .iter()
            .map(|profile| {
                let knobs: Vec<_> =
                    profile.rows().map(|row| format!("{} {}: {}", row.encap, row.knob.join("."), row.value)).collect();
                json_schema!({ "const": profile.word(), "description": knobs.join("; ") })
            })
            .collect();
        json_schema!({ "oneOf": choices })
    }
}

/// Writes out the profiles of all peers and groups of a file.
pub(super) fn write_out(root: &mut Node) {
    let Value::Map(sections) = &mut root.value else { return };
    for (_, section) in sections.iter_mut().filter(|(name, _)| matches!(name.text(), "peers" | "groups")) {
        let Value::Map(peers) = &mut section.value else { continue };
        for (_, peer) in peers {
            write_out_peer(peer);
        }
    }
}

fn write_out_peer(peer: &mut Node) {
    let Some(stated) = peer.entry("profile") else { return };
    let (word, span) = (stated.text().to_owned(), stated.span);
    let Some(profile) = Profile::ALL.into_iter().find(|profile| profile.word() == word) else { return };
    let Some(encap) = peer.entry("encap").map(tag) else { return };
    let is_ipv6 =
        ["address", "members", "learn_from", "bum"].map(|key| peer.entry(key)).into_iter().flatten().any(|node| {
            match &node.value {
                Value::List(items) => items.iter().any(|item| item.text().contains(':')),
                _ => node.text().contains(':'),
            }
        });
    for row in profile.rows().filter(|row| row.encap == encap && (is_ipv6 || !row.is_ipv6)) {
        set(peer, row.knob, row.value, span);
    }
}

/// The encapsulation's word: alone, or with options behind it.
fn tag(encap: &Node) -> String {
    match &encap.value {
        Value::Map(entries) => entries.first().map_or("", |(key, _)| key.text()).to_owned(),
        _ => encap.text().to_owned(),
    }
}

/// Sets a knob, unless it is given.
fn set(node: &mut Node, knob: &[&str], value: &str, span: Span) {
    let Some((&key, rest)) = knob.split_first() else { return };
    let plain = |text: &str, span| Node { span, value: Value::Plain(text.to_owned()) };
    // A word is a choice without options: its options come behind it.
    if let Value::Plain(word) | Value::Quoted(word) = &node.value
        && !rest.is_empty()
    {
        let word = plain(word, node.span);
        node.value = Value::Map(vec![(word, Node { span: node.span, value: Value::Null })]);
    }
    if let Value::Null = node.value {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else { return };
    let at = entries.iter().position(|(name, _)| name.text() == key);
    if rest.is_empty() {
        if at.is_none() {
            entries.push((plain(key, span), plain(value, span)));
        }
        return;
    }
    let at = at.unwrap_or_else(|| {
        entries.push((plain(key, span), Node { span, value: Value::Null }));
        entries.len() - 1
    });
    if let Some((_, inner)) = entries.get_mut(at) {
        set(inner, rest, value, span);
    }
}
