//! The gateway of these tests: as much of what a fast path could get wrong as fits one file; and the files that it may
//! be reloaded with.

/// The file that everything begins with.
pub(crate) const FILE: &str = r#"version: 1
fdb: { capacity: 1000 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  north:  { device: north, mac: "02:aa:00:00:00:02" }
  narrow: { device: narrow, mac: "02:aa:00:00:00:03", mtu: 1500 }
  mixed:  { device: mixed, mac: "02:aa:00:00:00:04" }
  access: { device: access, tpids: [0x88a8, 0x9100] }
  thin:   { device: thin, mtu: 1400 }
  dead:   { device: dead }
  trunk:  { device: trunk }
endpoints:
  v4:     { address: 192.0.2.1, ports: [up] }
  v6:     { address: "2001:db8::1", ports: [up] }
  slim:   { address: 192.0.2.2, ports: [narrow] }
  slim6:  { address: "2001:db8::2", ports: [narrow] }
  tagged: { address: 192.0.2.3, ports: [up], vlan: 5 }
  inside: { address: 192.0.2.4, ports: [mixed] }
  wide:   { address: 192.0.2.5, ports: [up, north] }
  wide6:  { address: "2001:db8::5", ports: [up, north] }
peers:
  vxlan4:  { address: 192.0.2.9, endpoint: v4, encap: vxlan }
  strict4: { address: 192.0.2.10, endpoint: v4, encap: { vxlan: { reserved: strict } } }
  sum4:    { address: 192.0.2.11, endpoint: v4, encap: vxlan, udp_checksum: { tx: compute } }
  marks4:  { address: 192.0.2.12, endpoint: v4, encap: vxlan, dscp: uniform, ecn: compatibility }
  moved4:  { address: 192.0.2.9, endpoint: v4, encap: { vxlan: { udp_port: 8472 } } }
  nvgre4:  { address: 192.0.2.77, endpoint: v4, encap: nvgre }
  gre4:    { address: 192.0.2.99, endpoint: v4, encap: gre }
  full4:   { address: 192.0.2.98, endpoint: v4, encap: { gre: { checksum: true, sequence: true } } }
  vxlan6:  { address: "2001:db8::9", endpoint: v6, encap: vxlan }
  zero6:   { address: "2001:db8::11", endpoint: v6, encap: vxlan, udp_checksum: { tx: zero } }
  strict6: { address: "2001:db8::10", endpoint: v6, encap: vxlan, udp_checksum: { rx_zero: drop } }
  nvgre6:  { address: "2001:db8::77", endpoint: v6, encap: nvgre }
  gre6:    { address: "2001:db8::99", endpoint: v6, encap: gre }
  slim4:   { address: 192.0.2.40, endpoint: slim, encap: vxlan }
  slim6:   { address: "2001:db8::40", endpoint: slim6, encap: gre }
  tagged4: { address: 192.0.2.41, endpoint: tagged, encap: vxlan }
  inside4: { address: 192.0.2.42, endpoint: inside, encap: vxlan }
  wide4:   { address: 192.0.2.50, endpoint: wide, encap: vxlan }
  wide6:   { address: "2001:db8::50", endpoint: wide6, encap: nvgre }
  nobody4: { address: 192.0.2.60, endpoint: v4, encap: vxlan }
groups:
  mesh:  { endpoint: v4, encap: vxlan, members: [192.0.2.20-192.0.2.22], learn_from: 198.51.100.0/24, max_learned: 2 }
  cast:  { endpoint: v4, encap: vxlan, members: [192.0.2.30-192.0.2.31], learn_from: 203.0.113.0/28, bum: 239.1.1.1 }
mappings:
  wholesale:
    from: { peer: vxlan4, vni: 0x100000-0x1fffff }
    to:   { port: trunk, s_vid: "id[23:12]", c_vid: "id[11:0]" }
  narrower:
    from: { peer: gre4, key: 0x5000-0x5fff }
    to:   { peer: slim4, vni: id }
tenants:
  blue:
    limits: { bum: 1000000 }
    ageing: 60s
    attachments:
      vxlan4:  { peer: vxlan4, vni: 100 }
      vxlan4b: { peer: vxlan4, vni: 101 }
      strips4: { peer: vxlan4, vni: 102, inner_tags: strip }
      drops4:  { peer: vxlan4, vni: 103, inner_tags: drop }
      strict4: { peer: strict4, vni: 100 }
      sum4:    { peer: sum4, vni: 100 }
      marks4:  { peer: marks4, vni: 100 }
      moved4:  { peer: moved4, vni: 100 }
      nvgre4:  { peer: nvgre4, vsid: 5000 }
      gre4:    { peer: gre4, key: 7 }
      bare4:   { peer: gre4 }
      full4:   { peer: full4, key: 9 }
      vxlan6:  { peer: vxlan6, vni: 100 }
      zero6:   { peer: zero6, vni: 100 }
      strict6: { peer: strict6, vni: 100 }
      nvgre6:  { peer: nvgre6, vsid: 5000 }
      gre6:    { peer: gre6, key: 7 }
      slim4:   { peer: slim4, vni: 100 }
      slim6:   { peer: slim6, key: 7 }
      tagged4: { peer: tagged4, vni: 100 }
      inside4: { peer: inside4, vni: 100 }
      wide4:   { peer: wide4, vni: 100 }
      wide6:   { peer: wide6, vsid: 5000 }
      nobody4: { peer: nobody4, vni: 100 }
      mesh:    { group: mesh, vni: 100 }
      ring-a:  { peer: vxlan4, vni: 104, split_horizon: ring }
      ring-b:  { peer: nvgre4, vsid: 5004, split_horizon: ring }
      both:    { port: access, s_vid: 100, c_vid: 7 }
      outer:   { port: access, s_vid: 200 }
      single:  { port: access, vid: 300 }
      strips:  { port: access, vid: 301, inner_tags: strip }
      drops:   { port: access, vid: 302, inner_tags: drop }
      none:    { port: access, untagged: true }
      thin:    { port: thin, s_vid: 100 }
      thin-c:  { port: thin, vid: 100 }
      dead:    { port: dead, s_vid: 100 }
      mixed-c: { port: mixed, vid: 30 }
      mixed-s: { port: mixed, s_vid: 40 }
  red:
    limits: { bum: 80, macs: 8 }
    unknown_unicast: drop
    duplicates: { moves: 2 }
    mss_clamp: true
    attachments:
      red-v:    { peer: vxlan4, vni: 200, l2cp: tunnel }
      red-n:    { peer: nvgre4, vsid: 5200, l2cp: tunnel }
      red-slim: { peer: slim4, vni: 200 }
      red-ce:   { port: access, s_vid: 250 }
      red-thin: { port: thin, s_vid: 250 }
    static:
      - { mac: "02:00:00:00:00:e0", via: red-ce }
      - { mac: "02:00:00:00:00:e1", via: red-n }
  green:
    learning: false
    loop_guard: off
    mss_clamp: 1200
    attachments:
      green-v:  { peer: vxlan4, vni: 300 }
      green-g:  { peer: gre6, key: 300 }
      green-ce: { port: access, s_vid: 260 }
    static:
      - { mac: "02:00:00:00:00:e2", via: green-v }
      - { mac: "02:00:00:00:00:e3", via: green-ce }
  white:
    limits: { bum: unlimited }
    ageing: 30s
    duplicates: off
    attachments:
      white-mesh: { group: mesh, vni: 500 }
      white-cast: { group: cast, vni: 500 }
      white-ce:   { port: access, s_vid: 270 }
"#;

/// Another file: its name, and what it has in place of what.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    edits: &'static [(&'static str, &'static str)],
}

/// The files that the gateway may be reloaded with.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant { name: "the same", edits: &[] },
    Variant { name: "an attachment is gone", edits: &[("      vxlan4b: { peer: vxlan4, vni: 101 }\n", "")] },
    Variant {
        name: "the tags of a port are gone",
        edits: &[("      both:    { port: access, s_vid: 100, c_vid: 7 }\n", "")],
    },
    Variant {
        name: "a peer is gone",
        edits: &[
            ("  gre4:    { address: 192.0.2.99, endpoint: v4, encap: gre }\n", ""),
            ("      gre4:    { peer: gre4, key: 7 }\n      bare4:   { peer: gre4 }\n", ""),
            ("  narrower:\n    from: { peer: gre4, key: 0x5000-0x5fff }\n    to:   { peer: slim4, vni: id }\n", ""),
        ],
    },
    Variant {
        name: "another peer at the same place, which may get the number of one that is gone",
        edits: &[
            (
                "  gre4:    { address: 192.0.2.99, endpoint: v4, encap: gre }\n",
                "  late4: { address: 192.0.2.95, endpoint: v4, encap: gre }\n",
            ),
            (
                "      gre4:    { peer: gre4, key: 7 }\n      bare4:   { peer: gre4 }\n",
                "      gre4: { peer: late4, key: 7 }\n",
            ),
            ("from: { peer: gre4, key", "from: { peer: late4, key"),
        ],
    },
    Variant {
        name: "a peer is elsewhere",
        edits: &[("address: 192.0.2.77,", "address: 192.0.2.78,"), ("address: 192.0.2.11,", "address: 192.0.2.77,")],
    },
    Variant {
        name: "an ID is another tenant's",
        edits: &[
            ("vxlan4, vni: 100 }", "vxlan4, vni: 300 }"),
            ("green-v:  { peer: vxlan4, vni: 300 }", "green-v:  { peer: vxlan4, vni: 100 }"),
        ],
    },
    Variant {
        name: "a port is gone",
        edits: &[
            ("  north:  { device: north, mac: \"02:aa:00:00:00:02\" }\n", ""),
            ("ports: [up, north]", "ports: [up]"),
            ("  thin:   { device: thin, mtu: 1400 }\n", ""),
            ("      thin:    { port: thin, s_vid: 100 }\n      thin-c:  { port: thin, vid: 100 }\n", ""),
            ("      red-thin: { port: thin, s_vid: 250 }\n", ""),
        ],
    },
    Variant {
        name: "other policies",
        edits: &[
            (
                "    ageing: 60s\n",
                "    ageing: 20s\n    learning: false\n    unknown_unicast: drop\n    mss_clamp: true\n",
            ),
            ("vni: 102, inner_tags: strip", "vni: 102, inner_tags: drop"),
            ("vid: 301, inner_tags: strip", "vid: 301"),
            ("learning: false\n    loop_guard", "learning: true\n    loop_guard"),
        ],
    },
    Variant {
        name: "other headers and less room",
        edits: &[
            ("encap: vxlan, udp_checksum: { tx: compute }", "encap: vxlan"),
            ("udp_port: 8472 } } }", "udp_port: 8472 } }, df: clear }"),
            (
                "endpoint: v4, encap: vxlan }",
                "endpoint: v4, encap: vxlan, ttl: 9, dscp: { pipe: 10 }, udp_checksum: { tx: compute } }",
            ),
            ("device: up,", "device: up, mtu: 1550,"),
            ("device: access,", "device: access, mtu: 1500, emit_tpid: 0x9100,"),
            ("reserved: strict", "reserved: ignore"),
            ("rx_zero: drop", "rx_zero: accept"),
        ],
    },
    Variant {
        name: "a horizon is another",
        edits: &[
            ("nvgre4, vsid: 5000 }", "nvgre4, vsid: 5000, split_horizon: ring }"),
            ("vni: 104, split_horizon: ring", "vni: 104"),
        ],
    },
    Variant {
        name: "nothing is learned from senders, and a member is gone",
        edits: &[
            (
                "members: [192.0.2.20-192.0.2.22], learn_from: 198.51.100.0/24, max_learned: 2",
                "members: [192.0.2.20-192.0.2.21]",
            ),
            ("203.0.113.0/28, bum: 239.1.1.1", "203.0.113.0/29, bum: 239.1.1.2"),
        ],
    },
    Variant {
        name: "a tenant and a mapping are gone, and an address is pinned elsewhere",
        edits: &[
            (GREEN, ""),
            (
                "  wholesale:\n    from: { peer: vxlan4, vni: 0x100000-0x1fffff }\n    to:   { port: trunk, s_vid: \"id[23:12]\", c_vid: \"id[11:0]\" }\n",
                "",
            ),
            ("00:e0\", via: red-ce", "00:e0\", via: red-v"),
            ("  trunk:  { device: trunk }\n", ""),
        ],
    },
];

const GREEN: &str = r#"  green:
    learning: false
    loop_guard: off
    mss_clamp: 1200
    attachments:
      green-v:  { peer: vxlan4, vni: 300 }
      green-g:  { peer: gre6, key: 300 }
      green-ce: { port: access, s_vid: 260 }
    static:
      - { mac: "02:00:00:00:00:e2", via: green-v }
      - { mac: "02:00:00:00:00:e3", via: green-ce }
"#;

impl Variant {
    pub(crate) fn yaml(&self) -> String {
        self.edits.iter().fold(FILE.to_owned(), |text, (before, after)| {
            assert!(text.contains(before), "{}: no `{before}` in the file", self.name);
            text.replace(before, after)
        })
    }
}
