//! `--resolve`: the addresses of peers that have a DNS name, for verbs that ask nobody.

use std::net::IpAddr;
use std::path::Path;

use super::Failure;
use crate::compile::{NamedPeer, Plan};
use crate::config::{self, Config, Problem};

#[derive(Debug, clap::Args)]
pub(super) struct GivenNames {
    /// The address of a peer's DNS name, which this verb does not ask for; may be repeated
    #[arg(long = "resolve", value_name = "NAME=ADDRESS", value_parser = answer)]
    given: Vec<(String, IpAddr)>,
}

fn answer(text: &str) -> Result<(String, IpAddr), String> {
    let help = "write the name, `=`, and its address: leaf-3.example.net=192.0.2.13";
    let (name, address) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(help)?;
    let address = address.parse().map_err(|_| format!("`{address}` is not an IP address; {help}"))?;
    Ok((name.to_ascii_lowercase(), address))
}

impl GivenNames {
    /// Reads a gateway's file, with what its names resolve to.
    pub(super) fn load(&self, file: &Path) -> Result<Config, Failure> {
        let config = self.tell(config::load(file)?);
        self.all_known(&[&config])?;
        Ok(config)
    }

    /// The same file with what its names resolve to.
    pub(super) fn tell(&self, mut config: Config) -> Config {
        for (name, address) in &self.given {
            let found =
                config.answers.found.entry(name.clone()).or_insert_with(|| Ok(std::collections::BTreeSet::new()));
            if let Ok(found) = found {
                found.insert(*address);
            }
        }
        config
    }

    /// Refuses names that are no peer's in any of these files.
    pub(super) fn all_known(&self, configs: &[&Config]) -> Result<(), Failure> {
        let known: Vec<_> = configs.iter().flat_map(|config| config.host_names()).collect();
        let Some((name, _)) = self.given.iter().find(|(name, _)| !known.contains(name)) else { return Ok(()) };
        let help = if known.is_empty() { "no peer has one".to_owned() } else { format!("names: {}", known.join(", ")) };
        Err(Failure::with_help(format!("no peer has the DNS name `{name}` as its address"), help))
    }

    /// What is missing or wrong with the names of a plan: a warning for each that is not given, an error for one that
    /// cannot be what it is given as.
    pub(super) fn problems(&self, plan: &Plan) -> Vec<Problem> {
        let problem = |peer: &NamedPeer| {
            let complaint = peer.complaint.as_ref()?;
            let is_given = self.given.iter().any(|(name, _)| *name == peer.host);
            let make = if is_given { Problem::error } else { Problem::warning };
            let message = if is_given {
                format!("peer `{}`: {complaint}", peer.name)
            } else {
                format!("the address of peer `{}` is unchecked: `run` asks for it", peer.name)
            };
            Some(make(&plan.source, peer.span, message).help(format!(
                "give {}: --resolve {}=ADDRESS",
                if is_given { "another" } else { "one" },
                peer.host
            )))
        };
        plan.named.iter().filter_map(problem).collect()
    }
}

/// Refuses a plan of which a peer has no address.
pub(super) fn all_resolved(plan: &Plan) -> Result<(), Failure> {
    let Some(peer) = plan.named.iter().find(|peer| peer.address.is_none()) else { return Ok(()) };
    let complaint = peer.complaint.as_deref().unwrap_or("it has no address");
    let message = format!("peer `{}`: {complaint}", peer.name);
    Err(Failure::with_help(message, format!("give its address: --resolve {}=ADDRESS", peer.host)))
}
