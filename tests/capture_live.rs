//! `transload capture` on a running gateway: what it writes, what it refuses, and that nobody else notices.

use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Namespace, eventually, programs, skip};

#[path = "common/furnish.rs"]
mod furnish;
#[expect(dead_code, unreachable_pub, reason = "of its frames, only a tunnelled one is sent")]
#[path = "common/wire.rs"]
mod wire;

use furnish::Furnish;

const TSHARK: &str = "tshark (apt-get install tshark)";

const FILE: &str = r#"
version: 1
ports:
  up1: { device: up1, mtu: 1500, io: af_packet }
  ce:  { device: ce1, mtu: 1500, io: af_packet }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up1] }
peers:
  leaf:  { address: 10.0.1.2, encap: vxlan }
  other: { address: 10.0.1.3, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      ce:   { port: ce, s_vid: 5 }
    static:
      - { mac: "02:00:00:00:00:07", via: ce }
  green:
    attachments:
      other: { peer: other, vni: 200 }
"#;

struct Lab {
    namespace: Namespace,
    directory: TempDir,
    gateway: Option<Child>,
}

impl Lab {
    /// `None`, said loudly, where namespaces cannot be made.
    fn start(test: &str, file: &str) -> Option<Self> {
        let lab = Self::build().map_err(|error| skip::say(test, &format!("namespaces ({error}); run as root"))).ok();
        let mut lab = lab?;
        fs::write(lab.path("gateway.yaml"), file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("run").arg(lab.path("gateway.yaml")).arg("--admin").arg(lab.path("admin.sock"));
        command.stdin(Stdio::null());
        lab.gateway = Some(lab.namespace.enter(|| command.spawn()).unwrap());
        eventually("the gateway answers", || lab.run("show", &["ports"]).status.success());
        Some(lab)
    }

    fn build() -> io::Result<Self> {
        let lab = Self { namespace: Namespace::new()?, directory: tempfile::tempdir()?, gateway: None };
        lab.namespace.netlink(async |netlink| {
            netlink.add_address("lo", "192.0.2.1".parse().unwrap(), 32).await?;
            for name in ["up1", "ce1"] {
                let far = format!("{name}-far");
                netlink.add_veth(name, &far).await?;
                netlink.set_up(name, true).await?;
                netlink.set_up(&far, true).await?;
            }
            Ok(())
        })?;
        Ok(lab)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg(verb).args(arguments).arg("--socket").arg(self.path("admin.sock")).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).output().unwrap()
    }

    /// Begins a capture into a file, and waits until it has.
    fn begin(&self, arguments: &[&str]) -> (Child, PathBuf) {
        let file = self.path("begun.pcapng");
        let _ = fs::remove_file(&file);
        let mut command = self.command("capture", arguments);
        let capture = command.arg("-w").arg(&file).spawn().unwrap();
        eventually("the capture runs", || fs::metadata(&file).is_ok_and(|found| found.len() > 0));
        (capture, file)
    }

    /// Why a capture is refused.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run("capture", arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        // Lines are broken where they are long.
        said.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
    }

    /// Sends a frame of leaf's over and over, every few milliseconds, while something is done.
    fn under_traffic<T>(&self, vni: u32, work: impl FnOnce() -> T) -> T {
        let ports: serde_json::Value = serde_json::from_slice(&self.run("show", &["ports", "--json"]).stdout).unwrap();
        let to = ports[0]["mac"].as_str().unwrap().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
        let to: [u8; 6] = to.collect::<Vec<_>>().try_into().unwrap();
        let inner = wire::tenant_frame(wire::mac(7), wire::mac(1), 0);
        let ends = ([10, 0, 1, 2].into(), [192, 0, 2, 1].into());
        let packet = wire::outer((to, wire::mac(0xbb)), ends, 0, 17, &wire::udp(5, 4789, &wire::vxlan(vni, &inner)));
        let channel = || {
            let found = pnet_datalink::interfaces().into_iter().find(|found| found.name == "up1-far").unwrap();
            match pnet_datalink::channel(&found, pnet_datalink::Config::default()) {
                Ok(pnet_datalink::Channel::Ethernet(sender, _)) => Ok(sender),
                _ => Err(io::ErrorKind::Unsupported.into()),
            }
        };
        let mut sender = self.namespace.enter(channel).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    sender.send_to(&packet, None).unwrap().unwrap();
                    thread::sleep(Duration::from_millis(5));
                }
            });
            // Also when the work fails.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            is_over.store(true, Ordering::Relaxed);
            done.unwrap_or_else(|failure| std::panic::resume_unwind(failure))
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            let _ = gateway.kill();
            let _ = gateway.wait();
        }
    }
}

/// The sightings of a file as tshark reads them: interface, packet ID, comment. `None` where there is no tshark.
fn dissected(file: &Path) -> Option<Vec<[String; 3]>> {
    let tshark = programs::find("tshark")?;
    let fields = ["frame.interface_name", "frame.packet_id", "frame.comment", "_ws.malformed"];
    let mut command = Command::new(tshark);
    command.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]).arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let fields: Vec<_> = line.split('|').map(str::to_owned).collect();
        assert_eq!(fields.get(3).map(String::as_str), Some(""), "{line}");
        [fields[0].clone(), fields[1].clone(), fields[2].clone()]
    };
    Some(String::from_utf8(output.stdout).unwrap().lines().map(line).collect())
}

/// A frame before and after its translation, in one file.
fn a_frame_is_seen_from_port_to_port(test: &str, file: &str) {
    let Some(lab) = Lab::start(test, file) else { return };
    let file = lab.path("frames.pcapng");
    let arguments = ["-w", file.to_str().unwrap(), "--tenant", "blue", "--count", "3"];
    let output = lab.under_traffic(100, || lab.run("capture", &arguments));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("12 sightings") && said.contains("as many frames as were asked for"), "{said}");
    let Some(mut seen) = dissected(&file) else { return skip::say(test, TSHARK) };
    assert_eq!(seen.len(), 12);
    // Of frames that came together, each stage sees all before the next one does.
    seen.sort_by_key(|[_, id, _]| id.parse::<u64>().unwrap());
    for sightings in seen.chunks(4) {
        let places: Vec<_> = sightings.iter().map(|[interface, ..]| interface.as_str()).collect();
        assert_eq!(places, ["up1", "decap", "bridge", "ce"]);
        assert!(sightings.iter().all(|[_, id, _]| *id == sightings[0][1]), "{sightings:?}");
        assert!(sightings[0][2].contains("from leaf by up1; tenant blue (leaf); sent"), "{sightings:?}");
        assert!(sightings[3][2].contains("to ce (ce)"), "{sightings:?}");
    }
}

#[test]
fn a_frame_is_seen_before_and_after_its_translation() {
    a_frame_is_seen_from_port_to_port("a_frame_is_seen_before_and_after_its_translation", FILE);
}

#[test]
fn a_frame_is_seen_on_xdp_ports_too() {
    a_frame_is_seen_from_port_to_port("a_frame_is_seen_on_xdp_ports_too", &FILE.replace("af_packet", "af_xdp"));
}

#[test]
fn what_is_dropped_is_shown_with_its_reason_and_its_last_headers() {
    let Some(lab) = Lab::start("what_is_dropped_is_shown_with_its_reason", FILE) else { return };
    let arguments = ["--reason", "unknown_segment", "--at", "drop", "--count", "2"];
    let output = lab.under_traffic(77, || lab.run("capture", &arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(0), 2), "{text}");
    for line in text.lines() {
        assert!(line.contains(" at drop: ") && line.contains("IPv4 10.0.1.2 > 192.0.2.1"), "{line}");
        assert!(line.contains("vni 77; dropped: unknown_segment: "), "{line}");
    }
    let sample = || {
        let shown = String::from_utf8(lab.run("show", &["drops"]).stdout).unwrap();
        shown.lines().find(|line| line.contains("Z  unknown_segment")).map(str::to_owned)
    };
    eventually("control has taken in a sample", || sample().is_some());
    let sample = sample().unwrap();
    for part in ["leaf", "10.0.1.2 > 192.0.2.1, UDP port 4789", "vni 77", "02:00:00:00:00:01 > 02:00:00:00:00:07"] {
        assert!(sample.contains(part), "{sample}");
    }
}

#[test]
fn what_cannot_match_or_be_written_is_refused_in_words() {
    let Some(lab) = Lab::start("what_cannot_match_or_be_written_is_refused_in_words", FILE) else { return };
    let cases: [(&[&str], &str); 15] = [
        (&["--tenant", "bleu"], "there is no tenant `bleu`; did you mean `blue`?"),
        (&["--peer", "laef"], "there is no peer `laef`; did you mean `leaf`?"),
        (&["--port", "up2"], "there is no port `up2`; did you mean `up1`?"),
        (&["--mac", "02:00"], "`02:00` is no MAC address"),
        (&["--reason", "unknown_segmnt"], "did you mean `unknown_segment`?"),
        (&["--reason", "xyzzy"], "there is no reason `xyzzy` for drops"),
        (&["--reason", "port_busy"], "behind the last point of a capture"),
        (&["--at", "receive,bridg"], "there is no point `bridg`; did you mean `bridge`?"),
        (&["--tenant", "blue", "--peer", "other"], "tenant blue has no attachment of peer other"),
        (&["--tenant", "green", "--port", "ce"], "tenant green has no attachment on port ce"),
        (&["--tenant", "blue", "--reason", "unknown_segment"], "before it is known that they are of a tenant"),
        (&["--tenant", "blue", "--reason", "vxlan_vni_flag_clear"], "before it is known that they are of a tenant"),
        (&["--tenant", "blue", "--reason", "mapping_hole"], "before it is known that they are of a tenant"),
        (&["--reason", "unknown_segment", "--at", "decap,transmit"], "seen at receive and drop alone"),
        (&["-w", "/nowhere/at/all.pcapng"], "cannot write /nowhere/at/all.pcapng: No such file"),
    ];
    for (arguments, why) in cases {
        let said = lab.refused(arguments);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    let said = lab.under_traffic(100, || lab.refused(&["-w", "/dev/full"]));
    assert!(said.contains("cannot write /dev/full: No space left") && said.contains("can be read"), "{said}");
    for wrong in [["--count", "0"], ["--for", "10"], ["--sample", "3"], ["--snaplen", "0"]] {
        assert_eq!(lab.run("capture", &wrong).status.code(), Some(2), "{wrong:?}");
    }
    let kept = lab.path("kept.pcapng");
    fs::write(&kept, "the last capture").unwrap();
    lab.refused(&["-w", kept.to_str().unwrap(), "--tenant", "bleu"]);
    assert_eq!(fs::read(&kept).unwrap(), b"the last capture");
}

#[test]
fn a_capture_that_nobody_reads_or_that_is_left_keeps_nobody_waiting() {
    let Some(lab) = Lab::start("a_capture_that_nobody_reads_or_that_is_left_keeps_nobody_waiting", FILE) else {
        return;
    };
    let (mut idle, _) = lab.begin(&["--mac", "02:00:00:00:00:99"]);
    let said = lab.refused(&["--for", "1s"]);
    assert!(said.contains("another capture runs on this gateway"), "{said}");
    // Nothing comes for longer than a client may let the gateway wait.
    thread::sleep(Duration::from_secs(12));
    assert!(idle.try_wait().unwrap().is_none(), "who waits for a rare frame is not sent away");
    idle.kill().unwrap();
    idle.wait().unwrap();
    eventually("its place is free", || lab.run("capture", &["--for", "1s"]).status.success());

    let mut deaf = UnixStream::connect(lab.path("admin.sock")).unwrap();
    deaf.write_all(b"GET /capture HTTP/1.0\r\nHost: transload\r\nContent-Length: 0\r\n\r\n").unwrap();
    let sent = || {
        let ports: serde_json::Value = serde_json::from_slice(&lab.run("show", &["ports", "--json"]).stdout).unwrap();
        ports[1]["tx_frames"].as_u64().unwrap()
    };
    lab.under_traffic(100, || {
        let before = sent();
        eventually("frames go on", || sent() > before + 200);
    });
    drop(deaf);
    eventually("its place is free", || lab.run("capture", &["--for", "1s"]).status.success());
}

#[test]
fn a_capture_ends_with_what_it_asks_for_or_with_the_gateway() {
    let Some(mut lab) = Lab::start("a_capture_ends_with_what_it_asks_for_or_with_the_gateway", FILE) else { return };
    let (gone, _) = lab.begin(&["--tenant", "green"]);
    let without = FILE.split("  green:").next().unwrap();
    fs::write(lab.path("gateway.yaml"), without).unwrap();
    assert!(lab.run("reload", &[]).status.success());
    let output = gone.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a reload has changed what it asks for"), "{said}");

    let (cut, file) = lab.begin(&[]);
    lab.under_traffic(100, || {
        eventually("frames are written", || fs::metadata(&file).is_ok_and(|found| found.len() > 4000));
    });
    let mut gateway = lab.gateway.take().unwrap();
    kill_process(Pid::from_child(&gateway), Signal::TERM).unwrap();
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    let output = cut.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("the capture ended early"), "{said}");
    match dissected(&file) {
        Some(seen) => assert!(seen.len() > 4),
        None => skip::say("a_capture_ends_with_what_it_asks_for_or_with_the_gateway", TSHARK),
    }
}

#[test]
fn a_capture_that_is_interrupted_tells_its_counts() {
    let Some(lab) = Lab::start("a_capture_that_is_interrupted_tells_its_counts", FILE) else { return };
    let (capture, file) = lab.begin(&[]);
    lab.under_traffic(100, || {
        eventually("frames are written", || fs::metadata(&file).is_ok_and(|found| found.len() > 4000));
    });
    kill_process(Pid::from_child(&capture), Signal::INT).unwrap();
    let output = capture.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(0) && said.contains(" sightings"), "{said}");
}
