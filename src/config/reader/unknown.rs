//! Fields that are not known where they stand, and what was probably meant by them.

use transload_encaps::Kind;
use transload_encaps::registry::Spec;

use super::error::ReadError;
use crate::config::nearest::suggestion;
use crate::config::tree::{Node, Value};

/// `unknown field ..; did you mean .. ?`, or where it belongs. `siblings` are the fields of the same map.
pub(super) fn unknown_field(field: &str, known: &'static [&'static str], siblings: &[(Node, Node)]) -> ReadError {
    let message = format!("unknown field `{field}`");
    if let Some(help) = option_of_encapsulation(field, siblings).or_else(|| of_another_noun(field, known)) {
        return ReadError::new(message).help(help);
    }
    if super::parse_number(field).is_some() {
        const HELP: &str = "a comma begins another field: write a number without one, such as 1000, and a list in brackets, \
                            such as [7, 20]";
        return ReadError::new(message).help(HELP);
    }
    match suggestion(field, known.iter().copied()) {
        Some(help) if help.starts_with("did") => ReadError::new(format!("{message}; {help}")),
        Some(help) => ReadError::new(message).help(help),
        None => ReadError::new(message).help("this takes no fields"),
    }
}

/// A field of a peer or group that is an option of an encapsulation, and how it is written there.
fn option_of_encapsulation(field: &str, siblings: &[(Node, Node)]) -> Option<String> {
    let sibling = |name: &str| siblings.iter().find(|(key, _)| key.text() == name).map(|(_, node)| node);
    let encap = sibling("encap")?;
    let (tag, has_options) = match &encap.value {
        Value::Map(entries) => (entries.first()?.0.text(), entries.first().is_some_and(|(_, node)| !is_empty(node))),
        _ => (encap.text(), false),
    };
    let own = Kind::from_tag(tag)?;
    let option = if has_option(own, field) { field.to_owned() } else { moved(field, own).to_owned() };
    if has_option(own, &option) {
        let value = sibling(field).map(Node::text).filter(|text| !text.is_empty()).unwrap_or("..");
        let others = if has_options { ", .." } else { "" };
        return Some(format!(
            "it is an option of the encapsulation: write `encap: {{ {tag}: {{ {option}: {value}{others} }} }}`"
        ));
    }
    let other = Kind::ALL.iter().find(|kind| kind.has_peers() && has_option(**kind, field))?;
    Some(format!("it is an option of {}, and this speaks {tag}: remove it", other.info().tag))
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries.is_empty(),
        value => matches!(value, Value::Null),
    }
}

/// What other tools call an option of an encapsulation.
fn moved(field: &str, kind: Kind) -> &str {
    match field {
        "port" | "dstport" | "dst_port" | "destination_port" if has_option(kind, "udp_port") => "udp_port",
        "csum" => "checksum",
        "seq" => "sequence",
        _ => field,
    }
}

fn has_option(kind: Kind, field: &str) -> bool {
    let options = serde_json::to_value(Spec::default_of(kind)).unwrap_or_default();
    options.get(kind.info().tag).is_some_and(|options| options.get(field).is_some())
}

/// A field that belongs to another noun than the one that has these, and to which.
fn of_another_noun(field: &str, known: &[&str]) -> Option<String> {
    let has = |name: &str| known.contains(&name);
    let is_port = has("device") && has("tpids");
    let is_peer = has("encap");
    Some(match field {
        "vlan" | "vlans" | "vlan_id" | "vid" | "s_vid" | "c_vid" if is_port => {
            "a port has no VLAN of its own: write `vid: 100` at an attachment to it, or `vlan: 100` at an endpoint"
                .into()
        }
        "address" | "ip" | "addresses" if is_port => {
            "a tunnel address belongs to an endpoint: `endpoints: { NAME: { address: 192.0.2.1, ports: [PORT] } }`"
                .into()
        }
        "vni" | "vsid" | "key" if is_peer => {
            format!("a tenant ID belongs to an attachment: `{{ peer: NAME, {field}: 100 }}`")
        }
        _ => return None,
    })
}
