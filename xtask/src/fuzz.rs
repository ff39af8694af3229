//! Fuzzing on stable Rust: builds the targets with the compiler's coverage counters and runs them, each for its share.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use crate::run;

/// What `cargo fuzz` would pass on nightly; these are all stable.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Seconds for each target if the command line does not say.
const SECONDS: &str = "60";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// libFuzzer's word for the end.
    limit: String,
    /// Which target; all of them if none is named.
    target: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// The plan of these arguments, if they are one.
    pub(crate) fn of(arguments: &[&'a str]) -> Option<Self> {
        let (limit, rest) = match arguments {
            ["--seconds", count, rest @ ..] => (("max_total_time", *count), rest),
            ["--runs", count, rest @ ..] => (("runs", *count), rest),
            rest => (("max_total_time", SECONDS), rest),
        };
        let target = match rest {
            [] => None,
            [target] if !target.starts_with('-') => Some(*target),
            _ => return None,
        };
        limit.1.parse::<u32>().ok()?;
        Some(Self { limit: format!("-{}={}", limit.0, limit.1), target })
    }
}

/// Builds the targets and runs them. What they find is in `fuzz/artifacts`, what taught them something new in
/// `target/fuzz/corpus`.
pub(crate) fn run(plan: &Plan<'_>) -> Result<(), String> {
    let all = targets()?;
    let chosen: Vec<_> = all.iter().filter(|name| plan.target.is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        return Err(format!("there is no such target; there are: {}", all.join(", ")));
    }
    let programs = build()?;
    for name in chosen {
        fuzz(&programs.join(name), name, &plan.limit)?;
    }
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Every file of `fuzz/fuzz_targets` is a target.
fn targets() -> Result<Vec<String>, String> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<_> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Builds the fuzz targets. Returns the folder of the programs.
fn build() -> Result<PathBuf, String> {
    let (target, folder) = (host()?, root().join("target/fuzz"));
    let begin = Instant::now();
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--locked", "--release", "--target", &target, "--manifest-path"]);
    command.arg(root().join("fuzz/Cargo.toml")).arg("--target-dir").arg(&folder);
    // With --target, build scripts and macros are built without these.
    run::shown(command.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    eprintln!("Built in {} s.", begin.elapsed().as_secs());
    Ok(folder.join(target).join("release"))
}

/// The machine's triple, as rustc calls it.
fn host() -> Result<String, String> {
    let rustc = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what it compiles for".to_owned())
}

fn fuzz(program: &Path, name: &str, limit: &str) -> Result<(), String> {
    let (learned, artifacts) = (root().join("target/fuzz/corpus").join(name), root().join("fuzz/artifacts").join(name));
    for folder in [&learned, &artifacts] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let begin = Instant::now();
    let mut command = Command::new(program);
    // The same numbers in every run, so that a bounded one finds the same every time from the same corpus.
    command.args([limit, "-seed=1", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(&learned).args(corpus(name));
    let output = command.stderr(Stdio::piped()).output().map_err(|error| format!("{}: {error}", program.display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let seconds = begin.elapsed().as_secs();
    if output.status.success() {
        let executions = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        eprintln!("{name}: {} executions in {seconds} s, nothing found", executions.unwrap_or("?").trim());
        return Ok(());
    }
    eprint!("{told}");
    Err(format!("{name} found something after {seconds} s; the input is in {}", artifacts.display()))
}

/// What a target starts from: the corpus that is kept, and where its language is written down anyway.
fn corpus(name: &str) -> Vec<PathBuf> {
    let more: &[&str] = if name == "config" { &["configs", "tests/wrong"] } else { &[] };
    let kept = root().join("fuzz/corpus").join(name);
    more.iter().map(|folder| root().join(folder)).chain([kept]).filter(|folder| folder.is_dir()).collect()
}
