//! Tables are made in one place, and nobody else writes what the RIB answers for.

use std::path::Path;

use super::{code_of, root, sources};

/// The files of the gateway whose code, tests aside, contains this, as paths below `src`.
fn files_with(what: &str) -> Vec<String> {
    let src = root().join("src");
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    let files = sources(&src).into_iter().filter(|(path, _)| !is_test(path));
    let found = files.filter(|(_, text)| code_of(text).contains(what));
    found.map(|(path, _)| path.strip_prefix(&src).unwrap().display().to_string()).collect()
}

#[test]
fn tables_are_assembled_by_one_function() {
    assert_eq!(files_with("    Forwarding {\n"), ["rib/assemble.rs"]);
    assert_eq!(files_with("assemble(&Facts"), ["rib/mod.rs"]);
    assert_eq!(files_with("..Forwarding"), [""; 0], "nobody patches tables");
}

#[test]
fn tables_are_published_by_one_caller() {
    assert_eq!(files_with("forwarding.swap("), ["rib/versions.rs"]);
    assert_eq!(files_with("forwarding.store("), [""; 0]);
    let rib = sources(&root().join("src/rib"));
    let calls: usize = rib.iter().map(|(_, text)| code_of(text).matches("versions.publish(").count()).sum();
    assert_eq!(calls, 1);
}

#[test]
fn what_control_knows_of_mac_addresses_is_written_by_the_rib() {
    assert_eq!(files_with("fdb.install("), ["rib/settle.rs"]);
    assert_eq!(files_with("fdb.hold("), ["rib/history.rs"]);
}

#[test]
fn nothing_is_changed_behind_a_shared_pointer() {
    assert_eq!(files_with("Arc::get_mut"), [""; 0]);
}
