//! A word means one thing in the whole tree.

use std::collections::BTreeMap;

use super::{code_of, root, sources};

/// Nouns that keep their name from one layer to the next: as the file has them, as the tables have them, and as the
/// encapsulations do.
const OF_SEVERAL_LAYERS: &[&str] = &[
    "Attachment",
    "Dscp",
    "Duplicates",
    "Endpoint",
    "Fdb",
    "Group",
    "InnerTags",
    "Mapping",
    "MssClamp",
    "Peer",
    "Port",
    "Static",
    "UdpChecksum",
];

/// Names that each encapsulation gives to its own.
const OF_EVERY_ENCAPSULATION: &[&str] = &["Spec", "Drop", "State"];

/// The names of the types that a text defines.
fn types(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines() {
        let line = line.trim_start();
        let line =
            ["pub ", "pub(super) ", "pub(crate) "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
        let rest = ["struct ", "enum ", "trait "].iter().find_map(|word| line.strip_prefix(word));
        found.extend(rest.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>()));
    }
    found.retain(|name| name.starts_with(char::is_uppercase));
    found
}

#[test]
fn no_two_things_share_a_type_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["src", "encaps/src"] {
        for (path, text) in sources(&root().join(folder)) {
            for name in types(&code_of(&text)) {
                places.entry(name).or_default().push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    // The command line's arguments have one name for every verb.
    let is_allowed =
        |name: &str| name == "Args" || [OF_SEVERAL_LAYERS, OF_EVERY_ENCAPSULATION].concat().contains(&name);
    let shared: BTreeMap<_, _> = places.iter().filter(|(name, places)| places.len() > 1 && !is_allowed(name)).collect();
    assert!(shared.is_empty(), "{shared:#?}");
    for name in OF_SEVERAL_LAYERS {
        assert!(places.get(*name).is_some_and(|places| places.len() > 1), "`{name}` is defined once: strike it");
    }
}

#[test]
fn the_rule_finds_the_types_of_a_text() {
    let text = "pub(super) struct Way<'a> {\nenum Wish {\npub trait Port<'mem> {\n/// struct Not\nlet structure = 1;\n";
    assert_eq!(types(&code_of(text)), ["Way", "Wish", "Port"]);
}
