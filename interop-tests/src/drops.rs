//! What a gateway dropped, by reason: a case that fails says it of the time that it took.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde_json::Value;
use transload_lab::Gateway;

use crate::outcome::{Stop, Verdict};

/// Counters of dropped frames at a moment, or between two.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Drops(BTreeMap<String, Count>);

/// What was dropped for one reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Count {
    frames: u64,
    copies: u64,
    /// The reason in words.
    meaning: String,
}

impl Drops {
    /// Everything since a gateway started.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn of(gateway: &Gateway) -> io::Result<Self> {
        Ok(Self::read(&gateway.show("drops")?))
    }

    fn read(rows: &Value) -> Self {
        let number = |row: &Value, key: &str| row[key].as_u64().unwrap_or(0);
        let count = |row: &Value| Count {
            frames: number(row, "dropped"),
            copies: number(row, "copies"),
            meaning: row["meaning"].as_str().unwrap_or_default().to_owned(),
        };
        let rows = rows.as_array().into_iter().flatten();
        Self(rows.map(|row| (row["reason"].as_str().unwrap_or_default().to_owned(), count(row))).collect())
    }

    /// These and those of another gateway.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        for (reason, count) in more.0 {
            let sum = self.0.entry(reason).or_default();
            *sum = Count { frames: sum.frames + count.frames, copies: sum.copies + count.copies, ..count };
        }
        self
    }

    /// What came since an earlier moment.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        for (reason, count) in &mut self.0 {
            let Some(before) = before.0.get(reason) else { continue };
            count.frames = count.frames.saturating_sub(before.frames);
            count.copies = count.copies.saturating_sub(before.copies);
        }
        self.0.retain(|_, count| count.frames + count.copies > 0);
        self
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("meanwhile the gateway dropped nothing");
        }
        f.write_str("meanwhile the gateway dropped:")?;
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(count.frames + count.copies));
        for (reason, Count { frames, copies, meaning }) in rows {
            let copies = if *copies > 0 { format!(" and {copies} copies") } else { String::new() };
            write!(f, "\n  {frames}{copies} {reason}: {meaning}")?;
        }
        Ok(())
    }
}

/// The verdict; a failure says what was dropped in a world of its own.
///
/// # Errors
/// As the verdict.
pub fn told(verdict: Verdict, gateway: &Gateway) -> Verdict {
    told_since(verdict, &Ok(Drops::default()), || Drops::of(gateway))
}

/// The verdict; a failure says what was dropped between these two moments.
///
/// # Errors
/// As the verdict.
pub(crate) fn told_since(
    verdict: Verdict,
    before: &io::Result<Drops>,
    now: impl FnOnce() -> io::Result<Drops>,
) -> Verdict {
    verdict.map_err(|stop| match stop {
        Stop::Failed(why) => Stop::Failed(format!("{}\n{}", why.trim_end(), words(before, now()))),
        stop @ Stop::NotRun(_) => stop,
    })
}

fn words(before: &io::Result<Drops>, now: io::Result<Drops>) -> String {
    match (before, now) {
        (Ok(before), Ok(now)) => now.since(before).to_string(),
        (_, Err(why)) => format!("what the gateway dropped cannot be told: {why}"),
        (Err(why), _) => format!("what the gateway dropped cannot be told: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drops(frames: u64, copies: u64) -> Drops {
        Drops::read(&json!([
            { "reason": "unknown_peer", "dropped": frames, "copies": copies, "meaning": "No peer has this address." },
            { "reason": "too_big", "dropped": 7, "copies": 0, "meaning": "It does not fit." },
        ]))
    }

    #[test]
    fn only_what_came_since_is_told_in_words_and_most_first() {
        let since = drops(5, 2).since(&drops(2, 0));
        let words = "meanwhile the gateway dropped:\n  3 and 2 copies unknown_peer: No peer has this address.";
        assert_eq!(since.to_string(), words);
        assert_eq!(drops(5, 0).since(&drops(5, 0)).to_string(), "meanwhile the gateway dropped nothing");
    }

    #[test]
    fn a_gateway_that_starts_anew_goes_on_counting() {
        let both = drops(5, 0).and(drops(1, 0));
        assert_eq!(both.since(&drops(5, 0)).0["unknown_peer"].frames, 1);
    }

    #[test]
    fn only_a_failure_is_told() {
        let told = |verdict| told_since(verdict, &Ok(drops(0, 0)), || Ok(drops(1, 0)));
        assert!(matches!(told(Err(Stop::Failed("lost\n".to_owned()))), Err(Stop::Failed(why))
            if why.starts_with("lost\nmeanwhile the gateway dropped:\n  1 unknown_peer: No peer")));
        assert!(matches!(told(Err(Stop::NotRun("absent".to_owned()))), Err(Stop::NotRun(why)) if why == "absent"));
        assert!(matches!(told(Ok("fine".to_owned())), Ok(note) if note == "fine"));
    }
}
