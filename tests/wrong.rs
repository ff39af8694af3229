//! Wrong configurations and what the operator is told about each: `tests/wrong/NAME.yaml` and `NAME.txt`.
//!
//! With `REWRITE=1` in the environment the expected texts are written anew; read the difference as the person would
//! who has to mend the file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use transload::compile::{Numbers, compile};
use transload::config::{self, Problem, Problems, Severity};

#[test]
fn every_wrong_file_is_told_what_is_wrong_and_what_to_write_instead() {
    let rewrite = std::env::var_os("REWRITE").is_some();
    let (mut failures, mut cases) = (String::new(), 0);
    for file in wrong_files() {
        let told = told(&file);
        let expected = file.with_extension("txt");
        if rewrite {
            std::fs::write(&expected, &told).expect("the expectation can be written");
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if told != wanted {
            let name = file.file_name().unwrap_or_default().display();
            let _ = writeln!(failures, "== {name}\n-- expected\n{wanted}-- told\n{told}");
        }
        cases += 1;
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(cases >= 40, "only {cases} cases were found");
}

#[test]
fn a_wrong_file_does_not_compile_and_a_doubtful_one_does() {
    for file in wrong_files() {
        let problems = problems(&file);
        let doubtful = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("doubt-"));
        assert_eq!(problems.has_errors(), !doubtful, "{}", file.display());
        assert!(!problems.0.is_empty(), "{}", file.display());
    }
}

#[test]
fn a_value_that_is_advised_is_right_where_it_is_written() {
    let mut tried = 0;
    for file in wrong_files() {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        for problem in problems(&file).0.into_iter().filter(|problem| problem.file == file.display().to_string()) {
            let Some(value) = problem.help.as_deref().and_then(advised_value) else { continue };
            let mended = with(&text, &problem, value);
            let again =
                match config::parse("mended.yaml", &mended).and_then(|it| compile(&it, &Numbers::default(), None)) {
                    Ok(plan) => plan.warnings,
                    Err(problems) => problems.0,
                };
            let place = (problem.line, problem.column);
            let still = again.iter().find(|it| (it.line, it.column) == place && it.severity == Severity::Error);
            assert!(
                still.is_none(),
                "{}: {value} is advised:\n{}{}",
                file.display(),
                shown(&problem),
                shown(still.unwrap())
            );
            tried += 1;
        }
    }
    assert!(tried >= 20, "only {tried} values are advised");
}

/// What to write, if the advice is a value and nothing else: `write 0xbeef`.
fn advised_value(help: &str) -> Option<&str> {
    let rest = help.strip_prefix("write ")?;
    let quoted = rest.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    quoted.or(Some(rest)).filter(|value| !value.contains(['`', ' ']))
}

/// The text with another value in the place of a problem.
fn with(text: &str, problem: &Problem, value: &str) -> String {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let line = &mut lines[problem.line - 1];
    let at = line.char_indices().nth(problem.column - 1).map_or(line.len(), |(at, _)| at);
    line.replace_range(at..at + problem.text.len(), value);
    lines.join("\n")
}

fn wrong_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("tests/wrong is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn problems(file: &Path) -> Problems {
    let result = config::load(file).and_then(|config| compile(&config, &Numbers::default(), None));
    match result {
        Ok(plan) => Problems(plan.warnings),
        Err(problems) => problems,
    }
}

fn told(file: &Path) -> String {
    let text: String = problems(file).0.iter().map(shown).collect();
    let folder = file.parent().unwrap_or(file).display().to_string();
    let text = text.replace(&format!("{folder}/"), "");
    // The test-only encapsulation is one more in every list.
    text.replace(", `tenant_tag`", "").replace(", shim", "")
}

fn shown(problem: &Problem) -> String {
    let kind = if problem.severity == Severity::Error { "error" } else { "warning" };
    let mut text = format!("{}{}:{}: {kind}: {}\n", part(&problem.file), problem.line, problem.column, problem.message);
    let _ = writeln!(text, "    at: {}", problem.text);
    if let Some(also) = &problem.also {
        let _ = writeln!(text, "    and {}{}:{}: {}", part(&also.file), also.line, also.column, also.about);
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(text, "    help: {help}");
    }
    text
}

/// The name of an included file, in front of a line.
fn part(file: &str) -> String {
    file.split_once("/parts/").map(|(_, name)| format!("parts/{name}:")).unwrap_or_default()
}
