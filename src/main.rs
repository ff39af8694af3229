//! The `transload` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    transload::cli::main()
}
