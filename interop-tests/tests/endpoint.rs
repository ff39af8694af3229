//! Somebody's own endpoint: what its file may say, and the README's example with a real one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use transload_interop_tests::testbed::{Encap, Endpoint, Site, Stack, Tenant, Underlay};
use transload_lab::{Host, Namespace, need, veth};

const GOOD: &str = "name: mine\nimplementation: OS 1\ndevice: eth1\nencap: vxlan\ngateway: 198.18.0.1/24\n\
                    address: 198.18.0.50\nrun: far-end.sh\n";

/// Reads this text from a file with a program and another file beside it. What is said has no directories.
fn read(text: &str) -> Result<Endpoint, String> {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("far-end.sh"), "#!/bin/sh\n", 0o755);
    write(&directory.path().join("plain.sh"), "#!/bin/sh\n", 0o644);
    write(&directory.path().join("mine.yaml"), text, 0o644);
    let directory = directory.path().display().to_string();
    let endpoint = Endpoint::read(Path::new(&format!("{directory}/mine.yaml")));
    endpoint.map_err(|error| error.to_string().replace(&format!("{directory}/"), ""))
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
    read(GOOD).unwrap();
    let gateway = "gateway: 198.18.0.1/24";
    let address = "address: 198.18.0.50";
    for (good, wrong, words) in [
        ("far-end.sh", "nofile.sh", "7:6: `run: nofile.sh` cannot be started: nofile.sh: No such file"),
        ("far-end.sh", "plain.sh", "7:6: `run: plain.sh` cannot be started: it is not executable; `chmod +x"),
        ("far-end.sh", ".", "7:6: `run: .` cannot be started: it is no file"),
        (
            gateway,
            "gateway: 10.99.0.1",
            "5:10: `gateway: 10.99.0.1` cannot be used: it has no prefix length; write `10.99.0.1/24`",
        ),
        (
            gateway,
            "gateway: fd00::1",
            "5:10: `gateway: fd00::1` cannot be used: it has no prefix length; write `fd00::1/64`",
        ),
        (
            gateway,
            "gateway: 10.99.0.1/33",
            "5:10: `gateway: 10.99.0.1/33` cannot be used: a prefix length is at most 32",
        ),
        (gateway, "gateway: 10.99.0.1/", "5:10: `gateway: 10.99.0.1/` cannot be used: it has no prefix length"),
        (gateway, "gateway: 10.99.0/24", "5:10: `gateway: 10.99.0/24` cannot be used: `10.99.0` is no IP address"),
        (address, "address: 198.18.0.50/24", "6:10: `address: 198.18.0.50/24` cannot be used: write one IP address"),
        (address, "address: 198.18.1.50", "6:10: `address: 198.18.1.50` cannot be used: it is not in the network"),
        (address, "address: fd00::50", "6:10: `address: fd00::50` cannot be used: it is not in the network"),
        (address, "address: 198.18.0.1", "6:10: `address: 198.18.0.1` cannot be used: that is the gateway's own"),
        (address, "address: 198.18.0.255", "6:10: `address: 198.18.0.255` cannot be used: no machine can have this"),
        (gateway, "gateway: 198.18.0.0/24", "5:10: `gateway: 198.18.0.0/24` cannot be used: no machine can have this"),
        (gateway, "gateway: 224.0.0.1/0", "5:10: `gateway: 224.0.0.1/0` cannot be used: no machine can have this"),
        ("vxlan", "qinq", "5:10: `qinq` and `vlan` have no tunnel addresses"),
        ("gateway: 198.18.0.1/24\n", "", "4:8: a tunnel needs `gateway`"),
        ("address: 198.18.0.50\n", "", "4:8: a tunnel needs `address`"),
        ("mine", "my switch", "1:7: `name: my switch` cannot be a name"),
        ("mine", "ovs-gre", "1:7: `ovs-gre` is one of the bench's own peers"),
        ("mine", "kernel", "1:7: `kernel` is one of the bench's own peers"),
        ("mine", "''", "1:7: `name` is empty"),
        ("vxlan", "vxlam", "4:8: unknown variant `vxlam`, expected one of vxlan, gre"),
        ("device", "devise", "3:1: unknown field `devise`, expected one of name, implementation, device"),
        ("device: eth1\n", "", "6:1: missing field `device`"),
    ] {
        let said = read(&GOOD.replacen(good, wrong, 1)).unwrap_err();
        assert!(said.starts_with(&format!("mine.yaml:{words}")), "{wrong}: {said}\ninstead of {words}");
    }
}

#[test]
fn an_endpoint_in_a_network_of_the_bench_does_not_fit() {
    let own = |ours: &str, theirs: &str, underlay| Site {
        name: "kernel-vxlan".to_owned(),
        stack: Stack::Kernel,
        encap: Encap::Vxlan,
        underlay,
        number: 1,
        addresses: (ours.to_owned(), theirs.to_owned()),
    };
    let sites = [
        own("192.0.2.1", "192.0.2.11", Underlay::V4),
        own("fd00:1::1", "fd00:1::11", Underlay::V6),
        own("", "", Underlay::Cable),
    ];
    let endpoint =
        |gateway: &str, far: &str| read(&GOOD.replace("198.18.0.1/24", gateway).replace("198.18.0.50", far)).unwrap();
    for (gateway, far) in [
        ("192.0.2.1/24", "192.0.2.50"),
        ("192.0.2.129/25", "192.0.2.150"),
        ("192.0.0.1/16", "192.0.3.7"),
        ("fd00:1::99/64", "fd00:1::50"),
    ] {
        let said = endpoint(gateway, far).fits(&sites).unwrap_err().to_string();
        let words = format!("mine.yaml:5:10: `gateway: {gateway}` meets the network of the bench's own peer `kernel`");
        assert!(said.ends_with("by --peer") && said.contains(&words), "{said}");
        assert!(endpoint(gateway, far).fits(&[]).is_ok());
    }
    for (gateway, far) in
        [("198.18.0.1/24", "198.18.0.50"), ("192.0.3.1/24", "192.0.3.2"), ("fd00:18::1/64", "fd00:18::2")]
    {
        endpoint(gateway, far).fits(&sites).unwrap();
    }
}

/// What stands in the README behind this line.
fn example(fence: &str, first: &str) -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks: Vec<_> = readme.split(fence).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    blocks.into_iter().find(|block| block.starts_with(first)).unwrap().to_owned()
}

/// An endpoint of the running kernel, with a host of each tenant as `--list` wants them, at the end of a cable whose
/// near end is the machine's `eth1`.
fn far_end(machine: &Namespace, endpoint: &Endpoint) -> (Namespace, [Namespace; 2]) {
    let (far, site) = (Namespace::new().unwrap(), endpoint.site());
    veth((machine, "eth1"), (&far, "eth0"), 1500).unwrap();
    let (gateway, own) = &site.addresses;
    far.sh(&format!("ip addr add {own}/24 dev eth0")).unwrap();
    let hosts = Tenant::ALL.map(|tenant| {
        let (host, id) = (Namespace::new().unwrap(), site.id(tenant));
        far.sh(&format!(
            "ip link add v{id} type vxlan id {id} local {own} remote {gateway} dev eth0 dstport 4789
             ip link set v{id} netns {} name t0",
            host.path()
        ))
        .unwrap();
        host.sh(&format!(
            "ip link set t0 address {} mtu {}; ip addr add {}/24 dev t0; ip addr add {}/64 dev t0 nodad; ip link set t0 up",
            site.mac(),
            site.mtu(),
            site.v4(),
            site.v6()
        ))
        .unwrap();
        host
    });
    (far, hosts)
}

#[test]
fn the_example_of_the_readme_works_as_it_is_written() {
    need!(root, ip, ping, vxlan, macvlan, tcpdump);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    write(&path("far-end.sh"), &example("```sh\n", "#!/bin/sh"), 0o755);
    write(&path("mine.yaml"), &example("```yaml\n", "# mine.yaml"), 0o644);
    let machine = Namespace::new().unwrap();
    let (far, [blue, red]) = far_end(&machine, &Endpoint::read(&path("mine.yaml")).unwrap());
    // What a run that was ended in the middle may have left.
    blue.sh("ip link set t0 down; ip addr add 10.1.1.100/32 dev t0").unwrap();
    // Goes nowhere: the command, a shell line as ssh makes it, is run in the namespace of the host that it names.
    let ssh = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $4\" = 'root@far-end.example.net ip netns exec' ] || exit 255\n\
         [ \"$5\" = blue ] && at={} || at={}\nshift 5\nexec nsenter --net=$at sh -c \"$*\"\n",
        blue.path(),
        red.path()
    );
    write(&path("ssh"), &ssh, 0o755);
    let mut run = Command::new(env!("CARGO_BIN_EXE_interop"));
    run.args([
        "--peer",
        "kernel-vxlan",
        "--case",
        "arp-and-ping",
        "--case",
        "flood-once",
        "--case",
        "ageing",
        "--strict",
    ]);
    run.arg("--endpoint").arg(path("mine.yaml")).arg("--out").arg(path("out"));
    run.env("PATH", format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap()));
    run.stdout(Stdio::null()).stderr(fs::File::create(path("log")).unwrap());
    let status = machine.spawn(&mut run).unwrap().wait().unwrap();
    let report = fs::read_to_string(path("out/report.json")).unwrap_or_default();
    let report: Value = serde_json::from_str(&report).unwrap_or_default();
    assert!(status.success(), "{}\n{report:#}", fs::read_to_string(path("log")).unwrap());
    assert_eq!(report["cases"][0]["proved_against"], serde_json::json!(["Linux", "MyVendor OS 4.2"]));
    for host in [&blue, &red] {
        let addresses = host.sh("ip -br addr show dev t0").unwrap();
        let has = |address: &str| addresses.contains(address);
        assert!(has("10.1.0.100/24") && has("fd10::64/64") && !has("10.1.1.100"), "{addresses}");
    }
    drop(far);
    // Two cells of pings, four of floods, and two of hosts that fall silent.
    assert_eq!(report["totals"]["passed"], 8, "{report:#}");
}
