//! Unit files of the service manager: their lines, and which system calls they allow.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where ours are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd")
}

/// The values of every key, in the order of the file.
pub(crate) struct UnitFile(BTreeMap<String, Vec<String>>);

impl UnitFile {
    pub(crate) fn read(name: &str) -> Self {
        let text = fs::read_to_string(directory().join(name)).unwrap();
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()) {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: {line}"));
            keys.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        Self(keys)
    }

    /// The only value of a key.
    pub(crate) fn value(&self, key: &str) -> &str {
        match self.values(key) {
            [value] => value,
            values => panic!("{key}: {values:?}"),
        }
    }

    pub(crate) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// The words of a key's only value.
    pub(crate) fn words(&self, key: &str) -> Vec<&str> {
        self.value(key).split_whitespace().collect()
    }

    /// The names of the system calls that are allowed.
    pub(crate) fn calls(&self) -> BTreeSet<String> {
        let mut allowed: BTreeSet<String> = expanded("@default").collect();
        for value in self.values("SystemCallFilter") {
            match value.strip_prefix('~') {
                Some(denied) => {
                    let denied: BTreeSet<_> = denied.split_whitespace().flat_map(expanded).collect();
                    allowed.retain(|call| !denied.contains(call));
                }
                None => allowed.extend(value.split_whitespace().flat_map(expanded)),
            }
        }
        allowed
    }
}

/// A call, or those of a set, as the service manager has them.
fn expanded(name: &str) -> Box<dyn Iterator<Item = String>> {
    if !name.starts_with('@') {
        return Box::new([name.to_owned()].into_iter());
    }
    let output = Command::new("systemd-analyze").args(["syscall-filter", name]).output().unwrap();
    assert!(output.status.success(), "{name}");
    let listed = String::from_utf8(output.stdout).unwrap();
    let members = listed.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Box::new(members.map(str::to_owned).collect::<Vec<_>>().into_iter().flat_map(|member| expanded(&member)))
}

/// The numbers of system calls on this machine, as its kernel's headers have them; empty without those.
pub(crate) fn numbers() -> BTreeMap<String, i64> {
    let headers = format!("/usr/include/{}-linux-gnu/asm/unistd_64.h", std::env::consts::ARCH);
    let text = fs::read_to_string(headers).or_else(|_| fs::read_to_string("/usr/include/asm-generic/unistd.h"));
    let text = text.unwrap_or_default();
    let defined = text.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_once(' '));
    defined.filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?))).collect()
}
