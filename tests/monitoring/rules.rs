//! The rules: each alert fires when it should and is quiet otherwise, and says what to type.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use transload_lab::need;

use crate::{list, metrics, promtool, served, text, yaml};

const PAGE: &str = include_str!("../../docs/MONITORING.md");

fn alerts() -> Vec<Value> {
    let rules = yaml("transload.rules.yml");
    let all = list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"]));
    all.filter(|rule| rule.get("alert").is_some()).cloned().collect()
}

#[test]
fn prometheus_takes_the_rules_and_the_sample_of_a_scrape() {
    need!(promtool);
    promtool(&["check", "rules", "transload.rules.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    need!(promtool);
    promtool(&["test", "rules", "transload.test.yml"]);
}

#[test]
fn what_the_rules_ask_for_is_served() {
    let (rules, served) = (yaml("transload.rules.yml"), served());
    for rule in list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"])) {
        for name in metrics(text(rule, "expr")).into_iter().filter(|name| !name.contains(':')) {
            assert!(served.contains(name), "no gateway serves {name}");
        }
    }
}

#[test]
fn every_alert_is_tested_for_both() {
    let tests = yaml("transload.test.yml");
    let cases = || list(&tests["tests"]).iter().flat_map(|test| list(&test["alert_rule_test"]));
    let of = |fires: bool| -> BTreeSet<&str> {
        cases()
            .filter(|case| list(&case["exp_alerts"]).is_empty() != fires)
            .map(|case| text(case, "alertname"))
            .collect()
    };
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(of(true).contains(name), "no test has {name} fire");
        assert!(of(false).contains(name), "no test has {name} quiet");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_what_to_type() {
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(["critical", "warning", "info"].contains(&text(&alert["labels"], "severity")), "{name}");
        let annotations = &alert["annotations"];
        assert!(text(annotations, "summary").contains("{{ $labels.instance }}"), "{name} does not say which gateway");
        assert!(text(annotations, "description").ends_with('.'), "{name}");
        for line in text(annotations, "look_at").split("; ") {
            assert!(line.starts_with("transload ") || line.starts_with("journalctl "), "{name} says to type {line}");
        }
    }
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn what_there_is_to_type_is_understood() {
    let alerts = alerts();
    let of_rules = alerts.iter().flat_map(|alert| text(&alert["annotations"], "look_at").split("; "));
    let words = |line: &str| -> Option<Vec<String>> {
        let line = line.strip_prefix("transload ")?.replace("{{ $labels.reason }}", "unknown_segment");
        Some(line.replace("{{ $labels.", "").replace(" }}", "").split(' ').map(str::to_owned).collect())
    };
    let place = tempfile::tempdir().unwrap();
    let lines: Vec<_> = of_rules.chain(code(PAGE)).filter_map(words).collect();
    assert!(lines.len() > 2 * alerts.len(), "{lines:?}");
    for line in lines {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args(&line).current_dir(place.path());
        if !["check", "explain"].contains(&line[0].as_str()) {
            command.args(["--socket", "/nonexistent"]);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(2), "transload {}: {said}", line.join(" "));
    }
}

#[test]
fn the_page_has_every_alert_and_how_bad_it_is_and_no_other() {
    let alerts = alerts();
    let known: BTreeSet<_> =
        alerts.iter().map(|alert| (text(alert, "alert"), text(&alert["labels"], "severity"))).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: BTreeSet<_> = rows.filter_map(|(name, rest)| Some((name, rest.split_once(" | ")?.0))).collect();
    assert_eq!(listed, known);
}
