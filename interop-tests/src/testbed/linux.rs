//! A Linux as a peer: how its tunnels are made. The running kernel and User-Mode Linux are told the same.

use super::site::{Encap, Site, Tenant, Underlay};

/// The name of the tunnel device of a tenant's host, before it moves to the host.
pub(super) fn device(site: &Site, tenant: Tenant) -> String {
    format!("{}{}", if tenant == Tenant::Blue { "b" } else { "r" }, site.number)
}

/// The line that makes it, on the machine whose cable is `cable`.
pub(super) fn tunnel(site: &Site, tenant: Tenant, cable: &str) -> String {
    let (name, id) = (device(site, tenant), site.id(tenant));
    let (gateway, own) = (&site.addresses.0, &site.addresses.1);
    let gretap = if site.underlay == Underlay::V6 { "ip6gretap" } else { "gretap" };
    let gre = |options: &str| format!("ip link add {name} type {gretap} local {own} remote {gateway} {options}");
    match site.encap {
        Encap::Vxlan => {
            // Told of its cable it takes a fitting MTU; untold, the kernel would send fragments.
            format!("ip link add {name} type vxlan id {id} local {own} remote {gateway} dev {cable} dstport 4789")
        }
        Encap::Gre => gre(&format!("key {id}")),
        Encap::GreChecked => gre(&format!("key {id} csum seq")),
        Encap::NvgreZero | Encap::Nvgre => {
            // Left alone, Linux puts a destination option of 8 bytes into every packet over IPv6; `gre6` is left alone.
            let plain = if site.underlay == Underlay::V6 { " encaplimit none" } else { "" };
            gre(&format!("key {}{plain}", id << 8))
        }
        Encap::QinQ => {
            let s_vid = site.s_vid();
            format!(
                "{{ ip link show s{s_vid} >/dev/null 2>&1 || \
                 {{ ip link add link {cable} name s{s_vid} type vlan protocol 802.1ad id {s_vid} && \
                 ip link set s{s_vid} up; }}; }} && ip link add link s{s_vid} name {name} type vlan id {id}"
            )
        }
        Encap::Vlan => format!("ip link add link {cable} name {name} type vlan id {id}"),
    }
}

/// The line that gives the machine its address for a site.
pub(super) fn underlay(site: &Site, cable: &str) -> Option<String> {
    let own = &site.addresses.1;
    match site.underlay {
        Underlay::V4 => Some(format!("ip addr add {own}/24 dev {cable}")),
        // Duplicate address detection would keep the address from being used for a second or two.
        Underlay::V6 => Some(format!("ip addr add {own}/64 dev {cable} nodad")),
        Underlay::Cable => None,
    }
}
