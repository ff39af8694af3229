//! Devices by all their names, and with addresses that are not theirs.

use super::World;

const LONG: &str = "enp129s0f0np0-the-second-card-of-the-left-rack";

#[test]
fn a_device_may_be_named_by_an_alternative_name() {
    let Some(world) = World::new("a_device_may_be_named_by_an_alternative_name") else { return };
    world.sh(&format!("ip link property add dev ce1 altname enp5s0 altname {LONG}"));
    world.with("device: ce1", "device: enp5s0").fine();
    world.with("device: ce1", &format!("device: {LONG}")).fine();
    world.with("device: ce1", "device: enp5s1-the").refused("this machine has no network device `enp5s1-the`");
    world
        .with("  ce: { device: ce1 }", &format!("  ce: {{ device: enp5s0 }}\n  two: {{ device: {LONG} }}"))
        .refused("this is `ce1`, the device of port `ce`");
    world.with("device: ce1", &format!("device: {LONG}"));
    let gateway = world.start();
    assert!(String::from_utf8(world.show("ports").stdout).unwrap().contains("af_packet ce1"));
    assert!(world.reload().ok);
    world.sh("ip link delete ce1");
    let said = world.reload();
    assert!(said.ok, "the device is away and will be back: {}", said.text);
    let said = world.with("", "").reload();
    assert!(said.ok, "the same device by its own name: {}", said.text);
    assert!(gateway.stop().ok);
}

#[test]
fn the_address_and_the_endpoint_may_be_on_a_device_named_by_an_alternative_name() {
    let Some(world) = World::new("the_address_and_the_endpoint_may_be_on_a_device_named_by_an_alternative_name") else {
        return;
    };
    world.sh("ip link property add dev up1 altname uplink");
    world.sh("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:99 dev up1");
    world.with("device: up1", "device: uplink").fine();
    let gateway = world.start();
    let next_hops = || String::from_utf8(world.show("peers").stdout).unwrap();
    super::eventually("the route leaves by the port", || next_hops().contains("02:00:00:00:00:99"));
    let said = gateway.stop();
    assert!(!said.text.contains("leaves by"), "{}", said.text);
}

#[test]
fn an_address_that_nobody_answers_with_is_doubted() {
    let Some(world) = World::new("an_address_that_nobody_answers_with_is_doubted") else { return };
    world.sh("ip link set up1 address 02:00:00:00:aa:01");
    let with = |mac: &str| format!("device: up1, mac: \"{mac}\"");
    world
        .with("device: up1", &with("02:00:5e:10:00:01"))
        .warned("up1 has the MAC address 02:00:00:00:aa:01, with which this machine answers for endpoint 192.0.2.1");
    world.with("device: up1", &with("02:00:00:00:aa:01")).fine();
    world.with("device: ce1", "device: ce1, mac: \"02:00:5e:10:00:01\"").fine();
    if transload_lab::Host::sh(&world.namespace, "ip link add mv link up1 address 02:00:5e:10:00:01 type macvlan")
        .is_ok()
    {
        world.sh("ip address del 192.0.2.1/24 dev up1; ip link set mv up; ip address add 192.0.2.1/24 dev mv");
        assert!(world.with("device: up1", &with("02:00:5e:10:00:01")).run().ok);
        assert!(!world.run().text.contains("has the MAC address"));
    }
}
