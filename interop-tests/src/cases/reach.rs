//! Hosts find each other, and whatever fits gets through.

use super::{Case, Scope};
use crate::outcome::{Verdict, must, passed};
use crate::testbed::{Site, Tenant, Testbed};
use crate::traffic::{ping, settle};

pub(super) const PING: Case = Case {
    name: "arp-and-ping",
    says: "Every host finds every other by ARP, across encapsulations, and is answered from the other's own MAC address.",
    standard: "RFC 826; RFC 7348 §4.1",
    scope: Scope::Pairs(find),
};

fn find(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    let host = testbed.host(from, Tenant::Blue);
    let address = to.v4();
    // What an earlier pair taught is forgotten: the request goes out as a broadcast.
    let line = format!("ip neigh flush to {address} dev t0; ping -n -q -c 1 -W 1 {address} > /dev/null");
    if host.sh(&line).is_err() {
        settle(&*host, &address)?;
    }
    let neighbour = host.sh(&format!("ip neigh show {address} dev t0"))?;
    must(neighbour.contains(&to.mac()), || format!("{address} is not at {}: {neighbour}", to.mac()))?;
    passed()
}

pub(super) const NEIGHBOUR_DISCOVERY: Case = Case {
    name: "neighbour-discovery",
    says: "IPv6 hosts find each other by multicast neighbour solicitations, and ping with full packets.",
    standard: "RFC 4861 §7.2",
    scope: Scope::Sites(discover),
};

fn discover(testbed: &Testbed, site: &Site, partner: &Site) -> Verdict {
    let host = testbed.host(site, Tenant::Blue);
    host.sh("ip -6 neigh flush dev t0")?;
    settle(&*host, &partner.v6())?;
    ping(&*host, &partner.v6(), budget(site, partner))?;
    passed()
}

pub(super) const PAYLOADS: Case = Case {
    name: "payloads",
    says: "Pings of 1 byte up to the last byte that fits are answered, both ways, without a fragment.",
    standard: "RFC 7348 §4.3; IEEE 802.3 §3.2.8 (padding)",
    scope: Scope::Sites(every_length),
};

fn every_length(testbed: &Testbed, site: &Site, partner: &Site) -> Verdict {
    let full = budget(site, partner);
    let payload = full - 28;
    let sizes = format!("1 2 4 17 18 19 46 63 64 100 256 512 999 1000 1280 {} {payload}", payload - 1);
    for (from, to) in [(site, partner), (partner, site)] {
        let host = testbed.host(from, Tenant::Blue);
        settle(&*host, &to.v4())?;
        host.sh(&format!(
            "for size in {sizes}; do ping -n -q -M do -c 3 -i 0.01 -W 2 -s $size {} > /dev/null || \
             {{ echo $size bytes are not answered; exit 1; }}; done",
            to.v4()
        ))?;
    }
    Ok(format!("1 to {payload} bytes"))
}

/// Bytes of the longest IP packet that gets from one to the other.
pub(super) fn budget(site: &Site, partner: &Site) -> u16 {
    site.mtu().min(partner.mtu())
}
