//! `transload completions SHELL`: what completes verbs, options and file names in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::render::output;
use super::{Cli, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "transload", &mut script);
    output(String::from_utf8_lossy(&script).trim_end())
}
