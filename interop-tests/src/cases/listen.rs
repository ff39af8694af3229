//! Listening at hosts: how many frames of a kind each of them received.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use transload_lab::interrupt;

use crate::outcome::Stop;
use crate::testbed::{Site, Tenant, Testbed};

/// A listener whose host is out of reach ends by itself after so many seconds.
const LONGEST: u32 = 600;
const START: Duration = Duration::from_secs(100);
/// KiB of frames that wait for tcpdump, and bytes that are kept of each. Unless told, tcpdump has 2 MiB and locks them:
/// a few dozen of those, and a User-Mode Linux of 192 MiB has no memory left to start another.
const BUFFER: u32 = 256;
const SNAPLEN: u32 = 256;
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One tcpdump at each host of a tenant. They end when this is dropped.
pub(super) struct Listeners<'b> {
    testbed: &'b Testbed,
    tenant: Tenant,
    ears: Vec<Ear>,
}

/// One of them.
struct Ear {
    site: Site,
    /// Where it writes.
    file: String,
    /// Whether it listens.
    started: Result<(), Stop>,
}

impl<'b> Listeners<'b> {
    /// Listens to what arrives at a tenant's hosts and matches the filter; returns when all do that can. A host at
    /// which it does not start is told by [`heard`](Self::heard).
    ///
    /// # Errors
    /// When somebody interrupts.
    pub(super) fn start(testbed: &'b Testbed, tenant: Tenant, sites: &[Site], filter: &str) -> io::Result<Self> {
        let mut listeners = Self { testbed, tenant, ears: Vec::new() };
        for site in sites {
            let ear = listeners.listen(site, filter);
            listeners.ears.push(ear);
        }
        let end = Instant::now() + START;
        for at in 0..listeners.ears.len() {
            while listeners.ears[at].started.is_ok() && !listeners.is_listening(&listeners.ears[at]) {
                let ear = &mut listeners.ears[at];
                if Instant::now() > end {
                    ear.started = Err(Stop::Failed(format!("tcpdump does not start at {}", ear.site)));
                }
                interrupt::pause(Duration::from_millis(20))?;
            }
        }
        Ok(listeners)
    }

    fn listen(&self, site: &Site, filter: &str) -> Ear {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // User-Mode Linux can write nowhere else.
        let file = format!("/run/transload-{}-{number}.pcap", std::process::id());
        let line = format!(
            "timeout {LONGEST} tcpdump -i t0 -n -p -Q in -U --immediate-mode -B {BUFFER} -s {SNAPLEN} -Z root -w {file} \
             {filter}"
        );
        let started = self.testbed.host(site, self.tenant).background(&line).map_err(Stop::from);
        Ear { site: site.clone(), file, started }
    }

    fn is_listening(&self, ear: &Ear) -> bool {
        // The capture's own header is the first that is written.
        self.testbed.host(&ear.site, self.tenant).sh(&format!("test -s {}", ear.file)).is_ok()
    }

    /// What each host has received so far: a line of tcpdump's for each frame.
    pub(super) fn heard(&self) -> Vec<(Site, Result<Vec<String>, Stop>)> {
        let lines = |ear: &Ear| {
            ear.started.clone()?;
            let host = self.testbed.host(&ear.site, self.tenant);
            let printed = host.sh(&format!("tcpdump -n -t -r {} 2>/dev/null", ear.file))?;
            Ok(printed.lines().map(str::to_owned).collect())
        };
        self.ears.iter().map(|ear| (ear.site.clone(), lines(ear))).collect()
    }
}

impl Drop for Listeners<'_> {
    fn drop(&mut self) {
        for Ear { site, file, .. } in &self.ears {
            // The brackets keep the line from finding itself.
            let line = format!("pkill -f \"[t]cpdump.* {file} \" || true; rm -f {file}");
            // Where that cannot be run the listener ends with its limit.
            let _ = self.testbed.host(site, self.tenant).sh(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use transload_lab::need;

    use super::*;
    use crate::testbed::{Stack, roster};

    #[test]
    fn listeners_leave_a_user_mode_linux_the_memory_for_the_next_ones() {
        need!(ip, ping, uml, tcpdump);
        let (sites, _) = roster(&["uml-vxlan".to_owned()]);
        let place = tempfile::tempdir().unwrap();
        let testbed = Testbed::build(sites, place.path(), &mut |_| ()).unwrap();
        for round in 0..40 {
            let ears = Listeners::start(&testbed, Tenant::Blue, testbed.sites(), "icmp").unwrap();
            assert!(ears.heard().iter().all(|(_, lines)| lines.is_ok()), "in round {round}");
        }
        let under = testbed.machine(Stack::Uml).under();
        let has_ended = |_| {
            std::thread::sleep(Duration::from_millis(100));
            under.sh("pgrep -x tcpdump").is_err()
        };
        assert!((0..100).any(has_ended), "they are ended");
    }
}
