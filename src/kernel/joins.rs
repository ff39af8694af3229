//! The multicast groups that endpoints hear, joined on every device they are heard by, and joined again when such a
//! device comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::compile::Plan;
use crate::io::multicast::Membership;
use crate::kernel::tables::{Kernel, LinkIndex};

/// A group to be heard by a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    group: IpAddr,
    device: String,
    /// The endpoint's tag: the kernel then asks by the VLAN device above.
    vlan: Option<u16>,
}

/// What a plan wants to hear.
#[must_use]
pub fn wishes(plan: &Plan) -> Vec<Wish> {
    let mut all = BTreeSet::new();
    for port in &plan.ports {
        let Some(device) = port.backend.network_device() else { continue };
        let table = plan.tables.ports.get(port.id);
        let endpoints = table.into_iter().flat_map(|table| &table.endpoints);
        for endpoint in endpoints.filter_map(|id| plan.tables.endpoints.get(*id)) {
            let wish = |group: &IpAddr| Wish { group: *group, device: device.to_owned(), vlan: endpoint.vlan };
            all.extend(endpoint.multicast.iter().map(wish));
        }
    }
    all.into_iter().collect()
}

/// The groups that are joined.
#[derive(Debug, Default)]
pub struct Joins {
    held: BTreeMap<(Wish, LinkIndex), Membership>,
    /// What could not be joined, and has been told.
    told: BTreeSet<Wish>,
}

impl Joins {
    /// Joins what is wanted and not joined yet, on the devices that are there now, and leaves the rest.
    pub fn look(&mut self, wishes: &[Wish], kernel: &Kernel) {
        let now: BTreeMap<&Wish, LinkIndex> =
            wishes.iter().filter_map(|wish| Some((wish, device(wish, kernel)?))).collect();
        self.held.retain(|(wish, index), _| now.get(wish) == Some(index));
        self.told.retain(|wish| wishes.contains(wish));
        for wish in wishes {
            let Some(&index) = now.get(wish) else {
                self.tell(wish, "there is no such device now");
                continue;
            };
            if self.held.contains_key(&(wish.clone(), index)) {
                continue;
            }
            match Membership::join(wish.group, index) {
                Ok(membership) => {
                    self.told.remove(wish);
                    tracing::info!("joined {} on {}", wish.group, kernel.link_name(index));
                    self.held.insert((wish.clone(), index), membership);
                }
                Err(error) => self.tell(wish, &error.to_string()),
            }
        }
    }

    fn tell(&mut self, wish: &Wish, why: &str) {
        if self.told.insert(wish.clone()) {
            let tag = wish.vlan.map_or_else(String::new, |vlan| format!(" (vlan {vlan})"));
            tracing::warn!(
                "cannot join {} on {}{tag}: {why}; switches that listen to IGMP and MLD will not send it here",
                wish.group,
                wish.device
            );
        }
    }
}

fn device(wish: &Wish, kernel: &Kernel) -> Option<LinkIndex> {
    let (lower, _) = kernel.link_named(&wish.device)?;
    let Some(vlan) = wish.vlan else { return Some(lower) };
    kernel.links.iter().find(|(_, link)| link.vlan == Some((lower, vlan))).map(|(index, _)| *index)
}
