//! The benchmarks: the lab beside other gateways, how cost grows, and what is measured in memory.

use std::fs::{self, File};
use std::process::Stdio;

use crate::{peers, run};

/// Programs that the lab is built with, and their Debian packages.
const NEEDED: [(&str, &str); 2] = [("ip", "iproute2"), ("ethtool", "ethtool")];
/// What the in-memory bench printed.
const PIPELINE: &str = "target/bench-pipeline.txt";

/// Builds the lab and runs it. What it needs is said before minutes go into a build.
pub(crate) fn lab(arguments: &[&str]) -> Result<(), String> {
    let has = |word: &str| arguments.contains(&word);
    if !has("scale") && !has("--from") {
        needs(arguments)?;
    }
    run::cargo(&["build", "--release", "--package", "transload", "--package", "transload-bench-lab"])?;
    if has("lab") || has("scale") || has("--quick") || has("--from") {
        return program(arguments);
    }
    pipeline()?;
    program(&[arguments, &["--pipeline", PIPELINE]].concat())
}

fn needs(arguments: &[&str]) -> Result<(), String> {
    if !peers::is_root() {
        let line = ["cargo", "xtask", "bench"].iter().chain(arguments).copied().collect::<Vec<_>>().join(" ");
        return Err(format!(
            "the lab needs root, for network namespaces and BPF programs. Type:\n    sudo -E env PATH=\"$PATH\" {line}\n\
             or, for what needs no root:\n    cargo xtask bench scale\n    cargo xtask bench pipeline"
        ));
    }
    let missing = NEEDED.iter().filter(|(program, _)| !peers::is_installed(program));
    let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        let names = missing.join(" ");
        return Err(format!("the lab needs programs that are not installed. Type:\n    apt-get install {names}"));
    }
    if !peers::is_installed("ovs-vswitchd") {
        eprintln!("Open vSwitch is not installed and will not be compared. To have it:");
        eprintln!("    apt-get install openvswitch-switch");
    }
    Ok(())
}

/// The in-memory bench of the two paths that there are aims for, its output kept in a file.
fn pipeline() -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{PIPELINE}: {error}");
    let mut command = run::cargo_command(&["bench", "--bench", "pipeline", "--", "vxlan-vxlan", "vxlan-nvgre"]);
    fs::create_dir_all("target").map_err(failed)?;
    run::shown(command.stdout(Stdio::from(File::create(PIPELINE).map_err(failed)?)))
}

fn program(arguments: &[&str]) -> Result<(), String> {
    run::cargo(&[&["run", "--quiet", "--release", "--package", "transload-bench-lab", "--"], arguments].concat())
}
