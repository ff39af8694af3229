//! Manual pages and completions are made of the command line itself: every verb and option is in them.

use std::fs;
use std::process::Stdio;

use assert_cmd::Command;
use transload_lab::skip;

fn transload(args: &[&str]) -> String {
    let output = Command::cargo_bin("transload").expect("the binary is built").args(args).output().expect("it runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it speaks UTF-8")
}

/// The verbs that `--help` lists.
fn verbs() -> Vec<String> {
    let help = transload(&["--help"]);
    let commands = help.split_once("Commands:\n").expect("help lists verbs").1;
    let names = commands.lines().take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  "));
    let names = names.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_verb_has_its_page_and_the_file_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("not/yet/there");
    transload(&["man", pages.to_str().unwrap()]);
    let page = |name: &str| fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let verbs = verbs();
    assert!(verbs.len() >= 11 && !verbs.iter().any(|verb| verb == "man"), "{verbs:?}");
    for verb in &verbs {
        assert!(page("transload.1").contains(&format!("transload\\-{verb}(1)")), "{verb} is not named");
        assert!(page(&format!("transload-{verb}.1")).contains(".SH SYNOPSIS"), "{verb}");
    }
    assert!(page("transload-run.1").contains("\\-\\-replace"));
    let file = page("transload.yaml.5");
    for wanted in [".TH transload.yaml 5", "SH \"THE FILE\"", "\\fBtenants\\fR", "\\fBudp_port\\fR", "4789"] {
        assert!(file.contains(wanted), "{wanted} is missing");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let output = Command::cargo_bin("transload").unwrap().args(["man", "/proc/pages"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write manual pages to /proc/pages"));
}

#[test]
fn completions_know_every_verb_and_the_shell_reads_them() {
    for shell in ["bash", "zsh", "fish"] {
        let script = transload(&["completions", shell]);
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell} does not know {verb}");
        }
        assert!(script.contains("replace"), "{shell} knows no options");
        let checked = std::process::Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn();
        let Ok(mut checked) = checked else {
            skip::say(
                "completions_know_every_verb_and_the_shell_reads_them",
                &format!("{shell} (apt-get install {shell})"),
            );
            continue;
        };
        std::io::Write::write_all(&mut checked.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(checked.wait().unwrap().success(), "{shell} does not take its completions");
    }
}

#[test]
fn the_version_is_that_of_cargo() {
    assert!(transload(&["--version"]).starts_with(concat!("transload ", env!("CARGO_PKG_VERSION"))));
}
