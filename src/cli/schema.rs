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

/// Every object of the schema with its fields, the file itself first. Objects with the same fields are told once.
fn page(schema: &Value) -> String {
    let mut sections = vec![("The file".to_owned(), section(schema))];
    for (name, object) in schema["$defs"].as_object().into_iter().flatten() {
        // A name that was taken has a number behind it.
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let text = section(object);
        match sections.iter_mut().find(|(_, told)| *told == text) {
            Some((names, _)) if !names.split(", ").any(|told| told == name) => names.extend([", ", name]),
            Some(_) => {}
            None => sections.push((name.to_owned(), text)),
        }
    }
    sections.retain(|(_, text)| !text.is_empty());
    sections.into_iter().flat_map(|(names, text)| [names, text]).collect()
}

/// What the object is, and a line for each of its fields; empty if it has none.
fn section(object: &Value) -> String {
    let none = Map::new();
    let fields = object["properties"].as_object().unwrap_or(&none);
    let choices: Vec<_> = choices(object).collect();
    let own_words = words(object);
    if fields.is_empty() && choices.is_empty() && own_words.is_empty() {
        return String::new();
    }
    let about_it = about(object);
    let mut lines = vec![if about_it.is_empty() { ":".to_owned() } else { format!(": {about_it}") }];
    for (field, value) in fields {
        let default = match &value["default"] {
            Value::Null => String::new(),
            default => format!(" Default: {default}."),
        };
        let words: Vec<_> = words(value).iter().map(|word| format!("`{word}`")).collect();
        let words = if words.is_empty() { String::new() } else { format!(" Words: {}.", words.join(", ")) };
        lines.push(format!("    {field:<16} {}{words}{default}", about(value)));
    }
    for choice in choices {
        let word = choice["const"].as_str().unwrap_or_default();
        lines.push(format!("    {word:<16} {}", about(choice)));
    }
    lines.extend(
        own_words.iter().map(|word| format!("    {word:<16} alone, or with options: `{{ {word}: {{ .. }} }}`")),
    );
    lines.join("\n") + "\n\n"
}

/// The words of a choice that have an explanation.
fn choices(object: &Value) -> impl Iterator<Item = &Value> {
    object["oneOf"].as_array().into_iter().flatten().filter(|choice| choice["const"].is_string())
}

/// The words that may stand for a value, those without an explanation.
fn words(value: &Value) -> Vec<&str> {
    let own = value["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    own.chain(value["anyOf"].as_array().into_iter().flatten().flat_map(words)).collect()
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
        assert!(page.contains("\n    nvgre ") && page.contains("`uniform`"), "choices without options are told, too");
        assert!(!page.contains("Tenant2"), "people are not told the generator's names");
    }
}
