//! The Debian package: the program, stripped and for the processor asked for, with what it says of itself (manual pages,
//! completions), put together by cargo-deb as `[package.metadata.deb]` in Cargo.toml has it.

pub(crate) mod changelog;
mod clean_root;
mod third_party;
mod version;

pub(crate) use version::git;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{peers, run};

/// The tool, installed beside what it makes, so that it is the same for everybody.
const CARGO_DEB: (&str, &str) = ("3.8.0", "target/tools");
const PROFILE: &str = "dist";
/// The largest program that is shipped, in bytes.
const LARGEST: u64 = 12_000_000;
/// The other processor that packages are made for.
pub(crate) const ARM64: &str = "aarch64-unknown-linux-gnu";
const ARM64_LINKER: (&str, &str) = ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
/// What cargo-deb is told to put into the package besides the program.
const GENERATED: &str = "target/package";
/// Captures, and what must come of them.
const CASES: &str = "interop-tests/cases";
const PACKAGES: &str = "target/debian";

/// What is asked for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan<'a> {
    /// Whom the program is for, if not this machine.
    pub(crate) target: Option<&'a str>,
    /// Whether it is tested in a clean root.
    pub(crate) test: bool,
    /// The version it is released as.
    pub(crate) release: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// The plan that these arguments describe, if any.
    pub(crate) fn of(arguments: &[&'a str]) -> Option<Self> {
        match arguments {
            [] => Some(Self::default()),
            ["--test", rest @ ..] => Some(Self { test: true, ..Self::of(rest)? }),
            ["--target", target, rest @ ..] => Some(Self { target: Some(target), ..Self::of(rest)? }),
            _ => None,
        }
    }

    /// Whether the program is for another processor than this machine's.
    fn is_foreign(&self) -> bool {
        self.target.is_some_and(|target| !target.starts_with(std::env::consts::ARCH))
    }
}

/// Makes the package, and tests it where that is asked for.
pub(crate) fn make(plan: &Plan<'_>) -> Result<(), String> {
    if plan.is_foreign() && plan.target != Some(ARM64) {
        return Err(format!("packages are made for this machine and for {ARM64}"));
    }
    if plan.is_foreign() && plan.test {
        return Err("the clean root is of this machine's architecture: leave --target or --test out".to_owned());
    }
    std::env::set_current_dir(root()).map_err(|error| error.to_string())?;
    peers::provide_packager()?;
    let program = build(plan)?;
    describe(plan, &program)?;
    if plan.is_foreign() {
        replay_cases(plan, &program)?;
    }
    let version = version::debian(plan.release)?;
    // The same program in a package that is newer. It is made first: whatever cargo-deb makes, wherever it puts it, it
    // removes the other versions in its own folder, which is PACKAGES.
    let newer = plan.test.then(|| pack(plan, &version::next(&version), &format!("{GENERATED}/next"))).transpose()?;
    let package = pack(plan, &version, PACKAGES)?;
    eprintln!("{}", package.display());
    if let Some(newer) = newer {
        clean_root::test(&package, &newer)?;
        fs::remove_file(&newer).map_err(|error| error.to_string())?;
    }
    Ok(())
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The program.
fn build(plan: &Plan<'_>) -> Result<PathBuf, String> {
    if plan.is_foreign() {
        provide_target()?;
    }
    let mut cargo = run::cargo_command(&["build", "--locked", "--profile", PROFILE, "--package", "transload"]);
    cargo.args(target_of(plan));
    cargo.env("TRANSLOAD_VERSION", version::told(plan.release)).env(ARM64_LINKER.0, ARM64_LINKER.1);
    run::shown(&mut cargo)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join(plan.target.unwrap_or_default()).join(PROFILE).join("transload");
    let size = fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?.len();
    if size > LARGEST {
        return Err(format!("the program has {size} bytes, and more than {LARGEST} are not shipped"));
    }
    eprintln!("The program has {size} bytes.");
    Ok(program)
}

/// Rust's own libraries for the other processor, and a linker.
fn provide_target() -> Result<(), String> {
    peers::provide_arm64()?;
    let libraries = run::told(Command::new("rustc").args(["--print", "target-libdir", "--target", ARM64]))?;
    if Path::new(&libraries).is_dir() {
        return Ok(());
    }
    eprintln!("Installing Rust's libraries for {ARM64}");
    run::shown(Command::new("rustup").args(["target", "add", ARM64])).map_err(|error| {
        format!("{error}; a package for {ARM64} needs Rust's libraries for it: `rustup target add {ARM64}`")
    })
}

fn target_of<'a>(plan: &Plan<'a>) -> impl Iterator<Item = &'a str> {
    plan.target.into_iter().flat_map(|target| ["--target", target])
}

/// The program as a command. One for another processor runs on an emulated one.
fn run_program(plan: &Plan<'_>, program: &Path) -> Command {
    if !plan.is_foreign() {
        return Command::new(program);
    }
    let mut emulator = Command::new("qemu-aarch64-static");
    emulator.args(["-L", "/usr/aarch64-linux-gnu"]).arg(program);
    emulator
}

/// Has the program write its manual pages and completions, and check the samples, so that it is known to run.
fn describe(plan: &Plan<'_>, program: &Path) -> Result<(), String> {
    let generated = Path::new(GENERATED);
    let _ = fs::remove_dir_all(generated);
    let completions = generated.join("completions");
    fs::create_dir_all(&completions).map_err(|error| format!("{}: {error}", completions.display()))?;
    let transload = |arguments: &[&str]| run::told(run_program(plan, program).args(arguments));
    eprintln!("{}", transload(&["--version"])?);
    transload(&["man", &format!("{GENERATED}/man")])?;
    for shell in ["bash", "zsh", "fish"] {
        write(&completions.join(shell), &(transload(&["completions", shell])? + "\n"))?;
    }
    for sample in files_in(Path::new("configs"))? {
        transload(&["check", &sample.to_string_lossy()])?;
    }
    let licences = generated.join("THIRD-PARTY");
    write(&licences, &third_party::licences(plan.target)?)?;
    run::shown(Command::new("gzip").args(["-9", "--no-name"]).arg(&licences))
}

/// Replays the recorded cases on the other processor: what it sends has to be the same to the byte.
fn replay_cases(plan: &Plan<'_>, program: &Path) -> Result<(), String> {
    let sent = Path::new(GENERATED).join("sent");
    let cases = files_in(Path::new(CASES))?.into_iter().filter(|case| case.is_dir());
    let mut count = 0;
    for case in cases {
        let mut replay = run_program(plan, program);
        replay.arg("replay").arg(case.join("gateway.yaml")).arg("--out").arg(&sent);
        for capture in captures_in(&case.join("in"))? {
            let port = capture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            replay.arg("--in").arg(format!("{port}={}", capture.display()));
        }
        run::told(&mut replay)?;
        for expected in captures_in(&case.join("out"))? {
            let file = sent.join(expected.file_name().unwrap_or_default());
            if fs::read(&expected).ok() != fs::read(&file).ok() {
                return Err(format!("{} is not what this program sends", expected.display()));
            }
        }
        fs::remove_dir_all(&sent).map_err(|error| format!("{}: {error}", sent.display()))?;
        count += 1;
    }
    eprintln!("It sends what it should in {count} recorded cases.");
    Ok(())
}

fn captures_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files = files_in(folder)?.into_iter();
    Ok(files.filter(|file| file.extension().is_some_and(|extension| extension == "pcap")).collect())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(files.flatten().map(|entry| entry.path()).collect())
}

/// Makes the package of this version from what is there.
fn pack(plan: &Plan<'_>, version: &str, folder: &str) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{folder}: {error}"))?;
    let log = fs::read_to_string("CHANGELOG.md").map_err(|error| format!("CHANGELOG.md: {error}"))?;
    let now = run::told(Command::new("date").args(["-u", "-R"]))?;
    let maintainer = version::maintainer()?;
    write(&Path::new(GENERATED).join("changelog"), &changelog::debian(&log, version, &maintainer, &now))?;
    let tool = cargo_deb()?;
    let mut cargo_deb = Command::new(tool);
    cargo_deb.args(["--no-build", "--no-strip", "--profile", PROFILE, "--deb-version", version, "--output", folder]);
    cargo_deb.args(target_of(plan));
    run::announce(&cargo_deb);
    // The last line is where it is.
    let package = PathBuf::from(run::told(&mut cargo_deb)?.lines().last().unwrap_or_default());
    if peers::is_installed("lintian") {
        run::shown(Command::new("lintian").args(["--fail-on", "error", "--allow-root"]).arg(&package))?;
    }
    Ok(package)
}

/// The tool's program; it is compiled if it is not there.
fn cargo_deb() -> Result<PathBuf, String> {
    let (version, folder) = CARGO_DEB;
    let program = Path::new(folder).join("bin/cargo-deb");
    if run::told(Command::new(&program).arg("--version")).is_ok_and(|told| told.contains(version)) {
        return Ok(program);
    }
    eprintln!("Installing cargo-deb {version} in {folder}");
    run::cargo(&["install", "cargo-deb", "--locked", "--version", version, "--root", folder])?;
    Ok(program)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_make_a_plan() {
        assert_eq!(Plan::of(&[]), Some(Plan::default()));
        let both = Plan { target: Some(ARM64), test: true, release: None };
        assert_eq!(Plan::of(&["--target", ARM64, "--test"]), Some(both));
        assert_eq!((Plan::of(&["--target"]), Plan::of(&["--tests"])), (None, None));
    }
}
