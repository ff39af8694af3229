//! Samples of every metric, as rows give them.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::catalogue::{CATALOGUE, RowShape, SampleShape};
use super::walk::{RowWalk, Walked};

/// What stands for the names of all that have no labels of their own.
pub const OTHERS: &str = "(others)";

/// A label.
pub(super) type FixedLabel = (&'static str, &'static str);

/// The number of a row's labels.
pub(super) type LabelsId = usize;

/// Samples of every metric of the catalogue.
#[derive(Debug)]
pub struct MetricSamples {
    labels: Vec<RowLabels>,
    /// By metric.
    pub(super) families: Vec<Vec<Sample>>,
    /// By metric and row.
    pub(super) infos: BTreeMap<(usize, LabelsId), Vec<(&'static str, String)>>,
    others: OtherRows,
}

/// The labels of a row.
#[derive(Debug, Default)]
struct RowLabels {
    /// The row that it is in.
    above: Option<LabelsId>,
    own: Vec<(&'static str, String)>,
}

/// A number, and the labels of its row.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: LabelsId,
    /// What tells it from others of the same row.
    pub(super) label: Option<FixedLabel>,
    pub(super) value: u64,
    pub(super) divisor: u64,
}

/// The rows that are added up.
#[derive(Debug, Default)]
struct OtherRows {
    /// Whether the row that is walked over is one.
    is_other: bool,
    /// The labels of their sum, by those above it and the place of their shape in memory.
    labels: HashMap<(Option<LabelsId>, usize), LabelsId>,
    /// The sums among the samples of a metric.
    sums: HashMap<(usize, LabelsId, Option<FixedLabel>), usize>,
}

impl Default for MetricSamples {
    fn default() -> Self {
        let families = CATALOGUE.families.iter().map(|_| Vec::new()).collect();
        Self { labels: Vec::new(), families, infos: BTreeMap::new(), others: OtherRows::default() }
    }
}

impl MetricSamples {
    /// Takes the samples of some rows.
    pub fn add_all<T: Serialize + 'static>(&mut self, rows: &[T]) {
        for row in rows {
            self.add(row);
        }
    }

    /// Takes the samples of a row.
    pub fn add<T: Serialize + 'static>(&mut self, row: &T) {
        self.walk(row, false);
    }

    /// Adds a row to the sum of all that are not told apart, whose names are [`OTHERS`].
    pub fn add_to_others<T: Serialize + 'static>(&mut self, row: &T) {
        self.walk(row, true);
    }

    fn walk<T: Serialize + 'static>(&mut self, row: &T, is_other: bool) {
        let Some(shape) = CATALOGUE.shape::<T>() else { return };
        self.others.is_other = is_other;
        // Rows have nothing that cannot be walked over: tests look at every one.
        let _ = row.serialize(RowWalk { at: Walked::Row(shape), labels: None, into: self });
    }

    /// Labels for a row in another.
    pub(super) fn labels_below(&mut self, above: Option<LabelsId>, shape: &RowShape) -> LabelsId {
        let place = (above, std::ptr::from_ref(shape).addr());
        if self.others.is_other
            && let Some(known) = self.others.labels.get(&place)
        {
            return *known;
        }
        self.labels.push(RowLabels { above, own: Vec::new() });
        let id = self.labels.len() - 1;
        if self.others.is_other {
            self.others.labels.insert(place, id);
        }
        id
    }

    pub(super) fn label(&mut self, labels: LabelsId, key: &'static str, text: String) {
        let own = &mut self.labels[labels].own;
        if !self.others.is_other {
            own.push((key, text));
        } else if own.iter().all(|(known, _)| *known != key) {
            own.push((key, OTHERS.to_owned()));
        }
    }

    pub(super) fn sample(&mut self, labels: LabelsId, shape: &'static SampleShape, value: u64) {
        let label = shape.label.as_ref().map(|(key, value)| (key.as_str(), value.as_str()));
        let family = &mut self.families[shape.family];
        if self.others.is_other {
            if !shape.adds_up {
                return;
            }
            let place = (shape.family, labels, label);
            let sum = *self.others.sums.entry(place).or_insert(family.len());
            if let Some(sum) = family.get_mut(sum) {
                sum.value = sum.value.wrapping_add(value);
                return;
            }
        }
        family.push(Sample { labels, label, value, divisor: shape.divisor });
    }

    pub(super) fn info(&mut self, labels: LabelsId, family: usize, key: &'static str, text: String) {
        self.infos.entry((family, labels)).or_default().push((key, text));
    }

    pub(super) fn states(&mut self, labels: LabelsId, family: usize, words: &'static [String], holds: &str) {
        if self.others.is_other {
            return;
        }
        let name = CATALOGUE.families[family].name.as_str();
        let of = |word: &'static String| Sample {
            labels,
            label: Some((name, word.as_str())),
            value: u64::from(word == holds),
            divisor: 1,
        };
        self.families[family].extend(words.iter().map(of));
    }

    /// The labels of a row, those of the row that it is in first.
    pub(super) fn each_label<E>(
        &self,
        labels: LabelsId,
        each: &mut impl FnMut(&'static str, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let row = &self.labels[labels];
        row.above.map_or(Ok(()), |above| self.each_label(above, each))?;
        row.own.iter().try_for_each(|(key, text)| each(key, text))
    }
}
