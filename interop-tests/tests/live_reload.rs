//! Reload under traffic: what is in both files goes on without the loss of a frame, what is gone is gone, and a wrong
//! file changes nothing.

use std::collections::BTreeSet;

use serde_json::Value;
use transload_interop_tests::traffic::{is_silent, ping, settle};
use transload_interop_tests::two_leafs::{FILE, LEFT, RIGHT};
use transload_lab::{Gateway, Host, Namespace, eventually, need};

const RED: &str = "
  red:
    attachments:
      left: { peer: left, vni: 101 }
      right: { peer: right, vni: 201 }
";

const BLUE: &str = "
  blue:
    attachments:
      left: { peer: left, vni: 100 }
      right: { peer: right, vni: 200 }
";

const GREEN: &str = "
  green:
    attachments:
      left: { peer: left, vni: 102 }
      right: { peer: right, vni: 202 }
";

fn file(peers: &str, tenants: &[&str]) -> String {
    let (head, _) = FILE.split_once("tenants:").unwrap();
    format!("{head}{peers}tenants:{}", tenants.concat())
}

/// Two leafs with a device for each of three tenants: 10.1.N.1 and 10.1.N.2.
fn world(file: &str) -> (Namespace, Namespace, Namespace, Gateway) {
    let middle = Namespace::new().unwrap();
    let [left, right] = [LEFT, RIGHT].map(|leaf| {
        let host = leaf.build(&middle).unwrap();
        let (base, last) = if leaf.device == "eth1" { (100, 1) } else { (200, 2) };
        for tenant in 0..3 {
            let device = format!("vx{tenant}");
            // Without IPv6, nobody says anything unasked.
            let up = format!(
                "echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6
                 ip addr add 10.1.{tenant}.{last}/24 dev {device}; ip link set {device} up"
            );
            host.sh(&format!("{}; {up}", leaf.vxlan(&device, base + tenant))).unwrap();
        }
        host
    });
    let gateway = Gateway::start(&middle, file).unwrap();
    (left, right, middle, gateway)
}

fn received(host: &Namespace, device: &str) -> u64 {
    host.sh(&format!("awk '/{device}:/ {{ print $3 }}' /proc/net/dev")).unwrap().trim().parse().unwrap()
}

/// The pings that were not answered, though a later one was. Answers to the last ones may come when `ping` has ended.
fn missing(printed: &str) -> Vec<u32> {
    let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
    let answers = printed.lines().filter(|line| line.contains(" bytes from "));
    let answered: BTreeSet<u32> = answers.filter_map(number).collect();
    let last = answered.last().copied().expect("some are answered");
    (1..last).filter(|ping| !answered.contains(ping)).collect()
}

fn tenant(gateway: &Gateway, name: &str) -> Value {
    let rows = gateway.show("tenants").unwrap();
    rows.as_array().unwrap().iter().find(|row| row["tenant"] == name).cloned().unwrap_or_default()
}

#[test]
fn tenants_in_both_files_lose_no_frame_and_those_that_are_gone_reach_nobody() {
    need!(root, ip, ping, vxlan);
    let (left, right, _middle, gateway) = world(&file("", &[RED, BLUE]));
    settle(&left, "10.1.0.2").unwrap();
    settle(&left, "10.1.1.2").unwrap();
    let before = tenant(&gateway, "blue");
    // Blue pings a hundred times a second through everything that follows; so does red, which goes away.
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| left.sh("ping -n -c 800 -i 0.01 -W 10 10.1.0.2 || true"));
        left.background("ping -n -q -i 0.01 10.1.1.2").unwrap();
        for round in 0..3 {
            let extra = format!("  spare{round}: {{ address: 192.0.2.5{round}, encap: nvgre }}\n");
            let spare = format!("      spare: {{ peer: spare{round}, vsid: 777{round} }}\n");
            gateway.write(&file(&extra, &[GREEN, &format!("{}{spare}", BLUE.trim_end_matches(' '))])).unwrap();
            let told = gateway.reload().unwrap();
            assert!(round > 0 || told.contains("- tenant red"), "{told}");
            assert!(told.contains(&format!("+ peer spare{round}")), "{told}");
            let green = received(&right, "vx2");
            // What was on its way may still arrive.
            eventually("red is no tenant any more", || {
                let red = received(&right, "vx1");
                std::thread::sleep(std::time::Duration::from_millis(300));
                received(&right, "vx1") == red
            });
            assert_eq!(received(&right, "vx2"), green, "nobody of green has said anything");
            gateway.write(&file("", &[BLUE, RED, GREEN])).unwrap();
            gateway.hang_up(2 * round + 2).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        let printed = pinging.join().unwrap().unwrap();
        assert_eq!(missing(&printed), [0; 0], "{printed}\n{}", gateway.log());
    });
    let after = tenant(&gateway, "blue");
    assert_eq!(after["learned"], before["learned"], "its addresses stayed");
    settle(&left, "10.1.1.2").unwrap();
    settle(&left, "10.1.2.2").unwrap();
    ping(&right, "10.1.2.1", 1300).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn a_wrong_file_and_one_that_wants_a_restart_are_refused_by_name_and_nothing_changes() {
    need!(root, ip, ping, vxlan);
    let (left, _right, _middle, gateway) = world(&file("", &[BLUE]));
    settle(&left, "10.1.0.2").unwrap();
    let refused = |text: &str| {
        gateway.write(text).unwrap();
        gateway.reload().unwrap_err().to_string()
    };
    let wrong = refused(&file("", &[BLUE, "  red: { attachments: { a: { peer: nobody, vni: 1 } } }\n"]));
    assert!(wrong.contains("there is no peer `nobody`"), "{wrong}");
    let taken = refused(&file("", &[BLUE, &BLUE.replace("blue", "red")]));
    assert!(taken.contains("is already attachment"), "{taken}");
    let restart = refused(
        &file("", &[BLUE]).replace("device: eth2", "device: eth9").replace("version: 1", "version: 1\nworkers: 2"),
    );
    assert!(restart.contains("the number of workers cannot change"), "{restart}");
    assert!(restart.contains("`device` and `io` of port `up2` cannot change"), "{restart}");
    assert!(restart.contains("restart transload to apply it"), "{restart}");
    let address = refused(&file("", &[BLUE]).replace("192.0.2.1,", "192.0.2.77,"));
    assert!(address.contains("no device of this machine has the address 192.0.2.77"), "{address}");
    ping(&left, "10.1.0.2", 1300).unwrap();
    assert!(is_silent(&left, "10.1.1.2"));
    gateway.write(&file("", &[BLUE, RED])).unwrap();
    let told = gateway.reload().unwrap();
    assert!(told.contains("+ tenant red"), "{told}");
    settle(&left, "10.1.1.2").unwrap();
    gateway.stop().unwrap();
}
