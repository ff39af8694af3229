//! Frames for many: everyone gets them once, nobody twice, and no other tenant at all.

use std::time::Duration;

use transload_lab::{interrupt, programs, skip};

use super::listen::Listeners;
use super::{Case, Cells, Scope};
use crate::outcome::{Stop, Verdict, must, not_run, passed};
use crate::testbed::{Site, Tenant, Testbed};
use crate::traffic::{is_silent, ping, settle};

const COUNT: u32 = 3;
const BROADCAST: u16 = 7401;
const MULTICAST: u16 = 7402;
/// How long a flood may take to reach the last.
const SPREADING: Duration = Duration::from_secs(3);

pub(super) const ONCE: Case = Case {
    name: "flood-once",
    says: "A broadcast, and a multicast, of any host reaches every other host of its tenant exactly once and never \
           comes back.",
    standard: "RFC 7348 §4.2; RFC 7637 §4.3 (N-way unicast)",
    scope: Scope::Testbed(once),
};

fn once(testbed: &mut Testbed, cells: &mut Cells) {
    match shouts(testbed) {
        Ok((said, heard)) => {
            for (at, lines) in heard {
                for (from, said) in &said {
                    let verdict = said.clone().and_then(|()| heard_once(from, &at, &lines.clone()?));
                    cells.between(from, &at, verdict);
                }
            }
        }
        Err(stop) => cells.put("listening", Err(stop)),
    }
}

/// Whether a site could do its part, and what each host heard.
type Shouts = (Vec<(Site, Result<(), Stop>)>, Vec<(Site, Result<Vec<String>, Stop>)>);

const TO: [(&str, u16); 2] = [("10.1.0.255", BROADCAST), ("239.1.2.3", MULTICAST)];

/// One host of each stack speaks to everyone, in both ways.
fn shouts(testbed: &Testbed) -> Result<Shouts, Stop> {
    let ears = listen(testbed, Tenant::Blue, &format!("udp dst portrange {BROADCAST}-{MULTICAST}"))?;
    let talk = programs::beside("talk")?.display().to_string();
    let shout = |from: &Site| {
        let host = testbed.host(from, Tenant::Blue);
        TO.iter().try_for_each(|(to, port)| {
            host.sh(&format!("{talk} shout {} {to} {port} {COUNT}", from.v4())).map(drop).map_err(Stop::from)
        })
    };
    let said = senders(testbed).into_iter().map(|from| (from.clone(), shout(&from))).collect();
    interrupt::pause(SPREADING)?;
    Ok((said, ears.heard()))
}

fn heard_once(from: &Site, at: &Site, lines: &[String]) -> Verdict {
    let wanted = if at.number == from.number { 0 } else { COUNT as usize };
    for (to, port) in TO {
        let is_it =
            |line: &&String| line.contains(&format!("IP {}.", from.v4())) && line.contains(&format!("> {to}.{port}:"));
        let count = lines.iter().filter(is_it).count();
        must(count == wanted, || format!("{count} instead of {wanted} to {to} arrived"))?;
    }
    passed()
}

/// One site of each stack.
fn senders(testbed: &Testbed) -> Vec<Site> {
    let first = |stack| testbed.sites().iter().find(|site| site.stack == stack).cloned();
    testbed.stacks().into_iter().filter_map(first).collect()
}

fn listen<'b>(testbed: &'b Testbed, tenant: Tenant, filter: &str) -> Result<Listeners<'b>, Stop> {
    if let Err(missing) = skip::tcpdump() {
        return not_run(format!("needs {missing}"));
    }
    Ok(Listeners::start(testbed, tenant, testbed.sites(), filter)?)
}

pub(super) const ISOLATION: Case = Case {
    name: "isolation",
    says: "Nothing that one tenant says reaches a host of the other, which has the same addresses in the same places; \
           nor is an address of the one found by the other.",
    standard: "RFC 7348 §4; RFC 7637 §3",
    scope: Scope::Testbed(isolation),
};

fn isolation(testbed: &mut Testbed, cells: &mut Cells) {
    for (speaker, other) in [(Tenant::Blue, Tenant::Red), (Tenant::Red, Tenant::Blue)] {
        let said = (|| {
            let filter = format!("udp and dst port {BROADCAST} or host 10.1.0.200");
            let ears = listen(testbed, other, &filter)?;
            let talk = programs::beside("talk")?.display().to_string();
            for from in senders(testbed) {
                let host = testbed.host(&from, speaker);
                // Nobody has the second address: the request is a broadcast and stays one.
                let said = host
                    .sh(&format!("{talk} shout {} 10.1.0.255 {BROADCAST} {COUNT}", from.v4()))
                    .and_then(|_| host.sh("ping -n -q -c 1 -W 1 10.1.0.200 || true"));
                if let Err(why) = said {
                    cells.at(&from, Err(why.into()));
                }
            }
            interrupt::pause(SPREADING)?;
            Ok::<_, Stop>(ears.heard())
        })();
        match said {
            Ok(heard) => {
                for (at, lines) in heard {
                    let words =
                        |lines: &[String]| format!("{} heard {}: {}", other.name(), speaker.name(), lines.join("; "));
                    let verdict = lines.and_then(|lines| must(lines.is_empty(), || words(&lines)));
                    cells.at(&at, verdict.and_then(|()| passed()));
                }
            }
            Err(stop) => cells.put(speaker.name(), Err(stop)),
        }
    }
    for site in testbed.sites().to_vec() {
        cells.at(&site, own_only(testbed, &site));
    }
}

/// An address that only blue has at a site is answered to blue, and to red never.
fn own_only(testbed: &Testbed, site: &Site) -> Verdict {
    let Some(asker) = testbed.sites().iter().find(|other| other.number != site.number) else {
        return not_run("needs a second site");
    };
    let address = format!("10.1.1.{}", site.number);
    let host = testbed.host(site, Tenant::Blue);
    host.sh(&format!("ip addr replace {address}/32 dev t0"))?;
    for tenant in Tenant::ALL {
        testbed.host(asker, tenant).sh(&format!("ip route replace {address} dev t0"))?;
    }
    settle(&*testbed.host(asker, Tenant::Blue), &address)?;
    must(is_silent(&*testbed.host(asker, Tenant::Red), &address), || {
        format!("red at {asker} reaches blue's {address}")
    })?;
    passed()
}

pub(super) const LEARNING: Case = Case {
    name: "learning",
    says: "Once a host has spoken, what is said to it goes to its site alone: no third host sees it.",
    standard: "RFC 7348 §4.1; IEEE 802.1Q §8.7",
    scope: Scope::Testbed(learning),
};

fn learning(testbed: &mut Testbed, cells: &mut Cells) {
    let senders = senders(testbed);
    let pairs = senders.iter().zip(senders.iter().cycle().skip(1)).filter(|(a, b)| a.number != b.number);
    let pairs: Vec<_> = pairs.collect();
    let heard = (|| {
        let known = pairs.iter().filter(|(from, to)| {
            let found = settle(&*testbed.host(from, Tenant::Blue), &to.v4());
            let is_known = found.is_ok();
            if let Err(why) = found {
                cells.between(from, to, Err(why.into()));
            }
            is_known
        });
        let known: Vec<_> = known.collect();
        let ears = listen(testbed, Tenant::Blue, "icmp")?;
        for (from, to) in known {
            if let Err(why) = ping(&*testbed.host(from, Tenant::Blue), &to.v4(), 100) {
                cells.between(from, to, Err(why.into()));
            }
        }
        interrupt::pause(SPREADING)?;
        Ok::<_, Stop>(ears.heard())
    })();
    match heard {
        Ok(heard) => {
            for (at, lines) in heard {
                cells.at(&at, lines.and_then(|lines| own_alone(&at, &lines)));
            }
        }
        Err(stop) => cells.put("listening", Err(stop)),
    }
}

fn own_alone(at: &Site, lines: &[String]) -> Verdict {
    let others = lines.iter().filter(|line| !line.contains(&format!("> {}:", at.v4())));
    let others: Vec<_> = others.map(String::as_str).collect();
    must(others.is_empty(), || others.join("; "))?;
    passed()
}
