//! The command line: one verb, one file.
//!
//! Exit codes: 0 when it worked, 1 when it did not, 2 for a command line that cannot be understood; and 78 when `run` is given
//! a file that is wrong, which no later attempt mends. `status` has its own.

mod capture;
mod capture_lines;
mod check;
mod completions;
mod demo;
mod diff;
mod dump;
mod events;
mod explain;
mod host_names;
mod isolation;
mod man;
mod meshes;
mod probe;
mod reload;
mod render;
mod replay;
mod run;
mod schema;
mod show;
mod status;
mod unmapped;
mod upgrade;
mod watch;

use std::fmt;
use std::process::ExitCode;

use clap::Parser;

use crate::config::Problems;

/// Registers the verbs: a module with `Args` and `run`, and what it does in one line. Modules are declared outside of it,
/// since rustfmt does not look into macros.
macro_rules! verbs {
    ($($(#[$attribute:meta])* $module:ident, $Verb:ident, $about:literal;)*) => {
        #[derive(Debug, clap::Subcommand)]
        enum Verb {
            $(#[doc = $about] $(#[$attribute])* $Verb($module::Args),)*
        }

        impl Verb {
            fn run(self) -> Result<(), Failure> {
                match self {
                    $(Self::$Verb(args) => $module::run(&args),)*
                }
            }
        }
    };
}

verbs! {
    run, Run, "Runs the gateway";
    check, Check, "Loads and compiles a gateway's file and prints what is wrong with it";
    explain, Explain, "Tells what the gateway does with one frame, and why";
    isolation, Isolation, "Proves from a gateway's file that no two tenants can meet, or shows how they do";
    diff, Diff, "Shows what changes from one gateway's file to another, and for which frames";
    replay, Replay, "Sends captures through the production pipeline, on the captures' own clock";
    status, Status, "Tells on one page how a running gateway is, and what to do about what is wrong";
    probe, Probe, "Asks a peer's host by ping whether it answers, and how long packets to it may be";
    show, Show, "Asks a running gateway what it knows";
    events, Events, "Follows what happens in a running gateway, line by line";
    capture, Capture, "Captures frames of a running gateway, at its ports and between its stages";
    reload, Reload, "Has a running gateway read its file again, and shows what changed";
    demo, Demo, "Builds a small world in network namespaces, sends real traffic through a gateway, and shows it";
    schema, Schema, "Prints the JSON Schema of the file, for editors";
    completions, Completions, "Prints what completes the command line in a shell";
    #[command(hide = true)]
    man, Man, "Writes the manual pages to a folder";
}

/// The version, and the commit if whoever built it has said so.
const VERSION: &str = match option_env!("TRANSLOAD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// A multi-encapsulation overlay gateway: VXLAN, NVGRE, GRE and 802.1ad tenants bridged from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "transload", version = VERSION, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// Why a verb did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// The file is wrong.
    Problems(Problems),
    /// The same, where somebody may try again later: in vain.
    File(Problems),
    /// Any other failure.
    Other {
        /// What happened, in words.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The output has said it already.
    Told,
    /// The output has said it already; this is the exit code.
    Code(u8),
}

impl Failure {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Other { message: message.into(), help: None }
    }

    /// A failure with this message, and what can be done about it.
    pub fn with_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Other { message: message.into(), help: Some(help.into()) }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) | Self::File(problems) => problems.fmt(f),
            Self::Other { message, .. } => f.write_str(message),
            Self::Told | Self::Code(_) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// `EX_CONFIG` of sysexits.h(3head), as service managers know it.
const WRONG_FILE: u8 = 78;

/// Runs the command line of this process. A command line that cannot be understood ends it here, with exit code 2.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().verb.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            render::failure(&failure);
            match failure {
                Failure::File(_) => WRONG_FILE.into(),
                Failure::Code(code) => code.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
