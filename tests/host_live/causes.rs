//! What goes wrong is called by its cause: a tunnel address that the machine has lost, senders that leave checksums to
//! their devices.

use transload_lab::{Host, eventually};

use super::World;

fn peers(world: &World) -> String {
    String::from_utf8(world.show("peers").stdout).unwrap()
}

fn until(world: &World, what: &str, is_so: impl Fn(&str) -> bool) {
    eventually(what, || is_so(&peers(world)));
}

#[test]
fn an_address_that_is_taken_off_the_machine_is_what_is_complained_of() {
    const TEST: &str = "an_address_that_is_taken_off_the_machine_is_what_is_complained_of";
    const GONE: &str = "this machine no longer has";
    for (own, prefix, leafs) in
        [("192.0.2.1", 24, ["192.0.2.9", "192.0.2.10"]), ("2001:db8::1", 64, ["2001:db8::9", "2001:db8::a"])]
    {
        let Some(world) = World::new(TEST) else { return };
        let file = world
            .file
            .replace("192.0.2.1,", &format!("\"{own}\","))
            .replace("192.0.2.9", leafs[0])
            .replace("tenants:", &format!("  more: {{ address: \"{}\", encap: vxlan }}\ntenants:", leafs[1]));
        let file = file
            .replace("      ce: ", "      more: { peer: more, vni: 100 }\n      ce: ")
            .replace(&format!("address: {},", leafs[0]), &format!("address: \"{}\",", leafs[0]));
        std::fs::write(world.path(), file).unwrap();
        let gateway = world.start();
        assert!(!peers(&world).contains(GONE));
        world.sh(&format!("ip address del {own}/{prefix} dev up1"));
        until(&world, "it is said", |shown| shown.contains(&format!("{GONE} {own}")) && !shown.contains("no route to"));
        world.sh(&format!("ip address add {own}/{prefix} dev up1"));
        until(&world, "it is over", |shown| !shown.contains(GONE));
        let said = gateway.stop();
        assert!(said.ok && !said.contains("no route to"), "{}", said.text);
    }
}

#[test]
fn a_veth_whose_sender_leaves_checksums_is_said_at_the_start_of_a_port_on_xdp_sockets() {
    const TEST: &str = "a_veth_whose_sender_leaves_checksums_is_said_at_the_start_of_a_port_on_xdp_sockets";
    let Some(world) = World::new(TEST) else { return };
    let xdp = ("device: up1", "device: up1, io: af_xdp");
    let check = world.with(xdp.0, xdp.1).check();
    let words = "up1-far, the far end of up1, leaves checksums, segmentation, VLAN tags to its device";
    assert!(check.ok && check.contains(words) && check.contains("ethtool -K up1-far tx off"), "{}", check.text);
    assert!(world.run().contains(words));
    // On packet sockets nobody need know.
    world.with("", "").fine();
    if world.namespace.sh("ethtool -K up1-far tx off tso off gso off txvlan off").is_err() {
        eprintln!("SKIPPED: {TEST}: the rest, without ethtool");
        return;
    }
    let check = world.with(xdp.0, xdp.1).check();
    assert!(check.ok && !check.contains("the far end of up1"), "{}", check.text);
}

#[test]
fn peers_of_two_endpoints_with_one_address_are_shown_with_their_own() {
    let Some(world) = World::new("peers_of_two_endpoints_with_one_address_are_shown_with_their_own") else { return };
    let file = world
        .file
        .replace(
            "encap: vxlan }",
            "encap: vxlan, endpoint: fabric }\n  tagged: { address: 192.0.2.9, encap: vxlan, endpoint: other }",
        )
        .replace("peers:", "  other: { address: 192.0.2.1, ports: [up], vlan: 30 }\npeers:")
        .replace("      ce: ", "      tagged: { peer: tagged, vni: 100 }\n      ce: ");
    std::fs::write(world.path(), file).unwrap();
    let gateway = world.start();
    let shown = String::from_utf8(
        World::transload(&["show", "peers", "--json", "--socket"]).arg(world.socket()).output().unwrap().stdout,
    );
    let rows: serde_json::Value = serde_json::from_str(&shown.unwrap()).unwrap();
    let endpoint =
        |peer: &str| rows.as_array().unwrap().iter().find(|row| row["peer"] == peer).unwrap()["endpoint"].clone();
    assert_eq!((endpoint("leaf"), endpoint("tagged")), ("fabric".into(), "other".into()));
    drop(gateway);
}
