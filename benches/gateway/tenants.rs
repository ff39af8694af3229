//! The tenants that are measured: their configuration, and the frames that arrive for them.

use std::net::Ipv4Addr;

use transload_encaps::{Mac, checksum};

/// A tenant that is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant {
    /// Its name: what it translates from and to, or how many peers it has on either side.
    pub(crate) name: &'static str,
    /// Peers on either side.
    pub(crate) peers: u32,
    arrival: Arrival,
    config: Config,
}

/// The encapsulation that a tenant's frames arrive in, and their tenant ID there.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Vxlan { vni: u8 },
    Nvgre { vsid: u16 },
    Gre { key: u8 },
    QinQ { c_vid: u8 },
}

/// The configuration file that a tenant is in.
#[derive(Debug, Clone, Copy)]
enum Config {
    Plain,
    Ipv6,
    Ecmp,
    ManyPeers,
}

/// The tenants, those with one peer on either side first.
pub(crate) const TENANTS: [Tenant; 10] = [
    Tenant::new("vxlan-vxlan", Arrival::Vxlan { vni: 4 }, Config::Plain),
    Tenant::new("vxlan-nvgre", Arrival::Vxlan { vni: 1 }, Config::Plain),
    Tenant::new("nvgre-nvgre", Arrival::Nvgre { vsid: 5002 }, Config::Plain),
    Tenant::new("vxlan-qinq", Arrival::Vxlan { vni: 6 }, Config::Plain),
    Tenant::new("qinq-vxlan", Arrival::QinQ { c_vid: 7 }, Config::Plain),
    Tenant::new("gre-vxlan", Arrival::Gre { key: 3 }, Config::Plain),
    Tenant::new("vxlan-ipv6", Arrival::Vxlan { vni: 4 }, Config::Ipv6),
    Tenant::new("vxlan-ecmp", Arrival::Vxlan { vni: 4 }, Config::Ecmp),
    Tenant::new("peers-64", Arrival::Vxlan { vni: 4 }, Config::ManyPeers).with_peers(64),
    Tenant::new("peers-1000", Arrival::Vxlan { vni: 4 }, Config::ManyPeers).with_peers(1000),
];

const PLAIN: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: {
            192.0.2.9: "02:bb:00:00:00:01", 192.0.2.10: "02:bb:00:00:00:02", 192.0.2.77: "02:bb:00:00:00:01",
            192.0.2.78: "02:bb:00:00:00:02", 192.0.2.99: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  leaf:  { address: 192.0.2.10, encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  far:   { address: 192.0.2.78, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: gre }
tenants:
  vxlan-vxlan: { attachments: { in: { peer: vxlan, vni: 4 }, out: { peer: leaf, vni: 5 } } }
  vxlan-nvgre: { attachments: { in: { peer: vxlan, vni: 1 }, out: { peer: nvgre, vsid: 5001 } } }
  nvgre-nvgre: { attachments: { in: { peer: nvgre, vsid: 5002 }, out: { peer: far, vsid: 5003 } } }
  qinq-vxlan:  { attachments: { in: { port: access, s_vid: 100, c_vid: 7 }, out: { peer: vxlan, vni: 2 } } }
  vxlan-qinq:  { attachments: { in: { peer: vxlan, vni: 6 }, out: { port: access, s_vid: 100, c_vid: 8 } } }
  gre-vxlan:   { attachments: { in: { peer: gre, key: 3 }, out: { peer: vxlan, vni: 3 } } }
"#;

/// The peer that frames go to is reached by IPv6.
const IPV6: &str = r#"
version: 1
ports:
  up: { device: up, mac: "02:aa:00:00:00:01", next_hops: {
        192.0.2.9: "02:bb:00:00:00:01", "2001:db8::10": "02:bb:00:00:00:02" } }
endpoints:
  fabric:  { address: 192.0.2.1, ports: [up] }
  fabric6: { address: "2001:db8::1", ports: [up] }
peers:
  vxlan: { address: 192.0.2.9, encap: vxlan }
  leaf:  { address: "2001:db8::10", encap: vxlan }
tenants:
  vxlan-ipv6: { attachments: { in: { peer: vxlan, vni: 4 }, out: { peer: leaf, vni: 5 } } }
"#;

/// The peer that frames go to has a next hop on either of two ports.
const ECMP: &str = r#"
version: 1
ports:
  up:   { device: up, mac: "02:aa:00:00:00:01", next_hops: {
          192.0.2.9: "02:bb:00:00:00:01", 192.0.2.10: "02:bb:00:00:00:02" } }
  side: { device: side, mac: "02:aa:00:00:00:02", next_hops: { 192.0.2.10: "02:bb:00:00:00:03" } }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up, side] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  leaf:  { address: 192.0.2.10, encap: vxlan }
tenants:
  vxlan-ecmp: { attachments: { in: { peer: vxlan, vni: 4 }, out: { peer: leaf, vni: 5 } } }
"#;

impl Tenant {
    const fn new(name: &'static str, arrival: Arrival, config: Config) -> Self {
        Self { name, peers: 1, arrival, config }
    }

    const fn with_peers(self, peers: u32) -> Self {
        Self { peers, ..self }
    }

    /// Its configuration.
    pub(super) fn yaml(&self) -> String {
        match self.config {
            Config::Plain => PLAIN.to_owned(),
            Config::Ipv6 => IPV6.to_owned(),
            Config::Ecmp => ECMP.to_owned(),
            Config::ManyPeers => self.many_peers(),
        }
    }

    /// Groups of leafs on either side, each leaf with an address and a next hop of its own.
    fn many_peers(&self) -> String {
        let Self { name, peers, .. } = *self;
        let hop = |side, number| format!("{}: \"{}\"", leaf(side, number), next_hop(side, number));
        let hops = [1, 2].map(|side| (0..peers).map(|number| hop(side, number)).collect::<Vec<_>>().join(", "));
        let [from, to] = [1, 2].map(|side| format!("{}-{}", leaf(side, 0), leaf(side, peers - 1)));
        let hops = hops.join(", ");
        format!(
            r#"
version: 1
ports:
  up: {{ device: up, mac: "02:aa:00:00:00:01", next_hops: {{ {hops} }} }}
endpoints:
  fabric: {{ address: 192.0.2.1, ports: [up] }}
groups:
  from: {{ encap: vxlan, members: [{from}] }}
  to:   {{ encap: vxlan, members: [{to}] }}
tenants:
  {name}: {{ attachments: {{ in: {{ group: from, vni: 4 }}, out: {{ group: to, vni: 5 }} }} }}
"#
        )
    }

    /// What arrives for it, with tenant's frames of `len` bytes inside.
    pub(super) fn arriving(&self, len: usize) -> Arriving {
        let inner = inner(len);
        if let Arrival::QinQ { c_vid } = self.arrival {
            let tags = [0x88, 0xa8, 0, 100, 0x81, 0, 0, c_vid];
            let frame = [&inner[..12], &tags, &inner[12..]].concat();
            return Arriving { frame, addresses_at: 0, senders: Vec::new(), port: "access" };
        }
        let (protocol, header) = self.tunnel_header(len as u16);
        let carried = [header, inner].concat();
        let packets: Vec<_> = self.senders().into_iter().map(|sender| in_ip(sender, protocol, &carried)).collect();
        let senders = packets.iter().filter_map(|packet| packet[SENDER_AT..].first_chunk().copied()).collect();
        let frame = packets[0].clone();
        Arriving { addresses_at: frame.len() - len, frame, senders, port: "up" }
    }

    /// The IP protocol that its frames arrive by, and what is between the IP header and them.
    fn tunnel_header(&self, len: u16) -> (u8, Vec<u8>) {
        match self.arrival {
            Arrival::Vxlan { vni } => {
                let mut header = vec![0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, vni, 0];
                header[4..6].copy_from_slice(&(16 + len).to_be_bytes());
                (17, header)
            }
            Arrival::Nvgre { vsid } => {
                let [high, low] = vsid.to_be_bytes();
                (47, vec![0x20, 0, 0x65, 0x58, 0, high, low, 0])
            }
            Arrival::Gre { key } => (47, vec![0x20, 0, 0x65, 0x58, 0, 0, 0, key]),
            Arrival::QinQ { .. } => unreachable!("tags have no IP"),
        }
    }

    /// The addresses of the peers that its frames arrive from.
    fn senders(&self) -> Vec<Ipv4Addr> {
        match self.arrival {
            _ if self.peers > 1 => (0..self.peers).map(|number| leaf(1, number)).collect(),
            Arrival::Nvgre { .. } => vec![Ipv4Addr::new(192, 0, 2, 77)],
            Arrival::Gre { .. } => vec![Ipv4Addr::new(192, 0, 2, 99)],
            _ => vec![Ipv4Addr::new(192, 0, 2, 9)],
        }
    }
}

/// What arrives for a tenant.
pub(super) struct Arriving {
    /// A frame from the first of the senders.
    pub(super) frame: Vec<u8>,
    /// Where the MAC addresses of the tenant's frame are in it.
    pub(super) addresses_at: usize,
    /// What other senders' frames have at [`SENDER_AT`]; empty where there is no outer IP header.
    pub(super) senders: Vec<[u8; 6]>,
    /// The port that it arrives at.
    pub(super) port: &'static str,
}

/// Where a frame's outer IPv4 header has its checksum, and right behind that the source address.
pub(super) const SENDER_AT: usize = 24;

/// The address of a leaf of a side, 1 or 2.
fn leaf(side: u32, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0001 + (side << 16) + number)
}

/// The MAC address that a leaf is reached by.
fn next_hop(side: u32, number: u32) -> Mac {
    let [_, a, b, c] = number.to_be_bytes();
    Mac([2, 0xbb, side as u8, a, b, c])
}

/// The tenant's frame of this length, its addresses to be patched.
fn inner(len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[12..14].copy_from_slice(&[8, 0]);
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[2..4].copy_from_slice(&((len - 14) as u16).to_be_bytes());
    frame[14..34].copy_from_slice(&ip);
    frame
}

fn in_ip(sender: Ipv4Addr, protocol: u8, carried: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    ip.extend(sender.octets());
    ip.extend([192, 0, 2, 1]);
    ip[2..4].copy_from_slice(&(20 + carried.len() as u16).to_be_bytes());
    let sum = checksum::of(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    [&[2, 0xaa, 0, 0, 0, 1, 2, 0xbb, 0, 0, 0, 1, 8, 0], &ip[..], carried].concat()
}
