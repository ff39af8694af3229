//! `interop`: the conformance matrix of a gateway against every peer stack that is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use transload_interop_tests::cases::Case;
use transload_interop_tests::choice::{self, Choice};
use transload_interop_tests::report::{self, Report, WireFrame};
use transload_interop_tests::testbed::{Absent, Endpoint, Site, Testbed, now, roster};
use transload_interop_tests::{runner, supervise};
use transload_lab::{interrupt, uml};

type Frames = BTreeMap<&'static str, Vec<WireFrame>>;

/// Builds a gateway and every peer that this machine has, tries what is promised between them, and tells what holds.
#[derive(Debug, Parser)]
#[command(name = "interop")]
struct Options {
    /// Only these peers: a stack (kernel, uml, ovs) or a site (uml-gre6); may be repeated
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Only this case, or, where no case is called so, those whose names hold this; may be repeated
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// Somebody's own endpoint, described in a file: see interop-tests/README.md
    #[arg(long, value_name = "FILE")]
    endpoint: Option<PathBuf>,
    /// Shows peers and cases, and runs nothing
    #[arg(long)]
    list: bool,
    /// Where report.html, report.json and the captures go
    #[arg(long, value_name = "DIR", default_value = "target/interop")]
    out: PathBuf,
    /// Also writes the results as `JUnit` XML, for CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// What could not run counts as a failure
    #[arg(long)]
    strict: bool,
    /// Set by the supervisor for its child
    #[arg(long, hide = true)]
    supervised: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(file) = &options.endpoint {
        match Endpoint::read(file) {
            Ok(endpoint) => endpoint.take_part(),
            Err(error) => {
                eprintln!("interop: {error}");
                return ExitCode::from(2);
            }
        }
    }
    if !options.list && !options.supervised {
        return ended(supervised(&options));
    }
    let cases = match meant(&options) {
        Ok(cases) => cases,
        Err(what) => {
            eprintln!("interop: {what}");
            return ExitCode::from(2);
        }
    };
    if options.list {
        list(&options, &cases);
        return ExitCode::SUCCESS;
    }
    ended(work(&options, &cases))
}

fn ended(outcome: io::Result<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("interop: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The cases that were asked for, if all that was asked for is there to be tried.
fn meant(options: &Options) -> Result<Vec<Case>, String> {
    choice::peers(&options.peer)?;
    let Choice { cases, remarks } = choice::cases(&options.case)?;
    for remark in remarks {
        eprintln!("interop: {remark}");
    }
    if let Some(endpoint) = Endpoint::here() {
        let (sites, _) = roster(&options.peer);
        endpoint.fits(&sites).map_err(|error| error.to_string())?;
        if !options.list {
            endpoint.is_reachable().map_err(|error| error.to_string())?;
        }
    }
    if let Some(file) = options.junit.as_ref().filter(|_| !options.list) {
        // Rather now than after all has been tried.
        let made = std::fs::create_dir_all(file.parent().unwrap_or(file)).and_then(|()| File::create(file));
        made.map_err(|error| format!("--junit {}: {error}", file.display()))?;
    }
    Ok(cases)
}

/// Runs this program once more, with a parent that cleans up after it.
fn supervised(options: &Options) -> io::Result<u8> {
    let scratch = tempfile::Builder::new().prefix("interop-").tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).arg("--supervised").env("TMPDIR", scratch.path());
    // What is named in the report must outlive the scratch directory.
    command.env(uml::KEEP_IN, std::path::absolute(&options.out)?);
    supervise::run(&mut command)
}

fn list(options: &Options, cases: &[Case]) {
    let (sites, absent) = roster(&options.peer);
    println!("Peers:");
    for site in &sites {
        println!("  {:<16} {}", site.name, site.stack.version());
    }
    let mut before = None;
    for Absent { name, why, .. } in &absent {
        match before.replace(why) {
            Some(same) if same == why => println!("  {name:<16} not here, as above"),
            _ => println!("  {name:<16} not here: {why}"),
        }
    }
    if let Some(endpoint) = Endpoint::here() {
        println!("Wanted of the far end:\n  {}", endpoint.wanted());
    }
    println!("Cases:");
    for case in cases {
        println!("  {:<24} {}", case.name, case.says);
    }
}

fn work(options: &Options, cases: &[Case]) -> io::Result<u8> {
    interrupt::watch()?;
    std::fs::create_dir_all(&options.out)?;
    let (begun, started) = (Instant::now(), now() / 1_000_000_000);
    let (sites, mut absent) = roster(&options.peer);
    let scratch = tempfile::tempdir()?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {pos}/{len} {elapsed}");
    bar.set_style(style.map_err(io::Error::other)?);
    bar.enable_steady_tick(Duration::from_millis(100));

    let (sites, runs, frames) = run(cases, sites, &mut absent, scratch.path(), &bar)?;
    bar.finish_and_clear();
    let report = Report::new(&sites, &absent, &runs, frames, (started, begun.elapsed().as_secs_f64()));
    std::fs::write(options.out.join("report.json"), serde_json::to_string_pretty(&report)?)?;
    std::fs::write(options.out.join("report.html"), report::page(&report))?;
    if let Some(file) = &options.junit {
        std::fs::write(file, report::junit(&report).map_err(io::Error::other)?)?;
    }
    print!("{}", report::matrix(&report));
    println!("{}", options.out.join("report.html").display());
    let is_good = report.totals.failed == 0 && !(options.strict && report.totals.not_run > 0);
    Ok(if interrupt::is_asked() { 130 } else { u8::from(!is_good) })
}

/// Runs the cases. Returns the sites that took part; what did not come up is added to those that are absent.
fn run(
    cases: &[Case],
    sites: Vec<Site>,
    absent: &mut Vec<Absent>,
    scratch: &std::path::Path,
    bar: &ProgressBar,
) -> io::Result<(Vec<Site>, Vec<runner::CaseRun>, Frames)> {
    let say = |text: &str| if bar.is_hidden() { eprintln!("{text}") } else { bar.println(text) };
    let mut testbed = Testbed::build(sites, scratch, &mut say.clone())?;
    let sites = testbed.sites().to_vec();
    let mut runs = Vec::new();
    for &case in cases {
        bar.set_prefix(case.name);
        bar.set_position(0);
        let run = runner::run(case, &mut testbed, absent, &mut |total, words| {
            bar.set_length(total as u64);
            bar.inc(1);
            bar.set_message(words.to_owned());
        });
        say(&format!("{:<28} {} cells in {:.1} s", case.name, run.cells.len(), run.seconds));
        runs.push(run);
    }
    absent.extend_from_slice(testbed.left_out());
    // Whoever interrupts does not want to wait for it.
    let frames = if interrupt::is_asked() { Frames::new() } else { report::collect(&runs, testbed.tapes(), scratch)? };
    Ok((sites, runs, frames))
}
