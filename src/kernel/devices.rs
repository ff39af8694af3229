//! What the kernel says of the devices behind ports, as facts for the RIB.

use super::tables::{Kernel, Link};
use crate::forwarding::{PortId, Slab};
use crate::rib::facts::{DeviceFact, DeviceState, PortLink};

/// The devices of these ports. A port without a device is left out.
#[must_use]
pub fn devices(ports: &Slab<PortId, PortLink>, kernel: &Kernel) -> Vec<DeviceFact> {
    let named = ports.iter().filter_map(|(port, link)| Some((port, link.device.as_ref()?)));
    named.map(|(port, name)| fact(port, name, kernel.link_named(name).map(|(_, device)| device))).collect()
}

fn fact(port: PortId, name: &str, device: Option<&Link>) -> DeviceFact {
    let Some(device) = device else {
        return DeviceFact { port, state: None, failure: Some(format!("{name} is gone")) };
    };
    let state = DeviceState { mac: device.mac, mtu: Some(device.mtu), is_down: !device.is_up() };
    let failure = state.is_down.then(|| format!("{name} {}", device.state));
    DeviceFact { port, state: Some(state), failure }
}
