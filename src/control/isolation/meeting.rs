//! Meetings: two tenants, and the path by which a frame of one gets to the other.

use serde::Serialize;

use crate::control::claims::Claims;
use crate::control::compile::Names;
use crate::forwarding::Claim;

/// What has to hold for tenants to be isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No arriving frame is claimed by two tenants.
    Arrivals,
    /// No tenant's tags are those of our own tunnel packets on the same wire.
    Forgery,
    /// What a tenant sends is its own again if the far end, or the wire, sends it back.
    Reflections,
    /// No two tenants send the same.
    Departures,
    /// No tunnel ends at one of our own addresses in another tenant.
    Loops,
    /// A tag inside a tenant's frame does not make it another's on the way out.
    InnerTags,
    /// A static address is behind a peer of its own attachment.
    Statics,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Arrivals,
        Self::Forgery,
        Self::Reflections,
        Self::Departures,
        Self::Loops,
        Self::InnerTags,
        Self::Statics,
    ];

    /// As a sentence.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        match self {
            Self::Arrivals => {
                "the sets of (port, outer tag, destination, carrier, source, ID) that lead into each tenant are \
                 pairwise disjoint"
            }
            Self::Forgery => {
                "on no wire is an outer tag both a tenant's and an endpoint's, so that no tenant can write a tunnel packet"
            }
            Self::Reflections => {
                "every (peer or port, ID) that a tenant sends to leads, coming back from there, into that tenant or \
                 nowhere"
            }
            Self::Departures => "the sets of (peer or port, ID) that the tenants send to are pairwise disjoint",
            Self::Loops => "a tunnel that ends at one of our own addresses leads back into the tenant that sent it",
            Self::InnerTags => "a VLAN tag inside a tenant's frame cannot stand for another tenant's on the way out",
            Self::Statics => "every static address is behind a peer of its own attachment",
        }
    }
}

/// A tenant and one of its attachments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// The tenant.
    pub tenant: String,
    /// The attachment.
    pub attachment: String,
}

impl Party {
    pub(super) fn of(claim: Claim, names: &Names) -> Self {
        Self {
            tenant: names.domain(claim.domain).into_owned(),
            attachment: names.attachment(claim.domain, claim.attachment).into_owned(),
        }
    }
}

/// How a frame of one tenant gets to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Meeting {
    /// What does not hold.
    pub rule: Rule,
    /// Whose frame it is.
    pub from: Party,
    /// Whose it becomes.
    pub to: Party,
    /// The way it takes, step by step.
    pub path: Vec<String>,
}

impl Meeting {
    pub(super) fn new(claims: &Claims<'_>, rule: Rule, from: Claim, to: Claim, path: Vec<String>) -> Self {
        let names = &claims.plan.names;
        Self { rule, from: Party::of(from, names), to: Party::of(to, names), path }
    }

    /// `tenants `red` and `blue` can meet`
    #[must_use]
    pub fn headline(&self) -> String {
        format!("tenants `{}` and `{}` can meet: {}", self.from.tenant, self.to.tenant, self.path.join("; "))
    }
}
