//! The house keeps its shape: who may name whom, where tables are made, where `unsafe` may stand, what the encapsulations
//! stay away from, and that a word means one thing. ARCHITECTURE.md says why.

mod encapsulations;
mod rooms;
mod tables;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, or the file itself, with its text.
fn sources(at: &Path) -> Vec<(PathBuf, String)> {
    if at.is_file() {
        return vec![(at.to_path_buf(), fs::read_to_string(at).unwrap())];
    }
    let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
        .into_iter()
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|path| sources(&path))
        .collect()
}

/// A text without its comments, and without the unit tests at its end.
fn code_of(text: &str) -> String {
    let tests = text.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        let module = text[*at..].lines().nth(1).unwrap_or("");
        module.ends_with('{')
    });
    let code = &text[..tests.map_or(text.len(), |(at, _)| at)];
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn unsafe_code_stands_only_where_the_kernel_is_called() {
    let allowed = [
        "src/bpf/sys.rs",
        "src/io/sys.rs",
        "src/io/af_xdp",
        "bench-lab/src/alarm.rs",
        // What stands in front of libc's ptrace, its test, and the processor that is simulated for another.
        "lab/xstate",
        "lab/tests/simulated",
    ];
    let allowed = allowed.map(|place| root().join(place));
    let forms = ["{", "fn", "impl", "trait", "extern"].map(|what| format!("unsafe {what}"));
    for folder in ["src", "interop-tests", "xtask/src", "bench-lab/src", "lab"] {
        for (path, text) in sources(&root().join(folder)) {
            let has_unsafe = forms.iter().any(|form| text.contains(form));
            let is_allowed = allowed.iter().any(|place| path.starts_with(place));
            assert!(!has_unsafe || is_allowed, "unsafe code in {}", path.display());
        }
    }
}

#[test]
fn the_lab_starts_the_gateway_as_a_process_and_does_not_know_its_code() {
    for (path, text) in sources(&root().join("lab")) {
        assert!(!text.contains("transload::") && !text.contains("transload_encaps"), "{}", path.display());
    }
}

#[test]
fn the_encapsulations_do_no_io_and_read_no_clock() {
    let encaps = root().join("encaps/src");
    assert!(fs::read_to_string(encaps.join("lib.rs")).unwrap().contains("#![forbid(unsafe_code)]"));
    let forbidden = ["std::io", "std::fs", "std::time", "std::thread", "std::process", "std::env", "Socket", "tokio"];
    for (path, text) in sources(&encaps) {
        for word in forbidden {
            assert!(!text.contains(word), "{} mentions {word}", path.display());
        }
    }
}

#[test]
fn what_happens_is_told_as_an_event_with_a_name() {
    for (path, text) in sources(&root().join("src")) {
        let is_log = path.starts_with(root().join("src/logging"));
        let forms = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "event!("];
        let code = code_of(&text);
        let bare = forms.iter().find(|form| code.contains(&format!("tracing::{form}")));
        assert!(is_log || bare.is_none(), "{}: `{}` has no name: add a LogEvent", path.display(), bare.unwrap_or(&""));
        assert!(is_log || !code.contains("use tracing"), "{} logs beside LogEvent", path.display());
    }
}
