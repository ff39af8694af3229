//! The programs for the kernel: compiled from C, and committed beside their sources, so that building the gateway takes
//! no compiler for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{peers, run};

/// The sources, in the repository.
const SOURCES: &[&str] = &["src/io/af_xdp/redirect.bpf.c"];
/// Another compiler makes other objects.
const COMPILER: &str = "Debian clang version 14.";

/// Compiles the programs anew.
pub(crate) fn build() -> Result<(), String> {
    all(|source| {
        let (code, object) = (compile(source)?, source.with_extension("o"));
        fs::write(&object, code).map_err(|error| format!("{}: {error}", object.display()))
    })
}

/// Fails where a committed object is not what its source compiles to.
pub(crate) fn check() -> Result<(), String> {
    all(|source| {
        let (code, object) = (compile(source)?, source.with_extension("o"));
        let committed = fs::read(&object).map_err(|error| format!("{}: {error}", object.display()))?;
        if code == committed {
            return Ok(());
        }
        Err(format!("{} is not what its source compiles to: run `cargo xtask bpf`", object.display()))
    })
}

fn all(work: impl Fn(&Path) -> Result<(), String>) -> Result<(), String> {
    peers::provide_clang()?;
    let told = Command::new("clang").arg("--version").output().map_err(|error| format!("clang: {error}"))?;
    let version = String::from_utf8_lossy(&told.stdout).lines().next().unwrap_or_default().to_owned();
    if !version.starts_with(COMPILER) {
        return Err(format!("the committed objects are made by {COMPILER}x, and this is {version}"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    SOURCES.iter().try_for_each(|source| work(&root.join(source)))
}

/// The object file of a source: the same wherever it is compiled.
fn compile(source: &Path) -> Result<Vec<u8>, String> {
    let (folder, name) = (source.parent().unwrap_or(Path::new(".")), source.file_name().unwrap_or_default());
    let object = std::env::temp_dir().join(format!("xtask-{}.o", std::process::id()));
    let here = format!("-ffile-prefix-map={}=.", folder.display());
    let flags = ["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v3", "-fdebug-compilation-dir=."];
    run::shown(
        Command::new("clang").current_dir(folder).args(flags).arg(&here).arg("-c").arg(name).arg("-o").arg(&object),
    )?;
    // What is left is the kernel's own kind of debugging information, which describes the maps too.
    run::shown(Command::new("llvm-strip").arg("-g").arg(&object))?;
    let code = fs::read(&object).map_err(|error| format!("{}: {error}", object.display()));
    let _ = fs::remove_file(&object);
    code
}
