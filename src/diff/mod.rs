//! What changes from one configuration to another: which things of the file, and which frames of a capture.

mod causes;
mod facts;
mod fate;
mod reader;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::compile::Plan;
use crate::config::Config;
use facts::{Facts, facts, tunnels};
pub use fate::{Changed, Fate, Fates, Plans, SentFrame, fates};

/// What kind of thing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// A port.
    Port,
    /// One of our tunnel addresses.
    Endpoint,
    /// A far tunnel endpoint.
    Peer,
    /// A mesh of them.
    Group,
    /// A tenant.
    Tenant,
    /// An attachment, as `tenant/attachment`.
    Attachment,
    /// A static address, as `tenant/address`.
    Static,
    /// A stateless cross-connect.
    Mapping,
    /// A path out, as `tenant/attachment -> peer`.
    Tunnel,
    /// What belongs to none of these: workers, the size of the MAC table.
    Setting,
}

impl Thing {
    /// What it is called in the singular.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Endpoint => "endpoint",
            Self::Peer => "peer",
            Self::Group => "group",
            Self::Tenant => "tenant",
            Self::Attachment => "attachment",
            Self::Static => "static",
            Self::Mapping => "mapping",
            Self::Tunnel => "tunnel",
            Self::Setting => "setting",
        }
    }
}

/// A thing and its name.
pub type Key = (Thing, String);

/// How a thing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Only the second file has it.
    Added(BTreeMap<String, String>),
    /// Only the first file has it.
    Removed(BTreeMap<String, String>),
    /// Both have it, not alike: by field, what it was and what it is. An empty text stands for what is not set.
    Changed(BTreeMap<String, (String, String)>),
}

/// A thing that changes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The kind of thing.
    pub thing: Thing,
    /// Its name.
    pub name: String,
    /// How it changes.
    #[serde(flatten)]
    pub how: How,
}

impl Change {
    /// `vni: 10100 -> 10101`, or what an added thing is.
    #[must_use]
    pub fn details(&self) -> String {
        let stated = |fields: &BTreeMap<String, String>| {
            let fields = fields.iter().filter(|(_, value)| !value.is_empty());
            fields.map(|(field, value)| format!("{field} {value}")).collect::<Vec<_>>().join(", ")
        };
        let or_not_set = |value: &str| if value.is_empty() { "not set".to_owned() } else { value.to_owned() };
        match &self.how {
            How::Added(fields) | How::Removed(fields) => stated(fields),
            How::Changed(fields) => {
                let changed = |(field, (old, new)): (&String, &(String, String))| {
                    format!("{field} {} -> {}", or_not_set(old), or_not_set(new))
                };
                fields.iter().map(changed).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// One side of the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The file.
    pub config: &'a Config,
    /// What it comes to. Both sides have to be compiled with the same numbers.
    pub plan: &'a Plan,
}

/// What changes from one configuration to the other, by kind and name.
#[must_use]
pub fn changes(old: Side<'_>, new: Side<'_>) -> Vec<Change> {
    let (before, after) = (facts(old), facts(new));
    let mut all = compared(&before, &after);
    let touched: BTreeSet<_> = all.iter().map(|change| (change.thing, change.name.clone())).collect();
    // Tunnels are many, and one changes only with its attachment or its peer.
    all.extend(compared(&tunnels(old, &before, &touched), &tunnels(new, &after, &touched)));
    all
}

fn compared(before: &Facts, after: &Facts) -> Vec<Change> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let how = |key: &Key| match (before.get(key), after.get(key)) {
        (None, Some(new)) => Some(How::Added(new.clone())),
        (Some(old), None) => Some(How::Removed(old.clone())),
        (Some(old), Some(new)) => {
            let fields: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            let value = |side: &BTreeMap<String, String>, field| side.get(field).cloned().unwrap_or_default();
            let pairs = fields.into_iter().map(|field| (field.clone(), (value(old, field), value(new, field))));
            let changed: BTreeMap<_, _> = pairs.filter(|(_, (old, new))| old != new).collect();
            (!changed.is_empty()).then_some(How::Changed(changed))
        }
        (None, None) => None,
    };
    keys.into_iter().filter_map(|key| Some(Change { thing: key.0, name: key.1.clone(), how: how(key)? })).collect()
}
