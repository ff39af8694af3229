//! `transload diff A.yaml B.yaml`: what changes from one gateway's file to another, and for which frames.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Failure;
use super::host_names::{GivenNames, all_resolved};
use super::render::{output, plural};
use super::replay::capture;
use crate::compile::{Numbers, Plan, compile};
use crate::config::{self, Config};
use crate::diff::{self, Change, Changed, Fate, Fates, How, Plans, Side};
use crate::offline::replay::Input;

/// Names every port, endpoint, peer, group, tenant, attachment, static address and tunnel that is added, removed or
/// changed. With captures, both gateways run in step on the captures' own clock, and every frame that they
/// handle differently is shown: where it was sent under which ID, or why it was dropped, by either file. Looks at no device. Exit code 0
/// whether or not the files differ; 1 if one of them, or a capture, is wrong.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The gateway's file as it was
    old: PathBuf,
    /// The gateway's file as it will be
    new: PathBuf,
    /// A capture (pcap or pcapng, Ethernet), and the port its frames arrive at; may be repeated
    #[arg(long = "in", value_name = "PORT=FILE", value_parser = capture)]
    inputs: Vec<(String, PathBuf)>,
    #[command(flatten)]
    names: GivenNames,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Difference {
    old: String,
    new: String,
    changes: Vec<Change>,
    /// Left out without captures.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Fates>,
}

/// The two files that are compared.
struct Files {
    configs: [Config; 2],
}

impl Files {
    fn load(args: &Args) -> Result<Self, Failure> {
        let configs = [config::load(&args.old)?, config::load(&args.new)?].map(|config| args.names.tell(config));
        args.names.all_known(&configs.each_ref())?;
        Ok(Self { configs })
    }

    /// Compiles both with the same numbers, so that what has the same name in both is the same.
    fn compile(&self) -> Result<[Plan; 2], Failure> {
        let [old, new] = &self.configs;
        let old = compile(old, &Numbers::default(), None)?;
        let new = compile(new, &old.numbers, None)?;
        Ok([old, new])
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let files = Files::load(args)?;
    let [old, new] = files.compile()?;
    if !args.inputs.is_empty() {
        [&old, &new].into_iter().try_for_each(all_resolved)?;
    }
    let [old_config, new_config] = &files.configs;
    let changes = diff::changes(Side { config: old_config, plan: &old }, Side { config: new_config, plan: &new });
    let frames = if args.inputs.is_empty() {
        None
    } else {
        let inputs =
            args.inputs.iter().map(|(port, file)| input([&old, &new], port, file)).collect::<Result<Vec<_>, _>>()?;
        let [old_reader, new_reader] = files.compile()?;
        let plans = Plans { old: (old, old_reader), new: (new, new_reader) };
        Some(diff::fates(plans, &inputs, &changes).map_err(|error| Failure::new(error.to_string()))?)
    };
    let (old, new) = (args.old.display().to_string(), args.new.display().to_string());
    let difference = Difference { old, new, changes, frames };
    if args.json {
        let text = serde_json::to_string_pretty(&difference).map_err(|error| Failure::new(error.to_string()))?;
        return output(&text);
    }
    output(words(&difference).trim_end())
}

fn input(plans: [&Plan; 2], port: &str, file: &Path) -> Result<Input, Failure> {
    let found = plans.iter().find_map(|plan| plan.names.port_id(port));
    found.map(|port| Input { port, file: file.to_path_buf() }).ok_or_else(|| {
        let known: Vec<_> = plans[0].names.ports().map(|(_, name)| name).collect();
        Failure::with_help(format!("neither file has a port `{port}`"), format!("the first has {}", known.join(", ")))
    })
}

/// More frames than this are counted, not shown.
const MOST_SHOWN: usize = 50;

fn words(difference: &Difference) -> String {
    let mut text = String::new();
    for change in &difference.changes {
        let sign = match change.how {
            How::Added(_) => '+',
            How::Removed(_) => '-',
            How::Changed(_) => '~',
        };
        // Writing into a string does not fail.
        let _ = writeln!(text, "{sign} {} {}: {}", change.thing.word(), change.name, change.details());
    }
    if difference.changes.is_empty() {
        text.push_str("the two files mean the same\n");
    }
    if let Some(fates) = &difference.frames {
        let verb = if fates.changed.len() == 1 { "is" } else { "are" };
        let frames = usize::try_from(fates.frames).unwrap_or(usize::MAX);
        let _ = writeln!(text, "\n{} of {} {verb} handled differently", fates.changed.len(), plural(frames, "frame"));
        for remark in fates.captured.remarks() {
            let _ = writeln!(text, "{remark}");
        }
        fates.changed.iter().take(MOST_SHOWN).for_each(|changed| frame(changed, &mut text));
        if let Some(rest) = fates.changed.len().checked_sub(MOST_SHOWN).filter(|&rest| rest > 0) {
            let _ = writeln!(text, "... and {rest} more; `--json` lists all of them");
        }
    }
    text
}

fn frame(changed: &Changed, text: &mut String) {
    let owner = |fate: &Fate| match (&fate.tenant, &fate.mapping) {
        (Some(tenant), _) => format!(" (tenant {tenant})"),
        (None, Some(mapping)) => format!(" (mapping {mapping})"),
        (None, None) => String::new(),
    };
    let (old, new) = (changed.old.describe(), changed.new.describe());
    // A frame that goes the same way may still be other bytes.
    let new = if old == new && owner(&changed.old) == owner(&changed.new) {
        "sent by the same path, with other headers".into()
    } else {
        new
    };
    let _ = writeln!(text, "frame {} on {}", changed.frame, changed.port);
    let _ = writeln!(text, "    was {old}{}", owner(&changed.old));
    let _ = writeln!(text, "    now {new}{}", owner(&changed.new));
    for cause in &changed.because {
        let _ = writeln!(text, "    because {cause}");
    }
    if changed.because.is_empty() {
        text.push_str("    because of what the gateways learned from earlier frames\n");
    }
}
