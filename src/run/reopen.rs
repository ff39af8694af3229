//! Ports whose device went away and came back: the worker's port is exchanged for a new one without the worker
//! noticing more than a pause.

use std::sync::{Arc, Weak};

use transload_encaps::Mac;

use super::filters::filter;
use crate::compile::PortPlan;
use crate::forwarding::{FileTables, Forwarding};
use crate::io::af_xdp::{Filter, Redirect, Umem};
use crate::io::swappable::{Swap, swappable};
use crate::io::{Backend, BoxedPort, Opened, Xdp};
use crate::kernel::tables::{Kernel, LinkIndex};
use crate::logging::LogEvent;

/// The control plane's end of a port on a device.
pub struct PortReopener<'mem> {
    plan: PortPlan,
    device: String,
    /// The device that is open now; another one of its name has another index.
    open: Option<LinkIndex>,
    workers: Vec<Swap<'mem>>,
    /// The memory of each worker, if the port is to be on XDP sockets.
    umems: Vec<Arc<Umem<'mem>>>,
    /// What decides which frames come to it, if it is on XDP sockets.
    redirect: Option<Arc<Redirect>>,
    /// What its filter was made from, as of the last time.
    followed: (Weak<FileTables>, Option<Mac>),
}

/// A port as every worker gets it, and what opens it again, if it is on a device.
#[must_use]
pub fn reopenable<'mem>(
    plan: &PortPlan,
    opened: Opened<'mem>,
    umems: &[Arc<Umem<'mem>>],
) -> (Vec<BoxedPort<'mem>>, Option<PortReopener<'mem>>) {
    let device = match &plan.backend {
        Backend::Auto { device }
        | Backend::AfPacket { device }
        | Backend::AfXdp { device }
        | Backend::Tap { device } => device.clone(),
        Backend::Unix { .. } => return (opened.ports, None),
    };
    let mut ports = Vec::new();
    let mut workers = Vec::new();
    for port in opened.ports {
        let (port, swap) = swappable(port);
        workers.push(swap);
        ports.push(port);
    }
    let (plan, open, umems, redirect) = (plan.clone(), opened.ifindex, umems.to_vec(), opened.redirect);
    let followed = (Weak::new(), None);
    (ports, Some(PortReopener { plan, device, open, workers, umems, redirect, followed }))
}

impl PortReopener<'_> {
    fn mac(&self, tables: &Forwarding) -> Option<Mac> {
        tables.ports.get(self.plan.id).and_then(|port| port.mac)
    }

    fn filter(&self, tables: &Forwarding) -> Filter {
        filter(tables, self.plan.id, self.mac(tables))
    }

    /// Has the frames come that belong to the gateway by these tables.
    pub fn follow(&mut self, tables: &Forwarding) {
        let Some(redirect) = &self.redirect else { return };
        let now = (Arc::downgrade(&tables.file), self.mac(tables));
        if self.followed.0.ptr_eq(&now.0) && self.followed.1 == now.1 {
            return;
        }
        match redirect.replace(&self.filter(tables)) {
            Ok(()) => self.followed = now,
            Err(error) => LogEvent::XdpFilterKept { port: &self.plan.name, why: &error.to_string() }.tell(),
        }
    }

    /// Opens the device again if another one of its name is there now. Returns its name if so.
    pub fn look(&mut self, kernel: &Kernel, tables: &Forwarding) -> Option<&str> {
        let now = kernel.link_named(&self.device).map(|(index, _)| index);
        // A TAP is ours: when it is gone, nobody else will bring it back.
        let is_due = match now {
            Some(index) => self.open != Some(index),
            None => matches!(self.plan.backend, Backend::Tap { .. }) && self.open.is_some(),
        };
        // A worker that has not taken the last one yet will, and then find that it is gone.
        if !is_due || self.workers.iter().any(Swap::is_full) {
            return None;
        }
        let umems = &self.umems;
        let xdp = (!umems.is_empty()).then(|| Xdp { umems, filter: self.filter(tables) });
        match crate::io::open(&self.plan.name, &self.plan.backend, self.workers.len(), xdp) {
            Ok(opened) => {
                (self.open, self.redirect) = (opened.ifindex, opened.redirect);
                self.followed = (Weak::new(), None);
                for (worker, port) in self.workers.iter_mut().zip(opened.ports) {
                    // There is room: it was not full.
                    let _ = worker.put(port);
                }
                LogEvent::PortReopened { port: &self.plan.name, device: &self.device }.tell();
                Some(&self.device)
            }
            Err(error) => {
                let (port, device) = (&*self.plan.name, &*self.device);
                LogEvent::PortNotReopened { port, device, why: &error.to_string() }.tell();
                None
            }
        }
    }
}
