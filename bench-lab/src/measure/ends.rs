//! What a tenant's host has as its end of a tunnel: a device of the kernel, or, where this kernel has none for what is
//! spoken, programs on the device that the cable ends in.

use std::io;

use transload_lab::{Host, Namespace};

use crate::path::{Encapsulation, Side, text};
use crate::systems::{Why, device, missing};
use crate::traffic::{Station, Tunnel, TunnelPrograms};

/// Of the tenant's packets: what fits into any tunnel of the lab.
const MTU: u16 = 1450;
/// The kernel's device.
const DEVICE: &str = "tenant";

/// An end, as long as this lives.
#[derive(Debug)]
pub enum End {
    /// A device of the kernel, which stays.
    Device,
    /// Programs on the cable.
    Programs(TunnelPrograms),
}

impl End {
    /// Makes the far end of a side, with the tenant's host `here` who speaks to `there`. `here` has the MAC of the
    /// device that the cable ends in.
    ///
    /// # Errors
    /// When this kernel has neither the device nor what programs need.
    pub fn furnish(host: &Namespace, side: &Side, here: Station, there: Station) -> Result<Self, Why> {
        let (cable, gateway) = (side.outside, text(side.gateway_mac()));
        let Side { gateway: remote, peer: local, encap, .. } = *side;
        let has_addresses = !matches!(encap, Encapsulation::QinQ { .. });
        if has_addresses {
            host.sh(&format!(
                "ip addr replace {local}/24 dev {cable}; ip neigh replace {remote} lladdr {gateway} dev {cable} nud permanent"
            ))?;
        }
        // A measurement that failed may have left it.
        host.sh(&format!("ip link del {DEVICE} 2>/dev/null || true"))?;
        match host.sh(&device(&side.mirrored(), DEVICE)).map_err(|error| missing(side, error)) {
            Ok(_) => {
                host.sh(&format!("ip link set {DEVICE} address {} mtu {MTU} up", text(here.mac)))?;
                reach(host, DEVICE, here, there, there.mac)?;
                Ok(Self::Device)
            }
            Err(Why::NotAvailable(_)) => {
                // The cable's Ethernet header goes to whoever is at its other end, the tenant's to the tenant's host.
                let next_hop = if has_addresses { side.gateway_mac() } else { there.mac };
                let programs = Tunnel { encap, local, remote, here, there }.attach(host, cable)?;
                reach(host, cable, here, there, next_hop)?;
                Ok(Self::Programs(programs))
            }
            Err(why) => Err(why),
        }
    }

    /// The device that the tenant's packets leave by.
    #[must_use]
    pub fn device<'a>(&self, side: &'a Side) -> &'a str {
        if matches!(self, Self::Device) { DEVICE } else { side.outside }
    }

    /// Its name in the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if matches!(self, Self::Device) { "a device of the kernel" } else { "BPF programs" }
    }
}

/// Nobody asks for anybody's MAC.
fn reach(host: &Namespace, device: &str, here: Station, there: Station, mac: [u8; 6]) -> io::Result<()> {
    let (own, other, mac) = (here.address, there.address, text(mac));
    host.sh(&format!(
        "ip addr replace {own}/32 dev {device}; ip route replace {other}/32 dev {device} src {own} mtu {MTU}; \
         ip neigh replace {other} lladdr {mac} dev {device} nud permanent"
    ))?;
    Ok(())
}
