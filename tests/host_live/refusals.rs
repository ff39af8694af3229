//! Whatever `run` refuses, `check --host` refuses too, for the same reason.

use std::fs;
use std::process::{Command, Stdio};

use super::{Said, World, both};

#[test]
fn every_refusal_of_run_is_one_of_check_host() {
    let Some(world) = World::new("every_refusal_of_run_is_one_of_check_host") else { return };
    let directory = world.directory.path().display().to_string();
    fs::write(world.directory.path().join("file"), "").unwrap();
    let long = format!("{directory}/{}", "x".repeat(120));
    let ce = "ce: { device: ce1 }";
    let unix = |path: &str| format!("ce: {{ io: {{ unix: {{ local: \"{path}\" }} }} }}");
    let admin = |path: &str| format!("version: 1\nadmin: \"{path}\"");
    for (from, to, words) in [
        ("device: ce1", "device: ce7".to_owned(), "this machine has no network device `ce7`"),
        ("192.0.2.1,", "192.0.2.77,".to_owned(), "no device of this machine has the address 192.0.2.77"),
        (ce, "ce: { device: ce1, io: tap }".to_owned(), "ce1 exists and is no TAP"),
        (ce, unix(&format!("{directory}/nowhere/socket")), "nowhere/socket: No such file or directory"),
        (ce, unix(&format!("{directory}/file")), "file exists and is not a socket"),
        (ce, unix(&format!("{directory}/file/socket")), "file/socket: Not a directory"),
        (ce, unix(&long), "and that of a Unix socket at most 107"),
        ("version: 1", admin(&long), "and that of a Unix socket at most 107"),
        ("version: 1", admin(&format!("{directory}/file")), "file exists and is no socket"),
        ("version: 1", admin(&format!("{directory}/file/socket")), "cannot listen on"),
    ] {
        world.with(from, &to).refused(words);
    }
    let said = world.with("192.0.2.1,", "192.0.2.77,").check();
    assert!(!said.contains("no longer has"), "said once, of the endpoint: {}", said.text);
    let (tap, workers) = ("ce: { device: tap0, io: tap }", "version: 1\nworkers: 2\nports:");
    let on_tap = |first: &str| world.file.replace("version: 1\nports:", first).replace(ce, tap);
    for (made, first, words) in [
        ("mode tun", "version: 1\nports:", "tap0 exists and is no TAP"),
        ("mode tap", workers, "the TAP tap0 was made for one queue, and the gateway has several workers"),
        ("mode tap multi_queue", "version: 1\nports:", "was made for several queues, and the gateway has one worker"),
    ] {
        world.sh(&format!("ip tuntap add dev tap0 {made}"));
        fs::write(world.path(), on_tap(first)).unwrap();
        world.refused(words);
        world.sh("ip link del tap0");
    }
    world.sh("ip tuntap add dev tap0 mode tap");
    fs::write(world.path(), on_tap("version: 1\nports:")).unwrap();
    world.fine();
    world.sh("ip link del tap0");
    world.with(ce, &unix(&format!("{directory}/socket"))).fine();
    world.with("version: 1", &admin(&format!("{directory}/a/b/admin.sock"))).check().assert_fine();
}

#[test]
fn a_file_that_another_gateway_serves_is_fine_for_its_reload_and_no_more() {
    const TEST: &str = "a_file_that_another_gateway_serves_is_fine_for_its_reload_and_no_more";
    let Some(world) = World::new(TEST) else { return };
    world.with("", "");
    let gateway = world.start();
    let said = world.check();
    assert!(
        said.ok && said.contains("another transload on this machine serves endpoint 192.0.2.1 already"),
        "{}",
        said.text
    );
    assert!(said.contains("`transload reload` may be meant"), "{}", said.text);
    assert!(gateway.stop().ok);
}

#[test]
fn a_tap_that_another_process_has_open_is_found_before() {
    let Some(world) = World::new("a_tap_that_another_process_has_open_is_found_before") else { return };
    let socket = world.directory.path().join("other").display().to_string();
    let text = format!(
        "version: 1\nports:\n  tap: {{ device: tap0, io: tap }}\n  far: {{ io: {{ unix: {{ local: \"{socket}\" }} }} }}\n\
         tenants:\n  red:\n    attachments:\n      tap: {{ port: tap, untagged: true }}\n      \
         far: {{ port: far, untagged: true }}\n"
    );
    let other = World { file: text, directory: tempfile::tempdir().unwrap(), namespace: world.namespace };
    other.with("", "");
    let mut holder = other.start();
    assert!(!holder.has_ended(), "{}", holder.stop().text);
    let world = World { file: world.file, directory: world.directory, namespace: other.namespace };
    world.with("ce: { device: ce1 }", "ce: { device: tap0, io: tap }").refused("another process has the TAP tap0 open");
    assert!(holder.stop().ok);
    world.fine();
}

#[test]
fn an_xdp_program_of_somebody_else_is_found_before() {
    let Some(world) = World::new("an_xdp_program_of_somebody_else_is_found_before") else { return };
    let other = World {
        file: world.file.replace("192.0.2.1,", "\"2001:db8::1\",").replace("192.0.2.9", "\"2001:db8::9\""),
        ..world
    };
    other.with("device: up1", "device: up1, io: af_xdp");
    let mut gateway = other.start();
    if gateway.has_ended() {
        return eprintln!("SKIPPED: no XDP sockets here: {}", gateway.stop().text);
    }
    // Another endpoint, on other tags: nothing else is in the way.
    let text = fs::read_to_string(other.path()).unwrap();
    let text = text.replace("\"2001:db8::1\"", "192.0.2.1").replace("\"2001:db8::9\"", "192.0.2.9");
    other.sh("ip link add ce2 type veth peer name ce2-far; ip link set ce2 up; ip link set ce2-far up");
    let second =
        World { file: text.replace("ce1", "ce2"), directory: tempfile::tempdir().unwrap(), namespace: other.namespace };
    second.with("", "").refused("another XDP program is attached to");
    assert!(gateway.stop().ok);
}

/// Runs a line in a user namespace of its own with `check --host` or `run` as `$@`, on a machine like a [`World`]'s.
fn as_root_of_nothing(world: &World, arguments: &[&str]) -> Option<Said> {
    let line = "ip link set lo up; for d in up1 ce1; do ip link add $d type veth peer name $d-far; ip link set $d up; done; \
                ip address add 192.0.2.1/24 dev up1; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", line, "sh", env!("CARGO_BIN_EXE_transload")]);
    let output = command.args(arguments).arg(world.path()).stdin(Stdio::null()).output().unwrap();
    let said = Said { ok: output.status.success(), text: both(output) };
    if said.text.contains("unshare failed") {
        eprintln!("SKIPPED: no user namespaces here: {}", said.text);
        return None;
    }
    Some(said)
}

#[test]
fn rights_that_xdp_sockets_take_are_asked_for_before() {
    let Some(world) = World::new("rights_that_xdp_sockets_take_are_asked_for_before") else { return };
    world.with("device: up1", "device: up1, io: af_xdp");
    let socket = world.socket().display().to_string();
    for arguments in [&["check", "--host"][..], &["run", "--admin", &socket]] {
        let Some(said) = as_root_of_nothing(&world, arguments) else { return };
        assert!(!said.ok && said.contains("cannot use XDP sockets on up1"), "{}", said.text);
        assert!(said.contains("they do not count in a user namespace"), "{}", said.text);
        assert!(said.contains("`io: af_packet` works on every device"), "{}", said.text);
    }
    let mut lacking = Command::new("setpriv");
    lacking.args(["--bounding-set=-bpf,-sys_admin,-ipc_lock", env!("CARGO_BIN_EXE_transload"), "check", "--host"]);
    let output = world.namespace.enter(|| lacking.arg(world.path()).output()).unwrap();
    let said = Said { ok: output.status.success(), text: both(output) };
    assert!(said.ok && said.contains("`run` needs CAP_BPF and CAP_IPC_LOCK"), "{}", said.text);
    world.with("device: up1", "device: up1, io: af_packet");
    let Some(said) = as_root_of_nothing(&world, &["check", "--host"]) else { return };
    assert!(said.ok, "{}", said.text);
}
