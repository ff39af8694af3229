//! What `packaging/` has for Prometheus and Grafana: the rules do what they promise, and the dashboard asks what can be
//! asked.

mod dashboard;
mod live;
#[path = "../common/prometheus.rs"]
mod prometheus;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use transload::report::metrics::catalogue::{CATALOGUE, MetricFamily, MetricKind};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

fn yaml(name: &str) -> Value {
    let text = std::fs::read_to_string(packaging().join("prometheus").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value:#}"))
}

/// Runs promtool beside the rules, and fails with what it says.
fn promtool(arguments: &[&str]) {
    let mut command = Command::new("promtool");
    let output = command.args(arguments).current_dir(packaging().join("prometheus")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// The metrics that a gateway serves, by the names of their samples.
fn served() -> BTreeSet<String> {
    let name = |family: &MetricFamily| {
        let unit = family.unit.as_ref().map_or_else(String::new, |unit| format!("_{unit}"));
        let kind = match family.kind {
            MetricKind::Counter => "_total",
            MetricKind::Info => "_info",
            MetricKind::Gauge | MetricKind::StateSet => "",
        };
        format!("{}{unit}{kind}", family.name)
    };
    CATALOGUE.families.iter().map(name).collect()
}

/// Metrics of ours that a query names.
fn metrics(query: &str) -> Vec<&str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !is_of_name(c));
    // A label of the set of states is called like its metric: it is followed by what it is compared with.
    words.filter(|word| word.starts_with("transload_") || word.contains(":transload_")).collect()
}
