//! The conformance matrix: builds it and becomes it, so that Ctrl-C and the exit code are its own.

use std::os::unix::process::CommandExt;

use crate::{peers, run};

/// Runs it with these arguments; returns only what kept it from starting.
pub(crate) fn matrix(arguments: &[&str]) -> Result<(), String> {
    if arguments.contains(&"--install") {
        peers::provide()?;
    }
    run::cargo(&["build", "--quiet", "--package", "transload", "--package", "transload-interop-tests", "--bins"])?;
    let own: Vec<_> = arguments.iter().copied().filter(|argument| *argument != "--install").collect();
    let start = ["run", "--quiet", "--package", "transload-interop-tests", "--bin", "interop", "--"];
    Err(format!("cargo: {}", run::cargo_command(&[&start[..], &own].concat()).exec()))
}
