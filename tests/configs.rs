//! The sample configurations load and compile, without a warning.

use std::path::{Path, PathBuf};

use transload::compile::{Numbers, Plan, compile};
use transload::config;

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("configs/ is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn plan(path: &Path) -> Plan {
    let config = config::load(path).unwrap_or_else(|problems| panic!("{problems}"));
    compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_sample_compiles_without_a_warning() {
    let samples = samples();
    assert!(!samples.is_empty());
    for path in samples {
        let warnings: Vec<_> = plan(&path).warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
    }
}
