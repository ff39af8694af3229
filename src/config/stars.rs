//! Patterns for names: `*` stands for any letters, `?` for one.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Names: one pattern, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamePatterns(pub Vec<String>);

impl NamePatterns {
    /// Whether a name fits one of them.
    #[must_use]
    pub fn fit(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
    }

    /// The patterns that no name fits.
    pub fn unfit<'p>(&'p self, names: &'p [&str]) -> impl Iterator<Item = &'p str> {
        let is_unfit = |pattern: &&String| !names.iter().any(|name| fits(pattern.as_bytes(), name.as_bytes()));
        self.0.iter().filter(is_unfit).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for NamePatterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PatternsVisitor;

        impl<'de> Visitor<'de> for PatternsVisitor {
            type Value = NamePatterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, a pattern such as \"lab-*\", or a list of them")
            }

            fn visit_str<E: Error>(self, pattern: &str) -> Result<NamePatterns, E> {
                Ok(NamePatterns(vec![pattern.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NamePatterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = items.next_element()? {
                    patterns.push(pattern);
                }
                Ok(NamePatterns(patterns))
            }
        }

        deserializer.deserialize_any(PatternsVisitor)
    }
}

impl JsonSchema for NamePatterns {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NamePatterns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// Whether a name fits a pattern.
pub(super) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut in_pattern, mut in_name) = (0, 0);
    // Behind the last star, and behind what it stands for. Only this one may have to stand for more, however many
    // there are: what fits between the stars before it fits there as early as can be.
    let mut star = None;
    while let Some(letter) = name.get(in_name) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                in_pattern += 1;
                star = Some((in_pattern, in_name));
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                (in_pattern, in_name) = (in_pattern + 1, in_name + 1);
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                (in_pattern, in_name) = (behind, taken + 1);
                star = Some((behind, taken + 1));
            }
        }
    }
    pattern[in_pattern..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_a_question_mark_for_one() {
        let fits = |pattern: &str, name: &str| fits(pattern.as_bytes(), name.as_bytes());
        assert!(fits("*.yaml", "blue.yaml") && fits("b*e.ya?l", "blue.yaml") && fits("*", "x"));
        assert!(!fits("*.yaml", "blue.yml") && !fits("?.yaml", "blue.yaml"));
        assert!(fits("a*b*c", "abbcbc") && fits("**", "") && fits("*?", "a") && !fits("*?", "") && !fits("a*a", "a"));
    }

    #[test]
    fn forty_stars_take_no_longer_than_one() {
        let pattern = format!("{}b.yaml", "*a".repeat(40));
        assert!(!fits(pattern.as_bytes(), "a".repeat(250).as_bytes()));
        assert!(fits(pattern.as_bytes(), format!("{}b.yaml", "a".repeat(200)).as_bytes()));
    }

    #[test]
    fn a_name_fits_patterns_if_it_fits_one() {
        let patterns = NamePatterns(vec!["lab-*".to_owned(), "test".to_owned()]);
        assert!(patterns.fit("lab-1") && patterns.fit("test") && !patterns.fit("test2") && !patterns.fit("a-lab-1"));
        assert!(!NamePatterns::default().fit(""));
    }
}
