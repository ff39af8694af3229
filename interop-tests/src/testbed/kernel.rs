//! The running kernel as a peer: a namespace where tunnels end, and one for each tenant's host.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use transload_lab::{Host, Namespace};

use super::cable::Cable;
use super::linux;
use super::machine::{Machine, addresses};
use super::raw;
use super::site::{Site, Tenant};
use super::stack::Stack;

/// The namespaces.
pub(super) struct Kernel {
    cable: Cable,
    under: Namespace,
    hosts: HashMap<(u8, Tenant), Namespace>,
}

impl Kernel {
    /// Builds them on a cable to the gateway.
    pub(super) fn build(gateway: &Arc<Namespace>, sites: &[Site]) -> io::Result<Self> {
        let under = Namespace::new()?;
        let cable = Cable::lay(gateway, Stack::Kernel.port(), (&under, "eth0"), 1500)?;
        let mut machine = Self { cable, under, hosts: HashMap::new() };
        for site in sites {
            if let Some(line) = linux::underlay(site, "eth0") {
                machine.under.sh(&line)?;
            }
            for tenant in Tenant::ALL {
                machine.furnish(site, tenant)?;
            }
        }
        Ok(machine)
    }

    fn furnish(&mut self, site: &Site, tenant: Tenant) -> io::Result<()> {
        let (host, device) = (Namespace::new()?, linux::device(site, tenant));
        let tunnel = linux::tunnel(site, tenant, "eth0");
        self.under.sh(&format!("{tunnel} && ip link set {device} netns {} name t0", host.path()))?;
        host.sh(&addresses(site))?;
        self.hosts.insert((site.number, tenant), host);
        Ok(())
    }
}

impl Machine for Kernel {
    fn host(&self, site: &Site, tenant: Tenant) -> Box<dyn Host + '_> {
        Box::new(&self.hosts[&(site.number, tenant)])
    }

    fn under(&self) -> &dyn Host {
        &self.under
    }

    fn send_to_gateway(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        raw::send(&self.under, "eth0", frame)
    }

    fn send_to_peer(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        self.cable.send(frame)
    }
}
