//! What a configuration needs of the machine it runs on, and what of the machine stands in its way. `run`, `reload` and
//! `check --host` ask the same.

mod addresses;
mod devices;
mod ipsec;
mod mtus;
mod routes;
mod taken;

use std::io;
use std::net::IpAddr;

use transload_encaps::Mac;

use super::device_kinds;
use super::ipsec::policies::{IpsecPolicy, policies};
use super::netlink::Netlink;
use super::tables::{Kernel, Link, LinkIndex};
use crate::compile::Plan;
use crate::config::{Config, Problem};

pub use routes::check as check_routes;

/// This machine at one moment, as far as a configuration depends on it.
#[derive(Debug)]
pub struct Machine {
    /// Its devices, without routes and neighbours.
    kernel: Kernel,
    addresses: Vec<(LinkIndex, IpAddr)>,
    /// The IPsec policies, or why they are not known.
    policies: io::Result<Vec<IpsecPolicy>>,
}

impl Machine {
    /// Asks the kernel. Nothing is changed, and nothing opened.
    ///
    /// # Errors
    /// When it will not say what it has.
    pub async fn read() -> io::Result<Self> {
        let (netlink, _changes) = Netlink::open()?;
        Ok(Self {
            kernel: Kernel { links: netlink.links().await?.into_iter().collect(), ..Kernel::default() },
            addresses: netlink.addresses().await?,
            policies: policies(),
        })
    }

    /// Its devices, without routes and neighbours.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives the devices of a plan the names that the kernel lists them by, where the file has alternative ones. A device
    /// that a `running` gateway opened by such a name is meant by it still, even if it is away.
    pub fn name_devices(&self, plan: &mut Plan, running: Option<&Plan>) {
        plan.name_devices(|port, written| {
            let before = running.and_then(|plan| plan.ports.iter().find(|old| old.id == port.id));
            if let Some(before) = before.filter(|before| before.written.as_deref() == Some(written)) {
                return before.backend.network_device().map(str::to_owned);
            }
            let is_meant = |link: &&Link| link.other_names.iter().any(|name| name == written);
            self.kernel.links.values().find(is_meant).map(|link| link.name.clone())
        });
    }

    /// What a gateway that starts trips over, in the order of the file.
    #[must_use]
    pub fn problems(&self, config: &Config, plan: &Plan) -> Vec<Problem> {
        let mut problems = devices::missing_devices(config, plan, self);
        problems.extend(devices::named_twice(config, plan));
        problems.extend(taken::members(plan, self));
        problems.extend(self.problems_of_reload(config, plan, None));
        problems.sort_by_key(Problem::span);
        problems
    }

    /// TAPs of a plan that so many workers cannot make or join.
    #[must_use]
    pub fn unusable_taps(&self, config: &Config, plan: &Plan, workers: usize) -> Vec<Problem> {
        devices::unusable_taps(config, plan, self, workers)
    }

    /// What others hold of the devices of a plan that no gateway serves: XDP programs, and TAPs.
    #[must_use]
    pub fn held_by_others(&self, plan: &Plan) -> Vec<Problem> {
        let mut problems = devices::foreign_programs(plan, self);
        problems.extend(devices::taps_in_use(plan, self));
        problems
    }

    /// What a gateway trips over whose ports are open already, in the order of the file. Their devices may be away, and so
    /// may the addresses of endpoints that a `running` one has.
    #[must_use]
    pub fn problems_of_reload(&self, config: &Config, plan: &Plan, running: Option<&Plan>) -> Vec<Problem> {
        let mut problems = addresses::missing_addresses(config, plan, running, self);
        problems.extend(device_kinds::check(config, plan, &self.kernel));
        problems.extend(ipsec::objections(config, plan, self));
        problems.extend(mtus::doubts(config, plan, self));
        problems.extend(taken::cut_off(plan, self));
        problems.extend(devices::unanswered_macs(config, plan, self));
        problems.extend(devices::offloading_senders(config, plan, self));
        problems.sort_by_key(Problem::span);
        problems
    }

    /// What IPsec policies object to.
    #[must_use]
    pub fn ipsec_objections(&self, config: &Config, plan: &Plan) -> Vec<Problem> {
        ipsec::objections(config, plan, self)
    }

    /// Whether a device with this MAC address has this address, and so answers for it.
    fn answers(&self, address: IpAddr, mac: Mac) -> bool {
        let mut devices = self.addresses.iter().filter(|(_, own)| *own == address);
        devices.any(|(index, _)| self.kernel.links.get(index).is_some_and(|link| link.mac == Some(mac)))
    }
}
