//! Hosts that fall silent.

use std::io;
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
    let [first, .., last] = testbed.sites() else { return not_run("needs two sites") };
    let other = |site: &Site| if site.number == first.number { last } else { first };
    let mut known = Vec::new();
    for site in testbed.sites() {
        match speaks(testbed, site, other(site)) {
            Ok(()) => known.push(site),
            Err(stop) => cells.at(site, Err(stop)),
        }
    }
    let silenced: Vec<_> = known.iter().map(|site| (*site, Silence::of(testbed, site))).collect();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && known.iter().any(|site| is_known(testbed, site)) {
        interrupt::pause(Duration::from_millis(250))?;
    }
    let forgotten: Vec<_> = known.iter().map(|site| !is_known(testbed, site)).collect();
    // All have to speak again before one is asked.
    let ended: Vec<_> = silenced.into_iter().map(|(site, silence)| (site, silence.and_then(Silence::end))).collect();
    for ((site, ended), is_forgotten) in ended.into_iter().zip(forgotten) {
        let verdict = ended
            .map_err(Stop::from)
            .and_then(|()| must(is_forgotten, || format!("still known {} s after it fell silent", PATIENCE.as_secs())))
            .and_then(|()| Ok(settle(&*testbed.host(site, Tenant::Blue), &other(site).v4())?))
            .and_then(|()| must(is_known(testbed, site), || "not found again".to_owned()));
        cells.at(site, verdict.map(|()| String::new()));
    }
    Ok(())
}

fn speaks(testbed: &Testbed, site: &Site, other: &Site) -> Result<(), Stop> {
    if site.encap == Encap::GreChecked {
        testbed.catch_up(site)?;
    }
    settle(&*testbed.host(site, Tenant::Blue), &other.v4())?;
    must(is_known(testbed, site), || format!("{site} spoke and is not in the FDB"))
}

/// A site whose hosts say nothing; when it is dropped they speak again, whatever became of the case.
struct Silence<'t> {
    testbed: &'t Testbed,
    site: &'t Site,
}

impl<'t> Silence<'t> {
    fn of(testbed: &'t Testbed, site: &'t Site) -> io::Result<Self> {
        let silence = Self { testbed, site };
        silence.at_hosts("ip link set t0 down")?;
        Ok(silence)
    }

    fn end(self) -> io::Result<()> {
        self.speak()
    }

    fn speak(&self) -> io::Result<()> {
        // What goes with a device that is down.
        self.at_hosts(&format!(
            "ip link set t0 up && ip addr replace {}/64 dev t0 nodad && ip route replace 224.0.0.0/4 dev t0",
            self.site.v6()
        ))
    }

    fn at_hosts(&self, line: &str) -> io::Result<()> {
        Tenant::ALL.iter().try_for_each(|&tenant| self.testbed.host(self.site, tenant).sh(line).map(drop))
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Of a host that is out of reach, the next case is told.
        let _ = self.speak();
    }
}

fn is_known(testbed: &Testbed, site: &Site) -> bool {
    let fdb = testbed.gateway().and_then(|gateway| gateway.show("fdb"));
    fdb.is_ok_and(|fdb| fdb.to_string().contains(&site.mac()))
}
