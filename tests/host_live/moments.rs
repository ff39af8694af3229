//! What is away for a moment stands in nobody's way: an address does not keep other changes of the file out, and a device
//! that comes back is opened whatever the clients of the admin socket hold.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use super::{Gateway, World, eventually};

const RED: &str = "tenants:\n  red: { attachments: { leaf: { peer: leaf, vni: 101 }, ce: { port: ce, vid: 7 } } }\n";

#[test]
fn a_reload_is_not_refused_because_an_address_that_it_does_not_touch_is_away() {
    const TEST: &str = "a_reload_is_not_refused_because_an_address_that_it_does_not_touch_is_away";
    let Some(world) = World::new(TEST) else { return };
    let linked = World {
        file: world.file.replace("192.0.2.1,", "\"fe80::77\",").replace("192.0.2.9", "\"fe80::9\""),
        ..World::new(TEST).unwrap()
    };
    linked.sh("ip address add fe80::77/64 dev up1 nodad");
    for (world, address, other, words) in [
        (world, "192.0.2.1/24", ["192.0.2.1,", "192.0.2.77,"], "no device of this machine has the address 192.0.2."),
        (linked, "fe80::77/64", ["fe80::77", "fe80::78"], "`up1` does not have the link-local address fe80::7"),
    ] {
        world.with("", "");
        let gateway = world.start();
        let away = "; its peers cannot be reached until it is back";
        world.sh(&format!("ip address del {address} dev up1"));
        world.with("tenants:\n", RED);
        let said = world.reload();
        assert!(
            said.ok && said.contains("+ tenant red") && said.contains(words) && said.contains(away),
            "{}",
            said.text
        );
        let peers = || String::from_utf8(world.show("peers").stdout).unwrap();
        // Next hops of an address that is gone are none.
        eventually("the peer has no next hop", || !peers().contains("up 0"));

        // An address that it would be the first to serve has to be there.
        world.with(other[0], other[1]);
        let said = world.reload();
        assert!(!said.ok && said.contains(words) && !said.contains(away), "{}", said.text);

        world.sh(&format!("ip address add {address} dev up1 nodad"));
        world.with("", "");
        let said = world.reload();
        assert!(said.ok && said.contains("- tenant red") && !said.contains(words), "{}", said.text);
        assert!(gateway.stop().ok);
        // A gateway that starts has to have it.
        world.sh(&format!("ip address del {address} dev up1"));
        world.refused(words);
    }
}

#[test]
fn a_device_that_comes_back_is_opened_though_clients_take_all_descriptors_they_can() {
    const TEST: &str = "a_device_that_comes_back_is_opened_though_clients_take_all_descriptors_they_can";
    let Some(world) = World::new(TEST) else { return };
    world.with("", "");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_transload"), "run", "--admin"]);
    command.arg(world.socket()).arg(world.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let gateway = Gateway(Some(world.namespace.spawn(&mut command).unwrap()));
    eventually("it answers", || world.show("ports").status.success());
    let idle: Vec<_> = (0..300).map(|_| UnixStream::connect(world.socket()).unwrap()).collect();
    let ports = || String::from_utf8(world.show("ports").stdout).unwrap();
    world.sh("ip link del ce1");
    eventually("the device is gone", || ports().contains("ce1 is gone"));
    world.sh("ip link add ce1 type veth peer name ce1-far; ip link set ce1 up; ip link set ce1-far up");
    eventually("the port is up again", || ports().matches(" up").count() >= 2 && !ports().contains("ce1 is"));
    drop(idle);
    let said = gateway.stop();
    assert!(said.ok && said.contains("ce1 is back and has been opened again"), "{}", said.text);
    assert!(fs::metadata(world.socket()).is_err());
}
