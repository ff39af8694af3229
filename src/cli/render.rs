//! Problems on standard error, drawn for people.

use std::io::{self, ErrorKind, IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme, MietteDiagnostic, ThemeCharacters};

use super::Failure;
use crate::config::{Problem, Problems, Severity};

/// A file with more problems than this has most likely one mistake in its beginning.
const MOST_SHOWN: usize = 50;
const WIDTH: usize = 110;

/// Prints a line of output.
pub(super) fn output(text: &str) -> Result<(), Failure> {
    written(writeln!(std::io::stdout(), "{text}"))
}

/// What became of output. A reader that has gone away, such as `head`, is no failure.
pub(super) fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a line about the work on standard error. What cannot be said there cannot be said anywhere, and must not
/// change the exit code.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells why a verb failed.
pub(super) fn failure(failure: &Failure) {
    match failure {
        Failure::Problems(problems) => {
            problems_of(&problems.0);
            tell(&count(problems));
        }
        Failure::Other { message, help } => {
            let mut diagnostic = MietteDiagnostic::new(message);
            diagnostic.help.clone_from(help);
            tell(drawn(&diagnostic).trim_end());
        }
        Failure::Told => {}
    }
}

/// Draws problems with the lines of the file they are about.
pub(super) fn problems_of(problems: &[Problem]) {
    for problem in problems.iter().take(MOST_SHOWN) {
        let place = problem.place();
        if !problem.has_a_short_line() && !place.is_empty() {
            tell(place.trim_end());
        }
        tell(&drawn(problem));
    }
    if let Some(rest) = problems.len().checked_sub(MOST_SHOWN).filter(|&rest| rest > 0) {
        tell(&format!("... and {rest} more; `check --json` lists all of them"));
    }
}

/// `dc-border.yaml: 2 errors, 1 warning`
fn count(problems: &Problems) -> String {
    let file = problems.0.first().map_or("", |problem| problem.file.as_str());
    let of = |severity| problems.0.iter().filter(|problem| problem.severity == severity).count();
    let errors = plural(of(Severity::Error), "error");
    match of(Severity::Warning) {
        0 => format!("{file}: {errors}"),
        warnings => format!("{file}: {errors}, {}", plural(warnings, "warning")),
    }
}

/// `1 port`, `2 ports`
pub(super) fn plural(count: usize, word: &str) -> String {
    let end = match word {
        _ if count == 1 => "",
        _ if word.ends_with("ss") => "es",
        _ => "s",
    };
    format!("{count} {word}{end}")
}

fn drawn(diagnostic: &dyn miette::Diagnostic) -> String {
    let for_people = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut theme = if for_people { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    if !for_people {
        theme.characters = ThemeCharacters { error: "error:".into(), warning: "warning:".into(), ..theme.characters };
    }
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false).with_context_lines(1);
    let mut text = String::new();
    // Writing into a string does not fail; should drawing do, the plain message is still told.
    if handler.render_report(&mut text, diagnostic).is_err() {
        text = format!("{diagnostic}\n");
    }
    text
}
