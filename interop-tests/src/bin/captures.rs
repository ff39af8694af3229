//! Runs the cases that are captures, or writes down what must come of them: `captures run [DIRECTORY..]`,
//! `captures record DIRECTORY..`. A directory that is a name alone is one of `interop-tests/cases`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use transload_interop_tests::captures::{self, Case, Outcome};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run"] => captures::run_all(&captures::directory()).map(|outcomes| shown(&outcomes)),
        ["run", names @ ..] => cases(names).and_then(captures::run).map(|outcomes| shown(&outcomes)),
        ["record", names @ ..] if !names.is_empty() => cases(names).and_then(|cases| record(&cases)),
        _ => {
            eprintln!("Usage: captures run [CASE..] | captures record CASE..");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("captures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn cases(names: &[&str]) -> io::Result<Vec<Case>> {
    let open = |name: &&str| {
        let ours = captures::directory().join(name);
        Case::open(if ours.is_dir() { &ours } else { Path::new(name) })
    };
    names.iter().map(open).collect()
}

fn record(cases: &[Case]) -> io::Result<bool> {
    for case in cases {
        println!("{}", captures::record(case)?);
    }
    println!("Read this: from now on it is what must be. `git diff` shows what has changed.");
    Ok(true)
}

fn shown(outcomes: &[Outcome]) -> bool {
    for Outcome { case, faults, skipped } in outcomes {
        let word = if faults.is_empty() { "ok" } else { "FAILED" };
        println!("{word:6} {:32} {}", case.name, case.shows);
        for fault in faults {
            println!("       {}", fault.replace('\n', "\n       "));
        }
        if let Some(missing) = skipped {
            println!("       not looked at by tshark: {missing}");
        }
    }
    outcomes.iter().all(|outcome| outcome.faults.is_empty())
}
