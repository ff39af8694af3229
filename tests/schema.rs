//! The JSON Schema knows what the loader knows: the samples fit it, and what the loader refuses it refuses.

use serde_json::{Value, json};
use transload::config;
use transload_encaps::Kind;

const SAMPLES: [&str; 5] = [
    include_str!("../configs/dc-border.yaml"),
    include_str!("../configs/vxlan-two-sites.yaml"),
    include_str!("../configs/nvgre-migration.yaml"),
    include_str!("../configs/qinq-handoff.yaml"),
    include_str!("../configs/gre-hub.yaml"),
];

fn schema() -> Value {
    serde_json::to_value(config::schema()).expect("a schema is JSON")
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("a sample is YAML")
}

/// Why a value does not fit, by as much of JSON Schema as ours uses. Anything else in it fails the test.
fn misfit(root: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
    let rules = match schema {
        Value::Bool(true) => return None,
        Value::Object(rules) => rules,
        other => return Some(format!("{path}: {other} is no schema")),
    };
    rules.iter().find_map(|(rule, wanted)| match rule.as_str() {
        "$ref" => {
            let name = wanted.as_str()?.strip_prefix("#/$defs/").expect("only local definitions");
            misfit(root, &root["$defs"][name], value, path)
        }
        "type" => {
            let kinds = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
            (!kinds.iter().any(|kind| is_a(value, kind.as_str().unwrap_or_default())))
                .then(|| format!("{path}: {value} is no {wanted}"))
        }
        "properties" => wanted
            .as_object()?
            .iter()
            .find_map(|(name, inner)| misfit(root, inner, value.get(name)?, &format!("{path}/{name}"))),
        "additionalProperties" => value.as_object()?.iter().find_map(|(name, inner)| {
            let path = format!("{path}/{name}");
            match wanted {
                _ if rules.get("properties").is_some_and(|known| known.get(name).is_some()) => None,
                Value::Bool(false) => Some(format!("{path}: unknown")),
                wanted => misfit(root, wanted, inner, &path),
            }
        }),
        "required" => wanted
            .as_array()?
            .iter()
            .find_map(|name| value.get(name.as_str()?).is_none().then(|| format!("{path}: no {name}"))),
        "items" => value.as_array()?.iter().find_map(|item| misfit(root, wanted, item, &format!("{path}/*"))),
        "anyOf" | "oneOf" => {
            let misfits: Vec<_> = wanted.as_array()?.iter().map(|choice| misfit(root, choice, value, path)).collect();
            let fitting = misfits.iter().filter(|misfit| misfit.is_none()).count();
            let enough = if rule == "oneOf" { fitting == 1 } else { fitting >= 1 };
            (!enough).then(|| format!("{path}: {misfits:?}"))
        }
        "enum" => (!wanted.as_array()?.contains(value)).then(|| format!("{path}: {value} is not in {wanted}")),
        "const" => (wanted != value).then(|| format!("{path}: {value} is not {wanted}")),
        "minimum" => (value.as_f64()? < wanted.as_f64()?).then(|| format!("{path}: {value} < {wanted}")),
        "maximum" => (value.as_f64()? > wanted.as_f64()?).then(|| format!("{path}: {value} > {wanted}")),
        "$schema" | "$defs" | "title" | "description" | "default" | "format" | "pattern" => None,
        other => Some(format!("{path}: this test does not know the rule {other}")),
    })
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[test]
fn every_sample_fits_the_schema() {
    let schema = schema();
    for text in SAMPLES {
        assert_eq!(misfit(&schema, &schema, &yaml(text), ""), None);
    }
}

#[test]
fn what_the_loader_refuses_the_schema_refuses() {
    let schema = schema();
    for (wrong, why) in [
        (json!({ "ports": {} }), "the version is missing"),
        (json!({ "version": 2 }), "another version"),
        (json!({ "version": 1, "banana": 1 }), "an unknown section"),
        (json!({ "version": 1, "ports": { "up": { "devise": "eth1" } } }), "an unknown field"),
        (json!({ "version": 1, "ports": { "up": { "device": "eth1", "mtu": 10 } } }), "an MTU out of range"),
        (json!({ "version": 1, "peers": { "a": { "address": "192.0.2.9" } } }), "no encapsulation"),
        (json!({ "version": 1, "peers": { "a": { "address": "192.0.2.9", "encap": "qinq" } } }), "tags are no peer's"),
        (
            json!({ "version": 1, "peers": { "a": { "address": "192.0.2.9", "encap": { "vxlan": { "udp": 1 } } } } }),
            "an option",
        ),
        (json!({ "version": 1, "tenants": { "t": { "attachments": { "a": { "vni": 1 } } } } }), "attached to nothing"),
        (
            json!({ "version": 1, "tenants": { "t": { "attachments": { "a": { "peer": "p", "vni": 16_777_216 } } } } }),
            "a VNI of 25 bits",
        ),
        (json!({ "version": 1, "tenants": { "t": { "attachments": {}, "loop_guard": "never" } } }), "a word unknown"),
        (
            json!({ "version": 1, "tenants": { "t": { "attachments": {}, "duplicates": { "moves": 0 } } } }),
            "a move too few",
        ),
        (
            json!({ "version": 1, "tenants": { "t": { "attachments": { "a": { "peer": "p", "vni": 1, "l2cp": 1 } } } } }),
            "no word",
        ),
        (
            json!({ "version": 1, "tenants": { "t": { "attachments": {}, "limits": { "bum": 0 } } } }),
            "no broadcast at all",
        ),
    ] {
        assert!(misfit(&schema, &schema, &wrong, "").is_some(), "{why}");
    }
}

#[test]
fn the_id_fields_and_encapsulations_are_those_of_the_registry() {
    let schema = schema();
    let attachment = schema["$defs"]["Attachment"]["properties"].as_object().expect("an attachment has fields");
    let choices = schema["$defs"]["Encapsulation"].to_string();
    for kind in Kind::ALL {
        for field in kind.info().ids {
            let about = attachment[field.name]["description"].as_str().unwrap_or_default();
            assert!(about.starts_with(field.about), "{}: {about}", field.name);
            assert_eq!(about.contains("receive"), kind.has_peers(), "{}", field.name);
        }
        assert_eq!(choices.contains(&format!("\"{}\"", kind.info().tag)), kind.has_peers(), "{}", kind.info().tag);
    }
}

#[test]
fn a_policy_fits_as_a_word_and_as_a_map() {
    let schema = schema();
    for policies in [
        json!({ "attachments": {}, "loop_guard": "off", "duplicates": "on" }),
        json!({ "attachments": {}, "loop_guard": { "hold": "60s" } }),
        json!({ "attachments": {}, "duplicates": { "moves": 5, "within": "180s", "hold": "5m" } }),
        json!({ "attachments": { "a": { "peer": "p", "vni": 1, "l2cp": "tunnel" } } }),
    ] {
        let file = json!({ "version": 1, "tenants": { "t": policies } });
        assert_eq!(misfit(&schema, &schema, &file, ""), None);
    }
}
