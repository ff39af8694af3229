//! The gateway's file: YAML in, typed values with their places out.
//!
//! `tree` reads YAML and keeps every spelling and place; `reader` makes serde types of it, reporting all mistakes
//! at once; what the values mean together is for the compiler to judge.

mod addresses;
mod at;
mod attachment;
mod bits;
mod bum;
mod directions;
mod dscp;
mod host_names;
mod id_numbers;
mod include;
mod mappings;
mod meant;
mod metrics;
mod nearest;
mod numbers;
mod offset;
pub mod on_disk;
mod peers;
mod ports;
mod prefixes;
mod problem;
mod profiles;
mod range;
mod reader;
mod source;
mod source_ports;
mod stars;
mod state;
mod switch;
mod tenants;
mod text;
mod tree;
mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use at::section;
use schemars::JsonSchema;
use serde::Deserialize;

pub use addresses::{Address, Addresses};
pub use at::{At, Name, Named};
pub use attachment::{Attachment, Id, IdValue, InnerTags, L2cp};
pub use bits::{Bits, Piece};
pub use bum::{Bum, BumRates};
pub use dscp::Dscp;
pub use host_names::{Answers, PeerAddress};
pub use id_numbers::IdNumbers;
pub use include::Include;
pub use mappings::Mapping;
pub use meant::number as number_meant;
pub use metrics::{ListenAddress, Metrics, TenantMetrics};
pub use nearest::{nearest, suggestion};
pub use numbers::{DscpValue, MssClamp, Rate, Ttl, Vid, Whole};
pub use offset::{Offset, is_variable};
pub use peers::{Df, Ecn, Group, Knobs, MaxLearned, Peer, RxZero, UdpChecksum, UdpRx, UdpTx};
pub use ports::{Endpoint, Io, Ipsec, MostDatagrams, Mtu, Port, Reassemble, UnixSocket};
pub use prefixes::{LearnFrom, Prefix};
pub use problem::{Problem, ProblemPlace, Problems, Severity};
pub use profiles::{PROFILES, Profile, ProfileRow, table as profile_table};
pub use range::Range;
pub use source::{SourceText, Span};
pub use source_ports::UdpSourcePorts;
pub use stars::NamePatterns;
pub use state::StateFile;
pub use switch::Switch;
pub use tenants::{Duplicates, Limits, LoopGuard, Macs, Moves, Static, Tenant, UnknownUnicast};
pub use values::{MacAddress, Seconds};

/// A file that has been read, with what was wrong with it so far.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file.
    pub source: SourceText,
    /// Its contents. Values that could not be read are left empty.
    pub file: File,
    /// What could not be read. The compiler reports these together with what it finds.
    pub problems: Vec<Problem>,
    /// What the names of its peers resolve to: nothing, until somebody asks.
    pub answers: Answers,
    /// Whether it is a part of a configuration, for another file to include; that is one of its problems.
    pub is_part: bool,
}

impl Config {
    /// The names that are addresses of peers.
    #[must_use]
    pub fn host_names(&self) -> BTreeSet<String> {
        let peers = self.file.peers.iter().filter_map(|(_, peer)| peer?.address.get());
        let names = peers.filter_map(|address| match address {
            PeerAddress::Name(name) => Some(name.clone()),
            PeerAddress::Address(_) => None,
        });
        names.collect()
    }
}

/// A gateway.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The version of this grammar: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: Option<At<u64>>,
    /// More files with peers, groups, tenants, patterns and mappings, such as `tenants.d/*.yaml`.
    pub include: Option<At<Include>>,
    /// Where frames come from and go to.
    #[serde(default, deserialize_with = "section")]
    pub ports: Named<Port>,
    /// Our own tunnel addresses.
    #[serde(default, deserialize_with = "section")]
    pub endpoints: Named<Endpoint>,
    /// Far tunnel endpoints.
    #[serde(default, deserialize_with = "section")]
    pub peers: Named<Peer>,
    /// Meshes of far tunnel endpoints.
    #[serde(default, deserialize_with = "section")]
    pub groups: Named<Group>,
    /// What is bridged with what.
    #[serde(default, deserialize_with = "section")]
    pub tenants: Named<Tenant>,
    /// Many tenants at once, alike but for an offset; a tenant of the same name overrides one of them.
    #[serde(default, deserialize_with = "section")]
    pub patterns: Named<Tenant<IdNumbers<Offset>>>,
    /// Stateless cross-connects of many IDs at once.
    #[serde(default, deserialize_with = "section")]
    pub mappings: Named<Mapping>,
    /// The MAC table.
    #[serde(default, deserialize_with = "section")]
    pub fdb: Fdb,
    /// Number of worker threads; 1 if left out.
    pub workers: Option<At<Workers>>,
    /// What worker threads do while nothing arrives; `adaptive` if left out.
    pub polling: Option<At<Polling>>,
    /// The socket that `transload show` asks.
    pub admin: Option<At<PathBuf>>,
    /// Metrics, for Prometheus.
    #[serde(default, deserialize_with = "section")]
    pub metrics: Metrics,
    /// What is written to a file, so that MAC addresses and learned peers survive a restart; `on` if left out.
    pub state: Option<At<Switch<StateFile>>>,
    /// The user that the gateway becomes once its ports are open, by name or number; whoever started it if left out. The
    /// files that a reload reads must be that user's to read.
    pub user: Option<At<String>>,
    /// Whether the kernel refuses system calls that the gateway does not need; `on` if left out. Off for those who run
    /// it under a tracer or sanitizer, or with a libc whose calls are missing. Capabilities are given up all the same.
    pub seccomp: Option<At<Seccomp>>,
}

/// Whether the kernel refuses system calls that the gateway does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// It refuses them.
    #[default]
    On,
    /// It takes every system call.
    Off,
}

impl File {
    /// Whether it has only what an included file may have, and nowhere that frames could come from.
    fn is_part(&self) -> bool {
        let has_sections = self.peers.len() + self.groups.len() + self.tenants.len() + self.patterns.len();
        let is_a_gateways = self.include.is_some() || self.workers.is_some() || self.admin.is_some();
        self.ports.len() + self.endpoints.len() == 0 && has_sections + self.mappings.len() > 0 && !is_a_gateways
    }
}

/// A number of worker threads.
pub type Workers = Whole<1, 64>;

/// What worker threads do while nothing arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Polling {
    /// Poll for a moment, then sleep until something arrives.
    #[default]
    Adaptive,
    /// Poll all the time: the shortest delay, at 100 % CPU per worker.
    Busy,
}

/// The MAC table.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fdb {
    /// Most addresses of all tenants together; 1048576 if left out.
    pub capacity: Option<At<Macs>>,
}

/// The JSON Schema of a gateway's file.
#[must_use]
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".into(), "transload gateway".into());
    schema.insert("required".into(), vec!["version"].into());
    schema
}

/// Reads a gateway's file, and those that it includes; `-` is standard input.
///
/// # Errors
/// When it cannot be opened, is no regular file, or is not YAML. Lesser problems are kept in the [`Config`].
pub fn load(path: &Path) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let text = if name == "-" { text::of_standard_input() } else { text::of_file(path, 0) };
    let text = text.map_err(|why| {
        let problem = Problem::unreadable(&name, why);
        let is_something_else = path.metadata().is_ok_and(|found| !found.is_file());
        Problems(vec![if is_something_else { problem.help("`-` reads it from standard input") } else { problem }])
    })?;
    read(&name, text, Some(path.parent().unwrap_or(Path::new(""))))
}

/// Reads a gateway's file from memory. It cannot include others.
///
/// # Errors
/// When it is not YAML. Lesser problems are kept in the [`Config`].
pub fn parse(name: &str, text: &str) -> Result<Config, Problems> {
    read(name, text.to_owned(), None)
}

fn read(name: &str, text: String, folder: Option<&Path>) -> Result<Config, Problems> {
    let mut source = SourceText::new(name, text);
    let mut problems = Vec::new();
    let mut root = tree::read(&source, &mut problems)?;
    profiles::write_out(&mut root);
    let Some(mut file) = reader::read::<File>(&root, &source, &mut problems) else {
        return Err(Problems::sorted(problems));
    };
    if let Some(problem) = file.version.as_ref().and_then(|version| check_version(version, &source)) {
        // Another grammar: whatever else seems wrong may be right there.
        return Err(Problems(vec![problem]));
    }
    let is_part = file.is_part() && (file.version.is_none() || problems.is_empty());
    if is_part {
        let problem = Problem::error(
            &source,
            Span::default(),
            "this file has neither ports nor endpoints: it is a part of a configuration, and cannot be used alone",
        );
        problems
            .push(problem.help("give the file that names it under `include`, which reads and checks this one, too"));
    } else if file.version.is_none() {
        let problem = Problem::error(&source, Span::default(), "the file does not say its version");
        problems.push(problem.help("begin it with `version: 1`"));
    }
    include::read(&mut file, folder, &mut source, &mut problems);
    Ok(Config { source, file, problems, answers: Answers::default(), is_part })
}

fn check_version(version: &At<u64>, source: &SourceText) -> Option<Problem> {
    version.value().filter(|number| *number != 1)?;
    let problem = Problem::error(source, version.span, "this transload reads version 1 of the grammar");
    Some(problem.help("write `version: 1`"))
}
