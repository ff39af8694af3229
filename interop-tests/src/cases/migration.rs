//! A machine with a running TCP stream moves between sites of different encapsulations, and keeps its address.
//!
//! ```text
//!  leaf    ==VXLAN==┐
//!  switch  ==NVGRE==┤ gateway ==VXLAN over IPv6== server
//!  hand-off ==QinQ==┘
//! ```
//!
//! The machine is a namespace whose cable is pulled at one site and plugged in at another.

use std::io;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use transload_lab::{Gateway, Host, Namespace, OpenVswitch, interrupt, programs, skip, veth};

use super::{Case, Cells, Scope};
use crate::drops::told;
use crate::outcome::{Verdict, must, not_run};
use crate::testbed::Stack;
use crate::traffic::settle;
use crate::world::Leaf;

pub(super) const MIGRATION: Case = Case {
    name: "migration",
    says: "A machine with a running TCP stream moves from a VXLAN site to an NVGRE site to a QinQ hand-off and back, \
           and keeps its address; tenants never see an underlay address, nor the underlay a tenant's MAC address.",
    standard: "RFC 7364 §3.1 (mobility and address independence)",
    scope: Scope::World(migration),
};

const LEAF: Leaf<'_> = Leaf { device: "leaf", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };
const SERVER: Leaf<'_> = Leaf { device: "far", gateway: "fd00:9::1", address: "fd00:9::9", mtu: 1500 };
const MAC: &str = "02:00:00:00:ee:01";
const SERVER_MAC: &str = "02:00:00:00:ee:09";
/// How long the stream is, and how long the machine stays at a site.
const STREAM: u32 = 16;
const STAY: Duration = Duration::from_secs(3);
/// TCP sends again after a fifth of a second at the earliest, and then after twice as long; more is too much.
const LONGEST_GAP: u32 = 3000;

const FILE: &str = r#"
version: 1
ports:
  leaf: { device: leaf }
  switch: { device: switch }
  handoff: { device: handoff }
  far: { device: far }
endpoints:
  leaf: { address: 192.0.2.1, ports: [leaf] }
  switch: { address: 203.0.113.1, ports: [switch] }
  far: { address: "fd00:9::1", ports: [far] }
peers:
  leaf: { address: 192.0.2.11, endpoint: leaf, encap: vxlan }
  switch: { address: 203.0.113.9, endpoint: switch, encap: nvgre }
  far: { address: "fd00:9::9", endpoint: far, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      switch: { peer: switch, vsid: 5100 }
      handoff: { port: handoff, s_vid: 100, c_vid: 7 }
      far: { peer: far, vni: 900 }
"#;

fn migration(cells: &mut Cells) {
    let needs = [skip::root, skip::ip, skip::ping, skip::vxlan, skip::ovs, skip::ethtool, skip::tcpdump];
    let missing = needs.iter().find_map(|need| need().err());
    let verdict = match missing {
        Some(missing) => not_run(format!("needs {missing}")),
        None => moves(),
    };
    cells.among(&[Stack::Kernel, Stack::Ovs], "VXLAN, NVGRE, QinQ, VXLAN", verdict);
}

struct World {
    gateway: Gateway,
    switches: [(OpenVswitch, Namespace); 2],
    leaf: Namespace,
    server: Namespace,
    machine: Namespace,
    middle: Namespace,
    captures: TempDir,
}

impl World {
    fn build() -> io::Result<Self> {
        let [middle, machine] = [Namespace::new()?, Namespace::new()?];
        let server = SERVER.with_vxlan(&middle, 900, "10.1.0.9/24")?;
        server.sh(&format!("ip link set vx0 address {SERVER_MAC}"))?;
        let leaf = LEAF.build(&middle)?;
        leaf.sh(&format!(
            "{}; ip link add br0 type bridge; ip link set vx0 master br0 up; ip link set br0 up",
            LEAF.vxlan("vx0", 100)
        ))?;
        let switches = [switch(&middle, "switch")?, switch(&middle, "handoff")?];
        middle.sh("ip addr add 203.0.113.1/24 dev switch")?;
        let (ovs, namespace) = &switches[0];
        ovs.vsctl("add-br brp -- set bridge brp datapath_type=netdev -- add-port brp under")?;
        namespace.sh("ip addr add 203.0.113.9/24 dev brp; ip link set brp up")?;
        ovs.vsctl(
            "add-port br n0 -- set interface n0 type=gre options:remote_ip=203.0.113.1 options:local_ip=203.0.113.9 \
             options:key=flow",
        )?;
        switches[1].0.vsctl("add-port br under")?;

        // The machine's cable starts at the leaf. Open vSwitch needs checksums that are finished.
        veth((&leaf, "vm"), (&machine, "eth0"), 1400)?;
        leaf.sh("ethtool -K vm tx off")?;
        machine
            .sh(&format!("ethtool -K eth0 tx off; ip link set eth0 address {MAC}; ip addr add 10.1.0.1/24 dev eth0"))?;
        let gateway = Gateway::start(&middle, FILE)?;
        Ok(Self { gateway, switches, leaf, server, machine, middle, captures: tempfile::tempdir()? })
    }

    /// Starts a capture of what matches.
    fn listen(&self, at: &Namespace, name: &str, device: &str, filter: &str) -> io::Result<()> {
        let file = self.captures.path().join(name);
        let (file, limit) = (file.display(), 3 * STREAM);
        at.background(&format!(
            "timeout {limit} tcpdump -i {device} -n -U --immediate-mode -Z root -s 128 -w {file} {filter}"
        ))?;
        at.sh(&format!("for i in $(seq 100); do test -s {file} && exit 0; sleep 0.1; done; exit 1"))?;
        Ok(())
    }

    /// How many frames of a capture match.
    fn seen(&self, name: &str, filter: &str) -> io::Result<u32> {
        let file = self.captures.path().join(name);
        let printed = self.middle.sh(&format!("tcpdump -n -r {} {filter} 2>/dev/null | wc -l", file.display()))?;
        printed.trim().parse().map_err(io::Error::other)
    }

    fn plug_in_at_leaf(&self) -> io::Result<()> {
        self.leaf.sh("ip link set vm master br0 up").map(|_| ())
    }

    fn plug_in_at_switch(&self, which: usize) -> io::Result<()> {
        let (ovs, namespace) = &self.switches[which];
        namespace.sh("ethtool -K vm tx off; ip link set vm up")?;
        ovs.vsctl("add-port br vm")?;
        let key = 5100 << 8;
        let flows = [
            vec![
                format!("in_port=vm,actions=set_field:{:#x}->tun_id,output:n0", key | 0x33),
                format!("in_port=n0,tun_id={key:#x}/0xffffff00,actions=output:vm"),
            ],
            vec![
                "in_port=vm,actions=push_vlan:0x8100,set_field:4103->vlan_vid,push_vlan:0x88a8,\
                 set_field:4196->vlan_vid,output:under"
                    .to_owned(),
                "in_port=under,dl_vlan=100,actions=pop_vlan,goto_table:1".to_owned(),
                "table=1,dl_vlan=7,actions=pop_vlan,output:vm".to_owned(),
            ],
        ];
        flows[which].iter().try_for_each(|flow| ovs.add_flow("br", flow))
    }

    /// The machine's way: leaf, switch, hand-off, leaf.
    fn travel(&self) -> io::Result<()> {
        interrupt::pause(STAY)?;
        carry(&self.leaf, &self.switches[0].1)?;
        self.plug_in_at_switch(0)?;
        interrupt::pause(STAY)?;
        self.switches[0].0.vsctl("del-port br vm")?;
        carry(&self.switches[0].1, &self.switches[1].1)?;
        self.plug_in_at_switch(1)?;
        interrupt::pause(STAY)?;
        self.switches[1].0.vsctl("del-port br vm")?;
        carry(&self.switches[1].1, &self.leaf)?;
        self.plug_in_at_leaf()
    }
}

/// Moves the far end of the machine's cable.
fn carry(from: &Namespace, to: &Namespace) -> io::Result<()> {
    from.sh(&format!("ip link set vm netns {}", to.path())).map(|_| ())
}

/// A switch on a cable to the gateway, with a bridge for the machine.
fn switch(middle: &Namespace, device: &str) -> io::Result<(OpenVswitch, Namespace)> {
    let namespace = Namespace::new()?;
    namespace.sh("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")?;
    veth((middle, device), (&namespace, "under"), 1500)?;
    middle.sh(&format!("ethtool -K {device} tx off"))?;
    namespace.sh("ethtool -K under tx off")?;
    let ovs = OpenVswitch::start(&namespace)?;
    ovs.vsctl("add-br br -- set bridge br datapath_type=netdev fail-mode=secure")?;
    Ok((ovs, namespace))
}

fn moves() -> Verdict {
    let world = World::build()?;
    let note = told(goes_on(&world), &world.gateway)?;
    world.gateway.stop()?;
    Ok(note)
}

fn goes_on(world: &World) -> Verdict {
    world.plug_in_at_leaf()?;
    settle(&world.machine, "10.1.0.9")?;
    for device in ["leaf", "switch", "far"] {
        world.listen(&world.middle, device, device, "udp port 4789 or proto 47")?;
    }
    world.listen(&world.middle, "handoff", "handoff", "")?;
    world.listen(&world.machine, "tenant", "eth0", "")?;

    let talk = programs::beside("talk")?.display().to_string();
    world.server.background(&format!("{talk} watch 10.1.0.9 5401"))?;
    let (gap, way) = thread::scope(|scope| {
        let stream = scope.spawn(|| world.machine.sh(&format!("{talk} stream 10.1.0.9 5401 {STREAM}")));
        let way = world.travel();
        let gap = stream.join().unwrap_or_else(|_| Err(io::Error::other("the stream's thread is gone")));
        (gap, way)
    });
    way?;
    let gap = gap?;
    let gap: u32 = gap.trim().parse().map_err(io::Error::other)?;
    must(gap <= LONGEST_GAP, || format!("the stream was silent for {gap} ms"))?;

    for device in ["leaf", "switch", "far"] {
        must(world.seen(device, "")? > 10, || format!("nothing went over {device}"))?;
        // Of an Ethernet frame a filter sees the outer addresses.
        let tenants = world.seen(device, &format!("ether host {MAC} or ether host {SERVER_MAC}"))?;
        must(tenants == 0, || format!("{tenants} frames on {device} show a tenant's MAC address"))?;
    }
    must(world.seen("handoff", "")? > 10, || "nothing went over the hand-off".to_owned())?;
    for place in ["tenant", "handoff"] {
        let filter = "net 192.0.2.0/24 or net 203.0.113.0/24 or net fd00:9::/64";
        let underlay = world.seen(place, filter)?;
        must(underlay == 0, || format!("{underlay} frames at the {place} show an underlay address"))?;
    }
    Ok(format!("longest silence of the stream over three moves: {gap} ms"))
}
