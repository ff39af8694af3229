//! Hosts find each other.

use super::{Case, Scope};
use crate::bench::{Bench, Site, Tenant};
use crate::outcome::{Verdict, passed};
use crate::traffic::settle;

pub(super) const PING: Case = Case {
    name: "arp-and-ping",
    says: "Every host finds every other by ARP, across encapsulations, and is answered.",
    standard: "RFC 7348 §4, RFC 7637 §4, RFC 826",
    scope: Scope::Pairs(ping),
};

fn ping(bench: &Bench, from: &Site, to: &Site) -> Verdict {
    let host = bench.host(from, Tenant::Blue);
    // What an earlier pair taught is forgotten: the request goes out as a broadcast.
    host.sh(&format!("ip neigh flush to {} dev t0", to.v4()))?;
    settle(&*host, &to.v4())?;
    passed()
}
