//! Problems on standard error, drawn for people.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme, MietteDiagnostic, ThemeCharacters};

use super::Failure;
use crate::config::{Problem, Problems, Severity};

/// A file with more problems than this has most likely one mistake in its beginning.
const MOST_SHOWN: usize = 50;
const WIDTH: usize = 110;

/// Prints a line of output.
pub(super) fn output(text: &str) -> Result<(), Failure> {
    written(writeln!(std::io::stdout(), "{}", printable(text)))
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
    say(&printable(text));
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The text without what would do something to a terminal: it may come from a file, a device's name, or whoever answers
/// on a socket. Lines and tabs stay.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(is_control) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            if is_control(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
            out
        })
        .into()
}

/// Tells why a verb failed.
pub(super) fn failure(failure: &Failure) {
    match failure {
        Failure::Problems(problems) | Failure::File(problems) => {
            problems_of(&problems.0);
            tell(&count(problems));
        }
        Failure::Other { message, help } => {
            let mut diagnostic = MietteDiagnostic::new(message);
            diagnostic.help.clone_from(help);
            say(drawn(&diagnostic).trim_end());
        }
        Failure::Told | Failure::Code(_) => {}
    }
}

/// Draws problems with the lines of the file they are about.
pub(super) fn problems_of(problems: &[Problem]) {
    for problem in problems.iter().take(MOST_SHOWN) {
        let place = problem.place();
        if !problem.has_a_short_line() && !place.is_empty() {
            tell(place.trim_end());
        }
        say(&drawn(problem));
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
    let plain = draw(diagnostic, if for_people { GraphicalTheme::unicode_nocolor() } else { theme.clone() });
    // Colours are control characters too: they are there only if there are no others.
    match printable(&plain) {
        Cow::Borrowed(_) if for_people => draw(diagnostic, theme),
        shown => shown.into_owned(),
    }
}

fn draw(diagnostic: &dyn miette::Diagnostic, theme: GraphicalTheme) -> String {
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false).with_context_lines(1);
    let mut text = String::new();
    // Writing into a string does not fail; should drawing do, the plain message is still told.
    if handler.render_report(&mut text, diagnostic).is_err() {
        text = format!("{diagnostic}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable("eth0\n\tup, ä"), "eth0\n\tup, ä");
        assert_eq!(
            printable("\x1b]0;title\x07\x1b[2J\r\u{9b}31m\x7f"),
            r"\u{1b}]0;title\u{7}\u{1b}[2J\r\u{9b}31m\u{7f}"
        );
        let told = drawn(&MietteDiagnostic::new("`a\x1b[2Jb` is no name"));
        assert!(told.contains(r"`a\u{1b}[2Jb` is no name"), "{told}");
    }
}
