//! The house keeps its shape: who may name whom, where `unsafe` may stand, and what the encapsulations stay away
//! from. ARCHITECTURE.md says why.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use transload_encaps::{Carrier, Kind};

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
    ("report", &["compile", "counters", "dataplane", "fdb", "forwarding", "mapping", "rib"]),
    ("offline", &["compile", "counters", "dataplane", "events", "fdb", "forwarding", "io", "report", "rib"]),
    ("isolation", &["claims", "compile", "forwarding", "mapping"]),
    ("explain", &["compile", "config", "dataplane", "fdb", "forwarding", "io", "offline"]),
    ("diff", &["claims", "compile", "config", "forwarding", "io", "offline", "report"]),
    ("admin", &["report"]),
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

/// Where encapsulations are named as data: what is known of their far ends, and the networks of the demo.
const NAMES_ENCAPSULATIONS: [&str; 2] = ["src/config/profiles.rs", "src/demo"];

/// A text without its comments, and without the unit tests at its end.
fn code_of(text: &str) -> String {
    let tests = text.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        let module = text[*at..].lines().nth(1).unwrap_or("");
        module.ends_with('{')
    });
    let code = &text[..tests.map_or(text.len(), |(at, _)| at)];
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The parts of a text that only make sense for one encapsulation that peers speak: its type, its YAML tag, the label of
/// one of its drops, or its port or protocol number.
fn named_encapsulations(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_a_string = |text: &str| code.contains(&format!("\"{text}\""));
    for &kind in Kind::ALL {
        let info = kind.info();
        let labels = info.drops.iter().map(|row| row.label);
        found.extend(labels.filter(|label| is_a_string(label)).map(str::to_owned));
        if !kind.has_peers() {
            continue;
        }
        found.extend(is_a_string(info.tag).then(|| info.tag.to_owned()));
        let types = ["Kind", "Spec", "Compiled"].map(|of| format!("{of}::{kind:?}"));
        found.extend(types.into_iter().filter(|path| is_word_in(code, path)));
        let module = format!("{}::", info.tag);
        found.extend(code.match_indices(&module).filter(|(at, _)| begins_word(code, *at)).map(|_| module.clone()));
        for carrier in info.also_on.iter().map(|(also, _)| *also).chain([info.carrier]) {
            let (of, number) = match carrier {
                Carrier::Udp(port) => ("Udp", port.to_string()),
                Carrier::Ip(protocol) => ("Ip", protocol.to_string()),
                Carrier::Port => continue,
            };
            let patterns = arguments(code, of).any(|inside| is_word_in(inside, &number));
            let mut constants = code.lines().filter(|line| line.contains("const "));
            let is_constant = constants.any(|line| line.rsplit("= ").next() == Some(&format!("{number};")));
            found.extend((patterns || is_constant).then(|| carrier.to_string()));
        }
    }
    found
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(is_of_word)
}

fn is_word_in(text: &str, word: &str) -> bool {
    let mut places = text.match_indices(word);
    places.any(|(at, _)| begins_word(text, at) && !text[at + word.len()..].starts_with(is_of_word))
}

/// What stands between the parentheses behind a word.
fn arguments<'t>(text: &'t str, word: &str) -> impl Iterator<Item = &'t str> {
    let begin = format!("{word}(");
    let places: Vec<_> = text.match_indices(&begin).map(|(at, begin)| at + begin.len()).collect();
    places.into_iter().map(|at| text[at..].split(')').next().unwrap_or(""))
}

#[test]
fn encapsulations_are_named_nowhere_but_in_their_own_files() {
    let allowed = NAMES_ENCAPSULATIONS.map(|place| root().join(place));
    for (path, text) in sources(&root().join("src")) {
        let is_test = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")));
        if is_test || allowed.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        let named = named_encapsulations(&code_of(&text));
        assert!(named.is_empty(), "{} knows what only an encapsulation may know: {named:?}", path.display());
    }
    for place in &allowed {
        let named = sources(place).iter().any(|(_, text)| !named_encapsulations(&code_of(text)).is_empty());
        assert!(named, "{} names no encapsulation any more", place.display());
    }
}

#[test]
fn the_rule_about_encapsulations_finds_what_it_forbids() {
    let found = |code: &str| named_encapsulations(&code_of(code)).into_iter().collect::<Vec<_>>().join(", ");
    for (code, what) in [
        ("match kind.info().tag {\n    \"vxlan\" => self.vxlan(),\n    _ => None,\n}", "vxlan"),
        ("if reason.label() == \"gre_checksum\" {", "gre_checksum"),
        ("    \"qinq_reserved_vid\" => 4095,", "qinq_reserved_vid"),
        ("if peer.compiled.kind() != Kind::Gre {", "Kind::Gre"),
        ("if let Spec::Gre(spec) = &side.spec {", "Spec::Gre"),
        ("Some(Compiled::Nvgre(peer, _)) =>", "Compiled::Nvgre"),
        ("transload_encaps::gre::Drop::Version", "gre::"),
        ("Some(Carrier::Udp(4789 | 8472)) => Some(kind),", "UDP port 4789, UDP port 8472"),
        ("matches!(carrier, Carrier::Ip(47))", "IP protocol 47"),
        ("const TUNNEL: i32 = 47;", "IP protocol 47"),
    ] {
        assert_eq!(found(code), what, "{code}");
    }
    for code in [
        "// Kind::Gre, \"gre\", Carrier::Ip(47)",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    const PORT: u16 = 4789;\n}",
        "kind.info().title",
        "Egress = 47,",
        "Carrier::Ip(147)",
        "message(\"write `encap: vxlan`\")",
        "if let Compiled::QinQ(tags, _) = &port {",
    ] {
        assert_eq!(found(code), "", "{code}");
    }
    let behind = "#[cfg(test)]\nmod tests;\nfn f(kind: Kind) -> bool {\n    kind == Kind::Vxlan\n}";
    assert_eq!(found(behind), "Kind::Vxlan", "tests in a file of their own hide nothing");
}
