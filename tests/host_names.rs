//! Peers whose address is a DNS name: what is taken of the answers, what is refused, and what verbs say that ask nobody.

mod common;

use std::collections::BTreeMap;

use assert_cmd::Command;
use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::compile::{NamedPeer, Numbers, Plan, compile};
use transload::config::{self, Answers};
use transload::isolation;

const FILE: &str = r"version: 1
ports: { up: { device: up }, ce: { device: ce } }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
  six: { address: '2001:db8::1', ports: [up] }
peers:
  named: { address: Leaf-3.example.net, endpoint: fabric, encap: vxlan, accept_from: [192.0.2.33] }
  twin:  { address: twin.example.net, endpoint: fabric, encap: vxlan }
  fixed: { address: 192.0.2.9, encap: vxlan, accept_from: [192.0.2.10] }
  other: { address: 192.0.2.9, encap: nvgre }
groups:
  mesh: { members: [192.0.2.50-192.0.2.51], encap: vxlan }
tenants:
  blue: { attachments: { n: { peer: named, vni: 1 }, f: { peer: fixed, vni: 1 }, ce: { port: ce, vid: 1 } } }
  red:  { attachments: { t: { peer: twin, vni: 2 }, f: { peer: fixed, vni: 2 }, o: { peer: other, vsid: 5000 }, m: { group: mesh, vni: 2 } } }
";

fn answers(found: &[(&str, &[&str])], kept: &[(&str, &str, &str)]) -> Answers {
    let host = |(name, addresses): &(&str, &[&str])| {
        ((*name).to_owned(), Ok(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    };
    let kept =
        kept.iter().map(|(peer, host, address)| (((*peer).to_owned(), (*host).to_owned()), address.parse().unwrap()));
    Answers { found: found.iter().map(host).collect(), kept: kept.collect() }
}

fn plan(answers: Answers) -> Plan {
    let mut config = config::parse("gw.yaml", FILE).unwrap_or_else(|problems| panic!("{problems:?}"));
    config.answers = answers;
    compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"))
}

fn named<'p>(plan: &'p Plan, name: &str) -> &'p NamedPeer {
    plan.named.iter().find(|peer| peer.name == name).unwrap()
}

/// The address of a peer, and what is wrong with its name.
fn outcome(plan: &Plan, name: &str) -> (String, String) {
    let peer = named(plan, name);
    let address = peer.address.map_or_else(|| "none".to_owned(), |address| address.to_string());
    (address, peer.complaint.clone().unwrap_or_default())
}

const LEAF: &str = "leaf-3.example.net";
const TWIN: &str = "twin.example.net";

#[test]
fn a_name_that_resolves_is_the_peers_address() {
    let plan = plan(answers(&[(LEAF, &["192.0.2.13"])], &[]));
    assert_eq!(outcome(&plan, "named"), ("192.0.2.13".into(), String::new()));
    assert!(plan.tunnels.iter().any(|tunnel| tunnel.name == "named" && tunnel.remote.to_string() == "192.0.2.13"));
    let mut lab = Lab::of(plan);
    let packet = |from: [u8; 4]| {
        let udp = wire::udp(7, 4789, &wire::vxlan(1, &wire::tenant_frame(BROADCAST, mac(1), 1)));
        wire::outer((BROADCAST, mac(9)), (from.into(), [192, 0, 2, 1].into()), 0, 17, &udp)
    };
    assert_eq!(lab.send("up", packet([192, 0, 2, 13])).len(), 2);
    assert_eq!(lab.send("up", packet([192, 0, 2, 33])).len(), 2, "it is accepted from besides");
    assert_eq!(lab.dropped_for("up", packet([192, 0, 2, 14])), "unknown_peer");
}

#[test]
fn without_an_answer_the_peer_is_there_and_others_go_on() {
    let plan = plan(Answers::default());
    assert_eq!(outcome(&plan, "named"), ("none".into(), format!("name not resolved yet: {LEAF}")));
    let mut lab = Lab::of(plan);
    let sent = lab.send("ce", wire::tag(&wire::tenant_frame(BROADCAST, mac(1), 1), 0x8100, 1));
    assert_eq!(sent.len(), 1, "the other peer of the tenant gets it: {sent:02x?}");
    let failed = config::parse("gw.yaml", FILE).map(|mut config| {
        config.answers.found.insert(LEAF.into(), Err("no such host".into()));
        compile(&config, &Numbers::default(), None).unwrap()
    });
    let expected = format!("name not resolved yet: {LEAF} cannot be resolved: no such host");
    assert_eq!(outcome(&failed.unwrap(), "named").1, expected);
}

#[test]
fn an_answer_that_is_somebody_elses_is_refused_and_the_last_one_kept() {
    for (answer, why) in [
        ("192.0.2.9", "is an address of peer `fixed`"),
        ("192.0.2.10", "is an address of peer `fixed`"),
        ("192.0.2.51", "is an address of group `mesh`"),
        ("192.0.2.1", "is our own endpoint `fabric`"),
        ("239.1.1.1", "is a multicast address"),
        ("127.0.0.1", "is a loopback address, which never leaves a host"),
        ("2001:db8::9", "is not an IPv4 address, as endpoint `fabric` has"),
    ] {
        let refused = format!("{LEAF} resolves to {answer}, which {why}");
        let plan_of = |kept| plan(answers(&[(LEAF, &[answer])], kept));
        assert_eq!(
            outcome(&plan_of(&[("named", LEAF, "192.0.2.13")]), "named"),
            ("192.0.2.13".into(), format!("{refused}; 192.0.2.13 is kept"))
        );
        let none = ("none".into(), format!("name not resolved yet: {refused}"));
        assert_eq!(outcome(&plan_of(&[]), "named"), none);
        assert_eq!(outcome(&plan_of(&[("named", "old.example.net", "192.0.2.13")]), "named"), none, "of another name");
    }
}

#[test]
fn of_several_answers_the_one_in_use_stays_and_one_that_can_be_used_is_taken() {
    let all: &[&str] = &["192.0.2.9", "192.0.2.13", "192.0.2.14", "2001:db8::9"];
    let fresh = plan(answers(&[(LEAF, all)], &[]));
    assert_eq!(outcome(&fresh, "named"), ("192.0.2.13".into(), String::new()));
    let before = plan(answers(&[(LEAF, all)], &[("named", LEAF, "192.0.2.14")]));
    assert_eq!(outcome(&before, "named"), ("192.0.2.14".into(), String::new()));
}

#[test]
fn of_two_names_with_one_answer_the_one_that_has_it_keeps_it() {
    let both = [(LEAF, &["192.0.2.13"][..]), (TWIN, &["192.0.2.13"])];
    let fresh = plan(answers(&both, &[]));
    assert_eq!(outcome(&fresh, "named").0, "192.0.2.13");
    assert!(outcome(&fresh, "twin").1.contains("is an address of peer `named`"));
    let kept = [("twin", TWIN, "192.0.2.13"), ("named", LEAF, "192.0.2.14")];
    let later = plan(answers(&both, &kept));
    assert_eq!(outcome(&later, "twin"), ("192.0.2.13".into(), String::new()));
    assert_eq!(outcome(&later, "named").0, "192.0.2.14");
    // And two may change places.
    let crossed = [(LEAF, &["192.0.2.13"][..]), (TWIN, &["192.0.2.14"])];
    let crossed = plan(answers(&crossed, &kept));
    assert_eq!((outcome(&crossed, "named").0, outcome(&crossed, "twin").0), ("192.0.2.13".into(), "192.0.2.14".into()));
}

#[test]
fn whatever_the_answers_are_tenants_do_not_meet() {
    let addresses = ["192.0.2.9", "192.0.2.10", "192.0.2.13", "192.0.2.33", "192.0.2.50", "192.0.2.1", "2001:db8::9"];
    for one in addresses {
        for other in addresses {
            for kept in [&[][..], &[("named", LEAF, "192.0.2.13"), ("twin", TWIN, "192.0.2.9")]] {
                let plan = plan(answers(&[(LEAF, &[one]), (TWIN, &[other])], kept));
                assert!(isolation::examine(&plan).holds(), "{one}, {other}, {kept:?}");
            }
        }
    }
}

#[test]
fn a_peer_has_the_same_number_whatever_its_address_is() {
    let (none, some) = (plan(Answers::default()), plan(answers(&[(LEAF, &["192.0.2.13"])], &[])));
    assert_eq!(named(&none, "named").peer, named(&some, "named").peer);
    let names: BTreeMap<_, _> = none.names.peers().collect();
    assert_eq!(names, some.names.peers().collect());
}

/// A verb on the file, with these arguments: exit code and output of both kinds.
fn verb(words: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gw.yaml");
    std::fs::write(&file, FILE).unwrap();
    std::fs::write(directory.path().join("in.pcap"), []).unwrap();
    let mut command = Command::cargo_bin("transload").unwrap();
    let output = command.args(words).current_dir(directory.path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

const GIVEN: [&str; 4] = ["--resolve", "leaf-3.example.NET=192.0.2.13", "--resolve", "twin.example.net=192.0.2.14"];

#[test]
fn check_says_what_it_does_not_look_at_and_refuses_an_address_that_is_taken() {
    let (code, said) = verb(&["check", "gw.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the address of peer `named` is unchecked"), "{said}");
    assert!(said.contains("--resolve leaf-3.example.net=ADDRESS"), "{said}");
    let (code, said) = verb(&[&["check", "gw.yaml"][..], &GIVEN].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("unchecked"), "{said}");
    let (code, said) = verb(&["check", "gw.yaml", "--resolve", "leaf-3.example.net=192.0.2.9"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("leaf-3.example.net resolves to 192.0.2.9, which is an address"), "{said}");
    let (code, said) = verb(&["check", "gw.yaml", "--resolve", "leaf-4.example.net=192.0.2.9"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no peer has the DNS name `leaf-4.example.net` as its address"), "{said}");
    let (code, said) = verb(&["check", "gw.yaml", "--resolve", "leaf-3.example.net"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn verbs_that_need_the_address_ask_for_it() {
    let explain = ["explain", "gw.yaml", "--port", "up", "--frame", "ffffffffffff02000000000188b50000"];
    for words in [&["isolation", "gw.yaml"][..], &explain, &["replay", "gw.yaml", "--in", "up=in.pcap", "--out", "."]] {
        let (code, said) = verb(words);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("give its address: --resolve leaf-3.example.net=ADDRESS"), "{said}");
    }
    for words in [&["isolation", "gw.yaml"][..], &explain] {
        let (code, said) = verb(&[words, &GIVEN].concat());
        assert_eq!(code, Some(0), "{said}");
    }
    let (code, said) = verb(&["diff", "gw.yaml", "gw.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verb(&["diff", "gw.yaml", "gw.yaml", "--in", "up=in.pcap"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("give its address"), "{said}");
}

#[test]
fn the_proof_says_who_is_believed() {
    let (_, said) = verb(&[&["isolation", "gw.yaml"][..], &GIVEN].concat());
    assert!(said.contains("peer named: leaf-3.example.net, here 192.0.2.13"), "{said}");
}
