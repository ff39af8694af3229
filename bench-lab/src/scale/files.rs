//! Configuration files of any size.

const UNDERLAY: &str = "\
version: 1
ports:
  up: { device: up, mac: \"02:aa:00:00:00:01\" }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
";

/// So many tenants, each of two VNIs, written as one pattern.
pub(super) fn tenants(count: u64) -> String {
    format!(
        "{UNDERLAY}peers:\n  a: {{ address: 192.0.2.9, encap: vxlan }}\n  b: {{ address: 192.0.2.10, encap: vxlan }}\n\
         patterns:\n  \"t-{{n}}\":\n    for: {{ n: 1-{count} }}\n    attachments:\n      \
         a: {{ peer: a, vni: \"n\" }}\n      b: {{ peer: b, vni: \"n\" }}\n"
    )
}

/// So many VNIs of one peer cross-connected with those of another.
pub(super) fn mapping(count: u64) -> String {
    format!(
        "{UNDERLAY}peers:\n  a: {{ address: 192.0.2.9, encap: vxlan }}\n  b: {{ address: 192.0.2.10, encap: vxlan }}\n\
         mappings:\n  all:\n    from: {{ peer: a, vni: 0-{} }}\n    to: {{ peer: b, vni: \"id\" }}\n",
        count - 1
    )
}

/// So many peers, each named, and for each thousand of them a tenant that reaches them.
pub(super) fn peers(count: u64) -> String {
    let mut peers = String::new();
    let mut tenants = String::new();
    for number in 0..count {
        let (high, low) = (number / 250, number % 250 + 1);
        peers += &format!("  p{number}: {{ address: 10.1.{high}.{low}, encap: vxlan }}\n");
        // A tenant has at most 4096 attachments.
        if number.is_multiple_of(1000) {
            tenants += &format!("  t{number}:\n    attachments:\n");
        }
        tenants += &format!("      a{number}: {{ peer: p{number}, vni: {} }}\n", number + 1);
    }
    format!("{UNDERLAY}peers:\n{peers}tenants:\n{tenants}")
}

/// A tenant of one port and a mesh of so many VTEPs.
pub(super) fn mesh(members: u64) -> String {
    let last = members - 1;
    format!(
        "{UNDERLAY}groups:\n  leafs: {{ encap: vxlan, members: [10.1.0.1-10.1.{}.{}] }}\n\
         tenants:\n  one:\n    attachments:\n      here: {{ port: access, untagged: true }}\n      \
         there: {{ group: leafs, vni: 1 }}\n    limits: {{ bum: unlimited }}\n",
        last / 256,
        last % 256 + 1
    )
    .replace("ports:\n", "ports:\n  access: { device: access }\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use transload::compile::{self, Numbers};
    use transload::config;

    #[test]
    fn every_file_is_a_good_one() {
        for text in [tenants(5), mapping(16), peers(5000), mesh(1), mesh(255)] {
            let plan = config::parse("scale.yaml", &text)
                .and_then(|config| compile::compile(&config, &Numbers::default(), None));
            assert!(plan.is_ok(), "{:?}\n{text}", plan.err());
        }
    }
}
