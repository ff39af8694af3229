//! A gateway as its file.

use std::fmt::Write;

use transload::config::{self, Config};

use crate::common::wire::mac;
use crate::settings::{Fabric, Peer, Settings, Side, Tenant, Way};

const HEAD: &str = "version: 1
fdb: { capacity: 64 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up, north] }
";

impl Settings {
    pub(crate) fn config(&self) -> Config {
        let text = self.yaml();
        config::parse("model.yaml", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    fn yaml(&self) -> String {
        let mut text = format!("{HEAD}{}peers:\n", self.fabric.ports());
        let encaps = [(Side::One, "vxlan"), (Side::Two, "vxlan"), (Side::Nvgre, "nvgre"), (Side::Gre, "gre")];
        for (side, encap) in encaps.into_iter().filter(|(side, _)| self.uses(*side)) {
            let (name, far) = (Peer::Sole(side).name(), self.fabric.sole(side));
            let _ = writeln!(text, "  {name}: {{ address: 192.0.2.{far}, encap: {encap} }}");
        }
        if self.uses(Side::Mesh) {
            text.push_str(&self.fabric.group());
        }
        text.push_str("tenants:\n");
        self.tenants.iter().for_each(|tenant| tenant.write(&mut text));
        text
    }
}

impl Fabric {
    fn ports(&self) -> String {
        let hop = |(far, last)| format!(", next_hops: {{ 192.0.2.{far}: \"{}\" }}", written(mac(last)));
        let hop = self.stated.map_or_else(String::new, hop);
        format!(
            "ports:
  up: {{ device: up, mac: \"02:aa:00:00:00:01\"{hop} }}
  north: {{ device: north, mac: \"02:aa:00:00:00:02\" }}
  access: {{ device: access }}
"
        )
    }

    fn group(&self) -> String {
        let members: Vec<_> = self.members.iter().map(|far| format!("192.0.2.{far}")).collect();
        let members = if members.is_empty() { String::new() } else { format!(", members: [{}]", members.join(", ")) };
        let learned = self.learn_from.as_ref().map_or_else(String::new, |from| {
            let most = from.most.map_or_else(String::new, |most| format!(", max_learned: {most}"));
            format!(", learn_from: {}{most}", from.prefix)
        });
        format!("groups:\n  mesh: {{ encap: vxlan{members}{learned} }}\n")
    }
}

impl Tenant {
    fn write(&self, text: &mut String) {
        let unknown = if self.flood_unknown { "flood" } else { "drop" };
        let Self { name, learning, ageing, macs, .. } = self;
        let _ = writeln!(text, "  {name}:\n    learning: {learning}\n    unknown_unicast: {unknown}");
        let _ = writeln!(text, "    ageing: {ageing}s\n    duplicates: off");
        let _ = writeln!(text, "    limits: {{ bum: unlimited, macs: {macs} }}\n    attachments:");
        for way in &self.ways {
            let horizon = way.horizon.map_or_else(String::new, |number| format!(", split_horizon: h{number}"));
            let _ = writeln!(text, "      {}: {{ {}{horizon} }}", way.name, way.reference(self.id));
        }
        let _ = writeln!(text, "    static:{}", if self.statics.is_empty() { " []" } else { "" });
        for known in &self.statics {
            let peer = match known.peer {
                Peer::Member(far) => format!(", peer: 192.0.2.{far}"),
                _ => String::new(),
            };
            let _ = writeln!(text, "      - {{ mac: \"{}\", via: {}{peer} }}", written(mac(known.host)), known.way);
        }
    }
}

impl Way {
    fn reference(&self, id: u16) -> String {
        let peer = Peer::Sole(self.side).name();
        match self.side {
            Side::One | Side::Two => format!("peer: {peer}, vni: {}", 5000 + id),
            Side::Nvgre => format!("peer: {peer}, vsid: {}", 5000 + id),
            Side::Gre => format!("peer: {peer}, key: {id}"),
            Side::Mesh => format!("group: mesh, vni: {}", 5000 + id),
            Side::Tags => format!("port: access, s_vid: 100, c_vid: {}", id + 1),
        }
    }
}

fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
