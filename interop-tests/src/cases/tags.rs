//! VLAN tags inside the tenant's frames.

use super::{Case, Cells, Scope};
use crate::outcome::{Verdict, must, not_run, passed};
use crate::testbed::{Encap, Family, Site, Stack, Tenant, Testbed};
use crate::traffic::{is_silent, settle};

pub(super) const INSIDE: Case = Case {
    name: "tags-inside",
    says: "Hosts that tag their frames reach each other under the tag through VXLAN, GRE and stacked tags; through \
           NVGRE, which must not carry one, and a VID that is the only tag, they do not (between tunnels of User-Mode \
           Linux, which has VLAN devices).",
    standard: "RFC 7348 §6.1; RFC 7637 §3.3",
    scope: Scope::Testbed(inside),
};

fn inside(testbed: &mut Testbed, cells: &mut Cells) {
    let sites: Vec<_> = testbed.sites().iter().filter(|site| site.stack == Stack::Uml).cloned().collect();
    let [first, others @ ..] = sites.as_slice() else {
        return cells.put("uml", not_run("needs User-Mode Linux: its VLAN devices"));
    };
    for site in others {
        cells.between(first, site, under_a_tag(testbed, first, site));
    }
}

fn under_a_tag(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    for site in [from, to] {
        testbed.host(site, Tenant::Blue).sh(&format!(
            "ip link show t0.5 > /dev/null 2>&1 || {{ ip link add link t0 name t0.5 mtu 1300 type vlan id 5 && \
             ip addr add 10.5.0.{}/24 dev t0.5 && ip link set t0.5 up; }}",
            site.number
        ))?;
    }
    let (host, address) = (testbed.host(from, Tenant::Blue), format!("10.5.0.{}", to.number));
    if to.family() == Family::Nvgre || to.encap == Encap::Vlan {
        must(is_silent(&*host, &address), || format!("{address} is reached with a tag inside"))?;
        return Ok("kept out".to_owned());
    }
    settle(&*host, &address)?;
    passed()
}
