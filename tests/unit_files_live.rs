//! A gateway within the limits of its unit, as far as they can be drawn without the service manager: user, capabilities, system
//! calls, files and processes. It carries frames in both directions while it is reloaded, and while another build takes its
//! place and gives it back.

#[path = "unit_files_live/load.rs"]
mod load;
#[path = "common/unit_files.rs"]
mod unit_files;
#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with tests that speak other encapsulations")]
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use load::{EXCHANGES, FILE, Load, MOST_LOST, furnished};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload::rights::{Call, allow_only};
use transload_lab::{Namespace, PATIENCE, eventually, need};
use unit_files::{UnitFile, numbers};

/// Who runs it here, in the place of the unit's user.
const NOBODY: u32 = 65534;
/// Has this program confine itself to system calls of these numbers, and become the program of these words.
const CALLS: &str = "CONFINE_TO_CALLS";
const WORDS: &str = "CONFINED_PROGRAM";

/// A gateway, killed when dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A gateway that was not started by us; it is ended when dropped.
struct Successor(i32);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = Pid::from_raw(self.0).map(|process| kill_process(process, Signal::TERM));
    }
}

/// A machine with a gateway's unit on it.
struct World {
    namespace: Namespace,
    directory: TempDir,
    unit: UnitFile,
    manager: UnixDatagram,
    /// The numbers of the system calls that the unit allows.
    calls: String,
}

impl World {
    fn new() -> Self {
        let namespace = furnished();
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, owner) in [("etc", 0), ("run", NOBODY), ("lib", NOBODY), ("this", 0), ("next", 0)] {
            fs::create_dir(place.join(name)).unwrap();
            chown(place.join(name), Some(owner), Some(owner)).unwrap();
        }
        fs::write(place.join("etc/gateway.yaml"), FILE).unwrap();
        for build in ["this", "next"] {
            fs::copy(env!("CARGO_BIN_EXE_transload"), place.join(build).join("transload")).unwrap();
        }
        let notify = place.join("notify");
        let manager = UnixDatagram::bind(&notify).unwrap();
        fs::set_permissions(&notify, fs::Permissions::from_mode(0o777)).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let (unit, numbers) = (UnitFile::read("transload.service"), numbers());
        let calls: Vec<_> = unit.calls().iter().filter_map(|name| numbers.get(name)).map(i64::to_string).collect();
        assert!(calls.len() > 100, "no system call has a number here");
        Self { namespace, directory, unit, manager, calls: calls.join(" ") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs one of the unit's commands as the service manager would, with the program of one of the builds.
    fn run(&self, command: &str, build: &str) -> Child {
        let unit = &self.unit;
        let place = self.directory.path().display();
        let words = unit.value(command).replace("/usr/bin/transload", "/run/bin/transload").replace("/etc/", "/run/");
        let words = words.replace("/run/transload/gateway", "/run/etc/gateway");
        let capabilities = unit.words("CapabilityBoundingSet");
        let listed: String = capabilities.iter().flat_map(|name| [",+", &name[4..]]).collect::<String>().to_lowercase();
        let program = std::env::current_exe().unwrap();
        let script = format!(
            "mount -n -t tmpfs -o mode=755 tmpfs /mnt
             for pair in run:transload lib:lib etc:etc {build}:bin; do
                 mkdir /mnt/${{pair#*:}}; mount -n --bind {place}/${{pair%:*}} /mnt/${{pair#*:}}
             done
             touch /mnt/notify /mnt/confine
             mount -n --bind {place}/notify /mnt/notify; mount -n --bind {program} /mnt/confine
             mount -n --move /mnt /run
             mount -n -t tmpfs tmpfs /tmp
             mount -n -t proc -o {proc} proc /proc
             mount -n -o remount,bind,ro /
             exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs --inh-caps=-all{listed} \\
                 --ambient-caps=-all{listed} --bounding-set=-all{listed} \\
                 /run/confine --exact is_confined_if_asked_for --nocapture",
            program = program.display(),
            proc = match (unit.value("ProtectProc"), unit.value("ProcSubset")) {
                ("invisible", "pid") => "hidepid=invisible,subset=pid",
                other => panic!("{other:?}"),
            },
        );
        assert_eq!((unit.value("ProtectSystem"), unit.value("PrivateTmp")), ("strict", "yes"));
        let mut sandbox = Command::new("unshare");
        sandbox.args(["--mount", "--propagation", "private", "sh", "-ec", &script]).stdin(Stdio::null());
        // What the service manager gives to its services, in the unit's words.
        sandbox.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("NOTIFY_SOCKET", "/run/notify");
        sandbox.env("STATE_DIRECTORY", "/run/lib").env(WORDS, words).env(CALLS, &self.calls);
        // Of the commands, only this is watched from the beginning; the others may speak to the manager if they may be heard.
        if command == "ExecStart" {
            sandbox.env("WATCHDOG_USEC", "10000000");
        } else if unit.value("NotifyAccess") == "main" {
            sandbox.env_remove("NOTIFY_SOCKET");
        }
        self.namespace.spawn(&mut sandbox).unwrap()
    }

    /// The next message to the service manager that begins like this.
    fn told(&self, beginning: &str) -> String {
        loop {
            let mut buffer = [0; 512];
            let len = self.manager.recv(&mut buffer).expect("the gateway says something");
            let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if message.starts_with(beginning) {
                return message;
            }
        }
    }

    fn show(&self, what: &str) -> serde_json::Value {
        let mut show = Command::new(env!("CARGO_BIN_EXE_transload"));
        let output = show.args(["show", what, "--json", "--socket"]).arg(self.path("run/admin.sock")).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Where the addresses of the table come from, by address.
    fn sources(&self) -> BTreeMap<String, String> {
        let rows = self.show("fdb");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(&row["mac"]), text(&row["source"]))).collect()
    }
}

/// No test of its own: within a sandbox, it gives up what the unit does not allow, and becomes the program.
#[test]
fn is_confined_if_asked_for() {
    let (Ok(calls), Ok(words)) = (std::env::var(CALLS), std::env::var(WORDS)) else { return };
    let calls: Vec<_> = calls.split(' ').map(|number| Call::Any(number.parse().unwrap())).collect();
    allow_only(&calls).unwrap();
    let mut words = words.split_whitespace();
    let failed = Command::new(words.next().unwrap()).args(words).env_remove(CALLS).env_remove(WORDS).exec();
    panic!("cannot run it: {failed}");
}

#[test]
fn within_its_units_limits_a_gateway_carries_frames_while_it_is_reloaded_and_upgraded_and_back() {
    need!(root, ip, systemd_analyze);
    let world = World::new();
    let mut first = Service(world.run("ExecStart", "this"));
    assert!(world.told("READY=1").contains("1 of 1 tunnel peer resolved"));
    let mut load = Load::new(&world.namespace);
    load.introduce();
    eventually("all are known", || world.sources().len() == 3);

    let reload = |build| assert!(world.run("ExecReload", build).wait().unwrap().success(), "{build}");
    load.loses_nothing("a reload", || {
        reload("this");
        world.told("RELOADING=1");
        world.told("READY=1");
    });

    fs::write(world.path("etc/gateway.yaml"), "version: 1\nporst: {}\n").unwrap();
    load.loses_nothing("one who cannot take over", || {
        assert!(!world.run("ExecReload", "next").wait().unwrap().success());
    });
    fs::write(world.path("etc/gateway.yaml"), FILE).unwrap();

    let mut by_root = Command::new(world.path("next/transload"));
    by_root.args(["reload", "--upgrade", "--socket"]).arg(world.path("run/admin.sock")).stdin(Stdio::null());
    let output = world.namespace.enter(|| by_root.output()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("it runs as user 65534; `systemctl reload`"), "{said}");
    assert!(first.0.try_wait().unwrap().is_none(), "whoever is not its user does not take its place");
    world.told("RELOADING=1");
    world.told("READY=1");

    let (mut successor, mut best) = (None, usize::MAX);
    for (number, build) in ["next", "this"].into_iter().cycle().take(EXCHANGES).enumerate() {
        if number >= 2 && best <= MOST_LOST {
            break;
        }
        let lost = load.during(|| reload(build));
        eprintln!("upgrade to {build}: {lost:?}");
        assert!(lost.sent > 100 && lost.doubled == 0, "{lost:?}");
        best = best.min(lost.out.max(lost.back));
        let process = world.told("MAINPID=");
        let process = process.trim_start_matches("MAINPID=").trim().parse().unwrap();
        world.told("READY=1");
        world.told("WATCHDOG=1");
        let program = fs::metadata(format!("/proc/{process}/exe")).unwrap().ino();
        assert_eq!(program, fs::metadata(world.path(build).join("transload")).unwrap().ino());
        let known = world.sources();
        assert_eq!(
            known.get("02:00:00:00:00:07").map(String::as_str),
            Some("restored"),
            "it has been silent: {known:?}"
        );
        successor = Some(Successor(process));
    }
    assert!(best <= MOST_LOST, "every exchange lost more than {MOST_LOST} frames, the best one {best}");
    assert!(first.0.wait().unwrap().success());
    assert!(world.path("lib/admin.sock.state").exists());
    let process = successor.as_ref().map_or(0, |successor| successor.0);
    drop(successor);
    world.told("STOPPING=1");
    eventually("the last one has ended", || !Path::new(&format!("/proc/{process}")).exists());
}
