//! Somebody's own endpoint as a peer: on a device of this machine, described by a small file.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use transload_lab::host::output;
use transload_lab::{Host, Namespace};

use super::cable::Cable;
use super::endpoint::Endpoint;
use super::machine::Machine;
use super::site::{Site, Tenant};
use super::stack::Stack;

/// The time in which its hosts' addresses and devices must be as at the start again, once that is asked of them.
const RESTORING: Duration = Duration::from_secs(10);

/// The endpoint, reached by a device of the gateway's namespace on top of the machine's own.
pub(super) struct External {
    endpoint: &'static Endpoint,
    cable: Cable,
}

impl External {
    /// Lays the cable, and takes from the hosts what an earlier case may have left. The machine's own device stays as
    /// it is.
    pub(super) fn reach(gateway: &Arc<Namespace>) -> io::Result<Self> {
        let endpoint = Endpoint::here().ok_or_else(|| io::Error::other("no endpoint is described"))?;
        for tenant in Tenant::ALL {
            let host = Far { run: &endpoint.run, who: tenant.name() };
            host.sh("ip link show t0")?;
            host.sh(&restored(&endpoint.site()))?;
        }
        let cable = Cable::of(gateway, Stack::External.port());
        let mut make = Command::new("ip");
        make.args(["link", "add", "link", &endpoint.device, "name", Stack::External.port(), "netns", &gateway.path()]);
        output(make.args(["type", "macvlan", "mode", "bridge"]))?;
        gateway.sh(&format!("ip link set {} up", Stack::External.port()))?;
        if let Some((own, _)) = &endpoint.tunnel {
            let nodad = if own.address.is_ipv6() { " nodad" } else { "" };
            gateway.sh(&format!("ip addr add {own}{nodad} dev {}", Stack::External.port()))?;
        }
        Ok(Self { endpoint, cable })
    }
}

impl Drop for External {
    /// Nobody builds these hosts anew: they get back what a case took that was interrupted.
    fn drop(&mut self) {
        let line = restored(&self.endpoint.site());
        let start = |tenant: Tenant| {
            let host = Far { run: &self.endpoint.run, who: tenant.name() };
            host.silent(&line).spawn()
        };
        let mut running: Vec<Child> = Tenant::ALL.into_iter().filter_map(|tenant| start(tenant).ok()).collect();
        let end = Instant::now() + RESTORING;
        while running.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        for mut child in running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The line that takes from a host what cases leave there when they stop in the middle: a device that is down, a second
/// address, and what the kernel was told or has learned.
fn restored(site: &Site) -> String {
    format!(
        "set +e; ip link set t0 up; ip addr replace {v4}/24 dev t0; ip addr replace {v6}/64 dev t0 nodad; \
         ip route replace 224.0.0.0/4 dev t0; ip link del t0.5; ip addr del 10.1.1.{number}/32 dev t0; \
         ip neigh flush nud permanent dev t0; ip route flush cache; ip -6 route flush cache; true",
        v4 = site.v4(),
        v6 = site.v6(),
        number = site.number,
    )
}

struct Far {
    run: &'static Path,
    who: &'static str,
}

impl Far {
    /// The command for a line whose words nobody reads.
    fn silent(&self, line: &str) -> Command {
        let mut command = Command::new(self.run);
        command.args([self.who, line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Host for Far {
    fn sh(&self, line: &str) -> io::Result<String> {
        output(Command::new(self.run).args([self.who, line]))
    }

    fn background(&self, line: &str) -> io::Result<()> {
        // It ends with its line, or with the run.
        self.silent(line).spawn().map(|_| ())
    }
}

/// What cannot be done with an endpoint that is somebody's own: a case that needs it does not run.
fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// Where an external endpoint's tunnels end, which is nobody's business here.
struct Nowhere;

impl Host for Nowhere {
    fn sh(&self, _line: &str) -> io::Result<String> {
        Err(unsupported("an external endpoint lets nobody see its underlay"))
    }

    fn background(&self, line: &str) -> io::Result<()> {
        self.sh(line).map(|_| ())
    }
}

impl Machine for External {
    fn host(&self, _site: &Site, tenant: Tenant) -> Box<dyn Host + '_> {
        Box::new(Far { run: &self.endpoint.run, who: tenant.name() })
    }

    fn under(&self) -> &dyn Host {
        &Nowhere
    }

    fn lost(&self) -> Option<String> {
        let answers = |tenant: Tenant| Far { run: &self.endpoint.run, who: tenant.name() }.sh("true");
        Tenant::ALL.into_iter().find_map(|tenant| answers(tenant).err()).map(|why| why.to_string())
    }

    fn send_to_gateway(&self, _frame: &[u8], _site: &Site) -> io::Result<()> {
        Err(unsupported("frames cannot be made to come from an external endpoint"))
    }

    fn send_to_peer(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        self.cable.send(frame)
    }
}
