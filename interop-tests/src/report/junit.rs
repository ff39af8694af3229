//! The report as `JUnit` XML, which CI systems read: a suite for each case, a test for each of its cells.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, CellReport, Report};
use crate::outcome::Outcome;

/// The report in `JUnit`'s form. What could not be tried is skipped.
///
/// # Errors
/// When it cannot be written as XML.
pub fn junit(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut all = quick_junit::Report::new("transload interop matrix");
    all.set_time(Duration::from_secs_f64(report.seconds));
    all.add_test_suites(report.cases.iter().map(suite));
    all.to_string()
}

fn suite(case: &CaseReport) -> TestSuite {
    let mut suite = TestSuite::new(case.name);
    suite.set_time(Duration::from_secs_f64(case.seconds));
    suite.add_property(("says", case.says));
    suite.add_property(("standard", case.standard));
    suite.add_test_cases(case.cells.iter().map(|cell| test(case, cell)));
    suite
}

fn test(case: &CaseReport, cell: &CellReport) -> TestCase {
    let status = match &cell.outcome {
        Outcome::Passed(_) => TestCaseStatus::success(),
        Outcome::Failed(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            // The first line is what lists show; behind it stands all of it.
            status.set_message(text(why.lines().next().unwrap_or_default())).set_description(text(why));
            status
        }
        Outcome::NotRun(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text(why));
            status
        }
    };
    let place = cell.to.as_ref().map_or_else(|| cell.at.clone(), |to| format!("{} to {to}", cell.at));
    let mut test = TestCase::new(text(&place), status);
    test.set_classname(format!("interop.{}", case.name)).set_time(Duration::from_millis(cell.millis));
    if let Outcome::Passed(note) = &cell.outcome
        && !note.is_empty()
    {
        test.set_system_out(text(note));
    }
    test
}

/// Text without the two letters that XML 1.0 §2.2 has no way to write; the library leaves out control characters.
fn text(raw: &str) -> String {
    raw.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::runner::{CaseRun, Cell};

    #[test]
    fn whatever_a_program_printed_is_well_formed_xml() {
        let cell = |place: &str, outcome| Cell {
            place: cases::Place::Words(place.to_owned(), Vec::new()),
            outcome,
            span: (1_000_000, 3_000_000),
        };
        let cells = vec![
            cell("here", Outcome::Passed("\u{1b}[32m5 ms\u{1b}[0m".to_owned())),
            cell("a <b> & \"c\"", Outcome::Failed("]]> <x>\u{0}\u{8}\u{fffe}\u{ffff}\n\tsecond & last".to_owned())),
            cell("there", Outcome::NotRun("needs \u{7}a bell".to_owned())),
        ];
        let runs = [CaseRun { case: cases::ON_PURPOSE, cells, seconds: 1.5 }];
        let xml = junit(&Report::new(&[], &[], &runs, std::collections::BTreeMap::new(), (0, 2.0))).unwrap();
        assert!(xml.chars().all(|letter| letter == '\n' || letter == '\t' || !letter.is_control()), "{xml}");
        assert!(!xml.contains(['\u{fffe}', '\u{ffff}']) && !xml.contains("<x>"), "{xml}");
        let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!((read.tests, read.failures), (3, 1));
        let tests = &read.test_suites[0].test_cases;
        assert_eq!(tests[1].name.as_str(), "a <b> & \"c\"");
        let TestCaseStatus::NonSuccess { message, description, .. } = &tests[1].status else { panic!("{xml}") };
        assert_eq!(message.as_ref().unwrap().as_str(), "]]> <x>\u{fffd}\u{fffd}");
        assert!(description.as_ref().unwrap().as_str().contains("second & last"), "{xml}");
        assert!(matches!(tests[2].status, TestCaseStatus::Skipped { .. }), "{xml}");
    }
}
