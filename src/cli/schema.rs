//! `transload schema`: what a gateway's file may say, as JSON Schema for editors or as a page for people.

use serde_json::Value;

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
    let schema = schema()?;
    if args.text {
        return output(page(&schema).trim_end());
    }
    output(&serde_json::to_string_pretty(&schema).map_err(|error| Failure::new(error.to_string()))?)
}

/// The schema as JSON.
pub(super) fn schema() -> Result<Value, Failure> {
    serde_json::to_value(config::schema()).map_err(|error| Failure::new(error.to_string()))
}

/// What is told of one object of the schema.
#[derive(Debug, PartialEq)]
pub(super) struct Section {
    /// What the object is.
    pub(super) about: String,
    /// Its fields or words, and what each means.
    pub(super) entries: Vec<(String, String)>,
}

/// Every object of the schema under its name, the file itself first. Objects with the same fields are told once, under
/// all of their names.
pub(super) fn sections(schema: &Value) -> Vec<(String, Section)> {
    let mut sections = vec![("The file".to_owned(), section(schema))];
    for (name, object) in schema["$defs"].as_object().into_iter().flatten() {
        // A name that was taken has a number behind it.
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let about_it = section(object);
        match sections.iter_mut().find(|(_, told)| *told == about_it) {
            Some((names, _)) if !names.split(", ").any(|told| told == name) => names.extend([", ", name]),
            Some(_) => {}
            None => sections.push((name.to_owned(), about_it)),
        }
    }
    sections.retain(|(_, section)| !section.entries.is_empty());
    sections
}

/// The page for people.
fn page(schema: &Value) -> String {
    let text = |(names, section): (String, Section)| {
        let about = if section.about.is_empty() { String::new() } else { format!(" {}", section.about) };
        let entries = section.entries.iter().map(|(name, text)| format!("    {name:<16} {text}\n"));
        format!("{names}:{about}\n{}\n", entries.collect::<String>())
    };
    sections(schema).into_iter().map(text).collect()
}

/// What the object is, and its fields and words.
fn section(object: &Value) -> Section {
    let field = |(field, value): (&String, &Value)| {
        let default = match &value["default"] {
            Value::Null => String::new(),
            default => format!(" Default: {default}."),
        };
        let words: Vec<_> = words(value).iter().map(|word| format!("`{word}`")).collect();
        let words = if words.is_empty() { String::new() } else { format!(" Words: {}.", words.join(", ")) };
        (field.clone(), format!("{}{words}{default}", about(value)))
    };
    let choice = |choice: &Value| (choice["const"].as_str().unwrap_or_default().to_owned(), about(choice));
    let word = |word: &str| (word.to_owned(), format!("alone, or with options: `{{ {word}: {{ .. }} }}`"));
    let fields = object["properties"].as_object().into_iter().flatten().map(field);
    let entries = fields.chain(choices(object).map(choice)).chain(words(object).into_iter().map(word));
    Section { about: about(object), entries: entries.collect() }
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
