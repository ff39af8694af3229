//! What a gateway takes from the machine is announced, and what is the machine's stays with it.

use transload_lab::{Host, Namespace, eventually, veth};

use super::World;

/// A machine that can be managed at 10.0.0.3 on `ce1`, and who manages it.
fn managed(test: &str) -> Option<(World, Namespace)> {
    let world = World::new(test)?;
    let far = Namespace::new().unwrap();
    world.sh("ip link delete ce1");
    veth((&world.namespace, "ce1"), (&far, "manager"), 1500).unwrap();
    world.sh("ip address add 10.0.0.3/24 dev ce1");
    far.sh("ip address add 10.0.0.2/24 dev manager").unwrap();
    Some((world, far))
}

/// Whether the machine answers its manager.
fn answers(far: &Namespace) -> bool {
    far.sh("ip neigh flush all; ping -c 2 -i 0.2 -W 1 10.0.0.3").is_ok()
}

/// What was taken is given back when the last descriptor is closed; a child of another test may hold it a moment longer.
fn answers_again(far: &Namespace) {
    eventually("the machine answers", || answers(far));
}

const WORDS: &str = "nobody will reach this machine at 10.0.0.3 (ce1) while the gateway runs: what arrives by ce1 belongs \
                     to the tenants of port `ce`";

#[test]
fn an_address_behind_untagged_tenants_is_cut_off_and_named_before() {
    let Some((world, far)) = managed("an_address_behind_untagged_tenants_is_cut_off_and_named_before") else { return };
    answers_again(&far);
    world.with("", "").warned(WORDS);
    let gateway = world.start();
    assert!(!answers(&far));
    drop(gateway);
    answers_again(&far);
}

#[test]
fn where_tenants_have_tags_the_untagged_address_goes_on_and_a_reload_decides_anew() {
    const TEST: &str = "where_tenants_have_tags_the_untagged_address_goes_on_and_a_reload_decides_anew";
    let Some((world, far)) = managed(TEST) else { return };
    for tags in ["vid: 10", "s_vid: 10", "s_vid: 10, c_vid: 7"] {
        world.with("untagged: true", tags).fine();
    }
    let gateway = world.start();
    answers_again(&far);
    let said = world.with("", "").reload();
    assert!(said.ok && said.contains(WORDS), "{}", said.text);
    assert!(!answers(&far));
    assert!(world.with("untagged: true", "vid: 10").reload().ok);
    answers_again(&far);
    // The device goes, and comes back.
    let ports = || String::from_utf8(world.show("ports").stdout).unwrap();
    world.sh("ip link delete ce1");
    eventually("the device is gone", || ports().contains("ce1 is gone"));
    veth((&world.namespace, "ce1"), (&far, "manager"), 1500).unwrap();
    world.sh("ip address add 10.0.0.3/24 dev ce1");
    far.sh("ip address add 10.0.0.2/24 dev manager").unwrap();
    eventually("the port is up again", || !ports().contains("ce1 is") && !ports().contains("ce1 has"));
    answers_again(&far);
    let said = gateway.stop();
    assert!(said.ok && said.contains("has been opened again"), "{}", said.text);
    assert!(!said.contains("may answer them"), "{}", said.text);
}

#[test]
fn the_member_of_a_bond_is_refused_and_that_of_a_bridge_doubted() {
    let Some(world) = World::new("the_member_of_a_bond_is_refused_and_that_of_a_bridge_doubted") else { return };
    world.with("", "");
    world.sh("ip link add br0 type bridge; ip link set br0 up; ip link set ce1 master br0");
    world.warned("ce1 is a port of br0 (bridge), which will hear nothing by it while the gateway runs");
    world.sh("ip link set ce1 nomaster; ip link set up1 master br0");
    world.warned("up1 is a port of br0 (bridge), which receives and forwards the same frames");
    world.sh("ip link set up1 nomaster");
    world.fine();
    let bond = "ip link add bond0 type bond mode active-backup; ip link set ce1 down; ip link set ce1 master bond0";
    if let Err(error) = world.namespace.sh(&format!("{bond}; ip link set bond0 up")) {
        return eprintln!("SKIPPED: no bond can be made here ({error})");
    }
    world.refused("ce1 is a member of bond0 (bond), which sends and receives by any of its members");
    world.with("device: ce1", "device: bond0").fine();
}

#[test]
fn absent_members_are_asked_for_ever_more_rarely_and_their_sum_is_said() {
    const TEST: &str = "absent_members_are_asked_for_ever_more_rarely_and_their_sum_is_said";
    let Some(world) = World::new(TEST) else { return };
    let far = Namespace::new().unwrap();
    world.sh("ip link delete up1");
    veth((&world.namespace, "up1"), (&far, "leaf1"), 1500).unwrap();
    world.sh("ip address add 192.0.2.1/24 dev up1; ip address add 172.20.0.1/16 dev up1");
    far.sh("ip address add 172.20.6.0/16 dev leaf1").unwrap();
    let file =
        world.file.replace("peers:", "groups:").replace("address: 192.0.2.9", "members: [172.20.0.9-172.20.6.0]");
    let file = file.replace("peer: leaf", "group: leaf").replace("192.0.2.1", "172.20.0.1");
    let world = World { file, ..world };
    world.with("", "");
    // One table for the whole machine, which only its own namespace may make larger.
    let room: usize = world
        .sh("ip ntable show name arp_cache | grep -o 'thresh3 [0-9]*' | head -1 | cut -d' ' -f2")
        .trim()
        .parse()
        .unwrap();
    if room < 1528 {
        world.warned(&format!("the tunnels need 1528 neighbours, and this machine's neighbour table holds {room}"));
    }
    let gateway = world.start();
    let resolved = || {
        String::from_utf8(world.show("peers").stdout)
            .unwrap()
            .lines()
            .find(|line| line.contains("172.20.6.0 "))
            .map(str::to_owned)
    };
    // The last of 1528, behind 1527 that do not answer.
    eventually("the only member is found", || resolved().is_some_and(|line| !line.contains("not answered")));
    let entries: usize = world.sh("ip -4 neigh show | wc -l").trim().parse().unwrap();
    assert!(entries <= 300, "{entries} entries of the machine's neighbour table are the gateway's");
    let said = gateway.stop();
    assert!(said.ok && said.contains("peers have not answered yet") && said.text.lines().count() < 20, "{}", said.text);
}
