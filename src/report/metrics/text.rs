//! Samples in the formats that scrapers read: OpenMetrics, and the text format of Prometheus before it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::catalogue::{CATALOGUE, MetricFamily};
use super::samples::{FixedLabel, LabelsId, MetricSamples, Sample};

/// A format that scrapers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4, which every version of Prometheus reads.
    Prometheus,
}

impl MetricFormat {
    /// The format that a scraper wants, by its `Accept` header: OpenMetrics, if it names that.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let is_refused = |parameter: &str| {
            let value = parameter.trim().strip_prefix("q=");
            value.is_some_and(|value| value.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        };
        let names_it = |range: &str| {
            let mut parts = range.split(';');
            let name = parts.next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("application/openmetrics-text") && !parts.any(is_refused)
        };
        if accept.split(',').any(names_it) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What it is called by HTTP.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

impl MetricSamples {
    /// All samples as a text, metric by metric.
    #[must_use]
    pub fn into_text(self, format: MetricFormat) -> String {
        const LINE: usize = 96;
        let lines: usize = self.families.iter().map(Vec::len).sum();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut out = String::with_capacity(lines * LINE);
        // Writing into a string does not fail.
        let _ = match format {
            MetricFormat::OpenMetrics => text::encode(&mut out, &registry),
            MetricFormat::Prometheus => prometheus_text::encode(&mut out, &registry),
        };
        out
    }

    fn family(&self, number: usize, family: &MetricFamily, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let unit = family.unit.clone().map(Unit::Other);
        let infos = self.infos.range((number, 0)..(number + 1, 0));
        if self.families[number].is_empty() && infos.clone().next().is_none() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(&family.name, &family.help, unit.as_ref(), family.kind)?;
        for (&(_, labels), info) in infos {
            let of_row = SampleLabels { samples: self, labels, label: None };
            metric
                .encode_family(&of_row)?
                .encode_info(&info.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>())?;
        }
        for sample in &self.families[number] {
            let labels = SampleLabels { samples: self, labels: sample.labels, label: sample.label };
            write(sample, family.kind, metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn write(sample: &Sample, kind: MetricType, mut metric: MetricEncoder<'_>) -> fmt::Result {
    match (kind, sample.divisor) {
        (MetricType::Counter, _) => metric.encode_counter::<NoLabelSet, u64, f64>(&sample.value, None),
        (_, 1) => metric.encode_gauge(&sample.value),
        (_, divisor) => metric.encode_gauge(&(part(sample.value) / part(divisor))),
    }
}

/// A number that is divided; those are small.
fn part(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

impl Collector for MetricSamples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = CATALOGUE.families.iter().enumerate();
        families.try_for_each(|(number, family)| self.family(number, family, &mut encoder))
    }
}

/// The labels of a sample.
struct SampleLabels<'s> {
    samples: &'s MetricSamples,
    labels: LabelsId,
    label: Option<FixedLabel>,
}

impl EncodeLabelSet for SampleLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut one = |key: &'static str, text: &str| (key, text).encode(encoder.encode_label());
        self.samples.each_label(self.labels, &mut one)?;
        self.label.map_or(Ok(()), |(key, text)| one(key, text))
    }
}
