//! What tenants move: TCP whose every byte is checked, and datagrams in both directions.

use std::time::Instant;

use transload_lab::programs;

use super::{Case, Cells, Scope};
use crate::outcome::{Verdict, passed};
use crate::testbed::{Site, Stack, Tenant, Testbed};
use crate::traffic::{settle, transfer};

pub(super) const TCP: Case = Case {
    name: "tcp",
    says: "TCP moves megabytes each way, over IPv4 and IPv6, and every byte arrives: 1 where User-Mode Linux is \
           at an end (it does a few thousand packets a second), 10 elsewhere.",
    standard: "RFC 9293",
    scope: Scope::Sites(moves),
};

fn moves(testbed: &Testbed, site: &Site, partner: &Site) -> Verdict {
    let is_slow = [site, partner].iter().any(|site| site.stack == Stack::Uml);
    both_ways(testbed, site, partner, if is_slow { 1 } else { 10 })
}

pub(super) const HUNDRED: Case = Case {
    name: "tcp-100-megabytes",
    says: "TCP moves 100 megabytes each way with all offloads on at both ends, which arrive as super-frames with \
           unfinished checksums; between tunnels of the running kernel.",
    standard: "RFC 9293",
    scope: Scope::Testbed(hundred),
};

fn hundred(testbed: &mut Testbed, cells: &mut Cells) {
    let kernel: Vec<_> = testbed.sites().iter().filter(|site| site.stack == Stack::Kernel).cloned().collect();
    for pair in kernel.windows(2) {
        cells.between(&pair[0], &pair[1], both_ways(testbed, &pair[0], &pair[1], 100));
    }
}

fn both_ways(testbed: &Testbed, site: &Site, partner: &Site, megabytes: u32) -> Verdict {
    let start = Instant::now();
    let (here, there) = (testbed.host(site, Tenant::Blue), testbed.host(partner, Tenant::Blue));
    settle(&*here, &partner.v4())?;
    transfer(&*here, &*there, &partner.v4(), megabytes)?;
    settle(&*there, &site.v6())?;
    transfer(&*there, &*here, &site.v6(), megabytes)?;
    Ok(format!("{megabytes} MB each way in {:.1} s", start.elapsed().as_secs_f64()))
}

pub(super) const UDP: Case = Case {
    name: "udp",
    says: "Datagrams of 4 to 1000 bytes are asked and answered one by one: each answer is what was asked.",
    standard: "RFC 768",
    scope: Scope::Sites(datagrams),
};

fn datagrams(testbed: &Testbed, site: &Site, partner: &Site) -> Verdict {
    let talk = programs::beside("talk")?.display().to_string();
    let (here, there) = (testbed.host(site, Tenant::Blue), testbed.host(partner, Tenant::Blue));
    settle(&*here, &partner.v4())?;
    // Of the site's own, since several have the same partner.
    let port = 5300 + u16::from(site.number);
    there.background(&format!("timeout 60 {talk} echo {} {port}", partner.v4()))?;
    let again = here.sh(&format!("{talk} ask {} {port} 100", partner.v4()))?;
    if again.trim() == "0" { passed() } else { Ok(format!("{} asked again", again.trim())) }
}
