//! Instructions per frame, and per learned peer, counted by valgrind: this tree's, beside another commit's or beside the
//! baseline.
//!
//! Wall clocks lie on shared machines; the same program, built by the same compiler, takes the same number of
//! instructions on the same frames everywhere.

mod baseline;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{peers, run};
use baseline::Baseline;

const FRAMES_OF_A_BREATH: u64 = 64;
const BREATHS: u64 = 20;
/// Sources, and as many destinations.
const MACS: &str = "1000";
/// Tenant and bytes of the inner frame: what is counted.
const CASES: [Case; 10] = [
    ("vxlan-vxlan", "64"),
    ("vxlan-nvgre", "64"),
    ("vxlan-nvgre", "1400"),
    ("vxlan-qinq", "64"),
    ("qinq-vxlan", "64"),
    ("gre-vxlan", "64"),
    ("vxlan-ipv6", "64"),
    ("vxlan-ecmp", "64"),
    ("peers-64", "64"),
    ("peers-1000", "64"),
];
/// What the counted program says of a tenant that it does not know.
const UNKNOWN: &str = "one of the tenants";

/// Learned peers beside which one more is learned, and how many of those are counted.
const LEARNED: &str = "10000";
const NEWCOMERS: u64 = 10;

type Case = (&'static str, &'static str);

fn name((tenant, len): Case) -> String {
    format!("{tenant} {len}B")
}

/// Counts, and prints a line for each kind of traffic; with `against`, the same of that commit beside it.
pub(crate) fn count(against: Option<&str>) -> Result<(), String> {
    peers::provide_valgrind()?;
    let ours = build(Path::new("."))?;
    let theirs = against.map(build_commit).transpose()?;
    println!("{:<28} {:>12} {:>12}", "instructions per frame", "this tree", against.unwrap_or(""));
    for case in CASES {
        let theirs = theirs.as_deref().map(|program| per_frame_or_missing(program, case)).transpose()?;
        let theirs = theirs.unwrap_or_default();
        println!("{:<28} {:>12} {theirs:>12}", name(case), per_frame(&ours, case)?);
    }
    println!("{:<28} {:>12}", newcomer(), per_newcomer(&ours)?);
    Ok(())
}

/// Fails when a kind of traffic takes over 3 % more than the baseline says.
pub(crate) fn check() -> Result<(), String> {
    let baseline = Baseline::read()?;
    let counts = counts()?;
    baseline.print(&counts);
    baseline.check(&counts)
}

/// Makes what is counted now the baseline, for this reason.
pub(crate) fn accept(reason: &str) -> Result<(), String> {
    let mut baseline = Baseline::read().unwrap_or_default();
    let counts = counts()?;
    baseline.print(&counts);
    baseline.accept(&counts, reason)
}

fn counts() -> Result<Vec<(String, u64)>, String> {
    peers::provide_valgrind()?;
    let program = build(Path::new("."))?;
    let frames = CASES.into_iter().map(|case| Ok((name(case), per_frame(&program, case)?)));
    frames.chain([per_newcomer(&program).map(|count| (newcomer(), count))]).collect()
}

fn newcomer() -> String {
    format!("newcomer beside {LEARNED}")
}

/// What control does for one more learned peer, until the workers have its paths.
fn per_newcomer(program: &Path) -> Result<u64, String> {
    let of = |newcomers: u64| instructions(program, &["newcomers", LEARNED, &newcomers.to_string()]);
    Ok(of(2 * NEWCOMERS)?.saturating_sub(of(NEWCOMERS)?) / NEWCOMERS)
}

/// The gateway's own: what its ports take by themselves is left out.
fn per_frame(program: &Path, case: Case) -> Result<u64, String> {
    Ok(breathing(program, "gateway", case)?.saturating_sub(breathing(program, "ports", case)?))
}

/// The same, for people, of a program that may be older than the case.
fn per_frame_or_missing(program: &Path, case: Case) -> Result<String, String> {
    match per_frame(program, case) {
        Ok(count) => Ok(count.to_string()),
        Err(why) if why.contains(UNKNOWN) => Ok("missing".to_owned()),
        Err(why) => Err(why),
    }
}

/// The difference between two runs of different length leaves out everything that is not breathing.
fn breathing(program: &Path, who: &str, case: Case) -> Result<u64, String> {
    let (tenant, len) = case;
    let of = |breaths: u64| instructions(program, &[who, tenant, len, MACS, &breaths.to_string()]);
    let (short, long) = (of(BREATHS)?, of(2 * BREATHS)?);
    Ok(long.saturating_sub(short) / (BREATHS * FRAMES_OF_A_BREATH))
}

fn instructions(program: &Path, arguments: &[&str]) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}; on Debian: apt-get install valgrind"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind counted nothing:\n{text}"))
}

/// Builds the program that is counted. Returns its path.
fn build(tree: &Path) -> Result<PathBuf, String> {
    let mut command = run::cargo_command(&["bench", "--bench", "instructions", "--no-run"]);
    command.current_dir(tree).stderr(Stdio::piped());
    run::announce(&command);
    let output = command.output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let built = text.lines().find_map(|line| line.split("instructions.rs (").nth(1)?.split(')').next());
    built.map(|program| tree.join(program)).ok_or_else(|| format!("the bench was not built:\n{text}"))
}

/// Another commit, in a tree of its own below `target/`.
fn build_commit(commit: &str) -> Result<PathBuf, String> {
    let tree = Path::new("target/against");
    if tree.exists() {
        run::shown(Command::new("git").args(["-C", "target/against", "checkout", "-q", "--detach", commit]))?;
    } else {
        run::shown(Command::new("git").args(["worktree", "add", "-q", "--detach", "target/against", commit]))?;
    }
    build(tree)
}
