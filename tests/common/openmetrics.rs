//! OpenMetrics 1.0 as its specification has it, read as strictly as it can be: what it does not allow panics.

use std::collections::{BTreeMap, BTreeSet};

/// A metric family.
#[derive(Debug, Default)]
pub struct Exposed {
    pub kind: String,
    pub unit: Option<String>,
    pub help: String,
    pub samples: Vec<ExposedSample>,
}

/// A sample: its whole name, its labels, and its number as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedSample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: String,
}

/// All families by name.
pub fn read(text: &str) -> BTreeMap<String, Exposed> {
    let mut families: BTreeMap<String, Exposed> = BTreeMap::new();
    let (mut current, mut seen) = (String::new(), BTreeSet::new());
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    assert!(body.is_empty() || body.ends_with('\n'));
    for line in body.lines() {
        if let Some(descriptor) = line.strip_prefix("# ") {
            let (what, rest) = descriptor.split_once(' ').expect("a descriptor of something");
            let (name, rest) = rest.split_once(' ').expect("a name and more");
            assert!(is_name(name), "{line}");
            if name != current {
                assert!(!families.contains_key(name), "{name} is in two places");
                name.clone_into(&mut current);
            }
            let family = families.entry(current.clone()).or_default();
            assert!(family.samples.is_empty(), "{line} comes behind samples");
            match what {
                "HELP" => family.help = unescaped(rest),
                "TYPE" => rest.clone_into(&mut family.kind),
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{rest}")), "{line}");
                    family.unit = Some(rest.to_owned());
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let sample = sample(line);
        let family = families.get_mut(&current).expect("a family");
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            "gauge" => "",
            // One of its labels is called like it, and is the state.
            "stateset" => {
                assert!(sample.labels.contains_key(&current) && ["0", "1"].contains(&&*sample.value), "{line}");
                ""
            }
            kind => panic!("{current} is a {kind}"),
        };
        assert_eq!(sample.name, format!("{current}{suffix}"), "{line}");
        assert!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
        family.samples.push(sample);
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.kind.is_empty() && !family.samples.is_empty(), "{name}");
    }
    families
}

/// The sample of this name and these labels.
pub fn value<'e>(families: &'e BTreeMap<String, Exposed>, name: &str, labels: &[(&str, &str)]) -> Option<&'e str> {
    let labels: BTreeMap<_, _> = labels.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    let mut samples = families.values().flat_map(|family| &family.samples);
    samples.find(|sample| sample.name == name && sample.labels == labels).map(|sample| sample.value.as_str())
}

fn sample(line: &str) -> ExposedSample {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, behind) = rest.split_once("=\"").expect("a label");
            assert!(is_name(key) && !key.contains(':'), "{line}");
            let mut is_escaped = false;
            let end = behind.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            let (text, behind) = behind.split_at(end.expect("a label that ends"));
            assert!(labels.insert(key.to_owned(), unescaped(text)).is_none(), "{line}");
            rest = &behind[1..];
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect("labels end");
    }
    let value = rest.strip_prefix(' ').expect("a value");
    assert!(value.parse::<f64>().is_ok(), "{line}");
    ExposedSample { name: name.to_owned(), labels, value: value.to_owned() }
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

fn unescaped(text: &str) -> String {
    let (mut out, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some(other @ ('"' | '\\')) => out.push(other),
                other => panic!("{other:?} is escaped in {text}"),
            },
            '"' | '\n' => panic!("{letter:?} is not escaped in {text}"),
            _ => out.push(letter),
        }
    }
    out
}
