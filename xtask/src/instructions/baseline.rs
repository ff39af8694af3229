//! The baseline of instructions per frame: a file that is changed on purpose, with a reason.

use std::fmt::Write;
use std::fs;
use std::process::Command;

const FILE: &str = "benches/instructions.baseline";
/// Percent above the baseline that are still let through.
const TOLERATED: u64 = 3;
const HEADER: &str = "\
# Instructions per frame (and per learned peer), the gateway's own: what is counted, how many, and why it last changed.
# `cargo xtask bench instructions --check` fails when one is over 3 % higher. To change it, on purpose:
# `cargo xtask bench instructions --accept \"REASON\"`.
";

/// What is counted, how many, and why.
#[derive(Debug)]
struct Row {
    case: String,
    count: u64,
    reason: String,
}

/// The file.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    compiler: String,
    rows: Vec<Row>,
}

impl Baseline {
    pub(super) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let mut baseline = Self::default();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            match line.split('|').map(str::trim).collect::<Vec<_>>()[..] {
                ["compiler", compiler] => compiler.clone_into(&mut baseline.compiler),
                [case, count, reason] if !reason.is_empty() => {
                    let count = count.parse().map_err(|_| format!("{FILE}:{}: `{count}` is no number", n + 1))?;
                    baseline.rows.push(Row { case: case.to_owned(), count, reason: reason.to_owned() });
                }
                _ => return Err(format!("{FILE}:{}: write `case | count | reason`", n + 1)),
            }
        }
        Ok(baseline)
    }

    fn of(&self, case: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }

    pub(super) fn print(&self, counts: &[(String, u64)]) {
        println!("{:<24} {:>9} {:>9} {:>8}", "instructions per frame", "baseline", "now", "of it");
        for (case, now) in counts {
            let (before, share) = match self.of(case) {
                Some(row) => (row.count.to_string(), format!("{} %", now * 100 / row.count.max(1))),
                None => ("-".to_owned(), "-".to_owned()),
            };
            println!("{case:<24} {before:>9} {now:>9} {share:>8}");
        }
    }

    pub(super) fn check(&self, counts: &[(String, u64)]) -> Result<(), String> {
        let compiler = compiler();
        if compiler != self.compiler {
            println!("The baseline was counted with {}, this with {compiler}.", self.compiler);
        }
        let risen =
            |(case, now): &&(String, u64)| self.of(case).is_none_or(|row| *now * 100 > row.count * (100 + TOLERATED));
        let risen: Vec<_> = counts.iter().filter(risen).map(|(case, _)| case.as_str()).collect();
        if risen.is_empty() {
            return Ok(());
        }
        Err(format!(
            "over {TOLERATED} % more instructions per frame than {FILE} says, or not in it: {}.\nFind out why \
             (`valgrind --tool=callgrind`); if it is worth it, say so: \
             cargo xtask bench instructions --accept \"REASON\"",
            risen.join(", ")
        ))
    }

    /// Writes the file anew. The reason stands beside whatever changed by more than a hundredth.
    pub(super) fn accept(&mut self, counts: &[(String, u64)], reason: &str) -> Result<(), String> {
        let mut text = format!("{HEADER}compiler | {}\n", compiler());
        for (case, now) in counts {
            let (count, reason) = match self.of(case) {
                Some(row) if now.abs_diff(row.count) * 100 <= row.count => (row.count, row.reason.as_str()),
                _ => (*now, reason),
            };
            writeln!(text, "{case:<21} | {count:>7} | {reason}").map_err(|error| error.to_string())?;
        }
        fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
    }
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "an unknown rustc".to_owned(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
