//! What is left to a process that gave up the rights that its plan does not need, tried in processes that do so.

use std::fs;
use std::io;
use std::net::{TcpListener, ToSocketAddrs, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use libc::{c_long, c_ulong};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use transload::compile::{Numbers, Plan, compile};
use transload::config;
use transload::rights::{allow_only, keep};
use transload::run::confine::{missing, rights};

/// Tells a test that it is the process that gives up its rights.
const CONFINED: &str = "TRANSLOAD_TEST_CONFINED";

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

fn plan(text: &str) -> Plan {
    compile(&config::parse("gateway.yaml", text).unwrap(), &Numbers::default(), None).unwrap()
}

/// Runs a test of this file again, as a process of its own that may give up its rights.
fn in_a_process_of_its_own(test: &str) {
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", test, "--nocapture"]).env(CONFINED, "yes").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn is_confined() -> bool {
    std::env::var_os(CONFINED).is_some()
}

/// Makes a system call; what the kernel says to it.
fn call(number: c_long, arguments: [c_ulong; 5]) -> Result<(), i32> {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: the tests make only calls that are refused before any argument is looked at, or that take numbers.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth) };
    if result < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(()) }
}

/// What an intruder would go on with.
fn tricks() -> Vec<(&'static str, c_long, [c_ulong; 5])> {
    const NEW_USER: c_ulong = libc::CLONE_NEWUSER as c_ulong;
    let (written, run) = (libc::PROT_WRITE as c_ulong, (libc::PROT_WRITE | libc::PROT_EXEC) as c_ulong);
    let memory = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as c_ulong;
    let parent = c_ulong::from(std::os::unix::process::parent_id());
    vec![
        ("run a program", libc::SYS_execve, [c"/bin/true".as_ptr() as c_ulong, 0, 0, 0, 0]),
        ("run a program by descriptor", libc::SYS_execveat, [0; 5]),
        ("become two processes", libc::SYS_clone, [libc::SIGCHLD as c_ulong, 0, 0, 0, 0]),
        ("become two processes, newly", libc::SYS_clone3, [0; 5]),
        ("leave its user namespace", libc::SYS_unshare, [NEW_USER, 0, 0, 0, 0]),
        ("enter another namespace", libc::SYS_setns, [0; 5]),
        ("be traced", libc::SYS_ptrace, [0; 5]),
        ("write into another process", libc::SYS_process_vm_writev, [parent, 0, 0, 0, 0]),
        ("signal another process", libc::SYS_kill, [parent, 0, 0, 0, 0]),
        ("signal another's thread", libc::SYS_tgkill, [parent, parent, 0, 0, 0]),
        ("mount", libc::SYS_mount, [0; 5]),
        ("change its root", libc::SYS_chroot, [c"/".as_ptr() as c_ulong, 0, 0, 0, 0]),
        ("load a module", libc::SYS_init_module, [0; 5]),
        ("load a BPF program", libc::SYS_bpf, [0; 5]),
        ("watch performance", libc::SYS_perf_event_open, [0; 5]),
        ("use io_uring", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
        ("keep keys", libc::SYS_keyctl, [0; 5]),
        ("make a file in memory", libc::SYS_memfd_create, [c"x".as_ptr() as c_ulong, 0, 0, 0, 0]),
        ("give a file away", libc::SYS_fchown, [2, 0, 0, 0, 0]),
        ("become root", libc::SYS_setuid, [0; 5]),
        ("raise its limits", libc::SYS_prlimit64, [0, 7, 1, 0, 0]),
        ("open a socket of the kernel's ciphers", libc::SYS_socket, [38, 5, 0, 0, 0]),
        ("open a socket to the hypervisor", libc::SYS_socket, [libc::AF_VSOCK as c_ulong, 1, 0, 0, 0]),
        ("type on its terminal", libc::SYS_ioctl, [0, libc::TIOCSTI, c"x".as_ptr() as c_ulong, 0, 0]),
        ("map memory to write and run", libc::SYS_mmap, [0, 4096, run, memory, c_ulong::MAX]),
        ("run memory that was written", libc::SYS_mprotect, [0, 0, run & !written, 0, 0]),
    ]
}

/// What a gateway goes on with.
fn go_on() {
    let directory = tempfile::tempdir().unwrap();
    let [file, other] = ["file", "other"].map(|name| directory.path().join(name));
    fs::write(&file, "text").unwrap();
    fs::File::open(&file).unwrap().sync_all().unwrap();
    fs::rename(&file, &other).unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "text");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(("localhost", 0).to_socket_addrs().unwrap().count() > 0);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", "127.0.0.1:9").unwrap();
    let large = thread::Builder::new()
        .name("named".into())
        .spawn(|| vec![1_u8; 1 << 26].iter().map(|&b| u64::from(b)).sum::<u64>());
    assert_eq!(large.unwrap().join().unwrap(), 1 << 26);
    assert!(thread::spawn(|| panic!("a thread may panic")).join().is_err());
    thread::sleep(Duration::from_millis(1));
    assert!(TcpListener::bind("127.0.0.1:0").is_ok(), "a reload may name a port for metrics");
}

#[test]
fn what_is_on_no_list_is_refused_to_every_thread() {
    if !is_confined() {
        return in_a_process_of_its_own("what_is_on_no_list_is_refused_to_every_thread");
    }
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let before = thread::spawn(move || {
        let _ = asked.recv();
        call(libc::SYS_execve, [0; 5])
    });
    let rights = rights(&plan(FILE), |_| false);
    keep(rights.capabilities()).unwrap();
    allow_only(&rights.calls).unwrap();
    for (what, number, arguments) in tricks() {
        assert_eq!(call(number, arguments), Err(libc::ENOSYS), "{what}");
    }
    assert!(Command::new("/bin/true").status().is_err());
    drop(ask);
    assert_eq!(before.join().unwrap(), Err(libc::ENOSYS), "a thread that was there before");
    go_on();
}

#[test]
fn xdp_ports_may_go_on_to_load_programs_and_only_they() {
    if !is_confined() {
        return in_a_process_of_its_own("xdp_ports_may_go_on_to_load_programs_and_only_they");
    }
    let (plain, xdp) = (rights(&plan(FILE), |_| false), rights(&plan(FILE), |_| true));
    let of_xdp = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::IPC_LOCK;
    assert_eq!(plain.capabilities(), CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN);
    assert_eq!(xdp.capabilities(), plain.capabilities() | of_xdp);
    keep(xdp.capabilities()).unwrap();
    allow_only(&xdp.calls).unwrap();
    assert_ne!(call(libc::SYS_bpf, [0; 5]), Err(libc::ENOSYS));
    assert_eq!(call(libc::SYS_execve, [0; 5]), Err(libc::ENOSYS));
    go_on();
}

#[test]
fn capabilities_that_are_not_kept_are_gone_for_good() {
    if !is_confined() {
        return in_a_process_of_its_own("capabilities_that_are_not_kept_are_gone_for_good");
    }
    let had = capabilities(None).unwrap().permitted;
    let kept = keep(CapabilitySet::NET_RAW).unwrap();
    assert_eq!((kept.kept, kept.given_up), (had & CapabilitySet::NET_RAW, had - CapabilitySet::NET_RAW));
    let now = capabilities(None).unwrap();
    assert_eq!((now.effective, now.permitted, now.inheritable), (kept.kept, kept.kept, CapabilitySet::empty()));
    let again = CapabilitySets { effective: had, permitted: had, inheritable: CapabilitySet::empty() };
    assert!(had == kept.kept || set_capabilities(None, again).is_err());
    // SETUID, CHOWN, DAC_OVERRIDE, SYS_ADMIN, NET_ADMIN
    for capability in [7, 0, 1, 21, 12] {
        assert!(
            call(
                libc::SYS_prctl,
                [libc::PR_CAP_AMBIENT as c_ulong, libc::PR_CAP_AMBIENT_RAISE as c_ulong, capability, 0, 0]
            )
            .is_err()
        );
    }
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

#[test]
fn a_reload_that_needs_what_was_given_up_says_what() {
    let low = plan(&FILE.replace(
        "leaf: { address: 192.0.2.2, encap: vxlan }",
        "leaf: { address: 192.0.2.2, encap: { vxlan: { udp_port: 500 } } }",
    ));
    let problems = |given_up, plan: &Plan| missing(given_up, plan).iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = problems(CapabilitySet::NET_BIND_SERVICE | CapabilitySet::SYS_ADMIN, &low);
    assert_eq!(told, ["UDP port 500 needs CAP_NET_BIND_SERVICE, which was given up at the start"]);
    assert!(problems(CapabilitySet::SYS_ADMIN, &low).is_empty(), "what it never had is no matter of giving up");
    assert!(problems(CapabilitySet::all() - CapabilitySet::NET_RAW - CapabilitySet::NET_ADMIN, &plan(FILE)).is_empty());
}
