//! The dashboard: panels that Grafana can lay out, and queries that Prometheus can answer.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use transload_lab::need;

use crate::{list, metrics, packaging, promtool, served, text, yaml};

pub(crate) fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(packaging().join("grafana/transload.json")).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["panels"]).iter().filter(|panel| panel["type"] != "row")
}

/// Every query of the dashboard with all that can be chosen chosen, and where it is.
pub(crate) fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let of_panels = panels(dashboard).flat_map(|panel| {
        list(&panel["targets"]).iter().map(|target| (text(panel, "title").to_owned(), text(target, "expr").to_owned()))
    });
    let of_events = list(&dashboard["annotations"]["list"])
        .iter()
        .map(|event| (text(event, "name").to_owned(), text(event, "expr").to_owned()));
    let chosen = |query: String| {
        let query = query.replace("$__rate_interval", "1m");
        ["$instance", "$peer", "$tenant"].iter().fold(query, |query, name| query.replace(name, ".*"))
    };
    of_panels.chain(of_events).map(|(place, query)| (place, chosen(query))).collect()
}

#[test]
fn every_query_can_be_asked() {
    need!(promtool);
    let all = queries(&dashboard());
    assert!(all.len() > 40, "{}", all.len());
    for (place, query) in &all {
        assert!(!query.contains('$'), "{place}: a variable is left in {query}");
    }
    // As rules, they are read as strictly as by a server. JSON is YAML.
    let rules: Vec<_> = all.iter().map(|(_, query)| json!({ "record": "asked", "expr": query })).collect();
    let rules = rules.into_iter().enumerate().map(|(number, mut rule)| {
        rule["labels"] = json!({ "number": number.to_string() });
        rule
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queries.yml");
    let groups = json!({ "groups": [{ "name": "dashboard", "rules": rules.collect::<Vec<_>>() }] });
    std::fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules", &file.display().to_string()]);
}

#[test]
fn what_the_dashboard_reads_of_the_rules_is_recorded() {
    let rules = yaml("transload.rules.yml");
    let all = list(&rules["groups"]).iter().flat_map(|group| list(&group["rules"]));
    let recorded: BTreeSet<_> = all.filter_map(|rule| rule["record"].as_str()).collect();
    for (place, query) in queries(&dashboard()) {
        for name in metrics(&query).into_iter().filter(|name| name.contains(':')) {
            assert!(recorded.contains(name), "{place}: no rule records {name}");
        }
    }
}

#[test]
fn what_the_dashboard_asks_for_is_served() {
    let served = served();
    for (place, query) in queries(&dashboard()) {
        for name in metrics(&query).into_iter().filter(|name| !name.contains(':')) {
            assert!(served.contains(name), "{place}: no gateway serves {name}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_and_in_what_unit() {
    let dashboard = dashboard();
    for panel in panels(&dashboard) {
        let title = text(panel, "title");
        assert!(text(panel, "description").ends_with('.'), "{title}");
        assert!(
            panel["type"] == "table"
                || panel["type"] == "state-timeline"
                || !text(&panel["fieldConfig"]["defaults"], "unit").is_empty()
        );
        for target in list(&panel["targets"]) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title} asks one Prometheus only");
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(panel, "title");
        assert!(numbers.insert(panel["id"].as_u64()), "{title} has the number of another panel");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|of| panel["gridPos"][of].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is wider than the page");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies on another panel");
        }
    }
}
