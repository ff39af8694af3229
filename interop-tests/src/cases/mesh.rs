//! Sites that are meshed among themselves: the gateway must not repeat one's frame to another.

use std::io;
use std::time::Duration;

use transload_lab::{Gateway, Host, Namespace, interrupt, programs, skip, veth};

use super::{Case, Cells, Scope};
use crate::drops::told;
use crate::outcome::{Verdict, must, not_run, passed};
use crate::testbed::Stack;
use crate::traffic::{ping, settle};
use crate::world::Leaf;

pub(super) const MESH: Case = Case {
    name: "split-horizon",
    says: "Three leafs that flood to each other and to the gateway, and a fourth place behind it: a broadcast of anyone \
           reaches everyone once, so the gateway never gives a leaf's frame to another leaf.",
    standard: "RFC 8365 §8.3.1 (split horizon); RFC 7637 §4.3",
    scope: Scope::World(mesh),
};

const OUTSIDE: Leaf<'_> = Leaf { device: "out", gateway: "198.51.100.1", address: "198.51.100.4", mtu: 1500 };
const COUNT: u32 = 3;
const FILE: &str = "
version: 1
ports:
  fabric: { device: fabric }
  out: { device: out }
endpoints:
  fabric: { address: 192.0.2.1, ports: [fabric] }
  outside: { address: 198.51.100.1, ports: [out] }
peers:
  outside: { address: 198.51.100.4, endpoint: outside, encap: vxlan }
groups:
  leafs: { encap: vxlan, endpoint: fabric, members: [192.0.2.11-192.0.2.13] }
tenants:
  blue:
    attachments:
      leafs: { group: leafs, vni: 100 }
      outside: { peer: outside, vni: 400 }
";

fn mesh(cells: &mut Cells) {
    let needs = [skip::root, skip::ip, skip::ping, skip::vxlan, skip::tcpdump];
    if let Some(missing) = needs.iter().find_map(|need| need().err()) {
        return cells.put("three leafs of the running kernel", not_run(format!("needs {missing}")));
    }
    cells.among(&[Stack::Kernel], "three leafs of the running kernel", everyone_once());
}

/// A leaf whose VXLAN device floods to the gateway and to the other two.
fn leaf(fabric: &Namespace, number: u8) -> io::Result<Namespace> {
    let leaf = Namespace::new()?;
    let port = format!("leaf{number}");
    veth((fabric, &port), (&leaf, "eth0"), 1500)?;
    fabric.sh(&format!("ip link set {port} master br0"))?;
    leaf.sh(&format!(
        "ip addr add 192.0.2.1{number}/24 dev eth0
         ip link add t0 type vxlan id 100 local 192.0.2.1{number} dev eth0 dstport 4789
         ip addr add 10.1.0.{number}/24 dev t0; ip link set t0 up"
    ))?;
    for far in ["192.0.2.1", "192.0.2.11", "192.0.2.12", "192.0.2.13"] {
        if far != format!("192.0.2.1{number}") {
            leaf.sh(&format!("bridge fdb append 00:00:00:00:00:00 dev t0 dst {far}"))?;
        }
    }
    Ok(leaf)
}

fn everyone_once() -> Verdict {
    let [middle, fabric] = [Namespace::new()?, Namespace::new()?];
    fabric.sh("ip link add br0 type bridge; ip link set br0 up")?;
    veth((&middle, "fabric"), (&fabric, "gw"), 1500)?;
    fabric.sh("ip link set gw master br0")?;
    middle.sh("ip addr add 192.0.2.1/24 dev fabric")?;
    let mut hosts = (1..=3).map(|number| leaf(&fabric, number)).collect::<io::Result<Vec<_>>>()?;
    let outside = OUTSIDE.build(&middle)?;
    outside.sh(&format!("{}; ip addr add 10.1.0.4/24 dev t0; ip link set t0 up", OUTSIDE.vxlan("t0", 400)))?;
    hosts.push(outside);
    let gateway = Gateway::start(&middle, FILE)?;
    told(hears_once(&hosts), &gateway)?;
    gateway.stop()?;
    passed()
}

fn hears_once(hosts: &[Namespace]) -> Verdict {
    for from in hosts {
        for to in 1..=4 {
            settle(from, &format!("10.1.0.{to}"))?;
        }
    }
    let captures = tempfile::tempdir()?;
    let file = |at: usize| captures.path().join(at.to_string()).display().to_string();
    for (at, host) in hosts.iter().enumerate() {
        let file = file(at);
        host.background(&format!(
            "timeout 60 tcpdump -i t0 -n -p -Q in -U --immediate-mode -Z root -w {file} udp dst port 7403"
        ))?;
        host.sh(&format!("for i in $(seq 100); do test -s {file} && exit 0; sleep 0.1; done; exit 1"))?;
    }
    let talk = programs::beside("talk")?.display().to_string();
    for (at, host) in hosts.iter().enumerate() {
        host.sh(&format!("{talk} shout 10.1.0.{} 10.1.0.255 7403 {COUNT}", at + 1))?;
    }
    let of = |at: usize, from: usize| format!("tcpdump -n -r {} src host 10.1.0.{from} 2>/dev/null | wc -l", file(at));
    let pairs =
        || (0..hosts.len()).flat_map(|at| (1..=4).filter(move |from| *from != at + 1).map(move |from| (at, from)));
    for (at, from) in pairs() {
        let line = of(at, from);
        hosts[at].sh(&format!("for i in $(seq 300); do [ $({line}) -ge {COUNT} ] && break; sleep 0.1; done"))?;
    }
    // One more than there should be may still be on its way.
    interrupt::pause(Duration::from_millis(500))?;
    for (at, host) in hosts.iter().enumerate() {
        for from in (1..=4).filter(|from| *from != at + 1) {
            let heard = host.sh(&of(at, from))?;
            must(heard.trim() == COUNT.to_string(), || {
                format!("host {} heard host {from} {} times instead of {COUNT}", at + 1, heard.trim())
            })?;
        }
    }
    ping(&hosts[3], "10.1.0.1", 1000)?;
    passed()
}
