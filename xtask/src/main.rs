//! The project's chores; `cargo xtask help` lists them.

mod bench;
mod bpf;
mod captures;
mod fuzz;
mod instructions;
mod interop;
mod package;
mod peers;
mod release;
mod run;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <chore>

  test [--strict]   every test; installs the peers it lacks where it may (Debian, root) and says so.
                    --strict: a skipped test is a failure, as in CI
  interop [--install] [ARGS]
                    the conformance matrix against every peer that is here; --install brings the others
                    (Debian, root). ARGS: --peer NAME, --case NAME, --list, --out DIR, --junit FILE, --strict;
                    see --help
  captures run [CASE..]
  captures record CASE..
                    the cases of interop-tests/cases, or directories like them: runs them, or writes
                    down what must come of them, for you to read
  soak [SECONDS]    a gateway on packet sockets, and one on XDP sockets, for so long each (ten minutes) under
                    mutated frames, reloads and admin clients that misbehave; prints what it counted (root)
  dashboard FILE    draws the dashboard into FILE (PNG) after ten minutes of traffic and trouble, with
                    Debian's Prometheus and Chromium (root)
  loom              the FDB under every order of events between two threads
  fuzz [--seconds N | --runs N] [TARGET]
                    feeds the decapsulators, the pipeline, the loader and the capture reader with
                    what they learn to fear, each for so long (a minute); needs g++
  bench [lab | scale] [--quick | --full] [--rounds N] [--json FILE] [--write-docs]
                    the kernel's bridge, Open vSwitch and transload side by side, in network
                    namespaces (lab; needs root), and how cost grows with size (scale). --quick is
                    the lab in under three minutes; otherwise a quarter of an hour, --full hours.
                    --json keeps every figure, --from FILE shows them again, --write-docs
                    renews docs/PERFORMANCE.md
  package [--target TRIPLE] [--test]
                    the Debian package, in target/debian. TRIPLE is aarch64-unknown-linux-gnu, or this machine's
                    own. --test installs it in a clean Debian root, carries traffic with it, upgrades it under
                    traffic and removes it (root)
  release VERSION [--dry-run]
                    makes what is unreleased in CHANGELOG.md a version: commit, packages, tag; nothing leaves this
                    machine. --dry-run says what stands in the way, and changes nothing
  bpf [--check]     compiles the programs for the kernel, which are committed beside their sources, with
                    Debian's clang 14, or fails where one is not what its source compiles to
  bench memory      every benchmark in memory
  bench -- ARGS     the same; ARGS go to criterion, such as a filter
  bench pipeline [TENANT..] [chunk=BYTES]
                    nanoseconds per frame of the whole pipeline in memory, by tenant and number of MACs;
                    chunks have 2048 bytes, 2112 or 4096
  bench instructions [COMMIT]
                    instructions per frame, counted by valgrind; and those of another commit beside them
                    (`missing`: that commit does not count them)
  bench instructions --check
                    fails when they are over 3 % above the baseline, as CI does
  bench instructions --accept REASON
                    makes them the baseline
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::all(false),
        ["test", "--strict"] => test::all(true),
        ["interop", rest @ ..] => interop::matrix(rest),
        ["captures", rest @ ..] => captures::captures(rest),
        ["soak"] => test::soak("600"),
        ["soak", seconds] if seconds.parse::<u32>().is_ok() => test::soak(seconds),
        ["dashboard", file] => test::dashboard(file),
        ["loom"] => test::loom(),
        ["bpf"] => bpf::build(),
        ["bpf", "--check"] => bpf::check(),
        ["package", rest @ ..] => match package::Plan::of(rest) {
            Some(plan) => package::make(&plan),
            None => return misunderstood(),
        },
        ["release", version] => release::make(version, false),
        ["release", version, "--dry-run"] | ["release", "--dry-run", version] => release::make(version, true),
        ["bench", "instructions"] => instructions::count(None),
        ["bench", "instructions", "--check"] => instructions::check(),
        ["bench", "instructions", "--accept", reason] => instructions::accept(reason),
        ["bench", "instructions", commit] if !commit.starts_with('-') => instructions::count(Some(commit)),
        ["fuzz", rest @ ..] => match fuzz::Plan::of(rest) {
            Some(plan) => fuzz::run(&plan),
            None => return misunderstood(),
        },
        ["bench", "pipeline", rest @ ..] => run::cargo(&[&["bench", "--bench", "pipeline", "--"], rest].concat()),
        ["bench", "--", rest @ ..] => run::cargo(&[&["bench", "--workspace", "--benches", "--"], rest].concat()),
        ["bench", "memory"] => run::cargo(&["bench", "--workspace", "--benches"]),
        ["--help" | "-h" | "help"] | ["bench", "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["bench", rest @ ..] => bench::lab(rest),
        _ => return misunderstood(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("xtask: {what}");
            ExitCode::FAILURE
        }
    }
}

fn misunderstood() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
