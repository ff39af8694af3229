//! The loader and the compiler: any text is a gateway or a list of problems that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transload::compile::{Numbers, compile};
use transload::config::{self, Problem};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let first = config::parse("fuzzed.yaml", text).and_then(|config| {
        let plan = compile(&config, &Numbers::default(), None)?;
        Ok((config, plan))
    });
    let problems = match first {
        Ok((config, plan)) => {
            let again = compile(&config, &plan.numbers, Some(&plan.tables)).expect("the same file again");
            assert_eq!(format!("{:?}", again.names), format!("{:?}", plan.names), "a reload of the same file");
            assert_eq!(again.statics, plan.statics);
            plan.warnings
        }
        Err(problems) => {
            assert!(problems.has_errors(), "refused without an error");
            problems.0
        }
    };
    problems.iter().for_each(|problem| can_be_shown(problem, text));
});

/// As the command line does it.
fn can_be_shown(problem: &Problem, text: &str) {
    assert!(text.is_char_boundary(problem.span().start) && text.is_char_boundary(problem.span().end));
    assert!(!problem.message.is_empty());
    let drawn = miette::GraphicalReportHandler::new().render_report(&mut String::new(), problem);
    assert!(drawn.is_ok(), "{problem} cannot be shown");
}
