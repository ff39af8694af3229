//! `transload schema`: what a gateway's file may say, as JSON Schema for editors or as a page for people.

use serde_json::{Map, Value};

use super::Failure;
use super::render::output;
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A page to read instead: every field, what it means, and its default
    #[arg(long)]
    text: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let schema = serde_json::to_value(config::schema()).map_err(|error| Failure::new(error.to_string()))?;
    if args.text {
        return output(page(&schema).trim_end());
    }
    output(&serde_json::to_string_pretty(&schema).map_err(|error| Failure::new(error.to_string()))?)
}

/// Every object of the schema with its fields, the file itself first.
fn page(schema: &Value) -> String {
    let mut page = section("The file", schema);
    for (name, object) in schema["$defs"].as_object().into_iter().flatten() {
        page += &section(name, object);
    }
    page
}

fn section(name: &str, object: &Value) -> String {
    let none = Map::new();
    let fields = object["properties"].as_object().unwrap_or(&none);
    let choices: Vec<_> = choices(object).collect();
    if fields.is_empty() && choices.is_empty() {
        return String::new();
    }
    let mut text = format!("{name}: {}\n", about(object));
    for (field, value) in fields {
        let default = match &value["default"] {
            Value::Null => String::new(),
            default => format!(" Default: {default}."),
        };
        text += &format!("    {field:<16} {}{default}\n", about(value));
    }
    for choice in choices {
        let word = choice["const"].as_str().unwrap_or_default();
        text += &format!("    {word:<16} {}\n", about(choice));
    }
    text + "\n"
}

/// The words of a choice that have an explanation.
fn choices(object: &Value) -> impl Iterator<Item = &Value> {
    object["oneOf"].as_array().into_iter().flatten().filter(|choice| choice["const"].is_string())
}

/// The description, on one line.
fn about(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_schema_is_on_the_page() {
        let schema = serde_json::to_value(config::schema()).unwrap();
        let page = page(&schema);
        let objects = schema["$defs"].as_object().unwrap().values().chain([&schema]);
        for field in objects.filter_map(|object| object["properties"].as_object()).flatten().map(|(field, _)| field) {
            assert!(page.contains(&format!("\n    {field} ")), "{field} is missing");
        }
        assert!(page.contains("udp_port") && page.contains("4789"));
    }
}
