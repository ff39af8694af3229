//! Whole Linux kernels on every side and no privilege at all: every port is a Unix socket.

use transload_interop_tests::peers::Uml;
use transload_interop_tests::traffic::{is_silent, ping, settle, transfer};
use transload_interop_tests::world::{SITES, Site};
use transload_lab::{Gateway, Host, need};

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

/// Three kernels on the way to the same tenant.
struct World {
    vxlan: Uml,
    gre: Uml,
    access: Uml,
    gateway: Gateway,
}

fn world() -> World {
    let gateway = Gateway::start_unprivileged(&file()).unwrap();
    let vxlan = VXLAN.boot(&gateway).unwrap();
    let device = format!("vxlan id 100 local {} remote {SITES} dstport 4789 dev vec0", VXLAN.address());
    tenant(&vxlan, &format!("ip link add t0 type {device}"), 1);
    let gre = gre(&gateway);
    let access = ACCESS.boot(&gateway).unwrap();
    let tags = "ip link add link vec0 name s100 type vlan protocol 802.1ad id 100; ip link set s100 up; \
                ip link add link s100 name t0 type vlan id 7";
    tenant(&access, tags, 3);
    World { vxlan, gre, access, gateway }
}

fn gre(gateway: &Gateway) -> Uml {
    let site = GRE.boot(gateway).unwrap();
    tenant(&site, &GRE.gretap("t0", "key 7"), 2);
    site
}

/// Gives a kernel its place in the tenant's network, on the device `t0` that these lines make.
fn tenant(site: &Uml, lines: &str, place: u8) {
    site.sh(&format!("{lines}; ip addr add 10.1.0.{place}/24 dev t0; ip link set t0 up")).unwrap();
}

#[test]
fn three_kernels_meet_without_privilege() {
    need!(uml, ip, ping);
    let World { vxlan, gre, access, gateway } = world();
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

#[test]
fn a_kernel_that_goes_away_takes_only_itself_along_and_is_heard_when_it_comes_back() {
    need!(uml, ip, ping);
    let World { vxlan, gre: gone, access, gateway } = world();
    settle(&vxlan, "10.1.0.2").unwrap();
    settle(&vxlan, "10.1.0.3").unwrap();
    drop(gone);
    assert!(is_silent(&vxlan, "10.1.0.2"));
    ping(&vxlan, "10.1.0.3", 1400).unwrap();
    ping(&access, "10.1.0.1", 1400).unwrap();

    let back = gre(&gateway);
    settle(&back, "10.1.0.1").unwrap();
    drop((vxlan, back, access));
    gateway.stop().unwrap();
}
