//! Listening at hosts: how many frames of a kind each of them received.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use transload_lab::interrupt;

use crate::testbed::{Site, Tenant, Testbed};

/// A listener ends by itself after so many seconds.
const LONGEST: u32 = 180;
const START: Duration = Duration::from_secs(100);
/// One that does not listen by then is started again.
const SLOW: Duration = Duration::from_secs(10);
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One tcpdump at each host of a tenant.
pub(super) struct Listeners<'b> {
    testbed: &'b Testbed,
    tenant: Tenant,
    ears: Vec<(Site, String)>,
}

impl<'b> Listeners<'b> {
    /// Listens to what arrives at a tenant's hosts and matches the filter; returns when all do.
    pub(super) fn start(testbed: &'b Testbed, tenant: Tenant, sites: &[Site], filter: &str) -> io::Result<Self> {
        let mut listeners = Self { testbed, tenant, ears: Vec::new() };
        for site in sites {
            let file = listeners.listen(site, filter)?;
            listeners.ears.push((site.clone(), file));
        }
        let end = Instant::now() + START;
        for at in 0..listeners.ears.len() {
            let mut again = Instant::now() + SLOW;
            while !listeners.is_listening(at) {
                let (site, _) = &listeners.ears[at];
                if Instant::now() > end {
                    return Err(io::Error::other(format!("tcpdump does not start at {site}")));
                }
                // Now and then one hangs in User-Mode Linux. What it may still write is nobody's.
                if Instant::now() > again {
                    listeners.ears[at].1 = listeners.listen(site, filter)?;
                    again = Instant::now() + SLOW;
                }
                interrupt::pause(Duration::from_millis(20))?;
            }
        }
        Ok(listeners)
    }

    /// Starts one, and says where it writes.
    fn listen(&self, site: &Site, filter: &str) -> io::Result<String> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // User-Mode Linux can write nowhere else.
        let file = format!("/run/transload-{}-{number}.pcap", std::process::id());
        let line =
            format!("timeout {LONGEST} tcpdump -i t0 -n -p -Q in -U --immediate-mode -Z root -w {file} {filter}");
        self.testbed.host(site, self.tenant).background(&line)?;
        Ok(file)
    }

    fn is_listening(&self, at: usize) -> bool {
        let (site, file) = &self.ears[at];
        // The capture's own header is the first that is written.
        self.testbed.host(site, self.tenant).sh(&format!("test -s {file}")).is_ok()
    }

    /// What each host has received so far: a line of tcpdump's for each frame.
    pub(super) fn heard(&self) -> io::Result<Vec<(Site, Vec<String>)>> {
        let lines = |(site, file): &(Site, String)| {
            let printed = self.testbed.host(site, self.tenant).sh(&format!("tcpdump -n -t -r {file} 2>/dev/null"))?;
            Ok((site.clone(), printed.lines().map(str::to_owned).collect()))
        };
        self.ears.iter().map(lines).collect()
    }
}

impl Drop for Listeners<'_> {
    fn drop(&mut self) {
        for (site, file) in &self.ears {
            // The listener ends with its limit; nobody reads the file any more.
            let _ = self.testbed.host(site, self.tenant).sh(&format!("rm -f {file}"));
        }
    }
}
