//! What a running gateway may still do, asked of the kernel thread by thread, and what it can go on with.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use transload_lab::gateway::binary;
use transload_lab::host::output;
use transload_lab::{Gateway, Host, Namespace, eventually, need};

const FILE: &str = "
version: 1
ports:
  up: { device: up1, io: af_packet }
  ce: { device: ce1, io: af_packet }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.2, encap: vxlan }
  named: { address: localhost, encap: nvgre }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      ce: { port: ce, s_vid: 5 }
";
const LOW_PORT: &str = "encap: { vxlan: { udp_port: 500 } }";

/// Bits of `Cap…` in `/proc/PID/status`.
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const IPC_LOCK: u64 = 1 << 14;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;

/// A namespace with what the file asks for.
fn furnished() -> Namespace {
    let namespace = Namespace::new().unwrap();
    cable(&namespace, "up1");
    cable(&namespace, "ce1");
    namespace.sh("ip addr add 192.0.2.1/24 dev up1").unwrap();
    namespace
}

fn cable(namespace: &Namespace, name: &str) {
    namespace
        .sh(&format!(
            "ip link add {name} type veth peer name {name}-far; ip link set {name} up; ip link set {name}-far up"
        ))
        .unwrap();
}

/// What the kernel says of a thread.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    permitted: u64,
    effective: u64,
    /// What is inheritable, ambient, or could come back by running a program.
    others: u64,
    no_new_privileges: bool,
    seccomp: bool,
    user: String,
}

/// Every thread of a gateway, by name.
fn threads(gateway: &Gateway) -> BTreeMap<String, Standing> {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.process())).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok())
        .map(|text| standing(&text))
        .collect()
}

fn standing(status: &str) -> (String, Standing) {
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {key} in {status}")).trim().to_owned()
    };
    let set = |key: &str| u64::from_str_radix(&of(key), 16).unwrap();
    let standing = Standing {
        permitted: set("CapPrm"),
        effective: set("CapEff"),
        others: set("CapInh") | set("CapAmb") | set("CapBnd"),
        no_new_privileges: of("NoNewPrivs") == "1",
        seccomp: of("Seccomp") == "2",
        user: [of("Uid"), of("Gid"), of("Groups")].join(" ").split_whitespace().collect::<Vec<_>>().join(" "),
    };
    (of("Name"), standing)
}

/// Asserts that no thread has more than these capabilities, and that workers and control have them.
fn assert_confined(gateway: &Gateway, kept: u64) {
    let threads = || threads(gateway);
    // A thread that has just begun does not have its name yet.
    eventually("all are there", || ["log", "worker-0"].iter().all(|name| threads().contains_key(*name)));
    let threads = threads();
    for (name, thread) in &threads {
        assert_eq!(
            (thread.permitted & !kept, thread.effective & !kept, thread.others),
            (0, 0, 0),
            "{name}: {thread:#x?}"
        );
        assert!(thread.no_new_privileges && thread.seccomp, "{name}: {thread:#x?}");
    }
    assert_eq!((threads["worker-0"].permitted, threads["transload"].effective), (kept, kept));
    assert_eq!(threads["log"].permitted, 0, "who writes lines needs none");
}

#[test]
fn every_thread_keeps_only_what_it_goes_on_to_need_and_the_log_says_so() {
    need!(root, ip);
    let namespace = furnished();
    let gateway = Gateway::start(&namespace, FILE).unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW);
    let log = gateway.log();
    assert!(log.contains("rights from here on: CAP_NET_ADMIN and CAP_NET_RAW, ") && log.contains("(seccomp)"), "{log}");

    // What was opened with more than that goes on, and comes back.
    gateway.reload().unwrap();
    gateway.hang_up(2).unwrap();
    let failure = || gateway.show("ports").unwrap()[1]["failure"].as_str().map(str::to_owned);
    namespace.sh("ip link del ce1").unwrap();
    eventually("the port fails", || failure().is_some());
    cable(&namespace, "ce1");
    eventually("the port is back", || failure().is_none());
    let elsewhere = FILE.replace("192.0.2.2", "192.0.2.3").replace("vni: 100", "vni: 101");
    gateway.write(&elsewhere).unwrap();
    gateway.reload().unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW);
    gateway.stop().unwrap();
}

#[test]
fn xdp_ports_keep_what_programs_need_and_come_back_with_it() {
    need!(root, ip);
    let namespace = furnished();
    let file = FILE.replace("device: ce1, io: af_packet", "device: ce1, io: af_xdp");
    let gateway = Gateway::start(&namespace, &file).unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW | BPF | PERFMON | IPC_LOCK);
    // Another filter of tags is another program.
    gateway.write(&file.replace("s_vid: 5", "s_vid: 6")).unwrap();
    gateway.reload().unwrap();
    namespace.sh("ip link del ce1").unwrap();
    let port = || gateway.show("ports").unwrap()[1].clone();
    eventually("the port fails", || port()["failure"].is_string());
    cable(&namespace, "ce1");
    eventually("the port is back", || port()["failure"].is_null());
    assert!(!gateway.log().contains("WARN port ce: cannot"), "{}", gateway.log());
    gateway.stop().unwrap();
}

#[test]
fn a_tap_that_is_deleted_is_made_again() {
    need!(root, ip);
    let namespace = furnished();
    let gateway =
        Gateway::start(&namespace, &FILE.replace("device: ce1, io: af_packet", "device: tap1, io: tap")).unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW);
    namespace.sh("ip link del tap1").unwrap();
    eventually("the TAP is back", || namespace.sh("ip link show tap1 up").is_ok_and(|shown| shown.contains("tap1")));
    gateway.stop().unwrap();
}

#[test]
fn a_gateway_without_devices_keeps_no_capability() {
    need!(root);
    let namespace = Namespace::new().unwrap();
    let file = "
version: 1
ports:
  a: { io: { unix: { local: DIR/a, remote: DIR/far-a } } }
  b: { io: { unix: { local: DIR/b, remote: DIR/far-b } } }
tenants: { t: { attachments: { a: { port: a, untagged: true }, b: { port: b, untagged: true } } } }
";
    let gateway = Gateway::start(&namespace, file).unwrap();
    assert_confined(&gateway, 0);
    assert!(gateway.log().contains("rights from here on: no capability, "), "{}", gateway.log());
    gateway.reload().unwrap();
    gateway.stop().unwrap();
}

#[test]
fn a_gateway_becomes_the_user_of_its_file_and_works_on_as_it() {
    need!(root, ip);
    let namespace = furnished();
    let file = format!("{FILE}\nuser: nobody\n");
    let gateway = Gateway::start(&namespace, &file).unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW);
    let nobody: Vec<_> = ["-u", "-g", "-G"]
        .map(|what| output(Command::new("id").args([what, "nobody"])).unwrap().trim().to_owned())
        .into();
    let [uid, gid, groups] = nobody.as_slice() else { unreachable!() };
    let wanted = format!("{uid} {uid} {uid} {uid} {gid} {gid} {gid} {gid} {groups}");
    for (name, thread) in threads(&gateway) {
        assert_eq!(thread.user, wanted, "{name}");
    }
    assert_eq!(fs::metadata(gateway.path("admin.sock")).unwrap().uid().to_string(), *uid);
    let log = gateway.log();
    assert!(log.contains("rights from here on: user nobody, CAP_NET_ADMIN and CAP_NET_RAW"), "{log}");
    assert!(!log.contains("WARN a reload"), "{log}");

    gateway.write(&file.replace("vni: 100", "vni: 101")).unwrap();
    gateway.reload().unwrap();
    namespace.sh("ip link del ce1").unwrap();
    let failure = || gateway.show("ports").unwrap()[1]["failure"].as_str().map(str::to_owned);
    eventually("the port fails", || failure().is_some());
    cable(&namespace, "ce1");
    eventually("the port is back", || failure().is_none());
    gateway.write(FILE).unwrap();
    let refused = gateway.reload().unwrap_err().to_string();
    assert!(refused.contains("the user cannot change at run time"), "{refused}");
    gateway.stop().unwrap();
}

#[test]
fn files_that_the_user_may_not_read_are_told_of_at_the_start() {
    need!(root, ip);
    let namespace = furnished();
    let secret = tempfile::tempdir().unwrap();
    let tenants = secret.path().join("tenants.yaml");
    fs::write(&tenants, "tenants: { red: { attachments: { leaf: { peer: leaf, vni: 7 } } } }\n").unwrap();
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let file = format!("{FILE}\nuser: nobody\ninclude: {}\n", tenants.display());
    let gateway = Gateway::start(&namespace, &file).unwrap();
    let told =
        format!("a reload will be refused: {} cannot be read any more; let user nobody read it", tenants.display());
    eventually("the log says so", || gateway.log().contains(&told));
    assert!(gateway.reload().is_err());

    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o755)).unwrap();
    gateway.reload().unwrap();
    gateway.stop().unwrap();
}

#[test]
fn a_reload_that_needs_what_was_given_up_says_what_and_a_start_with_it_keeps_it() {
    need!(root, ip);
    let namespace = furnished();
    let low = FILE.replace("encap: vxlan", LOW_PORT);
    let gateway = Gateway::start(&namespace, FILE).unwrap();
    gateway.write(&low).unwrap();
    let refused = gateway.reload().unwrap_err().to_string();
    assert!(refused.contains("UDP port 500 needs CAP_NET_BIND_SERVICE, which was given up at the start"), "{refused}");
    assert!(refused.contains("restart transload to apply it"), "{refused}");
    gateway.stop().unwrap();

    let gateway = Gateway::start(&namespace, &low).unwrap();
    assert_confined(&gateway, NET_ADMIN | NET_RAW | NET_BIND_SERVICE);
    gateway.write(&low.replace("500", "501")).unwrap();
    gateway.reload().unwrap();
    gateway.stop().unwrap();
}

#[test]
fn seccomp_can_be_turned_off_and_capabilities_are_given_up_all_the_same() {
    need!(root, ip);
    let namespace = furnished();
    let gateway = Gateway::start(&namespace, &format!("{FILE}\nseccomp: off\n")).unwrap();
    for (name, thread) in threads(&gateway) {
        assert!(!thread.seccomp && thread.no_new_privileges, "{name}: {thread:#x?}");
        assert_eq!(thread.permitted & !(NET_ADMIN | NET_RAW), 0, "{name}: {thread:#x?}");
    }
    assert!(gateway.log().contains("every system call (seccomp: off)"), "{}", gateway.log());
    gateway.stop().unwrap();
}

#[test]
fn who_may_not_become_the_user_says_what_is_missing_and_leaves_nothing() {
    need!(root, ip);
    let namespace = furnished();
    let file = format!("{FILE}\nuser: daemon\n");
    let refused = Gateway::start_with(&namespace, &file, &["net_raw", "net_admin"]).unwrap_err().to_string();
    assert!(refused.contains("cannot become user daemon") && refused.contains("CAP_SETUID"), "{refused}");
}

#[test]
fn a_user_whom_the_machine_does_not_have_is_pointed_to_in_the_file() {
    need!(root, ip);
    let namespace = furnished();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.yaml");
    fs::write(&path, format!("user: no-such-user{FILE}")).unwrap();
    let mut check = Command::new(binary().unwrap());
    check.args(["check", "--host"]).arg(&path);
    let refused = namespace.enter(|| output(&mut check)).unwrap_err().to_string();
    assert!(refused.contains(r#"there is no user "no-such-user" on this machine"#), "{refused}");
    assert!(refused.contains("gateway.yaml:1:7"), "{refused}");
}
