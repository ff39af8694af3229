//! Memberships: the multicast groups that endpoints receive, joined on every device of the endpoint, and joined again
//! when such a device comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::compile::Plan;
use crate::io::multicast::Membership;
use crate::kernel::tables::{Kernel, LinkIndex};
use crate::logging::LogEvent;

/// A multicast group that is to be joined on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedGroup {
    group: IpAddr,
    device: String,
    /// The endpoint's VLAN ID: the group is then joined on the VLAN device above.
    vlan: Option<u16>,
}

/// The groups that a plan's endpoints receive, by device.
#[must_use]
pub fn wanted_groups(plan: &Plan) -> Vec<WantedGroup> {
    let mut all = BTreeSet::new();
    for port in &plan.ports {
        let Some(device) = port.backend.network_device() else { continue };
        let table = plan.tables.ports.get(port.id);
        let endpoints = table.into_iter().flat_map(|table| &table.endpoints);
        for endpoint in endpoints.filter_map(|id| plan.tables.endpoints.get(*id)) {
            let wanted = |group: &IpAddr| WantedGroup { group: *group, device: device.to_owned(), vlan: endpoint.vlan };
            all.extend(endpoint.multicast.iter().map(wanted));
        }
    }
    all.into_iter().collect()
}

/// The groups that are joined.
#[derive(Debug, Default)]
pub struct Memberships {
    held: BTreeMap<(WantedGroup, LinkIndex), Membership>,
    /// What could not be joined and is in the log already.
    reported: BTreeSet<WantedGroup>,
}

impl Memberships {
    /// Joins what is wanted and not joined yet, on the devices that are there now, and leaves the other groups.
    pub fn update(&mut self, wanted: &[WantedGroup], kernel: &Kernel) {
        let now: BTreeMap<&WantedGroup, LinkIndex> =
            wanted.iter().filter_map(|group| Some((group, kernel.link_in_vlan(&group.device, group.vlan)?))).collect();
        self.held.retain(|(group, index), _| now.get(group) == Some(index));
        self.reported.retain(|group| wanted.contains(group));
        for group in wanted {
            let Some(&index) = now.get(group) else {
                self.report(group, "there is no such device now");
                continue;
            };
            if self.held.contains_key(&(group.clone(), index)) {
                continue;
            }
            match Membership::join(group.group, index) {
                Ok(membership) => {
                    self.reported.remove(group);
                    let device = kernel.link_name(index);
                    LogEvent::MulticastJoined { address: group.group, device: &device }.tell();
                    self.held.insert((group.clone(), index), membership);
                }
                Err(error) => self.report(group, &error.to_string()),
            }
        }
    }

    fn report(&mut self, group: &WantedGroup, why: &str) {
        if self.reported.insert(group.clone()) {
            let WantedGroup { group: address, device, vlan: tag } = group;
            LogEvent::MulticastNotJoined { address: *address, device, tag: *tag, why }.tell();
        }
    }
}
