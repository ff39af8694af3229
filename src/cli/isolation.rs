//! `transload isolation FILE`: the proof that no two tenants can meet, or the path by which they do.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Failure;
use super::host_names::{GivenNames, all_resolved};
use super::render::{output, plural, problems_of, tell};
use crate::compile::{Numbers, compile};
use crate::isolation::{self, Document, Meeting};

/// Prints the proof as JSON on standard output, and what it comes to in words on standard error. Looks at no device.
/// The hash is the SHA-256 of `proof` as compact JSON, which `jq -cj .proof | sha256sum` computes again; it is the
/// same for files that say the same in another order. Exit code 0 if no two tenants can meet, else 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The gateway's file
    file: PathBuf,
    #[command(flatten)]
    names: GivenNames,
    /// Only the JSON
    #[arg(long)]
    json: bool,
}

/// The JSON that is printed.
#[derive(Serialize)]
struct Printed<'a> {
    file: String,
    #[serde(flatten)]
    document: &'a Document,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    // Of a file that does not load nothing is proved, neither way.
    let plan = compile(&args.names.load(&args.file)?, &Numbers::default(), None)?;
    all_resolved(&plan)?;
    let isolation = isolation::examine(&plan);
    let document = isolation.document();
    print(&Printed { file, document: &document })?;
    match (isolation.holds(), args.json) {
        (true, true) => Ok(()),
        (true, false) => {
            problems_of(&plan.warnings);
            tell(words(&args.file, &document).trim_end());
            Ok(())
        }
        (false, true) => Err(Failure::Told),
        (false, false) => Err(not_isolated(&args.file, &isolation.meetings)),
    }
}

fn print(what: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(what).map_err(|error| Failure::new(error.to_string()))?;
    output(&text)
}

fn words(file: &Path, document: &Document) -> String {
    let proof = &document.proof;
    let mut parties = plural(proof.tenants.len(), "tenant");
    if !proof.mappings.is_empty() {
        let ids: u64 = proof.mappings.iter().map(|row| row.ids).sum();
        // Writing into a string does not fail.
        let _ = write!(parties, " and {ids} IDs of {}", plural(proof.mappings.len(), "mapping"));
    }
    let mut text = format!("{}: isolated: {parties}, {}\nassuming that\n", file.display(), document.hash);
    for assumption in &document.proof.assumptions {
        // Writing into a string does not fail.
        let _ = writeln!(text, "  {}: {}", assumption.name, assumption.statement);
        for here in &assumption.here {
            let _ = writeln!(text, "    {here}");
        }
    }
    text
}

/// Tenants meet: says by which paths.
pub(super) fn not_isolated(file: &Path, meetings: &[Meeting]) -> Failure {
    const MOST_SHOWN: usize = 10;
    let shown: Vec<_> = meetings.iter().take(MOST_SHOWN).map(Meeting::headline).collect();
    let rest = meetings.len().saturating_sub(MOST_SHOWN);
    let more = if rest > 0 { format!("\n... and {rest} more; `isolation --json` lists them") } else { String::new() };
    let message = format!("{}: not isolated\n{}{more}", file.display(), shown.join("\n"));
    Failure::with_help(
        message,
        "each path ends where one of the two tenants can be given another ID, tag, port or peer",
    )
}
