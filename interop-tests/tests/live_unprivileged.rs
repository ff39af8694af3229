//! Whole Linux kernels on every side and no privilege at all: every port is a Unix socket.

use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::world::{SITES, Site};
use transload_interop_tests::{Gateway, Host, need};

const VXLAN: Site = Site { name: "vxlan", number: 2 };
const GRE: Site = Site { name: "gre", number: 3 };
const ACCESS: Site = Site { name: "access", number: 4 };

fn file() -> String {
    format!(
        r"
version: 1
ports:
  {}
  {}
  {}
endpoints:
  sites: {{ address: 198.51.100.1, ports: [vxlan, gre] }}
peers:
  vxlan: {{ address: {}, encap: vxlan }}
  gre: {{ address: {}, encap: gre }}
tenants:
  blue:
    attachments:
      vxlan: {{ peer: vxlan, vni: 100 }}
      gre: {{ peer: gre, key: 7 }}
      ce: {{ port: access, s_vid: 100, c_vid: 7 }}
",
        VXLAN.port(),
        GRE.port(),
        ACCESS.tagged_port(),
        VXLAN.address(),
        GRE.address(),
    )
}

#[test]
fn three_kernels_meet_without_privilege() {
    need!(uml, ip, ping);
    let gateway = Gateway::start_here(&file()).unwrap();
    let [vxlan, gre, access] = [VXLAN, GRE, ACCESS].map(|site| site.boot(&gateway).unwrap());
    vxlan
        .sh(&format!(
            "ip link add t0 type vxlan id 100 local {} remote {SITES} dstport 4789 dev vec0; \
             ip addr add 10.1.0.1/24 dev t0; ip link set t0 up",
            VXLAN.address()
        ))
        .unwrap();
    gre.sh(&format!("{}; ip addr add 10.1.0.2/24 dev t0; ip link set t0 up", GRE.gretap("t0", "key 7"))).unwrap();
    access
        .sh("ip link add link vec0 name s100 type vlan protocol 802.1ad id 100; ip link set s100 up; \
             ip link add link s100 name t0 type vlan id 7; ip addr add 10.1.0.3/24 dev t0; ip link set t0 up")
        .unwrap();

    let hosts: [(&dyn Host, &str); 3] = [(&vxlan, "10.1.0.1"), (&gre, "10.1.0.2"), (&access, "10.1.0.3")];
    for (from, _) in hosts {
        for (_, to) in hosts {
            settle(from, to).unwrap();
            ping(from, to, 1400).unwrap();
        }
    }
    transfer(&vxlan, &access, "10.1.0.3", 2).unwrap();
    transfer(&gre, &vxlan, "10.1.0.1", 2).unwrap();
    drop((vxlan, gre, access));
    gateway.stop().unwrap();
}
