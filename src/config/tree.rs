//! YAML as a tree in which every value knows its place and its spelling.
//!
//! serde-saphyr reads it; the [`reader`](super::reader) makes typed values of it. The tree between them is what lets
//! one pass report every mistake of a file instead of the first.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};

use super::problem::{Problem, Problems};
use super::source::{SourceText, Span};

/// Keyed by names of the file, which is the operator's own.
type Map<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// The form of a value, before it is read as a type.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing was written, or `~`, or `null`.
    Null,
    /// A scalar without quotes, as it is spelled.
    Plain(String),
    /// A string in quotes, or a block of text.
    Quoted(String),
    List(Vec<Node>),
    /// Keys are always scalars.
    Map(Vec<(Node, Node)>),
}

/// The value of an option that was not given.
pub(super) static NOTHING: Node = Node { span: Span { start: 0, end: 0 }, value: Value::Null };

impl Node {
    /// The text of a scalar; empty for anything else.
    pub(super) fn text(&self) -> &str {
        match &self.value {
            Value::Plain(text) | Value::Quoted(text) => text,
            _ => "",
        }
    }

    /// The value behind a key of a map.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.text() == key).map(|(_, node)| node)
    }
}

impl Value {
    /// For messages: "a list", "`7`".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Plain(text) => format!("`{text}`"),
            Self::Quoted(text) => format!("the string \"{text}\""),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a map".into(),
        }
    }
}

/// Reads the YAML of the newest file and refuses keys that are given twice.
///
/// # Errors
/// When it is no YAML at all: then there is exactly one problem to show.
pub(super) fn read(source: &SourceText, problems: &mut Vec<Problem>) -> Result<Node, Problems> {
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(&source.newest().whole, options())
        .map_err(|error| Problems(vec![not_yaml(source, &error)]))?;
    Ok(Builder { source, problems }.node(raw))
}

fn options() -> serde_saphyr::Options {
    // The defaults are for documents of a few thousand lines. A gateway's file may name a hundred thousand tenants;
    // what must stay bounded is its depth, which costs stack, and what aliases can blow a small file up to. The
    // grammar itself is seven levels deep.
    let budget = serde_saphyr::budget! {
        max_events: 64_000_000,
        max_nodes: 32_000_000,
        max_merge_keys: 1_000_000,
        max_aliases: 1_000_000,
        enforce_alias_anchor_ratio: false,
        max_total_scalar_bytes: 1 << 30,
        max_documents: 16,
        max_depth: 16,
        flow_nesting_limit: 32,
    };
    serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
    }
}

fn not_yaml(source: &SourceText, error: &serde_saphyr::Error) -> Problem {
    let error = error.without_snippet();
    let start = source.newest().base;
    let span = error.location().map_or(Span { start, end: start }, |location| place(source, &location));
    let text = error.to_string();
    // The place is said by the problem itself.
    let message = text.split(" at line ").next().unwrap_or(&text);
    let problem = |message: &str| Problem::error(source, span, message);
    match error {
        serde_saphyr::Error::MultipleDocuments { .. } => problem("a second YAML document begins here")
            .help("a gateway is one document; remove the `---`, or write two files"),
        serde_saphyr::Error::UnknownAnchor { .. } => problem("no `&name` before this defines the name")
            .help("`*name` repeats the value behind `&name`, which must come first"),
        _ if message.contains("Depth {") || message.contains("recursion") => {
            problem("this is nested deeper than anything in a gateway's file")
        }
        _ if message.contains("budget") || message.contains("alias replay") => {
            problem("this file grows too large").help("use fewer aliases (`*name`)")
        }
        _ if message.contains("tab") => {
            problem("this is not YAML: a tab in the indentation").help("indent with spaces")
        }
        _ if source.slice(span).starts_with(',') => {
            problem("a comma without an entry before it").help("remove this comma: one stands between two entries")
        }
        _ if message.contains("did not find expected ','") => problem(&format!("this is not YAML: {message}"))
            .help("put a comma between the entries, at the end of the line above; or a bracket or quote further up is not closed"),
        _ if message.contains("flow") => {
            problem(&format!("this is not YAML: {message}")).help("a `{`, `[` or quote further up may not be closed")
        }
        _ => {
            let problem = problem(&format!("this is not YAML: {message}"));
            match advice(message) {
                Some(help) => problem.help(help),
                None => problem,
            }
        }
    }
}

/// What is probably meant by a message of the YAML reader.
fn advice(message: &str) -> Option<&'static str> {
    if message.contains("did not find expected key") {
        return Some("indent all keys equally, with spaces; look at the lines above, too");
    }
    message
        .contains("mapping values are not allowed")
        .then_some("put a space after `:`, in the line above as well; put a value that contains `: ` in quotes")
}

fn place(source: &SourceText, location: &Location) -> Span {
    let span = location.span();
    if let (Some(start), Some(len)) = (span.byte_offset(), span.byte_len()) {
        let base = source.newest().base;
        return Span { start: base + start as usize, end: base + (start + len) as usize };
    }
    // Where the parser itself gave up it only counts lines and columns.
    let file = source.newest();
    let start = file.offset(location.line() as usize, location.column() as usize);
    let next = file.whole.get(start - file.base..).and_then(|rest| rest.chars().next());
    Span { start, end: start + next.map_or(0, char::len_utf8) }
}

/// A value as serde-saphyr gives it, before its spelling is looked up.
enum Raw {
    Null,
    Scalar(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a YAML value")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Scalar(text.to_owned()))
            }

            // Whatever YAML takes a plain scalar for: its spelling decides, once somebody asks for a type.
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A key and its value.
type Entry = (Spanned<String>, Spanned<Raw>);

struct Builder<'a> {
    source: &'a SourceText,
    problems: &'a mut Vec<Problem>,
}

impl Builder<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let mut span = place(self.source, &raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Scalar(text) => self.scalar(span, text),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(self.entries(entries)),
        };
        // The parser gives a list or map the place where it begins.
        let inner_end = match &value {
            Value::List(items) => items.iter().map(|item| item.span.end).max().or(Some(span.end)),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.span.end).max().or(Some(span.end)),
            _ => None,
        };
        if let Some(end) = inner_end {
            span.end = self.closed(span, end);
        }
        Node { span, value }
    }

    /// Takes in the bracket that closes what opened at `span.start`, if it is on the same line.
    fn closed(&self, span: Span, inner_end: usize) -> usize {
        let file = self.source.newest();
        let close = match file.whole.as_bytes().get(span.start - file.base) {
            Some(b'{') => '}',
            Some(b'[') => ']',
            _ => return span.end.max(inner_end),
        };
        let rest = file.whole.get(inner_end - file.base..).unwrap_or_default();
        let gap = rest.len() - rest.trim_start_matches([' ', ',']).len();
        let bracket = usize::from(rest.get(gap..).is_some_and(|rest| rest.starts_with(close)));
        if bracket == 1 { inner_end + gap + 1 } else { span.end.max(inner_end) }
    }

    fn scalar(&self, span: Span, text: String) -> Value {
        let spelled = self.source.slice(span);
        match spelled.chars().next() {
            Some('"' | '\'' | '|' | '>') => Value::Quoted(text),
            // A block of text is placed behind its `|`.
            _ if spelled.contains('\n') => Value::Quoted(text),
            _ if spelled.is_empty() => Value::Plain(text),
            _ => Value::Plain(spelled.trim_end().to_owned()),
        }
    }

    fn entries(&mut self, entries: Vec<Entry>) -> Vec<(Node, Node)> {
        let mut kept = Vec::with_capacity(entries.len());
        for ((key, value), first) in self.told_apart(entries) {
            let span = place(self.source, &key.defined);
            if let Some(first) = first {
                let line = self.source.line(Span { start: first, end: first }, span);
                let problem = Problem::error(self.source, span, format!("`{}` is already given on {line}", key.value))
                    .help("a key may occur only once in a map; remove or rename one of the two")
                    .also(Span { start: first, end: first + span.end - span.start }, "first here");
                self.problems.push(problem);
                continue;
            }
            let value = self.node(value);
            kept.push((Node { span, value: Value::Plain(key.value) }, value));
        }
        kept
    }

    /// The entries of a map, and of each where its key has been given before.
    fn told_apart(&self, entries: Vec<Entry>) -> Vec<(Entry, Option<usize>)> {
        // Most maps are small, and there are hundreds of thousands of them.
        const SMALL: usize = 8;
        let start = |key: &Spanned<String>| place(self.source, &key.defined).start;
        let firsts: Vec<_> = if entries.len() <= SMALL {
            let before = |n: usize| entries[..n].iter().find(|(key, _)| key.value == entries[n].0.value);
            (0..entries.len()).map(|n| before(n).map(|(key, _)| start(key))).collect()
        } else {
            let mut seen = Map::<&str, usize>::default();
            let mut firsts = Vec::with_capacity(entries.len());
            for (key, _) in &entries {
                firsts.push(seen.get(key.value.as_str()).copied());
                seen.entry(&key.value).or_insert_with(|| start(key));
            }
            firsts
        };
        entries.into_iter().zip(firsts).collect()
    }
}
