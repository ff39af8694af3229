//! Open vSwitch with its userspace datapath: a bridge for each cable, and one for the tenant that forwards by learned
//! addresses.

use transload_lab::{Host, OpenVswitch, skip};

use crate::cpus;
use crate::lab::Lab;
use crate::path::{Encapsulation, Path, Side, text};

use super::{Holder, Io, Running, Why};

pub(super) fn start(lab: &Lab, path: &Path, io: Io) -> Result<Running, Why> {
    skip::ovs().map_err(Why::NotAvailable)?;
    let switch = OpenVswitch::start(&lab.gateway)?;
    if io == Io::AfXdp {
        let types = switch.vsctl("get Open_vSwitch . iface_types")?;
        if !types.contains("afxdp") {
            return Err(Why::NotAvailable("this Open vSwitch is built without AF_XDP".into()));
        }
        switch.vsctl(&format!("set Open_vSwitch . other_config:pmd-cpu-mask={:x}", 1 << cpus::GATEWAY))?;
    }
    switch.vsctl(
        "add-br tenant -- set bridge tenant datapath_type=netdev other-config:mac-table-size=1000000 \
         other-config:mac-aging-time=3600",
    )?;
    for side in [&path.from, &path.to] {
        cable(lab, &switch, side, io)?;
    }
    Ok(Running { processes: switch.processes(), _holder: Holder::Switch(switch) })
}

fn cable(lab: &Lab, switch: &OpenVswitch, side: &Side, io: Io) -> Result<(), Why> {
    let (device, number, mac) = (side.device, side.number, text(side.gateway_mac()));
    let bridge = format!("cable{number}");
    // `system` is the datapath's word for a packet socket.
    let kind = if io == Io::AfXdp { "afxdp" } else { "system" };
    switch.vsctl(&format!(
        "add-br {bridge} -- set bridge {bridge} datapath_type=netdev other-config:hwaddr={mac} \
         -- add-port {bridge} {device} -- set interface {device} type={kind}"
    ))?;
    let broken = switch.vsctl(&format!("get interface {device} error"))?;
    if !broken.trim().trim_matches(['[', ']', '"']).is_empty() {
        return Err(Why::NotAvailable(format!("Open vSwitch does not take the device: {}", broken.trim())));
    }
    if let Encapsulation::QinQ { s_vid, c_vid } = side.encap {
        return tags(switch, device, &bridge, s_vid, c_vid);
    }
    let Side { gateway, peer, .. } = side;
    lab.gateway.sh(&format!("ip addr add {gateway}/24 dev {bridge}; ip link set {bridge} up"))?;
    switch.appctl(&format!("tnl/neigh/set {bridge} {peer} {}", text(side.peer_mac())))?;
    let (kind, key) = match side.encap {
        Encapsulation::Vxlan { vni } => ("vxlan", vni),
        // It knows NVGRE as GRE with a key: the VSID and a `FlowID` of zero.
        Encapsulation::Nvgre { vsid } => ("gre", vsid << 8),
        Encapsulation::Gre { key } => ("gre", key),
        Encapsulation::QinQ { .. } => return Ok(()),
    };
    switch.vsctl(&format!(
        "add-port tenant t{number} -- set interface t{number} type={kind} options:remote_ip={peer} \
         options:local_ip={gateway} options:key={key}"
    ))?;
    Ok(())
}

/// Takes both tags off towards the tenant's bridge and puts them on again from there.
fn tags(switch: &OpenVswitch, device: &str, bridge: &str, s_vid: u16, c_vid: u16) -> Result<(), Why> {
    switch.vsctl(&format!(
        "add-port {bridge} p0 -- set interface p0 type=patch options:peer=p1 \
         -- add-port tenant p1 -- set interface p1 type=patch options:peer=p0"
    ))?;
    // OFPVID_PRESENT, without which OpenFlow takes the tag for none.
    let (s_tag, c_tag) = (s_vid | 0x1000, c_vid | 0x1000);
    for flow in [
        format!(
            "in_port=p0,actions=push_vlan:0x8100,set_field:{c_tag}->vlan_vid,push_vlan:0x88a8,set_field:{s_tag}->vlan_vid,output:{device}"
        ),
        format!("in_port={device},dl_vlan={s_vid},actions=pop_vlan,goto_table:1"),
        format!("table=1,dl_vlan={c_vid},actions=pop_vlan,output:p0"),
    ] {
        switch.add_flow(bridge, &flow)?;
    }
    Ok(())
}
