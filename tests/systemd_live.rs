//! The unit under systemd itself, as process 1 of namespaces of its own, on top of this machine's files: what it makes of a
//! start, a reload, another build and back, and the end.

#[path = "unit_files_live/load.rs"]
mod load;
#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with tests that speak other encapsulations")]
mod wire;

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use load::{EXCHANGES, FILE, Load, MOST_LOST, furnished};
use tempfile::TempDir;
use transload_lab::{Namespace, PATIENCE, eventually, need, skip};

/// Makes the machine's files a layer that nothing is written to, furnishes what a system needs, and becomes its process 1.
const BOOT: &str = r#"
place=$1 units=$2 program=$3
mount -n --make-rprivate /
mount -n -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -n -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
root=$place/root
mount -n -t proc proc "$root/proc"
mount -n -t sysfs sysfs "$root/sys"
mount -n -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -n -t tmpfs -o mode=755 tmpfs "$root/run"
mount -n -t tmpfs tmpfs "$root/tmp"
mount -n -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -n -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount -n --bind "/dev/$device" "$root/dev/$device"
done
rm -rf "$root"/etc/systemd/system/*.wants
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
mkdir -p "$root/etc/transload" "$root/usr/lib/sysusers.d"
cp "$units"/transload.service "$root/etc/systemd/system/"
cp "$units/sysusers.conf" "$root/usr/lib/sysusers.d/transload.conf"
cp "$program" "$root/usr/bin/transload"
printf '%s' "$GATEWAY" > "$root/etc/transload/gateway.yaml"
systemd-sysusers --root="$root" transload.conf
cd "$root"
exec chroot . env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=sockets.target --show-status=no
"#;

/// A system of its own, whose network is a namespace of this process.
struct System {
    outer: Child,
    first: u32,
    namespace: Namespace,
    group: String,
    /// Where its files are: a place that is removed would take them along.
    _place: TempDir,
}

impl System {
    fn boot() -> Result<Self, String> {
        let namespace = furnished();
        let groups = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter();
        let mut groups = groups.filter(|path| fs::exists(format!("{path}/cgroup.procs")).unwrap_or(false));
        let group = format!("{}/transload-test-{}", groups.next().ok_or("cgroups of version 2")?, std::process::id());
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-ec", "mkdir $0; echo $$ > $0/cgroup.procs; exec unshare \"$@\"", &group]);
        command.args(["--pid", "--mount", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child"]);
        command.args(["sh", "-ec", BOOT, "boot"]).arg(place.path());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/systemd")).arg(env!("CARGO_BIN_EXE_transload"));
        command.env("GATEWAY", FILE).stdin(Stdio::null()).stdout(Stdio::null());
        let mut system =
            Self { outer: namespace.spawn(&mut command).unwrap(), first: 0, namespace, group, _place: place };
        let begin = Instant::now();
        loop {
            if let Ok(Some(status)) = system.outer.try_wait() {
                return Err(format!("a system in namespaces ({status})"));
            }
            let id = system.outer.id();
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            system.first = children.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0);
            let state = system.run("systemctl is-system-running").stdout;
            if state == b"running\n" || state == b"degraded\n" {
                return Ok(system);
            }
            if begin.elapsed() > PATIENCE {
                return Err(format!("a system in namespaces that comes up ({})", String::from_utf8_lossy(&state)));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs a line of shell inside.
    fn run(&self, line: &str) -> Output {
        let mut inside = Command::new("nsenter");
        inside.args([
            "-t",
            &self.first.to_string(),
            "-p",
            "-m",
            "-C",
            "-u",
            "-i",
            "-n",
            "--root",
            "--wd",
            "sh",
            "-c",
            line,
        ]);
        inside.stdin(Stdio::null()).output().unwrap()
    }

    fn does(&self, line: &str) {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}\n{}", self.journal());
    }

    fn property(&self, name: &str) -> String {
        let output = self.run(&format!("systemctl show transload --value -p {name}"));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn journal(&self) -> String {
        String::from_utf8_lossy(&self.run("journalctl -b --no-pager -o cat -u transload").stdout).into_owned()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        // Every process of it is gone with the first one, a moment later.
        for _ in 0..50 {
            let mut remove = Command::new("find");
            remove.args([&self.group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]).stderr(Stdio::null());
            if remove.status().is_ok_and(|status| status.success()) {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn systemd_starts_reloads_upgrades_watches_and_stops_a_gateway() {
    need!(root, ip, systemd_analyze);
    let system = match System::boot() {
        Ok(system) => system,
        Err(missing) => {
            return skip::say("systemd_starts_reloads_upgrades_watches_and_stops_a_gateway", &missing);
        }
    };
    system.does("systemctl start transload");
    assert_eq!(system.property("StatusText"), "2 ports, 1 of 1 tunnel peer resolved, 1 tenant, 1 worker");
    let first = system.property("MainPID");
    eventually("events are in the journal with their fields", || {
        let fields = system.run("journalctl -b -u transload -o json TRANSLOAD_EVENT=started").stdout;
        String::from_utf8_lossy(&fields).contains("\"TRANSLOAD_SOCKET\":\"/run/transload/admin.sock\"")
    });
    let mut load = Load::new(&system.namespace);
    load.introduce();
    load.loses_nothing("a reload", || system.does("systemctl reload transload"));

    let exchange = "cp /usr/bin/transload /usr/bin/next && mv /usr/bin/next /usr/bin/transload";
    let mut best = usize::MAX;
    for number in 0..EXCHANGES {
        if number >= 2 && best <= MOST_LOST {
            break;
        }
        let before = system.property("MainPID");
        system.does(exchange);
        let lost = load.during(|| system.does("systemctl reload transload"));
        eprintln!("upgrade: {lost:?}");
        assert!(lost.sent > 100 && lost.doubled == 0, "{lost:?}");
        best = best.min(lost.out.max(lost.back));
        assert_ne!(system.property("MainPID"), before);
        assert_eq!(system.property("ActiveState"), "active");
        system.does("transload show fdb | grep -q '02:00:00:00:00:07.*restored'");
    }
    assert!(best <= MOST_LOST, "every exchange lost more than {MOST_LOST} frames, the best one {best}");
    // Longer than the watchdog waits.
    thread::sleep(Duration::from_secs(12));
    assert_eq!((system.property("ActiveState"), system.property("NRestarts")), ("active".into(), "0".into()));

    // A worker that stands still, and control with it.
    system.does("kill -STOP $(systemctl show transload --value -p MainPID)");
    eventually("it is started again", || {
        system.property("NRestarts") != "0" && system.property("ActiveState") == "active"
    });
    assert_ne!(system.property("MainPID"), first);

    system.does("systemctl stop transload");
    assert_eq!(system.property("ActiveState"), "inactive");
    system.does("echo 'porst: {}' >> /etc/transload/gateway.yaml");
    assert!(!system.run("systemctl start transload").status.success());
    assert_eq!(system.property("ActiveState"), "failed", "a file that is wrong is not tried again");
}
