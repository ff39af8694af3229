//! What became of a case.

use std::io;

use serde::Serialize;

/// How a case ended in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds; with what was measured, if anything was.
    Passed(String),
    /// It does not, and why.
    Failed(String),
    /// It could not be tried, and why. Never a pass.
    NotRun(String),
}

/// Why a case stops before it has passed.
#[derive(Debug, Clone)]
pub enum Stop {
    /// What was promised does not hold, or a step did not work.
    Failed(String),
    /// Something that it needs is not there.
    NotRun(String),
}

/// What a case returns: a note for the report, which may be empty.
pub type Verdict = Result<String, Stop>;

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // This peer cannot do what the case asks for.
            io::ErrorKind::Unsupported => Self::NotRun(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(note) => Self::Passed(note),
            Err(Stop::Failed(why)) => Self::Failed(why),
            Err(Stop::NotRun(why)) => Self::NotRun(why),
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed(note) => Ok(note),
            Outcome::Failed(why) => Err(Stop::Failed(why)),
            Outcome::NotRun(why) => Err(Stop::NotRun(why)),
        }
    }
}

/// A case that passed and has nothing to add.
///
/// # Errors
/// Never; it is what a case ends with.
pub fn passed() -> Verdict {
    Ok(String::new())
}

/// # Errors
/// With these words, unless it holds.
pub fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Failed(otherwise())) }
}

/// # Errors
/// Always: the case cannot be tried, and why.
pub fn not_run<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotRun(why.into()))
}
