//! The cases that are captures: running them, and writing down what must come of them.

use crate::run;

/// Runs the interop tests' `captures` with these words.
pub(crate) fn captures(words: &[&str]) -> Result<(), String> {
    let program = ["run", "--quiet", "--package", "transload-interop-tests", "--bin", "captures", "--"];
    run::cargo(&[&program[..], words].concat())
}
