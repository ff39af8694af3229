//! `transload demo`: see for yourself.

use super::Failure;
use super::render::written;
use crate::demo::{self, DemoError, Hosts};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which network stacks stand for the hosts
    #[arg(long, value_enum, default_value_t = Hosts::Auto)]
    hosts: Hosts,
    /// Be a host, as the only process of a User-Mode Linux
    #[arg(long, value_name = "SITE", hide = true)]
    guest: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(site) = &args.guest {
        demo::be_guest(site);
    }
    match demo::run(args.hosts, &mut std::io::stdout()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new("not everything worked; see above")),
        Err(DemoError::Untold(error)) => written(Err(error)),
        Err(error) => match error.help() {
            Some(help) => Err(Failure::with_help(error.to_string(), help)),
            None => Err(Failure::new(error.to_string())),
        },
    }
}
