//! Hosts that fall silent.

use std::time::{Duration, Instant};

use transload_lab::interrupt;

use super::{Case, Cells, Scope};
use crate::outcome::{Stop, must, not_run};
use crate::testbed::{Encap, Site, Tenant, Testbed};
use crate::traffic::settle;

pub(super) const AGEING: Case = Case {
    name: "ageing",
    says: "A host that is silent for the ageing time (here 3 s) is forgotten, and found again when it speaks.",
    standard: "IEEE 802.1Q §8.8.3",
    scope: Scope::Testbed(ageing),
};

const AGE: Duration = Duration::from_secs(3);
/// Ages are looked at in turns, and hosts that were told to be silent may still finish a word.
const PATIENCE: Duration = Duration::from_secs(20);

fn ageing(testbed: &mut Testbed, cells: &mut Cells) {
    let options = format!("ageing: {}s", AGE.as_secs());
    let told = testbed.restart_gateway(&options).map_err(Stop::from).and_then(|()| all_fall_silent(testbed, cells));
    if let Err(stop) = told {
        cells.put("gateway", Err(stop));
    }
    if let Err(why) = testbed.restart_gateway("") {
        cells.put("gateway", Err(why.into()));
    }
}

fn all_fall_silent(testbed: &Testbed, cells: &mut Cells) -> Result<(), Stop> {
    let sites = testbed.sites();
    let [first, .., last] = sites else { return not_run("needs two sites") };
    for site in sites {
        if site.encap == Encap::GreChecked {
            testbed.catch_up(site)?;
        }
        let other = if site.number == first.number { last } else { first };
        settle(&*testbed.host(site, Tenant::Blue), &other.v4())?;
        must(is_known(testbed, site), || format!("{site} spoke and is not in the FDB"))?;
    }
    for (site, tenant) in sites.iter().flat_map(|site| Tenant::ALL.map(|tenant| (site, tenant))) {
        testbed.host(site, tenant).sh("ip link set t0 down")?;
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && sites.iter().any(|site| is_known(testbed, site)) {
        interrupt::pause(Duration::from_millis(250))?;
    }
    let forgotten: Vec<_> = sites.iter().map(|site| !is_known(testbed, site)).collect();
    for (site, tenant) in sites.iter().flat_map(|site| Tenant::ALL.map(|tenant| (site, tenant))) {
        // What goes with a device that is down.
        testbed.host(site, tenant).sh(&format!(
            "ip link set t0 up && ip addr replace {}/64 dev t0 nodad && ip route replace 224.0.0.0/4 dev t0",
            site.v6()
        ))?;
    }
    for (site, is_forgotten) in sites.iter().zip(forgotten) {
        let other = if site.number == first.number { last } else { first };
        let verdict = must(is_forgotten, || format!("still known {} s after it fell silent", PATIENCE.as_secs()))
            .and_then(|()| Ok(settle(&*testbed.host(site, Tenant::Blue), &other.v4())?))
            .and_then(|()| must(is_known(testbed, site), || "not found again".to_owned()));
        cells.at(site, verdict.map(|()| String::new()));
    }
    Ok(())
}

fn is_known(testbed: &Testbed, site: &Site) -> bool {
    let fdb = testbed.gateway().and_then(|gateway| gateway.show("fdb"));
    fdb.is_ok_and(|fdb| fdb.to_string().contains(&site.mac()))
}
