//! `transload check FILE`: what is wrong with a gateway's file, without looking at any device.

use std::path::PathBuf;

use serde::Serialize;

use super::Failure;
use super::host_names::GivenNames;
use super::isolation::not_isolated;
use super::meshes;
use super::render::{output, plural, problems_of};
use super::unmapped::{self, MappingIds};
use crate::compile::{Numbers, Plan, compile};
use crate::config::{self, Problem, Problems, Severity};
use crate::forwarding::{FileTables, Members};
use crate::isolation::{self, Meeting};
use crate::run::{backends, preflight};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The gateway's file; `-` reads standard input
    file: PathBuf,
    /// Also say what of this machine `run` would refuse, and what it would take
    #[arg(long)]
    host: bool,
    #[command(flatten)]
    names: GivenNames,
    /// Print what is found as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct CheckOutput<'a> {
    file: String,
    ok: bool,
    problems: &'a [Problem],
    /// Paths by which tenants meet.
    meetings: &'a [Meeting],
    /// How many IDs every mapping has, and which cannot be used.
    mappings: &'a [MappingIds],
    /// What works, and may yet not be what was meant.
    hints: &'a [String],
    /// With `--host`: what would move the frames of every port that the file leaves to us, and why; and how many
    /// workers would run, if not as many as it says.
    host: &'a [String],
}

/// What is found in a file that compiles.
#[derive(Default)]
struct Found {
    summary: String,
    meetings: Vec<Meeting>,
    mappings: Vec<MappingIds>,
    hints: Vec<String>,
    host: Vec<String>,
}

impl Found {
    fn of(plan: &Plan, is_for_host: bool) -> Self {
        Self {
            summary: summary(plan),
            meetings: isolation::examine(plan).meetings,
            mappings: unmapped::rows(plan),
            hints: meshes::hints(plan),
            host: if is_for_host { backends::choose(plan).words() } else { Vec::new() },
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (problems, found) = match look(args)? {
        Ok((plan, problems)) => {
            let found = Found::of(&plan, args.host);
            // The process ends here: to take the tables of a million tenants apart would only keep it waiting.
            std::mem::forget(plan);
            (problems, Some(found))
        }
        Err(problems) => (problems, None),
    };
    if args.json {
        let is_good = found.as_ref().is_some_and(|found| found.meetings.is_empty());
        print_json(args, &problems, &found.unwrap_or_default())?;
        return if is_good { Ok(()) } else { Err(Failure::Told) };
    }
    let Some(Found { summary, meetings, mappings, hints, host }) = found else { return Err(problems.into()) };
    problems_of(&problems.0);
    if !meetings.is_empty() {
        return Err(not_isolated(&args.file, &meetings));
    }
    let warnings = problems.0.iter().filter(|problem| problem.severity == Severity::Warning).count();
    let warnings = if warnings == 0 { String::new() } else { format!(", {}", plural(warnings, "warning")) };
    for mapping in &mappings {
        output(&mapping.line())?;
    }
    for line in hints.iter().chain(&host) {
        output(line)?;
    }
    output(&format!("{}: {summary}: ok{warnings}", args.file.display()))
}

/// The plan and its warnings, or why there is none.
fn look(args: &Args) -> Result<Result<(Plan, Problems), Problems>, Failure> {
    let loaded = config::load(&args.file).map(|config| args.names.tell(config));
    let compiled = loaded.and_then(|config| Ok((compile(&config, &Numbers::default(), None)?, config)));
    let (mut plan, config) = match compiled {
        Ok(compiled) => compiled,
        Err(problems) => return Ok(Err(problems)),
    };
    args.names.all_known(&[&config])?;
    let mut found = plan.warnings.clone();
    found.extend(args.names.problems(&plan));
    if args.host {
        let missing = preflight::look(&config, &mut plan);
        found.extend(missing.map_err(|error| Failure::new(format!("cannot look at this machine: {error}")))?);
    }
    let problems = Problems::sorted(found);
    Ok(if problems.has_errors() { Err(problems) } else { Ok((plan, problems)) })
}

fn print_json(args: &Args, problems: &Problems, found: &Found) -> Result<(), Failure> {
    let Found { meetings, mappings, hints, host, .. } = found;
    let (file, ok) = (args.file.display().to_string(), !problems.has_errors() && meetings.is_empty());
    let findings = CheckOutput { file, ok, problems: &problems.0, meetings, mappings, hints, host };
    let text = serde_json::to_string_pretty(&findings).map_err(|error| Failure::new(error.to_string()))?;
    output(&text)
}

/// `3 ports, 2 endpoints, 7 tunnel peers, 2 tenants with 7 attachments over 13 tunnels, isolated: 2 tenants`
fn summary(plan: &Plan) -> String {
    let tables = &plan.tables;
    let mut parts = vec![plural(plan.ports.len(), "port")];
    let mut add = |count: usize, word: &str| {
        if count > 0 {
            parts.push(plural(count, word));
        }
    };
    add(tables.endpoints.values().filter(|endpoint| !endpoint.carriers.is_empty()).count(), "endpoint");
    add(plan.tunnels.len(), "tunnel peer");
    add(plan.statics.len(), "static address");
    add(tables.mappings.all.values().count(), "mapping");
    let (tenants, attachments, tunnels) = sizes(tables);
    let tenants = plural(tenants, "tenant");
    let attachments = plural(attachments, "attachment");
    let over = if tunnels == 0 { String::new() } else { format!(" over {}", plural(tunnels, "tunnel")) };
    format!("{}, {tenants} with {attachments}{over}, isolated: {tenants}", parts.join(", "))
}

/// Tenants, their attachments, and the tunnels behind these: not the tags of ports.
fn sizes(tables: &FileTables) -> (usize, usize, usize) {
    let (mut tenants, mut attachments, mut tunnels) = (0, 0, 0);
    for domain in tables.domains.values() {
        tenants += 1;
        for attachment in domain.attachments.values() {
            attachments += 1;
            tunnels += match attachment.members {
                Members::One(peer) => {
                    usize::from(tables.peer(peer).is_some_and(|peer| peer.compiled.kind().has_peers()))
                }
                members @ Members::Group(_) => tables.members(&members).len(),
            };
        }
    }
    (tenants, attachments, tunnels)
}
