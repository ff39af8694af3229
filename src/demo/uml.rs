//! A host in User-Mode Linux, from outside: wired to the gateway by a TAP, with commands on its console.

use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::time::Duration;

use transload_lab::Namespace;
use transload_lab::uml::{Launch, UmlProcess};

use super::guest::{MARK, WIRED};
use super::sites::{Site, UNDERLAY_MTU};
use super::tcp::{Budget, Moved};

/// Enough for a kernel and one process; taken as it is used.
const MEMORY: &str = "mem=128M";
const BOOT: Duration = Duration::from_secs(12);
const OFF: Duration = Duration::from_secs(5);
/// On top of what the order itself may take.
const GRACE: Duration = Duration::from_secs(12);

/// A host in a running User-Mode Linux. Switched off when dropped.
#[derive(Debug)]
pub(super) struct UmlHost(UmlProcess);

impl UmlHost {
    /// Starts it for this site. Its network device is a TAP in `namespace` with the name of the gateway's end of the
    /// cable; there is no other cable.
    ///
    /// # Errors
    /// When it is not installed or cannot be started.
    pub(super) fn start(namespace: &Namespace, site: &Site) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut launch = Launch::new()?;
        launch.arg(MEMORY).arg("console=tty0").arg(&format!("init={}", program.display()));
        // With gro, the driver has room for the super-frames that it lets the TAP promise.
        launch.arg(&format!(
            "vec0:transport=tap,ifname={},mac={},mtu={UNDERLAY_MTU},gro=1",
            site.device(),
            site.far_mac()
        ));
        launch.arg("--").arg("demo").arg("--guest").arg(site.name);
        launch.start(|command| namespace.spawn(command)).map(Self)
    }

    /// Waits until its end of the cable, and so the TAP, is there.
    ///
    /// # Errors
    /// When it is not within its time, or says why it cannot be.
    pub(super) fn wait_until_wired(&mut self) -> io::Result<()> {
        match self.hear(BOOT)?.as_str() {
            WIRED => Ok(()),
            other => Err(self.0.failure(&format!("reports: {other}")).into()),
        }
    }

    /// Has the site furnished, now that the TAP is up.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn furnish(&mut self) -> io::Result<()> {
        self.ask("furnish", Duration::ZERO).map(drop)
    }

    /// Pings from it.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn ping(&mut self, to: Ipv4Addr, patience: Duration) -> io::Result<Duration> {
        let answer = self.ask(&format!("ping {to} {}", patience.as_millis()), patience)?;
        Ok(Duration::from_nanos(number(answer.first())?))
    }

    /// Sends from it.
    ///
    /// # Errors
    /// When not everything arrives unchanged.
    pub(super) fn send(&mut self, to: Ipv4Addr, budget: Budget) -> io::Result<Moved> {
        let answer = self.ask(&format!("send {to} {} {}", budget.bytes, budget.time.as_millis()), budget.time)?;
        Ok(Moved { bytes: number(answer.first())?, time: Duration::from_nanos(number(answer.get(1))?) })
    }

    fn ask(&mut self, order: &str, patience: Duration) -> io::Result<Vec<String>> {
        self.0.tell(order)?;
        let answer = self.hear(patience + GRACE)?;
        match answer.strip_prefix("ok") {
            Some(values) => Ok(values.split_whitespace().map(str::to_owned).collect()),
            None => Err(io::Error::new(ErrorKind::TimedOut, answer)),
        }
    }

    /// What the guest says to us, out of everything on its console.
    fn hear(&mut self, patience: Duration) -> io::Result<String> {
        Ok(self.0.until(MARK, patience)?.1.trim().to_owned())
    }

    /// Switches it off; true if it went by itself.
    pub(super) fn stop(&mut self) -> io::Result<bool> {
        self.0.switch_off(OFF)
    }
}

fn number(text: Option<&String>) -> io::Result<u64> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| ErrorKind::InvalidData.into())
}
