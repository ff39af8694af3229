//! Samples of everything the registry lists: all options of each encapsulation, all boundary values of its IDs.

use std::fmt;

use serde_json::{Value, json};
use transload_encaps::{Compiled, IdField, IdForm, Ids, Kind, Segment, Spec};

/// A peer that knows one segment.
pub(crate) struct Sample {
    /// How it was asked for.
    pub(crate) spec: Spec,
    /// What came of it.
    pub(crate) peer: Compiled,
    /// The tenant ID it has claimed.
    pub(crate) segment: Segment,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", serde_json::json!(self.spec), self.spec.kind().ids(self.segment))
    }
}

/// Every spec with every boundary ID.
pub(crate) fn samples() -> Vec<Sample> {
    let of = |spec: Spec| {
        segments(spec.kind()).into_iter().map(move |segment| Sample {
            peer: peer(&spec, segment),
            spec: spec.clone(),
            segment,
        })
    };
    specs().into_iter().flat_map(of).collect()
}

/// The compiled peer of a spec, after the control plane has told it of its segment.
pub(crate) fn peer(spec: &Spec, segment: Segment) -> Compiled {
    let mut peer = spec.compile().expect("a sample compiles");
    peer.claim(segment).expect("nothing else is claimed");
    peer.carry_state(None);
    peer
}

/// An Ethernet frame without a tag, with different bytes everywhere, of a type that nothing parses.
pub(crate) fn tenant_frame(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..len).map(|at| (at * 31 + len) as u8).collect();
    bytes[0] = 0x02;
    bytes[6] = 0x02;
    // IEEE 802 local experimental EtherType.
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes
}

/// Every encapsulation, with every combination of the options that its schema lists choices for.
pub(crate) fn specs() -> Vec<Spec> {
    let schema = schemars::schema_for!(Spec).to_value();
    Kind::ALL.iter().flat_map(|&kind| specs_of(kind, &schema)).collect()
}

fn specs_of(kind: Kind, schema: &Value) -> Vec<Spec> {
    let tag = kind.info().tag;
    let default = json!(Spec::default_of(kind));
    let mut all = vec![default.clone()];
    for (option, usual) in default[tag].as_object().expect("options are a map") {
        let choices = choices(schema, tag, option).unwrap_or_else(|| vec![usual.clone()]);
        let with = |spec: &Value| {
            let mut spec = spec.clone();
            choices.iter().map(move |choice| (spec[tag][option] = choice.clone(), spec.clone()).1).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all.into_iter().map(|spec| serde_json::from_value(spec).expect("the schema's choices are accepted")).collect()
}

/// The values an option can have, if they can be counted: `true` and `false`, or the words of a choice.
fn choices(schema: &Value, tag: &str, option: &str) -> Option<Vec<Value>> {
    let resolve = |value: &Value| match value.get("$ref").and_then(Value::as_str) {
        Some(place) => schema.pointer(place.trim_start_matches('#')).cloned().unwrap_or_default(),
        None => value.clone(),
    };
    let branch = schema["anyOf"].as_array()?.iter().find_map(|branch| branch["properties"].get(tag))?;
    let option = resolve(&resolve(branch)["properties"][option]);
    if option["type"] == "boolean" {
        return Some(vec![false.into(), true.into()]);
    }
    Some(option["oneOf"].as_array()?.iter().map(|choice| choice["const"].clone()).collect())
}

/// All segments whose ID fields are at a boundary: of the field, or of what is reserved.
pub(crate) fn segments(kind: Kind) -> Vec<Segment> {
    let mut all: Vec<Vec<(&'static str, u64)>> = vec![vec![]];
    for field in kind.info().ids {
        let mut with = Vec::new();
        for ids in &all {
            with.push(ids.clone());
            with.extend(boundaries(field).into_iter().map(|value| [&ids[..], &[(field.name, value)]].concat()));
        }
        all = with;
    }
    let segments: Vec<_> = all.iter().filter_map(|ids| kind.segment(&Ids::of(ids)).ok()).collect();
    assert!(!segments.is_empty(), "{kind:?} has no usable ID");
    segments
}

/// Segments whose fields are ranges, each from a boundary on, where a field takes them.
pub(crate) fn ranges(kind: Kind) -> Vec<Segment> {
    let with_range = |segment: Segment| {
        let (mut ids, old) = (Ids::default(), kind.ids(segment));
        let mut has_range = false;
        for field in kind.info().ids {
            match old.get(field.name) {
                Some(first) if field.takes_ranges => {
                    has_range = true;
                    ids.set_range(field.name, first..=first + 1);
                }
                Some(value) => ids.set(field.name, value),
                None => {}
            }
        }
        kind.segment(&ids).ok().filter(|_| has_range)
    };
    segments(kind).into_iter().filter_map(with_range).collect()
}

fn boundaries(field: &IdField) -> Vec<u64> {
    let max = match field.form {
        IdForm::Number { max } => max,
        IdForm::Flag => 1,
    };
    let edges = field.reserved.iter().flat_map(|(range, _)| [range.start().wrapping_sub(1), range.end() + 1]);
    let mut values: Vec<_> = [0, 1, max / 2, max].into_iter().chain(edges).collect();
    values.retain(|value| *value <= max && !field.reserved.iter().any(|(range, _)| range.contains(value)));
    values.sort_unstable();
    values.dedup();
    values
}
