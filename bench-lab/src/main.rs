//! Measures transload beside other gateways, and how its cost grows. `cargo xtask bench` builds and runs this.

use std::fs;
use std::io;
use std::process::ExitCode;

use transload_bench_lab::machine::Machine;
use transload_bench_lab::options::{Options, USAGE};
use transload_bench_lab::plan::{LOSS, Plan};
use transload_bench_lab::results::Results;
use transload_bench_lab::systems::bare;
use transload_bench_lab::{campaign, pipeline, report, scale};
use transload_lab::{interrupt, skip};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if words == ["load"] {
        return ended(scale::load());
    }
    if words == [bare::WORD] {
        return ended(bare::forward());
    }
    if words == ["--help"] {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match Options::parse(&words) {
        Ok(options) => ended(run(&options)),
        Err(what) => {
            eprint!("bench: {what}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn ended(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    if let Some(file) = &options.from {
        return show(options, &serde_json::from_str(&fs::read_to_string(file)?)?);
    }
    interrupt::watch()?;
    let tell = &mut |line: &str| eprintln!("{line}");
    let mut results = Results::new(Machine::here(), LOSS);
    if options.scale {
        results.growth = scale::run(tell)?;
    }
    if options.lab {
        for need in [skip::root, skip::ip, skip::ethtool, skip::vxlan] {
            need().map_err(|missing| io::Error::other(format!("the lab needs {missing}")))?;
        }
        let mut plan = Plan::new(options.extent);
        plan.rounds = options.rounds.unwrap_or(plan.rounds);
        results = Results { growth: results.growth, ..campaign::run(&plan, tell)? };
    }
    if let Some(file) = &options.pipeline {
        results.pipeline = pipeline::parse(&fs::read_to_string(file)?);
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&results)?)?;
    }
    show(options, &results)
}

fn show(options: &Options, results: &Results) -> io::Result<()> {
    print!("{}", report::text(results));
    if options.write_docs { report::write_docs(results) } else { Ok(()) }
}
