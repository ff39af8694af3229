//! Running commands: shown before they run, and their complaint named when they fail.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Runs cargo with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), String> {
    shown(&mut cargo_command(arguments))
}

/// Runs a command, letting its output through. Returns the lines of its standard error that begin with `mark`.
pub(crate) fn watching(command: &mut Command, mark: &str) -> Result<Vec<String>, String> {
    announce(command);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| format!("{}: {error}", line_of(command)))?;
    let mut marked = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line.map_err(|error| error.to_string())?;
            // Whoever reads the output is gone; the verdict still counts.
            let _ = writeln!(io::stderr(), "{line}");
            // A test may write in the middle of the harness's own line.
            if let Some(at) = line.find(mark) {
                marked.push(line[at + mark.len()..].trim().to_owned());
            }
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(marked) } else { Err(format!("`{}` failed", line_of(command))) }
}

/// Runs a command after showing it.
pub(crate) fn shown(command: &mut Command) -> Result<(), String> {
    announce(command);
    let status = command.status().map_err(|error| format!("`{}`: {error}", line_of(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed", line_of(command))) }
}

/// What a command writes to its standard output, without the white space at its end.
pub(crate) fn told(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("`{}`: {error}", line_of(command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", line_of(command), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

pub(crate) fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

pub(crate) fn announce(command: &Command) {
    eprintln!("+ {}", line_of(command));
}

fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
