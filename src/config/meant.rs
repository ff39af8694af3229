//! Words and numbers of other tools, and how they are written here.

/// Fields by other tools' names for them.
const OTHER_NAMES: [(&str, &[&str]); 11] = [
    ("vid", &["vlan", "vlan_id", "vlanid", "tag", "dot1q"]),
    ("s_vid", &["svlan", "s_vlan", "s_tag", "stag", "outer_vid", "outer_vlan", "outer_tag", "service_vlan"]),
    ("c_vid", &["cvlan", "c_vlan", "c_tag", "ctag", "inner_vid", "inner_vlan", "inner_tag", "customer_vlan"]),
    ("vni", &["vxlan_id", "vnid", "vn_id", "vxlan_vni"]),
    ("vsid", &["tni", "nvgre_id", "subnet_id"]),
    ("untagged", &["native", "no_tag"]),
    ("address", &["ip", "addr", "host", "remote", "remote_ip", "dst", "destination", "vtep"]),
    ("encap", &["encapsulation", "type", "protocol"]),
    ("device", &["dev", "interface", "ifname", "iface", "nic"]),
    ("ageing", &["aging", "age", "mac_age", "ageing_time", "aging_time"]),
    ("dscp", &["tos", "qos"]),
];

/// The known field that other tools call by this name.
pub(super) fn field<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let (name, _) = OTHER_NAMES.into_iter().find(|(_, others)| others.contains(&word.as_str()))?;
    known.into_iter().find(|candidate| *candidate == name)
}

/// A number that is not written as one here, as it should be: hexadecimal without `0x`, digits in groups of three, an
/// octal or binary number.
#[must_use]
pub fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let based =
        |prefix: &str, base| text.to_lowercase().strip_prefix(prefix).map(|rest| u64::from_str_radix(rest, base));
    if let Some(Ok(value)) = based("0o", 8).or_else(|| based("0b", 2).filter(Result::is_ok)) {
        return Some(value.to_string());
    }
    let groups: Vec<_> = text.split(['_', ',', '\'', ' ']).collect();
    let is_digits = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if groups.len() > 1 && groups.iter().all(is_digits) && groups[1..].iter().all(|group| group.len() == 3) {
        return groups.concat().parse().ok().map(|value: u64| value.to_string());
    }
    let hex = text.strip_prefix(['#', '$', 'x', 'X']).or_else(|| text.strip_suffix(['h', 'H'])).unwrap_or(text);
    let hex = hex.trim_start_matches("0x").replace([':', '_', ' '], "");
    let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u64::from_str_radix(&hex, 16).ok().map(|value| format!("{value:#x}")) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_another_notation_is_written_as_it_is_here() {
        for (text, meant) in [
            ("beef", "0xbeef"),
            ("88a8", "0x88a8"),
            ("DEADBEEF", "0xdeadbeef"),
            ("10a", "0x10a"),
            ("#ff", "0xff"),
            ("13ech", "0x13ec"),
            ("xbeef", "0xbeef"),
            ("be:ef", "0xbeef"),
            ("0xbe_ef", "0xbeef"),
            ("10_100", "10100"),
            ("1,000,000", "1000000"),
            ("0o17", "15"),
            ("0b101", "5"),
        ] {
            assert_eq!(number(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["", "blue", "7-9", "5.5", "ten", "id", "0o99", "-5", "1,0", "192.0.2.1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn another_tools_name_is_known_where_the_field_is() {
        assert_eq!(field("vlan", ["vni", "vid"]), Some("vid"));
        assert_eq!(field("VLAN-ID", ["vni", "vid"]), Some("vid"));
        assert_eq!(field("vlan", ["device", "mtu"]), None);
        assert_eq!(field("vni", ["vni", "vid"]), None);
    }
}
