//! Drafts: a tenant, or a pattern of tenants, as far as it is the same for every one of them.
//!
//! What a name refers to, what happens to tags, who is in whose horizon and what the policies are is found out once;
//! for a pattern of a hundred thousand tenants only the numbers are left to do for each.

use std::collections::HashMap;

use transload_encaps::{IdField, InnerTags};

use super::attachments;
use super::policies;
use super::report::{Report, check_name};
use super::sides::{Side, Sides};
use super::statics::{self, Fixed, Known};
use crate::config::{At, Attachment, Name, Span, Tenant};
use crate::forwarding::{Domain, MAX_ATTACHMENTS};

/// A tenant, or a pattern of them.
pub(super) struct Draft<'p, 'c, V> {
    /// "tenant", "pattern"
    noun: &'static str,
    name: Name<'c>,
    /// The attachments of which everything but the number is right.
    pub(super) ways: Vec<Way<'p, 'c, V>>,
    /// How many the file has.
    stated: usize,
    pub(super) statics: Vec<Fixed>,
    horizons: Horizons<'c>,
    /// In a domain without attachments.
    pub(super) policies: Domain,
}

/// An attachment without its number.
pub(super) struct Way<'p, 'c, V> {
    pub(super) name: Name<'c>,
    pub(super) side: &'p Side,
    pub(super) fields: Vec<(&'static IdField, &'c At<V>)>,
    pub(super) inner_tags: InnerTags,
    pub(super) tunnels_l2cp: bool,
    pub(super) horizon: u16,
    /// Its name and what it leads to: an FDB entry must not follow it to another peer.
    pub(super) identity: String,
    /// Where its ID stands.
    pub(super) span: Span,
    /// What is wrong with one number of a pattern is not told again of the next.
    pub(super) is_broken: bool,
}

impl<'p, 'c, V> Draft<'p, 'c, V> {
    pub(super) fn new(
        noun: &'static str,
        name: Name<'c>,
        config: &'c Tenant<V>,
        sides: Sides<'p, 'c>,
        report: &mut Report,
    ) -> Self {
        let policies = policies::of(config, report);
        let (ways, known, horizons) = (Vec::new(), Known::new(), Horizons::default());
        let stated = config.attachments.len();
        let mut draft = Self { noun, name, ways, stated, statics: Vec::new(), horizons, policies };
        if stated > MAX_ATTACHMENTS {
            let message = format!("{noun} `{}` has more than {MAX_ATTACHMENTS} attachments", name.text);
            report.error(name.span, message, "use groups, or several tenants");
        } else {
            draft.fill(config, known, sides, report);
        }
        draft
    }

    fn fill(&mut self, config: &'c Tenant<V>, mut known: Known<'c, 'p>, sides: Sides<'p, 'c>, report: &mut Report) {
        for (name, config) in config.attachments.iter() {
            check_name("attachment", name, report);
            let way = config.and_then(|config| self.way(name, config, sides, report));
            known.insert(name.text, way.as_ref().map(|way| (self.ways.len(), way.side)));
            self.ways.extend(way);
        }
        self.statics = statics::compile(config, &known, report);
    }

    fn way(
        &mut self,
        name: Name<'c>,
        config: &'c Attachment<V>,
        sides: Sides<'p, 'c>,
        report: &mut Report,
    ) -> Option<Way<'p, 'c, V>> {
        let side = sides.find(name, config, report)?;
        let inner_tags = attachments::inner_tags(config, side, report);
        let fields = attachments::fields(config, side, report)?;
        let span = config.ids.first().map_or(name.span, |id| id.value.span);
        let (identity, horizon) = (format!("{} {}", name.text, side.label), self.horizons.number(config));
        let tunnels_l2cp = attachments::tunnels_l2cp(config);
        Some(Way { name, side, fields, inner_tags, tunnels_l2cp, horizon, identity, span, is_broken: false })
    }

    /// Where the IDs of its attachments stand.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'c str, Span)> {
        self.ways.iter().map(|way| (way.name.text, way.span))
    }

    /// What its attachments are known by.
    pub(super) fn identities(&self) -> Vec<&str> {
        self.ways.iter().map(|way| way.identity.as_str()).collect()
    }

    /// Whether no attachment is left that could be compiled.
    pub(super) fn is_hopeless(&self) -> bool {
        self.stated > 0 && self.ways.iter().all(|way| way.is_broken)
    }

    /// Once it is compiled: what somebody should look at.
    pub(super) fn warn(&self, report: &mut Report) {
        if self.ways.len() < self.stated || self.ways.iter().any(|way| way.is_broken) {
            return;
        }
        self.horizons.warn_of_loners(report);
        let (noun, name) = (self.noun, self.name.text);
        let message = match self.stated {
            0 => format!("{noun} `{name}` has no attachments"),
            1 => format!("{noun} `{name}` has one attachment, so nothing is bridged"),
            _ if self.horizons.next == 1 => {
                format!("all attachments of {noun} `{name}` are in one split horizon, so nothing is bridged")
            }
            _ => return,
        };
        report.warning(self.name.span, message, "a tenant joins two attachments or more");
    }
}

/// Which attachments of a tenant never feed each other.
#[derive(Default)]
struct Horizons<'c> {
    next: u16,
    /// By name: the number, where it was first used, and how often.
    named: HashMap<&'c str, (u16, Span, usize)>,
}

impl<'c> Horizons<'c> {
    fn number<V>(&mut self, config: &'c Attachment<V>) -> u16 {
        let fresh = self.next;
        let stated = config.split_horizon.as_ref().and_then(|at| Some((at.get()?.as_str(), at.span)));
        let number = match stated {
            None => fresh,
            Some((name, span)) => {
                let (number, _, uses) = self.named.entry(name).or_insert((fresh, span, 0));
                *uses += 1;
                *number
            }
        };
        if number == fresh {
            self.next = fresh.saturating_add(1);
        }
        number
    }

    fn warn_of_loners(&self, report: &mut Report) {
        for (name, (_, span, uses)) in &self.named {
            if *uses == 1 {
                let message = format!("split horizon `{name}` has only this attachment, so it does nothing");
                report.warning(*span, message, "give the attachments that must not feed each other the same name");
            }
        }
    }
}
