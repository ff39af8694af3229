//! `--watch`: the same question again and again, until Ctrl-C.
//!
//! On a terminal each answer takes the place of the one before, on a screen of its own that is gone afterwards. Into a pipe
//! the answers go one after another. A gateway that does not answer is said to be gone, once, and asked again.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Failure;
use super::render::{printable, tell, written};
use crate::admin::client::AskError;

const SHORTEST: f64 = 0.1;
const LONGEST: f64 = 86_400.0;
/// A screen of its own without a cursor, and back (`xterm`'s, which all terminals of today know).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\r\n";
const REST_OF_SCREEN: &str = "\x1b[J";

/// What a verb that can be watched takes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct WatchArgs {
    /// Again every so many seconds (1 if none are said), until Ctrl-C; tables of tenants, mappings, peers, ports and drops then show what happens in a second
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    pub watch: Option<Duration>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "seconds from 0.1 to 86400, such as `--watch 5`; what to show stands before it".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (SHORTEST..=LONGEST).contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}

/// Shows this answer, and every so often what `round` answers then, until Ctrl-C or until nobody reads it any more.
///
/// # Errors
/// When output cannot be written.
pub(super) fn watch(
    every: Duration,
    first: &str,
    round: impl FnMut() -> Result<String, AskError> + Send + 'static,
) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot_wait(&error))?;
    let outcome = runtime.block_on(rounds(every, first, round));
    // A gateway that does not answer keeps nobody waiting.
    runtime.shutdown_background();
    outcome
}

async fn rounds(
    every: Duration,
    first: &str,
    mut round: impl FnMut() -> Result<String, AskError> + Send + 'static,
) -> Result<(), Failure> {
    let [mut interrupt, mut terminate] = [
        signal(SignalKind::interrupt()).map_err(|error| cannot_wait(&error))?,
        signal(SignalKind::terminate()).map_err(|error| cannot_wait(&error))?,
    ];
    let mut period = interval_at(Instant::now() + every, every);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut view = WatchView::open(every).map_err(|error| cannot_write(&error))?;
    let mut shown = view.show(first);
    loop {
        match shown {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            shown => written(shown)?,
        }
        let asked = async {
            period.tick().await;
            spawn_blocking(move || {
                let answer = round();
                (round, answer)
            })
            .await
        };
        let (next, answer) = tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            asked = asked => asked.map_err(|broken| Failure::new(broken.to_string()))?,
        };
        round = next;
        shown = match answer {
            Ok(text) => view.show(&text),
            Err(error) => view.complain(&error),
        };
    }
}

fn cannot_wait(error: &io::Error) -> Failure {
    Failure::new(format!("cannot wait for the next round: {error}"))
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {error}"))
}

/// Where answers are shown.
struct WatchView {
    /// How it is introduced on a terminal; none into a pipe.
    headline: Option<String>,
    /// Whether the gateway did not answer the last time.
    is_gone: bool,
}

impl WatchView {
    fn open(every: Duration) -> io::Result<Self> {
        let mut out = io::stdout();
        let headline = out.is_terminal().then(|| format!("Every {} s; Ctrl-C ends.", every.as_secs_f64()));
        if headline.is_some() {
            out.write_all(ENTER.as_bytes())?;
            out.flush()?;
        }
        Ok(Self { headline, is_gone: false })
    }

    fn show(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.is_gone) && self.headline.is_none() {
            tell("the gateway answers again");
        }
        let text = printable(text);
        if let Some(headline) = &self.headline {
            return draw(&format!("{headline}\n\n{text}"));
        }
        let mut out = io::stdout();
        // Tables are told apart by an empty line; JSON is a line each.
        let between = if text.contains('\n') { "\n" } else { "" };
        writeln!(out, "{text}{between}").and_then(|()| out.flush())
    }

    fn complain(&mut self, error: &AskError) -> io::Result<()> {
        let was_gone = std::mem::replace(&mut self.is_gone, true);
        let text = format!("{error}\nIt is asked again until it answers.");
        if let Some(headline) = &self.headline {
            return draw(&printable(&format!("{headline}\n\n{text}")));
        }
        if !was_gone {
            tell(&text);
        }
        Ok(())
    }
}

impl Drop for WatchView {
    fn drop(&mut self) {
        if self.headline.is_some() {
            let mut out = io::stdout();
            // Whoever has closed the terminal does not miss it.
            let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// Draws a text over what is on the terminal, as far as there is room.
fn draw(text: &str) -> io::Result<()> {
    let size = rustix::termios::tcgetwinsize(io::stdout())?;
    let mut out = io::stdout().lock();
    out.write_all(screen(text, size.ws_row.into(), size.ws_col.into()).as_bytes())?;
    out.flush()
}

/// What fills a screen of so many rows and columns with a text; a terminal that does not say has room for everything.
fn screen(text: &str, rows: usize, columns: usize) -> String {
    let [rows, columns] = [rows, columns].map(|most| if most == 0 { usize::MAX } else { most });
    let lines: Vec<_> = text.lines().collect();
    let most = if lines.len() > rows.saturating_sub(1) { rows.saturating_sub(2) } else { lines.len() };
    let mut out = HOME.to_owned();
    for line in lines.iter().take(most) {
        out.extend(line.chars().take(columns));
        out.push_str(END_OF_LINE);
    }
    if lines.len() > most {
        // Writing into a string does not fail.
        let _ = write!(out, "... and {} lines more{END_OF_LINE}", lines.len() - most);
    }
    out.push_str(REST_OF_SCREEN);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fills_a_screen_and_no_more() {
        assert_eq!(screen("ab\ncd", 10, 80), "\x1b[Hab\x1b[K\r\ncd\x1b[K\r\n\x1b[J");
        assert_eq!(screen("äöü", 0, 2), "\x1b[Häö\x1b[K\r\n\x1b[J");
        assert_eq!(screen("1\n2\n3\n4", 4, 9), "\x1b[H1\x1b[K\r\n2\x1b[K\r\n... and 2 lines more\x1b[K\r\n\x1b[J");
        assert_eq!(screen("1\n2\n3", 4, 9).matches("\r\n").count(), 3);
    }

    #[test]
    fn seconds_are_any_that_somebody_would_wait() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "peers", "NaN", "inf", "1e9", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
