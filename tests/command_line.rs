//! The command line as a person or a script meets it: exit codes, and what goes to which stream.

use assert_cmd::Command;
use serde_json::Value;

fn transload(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("transload")
        .expect("the binary is built")
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_sums_up_a_good_file_in_one_line() {
    let (code, out, err) = transload(&["check", "configs/dc-border.yaml"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(
        out,
        "configs/dc-border.yaml: 3 ports, 2 endpoints, 7 tunnel peers, 2 static addresses, 2 tenants with 7 attachments \
         over 11 tunnels, isolated: 2 tenants: ok\n"
    );
    assert_eq!(err, "");
}

#[test]
fn a_service_manager_can_tell_a_wrong_file_from_a_machine_that_is_not_ready_yet() {
    for wrong in ["tests/wrong/id-of-another-encapsulation.yaml", "there/is/no/such.yaml"] {
        let (code, _, said) = transload(&["run", wrong]);
        assert_eq!(code, Some(78), "{said}");
    }
    let (code, _, said) = transload(&["run", "configs/dc-border.yaml"]);
    assert_eq!(code, Some(1), "no such devices: {said}");
}

#[test]
fn check_shows_the_place_the_text_and_what_to_write_instead() {
    let (code, out, err) = transload(&["check", "tests/wrong/id-of-another-encapsulation.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    for wanted in [
        "error: peer `leaf` speaks VXLAN, whose tenant ID is `vni`",
        "[tests/wrong/id-of-another-encapsulation.yaml:14:27]",
        "14 |       leaf: { peer: leaf, vsid: 5100 }",
        "^^^^",
        "help: write `vni` instead of `vsid`",
        "id-of-another-encapsulation.yaml: 4 errors",
    ] {
        assert!(err.contains(wanted), "{wanted} is missing in\n{err}");
    }
    assert!(!err.contains('\u{1b}'), "no colours where nobody looks");
}

#[test]
fn check_prints_warnings_and_still_succeeds() {
    let (code, out, err) = transload(&["check", "tests/wrong/doubt-unused.yaml"]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with(": ok, 3 warnings\n"), "{out}");
    assert!(err.contains("warning: nothing uses peer `hyperv`"), "{err}");
}

#[test]
fn check_hints_at_peers_that_may_be_a_mesh_and_counts_no_tags_as_tunnels() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let check = |attachments: &str| {
        let text = format!(
            "version: 1
ports: {{ up: {{ device: eth1 }}, access: {{ device: eth2 }} }}
endpoints: {{ e: {{ address: 192.0.2.1, ports: [up] }} }}
peers: {{ a: {{ address: 192.0.2.11, encap: vxlan }}, b: {{ address: 192.0.2.12, encap: vxlan }} }}
patterns:
  \"t-{{n}}\": {{ for: {{ n: 1-50 }}, attachments: {{ {attachments} }} }}
"
        );
        std::fs::write(&file, text).unwrap();
        let (code, out, err) = transload(&["check", file.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        out
    };
    let ce = "ce: { port: access, s_vid: n }";
    let mesh = check(&format!("a: {{ peer: a, vni: n }}, b: {{ peer: b, vni: n }}, {ce}"));
    assert!(mesh.contains("hint: tenant t-1 (and 49 more) has a, b under the same VXLAN ID"), "{mesh}");
    assert!(mesh.contains("50 tenants with 150 attachments over 100 tunnels, "), "{mesh}");
    for apart in ["split_horizon: ab", ""] {
        let vni = if apart.is_empty() { "\"1000+n\"" } else { "n" };
        let comma = if apart.is_empty() { "" } else { ", " };
        let out =
            check(&format!("a: {{ peer: a, vni: n{comma}{apart} }}, b: {{ peer: b, vni: {vni}{comma}{apart} }}, {ce}"));
        assert!(!out.contains("hint"), "{out}");
    }
}

#[test]
fn check_json_lists_problems_as_data() {
    let (code, out, err) = transload(&["check", "--json", "tests/wrong/peer-gre-and-nvgre.yaml"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let found: Value = serde_json::from_str(&out).expect("it is JSON");
    let problem = &found["problems"][0];
    assert_eq!(found["ok"], false);
    assert_eq!((&problem["severity"], &problem["line"], &problem["column"]), (&"error".into(), &9.into(), &22.into()));
    assert_eq!((&problem["text"], &problem["also"]["line"]), (&"192.0.2.9".into(), &8.into()));

    let (code, out, _) = transload(&["check", "--json", "configs/gre-hub.yaml"]);
    let found: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!((code, &found["ok"], &found["problems"]), (Some(0), &true.into(), &Value::Array(vec![])));
}

#[test]
fn a_file_that_is_not_there_is_exit_1_and_named() {
    let (code, out, err) = transload(&["check", "/nowhere/gateway.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("cannot read /nowhere/gateway.yaml: No such file or directory"), "{err}");
    assert!(!err.contains(":1:1"), "a file that cannot be read has no places: {err}");
}

#[test]
fn a_file_may_come_by_standard_input() {
    let yaml = std::fs::read("configs/gre-hub.yaml").expect("it is there");
    let mut check = Command::cargo_bin("transload").expect("the binary is built");
    let output = check.args(["check", "-"]).write_stdin(yaml).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("-: "));
}

#[test]
fn nobody_reading_on_is_no_failure_and_is_not_spoken_of() {
    for args in [&["schema"][..], &["check", "configs/gre-hub.yaml"], &["demo", "--hosts", "transload"]] {
        let (reader, writer) = std::io::pipe().expect("there are pipes");
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_transload"));
        let command = command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdout(writer);
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("no network namespaces") {
            eprintln!("SKIPPED: nobody_reading_on_is_no_failure_and_is_not_spoken_of: {said}; run as root");
            continue;
        }
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn packets_are_counted_from_1() {
    let args = ["explain", "configs/gre-hub.yaml", "--port", "up", "--pcap", "x.pcap", "--packet", "0"];
    let (code, _, err) = transload(&args);
    assert_eq!(code, Some(2));
    assert!(err.contains("packets are counted from 1"), "{err}");
}

#[test]
fn a_command_line_nobody_understands_is_exit_2() {
    for args in [&["frobnicate"][..], &["check"], &["check", "--frob", "x"], &[]] {
        let (code, out, err) = transload(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains("Usage: transload"), "{err}");
    }
}

#[test]
fn what_cannot_be_told_does_not_change_the_exit_code() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_transload"))
        .args(["check", "tests/wrong/field-unknown.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(full)
        .status();
    assert_eq!(status.expect("it runs").code(), Some(1));
}

#[test]
fn isolation_prints_the_proof_as_json_and_its_assumptions_in_words() {
    let (code, out, err) = transload(&["isolation", "configs/qinq-handoff.yaml"]);
    let found: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!((code, &found["isolated"], &found["meetings"]), (Some(0), &true.into(), &Value::Array(vec![])));
    let hash = found["hash"].as_str().expect("it has a hash");
    assert!(
        err.starts_with(&format!("configs/qinq-handoff.yaml: isolated: 5 tenants, {hash}\nassuming that\n")),
        "{err}"
    );
    assert!(err.contains("The source address of a tunnel packet is what identifies a peer"), "{err}");
    let (_, again, quiet) = transload(&["isolation", "--json", "configs/qinq-handoff.yaml"]);
    assert_eq!((again, quiet.as_str()), (out, ""));
}

#[test]
fn isolation_of_a_file_in_which_tenants_overlap_says_where() {
    let (code, out, err) = transload(&["isolation", "tests/wrong/id-claimed-by-another-tenant.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "nothing is proved of a file that does not load");
    assert!(err.contains("is already attachment"), "{err}");
}

#[test]
fn schema_prints_json() {
    let (code, out, _) = transload(&["schema"]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(schema["title"], "transload gateway");
}
