//! A soak: a gateway under mutated frames, reloads and admin clients that misbehave, while numbered frames pass. Counters
//! stay exact, memory and descriptors level, the log quiet, and control answers.
//!
//! It takes a few seconds; `cargo xtask soak SECONDS` has it take longer, and then answers have to come within a second.

#[path = "../common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
mod wire;

mod control;
mod traffic;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use traffic::{Dice, Flow, end_of_cable, introduction};
use transload_lab::{Gateway, Host, Namespace, need};

/// Seconds that it takes, if somebody says so.
const SECONDS: &str = "TRANSLOAD_SOAK";
const SHORT: Duration = Duration::from_secs(6);
/// Where the random sequence begins.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// A whole turn: traffic, and then a rest in which counters are compared.
const ROUND: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);

const FILE: &str = "
version: 1
ports:
  up: { device: up1, io: BACKEND, next_hops: { 192.0.2.2: \"02:00:00:00:00:02\", 192.0.2.3: \"02:00:00:00:00:03\", 192.0.2.4: \"02:00:00:00:00:04\" } }
  ce: { device: ce1, io: BACKEND }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vx: { address: 192.0.2.2, encap: vxlan }
  nv: { address: 192.0.2.3, encap: nvgre }
  gr: { address: 192.0.2.4, encap: gre }
fdb: { capacity: 65536 }
tenants:
  blue:
    attachments:
      vx: { peer: vx, vni: 100 }
      ce: { port: ce, s_vid: 5 }
  red:
    ageing: AGEING
    attachments:
      vx: { peer: vx, vni: 0x0505 }
      nv: { peer: nv, vsid: 0x1005 }
      gr: { peer: gr, key: 7 }
      ce: { port: ce, s_vid: 0x600 }
";
const ANOTHER: &str = "  green: { attachments: { vx: { peer: vx, vni: 300 }, nv: { peer: nv, vsid: 0x2000 } } }\n";

/// What a gateway has counted, all ports and reasons together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    received: u64,
    /// Copies beyond one for each frame, and the gateway's own answers.
    made: u64,
    sent: u64,
    /// Dropped by name, or left to the machine by name.
    dropped: u64,
    copies_dropped: u64,
    /// What never reached the gateway.
    lost: u64,
    /// Numbered frames, as the tenant that is theirs counts them: in, and out.
    numbered: (u64, u64),
}

fn counted(socket: &Path, longest: &AtomicU64) -> Counted {
    let rows = |what: &str| control::ask(socket, &format!("GET /{what}"), longest).unwrap();
    let (ports, drops, tenants) = (rows("ports"), rows("drops"), rows("tenants"));
    let sum = |rows: &Value, columns: &[&str]| -> u64 {
        let of = |row: &Value| columns.iter().map(|column| row[column].as_u64().unwrap()).sum::<u64>();
        rows.as_array().unwrap().iter().map(of).sum()
    };
    let blue = tenants.as_array().unwrap().iter().find(|row| row["tenant"] == "blue").unwrap();
    Counted {
        received: sum(&ports, &["rx_frames"]),
        made: sum(&tenants, &["copies", "too_big_answers"]),
        sent: sum(&ports, &["tx_frames"]),
        dropped: sum(&drops, &["dropped", "left"]),
        copies_dropped: sum(&drops, &["copies"]),
        lost: sum(&ports, &["lost"]),
        numbered: (blue["rx_frames"].as_u64().unwrap(), blue["tx_frames"].as_u64().unwrap()),
    }
}

/// What the process takes of the machine.
#[derive(Debug, Clone, Copy)]
struct Taken {
    kilobytes: u64,
    descriptors: usize,
}

fn taken(gateway: &Gateway) -> Taken {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process())).unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let descriptors = fs::read_dir(format!("/proc/{}/fd", gateway.process())).unwrap().count();
    Taken { kilobytes: kilobytes.unwrap().parse().unwrap(), descriptors }
}

fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn soak(backend: &str) {
    let stated = std::env::var(SECONDS).ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let whole = stated.unwrap_or(SHORT);
    let namespace = Namespace::new().unwrap();
    for device in ["up1", "ce1"] {
        // Nobody else speaks on these cables.
        let quiet = |end: &str| format!("echo 1 > /proc/sys/net/ipv6/conf/{end}/disable_ipv6; ip link set {end} up");
        let far = format!("{device}-far");
        let (near, other) = (quiet(device), quiet(&far));
        namespace.sh(&format!("ip link add {device} type veth peer name {far}; {near}; {other}")).unwrap();
    }
    namespace.sh("ip link set up1 address 02:00:00:00:00:01; ip addr add 192.0.2.1/24 dev up1").unwrap();
    let file = FILE.replace("BACKEND", backend);
    let gateway = Gateway::start(&namespace, &file.replace("AGEING", "5m")).unwrap();
    let socket = gateway.path("admin.sock");
    let (mut underlay, mut receiver) = end_of_cable(&namespace, "up1-far").unwrap();
    let (mut tenants, _) = end_of_cable(&namespace, "ce1-far").unwrap();
    let at = wire::mac(1);
    underlay.send_to(&introduction(at), None).unwrap().unwrap();

    let (flow, longest) = (Flow::default(), AtomicU64::new(0));
    let (reloads, clients, questions) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let begin = Instant::now();
    let (level, end, last) = thread::scope(|scope| {
        let over = Over(&flow);
        scope.spawn(|| flow.send(at, Dice(SEED), &mut *underlay, &mut *tenants));
        scope.spawn(|| flow.receive(&mut *receiver));
        scope.spawn(|| control::misbehave(&socket, &flow.is_paused, &flow.is_over, &clients));
        scope.spawn(|| {
            while !flow.is_over.load(Ordering::Relaxed) {
                control::ask(&socket, "GET /drops", &longest).unwrap();
                questions.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(100));
            }
        });
        let (mut level, mut now, mut sums) = (None, taken(&gateway), None);
        while begin.elapsed() < whole || sums.is_none() {
            flow.is_paused.store(false, Ordering::Relaxed);
            let round = Instant::now();
            while round.elapsed() < ROUND.min(whole / 3) {
                let number = reloads.fetch_add(1, Ordering::Relaxed);
                let (ageing, more) = if number % 2 == 0 { ("4m", ANOTHER) } else { ("5m", "") };
                gateway.write(&(file.replace("AGEING", ageing) + more)).unwrap();
                control::ask(&socket, "POST /reload", &AtomicU64::new(0)).unwrap();
                thread::sleep(Duration::from_secs(1));
            }
            flow.is_paused.store(true, Ordering::Relaxed);
            sums = Some(compared(&socket, &flow, &longest));
            now = taken(&gateway);
            // By then there is what is made once, and what is kept for minutes.
            if level.is_none() || begin.elapsed() < whole / 2 {
                level = Some(now);
            }
        }
        drop(over);
        (level.unwrap(), now, sums.unwrap())
    });

    let log = gateway.log();
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "soak over {backend}, {} s: {} mutated and {} numbered frames, of which {} arrived, {} out of order\n\
         received {} and made {}, sent {}, dropped or left by name {} and {} copies; {} never reached the gateway\n\
         {} reloads, {} clients that misbehaved, {} questions, the longest answered after {} ms\n\
         {} lines of log; memory {} kB in the middle, {} kB at the end; descriptors {}, {}",
        begin.elapsed().as_secs(),
        of(&flow.mutated),
        of(&flow.numbered),
        of(&flow.arrived),
        of(&flow.out_of_order),
        last.received,
        last.made,
        last.sent,
        last.dropped,
        last.copies_dropped,
        last.lost,
        of(&reloads),
        of(&clients),
        of(&questions),
        of(&longest) / 1000,
        log.lines().count(),
        level.kilobytes,
        end.kilobytes,
        level.descriptors,
        end.descriptors,
    );
    // A dozen kinds of lines, each with a rate.
    assert!((log.lines().count() as u64) < 600 + 20 * begin.elapsed().as_secs(), "the log is not quiet:\n{log}");
    assert!(end.kilobytes < level.kilobytes + level.kilobytes / 4 + 4_096, "memory grows");
    eventually("descriptors are given back", || (taken(&gateway).descriptors <= level.descriptors + 4).then_some(()));
    assert_eq!(of(&flow.out_of_order), 0);
    if stated.is_some() {
        assert!(of(&longest) < 1_000_000, "an answer took {} ms", of(&longest) / 1000);
    }
    gateway.stop().unwrap();
}

/// Ends the threads of a soak, however it ends.
struct Over<'f>(&'f Flow);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Waits until nothing is on its way any more, and compares what was counted.
fn compared(socket: &Path, flow: &Flow, longest: &AtomicU64) -> Counted {
    let mut before = None;
    let sums = eventually("the counters rest", || {
        let now = counted(socket, longest);
        (before.replace(now) == Some(now)).then_some(now)
    });
    assert_eq!(
        sums.received + sums.made,
        sums.sent + sums.dropped + sums.copies_dropped,
        "what came and was made is what was sent or dropped by name: {sums:?}"
    );
    let sent = flow.numbered.load(Ordering::Relaxed);
    // The introduction is one more; the kernel says which frames it had no room for.
    assert!(sums.numbered.0 + sums.lost > sent, "{sent} numbered frames were sent: {sums:?}");
    let unseen = (sent + 1).saturating_sub(sums.numbered.0);
    eventually("all numbered frames arrive that the gateway had", || {
        (flow.arrived.load(Ordering::Relaxed) + unseen >= sent).then_some(())
    });
    sums
}

#[test]
fn a_gateway_on_packet_sockets_stands_a_soak() {
    need!(root, ip);
    soak("af_packet");
}

#[test]
fn a_gateway_on_xdp_sockets_stands_a_soak() {
    need!(root, ip);
    soak("af_xdp");
}
