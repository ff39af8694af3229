//! User-Mode Linux as a peer, behind a `unix` port: one kernel for all sites, a namespace in it for each host.

use std::io;
use std::path::Path;

use transload_lab::Host;

use super::file::{UML_GATEWAY_MAC, UML_MAC};
use super::linux;
use super::machine::{Machine, addresses};
use super::site::{Site, Tenant, Underlay};
use crate::peers::{Uml, Wire};
use crate::world::Inside;

/// The kernel and its cable.
pub(super) struct UserModeLinux {
    // Dropped in this order.
    kernel: Uml,
    wire: Wire,
}

impl UserModeLinux {
    /// Boots and furnishes it. Its sockets and its capture are in `place`.
    pub(super) fn boot(place: &Path, capture: &Path, sites: &[Site]) -> io::Result<Self> {
        let (wire, card) = Wire::new(&place.join("peer-uml.sock"), &place.join("uml.sock"), capture)?;
        let machine = Self { kernel: Uml::boot(card)?, wire };
        // The cable carries a service tag beside the 1500 bytes that everyone may use.
        machine.kernel.sh(&format!("ip link set vec0 address {UML_MAC} && ip link set vec0 up"))?;
        let mut gateways: Vec<_> = sites.iter().filter(|site| site.underlay != Underlay::Cable).collect();
        for site in &gateways {
            machine.kernel.sh(&linux::underlay(site, "vec0").unwrap_or_default())?;
        }
        gateways.dedup_by_key(|site| site.addresses.0.clone());
        for site in gateways {
            let gateway = &site.addresses.0;
            machine.kernel.sh(&format!("ip neigh replace {gateway} lladdr {UML_GATEWAY_MAC} dev vec0"))?;
        }
        for site in sites {
            for tenant in Tenant::ALL {
                machine.furnish(site, tenant)?;
            }
        }
        Ok(machine)
    }

    fn furnish(&self, site: &Site, tenant: Tenant) -> io::Result<()> {
        let device = linux::device(site, tenant);
        let tunnel = linux::tunnel(site, tenant, "vec0");
        self.kernel.sh(&format!(
            "{tunnel} && ip netns add {device} && ip link set {device} netns {device} name t0 && \
             ip netns exec {device} sh -c \"ip link set lo up && {}\"",
            addresses(site)
        ))?;
        Ok(())
    }
}

impl Machine for UserModeLinux {
    fn host(&self, site: &Site, tenant: Tenant) -> Box<dyn Host + '_> {
        Box::new(Inside { host: &self.kernel, namespace: linux::device(site, tenant) })
    }

    fn under(&self) -> &dyn Host {
        &self.kernel
    }

    fn lost(&self) -> Option<String> {
        self.kernel.lost().map(|how| format!("it {how}"))
    }

    fn send_to_gateway(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        self.wire.send_to_gateway(frame)
    }

    fn send_to_peer(&self, frame: &[u8], _site: &Site) -> io::Result<()> {
        self.wire.send_to_peer(frame)
    }
}
