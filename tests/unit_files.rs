//! The service manager's units: that it knows every line, how far they confine the gateway, and that they agree with what the
//! gateway does.

#[path = "common/unit_files.rs"]
mod unit_files;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use transload::admin::directory::SYSTEM;
use transload::admin::socket::NAME;
use transload::compile::{Numbers, compile};
use transload::rights::{Call, Rights, in_words};
use transload::run::confine;
use transload::{config, io};
use transload_lab::{need, skip};
use unit_files::{UnitFile, directory, numbers};

const UNIT: &str = "transload.service";
const TEMPLATE: &str = "transload@.service";
const FOR_XDP: &str = "transload-xdp.conf";
/// What the service manager may have to say against them at most, in tenths.
const EXPOSURE: &str = "--threshold=20";

/// A unit where a service manager would have it, with the built program's path in it, and without a manual page.
fn installed(unit: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(directory().join(unit)).unwrap();
    let text = text.replace("/usr/bin/transload", env!("CARGO_BIN_EXE_transload"));
    fs::write(place.path().join(unit), text.replace("Documentation=", "#")).unwrap();
    place
}

/// What `systemd-analyze verify` finds.
fn complaints(unit: &Path) -> String {
    let output = Command::new("systemd-analyze").arg("verify").arg(unit).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn the_service_manager_knows_every_line() {
    need!(systemd_analyze);
    for unit in [UNIT, TEMPLATE] {
        let place = installed(unit);
        assert_eq!(complaints(&place.path().join(unit)), "");
    }
    let place = installed(UNIT);
    let beside = place.path().join("transload.service.d");
    fs::create_dir(&beside).unwrap();
    fs::copy(directory().join(FOR_XDP), beside.join(FOR_XDP)).unwrap();
    assert_eq!(complaints(&place.path().join(UNIT)), "");
    fs::write(beside.join("wrong.conf"), "[Service]\nProtectSistem=strict\n").unwrap();
    assert!(complaints(&place.path().join(UNIT)).contains("ProtectSistem"), "such a file is read");
}

#[test]
fn a_gateway_is_exposed_no_more_than_it_has_to_be() {
    need!(systemd_analyze);
    for unit in [UNIT, TEMPLATE] {
        let mut analyze = Command::new("systemd-analyze");
        let output =
            analyze.args(["security", "--offline=true", EXPOSURE]).arg(directory().join(unit)).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("Overall exposure level"), "{said}");
    }
}

#[test]
fn the_template_is_the_unit_with_other_names() {
    let read = |unit| fs::read_to_string(directory().join(unit)).unwrap();
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let renamed = read(UNIT).replace("admin.sock", "%i.sock").replace("gateway.yaml", "%i.yaml");
    assert_eq!(lines(&renamed.replace("gateway (", "gateway %i (")), lines(&read(TEMPLATE)));
}

#[test]
fn places_and_exit_codes_are_those_of_the_gateway() {
    let unit = UnitFile::read(UNIT);
    assert_eq!(format!("/run/{}", unit.value("RuntimeDirectory")), SYSTEM);
    let socket = format!("{SYSTEM}/{NAME}");
    for command in ["ExecStart", "ExecReload"] {
        assert!(unit.words(command).contains(&&*socket), "{command}");
    }
    let sysusers = fs::read_to_string(directory().join("sysusers.conf")).unwrap();
    let user = sysusers.lines().find_map(|line| line.strip_prefix("u ")?.split(' ').next()).unwrap();
    assert_eq!((user, user), (unit.value("User"), unit.value("Group")));
    assert!(sysusers.trim_end().ends_with(&format!("/var/lib/{}", unit.value("StateDirectory"))));

    // A file that is not there is wrong; a gateway that is not there refuses a reload.
    let place = tempfile::tempdir().unwrap();
    let code = |command: &str| {
        let [_, arguments @ ..] = &unit.words(command)[..] else { panic!("{command} is empty") };
        let here = |word: &&str| {
            word.replace("/run", "DIR").replace("/etc", "DIR").replace("DIR", place.path().to_str().unwrap())
        };
        let mut run = Command::new(env!("CARGO_BIN_EXE_transload"));
        run.args(arguments.iter().map(here)).output().unwrap().status.code().unwrap().to_string()
    };
    assert_eq!(code("ExecStart"), "78", "2 is a word that the program does not know");
    assert_eq!(unit.words("RestartPreventExitStatus"), ["2", "78"]);
    assert_eq!(code("ExecReload"), "1");
}

/// What gateways of every example go on to need, on XDP sockets or not.
fn needed(on_xdp: bool) -> Rights {
    let examples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")).unwrap();
    let paths =
        examples.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    let plans = paths.map(|path| compile(&config::load(&path).unwrap(), &Numbers::default(), None).unwrap());
    let tap = io::rights::rights_of(&io::Backend::Tap { device: "tap0".into() }, false);
    plans.map(|plan| confine::rights(&plan, |_| on_xdp)).chain([tap, io::rights::rights_of_udp(500)]).collect()
}

#[test]
fn what_a_gateway_needs_is_allowed() {
    need!(systemd_analyze);
    let (unit, for_xdp) = (UnitFile::read(UNIT), UnitFile::read(FOR_XDP));
    assert_eq!(unit.value("AmbientCapabilities"), unit.value("CapabilityBoundingSet"));
    assert_eq!(for_xdp.value("AmbientCapabilities"), for_xdp.value("CapabilityBoundingSet"));
    let both = |key: &str, on_xdp: bool| {
        let more = if on_xdp { for_xdp.words(key) } else { Vec::new() };
        unit.words(key).into_iter().chain(more).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let numbers = numbers();
    if numbers.len() < 100 {
        return skip::say(
            "what_a_gateway_needs_is_allowed",
            "numbers of system calls (apt-get install linux-libc-dev)",
        );
    }
    assert!(unit.calls().contains("recvmmsg") && !unit.calls().contains("setuid"));
    for on_xdp in [false, true] {
        let rights = needed(on_xdp);
        let capabilities = both("CapabilityBoundingSet", on_xdp);
        for (name, _) in rights.capabilities().iter_names() {
            assert!(capabilities.contains(&format!("CAP_{name}")), "{name} for {}", in_words(rights.capabilities()));
        }
        let families = both("RestrictAddressFamilies", on_xdp);
        let mut calls = unit.calls();
        calls.extend(for_xdp.calls().into_iter().filter(|_| on_xdp));
        for call in &rights.calls {
            if let Call::If { call: libc::SYS_socket, value, .. } = call {
                let family = ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_XDP"]
                    .into_iter()
                    .find(|name| family(name) == *value)
                    .unwrap_or_else(|| panic!("socket family {value}"));
                assert!(families.contains(family), "{family}");
            }
            let name = numbers.iter().find(|(_, number)| **number == call.number()).map(|(name, _)| name);
            assert!(name.is_none_or(|name| calls.contains(name)), "system call {name:?}");
        }
    }
}

fn family(name: &str) -> u64 {
    let number = match name {
        "AF_UNIX" => libc::AF_UNIX,
        "AF_INET" => libc::AF_INET,
        "AF_INET6" => libc::AF_INET6,
        "AF_NETLINK" => libc::AF_NETLINK,
        "AF_PACKET" => libc::AF_PACKET,
        _ => libc::AF_XDP,
    };
    u64::from(number.cast_unsigned())
}
