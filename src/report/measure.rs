//! What a field of a row is as a metric: said at the field itself, beside the comment that is the metric's help.
//!
//! `#[schemars(extend("x-metric" = counter("receive_frames")))]` at a field, and `#[schemars(extend("x-metrics" =
//! of("port")))]` at its row, make `transload_port_receive_frames_total` of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The attribute of a field.
pub const FIELD: &str = "x-metric";
/// The attribute of a row.
pub const ROW: &str = "x-metrics";

/// What the metrics of a row are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowMeasure {
    /// A word behind `transload_` in their names, empty for those of the whole gateway; `None` if there are no metrics.
    pub subject: Option<Cow<'static, str>>,
    /// Keys that are no metrics in this row, though they are in others.
    pub without: Cow<'static, [Cow<'static, str>]>,
    /// Why these, or all numbers of the row, are no metrics.
    pub why_not: Cow<'static, str>,
}

/// What a field is as a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A label of all metrics of its row, and of the rows in it.
    Label,
    /// A number that only grows while the gateway runs.
    Counter(MetricName),
    /// A number of this moment; none where the field has no value.
    Gauge(MetricName),
    /// 1 where the field has no value, and 0 where it has one.
    Absence(MetricName),
    /// A text that says what something is: a label of a metric that is always 1.
    Info(MetricName),
    /// One of some words, each of which is a metric: 1 for the word that holds, 0 for the others.
    States(MetricName),
    /// Nothing, and why.
    None(Cow<'static, str>),
}

/// The name of a metric, behind `transload_` and what its row is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricName {
    /// The name, which ends in its unit if it has one; without `_total`.
    pub name: Cow<'static, str>,
    /// A label that tells it from others of the same name.
    pub label: Option<(Cow<'static, str>, Cow<'static, str>)>,
    /// How many of the field's are one of the metric's.
    pub divisor: u64,
}

/// The metrics of a row are about this.
#[must_use]
pub const fn of(subject: &'static str) -> RowMeasure {
    RowMeasure { subject: Some(Cow::Borrowed(subject)), without: Cow::Borrowed(&[]), why_not: Cow::Borrowed("") }
}

/// No number of a row is a metric, and why.
#[must_use]
pub const fn no_metrics(why: &'static str) -> RowMeasure {
    RowMeasure { subject: None, without: Cow::Borrowed(&[]), why_not: Cow::Borrowed(why) }
}

impl RowMeasure {
    /// Without these keys, and why.
    #[must_use]
    pub fn but(mut self, without: &[&'static str], why: &'static str) -> Self {
        self.without = without.iter().map(|key| Cow::Borrowed(*key)).collect();
        self.why_not = why.into();
        self
    }
}

/// A label, by the field's key.
pub const LABEL: Measure = Measure::Label;

const fn named(name: &'static str) -> MetricName {
    MetricName { name: Cow::Borrowed(name), label: None, divisor: 1 }
}

/// A number that only grows while the gateway runs.
#[must_use]
pub fn counter(name: &'static str) -> Measure {
    Measure::Counter(named(name))
}

/// The same, told from others of the same name by a label.
#[must_use]
pub fn counter_of(name: &'static str, label: &'static str, value: &'static str) -> Measure {
    let label = Some((Cow::Borrowed(label), Cow::Borrowed(value)));
    Measure::Counter(MetricName { label, ..named(name) })
}

/// A number of this moment.
#[must_use]
pub fn gauge(name: &'static str) -> Measure {
    Measure::Gauge(named(name))
}

/// A part of one, of which the field has thousandths.
#[must_use]
pub fn thousandths(name: &'static str) -> Measure {
    Measure::Gauge(MetricName { divisor: 1000, ..named(name) })
}

/// 1 unless the field has a value.
#[must_use]
pub fn absence(name: &'static str) -> Measure {
    Measure::Absence(named(name))
}

/// A text that says what something is.
#[must_use]
pub fn info(name: &'static str) -> Measure {
    Measure::Info(named(name))
}

/// A word among some.
#[must_use]
pub fn states(name: &'static str) -> Measure {
    Measure::States(named(name))
}

/// No metric, and why.
#[must_use]
pub fn no_metric(why: &'static str) -> Measure {
    Measure::None(Cow::Borrowed(why))
}
