//! A case: a directory with a gateway, frames that arrive, and what must come of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use transload::io::pcap::{Capture, Record};

/// A case's directory, and what it says about itself.
#[derive(Debug, Clone)]
pub struct Case {
    /// The directory's name.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
    /// What it shows, in one sentence.
    pub shows: String,
    /// The standard and its section that ask for this, or the rule of ours.
    pub section: String,
    /// The maker of the frames that arrive, by port.
    pub makers: BTreeMap<String, String>,
}

/// `case.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    shows: String,
    section: String,
}

impl Case {
    /// Every case below a directory, in the order of their names.
    ///
    /// # Errors
    /// When the directory, or one of its cases, cannot be read.
    pub fn all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                found.push(Self::open(&path)?);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The case in this directory.
    ///
    /// # Errors
    /// When `case.yaml`, `gateway.yaml`, or who made a capture of `in` is missing.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let about: About = serde_saphyr::from_str(&read(&directory.join("case.yaml"))?)
            .map_err(|error| io::Error::other(format!("{name}/case.yaml: {error}")))?;
        let mut case = Self {
            name,
            directory: directory.to_owned(),
            shows: about.shows,
            section: about.section,
            makers: BTreeMap::new(),
        };
        for port in case.ports("in")? {
            let text = read(&case.file("in", &port, "txt"))?;
            case.makers.insert(port, text.trim_end().to_owned());
        }
        if case.makers.is_empty() {
            return Err(io::Error::other(format!("{}/in holds no capture", directory.display())));
        }
        Ok(case)
    }

    /// The path of its configuration.
    #[must_use]
    pub fn gateway(&self) -> PathBuf {
        self.directory.join("gateway.yaml")
    }

    /// A port's file below `in` or `out`.
    #[must_use]
    pub fn file(&self, side: &str, port: &str, kind: &str) -> PathBuf {
        self.directory.join(side).join(format!("{port}.{kind}"))
    }

    /// The ports that `in` or `out` has a capture of, in the order of their names.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn ports(&self, side: &str) -> io::Result<Vec<String>> {
        let directory = self.directory.join(side);
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        captures(&directory)
    }

    /// The frames of `in` or `out`, by port.
    ///
    /// # Errors
    /// When a capture cannot be read.
    pub fn frames(&self, side: &str) -> io::Result<BTreeMap<String, Vec<Record>>> {
        self.ports(side)?.into_iter().map(|port| Ok((port.clone(), frames(&self.file(side, &port, "pcap"))?))).collect()
    }

    /// The UDP ports that its peers speak VXLAN on: the standard one, and those that the configuration names.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn udp_ports(&self) -> io::Result<BTreeSet<u16>> {
        let text = read(&self.gateway())?;
        let named = text.match_indices("udp_port:").filter_map(|(at, found)| {
            let rest = text[at + found.len()..].trim_start();
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        });
        Ok(named.chain([4789]).collect())
    }
}

/// The ports that a directory has a capture of, in the order of their names.
pub(super) fn captures(directory: &Path) -> io::Result<Vec<String>> {
    let mut ports = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "pcap") {
            ports.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    ports.sort();
    Ok(ports)
}

/// A capture's frames.
pub(super) fn frames(capture: &Path) -> io::Result<Vec<Record>> {
    Capture::open(capture).and_then(Iterator::collect).map_err(io::Error::other)
}

/// A file's text; the error names the file.
pub(super) fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
