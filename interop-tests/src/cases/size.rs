//! Frames that are too big for their way.

use transload_lab::Host;

use super::{Case, Cells, Scope};
use crate::outcome::{Verdict, must, not_run};
use crate::testbed::{Site, Tenant, Testbed};
use crate::traffic::{ping, settle};

pub(super) const TOO_BIG: Case = Case {
    name: "too-big",
    says: "A packet that does not fit its way is answered as a router would, over IPv4 and IPv6; the sender's kernel \
           learns the path MTU, and packets that fit get through.",
    standard: "RFC 1191 §4; RFC 8201 §4; RFC 7348 §4.3",
    scope: Scope::Testbed(too_big),
};

fn too_big(testbed: &mut Testbed, cells: &mut Cells) {
    for site in testbed.sites().to_vec() {
        // The widest way in, from another stack if there is one.
        let wider = testbed.sites().iter().filter(|other| other.mtu() > site.way_mtu());
        let Some(from) = wider.max_by_key(|other| (other.stack != site.stack, other.mtu())).cloned() else { continue };
        cells.between(&from, &site, learns(testbed, &from, &site));
    }
    if testbed.sites().len() < 2 {
        cells.put("anywhere", not_run("needs two sites of different MTU"));
    }
}

fn learns(testbed: &Testbed, from: &Site, to: &Site) -> Verdict {
    let host = testbed.host(from, Tenant::Blue);
    for address in [to.v4(), to.v6()] {
        settle(&*host, &address)?;
        host.sh("ip route flush cache; ip -6 route flush cache")?;
        must(!is_answered(&*host, &address, from.mtu()), || format!("{} bytes got through", from.mtu()))?;
        let route = host.sh(&format!("ip route get {address}"))?;
        let learned = route.split_whitespace().skip_while(|word| *word != "mtu").nth(1);
        must(learned == Some(&to.way_mtu().to_string()), || format!("not {} but: {}", to.way_mtu(), route.trim()))?;
        ping(&*host, &address, to.mtu())?;
        host.sh("ip route flush cache; ip -6 route flush cache")?;
    }
    Ok(format!("{} learned", to.way_mtu()))
}

/// Whether any of two pings is answered; the first may only be the lesson.
fn is_answered(from: &dyn Host, to: &str, ip_len: u16) -> bool {
    let header_len = if to.contains(':') { 48 } else { 28 };
    from.sh(&format!("ping -n -q -M do -c 2 -i 0.2 -W 1 -s {} {to}", ip_len - header_len)).is_ok()
}
