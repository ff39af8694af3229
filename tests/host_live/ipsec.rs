//! Machines whose IPsec policies would block or protect tunnel packets.

use std::fs::{self, File};

use super::{Gateway, World, eventually};

/// A machine with these policies, if it can be made and the kernel has IPsec.
fn world(test: &str, policies: &[&str]) -> Option<World> {
    let world = World::new(test)?;
    world.with("", "");
    for policy in policies {
        if let Err(error) = transload_lab::Host::sh(&world.namespace, &format!("ip xfrm policy {policy}")) {
            eprintln!("SKIPPED: {test}: this kernel has no such IPsec policies ({error})");
            return None;
        }
    }
    Some(world)
}

const PROTECT: &str = "tmpl proto esp mode transport";

#[test]
fn what_a_policy_forbids_is_refused_and_the_policy_named() {
    const TEST: &str = "what_a_policy_forbids_is_refused_and_the_policy_named";
    let block = "add src 192.0.2.1/32 dst 192.0.2.9/32 proto udp dport 4789 dir out action block";
    let Some(world) = world(TEST, &[block]) else { return };
    world.refused(
        "`src 192.0.2.1/32 dst 192.0.2.9/32 proto udp dport 4789 dir out priority 0 action block` of this machine blocks \
         packets from endpoint `fabric` to peer `leaf`, which the gateway would send in clear",
    );
    world.refused("write `ipsec: ignore` in endpoint `fabric`");
    world.with("ports: [up]", "ports: [up], ipsec: ignore").fine();
    world.with("encap: vxlan", "encap: { vxlan: { udp_port: 8472 } }").fine();
    world.with("192.0.2.9", "192.0.2.10").fine();
}

#[test]
fn what_a_policy_protects_is_refused_in_both_directions() {
    const TEST: &str = "what_a_policy_protects_is_refused_in_both_directions";
    for (policy, words) in [
        (format!("add src 192.0.2.0/24 dst 192.0.2.0/24 dir out {PROTECT}"), "protects packets from endpoint `fabric`"),
        (format!("add src 192.0.2.0/24 dst 192.0.2.0/24 dir in {PROTECT}"), "gateway would accept in clear"),
        ("setdefault out block".to_owned(), "policy `default out block`"),
    ] {
        let Some(world) = world(TEST, &[&policy]) else { continue };
        world.refused(words);
    }
}

#[test]
fn policies_of_other_packets_and_those_behind_one_that_lets_pass_do_not_matter() {
    const TEST: &str = "policies_of_other_packets_and_those_behind_one_that_lets_pass_do_not_matter";
    let everything = format!("add src 0.0.0.0/0 dst 0.0.0.0/0 dir out priority 2000 {PROTECT}");
    let v6 = format!("add src ::/0 dst ::/0 dir out {PROTECT}");
    let gre = format!("add src 192.0.2.1/32 dst 192.0.2.9/32 proto 47 dir out {PROTECT}");
    let forwarded = format!("add src 0.0.0.0/0 dst 0.0.0.0/0 dir fwd {PROTECT}");
    let marked = format!("add src 0.0.0.0/0 dst 0.0.0.0/0 dir out mark 7 {PROTECT}");
    let of_interface = format!("add src 0.0.0.0/0 dst 0.0.0.0/0 dir out if_id 3 {PROTECT}");
    let other_device = format!("add src 0.0.0.0/0 dst 0.0.0.0/0 dev ce1 dir out {PROTECT}");
    let pass = "add src 192.0.2.0/24 dst 192.0.2.0/24 proto udp dir out priority 1000 action allow";
    for policies in [
        vec![v6.as_str()],
        vec![&gre],
        vec![&forwarded],
        vec![&marked],
        vec![&of_interface],
        vec![&other_device],
        vec![&everything, pass],
    ] {
        let Some(world) = world(TEST, &policies) else { continue };
        world.fine();
    }
    let Some(world) = world(TEST, &[&everything, &pass.replace("1000", "3000")]) else { return };
    world.refused("priority 2000");
}

#[test]
fn every_peer_counts_be_it_nvgre_over_ipv6_or_one_that_will_be_learned() {
    const TEST: &str = "every_peer_counts_be_it_nvgre_over_ipv6_or_one_that_will_be_learned";
    let v6 = format!("add src 2001:db8::1/128 dst 2001:db8::9/128 proto 47 dir out {PROTECT}");
    if let Some(world) = world(TEST, &[&v6]) {
        let file = world.file.replace("192.0.2.1", "\"2001:db8::1\"").replace("192.0.2.9", "\"2001:db8::9\"");
        let file = file.replace("encap: vxlan", "encap: nvgre").replace("vni: 100", "vsid: 5000");
        World { file, ..world }.with("", "").refused("src 2001:db8::1/128 dst 2001:db8::9/128 proto 47 dir out");
    }
    let learned = format!("add src 192.0.2.1/32 dst 192.0.2.77/32 dir out {PROTECT}");
    if let Some(world) = world(TEST, &[&learned]) {
        world.fine();
        let file = world.file.replace("peers:", "groups:").replace("address: 192.0.2.9", "learn_from: 192.0.2.64/26");
        let world = World { file: file.replace("peer: leaf", "group: leaf"), ..world };
        world.with("", "").refused("to peer `leaf (192.0.2.64/26)`");
    }
    let accepted = format!("add src 192.0.2.10/32 dst 192.0.2.1/32 dir in {PROTECT}");
    if let Some(world) = world(TEST, &[&accepted]) {
        world.fine();
        world.with("192.0.2.9,", "192.0.2.9, accept_from: [192.0.2.10],").refused("from peer `leaf`");
    }
}

#[test]
fn a_policy_that_comes_while_the_gateway_runs_is_told_and_that_it_has_gone() {
    const TEST: &str = "a_policy_that_comes_while_the_gateway_runs_is_told_and_that_it_has_gone";
    let policy = "src 192.0.2.1/32 dst 192.0.2.9/32 proto udp dport 4789 dir out";
    let Some(world) = world(TEST, &[&format!("add {policy} action block"), &format!("delete {policy}")]) else {
        return;
    };
    let log = world.directory.path().join("log");
    let mut command = World::transload(&["run", "--admin"]);
    command.arg(world.socket()).arg(world.path()).stderr(File::create(&log).unwrap());
    let gateway = Gateway(Some(world.namespace.spawn(&mut command).unwrap()));
    eventually("it runs", || world.show("ports").status.success());
    let said = |words: &str| fs::read_to_string(&log).unwrap().contains(words);
    for _ in 0..2 {
        world.sh(&format!("ip xfrm policy add {policy} action block"));
        eventually("the policy is told", || said("which the gateway would send in clear"));
        assert!(said("the gateway goes on as before: remove the policy"));
        world.sh(&format!("ip xfrm policy delete {policy}"));
        eventually("its end is told", || said("no IPsec policy of this machine objects to tunnel packets any more"));
        fs::write(&log, "").unwrap();
    }
    assert!(gateway.stop().ok);
}

#[test]
fn a_reload_is_refused_as_well_and_many_peers_are_summed_up() {
    const TEST: &str = "a_reload_is_refused_as_well_and_many_peers_are_summed_up";
    let block = "add src 192.0.2.1/32 dst 192.0.2.128/25 dir out action block";
    let Some(world) = world(TEST, &[block]) else { return };
    let gateway = world.start();
    let file =
        world.file.replace("peers:", "groups:").replace("address: 192.0.2.9", "members: [192.0.2.120-192.0.2.131]");
    let world = World { file: file.replace("peer: leaf", "group: leaf"), ..world };
    let said = world.with("", "").reload();
    assert!(!said.ok && said.contains("to peer `leaf/192.0.2.128` and 3 more"), "{}", said.text);
    let said = world.with("ports: [up]", "ports: [up], ipsec: ignore").reload();
    assert!(said.ok, "{}", said.text);
    assert!(gateway.stop().ok);
}
