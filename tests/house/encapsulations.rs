//! Encapsulations are named nowhere but in their own files.

use std::collections::BTreeSet;

use transload_encaps::{Carrier, Kind};

use super::{code_of, root, sources};

/// Where encapsulations are named as data: what is known of their far ends, and the networks of the demo.
const NAMES_ENCAPSULATIONS: [&str; 2] = ["src/config/profiles.rs", "src/demo"];

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
