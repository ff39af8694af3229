//! Who may name whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{root, sources};

/// A room of the gateway, and the rooms that it names. Each names only rooms above it in this list, so that there is no
/// circle between rooms.
const ROOMS: &[(&str, &[&str])] = &[
    ("mapping", &[]),
    ("forwarding", &["mapping"]),
    ("counters", &["forwarding"]),
    ("events", &["forwarding"]),
    ("fdb", &["forwarding"]),
    ("rights", &[]),
    ("logging", &["rights"]),
    ("bpf", &["rights"]),
    ("io", &["bpf", "logging", "rights"]),
    ("dataplane", &["counters", "events", "fdb", "forwarding", "io"]),
    ("config", &[]),
    ("compile", &["config", "fdb", "forwarding", "io", "mapping"]),
    ("claims", &["compile", "forwarding", "io", "mapping"]),
    ("rib", &["compile", "counters", "dataplane", "events", "fdb", "forwarding"]),
    ("kernel", &["compile", "config", "forwarding", "io", "logging", "rib", "rights"]),
    ("report", &["compile", "counters", "dataplane", "fdb", "forwarding", "logging", "mapping", "rib"]),
    ("offline", &["compile", "counters", "dataplane", "events", "fdb", "forwarding", "io", "report", "rib"]),
    ("isolation", &["claims", "compile", "forwarding", "mapping"]),
    ("explain", &["compile", "config", "dataplane", "fdb", "forwarding", "io", "offline"]),
    ("diff", &["claims", "compile", "config", "forwarding", "io", "offline", "report"]),
    ("admin", &["forwarding", "logging", "report", "rights"]),
    (
        "run",
        &[
            "admin",
            "compile",
            "config",
            "dataplane",
            "diff",
            "events",
            "forwarding",
            "io",
            "kernel",
            "logging",
            "report",
            "rib",
            "rights",
        ],
    ),
    ("demo", &["admin", "kernel", "report"]),
    (
        "cli",
        &[
            "admin",
            "compile",
            "config",
            "demo",
            "diff",
            "explain",
            "forwarding",
            "io",
            "isolation",
            "logging",
            "offline",
            "report",
            "run",
        ],
    ),
];

/// The rooms that a file names: by `crate::room`, alone or in braces, or by climbing out of its own with `super::`.
/// `module` is where the file stands, from the crate's root; comments do not count.
fn named_rooms(text: &str, module: &[String]) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        rooms.extend(heads(&code[at + found.len()..]));
    }
    for (at, _) in code.match_indices("super::") {
        // Only the first of a chain.
        if code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut steps = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            (rest, steps) = (further, steps + 1);
        }
        // A module inside the file is one step more than the file's own, so only what climbs beyond both is out.
        if steps == module.len() {
            rooms.extend(heads(rest));
        }
    }
    rooms
}

/// The first words of a path, or of each path in braces.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    match path.strip_prefix('{') {
        None => vec![word(path)],
        Some(list) => {
            let mut depth = 0;
            let end = list.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0
            });
            let mut depth = 0;
            let items = list[..end.unwrap_or(0)].split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            items.map(|item| word(item.trim())).collect()
        }
    }
}

/// The modules from the crate's root to that of a file.
fn module_of(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let mut parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The files of a room: its folder, or the one file, or both.
fn files(room: &str) -> Vec<(PathBuf, String)> {
    let (folder, file) = (root().join("src").join(room), root().join(format!("src/{room}.rs")));
    [folder, file].iter().filter(|at| at.exists()).flat_map(|at| sources(at)).collect()
}

fn all() -> BTreeSet<String> {
    ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect()
}

#[test]
fn every_room_names_only_the_rooms_of_its_row() {
    let all = all();
    for (room, may_name) in ROOMS {
        for (path, text) in files(room) {
            for named in named_rooms(&text, &module_of(&path)).intersection(&all) {
                let allowed = named == room || may_name.contains(&named.as_str());
                assert!(allowed, "{} names `{named}`, which `{room}` must not know", path.display());
            }
        }
    }
}

#[test]
fn no_row_allows_what_nobody_uses() {
    for (room, may_name) in ROOMS {
        let named: BTreeSet<_> =
            files(room).iter().flat_map(|(path, text)| named_rooms(text, &module_of(path))).collect();
        for allowed in *may_name {
            assert!(named.contains(*allowed), "`{room}` does not name `{allowed}`: strike it");
        }
    }
}

#[test]
fn there_is_no_circle_between_rooms() {
    for (at, (room, may_name)) in ROOMS.iter().enumerate() {
        for named in *may_name {
            let above = ROOMS[..at].iter().any(|(other, _)| other == named);
            assert!(above, "`{room}` names `{named}`, which does not stand above it");
        }
    }
}

#[test]
fn sources_of_knowledge_know_the_rib_and_it_knows_none() {
    let row = |room: &str| ROOMS.iter().find(|(name, _)| *name == room).unwrap().1;
    assert!(row("kernel").contains(&"rib"));
    assert!(["kernel", "run", "admin", "report", "io"].iter().all(|source| !row("rib").contains(source)));
}

#[test]
fn every_module_of_the_gateway_is_a_room_with_rules() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = text.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(ROOMS.iter().any(|(room, _)| *room == module), "`{module}` has no line in ROOMS");
    }
}

#[test]
fn the_rule_finds_what_it_forbids() {
    let named = |text: &str, module: &[&str]| {
        let module: Vec<_> = module.iter().map(|part| (*part).to_owned()).collect();
        named_rooms(text, &module)
    };
    let deep = ["explain", "near", "outer"];
    assert!(named("use crate::run::start;", &deep).contains("run"));
    assert!(named("use crate::{fdb::{Fdb, Key}, config};", &deep).contains("config"));
    assert!(named("use super::super::super::run::start;", &deep).contains("run"), "out of the room by climbing");
    assert!(named("use super::super::super::{fdb, run};", &deep).contains("run"));
    assert!(!named("use super::super::run::start;", &deep).contains("run"), "a module of the room itself");
    assert!(named("use super::run::start;", &["explain"]).contains("run"), "in the room's first file");
    assert!(!named("// crate::run decides", &deep).contains("run"));
}
