//! What a test needs of the machine. Where it is missing the test says so on stderr and is counted as skipped.

use std::io::{self, Write};

use crate::{Host, Namespace, programs, uml};

/// Returns from a test, and says why, unless the machine has all of these: the functions of this module.
#[macro_export]
macro_rules! need {
    ($($thing:ident),+ $(,)?) => {
        $(if let Err(missing) = $crate::skip::$thing() {
            fn here() {}
            $crate::skip::say(std::any::type_name_of_val(&here), &missing);
            return;
        })+
    };
}

/// Prints the line that runners count. Not by `eprintln!`, whose output a passing test hides.
pub fn say(place: &str, missing: &str) {
    let test = place.trim_end_matches("::here");
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {missing}");
}

type Need = Result<(), String>;

/// The right to make network namespaces and devices.
pub fn root() -> Need {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err("root (run as root)".into()) }
}

/// User-Mode Linux, and that it starts here.
pub fn uml() -> Need {
    program("linux.uml", "user-mode-linux")?;
    uml::starts().map_err(|why| format!("a User-Mode Linux that starts: {why}"))
}

/// Open vSwitch.
pub fn ovs() -> Need {
    program("ovs-vswitchd", "openvswitch-switch")
}

/// `ip`, which furnishes namespaces.
pub fn ip() -> Need {
    program("ip", "iproute2")
}

/// `ping`.
pub fn ping() -> Need {
    program("ping", "iputils-ping")
}

/// `ethtool`, which turns offloads off.
pub fn ethtool() -> Need {
    program("ethtool", "ethtool")
}

/// `iperf3`, which numbers what it sends.
pub fn iperf3() -> Need {
    program("iperf3", "iperf3")
}

/// `tcpdump`, which keeps captures.
pub fn tcpdump() -> Need {
    program("tcpdump", "tcpdump")
}

/// `tshark`, which dissects them.
pub fn tshark() -> Need {
    program("tshark", "tshark")
}

/// `promtool`, which reads and tests what Prometheus is told.
pub fn promtool() -> Need {
    program("promtool", "prometheus")
}

/// `systemd-analyze`, which judges units.
pub fn systemd_analyze() -> Need {
    program("systemd-analyze", "systemd")
}

/// `nft`, which counts and shows rules.
pub fn nft() -> Need {
    program("nft", "nftables")
}

/// Prometheus, which scrapes.
pub fn prometheus() -> Need {
    program("prometheus", "prometheus")
}

/// `WireGuard` as a process, and what sets it up.
pub fn wireguard() -> Need {
    program("wireguard-go", "wireguard-go").and_then(|()| program("wg", "wireguard-tools"))
}

/// The running kernel's VXLAN devices.
pub fn vxlan() -> Need {
    device("type vxlan id 1 dstport 4789", "VXLAN in the running kernel (modprobe vxlan)")
}

/// The running kernel's `gretap` devices.
pub fn gretap() -> Need {
    device("type gretap local 192.0.2.1 remote 192.0.2.2 key 1", "gretap in the running kernel (modprobe ip_gre)")
}

/// The running kernel's VLAN devices.
pub fn vlan() -> Need {
    device("link lo type vlan id 1", "802.1Q in the running kernel (modprobe 8021q)")
}

/// The running kernel's devices on top of another one.
pub fn macvlan() -> Need {
    device(
        "type veth && ip link add link probe name over type macvlan",
        "macvlan in the running kernel (modprobe macvlan)",
    )
}

fn device(kind: &str, missing: &str) -> Need {
    let made = Namespace::new().and_then(|ns| ns.sh(&format!("ip link add name probe {kind}")));
    made.map(|_| ()).map_err(|_| missing.into())
}

fn program(name: &str, package: &str) -> Need {
    programs::find(name).map(|_| ()).ok_or_else(|| format!("{name} (apt-get install {package})"))
}
