//! A gateway, traffic and trouble, scraped by a real Prometheus by the sample's configuration: what the dashboard asks has
//! answers.
//!
//! It takes seconds; `cargo xtask dashboard FILE` has it take ten minutes, and draws the dashboard into FILE.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use transload_lab::{Gateway, Host, Namespace, eventually, need, veth};

use crate::dashboard::{dashboard, queries};
use crate::packaging;
use crate::prometheus;

const SERVER: &str = "127.0.0.1:9090";
/// What nothing is seen of in this network: no frame is lost, tolerated or not copied, and no address moves.
const EMPTY: [&str; 2] = ["Tolerated", "MAC addresses that move or are refused"];

const GATEWAY: &str = "
version: 1
metrics: { listen: 127.0.0.1:9475 }
ports:
  core-1: { device: up1 }
  core-2: { device: up2 }
  access: { device: blue }
endpoints:
  fabric: { address: 192.0.2.1, ports: [core-1, core-2] }
peers:
  leaf-1: { address: 192.0.2.11, encap: vxlan }
  leaf-2: { address: 192.0.2.12, encap: nvgre }
tenants:
  blue:
    limits: { macs: 4 }
    attachments:
      leaf-1: { peer: leaf-1, vni: 100 }
      leaf-2: { peer: leaf-2, vsid: 10100 }
      access: { port: access, untagged: true }
  red:
    limits: { macs: 1000 }
    attachments:
      leaf-1: { peer: leaf-1, vni: 200 }
      leaf-2: { peer: leaf-2, vsid: 10200 }
mappings:
  wholesale:
    from: { peer: leaf-1, vni: 4096-8191 }
    to:   { peer: leaf-2, vsid: id }
";

fn leaf(number: u8, encap: &str, blue: &str, red: &str) -> String {
    format!(
        "
version: 1
ports: {{ up: {{ device: core }}, blue: {{ device: blue }}, red: {{ device: red }}, green: {{ device: green }} }}
endpoints: {{ fabric: {{ address: 192.0.2.1{number}, ports: [up] }} }}
peers: {{ gateway: {{ address: 192.0.2.1, encap: {encap} }} }}
tenants:
  blue: {{ attachments: {{ gateway: {{ peer: gateway, {blue} }}, host: {{ port: blue, untagged: true }} }} }}
  red: {{ attachments: {{ gateway: {{ peer: gateway, {red} }}, host: {{ port: red, untagged: true }} }} }}
  green: {{ attachments: {{ gateway: {{ peer: gateway, {} }}, host: {{ port: green, untagged: true }} }} }}
",
        if encap == "vxlan" { "vni: 5000" } else { "vsid: 5000" }
    )
}

/// A gateway between two leafs, which are gateways too, with hosts behind all of them.
struct World {
    gateway: Gateway,
    leafs: [Gateway; 2],
    core: Namespace,
    hosts: [Namespace; 3],
}

impl World {
    fn build() -> io::Result<Self> {
        let new = Namespace::new;
        let (core, sites, hosts) = (new()?, [new()?, new()?], [new()?, new()?, new()?]);
        core.sh("ip addr add 192.0.2.1/32 dev lo")?;
        for (site, number) in sites.iter().zip(1..) {
            veth((&core, &format!("up{number}")), (site, "core"), 1600)?;
            core.sh(&format!(
                "ip addr add 10.0.{number}.1/24 dev up{number}; ip route add 192.0.2.1{number} via 10.0.{number}.2"
            ))?;
            site.sh(&format!(
                "ip addr add 192.0.2.1{number}/32 dev lo; ip addr add 10.0.{number}.2/24 dev core; \
                 ip route add 192.0.2.1 via 10.0.{number}.1"
            ))?;
        }
        for (near, host, number) in [(&sites[0], &hosts[0], 1), (&sites[1], &hosts[1], 2), (&core, &hosts[2], 3)] {
            for (tenant, network) in ["blue", "red", "green"].iter().zip(1..).take(if number == 3 { 1 } else { 3 }) {
                veth((near, tenant), (host, tenant), 1400)?;
                host.sh(&format!(
                    "ip link set {tenant} address 02:00:00:00:0{network}:0{number}; ip addr add 10.{network}.0.{number}/24 dev {tenant}"
                ))?;
                // So that traffic goes on whatever becomes of the way.
                for other in (1..=3).filter(|other| *other != number) {
                    host.sh(&format!(
                        "ip neigh add 10.{network}.0.{other} lladdr 02:00:00:00:0{network}:0{other} nud permanent dev {tenant}"
                    ))?;
                }
            }
        }
        let gateway = Gateway::start(&core, GATEWAY)?;
        let leafs = [
            Gateway::start(&sites[0], &leaf(1, "vxlan", "vni: 100", "vni: 200"))?,
            Gateway::start(&sites[1], &leaf(2, "nvgre", "vsid: 10100", "vsid: 10200"))?,
        ];
        for (from, to, interval, size) in [
            (0, "10.1.0.2", 0.01, 1200),
            (2, "10.1.0.1", 0.02, 1000),
            (0, "10.2.0.2", 0.02, 600),
            (1, "10.3.0.1", 0.05, 400),
        ] {
            hosts[from].background(&format!("ping -q -i {interval} -s {size} {to}"))?;
        }
        // Nobody answers, so that everybody is asked.
        hosts[1].background("ping -q -i 0.5 10.1.0.77")?;
        Ok(Self { gateway, leafs, core, hosts })
    }

    fn leaf(&self, number: usize, signal: Signal) {
        let process = Pid::from_raw(self.leafs[number].process().cast_signed()).unwrap();
        kill_process(process, signal).unwrap();
    }
}

/// A Prometheus in the gateway's namespace, killed when dropped.
struct Server {
    child: Child,
    _directory: TempDir,
}

impl Server {
    fn start(world: &World, scrape: Duration) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let sample = fs::read_to_string(packaging().join("prometheus/prometheus.yml"))?;
        let rules = packaging().join("prometheus/transload.rules.yml");
        let config = sample
            .replace("scrape_interval: 15s", &format!("scrape_interval: {}s", scrape.as_secs()))
            .replace("[transload.rules.yml]", &format!("[\"{}\"]", rules.display()));
        let config = format!("global: {{ evaluation_interval: {}s }}\n{config}", scrape.as_secs());
        fs::write(directory.path().join("prometheus.yml"), config)?;
        let mut command = Command::new("prometheus");
        command.current_dir(directory.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={SERVER}")).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: world.core.spawn(&mut command)?, _directory: directory })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What Prometheus answers to a query now; the error is its own.
fn ask(world: &World, query: &str) -> io::Result<Vec<Value>> {
    prometheus::ask(&world.core, SERVER, query)
}

fn has_answer(world: &World, query: &str) -> bool {
    ask(world, query).is_ok_and(|rows| !rows.is_empty())
}

#[test]
fn a_prometheus_has_an_answer_to_all_that_the_dashboard_asks() {
    need!(root, ip, ping, prometheus);
    let picture = std::env::var_os("TRANSLOAD_PICTURE").map(PathBuf::from);
    let (scrape, pause) = if picture.is_some() { (5, 130) } else { (1, 0) };
    let (scrape, pause) = (Duration::from_secs(scrape), Duration::from_secs(pause));
    let world = World::build().unwrap();
    let _server = Server::start(&world, scrape).unwrap();
    let begin = SystemTime::now();

    eventually("the peers are heard", || {
        has_answer(&world, "sum(transload_peer_state{transload_peer_state=\"fine\"}) == 2")
    });
    thread::sleep(pause);
    // Somebody gives a tenant another number at one end only.
    world.leafs[0].write(&leaf(1, "vxlan", "vni: 100", "vni: 201")).unwrap();
    world.leafs[0].reload().unwrap();
    eventually("what nobody is configured for is dropped", || {
        has_answer(&world, "rate(transload_dropped_frames_total{reason=\"unknown_segment\"}[10s]) > 0")
    });
    thread::sleep(pause);
    // A leaf hangs: its machine says nothing, and it hears nothing.
    world.leaf(1, Signal::STOP);
    eventually("it is silent", || {
        has_answer(&world, "transload_peer_state{peer=\"leaf-2\", transload_peer_state=\"silent\"} == 1")
    });
    world.gateway.write(&GATEWAY.replace("vni: 200", "vni: 100")).unwrap();
    world.gateway.reload().unwrap_err();
    eventually("a rejected file is seen", || has_answer(&world, "transload_config_last_reload_successful == 0"));
    thread::sleep(pause * 3);

    for (place, query) in queries(&dashboard()) {
        let answer = ask(&world, &query).unwrap_or_else(|error| panic!("{place}: {query}: {error}"));
        let is_about_now = !["Restarts", "Reloads", "What fires now"].contains(&place.as_str());
        // What is shown only where there is some is there all the same.
        let unfiltered = query.replace(" > 0", "");
        let is_there = || has_answer(&world, &unfiltered) || EMPTY.contains(&place.as_str());
        assert!(!answer.is_empty() || !is_about_now || is_there(), "{place}: nothing answers to {unfiltered}");
    }
    if let Some(picture) = picture {
        draw(&world, begin, scrape, &picture).unwrap();
    }
    world.leaf(1, Signal::CONT);
    drop(world.hosts);
}

/// Has a browser draw the dashboard from what Prometheus has since `begin`.
fn draw(world: &World, begin: SystemTime, scrape: Duration, picture: &Path) -> io::Result<()> {
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (from, to) = (seconds(begin), seconds(SystemTime::now()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).display();
    let page = format!(
        "file://{root}/docs/monitoring/draw.html?prometheus=http://{SERVER}&dashboard=file://{root}/packaging/grafana/transload.json\
         &from={from}&to={to}&scrape={}",
        scrape.as_secs()
    );
    let profile = tempfile::tempdir()?;
    let mut command = Command::new("chromium");
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--hide-scrollbars",
    ]);
    command.args(["--window-size=1500,3090", "--virtual-time-budget=30000"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--screenshot={}", picture.display())).arg(page);
    let status = world.core.spawn(&mut command)?.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("chromium: {status}"))) }
}
