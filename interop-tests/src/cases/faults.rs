//! What goes wrong around the gateway, and how tenants come out of it.

use std::time::Instant;

use super::{Case, Cells, Scope};
use crate::outcome::{Stop, Verdict, not_run};
use crate::testbed::{Encap, Site, Stack, Tenant, Testbed};
use crate::traffic::{ping, settle, transfer};

pub(super) const UNDERLAY: Case = Case {
    name: "loss-reorder-duplication",
    says: "Where the underlay loses, delays, reorders and duplicates packets (netem in front of User-Mode Linux: \
           2 % lost, 2 % twice, 10 % overtaken), tenants' TCP still moves a megabyte whole, and afterwards all is well.",
    standard: "RFC 9293; RFC 2890 §2.2",
    scope: Scope::Testbed(underlay),
};

fn underlay(testbed: &mut Testbed, cells: &mut Cells) {
    let affected: Vec<_> = testbed.sites().iter().filter(|site| site.stack == Stack::Uml).cloned().collect();
    if affected.is_empty() {
        return cells.put("uml", not_run("needs User-Mode Linux: its netem"));
    }
    for site in affected.iter().filter(|site| !matches!(site.encap, Encap::Vlan)) {
        let Some(partner) = testbed.sites().iter().rev().find(|other| other.stack != Stack::Uml) else {
            return cells.put("uml", not_run("needs a site of another stack at the other end"));
        };
        cells.between(site, partner, recovers(testbed, site, partner));
    }
}

fn recovers(testbed: &Testbed, site: &Site, partner: &Site) -> Verdict {
    let under = testbed.machine(site.stack).under();
    let (here, there) = (testbed.host(site, Tenant::Blue), testbed.host(partner, Tenant::Blue));
    settle(&*here, &partner.v4())?;
    under.sh("tc qdisc replace dev vec0 root netem delay 2ms reorder 90% 50% loss 2% duplicate 2%")?;
    let moved = transfer(&*here, &*there, &partner.v4(), 1);
    under.sh("tc qdisc del dev vec0 root")?;
    moved?;
    ping(&*here, &partner.v4(), 1000)?;
    Ok("1 MB whole".to_owned())
}

pub(super) const PEER: Case = Case {
    name: "peer-restarts",
    says: "A peer that goes away takes only its own hosts along: the others go on meanwhile; when it is back, with \
           other MAC addresses and from sequence number 0, it is heard.",
    standard: "RFC 2890 §2.2; RFC 7348 §4.1",
    scope: Scope::Testbed(peer),
};

fn peer(testbed: &mut Testbed, cells: &mut Cells) {
    let stacks = testbed.stacks();
    if stacks.len() < 2 {
        return cells.put("anywhere", not_run("needs two peer stacks"));
    }
    // Nobody here can restart an endpoint that is somebody's own.
    for stack in stacks.into_iter().filter(|&stack| stack != Stack::External) {
        let gone: Vec<_> = testbed.sites().iter().filter(|site| site.stack == stack).cloned().collect();
        // One that has not come back is away.
        let others = testbed.sites().iter().filter(|site| site.stack != stack && testbed.has(site.stack));
        let others: Vec<_> = others.cloned().collect();
        testbed.remove_peer(stack);
        if let [first, .., last] = others.as_slice() {
            cells.between(first, last, goes_on(testbed, first, last));
        }
        let back = testbed.restart_peer(stack);
        for site in gone {
            let Some(other) = others.first() else {
                cells.at(&site, not_run("needs a site of another stack, and none is there"));
                continue;
            };
            let heard = || settle(&*testbed.host(&site, Tenant::Blue), &other.v4()).map_err(Stop::from);
            match &back {
                Ok(()) => cells.between(&site, other, heard().map(|()| String::new())),
                Err(why) => cells.at(&site, Err(Stop::Failed(format!("it does not come back: {why}")))),
            }
        }
    }
}

fn goes_on(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    settle(&*testbed.host(from, Tenant::Blue), &to.v4())?;
    ping(&*testbed.host(from, Tenant::Blue), &to.v4(), 1000)?;
    Ok("while another peer was away".to_owned())
}

pub(super) const GATEWAY: Case = Case {
    name: "gateway-restarts",
    says: "A gateway that ends and starts again carries every tenant again, though nobody tells the hosts.",
    standard: "RFC 7348 §4.1",
    scope: Scope::Testbed(gateway),
};

fn gateway(testbed: &mut Testbed, cells: &mut Cells) {
    let start = Instant::now();
    if let Err(why) = testbed.restart_gateway("") {
        return cells.put("gateway", Err(why.into()));
    }
    for site in testbed.sites().to_vec() {
        let Some(partner) = testbed.sites().iter().find(|other| other.stack != site.stack).cloned() else {
            cells.at(&site, not_run("needs two peer stacks"));
            continue;
        };
        cells.between(&site, &partner, carries_again(testbed, &site, &partner, start));
    }
}

fn carries_again(testbed: &Testbed, site: &Site, partner: &Site, start: Instant) -> Verdict {
    if site.encap == Encap::GreChecked {
        // RFC 2890 §2.2: the gateway starts from 0 again, and the peer takes that for late packets.
        testbed.catch_up(site)?;
        settle(&*testbed.host(site, Tenant::Blue), &partner.v4())?;
        return Ok("once the sequence numbers had caught up: until then Linux takes them for late ones".to_owned());
    }
    settle(&*testbed.host(site, Tenant::Blue), &partner.v4())?;
    Ok(format!("{:.1} s after it was asked to end", start.elapsed().as_secs_f64()))
}
