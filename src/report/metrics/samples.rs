//! Samples of every metric: what a row says, and the lines of text that rows become.

use serde::Serialize;

use super::catalogue::{CATALOGUE, SampleShape};
use super::text::{FAMILY_TEXTS, push_label, push_line};
use super::walk::{NamedField, RowWalk, Walked};

/// What stands for the names of all that have no labels of their own.
pub const OTHERS: &str = "(others)";

/// The number of the labels of a row, or of a row in it.
pub(super) type LabelsId = usize;

/// Samples of every metric of the catalogue, as lines of text: every format has the same ones.
#[derive(Debug)]
pub struct MetricSamples {
    /// By metric.
    lines: Vec<Vec<u8>>,
    row: RowSamples,
    /// The sums of all that are not told apart, by the number of the sample.
    sums: Vec<Option<OthersSum>>,
}

/// Samples that are added up.
#[derive(Debug)]
struct OthersSum {
    shape: &'static SampleShape,
    labels: String,
    value: u64,
}

impl Default for MetricSamples {
    fn default() -> Self {
        Self::reusing(Vec::new())
    }
}

impl MetricSamples {
    /// No samples yet. `lines` are those of an earlier scrape: their text is thrown away, their memory used again.
    #[must_use]
    pub fn reusing(mut lines: Vec<Vec<u8>>) -> Self {
        lines.iter_mut().for_each(Vec::clear);
        lines.resize(CATALOGUE.families.len(), Vec::new());
        let sums = std::iter::repeat_with(|| None).take(CATALOGUE.samples).collect();
        Self { lines, row: RowSamples::default(), sums }
    }

    /// Takes the samples of some rows.
    pub fn add_all<T: Serialize + 'static>(&mut self, rows: &[T]) {
        for row in rows {
            self.add(row);
        }
    }

    /// Takes the samples of a row.
    pub fn add<T: Serialize + 'static>(&mut self, row: &T) {
        self.walk(row, false);
        self.row.join_labels();
        for Sample { labels, shape, value } in self.row.samples.drain(..) {
            push_sample(&mut self.lines, shape, &self.row.labels[labels].text, value);
        }
        for Info { labels, family, text } in self.row.infos.drain(..) {
            let labels = &self.row.labels[labels].text;
            push_line(&mut self.lines[family], &FAMILY_TEXTS[family], [labels, &text], 1, 1);
        }
    }

    /// Adds a row to the sum of all that are not told apart, whose names are [`OTHERS`].
    pub fn add_to_others<T: Serialize + 'static>(&mut self, row: &T) {
        self.walk(row, true);
        self.row.join_labels();
        for Sample { labels, shape, value } in self.row.samples.drain(..).filter(|sample| sample.shape.adds_up) {
            let labels = &self.row.labels[labels].text;
            let begin = || OthersSum { shape, labels: labels.clone(), value: 0 };
            let sum = self.sums[shape.number].get_or_insert_with(begin);
            sum.value = sum.value.wrapping_add(value);
        }
    }

    fn walk<T: Serialize + 'static>(&mut self, row: &T, is_other: bool) {
        self.row.clear(is_other);
        let Some(shape) = CATALOGUE.shape::<T>() else { return };
        // Rows have nothing that cannot be walked over: tests look at every one.
        let _ = row.serialize(RowWalk { at: Walked::Row(shape), labels: None, into: &mut self.row });
    }

    /// The lines of each metric, in the order of the catalogue.
    #[must_use]
    pub fn into_lines(mut self) -> Vec<Vec<u8>> {
        for OthersSum { shape, labels, value } in self.sums.into_iter().flatten() {
            push_sample(&mut self.lines, shape, &labels, value);
        }
        self.lines
    }
}

fn push_sample(lines: &mut [Vec<u8>], shape: &SampleShape, labels: &str, value: u64) {
    let around = &FAMILY_TEXTS[shape.family];
    push_line(&mut lines[shape.family], around, [labels, &shape.label], value, shape.divisor);
}

/// What a row says: its labels are known only at its end, and so are its samples.
#[derive(Debug, Default)]
pub(super) struct RowSamples {
    /// Whether it is one of those that are not told apart.
    is_other: bool,
    labels: Vec<RowLabels>,
    samples: Vec<Sample>,
    infos: Vec<Info>,
    /// The field whose key was walked over last.
    pub(super) field: Option<NamedField>,
}

/// The labels of a row, or of a row in it.
#[derive(Debug)]
struct RowLabels {
    /// The row that it is in.
    above: Option<LabelsId>,
    text: String,
}

/// A number, and the labels of its row.
#[derive(Debug)]
struct Sample {
    labels: LabelsId,
    shape: &'static SampleShape,
    value: u64,
}

/// Labels of an information, beside those of its row.
#[derive(Debug)]
struct Info {
    labels: LabelsId,
    family: usize,
    text: String,
}

impl RowSamples {
    fn clear(&mut self, is_other: bool) {
        self.is_other = is_other;
        self.labels.clear();
        self.samples.clear();
        self.infos.clear();
    }

    /// Labels for a row in another.
    pub(super) fn labels_below(&mut self, above: Option<LabelsId>) -> LabelsId {
        const ROOM: usize = 64;
        self.labels.push(RowLabels { above, text: String::with_capacity(ROOM) });
        self.labels.len() - 1
    }

    pub(super) fn label(&mut self, labels: LabelsId, key: &'static str, text: &str) {
        push_label(&mut self.labels[labels].text, key, if self.is_other { OTHERS } else { text });
    }

    pub(super) fn sample(&mut self, labels: LabelsId, shape: &'static SampleShape, value: u64) {
        self.samples.push(Sample { labels, shape, value });
    }

    pub(super) fn info(&mut self, labels: LabelsId, family: usize, key: &'static str, text: &str) {
        let is_it = |info: &&mut Info| (info.labels, info.family) == (labels, family);
        if let Some(known) = self.infos.iter_mut().find(is_it) {
            push_label(&mut known.text, key, text);
        } else {
            let mut first = Info { labels, family, text: String::new() };
            push_label(&mut first.text, key, text);
            self.infos.push(first);
        }
    }

    /// Puts the labels of the row that each is in before its own.
    fn join_labels(&mut self) {
        for id in 0..self.labels.len() {
            // Whatever is in a row comes behind it.
            let (before, rest) = self.labels.split_at_mut(id);
            if let Some(above) = rest[0].above {
                rest[0].text.insert_str(0, &before[above].text);
            }
        }
    }
}
