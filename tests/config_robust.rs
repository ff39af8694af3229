//! No file, however broken, makes the loader or the compiler panic; and a big one does not take long.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use transload::compile::{Numbers, compile};
use transload::config;

const SAMPLES: [&str; 5] = [
    include_str!("../configs/dc-border.yaml"),
    include_str!("../configs/vxlan-two-sites.yaml"),
    include_str!("../configs/nvgre-migration.yaml"),
    include_str!("../configs/qinq-handoff.yaml"),
    include_str!("../configs/gre-hub.yaml"),
];

/// Reads and compiles; every problem is looked at as the command line would.
fn try_it(text: &str) {
    let result = config::parse("mutated.yaml", text).and_then(|config| compile(&config, &Numbers::default(), None));
    let problems = match result {
        Ok(plan) => plan.warnings,
        Err(problems) => {
            assert!(problems.has_errors(), "refused without an error");
            problems.0
        }
    };
    for problem in problems {
        assert!(text.is_char_boundary(problem.span().start) && text.is_char_boundary(problem.span().end));
        assert!(!problem.message.is_empty());
        let drawn = miette::GraphicalReportHandler::new().render_report(&mut String::new(), &problem);
        assert!(drawn.is_ok(), "{problem} cannot be shown");
    }
}

/// One thing that a slip of the hand does to a file.
#[derive(Debug, Clone)]
enum Slip {
    Replace(usize, u8),
    Insert(usize, u8),
    Cut(usize, usize),
    Repeat(usize, usize),
}

fn slips() -> impl Strategy<Value = Slip> {
    let byte =
        prop_oneof![Just(b' '), Just(b'\n'), Just(b':'), Just(b'{'), Just(b'['), Just(b'-'), Just(b'&'), any::<u8>()];
    prop_oneof![
        (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Slip::Replace(at, byte)),
        (any::<usize>(), byte).prop_map(|(at, byte)| Slip::Insert(at, byte)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, len)| Slip::Cut(at, len)),
        (any::<usize>(), 1..200_usize).prop_map(|(at, len)| Slip::Repeat(at, len)),
    ]
}

fn slipped(text: &str, slips: &[Slip]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for slip in slips {
        let len = bytes.len().max(1);
        match *slip {
            Slip::Replace(at, byte) if !bytes.is_empty() => bytes[at % len] = byte,
            Slip::Replace(..) => {}
            Slip::Insert(at, byte) => bytes.insert(at % len, byte),
            Slip::Cut(at, cut) => {
                let at = at % len;
                bytes.drain(at.min(bytes.len())..(at + cut).min(bytes.len()));
            }
            Slip::Repeat(at, run) => {
                let at = at % len;
                let run = bytes[at.min(bytes.len())..(at + run).min(bytes.len())].to_vec();
                bytes.splice(at..at, run);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_slips_is_read_or_refused_but_never_panics(
        sample in 0..SAMPLES.len(),
        slips in prop::collection::vec(slips(), 1..6),
    ) {
        try_it(&slipped(SAMPLES[sample], &slips));
    }

    #[test]
    fn a_sample_cut_anywhere_never_panics(sample in 0..SAMPLES.len(), at in any::<prop::sample::Index>()) {
        let text = SAMPLES[sample];
        let cut = at.index(text.len());
        try_it(&String::from_utf8_lossy(&text.as_bytes()[..cut]));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        try_it(&text);
    }
}

#[test]
fn every_wrong_file_can_be_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    for entry in std::fs::read_dir(folder).expect("tests/wrong is there") {
        let path = entry.expect("it can be listed").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            try_it(&std::fs::read_to_string(path).expect("it can be read"));
        }
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        let item = format!("*a{}", n - 1);
        let _ = writeln!(text, "a{n}: &a{n} [{}]", vec![item; 10].join(", "));
    }
    let problems = config::parse("bomb.yaml", &text).expect_err("a thousand million values are not built");
    assert_eq!(problems.0.len(), 1, "{problems}");
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("version: 1\nports: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(config::parse("deep.yaml", &text).is_err());
    let text = format!("version: 1\nports: {}{}\n", "{a: ".repeat(100_000), "}".repeat(100_000));
    assert!(config::parse("deep.yaml", &text).is_err());
}

#[test]
fn ten_thousand_tenants_compile() {
    let mut text = include_str!("../configs/dc-border.yaml").to_owned();
    for n in 1..=10_000 {
        let (s_vid, c_vid) = (1000 + n / 4000, 1 + n % 4000);
        let _ = write!(
            text,
            "  customer-{n}:\n    attachments:\n      leafs: {{ group: leafs, vni: {} }}\n      hyperv: {{ peer: hyperv-7, \
             vsid: {} }}\n      ce: {{ port: access, s_vid: {s_vid}, c_vid: {c_vid} }}\n",
            20_000 + n,
            20_000 + n
        );
    }
    let begin = Instant::now();
    let config = config::parse("big.yaml", &text).expect("it can be read");
    let read = begin.elapsed();
    let plan = compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"));
    eprintln!("10,000 tenants with 30,000 attachments: read in {read:?}, read and compiled in {:?}", begin.elapsed());
    assert_eq!(plan.names.domains().count(), 10_002);
}
