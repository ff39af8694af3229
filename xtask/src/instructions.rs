//! Instructions per frame, counted by valgrind: this tree, and beside it another commit.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run;

const FRAMES_OF_A_BREATH: u64 = 64;
const BREATHS: u64 = 20;
/// Tenant, bytes of the inner frame, MACs: what is counted.
const CASES: [(&str, &str, &str); 4] = [
    ("vxlan-nvgre", "64", "1000"),
    ("vxlan-nvgre", "1400", "1000"),
    ("qinq-vxlan", "64", "1000"),
    ("gre-vxlan", "64", "1000"),
];

/// Counts, and prints a line for each kind of traffic; with `against`, the same of that commit beside it.
pub(crate) fn count(against: Option<&str>) -> Result<(), String> {
    let ours = build(Path::new("."))?;
    let theirs = against.map(build_commit).transpose()?;
    println!("{:<28} {:>12} {:>12}", "instructions per frame", "this tree", against.unwrap_or(""));
    for case in CASES {
        let (tenant, len, macs) = case;
        let name = format!("{tenant} {len}B, {macs} MACs");
        let theirs = theirs.as_deref().map(|program| per_frame(program, case)).transpose()?;
        let theirs = theirs.map_or_else(String::new, |count| count.to_string());
        println!("{name:<28} {:>12} {theirs:>12}", per_frame(&ours, case)?);
    }
    Ok(())
}

/// The difference between two runs of different length leaves out everything that is not breathing.
fn per_frame(program: &Path, case: (&str, &str, &str)) -> Result<u64, String> {
    let short = instructions(program, case, BREATHS)?;
    let long = instructions(program, case, 2 * BREATHS)?;
    Ok(long.saturating_sub(short) / (BREATHS * FRAMES_OF_A_BREATH))
}

fn instructions(program: &Path, (tenant, len, macs): (&str, &str, &str), breaths: u64) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([tenant, len, macs, &breaths.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}; on Debian: apt-get install valgrind"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    count.ok_or_else(|| format!("valgrind counted nothing:\n{text}"))
}

/// Builds the program that breathes; gives back where it is.
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
