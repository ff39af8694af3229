//! A bridge of the kernel's own tunnel devices. NVGRE it does not know: a `gretap` whose key is the VSID and a `FlowID`
//! of zero stands in for it, as far as that goes.

use std::io;

use transload_lab::Host;

use crate::lab::Lab;
use crate::path::{Encapsulation, Path, Side};

use super::{Holder, Running, Why};

pub(super) fn start(lab: &Lab, path: &Path) -> Result<Running, Why> {
    lab.address(path)?;
    // Learned addresses outlast the measurement.
    lab.gateway.sh("ip link add br0 type bridge stp_state 0 mcast_snooping 0 ageing_time 360000")?;
    for (side, port) in [(&path.from, "in0"), (&path.to, "out0")] {
        lab.gateway.sh(&device(side, port)).map_err(|error| missing(side, error))?;
        lab.gateway.sh(&format!("ip link set {port} master br0; ip link set {port} up"))?;
    }
    lab.gateway.sh("ip link set br0 up")?;
    Ok(Running { processes: Vec::new(), _holder: Holder::Devices })
}

/// `ip` says so of a device type that is not built in and cannot be loaded.
pub(crate) fn missing(side: &Side, error: io::Error) -> Why {
    if error.to_string().contains("Unknown device type") {
        let kind = if matches!(side.encap, Encapsulation::QinQ { .. }) { "vlan" } else { "gretap" };
        return Why::NotAvailable(format!("this kernel has no {kind} devices"));
    }
    Why::Failed(error)
}

/// The lines that make a device of this name for what is spoken on a side, from the gateway's place.
#[must_use]
pub fn device(side: &Side, name: &str) -> String {
    let Side { device, gateway, peer, .. } = side;
    let gretap =
        |key: u32| format!("ip link add {name} type gretap local {gateway} remote {peer} key {key} nopmtudisc");
    match side.encap {
        Encapsulation::Vxlan { vni } => format!(
            "ip link add {name} type vxlan id {vni} local {gateway} remote {peer} dev {device} dstport 4789 nolearning"
        ),
        Encapsulation::Nvgre { vsid } => gretap(vsid << 8),
        Encapsulation::Gre { key } => gretap(key),
        Encapsulation::QinQ { s_vid, c_vid } => format!(
            "ip link add link {device} name s-{name} type vlan protocol 802.1ad id {s_vid}; ip link set s-{name} up\n\
             ip link add link s-{name} name {name} type vlan protocol 802.1Q id {c_vid}"
        ),
    }
}
