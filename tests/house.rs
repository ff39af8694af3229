//! The house keeps its shape: who may name whom, where `unsafe` may stand, and what the encapsulations stay away
//! from. ARCHITECTURE.md says why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room of the gateway, and the rooms it may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("mapping", &[]),
    ("forwarding", &["mapping"]),
    ("counters", &["forwarding"]),
    ("events", &["forwarding"]),
    ("fdb", &["forwarding"]),
    ("bpf", &[]),
    ("io", &["bpf"]),
    ("dataplane", &["counters", "events", "fdb", "forwarding", "io"]),
    ("config", &["io"]),
    ("compile", &["config", "fdb", "forwarding", "io", "mapping"]),
    ("claims", &["compile", "forwarding", "io", "mapping"]),
    ("rib", &["compile", "config", "counters", "dataplane", "events", "fdb", "forwarding", "io", "kernel", "run"]),
    ("kernel", &["compile", "config", "forwarding", "io", "rib"]),
    ("report", &["compile", "counters", "dataplane", "fdb", "forwarding", "mapping", "rib", "run"]),
    ("offline", &["compile", "counters", "dataplane", "events", "fdb", "forwarding", "io", "report", "rib"]),
    ("isolation", &["claims", "compile", "forwarding", "mapping"]),
    ("explain", &["compile", "config", "dataplane", "fdb", "forwarding", "io", "offline"]),
    ("diff", &["claims", "compile", "config", "forwarding", "io", "offline", "report"]),
    ("admin", &["report", "run"]),
    (
        "run",
        &[
            "admin",
            "compile",
            "config",
            "counters",
            "dataplane",
            "diff",
            "events",
            "fdb",
            "forwarding",
            "io",
            "kernel",
            "report",
            "rib",
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
            "kernel",
            "offline",
            "report",
            "run",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, or the file itself, with its text.
fn sources(at: &Path) -> Vec<(PathBuf, String)> {
    if at.is_file() {
        return vec![(at.to_path_buf(), fs::read_to_string(at).unwrap())];
    }
    let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
        .into_iter()
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|path| sources(&path))
        .collect()
}

/// The rooms that a text names as `crate::room`, alone or in braces, its comments aside.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = BTreeSet::new();
    for (_, rest) in code.match_indices("crate::").map(|(at, found)| (at, &code[at + found.len()..])) {
        match rest.strip_prefix('{') {
            Some(list) => rooms.extend(list.split('}').next().unwrap_or("").split(',').map(|item| word(item.trim()))),
            None => drop(rooms.insert(word(rest))),
        }
    }
    rooms
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    let all: BTreeSet<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    for (room, may_name) in ROOMS {
        let (folder, file) = (root().join("src").join(room), root().join(format!("src/{room}.rs")));
        let at = if folder.is_dir() { folder } else { file };
        for (path, text) in sources(&at) {
            for named in named_rooms(&text).intersection(&all) {
                let allowed = named == room || may_name.contains(&named.as_str());
                assert!(allowed, "{} names `{named}`, which `{room}` must not know", path.display());
            }
        }
    }
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
    assert!(named_rooms("use crate::run::start;").contains("run"));
    assert!(named_rooms("use crate::{fdb::Fdb, config};").contains("config"));
    assert!(!named_rooms("// crate::run decides").contains("run"));
}

#[test]
fn unsafe_code_stands_only_where_the_kernel_is_called() {
    let allowed = [
        "src/bpf/sys.rs",
        "src/io/sys.rs",
        "src/io/af_xdp",
        "bench-lab/src/alarm.rs",
        // What stands in front of libc's ptrace, its test, and the processor that is simulated for another.
        "lab/xstate",
        "lab/tests/simulated",
    ];
    let allowed = allowed.map(|place| root().join(place));
    let forms = ["{", "fn", "impl", "trait", "extern"].map(|what| format!("unsafe {what}"));
    for folder in ["src", "interop-tests", "xtask/src", "bench-lab/src", "lab"] {
        for (path, text) in sources(&root().join(folder)) {
            let has_unsafe = forms.iter().any(|form| text.contains(form));
            let is_allowed = allowed.iter().any(|place| path.starts_with(place));
            assert!(!has_unsafe || is_allowed, "unsafe code in {}", path.display());
        }
    }
}

#[test]
fn the_lab_starts_the_gateway_as_a_process_and_does_not_know_its_code() {
    for (path, text) in sources(&root().join("lab")) {
        assert!(!text.contains("transload::") && !text.contains("transload_encaps"), "{}", path.display());
    }
}

#[test]
fn the_encapsulations_do_no_io_and_read_no_clock() {
    let encaps = root().join("encaps/src");
    assert!(fs::read_to_string(encaps.join("lib.rs")).unwrap().contains("#![forbid(unsafe_code)]"));
    let forbidden = ["std::io", "std::fs", "std::time", "std::thread", "std::process", "std::env", "Socket", "tokio"];
    for (path, text) in sources(&encaps) {
        for word in forbidden {
            assert!(!text.contains(word), "{} mentions {word}", path.display());
        }
    }
}
