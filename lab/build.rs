//! Compiles the shared object that User-Mode Linux is started with (`xstate/src/lib.rs`).
//!
//! Cargo has no stable way to depend on another crate's shared object, so the compiler is called here. Flags of the
//! whole build (`RUSTFLAGS`: coverage for fuzzing, `--cfg` for loom) do not reach it, and should not.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources, and what comes of them.
const OBJECTS: [(&str, &str); 2] = [
    ("xstate/src/lib.rs", "uml-xstate.so"),
    // For tests: a processor with AMX, simulated.
    ("tests/simulated/amx.rs", "amx.so"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let directory = PathBuf::from(variable("OUT_DIR"));
    for (source, object) in OBJECTS {
        println!("cargo::rerun-if-changed={source}");
        let object = directory.join(object);
        if is_wanted() {
            compile(source, &object)?;
        } else {
            fs::write(object, [])?;
        }
    }
    Ok(())
}

/// Whether there can be a User-Mode Linux that needs it: on x86-64, and of the C library that this machine has, since
/// the compiler is sure to make objects for its own machine only. Elsewhere objects are empty, and nobody loads them.
fn is_wanted() -> bool {
    let target = variable("TARGET").into_string().unwrap_or_default();
    variable("HOST") == "x86_64-unknown-linux-gnu" && target.starts_with("x86_64-") && target.contains("-linux-")
}

fn compile(source: &str, object: &Path) -> io::Result<()> {
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.args(["--edition", "2024", "--crate-name", "uml_xstate", "--crate-type", "cdylib"]);
    compiler.args(["--cfg", "uml_object", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        compiler.arg(option);
    }
    let status = compiler.arg("-o").arg(object).arg(source).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{source} does not compile: {status}"))) }
}

/// What cargo tells every build script.
fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}
