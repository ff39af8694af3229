//! The table of deviations and the cases stay in step.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use transload_interop_tests::{captures, cases};

/// The cells of each row.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("DEVIATIONS.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn name(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("a row names no case: {cell}"))
}

#[test]
fn every_row_is_whole_and_names_a_case_that_is_there() {
    for row in rows() {
        assert!(row.len() == 6 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let name = name(&row[5]);
        let is_there = if row[5].starts_with("captures: ") {
            captures::directory().join(name).is_dir()
        } else {
            cases::ALL.iter().any(|case| case.name == name)
        };
        assert!(is_there, "there is no case `{name}`");
    }
}

#[test]
fn every_case_that_shows_a_deviation_has_a_row() {
    let rows = rows();
    let named: BTreeSet<_> = rows.iter().map(|row| name(&row[5])).collect();
    let shown = cases::ALL.iter().map(|case| case.name).filter(|name| name.starts_with("deviation-"));
    assert_eq!(shown.filter(|name| !named.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}
