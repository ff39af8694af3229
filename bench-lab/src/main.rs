//! Measures transload beside other gateways. `cargo xtask bench` builds and runs this.

use std::io;
use std::process::ExitCode;

use transload_bench_lab::options::{Options, USAGE};
use transload_bench_lab::plan::Plan;
use transload_bench_lab::{campaign, report};
use transload_interop_tests::{interrupt, skip};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let options = match Options::parse(&words) {
        Ok(options) => options,
        Err(what) => {
            eprint!("bench: {what}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    for need in [skip::root, skip::ip, skip::ethtool, skip::vxlan] {
        need().map_err(|missing| io::Error::other(format!("the lab needs {missing}")))?;
    }
    interrupt::watch()?;
    let results = campaign::run(&Plan::new(options.extent), &mut |line| eprintln!("{line}"))?;
    print!("{}", report::tables(&results));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&results)?)?;
    }
    Ok(())
}
