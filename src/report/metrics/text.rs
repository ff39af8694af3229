//! Samples in the formats that scrapers read: OpenMetrics, and the text format of Prometheus before it.
//!
//! What is the same in every scrape, names and descriptors, is written by prometheus-client, once. Labels and numbers are
//! written here, since there are many: a line is put together from parts that are ready.

use std::fmt;
use std::io::Write;
use std::sync::LazyLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::catalogue::{CATALOGUE, MetricFamily, MetricKind};

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

    /// A text of these lines of each metric, in pieces, metric by metric.
    pub fn pieces<L: AsRef<[u8]> + From<&'static [u8]>>(
        self,
        lines: impl IntoIterator<Item = L>,
    ) -> impl Iterator<Item = L> {
        let end = (self == Self::OpenMetrics).then(|| L::from(b"# EOF\n"));
        let of_family = move |(lines, around): (L, &'static FamilyText)| {
            let is_there = !lines.as_ref().is_empty();
            is_there.then(|| [L::from(around.descriptor(self).as_bytes()), lines]).into_iter().flatten()
        };
        lines.into_iter().zip(&*FAMILY_TEXTS).flat_map(of_family).chain(end)
    }
}

/// What stands around the samples of each metric, in the order of the catalogue.
pub(super) static FAMILY_TEXTS: LazyLock<Vec<FamilyText>> =
    LazyLock::new(|| CATALOGUE.families.iter().map(FamilyText::of).collect());

/// What stands around the samples of a metric.
#[derive(Debug)]
pub(super) struct FamilyText {
    openmetrics: String,
    prometheus: String,
    /// What each of its samples is called, in both formats.
    sample: String,
}

impl FamilyText {
    fn of(family: &'static MetricFamily) -> Self {
        let (openmetrics, sample) = FamilyAlone::written(family, MetricFormat::OpenMetrics);
        let (prometheus, _) = FamilyAlone::written(family, MetricFormat::Prometheus);
        Self { openmetrics, prometheus, sample }
    }

    fn descriptor(&self, format: MetricFormat) -> &str {
        match format {
            MetricFormat::OpenMetrics => &self.openmetrics,
            MetricFormat::Prometheus => &self.prometheus,
        }
    }
}

/// A metric with one sample that has no labels.
#[derive(Debug)]
struct FamilyAlone {
    family: &'static MetricFamily,
    kind: MetricType,
}

impl FamilyAlone {
    /// The descriptor of a metric, and what its samples are called.
    fn written(family: &'static MetricFamily, format: MetricFormat) -> (String, String) {
        let kind = match (family.kind, format) {
            (MetricKind::Counter, _) => MetricType::Counter,
            (MetricKind::Info, _) => MetricType::Info,
            (MetricKind::StateSet, MetricFormat::OpenMetrics) => MetricType::Unknown,
            (MetricKind::Gauge, _) | (MetricKind::StateSet, MetricFormat::Prometheus) => MetricType::Gauge,
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Self { family, kind }));
        let mut out = String::new();
        // Writing into a string does not fail.
        let _ = match format {
            MetricFormat::OpenMetrics => text::encode_registry(&mut out, &registry),
            MetricFormat::Prometheus => prometheus_text::encode(&mut out, &registry),
        };
        let sample = out.lines().next_back().and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
        let mut descriptor: String = out.split_inclusive('\n').filter(|line| line.starts_with('#')).collect();
        if family.kind == MetricKind::StateSet {
            // The library has no name for this type.
            let of_type = |word| format!("# TYPE {} {word}\n", family.name);
            descriptor = descriptor.replace(&of_type(MetricType::Unknown.as_str()), &of_type("stateset"));
        }
        (descriptor, sample)
    }
}

impl Collector for FamilyAlone {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let MetricFamily { name, help, unit, .. } = self.family;
        let unit = unit.clone().map(Unit::Other);
        let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), self.kind)?;
        match self.kind {
            MetricType::Counter => metric.encode_counter::<NoLabelSet, u64, f64>(&0, None),
            MetricType::Info => metric.encode_info(&[("", ""); 0]),
            _ => metric.encode_gauge(&0_u64),
        }
    }
}

/// Adds a label and a comma.
pub(super) fn push_label(out: &mut String, key: &str, text: &str) {
    out.push_str(key);
    out.push_str("=\"");
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        out.push_str(match special.as_bytes()[0] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &special[1..];
    }
    out.push_str(rest);
    out.push_str("\",");
}

/// Adds the line of a sample whose labels are these, each with a comma behind it.
pub(super) fn push_line(out: &mut Vec<u8>, around: &FamilyText, labels: [&str; 2], value: u64, divisor: u64) {
    out.extend_from_slice(around.sample.as_bytes());
    if labels.iter().any(|labels| !labels.is_empty()) {
        out.push(b'{');
        for labels in labels {
            out.extend_from_slice(labels.as_bytes());
        }
        // The last comma.
        out.pop();
        out.push(b'}');
    }
    out.push(b' ');
    if divisor == 1 {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    } else {
        // Writing into memory does not fail.
        let _ = write!(out, "{:?}", part(value) / part(divisor));
    }
    out.push(b'\n');
}

/// A number that is divided; those are small.
fn part(number: u64) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}
