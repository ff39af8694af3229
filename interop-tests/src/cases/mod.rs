//! The cases: what is promised, in one sentence each, and how it is tried.
//!
//! A file is a family. A case is an entry of [`ALL`]: the runner finds out where it runs.

mod ageing;
mod bulk;
mod captured;
mod faults;
mod flood;
mod headers;
mod listen;
mod mesh;
mod migration;
mod reach;
mod size;
mod tags;

use crate::outcome::{Outcome, Stop, Verdict};
use crate::testbed::{Site, Stack, Testbed};

/// A promise, and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it is called, on the command line too.
    pub name: &'static str,
    /// What is promised, in one sentence.
    pub says: &'static str,
    /// Where the standard says so.
    pub standard: &'static str,
    /// Where it is tried.
    pub scope: Scope,
}

/// Where a case is tried, and how.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// From every site to every other.
    Pairs(fn(&Testbed, &Site, &Site) -> Verdict),
    /// At every site, with a partner of another stack and encapsulation.
    Sites(fn(&Testbed, &Site, &Site) -> Verdict),
    /// Once, on the whole testbed; every site it speaks of gets a cell.
    Testbed(fn(&mut Testbed, &mut Cells)),
    /// Once, in a world that the case builds itself.
    World(fn(&mut Cells)),
}

/// What a case that runs once has to say.
#[derive(Debug, Default)]
pub struct Cells(pub(crate) Vec<(Place, Outcome)>);

/// Where something was tried.
#[derive(Debug, Clone)]
pub enum Place {
    /// At a site, perhaps towards another one.
    Site(Site, Option<Site>),
    /// In a few words; and the stacks that took part, if any did.
    Words(String, Vec<Stack>),
}

impl Cells {
    /// Says how it went at a site.
    pub fn at(&mut self, site: &Site, verdict: Verdict) {
        self.0.push((Place::Site(site.clone(), None), verdict.into()));
    }

    /// Says how it went between two sites.
    pub fn between(&mut self, from: &Site, to: &Site, verdict: Verdict) {
        self.0.push((Place::Site(from.clone(), Some(to.clone())), verdict.into()));
    }

    /// Says how it went where there are no sites of the testbed.
    pub fn put(&mut self, place: &str, verdict: Verdict) {
        self.among(&[], place, verdict);
    }

    /// The same where stacks took part, which it counts for.
    pub fn among(&mut self, stacks: &[Stack], place: &str, verdict: Verdict) {
        self.0.push((Place::Words(place.to_owned(), stacks.to_vec()), verdict.into()));
    }
}

/// A case that fails, to see what that looks like and what is left behind. Runs only when it is named.
pub const ON_PURPOSE: Case = Case {
    name: "fails-on-purpose",
    says: "This does not hold: it is there to try out what a failure does.",
    standard: "none",
    scope: Scope::Sites(|_, site, _| Err(Stop::Failed(format!("{site} was told to fail")))),
};

/// Every case, in the order of the report. Those that take something away come last.
pub const ALL: &[Case] = &[
    reach::PING,
    reach::NEIGHBOUR_DISCOVERY,
    reach::PAYLOADS,
    bulk::TCP,
    bulk::HUNDRED,
    bulk::UDP,
    flood::ONCE,
    flood::ISOLATION,
    flood::LEARNING,
    tags::INSIDE,
    mesh::MESH,
    size::TOO_BIG,
    migration::MIGRATION,
    headers::ecn::SENDER,
    headers::ecn::UNDERLAY,
    headers::ecn::NOT_MARKABLE,
    headers::ecn::AROUND_CE,
    headers::ecn::ECT_1_AT_OPEN_VSWITCH,
    headers::ecn::DSCP,
    headers::reserved::BITS,
    headers::reserved::AT_PEERS,
    headers::reserved::GRE_AT_LINUX,
    headers::reserved::GRE_AT_OPEN_VSWITCH,
    headers::flow_id::ANY,
    headers::flow_id::AT_LINUX,
    headers::flow_id::AT_OPEN_VSWITCH,
    headers::gre::KEYS,
    headers::gre::FLAGS,
    headers::gre::CHECKSUM,
    headers::gre::CHECKSUM_AT_LINUX,
    headers::gre::ORDER,
    headers::gre::ORDER_AT_LINUX,
    headers::gre::ORDER_AT_OPEN_VSWITCH,
    headers::udp::CHECKSUMS,
    headers::udp::ZERO_AT_LINUX,
    headers::udp::ZERO_AT_OPEN_VSWITCH,
    headers::unknown_senders::PEER,
    headers::unknown_senders::TPID,
    captured::ALL,
    faults::UNDERLAY,
    ageing::AGEING,
    faults::PEER,
    faults::GATEWAY,
];
