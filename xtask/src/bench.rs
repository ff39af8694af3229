//! The benchmarks: the lab beside other gateways, and what is measured in memory.

use crate::{peers, run};

/// Programs that the lab is built with, and their Debian packages.
const NEEDED: [(&str, &str); 2] = [("ip", "iproute2"), ("ethtool", "ethtool")];

/// Builds the lab and runs it. What it needs is said before minutes go into a build.
pub(crate) fn lab(arguments: &[&str]) -> Result<(), String> {
    if !peers::is_root() {
        let line = ["cargo", "xtask", "bench"].iter().chain(arguments).copied().collect::<Vec<_>>().join(" ");
        return Err(format!(
            "the lab needs root, for network namespaces and BPF programs. Type:\n    sudo -E env PATH=\"$PATH\" {line}\n\
             or, for what needs no root:\n    cargo xtask bench pipeline"
        ));
    }
    let missing: Vec<_> =
        NEEDED.iter().filter(|(program, _)| !peers::is_installed(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return Err(format!(
            "the lab needs programs that are not installed. Type:\n    apt-get install {}",
            missing.join(" ")
        ));
    }
    if !peers::is_installed("ovs-vswitchd") {
        eprintln!(
            "Open vSwitch is not installed and will not be compared. To have it:\n    apt-get install openvswitch-switch"
        );
    }
    run::cargo(&["build", "--release", "--package", "transload", "--package", "transload-bench-lab"])?;
    program(arguments)
}

fn program(arguments: &[&str]) -> Result<(), String> {
    run::cargo(&[&["run", "--quiet", "--release", "--package", "transload-bench-lab", "--"], arguments].concat())
}
