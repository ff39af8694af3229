//! Every metric there is, and which field of which row it comes from: read from the rows' own attributes, once.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::text::push_label;
use crate::report::measure::{FIELD, Measure, MetricName, ROW, RowMeasure};
use crate::report::rows::{DropRow, GatewayRow, LogRow, MappingRow, PeerRow, PortRow, TenantRow, WorkerRow};

/// What begins the name of every metric.
const PREFIX: &str = "transload";
/// What may be the unit of a metric, at the end of its name.
const UNITS: [&str; 5] = ["bytes", "frames", "lines", "ratio", "seconds"];

/// All metrics and the rows that they come from.
pub static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::of_all_rows);

/// Metrics, and the rows that they come from.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The metrics, in the order of the rows.
    pub families: Vec<MetricFamily>,
    /// The number of fields, or words of a field, that are samples.
    pub samples: usize,
    by_name: BTreeMap<String, usize>,
    rows: HashMap<TypeId, RowShape>,
}

/// A metric: all that have one name.
#[derive(Debug)]
pub struct MetricFamily {
    /// Its name, without its unit and what stands for its kind.
    pub name: String,
    /// Its unit, if it has one.
    pub unit: Option<String>,
    /// What it is.
    pub help: String,
    /// Its kind.
    pub kind: MetricKind,
}

/// A kind of metric, as OpenMetrics has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows.
    Counter,
    /// A number of this moment.
    Gauge,
    /// Labels that say what something is, with the number 1.
    Info,
    /// Words of which one holds: 1 for that one, 0 for each of the others.
    StateSet,
}

/// What the fields of a row are, by their keys; those that are of no interest are left out.
pub type RowShape = HashMap<String, FieldShape, foldhash::fast::FixedState>;

/// What a field of a row is.
#[derive(Debug)]
pub enum FieldShape {
    /// A label.
    Label,
    /// A sample.
    Sample(SampleShape),
    /// The absence of a value is a sample.
    Absence(SampleShape),
    /// A label of an information.
    Info(usize),
    /// One of these words, each of which is a sample.
    States(Vec<(String, SampleShape)>),
    /// Rows in the row.
    Rows(RowShape),
}

/// How a number becomes a sample.
#[derive(Debug)]
pub struct SampleShape {
    /// Its own number in the catalogue.
    pub number: usize,
    /// The number of its metric in the catalogue.
    pub family: usize,
    /// The label that tells it from the metric's others, as text with a comma behind it; empty if there are none.
    pub label: String,
    /// How many of the field's are one of the metric's.
    pub divisor: u64,
    /// Whether the samples of several rows may be added up.
    pub adds_up: bool,
}

impl Catalogue {
    fn of_all_rows() -> Self {
        let mut catalogue = Self::default();
        catalogue.add::<GatewayRow>();
        catalogue.add::<WorkerRow>();
        catalogue.add::<PortRow>();
        catalogue.add::<PeerRow>();
        catalogue.add::<TenantRow>();
        catalogue.add::<MappingRow>();
        catalogue.add::<DropRow>();
        catalogue.add::<LogRow>();
        catalogue
    }

    /// The shape of a row; `None` if nothing of it is a metric.
    #[must_use]
    pub fn shape<T: 'static>(&self) -> Option<&RowShape> {
        self.rows.get(&TypeId::of::<T>())
    }

    fn add<T: JsonSchema + 'static>(&mut self) {
        let mut generator =
            SchemaSettings::default().with(|settings| settings.inline_subschemas = true).into_generator();
        let shape = self.row(generator.root_schema_for::<T>().as_value());
        self.rows.insert(TypeId::of::<T>(), shape);
    }

    fn row(&mut self, schema: &Value) -> RowShape {
        let mut shape = RowShape::default();
        let Some(row) = row_measure(schema).filter(|row| row.subject.is_some()) else { return shape };
        for (key, field) in schema["properties"].as_object().into_iter().flatten() {
            if row.without.iter().any(|without| without == key) {
                continue;
            }
            let found = match field_measure(field) {
                Some(measure) => self.field(&row, &measure, field),
                None => {
                    rows_in(field).map(|inner| self.row(inner)).filter(|inner| !inner.is_empty()).map(FieldShape::Rows)
                }
            };
            shape.extend(found.map(|found| (key.clone(), found)));
        }
        shape
    }

    fn field(&mut self, row: &RowMeasure, measure: &Measure, field: &Value) -> Option<FieldShape> {
        let about = match measure {
            Measure::Absence(_) => format!("1 unless there is a reason. {}", about(field)),
            Measure::Gauge(MetricName { divisor: 1000, .. }) => format!("As a part of 1. {}", about(field)),
            _ => about(field),
        };
        let adds_up = |named: &MetricName| unit(&full_name(row, &named.name)).is_none();
        let mut family = |kind, named: &MetricName| self.family(row, kind, named, &about);
        Some(match measure {
            Measure::Label => FieldShape::Label,
            Measure::Counter(named) => {
                let family = family(MetricKind::Counter, named);
                FieldShape::Sample(SampleShape { adds_up: true, ..self.sample(family, named) })
            }
            Measure::Gauge(named) => {
                let family = family(MetricKind::Gauge, named);
                FieldShape::Sample(SampleShape { adds_up: adds_up(named), ..self.sample(family, named) })
            }
            Measure::Absence(named) => {
                let family = family(MetricKind::Gauge, named);
                FieldShape::Absence(self.sample(family, named))
            }
            Measure::Info(named) => FieldShape::Info(family(MetricKind::Info, named)),
            Measure::States(named) => {
                let family = family(MetricKind::StateSet, named);
                let key = full_name(row, &named.name).into();
                let of_word = |word: String| {
                    let label = Some((Cow::clone(&key), word.clone().into()));
                    (word, self.sample(family, &MetricName { label, ..named.clone() }))
                };
                FieldShape::States(words(field).into_iter().map(of_word).collect())
            }
            Measure::None(_) => return None,
        })
    }

    /// A sample of a metric, which does not add up.
    fn sample(&mut self, family: usize, named: &MetricName) -> SampleShape {
        let mut label = String::new();
        if let Some((key, value)) = &named.label {
            push_label(&mut label, key, value);
        }
        self.samples += 1;
        SampleShape { number: self.samples - 1, family, label, divisor: named.divisor, adds_up: false }
    }

    /// The number of a metric, which a field before may have named, too.
    fn family(&mut self, row: &RowMeasure, kind: MetricKind, named: &MetricName, about: &str) -> usize {
        let whole = full_name(row, &named.name);
        // What several fields say is told of each.
        let help = match &named.label {
            Some((key, value)) => format!("{key} {value}: {about}"),
            None => about.to_owned(),
        };
        if let Some(&known) = self.by_name.get(&whole) {
            let family = &mut self.families[known];
            family.help = format!("{} {help}", family.help);
            return known;
        }
        let unit = unit(&whole);
        let name = unit.map_or(whole.as_str(), |unit| &whole[..whole.len() - unit.len() - 1]).to_owned();
        self.families.push(MetricFamily { name, unit: unit.map(str::to_owned), help, kind });
        self.by_name.insert(whole, self.families.len() - 1);
        self.families.len() - 1
    }
}

/// What the metrics of a row are about, if it says.
#[must_use]
pub fn row_measure(schema: &Value) -> Option<RowMeasure> {
    serde_json::from_value(schema.get(ROW)?.clone()).ok()
}

/// What a field is as a metric, if it says.
#[must_use]
pub fn field_measure(field: &Value) -> Option<Measure> {
    serde_json::from_value(field.get(FIELD)?.clone()).ok()
}

/// The name of a metric as its samples have it in OpenMetrics.
#[must_use]
pub fn sample_name(row: &RowMeasure, measure: &Measure) -> Option<String> {
    Some(match measure {
        Measure::Counter(named) => format!("{}_total", full_name(row, &named.name)),
        Measure::Info(named) => format!("{}_info", full_name(row, &named.name)),
        Measure::Gauge(named) | Measure::Absence(named) | Measure::States(named) => full_name(row, &named.name),
        Measure::Label | Measure::None(_) => return None,
    })
}

fn full_name(row: &RowMeasure, name: &str) -> String {
    let parts = [PREFIX, row.subject.as_deref().unwrap_or_default(), name];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

fn unit(name: &str) -> Option<&'static str> {
    UNITS.into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
}

/// The comment of a field, in one line.
fn about(field: &Value) -> String {
    field["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The schema of the rows that a field has, if it has some.
fn rows_in(field: &Value) -> Option<&Value> {
    [field.get("items"), Some(field)].into_iter().flatten().find(|schema| schema.get("properties").is_some())
}

/// The words that a field may be.
fn words(field: &Value) -> Vec<String> {
    let of_one = |one: &Value| one["const"].as_str().map(str::to_owned);
    let listed = field["enum"].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned));
    listed.chain(field["oneOf"].as_array().into_iter().flatten().filter_map(of_one)).collect()
}
