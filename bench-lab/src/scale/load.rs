//! How long a file takes to load and how much memory the tables then hold, in a process of its own.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use transload::compile::{self, Numbers};
use transload::config;

use crate::measure::resident;

/// Milliseconds of loading a file, and megabytes that its process then has more than before.
pub(super) fn costs(text: &str) -> io::Result<Vec<f64>> {
    let mut child =
        Command::new(std::env::current_exe()?).arg("load").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if figures.len() == 2 { Ok(figures) } else { Err(io::Error::other(format!("a file is not loaded: {told}"))) }
}

/// What the process of its own does: loads the file from standard input and prints the two figures.
///
/// # Errors
/// When the file is refused.
pub fn load() -> io::Result<()> {
    let text = io::read_to_string(io::stdin())?;
    let us = [std::process::id()];
    let before = resident(&us);
    let begin = Instant::now();
    let refused = |problems| io::Error::other(format!("{problems:?}"));
    let config = config::parse("scale.yaml", &text).map_err(refused)?;
    let plan = compile::compile(&config, &Numbers::default(), None).map_err(refused)?;
    drop(config);
    let millis = begin.elapsed().as_secs_f64() * 1000.0;
    println!("{millis} {}", resident(&us).saturating_sub(before) as f64 / 1e6);
    drop(plan);
    Ok(())
}
