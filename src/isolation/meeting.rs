//! Meetings: two tenants, and the path by which a frame of one gets to the other.

use std::fmt;

use serde::Serialize;
use transload_encaps::Ids;

use crate::claims::{ClaimTable, Held, Owner};
use crate::compile::Names;
use crate::forwarding::{Claim, MappingId};

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
    /// A tag inside a tenant's frame does not make it another's where it leaves.
    InnerTags,
    /// A static address is behind a peer of its own attachment.
    Statics,
    /// No two IDs of a mapping are written alike.
    OneToOne,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 8] = [
        Self::Arrivals,
        Self::Forgery,
        Self::Reflections,
        Self::Departures,
        Self::Loops,
        Self::InnerTags,
        Self::Statics,
        Self::OneToOne,
    ];

    /// What the rule says, as a sentence.
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
                 nowhere, unless the file says that the tenant comes back with another ID"
            }
            Self::Departures => "the sets of (peer or port, ID) that the tenants send to are pairwise disjoint",
            Self::Loops => "a tunnel that ends at one of our own addresses leads back into the tenant that sent it",
            Self::InnerTags => {
                "a VLAN tag inside a tenant's frame cannot be taken for another tenant's tag where the frame leaves"
            }
            Self::Statics => "every static address is behind a peer of its own attachment",
            Self::OneToOne => {
                "every bit in which the IDs of a mapping differ has a bit of its own in the tenant ID of either side"
            }
        }
    }
}

/// A party to a meeting: a tenant at one of its attachments, or an ID of a mapping on one of its sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Party {
    /// A tenant.
    Tenant {
        /// Its name.
        tenant: String,
        /// The attachment.
        attachment: String,
    },
    /// One ID of a mapping, which is a tenant of its own.
    Mapping {
        /// The mapping.
        mapping: String,
        /// `from` or `to`.
        side: &'static str,
        /// The ID, as `id` stands for it in the file.
        id: u64,
    },
}

impl Party {
    pub(super) fn of(claim: Claim, names: &Names) -> Self {
        Self::Tenant {
            tenant: names.domain(claim.domain).into_owned(),
            attachment: names.attachment(claim.domain, claim.attachment).into_owned(),
        }
    }

    pub(super) fn of_mapping(mapping: MappingId, side: usize, id: u64, names: &Names) -> Self {
        Self::Mapping { mapping: names.mapping(mapping).into_owned(), side: side_word(side), id }
    }

    /// The name of the tenant or the mapping.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tenant { tenant, .. } => tenant,
            Self::Mapping { mapping, .. } => mapping,
        }
    }

    /// The attachment or the side.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Tenant { attachment, .. } => attachment,
            Self::Mapping { side, .. } => side,
        }
    }
}

/// `tenant `blue` (attachment `leafs`)`, `ID 0x100007 of mapping `wholesale` (side `from`)`
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant { tenant, attachment } => write!(f, "tenant `{tenant}` (attachment `{attachment}`)"),
            Self::Mapping { mapping, side, id } => write!(f, "ID {id:#x} of mapping `{mapping}` (side `{side}`)"),
        }
    }
}

/// The word of the file for a side of a mapping.
pub(super) const fn side_word(side: usize) -> &'static str {
    if side == 0 { "from" } else { "to" }
}

/// A value of the ID bits and its owner, in words.
pub(super) struct Holding {
    /// The owner.
    pub(super) party: Party,
    /// The tenant ID there.
    pub(super) ids: Ids,
}

impl Holding {
    /// Of a mapping it is the ID with this value, or the lowest.
    pub(super) fn of(claims: &ClaimTable<'_>, at: usize, held: &Held, value: Option<u64>) -> Self {
        let (names, kind) = (&claims.plan.names, claims.spaces[at].kind);
        match held.owner {
            Owner::Tenant(claim) => Self { party: Party::of(claim, names), ids: kind.ids(held.segment) },
            Owner::Mapping { mapping, side, run } => {
                let at_value = value.and_then(|value| claims.id_at(at, held, value));
                let (id, segment) = at_value.unwrap_or((run.id, held.segment));
                Self { party: Party::of_mapping(mapping, side, id, names), ids: kind.ids(segment) }
            }
        }
    }
}

/// A path by which a frame of one tenant gets to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Meeting {
    /// The rule that is broken.
    pub rule: Rule,
    /// The tenant that sends the frame.
    pub from: Party,
    /// The tenant that gets it.
    pub to: Party,
    /// The path it takes, step by step.
    pub path: Vec<String>,
}

impl Meeting {
    pub(super) const fn new(rule: Rule, from: Party, to: Party, path: Vec<String>) -> Self {
        Self { rule, from, to, path }
    }

    /// `tenants `red` and `blue` can meet`, `tenant `red` and ID 0x7 of mapping `m` can meet`
    #[must_use]
    pub fn headline(&self) -> String {
        let short = |party: &Party| match party {
            Party::Tenant { tenant, .. } => format!("tenant `{tenant}`"),
            Party::Mapping { mapping, id, .. } => format!("ID {id:#x} of mapping `{mapping}`"),
        };
        let who = match (&self.from, &self.to) {
            (Party::Tenant { tenant, .. }, Party::Tenant { tenant: other, .. }) => {
                format!("tenants `{tenant}` and `{other}`")
            }
            (one, other) => format!("{} and {}", short(one), short(other)),
        };
        format!("{who} can meet: {}", self.path.join("; "))
    }
}
