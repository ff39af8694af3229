//! Somebody's own endpoint as a peer: on a device of this machine, described by a small file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use transload_lab::host::output;
use transload_lab::{Host, Namespace};

use super::cable::Cable;
use super::machine::Machine;
use super::site::{Encap, Site, Tenant, Underlay};
use super::stack::Stack;

/// Its number among the sites: always the same, so that its tenant IDs and addresses are.
const NUMBER: u8 = 100;
static ENDPOINT: OnceLock<Endpoint> = OnceLock::new();

/// What the file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// What it is called in the report.
    pub name: String,
    /// The implementation that it runs, which a passed case counts for; `transload` itself counts for none.
    pub implementation: String,
    /// The device of this machine that leads to it.
    pub device: String,
    /// How it is spoken to.
    pub encap: Encap,
    /// Our tunnel address, with its prefix length; left out for tags.
    pub gateway: Option<String>,
    /// Its tunnel address; left out for tags.
    pub address: Option<String>,
    /// A program that runs a shell line at a host behind it: it is started with `blue` or `red`, and the line.
    pub run: PathBuf,
}

impl Endpoint {
    /// Reads the file. A `run` that is a relative path is beside it.
    ///
    /// # Errors
    /// When it cannot be read or does not say what it must.
    pub fn read(file: &Path) -> io::Result<Self> {
        let text =
            fs::read_to_string(file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        let read: Result<Self, _> = serde_saphyr::from_str(&text);
        let mut endpoint = read.map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        let is_tagged = matches!(endpoint.encap, Encap::QinQ | Encap::Vlan);
        if is_tagged != (endpoint.gateway.is_none() && endpoint.address.is_none()) {
            let rule = "`gateway` and `address` are needed for tunnels, and are not for `qinq` and `vlan`";
            return Err(io::Error::other(format!("{}: {rule}", file.display())));
        }
        endpoint.run = file.parent().unwrap_or(Path::new(".")).join(&endpoint.run).canonicalize()?;
        Ok(endpoint)
    }

    /// From now on this is the run's external endpoint.
    pub fn take_part(self) {
        Stack::name_external(&self.implementation);
        // A second one would be refused by the command line.
        let _ = ENDPOINT.set(self);
    }

    /// The one that takes part, if any does.
    #[must_use]
    pub fn here() -> Option<&'static Self> {
        ENDPOINT.get()
    }

    /// Its site.
    #[must_use]
    pub fn site(&self) -> Site {
        let (gateway, address) = (self.gateway.clone().unwrap_or_default(), self.address.clone().unwrap_or_default());
        let underlay = match (address.is_empty(), address.contains(':')) {
            (true, _) => Underlay::Cable,
            (_, true) => Underlay::V6,
            (_, false) => Underlay::V4,
        };
        let gateway = gateway.split('/').next().unwrap_or_default().to_owned();
        Site {
            name: self.name.clone(),
            stack: Stack::External,
            encap: self.encap,
            underlay,
            number: NUMBER,
            addresses: (gateway, address),
        }
    }

    /// What must be set up at the far end before it can take part.
    #[must_use]
    pub fn wanted(&self) -> String {
        let site = self.site();
        let id = |tenant| match site.encap {
            Encap::Vxlan => format!("VNI {}", site.id(tenant)),
            Encap::Gre | Encap::GreChecked => format!("key {}", site.id(tenant)),
            Encap::Nvgre | Encap::NvgreZero => {
                format!("VSID {} (a GRE key of {})", site.id(tenant), site.id(tenant) << 8)
            }
            Encap::QinQ => format!("S-VID {} and C-VID {}", site.s_vid(), site.id(tenant)),
            Encap::Vlan => format!("VID {}", site.id(tenant)),
        };
        format!(
            "{}: tenant blue is {}, tenant red is {}. A Linux host behind each, with a device t0: {}/24, {}/64, MAC {}, \
             MTU {}",
            self.name,
            id(Tenant::Blue),
            id(Tenant::Red),
            site.v4(),
            site.v6(),
            site.mac(),
            site.mtu()
        )
    }
}

/// The endpoint, reached by a device of the gateway's namespace on top of the machine's own.
pub(super) struct External {
    endpoint: &'static Endpoint,
    cable: Cable,
}

impl External {
    /// Lays the cable. The machine's own device stays as it is.
    pub(super) fn reach(gateway: &Arc<Namespace>) -> io::Result<Self> {
        let endpoint = Endpoint::here().ok_or_else(|| io::Error::other("no endpoint is described"))?;
        let cable = Cable::of(gateway, Stack::External.port());
        let mut make = Command::new("ip");
        make.args(["link", "add", "link", &endpoint.device, "name", Stack::External.port(), "netns", &gateway.path()]);
        output(make.args(["type", "macvlan", "mode", "bridge"]))?;
        gateway.sh(&format!("ip link set {} up", Stack::External.port()))?;
        if let Some(own) = &endpoint.gateway {
            let nodad = if own.contains(':') { " nodad" } else { "" };
            gateway.sh(&format!("ip addr add {own}{nodad} dev {}", Stack::External.port()))?;
        }
        Ok(Self { endpoint, cable })
    }
}

struct Far {
    run: &'static Path,
    who: &'static str,
}

impl Host for Far {
    fn sh(&self, line: &str) -> io::Result<String> {
        output(Command::new(self.run).args([self.who, line]))
    }

    fn background(&self, line: &str) -> io::Result<()> {
        let mut command = Command::new(self.run);
        command.args([self.who, line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It ends with its line, or with the run.
        command.spawn().map(|_| ())
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

    fn send_to_gateway(&self, _frame: &[u8], _site: &Site) -> io::Result<()> {
        Err(unsupported("frames cannot be made to come from an external endpoint"))
    }

    fn send_to_peer(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        self.cable.send(frame)
    }
}
