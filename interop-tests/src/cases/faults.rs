//! What goes wrong around the gateway, and how tenants come out of it.

use std::time::{Duration, Instant};

use super::{Case, Cells, Scope};
use crate::bench::{Bench, Encap, Site, Stack, Tenant};
use crate::outcome::{Stop, Verdict, not_run};
use crate::traffic::{ping, settle, transfer};

pub(super) const UNDERLAY: Case = Case {
    name: "loss-reorder-duplication",
    says: "Where the underlay loses, delays, reorders and duplicates packets (netem in front of a Linux as a process: \
           2 % lost, 2 % twice, 10 % overtaken), tenants' TCP still moves a megabyte whole, and afterwards all is well.",
    standard: "RFC 9293; RFC 2890 §2.2",
    scope: Scope::Bench(underlay),
};

fn underlay(bench: &mut Bench, cells: &mut Cells) {
    let affected: Vec<_> = bench.sites().iter().filter(|site| site.stack == Stack::Uml).cloned().collect();
    if affected.is_empty() {
        return cells.put("uml", not_run("needs a Linux as a process: its netem"));
    }
    for site in affected.iter().filter(|site| !matches!(site.encap, Encap::Vlan)) {
        let Some(partner) = bench.sites().iter().rev().find(|other| other.stack != Stack::Uml) else {
            return cells.put("uml", not_run("needs a site of another stack at the other end"));
        };
        cells.between(site, partner, recovers(bench, site, partner));
    }
}

fn recovers(bench: &Bench, site: &Site, partner: &Site) -> Verdict {
    let under = bench.machine(site.stack).under();
    let (here, there) = (bench.host(site, Tenant::Blue), bench.host(partner, Tenant::Blue));
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
    scope: Scope::Bench(peer),
};

fn peer(bench: &mut Bench, cells: &mut Cells) {
    let stacks = bench.stacks();
    if stacks.len() < 2 {
        return cells.put("anywhere", not_run("needs two peer stacks"));
    }
    for stack in stacks {
        let gone: Vec<_> = bench.sites().iter().filter(|site| site.stack == stack).cloned().collect();
        let others: Vec<_> = bench.sites().iter().filter(|site| site.stack != stack).cloned().collect();
        bench.remove_peer(stack);
        if let [first, .., last] = others.as_slice() {
            cells.between(first, last, goes_on(bench, first, last));
        }
        let back = bench.restart_peer(stack);
        for site in gone {
            let heard = || settle(&*bench.host(&site, Tenant::Blue), &others[0].v4()).map_err(Stop::from);
            match &back {
                Ok(()) => cells.between(&site, &others[0], heard().map(|()| String::new())),
                Err(why) => cells.at(&site, Err(Stop::Failed(format!("it does not come back: {why}")))),
            }
        }
    }
}

fn goes_on(bench: &Bench, from: &Site, to: &Site) -> Verdict {
    settle(&*bench.host(from, Tenant::Blue), &to.v4())?;
    ping(&*bench.host(from, Tenant::Blue), &to.v4(), 1000)?;
    Ok("while another peer was away".to_owned())
}

pub(super) const GATEWAY: Case = Case {
    name: "gateway-restarts",
    says: "A gateway that ends and starts again carries every tenant again, though nobody tells the hosts.",
    standard: "RFC 7348 §4.1",
    scope: Scope::Bench(gateway),
};

fn gateway(bench: &mut Bench, cells: &mut Cells) {
    let start = Instant::now();
    if let Err(why) = bench.restart_gateway("") {
        return cells.put("gateway", Err(why.into()));
    }
    for site in bench.sites().to_vec() {
        let Some(partner) = bench.sites().iter().find(|other| other.stack != site.stack).cloned() else {
            cells.at(&site, not_run("needs two peer stacks"));
            continue;
        };
        cells.between(&site, &partner, carries_again(bench, &site, &partner, start));
    }
}

fn carries_again(bench: &Bench, site: &Site, partner: &Site, start: Instant) -> Verdict {
    settle(&*bench.host(site, Tenant::Blue), &partner.v4())?;
    Ok(format!("{:.1} s after it was asked to end", start.elapsed().as_secs_f64()))
}

pub(super) const AGEING: Case = Case {
    name: "ageing",
    says: "A host that is silent for the ageing time is forgotten, and found again when it speaks.",
    standard: "IEEE 802.1Q §8.8.3",
    scope: Scope::Bench(ageing),
};

const AGE: Duration = Duration::from_secs(3);

fn ageing(bench: &mut Bench, cells: &mut Cells) {
    let options = format!("ageing: {}s", AGE.as_secs());
    if let Err(why) = bench.restart_gateway(&options) {
        return cells.put("gateway", Err(why.into()));
    }
    let sites = bench.sites().to_vec();
    for site in &sites {
        let Some(partner) = sites.iter().find(|other| other.stack != site.stack) else {
            cells.at(site, not_run("needs two peer stacks"));
            continue;
        };
        cells.at(site, is_forgotten(bench, site, partner));
    }
    if let Err(why) = bench.restart_gateway("") {
        cells.put("gateway", Err(why.into()));
    }
}

fn is_forgotten(bench: &Bench, site: &Site, partner: &Site) -> Verdict {
    let host = bench.host(site, Tenant::Blue);
    let is_known = || -> Result<bool, Stop> { Ok(bench.gateway()?.show("fdb")?.to_string().contains(&site.mac())) };
    settle(&*host, &partner.v4())?;
    let red = bench.host(site, Tenant::Red);
    let silence = "ip link set t0 down";
    let voice = "ip link set t0 up; ip addr replace";
    crate::outcome::must(is_known()?, || format!("{} is not in the FDB", site.mac()))?;
    host.sh(silence)?;
    red.sh(silence)?;
    let end = Instant::now() + AGE * 5;
    while is_known()? {
        if Instant::now() > end {
            return Err(Stop::Failed(format!("{} is still known {:?} later", site.mac(), AGE * 5)));
        }
        crate::interrupt::pause(Duration::from_millis(100))?;
    }
    for host in [&host, &red] {
        host.sh(&format!("{voice} {}/64 dev t0 nodad; ip route replace 224.0.0.0/4 dev t0", site.v6()))?;
    }
    settle(&*host, &partner.v4())?;
    crate::outcome::must(is_known()?, || format!("{} is not found again", site.mac()))?;
    Ok(format!("after {} s", AGE.as_secs()))
}
