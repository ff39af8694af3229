//! `transload schema`: the JSON Schema of a gateway's file, for editors.

use super::Failure;
use super::render::output;
use crate::config;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&config::schema()).map_err(|error| Failure::new(error.to_string()))?;
    output(&text)
}
