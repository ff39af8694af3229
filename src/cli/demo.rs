//! `transload demo`: see for yourself.

use super::Failure;
use crate::demo;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<(), Failure> {
    match demo::run() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new("not everything worked; see above")),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}
