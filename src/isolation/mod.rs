//! Isolation: the proof, from the tables alone, that no two tenants can meet, or the path by which they do.
//!
//! What an attacker might try, and the module that excludes it. In the tables: another tenant's ID from one's own place
//! (`arrivals`); a tunnel packet written by a tagged tenant, inwards or outwards (`forgery`); a far end that sends
//! back what it gets, a tunnel to ourselves, an egress that is two tenants' (`departures`); a VLAN tag in the
//! tenant's own frame that names another tenant's VLAN once it stands first (`forgery` again). Every ID of a mapping
//! is a tenant in all of this, and a mapping that would write two of them alike is looked for first (`one_to_one`).
//! Outside of the tables, and therefore in the `assumptions` that every proof prints: forged underlay addresses, far ends that mix
//! IDs, cables and hosts that lead from one port to another.

mod arrivals;
mod assumptions;
mod departures;
mod forgery;
mod meeting;
mod one_to_one;
mod proof;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub use assumptions::Assumption;
pub use meeting::{Meeting, Party, Rule};
pub use proof::{Document, Proof};

use crate::claims::ClaimTable;
use crate::compile::Plan;

/// Most meetings that are reported.
const MOST_MEETINGS: usize = 100;

/// Whether tenants can meet.
#[derive(Debug)]
pub struct Isolation<'p> {
    claims: ClaimTable<'p>,
    /// Number of tenants.
    pub tenants: usize,
    /// The paths by which they meet, one for each rule and pair of attachments; empty if they do not.
    pub meetings: Vec<Meeting>,
}

/// Looks for paths by which tenants can meet.
#[must_use]
pub fn examine(plan: &Plan) -> Isolation<'_> {
    let claims = ClaimTable::of(plan);
    let mut found = Meetings::default();
    // Whichever pass is the first to find enough ends the search.
    let _ = one_to_one::look(&claims, &mut found)
        .is_continue()
        .then(|| arrivals::look(&claims, &mut found))
        .filter(ControlFlow::is_continue)
        .map(|_| forgery::look(&claims, &mut found))
        .filter(ControlFlow::is_continue)
        .map(|_| departures::look(&claims, &mut found));
    let tenants = plan.tables.domains.values().count();
    Isolation { claims, tenants, meetings: found.meetings.into_iter().collect() }
}

impl Isolation<'_> {
    /// Whether no two tenants can meet.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.meetings.is_empty()
    }

    /// The proof in names, to print: or what stands in its way.
    #[must_use]
    pub fn document(&self) -> Document {
        proof::document(&self.claims, self.meetings.clone())
    }

    /// What the proof takes for granted.
    #[must_use]
    pub fn assumptions(&self) -> Vec<Assumption> {
        assumptions::of(&self.claims)
    }
}

/// The meetings so far.
#[derive(Default)]
struct Meetings {
    meetings: BTreeSet<Meeting>,
    /// By rule, and the name and place of both parties.
    seen: BTreeSet<(Rule, [String; 4])>,
}

impl Meetings {
    /// Adds a meeting, unless one like it is known; breaks off when there are enough.
    fn add(&mut self, meeting: Meeting) -> ControlFlow<()> {
        let (from, to) = (&meeting.from, &meeting.to);
        let parties = [from.name(), from.place(), to.name(), to.place()].map(str::to_owned);
        if self.seen.insert((meeting.rule, parties)) {
            self.meetings.insert(meeting);
        }
        if self.meetings.len() < MOST_MEETINGS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
