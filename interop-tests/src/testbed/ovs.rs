//! Open vSwitch as a peer: one switch for all sites; hosts are namespaces on cables to it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use transload_lab::{Host, Namespace, OpenVswitch, veth};

use super::cable::Cable;
use super::linux;
use super::machine::{Machine, addresses};
use super::raw;
use super::site::{Encap, Site, Tenant, Underlay};
use super::stack::Stack;

/// A `FlowID`, which is no matter of the segment.
const FLOW_ID: u32 = 0x5a;

/// The switch.
pub(super) struct Switch {
    // Dropped in this order.
    ovs: OpenVswitch,
    /// For tunnels, and for tags.
    cables: [Cable; 2],
    under: Namespace,
    hosts: HashMap<(u8, Tenant), Namespace>,
}

impl Switch {
    /// Starts one with two cables to the gateway: one for tunnels, one for tags.
    pub(super) fn build(gateway: &Arc<Namespace>, sites: &[Site]) -> io::Result<Self> {
        let under = Namespace::new()?;
        // The cable's own device sees what the switch sees, and would answer for the bridge's addresses.
        under.sh("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")?;
        let ends = [(Stack::Ovs.port(), "under"), (Stack::Ovs.tagged_port(), "access")];
        let [tunnels, tags] = ends.map(|(device, name)| Cable::lay(gateway, device, (&under, name), 1500));
        let cables = [tunnels?, tags?];
        for (device, name) in ends {
            // Its packet sockets do not finish what offloads leave undone, so nobody may leave it anything.
            gateway.sh(&format!("ethtool -K {device} tx off"))?;
            under.sh(&format!("ethtool -K {name} tx off"))?;
        }
        let ovs = OpenVswitch::start(&under)?;
        ovs.vsctl("add-br brp -- set bridge brp datapath_type=netdev -- add-port brp under")?;
        ovs.vsctl("add-br brt -- set bridge brt datapath_type=netdev fail-mode=secure -- add-port brt access")?;
        under.sh("ip link set brp up")?;
        let mut switch = Self { ovs, cables, under, hosts: HashMap::new() };
        for line in sites.iter().filter_map(|site| linux::underlay(site, "brp")).collect::<BTreeSet<_>>() {
            switch.under.sh(&line)?;
        }
        for site in sites {
            if site.encap == Encap::Nvgre {
                switch.tunnel(&format!("n{}", site.number), site, "flow")?;
            }
            for tenant in Tenant::ALL {
                switch.furnish(site, tenant)?;
            }
        }
        Ok(switch)
    }

    fn furnish(&mut self, site: &Site, tenant: Tenant) -> io::Result<()> {
        let (host, name, id) = (Namespace::new()?, linux::device(site, tenant), site.id(tenant));
        let port = format!("h{name}");
        veth((&self.under, &port), (&host, "t0"), 1500)?;
        self.under.sh(&format!("ethtool -K {port} tx off"))?;
        host.sh(&format!("ethtool -K t0 tx off && {}", addresses(site)))?;
        self.ovs.vsctl(&format!("add-port brt {port}"))?;
        let flows = match site.encap {
            Encap::QinQ | Encap::Vlan => tags(site, &port, id),
            Encap::Nvgre => flow_ids(&format!("n{}", site.number), &port, id),
            _ => {
                self.tunnel(&name, site, &id.to_string())?;
                vec![format!("in_port={port},actions={name}"), format!("in_port={name},actions={port}")]
            }
        };
        for flow in flows {
            self.ovs.add_flow("brt", &flow)?;
        }
        self.hosts.insert((site.number, tenant), host);
        Ok(())
    }

    fn tunnel(&self, name: &str, site: &Site, key: &str) -> io::Result<()> {
        let (gateway, own) = (&site.addresses.0, &site.addresses.1);
        // Beside ports of type `gre`, Open vSwitch 3.1 gives what arrives over IPv6 to them, never to `ip6gre`.
        let kind = if site.encap == Encap::Vxlan { "vxlan" } else { "gre" };
        let checked = if site.encap == Encap::GreChecked { " options:csum=true options:seq=true" } else { "" };
        self.ovs.vsctl(&format!(
            "add-port brt {name} -- set interface {name} type={kind} options:remote_ip={gateway} \
             options:local_ip={own} options:key={key}{checked}"
        ))?;
        Ok(())
    }
}

fn tags(site: &Site, port: &str, c_vid: u32) -> Vec<String> {
    let s_vid = site.s_vid();
    // A VID in a flow has the bit that says there is one.
    let (s, c) = (s_vid | 0x1000, c_vid | 0x1000);
    vec![
        format!(
            "in_port={port},actions=push_vlan:0x8100,set_field:{c}->vlan_vid,push_vlan:0x88a8,\
             set_field:{s}->vlan_vid,output:access"
        ),
        format!("in_port=access,dl_vlan={s_vid},actions=pop_vlan,goto_table:1"),
        format!("table=1,dl_vlan={c_vid},actions=pop_vlan,output:{port}"),
    ]
}

fn flow_ids(tunnel: &str, port: &str, vsid: u32) -> Vec<String> {
    let key = vsid << 8;
    vec![
        format!("in_port={port},actions=set_field:{:#x}->tun_id,output:{tunnel}", key | FLOW_ID),
        format!("in_port={tunnel},tun_id={key:#x}/0xffffff00,actions=output:{port}"),
    ]
}

impl Machine for Switch {
    fn host(&self, site: &Site, tenant: Tenant) -> Box<dyn Host + '_> {
        Box::new(&self.hosts[&(site.number, tenant)])
    }

    fn under(&self) -> &dyn Host {
        &self.under
    }

    fn lost(&self) -> Option<String> {
        (!self.ovs.is_running()).then(|| "a process of the switch has ended".to_owned())
    }

    fn send_to_gateway(&self, frame: &[u8], site: &Site) -> io::Result<()> {
        raw::send(&self.under, if site.underlay == Underlay::Cable { "access" } else { "under" }, frame)
    }

    fn send_to_peer(&self, frame: &[u8], site: &Site) -> io::Result<()> {
        let [tunnels, tags] = &self.cables;
        if site.underlay == Underlay::Cable { tags.send(frame) } else { tunnels.send(frame) }
    }
}
