//! Rows as metrics: the text that scrapers read, whatever things are called and however many there are.
//!
//! With `REWRITE=1` in the environment the expected texts in `tests/metrics/` are written anew.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Lab;
use common::openmetrics::{Exposed, read, value};
use common::wire::{self, BROADCAST, mac};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use transload::forwarding::PortId;
use transload::report::metrics::{MetricFormat, MetricSamples, OTHERS};
use transload::report::rows::{
    AttachmentRow, DropRow, GatewayRole, GatewayRow, LogRow, PeerState, ReloadResult, ReloadRow, TenantRow, Traffic,
    WorkerRow,
};
use transload::report::{PortState, TunnelState};
use transload_lab::need;

const GATEWAY: &str = r#"
version: 1
ports:
  up:     { device: up }
  access: { device: access, tpids: [0x88a8] }
endpoints: { vtep: { address: 192.0.2.1, ports: [up] } }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
mappings:
  wholesale: { from: { peer: leaf, vni: 0x1000-0x1fff }, to: { port: access, s_vid: 7, c_vid: "id[11:0]" } }
tenants:
  blue: { attachments: { leaf: { peer: leaf, vni: 1 }, ce: { port: access, s_vid: 8 } } }
"#;

fn gateway_row() -> GatewayRow {
    let why = Some("gateway.yaml:3:1: error".to_owned());
    GatewayRow {
        version: "1.2.3".to_owned(),
        role: GatewayRole::Active,
        file: "/etc/transload/gateway.yaml".to_owned(),
        sha256: "ab12".to_owned(),
        started: 1_700_000_000,
        loaded: 1_700_000_060,
        in_force: false,
        last_reload: Some(ReloadRow { when: 1_700_000_090, result: ReloadResult::Rejected, why }),
        reloads_done: 2,
        reloads_rejected: 1,
        metrics_failure: None,
        fdb_entries: 2,
        fdb_capacity: 1_048_576,
        events_lost: 3,
        log_lost: 4,
    }
}

/// All that a gateway with some traffic has to say.
fn samples() -> MetricSamples {
    let mut lab = Lab::new(GATEWAY);
    for source in [1, 2] {
        let inner = wire::tenant_frame(BROADCAST, mac(source), 0);
        let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
        let udp = wire::udp(50_000, 4789, &wire::vxlan(u32::from(source), &inner));
        lab.send("up", wire::outer((mac(0xaa), mac(0xbb)), ends, 0, 17, &udp));
    }
    let peer = lab.tables().senders.values().copied().next().unwrap();
    let mut state = lab.gateway.state(lab.clock);
    for (port, failure) in [(0, None), (1, Some("the cable is unplugged"))] {
        state.ports.insert(PortId::new(port), PortState { io: "tap", failure });
    }
    let address = "192.0.2.9".to_owned();
    state.tunnels =
        vec![TunnelState { peer, endpoint: "vtep", address, learned: None, failures: vec![], report: None }];
    let mut samples = MetricSamples::default();
    samples.add(&gateway_row());
    samples.add(&WorkerRow { worker: "worker-0".to_owned(), ports: vec!["up".to_owned()], busy: 125 });
    samples.add_all(&state.ports());
    samples.add_all(&state.peers(None).unwrap());
    samples.add_all(&state.tenants(None).unwrap());
    samples.add_all(&state.mappings());
    let occurred = state.drops().into_iter().filter(|row| row.dropped + row.left + row.tolerated > 0);
    occurred.for_each(|row| samples.add(&row));
    samples.add(&LogRow { held_back: 5, lost: 4 });
    samples
}

fn written(samples: MetricSamples, format: MetricFormat) -> String {
    String::from_utf8(format.pieces(samples.into_lines()).collect::<Vec<_>>().concat()).unwrap()
}

fn is_as_expected(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics").join(name);
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{}: REWRITE=1 writes it anew", file.display());
}

#[test]
fn what_a_gateway_says_in_openmetrics() {
    let text = written(samples(), MetricFormat::OpenMetrics);
    read(&text);
    is_as_expected("openmetrics.txt", &text);
}

#[test]
fn what_it_says_in_the_format_before_openmetrics() {
    is_as_expected("prometheus.txt", &written(samples(), MetricFormat::Prometheus));
}

#[test]
fn promtool_finds_nothing_wrong_with_names_and_types() {
    need!(promtool);
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = written(samples(), MetricFormat::Prometheus);
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn tenant(name: &str, attachments: &[&str], frames: u64) -> TenantRow {
    let traffic = Traffic { rx_frames: frames, rx_bytes: frames.wrapping_mul(64), tx_frames: frames, tx_bytes: 0 };
    let attachment = |name: &&str| AttachmentRow {
        attachment: (*name).to_owned(),
        segment: "vni 1".to_owned(),
        via: Vec::new(),
        traffic,
        dropped: 0,
        last_heard: Some(frames),
        rates: None,
    };
    TenantRow {
        tenant: name.to_owned(),
        attachments: attachments.iter().map(attachment).collect(),
        macs: 1,
        mac_limit: u32::MAX,
        traffic,
        rates: None,
        flooded: 0,
        copies_dropped: 0,
        copies: 0,
        dropped: frames,
        too_big_answers: 0,
        learned: 1,
        moved: 0,
        held_moves: 0,
        loops: Vec::new(),
        loops_found: 0,
        over_mac_limit: 0,
        table_full: 0,
    }
}

fn exposed(samples: MetricSamples) -> BTreeMap<String, Exposed> {
    read(&written(samples, MetricFormat::OpenMetrics))
}

#[test]
fn counters_are_exact_to_the_last_frame() {
    let frames = (1 << 53) + 1;
    let mut samples = MetricSamples::default();
    samples.add(&tenant("blue", &[], frames));
    samples.add(&tenant("red", &[], u64::MAX));
    let exposed = exposed(samples);
    let dropped = |tenant| value(&exposed, "transload_tenant_dropped_frames_total", &[("tenant", tenant)]);
    assert_eq!(dropped("blue"), Some("9007199254740993"));
    assert_eq!(dropped("red"), Some("18446744073709551615"));
}

#[test]
fn tenants_that_are_left_out_are_in_one_sum() {
    let mut samples = MetricSamples::default();
    samples.add(&tenant("blue", &["ce"], 7));
    for frames in [10, 20, 30] {
        samples.add_to_others(&tenant(&format!("lab-{frames}"), &["a", "b"], frames));
    }
    let exposed = exposed(samples);
    let name = "transload_tenant_receive_frames_total";
    assert_eq!(value(&exposed, name, &[("tenant", OTHERS), ("attachment", OTHERS)]), Some("120"));
    assert_eq!(value(&exposed, name, &[("tenant", "blue"), ("attachment", "ce")]), Some("7"));
    let sum = value(&exposed, "transload_tenant_dropped_frames_total", &[("tenant", OTHERS)]);
    assert_eq!(sum, Some("60"));
    assert_eq!(value(&exposed, "transload_tenant_mac_limit", &[("tenant", OTHERS)]), Some("12884901885"));
    let ages = exposed["transload_tenant_last_heard_seconds"].samples.len();
    assert_eq!(ages, 1, "ages do not add up to anything");
}

#[test]
fn no_name_of_a_metric_holds_what_is_known_only_at_run_time() {
    let exposed = exposed(samples());
    let labels = exposed.values().flat_map(|family| &family.samples).flat_map(|sample| sample.labels.keys());
    let keys: std::collections::BTreeSet<_> = labels.map(String::as_str).collect();
    let allowed = [
        "attachment",
        "direction",
        "file",
        "mapping",
        "peer",
        "port",
        "reason",
        "responsible",
        "result",
        "sha256",
        "tenant",
        "transload_peer_state",
        "version",
        "why",
        "worker",
    ];
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), allowed);
}

#[test]
fn a_peer_has_one_of_all_states() {
    let exposed = exposed(samples());
    let family = &exposed["transload_peer_state"];
    assert_eq!(family.kind, "stateset");
    let states = &family.samples;
    assert_eq!(states.len(), PeerState::ALL.len());
    assert_eq!(states.iter().filter(|sample| sample.value == "1").count(), 1);
    let before = written(samples(), MetricFormat::Prometheus);
    assert!(before.contains("# TYPE transload_peer_state gauge\n"), "that format has no sets of states");
}

#[test]
fn a_text_written_where_another_was_has_nothing_of_it() {
    let mut first = MetricSamples::default();
    for number in 0..100 {
        first.add(&tenant(&format!("cust-{number}"), &["a", "b"], u64::MAX));
        first.add_to_others(&tenant("lab", &["a"], 1));
    }
    let mut second = MetricSamples::reusing(first.into_lines());
    second.add(&tenant("blue", &["ce"], 7));
    let mut alone = MetricSamples::default();
    alone.add(&tenant("blue", &["ce"], 7));
    assert_eq!(written(second, MetricFormat::OpenMetrics), written(alone, MetricFormat::OpenMetrics));
}

/// What prometheus-client writes of a counter with these labels, the line of its sample.
fn line_by_the_library(format: MetricFormat, name: &str, labels: [(&'static str, &str); 2], value: u64) -> String {
    let family = Family::<Vec<(&'static str, String)>, Counter>::default();
    let labels = labels.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    family.get_or_create(&labels).inc_by(value);
    let mut registry = Registry::default();
    registry.register(name, "Help", family);
    let mut out = String::new();
    match format {
        MetricFormat::OpenMetrics => text::encode_registry(&mut out, &registry).unwrap(),
        MetricFormat::Prometheus => prometheus_text::encode(&mut out, &registry).unwrap(),
    }
    out.trim_end_matches('\n').rsplit('\n').next().unwrap().to_owned()
}

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, wanted) in [
        (prometheus, MetricFormat::OpenMetrics),
        ("application/openmetrics-text", MetricFormat::OpenMetrics),
        ("Application/OpenMetrics-Text; version=1.0.0 ; q=0.3", MetricFormat::OpenMetrics),
        ("", MetricFormat::Prometheus),
        ("*/*", MetricFormat::Prometheus),
        ("text/plain;version=0.0.4", MetricFormat::Prometheus),
        ("application/openmetrics-text;q=0, text/plain", MetricFormat::Prometheus),
        ("application/openmetrics-text-of-old", MetricFormat::Prometheus),
    ] {
        assert_eq!(MetricFormat::accepted(accept), wanted, "{accept}");
    }
}

#[test]
fn ten_thousand_tenants_are_all_there_once() {
    let mut samples = MetricSamples::default();
    for number in 0..10_000 {
        samples.add(&tenant(&format!("cust-{number}"), &["leafs", "ce"], number));
    }
    let exposed = exposed(samples);
    assert_eq!(exposed["transload_tenant_receive_frames"].samples.len(), 20_000);
    let labels = [("tenant", "cust-9999"), ("attachment", "ce")];
    assert_eq!(value(&exposed, "transload_tenant_receive_bytes_total", &labels), Some("639936"));
}

proptest! {
    #[test]
    fn whatever_things_are_called_the_text_can_be_read_and_has_their_names(
        name in any::<String>(), reason in r#"["\\\n{},= a-z#\u{0}-\u{20}é]{0,12}"#, frames in any::<u64>(),
    ) {
        let mut samples = MetricSamples::default();
        samples.add(&tenant(&name, &[&reason], frames));
        samples.add(&DropRow {
            reason: reason.clone(),
            dropped: frames,
            left: 0,
            copies: 0,
            tolerated: 0,
            ports: BTreeMap::new(),
            responsible: name.clone(),
            meaning: name.clone(),
            samples: Vec::new(),
        });
        let exposed = exposed(samples);
        let labels = [("tenant", name.as_str()), ("attachment", reason.as_str())];
        let frames = frames.to_string();
        prop_assert_eq!(value(&exposed, "transload_tenant_receive_frames_total", &labels), Some(frames.as_str()));
    }

    #[test]
    fn labels_and_numbers_are_written_as_prometheus_client_writes_them(
        name in any::<String>(), attachment in r#"["\\\n{},= a-z#\u{0}-\u{20}é]{0,12}"#, value in any::<u64>(),
    ) {
        for format in [MetricFormat::OpenMetrics, MetricFormat::Prometheus] {
            let mut samples = MetricSamples::default();
            samples.add(&tenant(&name, &[&attachment], value));
            let labels = [("tenant", name.as_str()), ("attachment", attachment.as_str())];
            let line = line_by_the_library(format, "transload_tenant_receive_frames", labels, value);
            let text = written(samples, format);
            prop_assert!(text.split('\n').any(|ours| ours == line), "{} is not in {}", line, text);
        }
    }
}
