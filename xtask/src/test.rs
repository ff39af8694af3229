//! Every test, and an honest count of those that were skipped.

use crate::{peers, run};

/// How a test says, on standard error, that it did not run.
const SKIPPED: &str = "SKIPPED: ";
/// Where the properties' random numbers begin unless the caller says: a commit that passes for one passes for all.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

/// Runs every test.
pub(crate) fn all(strict: bool) -> Result<(), String> {
    peers::provide()?;
    // The live tests start the gateway as users do: as a program.
    run::cargo(&["build", "--package", "transload"])?;
    let seed = std::env::var(SEED.0).unwrap_or_else(|_| SEED.1.to_owned());
    eprintln!("Properties begin at {}={seed}; another number tries other inputs, `cargo test` random ones.", SEED.0);
    let run = |arguments: &[&str]| run::watching(run::cargo_command(arguments).env(SEED.0, &seed), SKIPPED);
    let mut skipped = run(&["test", "--workspace", "--no-fail-fast"])?;
    // The same again for the fifth encapsulation, which only tests speak.
    let shim = ["--features", "shim", "--test", "contract", "--test", "fifth_encapsulation"];
    let packages = ["test", "--no-fail-fast", "--package", "transload-encaps", "--package", "transload"];
    skipped.extend(run(&[&packages[..], &shim].concat())?);
    report(&skipped, strict)
}

/// The soaks, one after the other, for so many seconds each.
pub(crate) fn soak(seconds: &str) -> Result<(), String> {
    let arguments = ["test", "--package", "transload", "--test", "soak", "--", "--nocapture", "--test-threads", "1"];
    run::shown(run::cargo_command(&arguments).env("TRANSLOAD_SOAK", seconds))
}

/// The test that a real Prometheus answers the dashboard, for as long as a picture of it takes.
pub(crate) fn dashboard(file: &str) -> Result<(), String> {
    peers::provide_browser()?;
    let file = std::path::absolute(file).map_err(|error| format!("{file}: {error}"))?;
    let test = "live::a_prometheus_has_an_answer_to_all_that_the_dashboard_asks";
    let arguments = ["test", "--package", "transload", "--test", "monitoring", "--", "--exact", test, "--nocapture"];
    run::shown(run::cargo_command(&arguments).env("TRANSLOAD_PICTURE", file))
}

/// The FDB's code with loom's atomics, in a target folder of its own since every crate is built anew.
pub(crate) fn loom() -> Result<(), String> {
    let mut command = run::cargo_command(&["test", "--lib", "fdb"]);
    command.env("RUSTFLAGS", "--cfg transload_loom").env("CARGO_TARGET_DIR", "target/loom");
    run::shown(&mut command)
}

fn report(skipped: &[String], strict: bool) -> Result<(), String> {
    if skipped.is_empty() {
        eprintln!("All tests passed; none was skipped.");
        return Ok(());
    }
    eprintln!("What ran has passed. Skipped, and not counted as passed: {}", skipped.len());
    for test in skipped {
        eprintln!("    {test}");
    }
    if strict { Err("tests were skipped, and --strict allows none".to_owned()) } else { Ok(()) }
}
