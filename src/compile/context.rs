//! The context of a compilation: what every pass over the file reads and adds to.

use super::findings::Findings;
use super::names::Names;
use super::numbers::Numbers;
use super::origins::{Noun, Origins};
use crate::config::{At, Config, Span};

/// What every pass over the file reads and adds to.
pub(super) struct Context<'a> {
    /// The numbers of everything that has a name.
    pub(super) numbers: &'a mut Numbers,
    /// The names of these numbers, as far as the passes have come.
    pub(super) names: Names,
    /// Errors and warnings so far.
    pub(super) findings: Findings,
    /// The place in the file behind every number, if it was asked for.
    pub(super) origins: Option<&'a mut Origins>,
}

impl<'a> Context<'a> {
    pub(super) fn new(config: &Config, numbers: &'a mut Numbers, origins: Option<&'a mut Origins>) -> Self {
        let findings = Findings::new(config.source.clone(), config.problems.clone());
        Self { numbers, names: Names::default(), findings, origins }
    }

    /// Keeps the place in the file that decided this.
    pub(super) fn note(&mut self, noun: Noun, span: Span) {
        if let Some(origins) = &mut self.origins {
            origins.note(noun, span);
        }
    }

    /// Keeps the place of a value, if the file states it.
    pub(super) fn note_stated<T>(&mut self, noun: Noun, stated: Option<&At<T>>) {
        if let Some(at) = stated {
            self.note(noun, at.span);
        }
    }
}
