//! Ports whose device went away and came back: the worker's port is exchanged for a new one without the worker
//! noticing more than a pause.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};
use transload_encaps::Frame;

use crate::control::compile::PortPlan;
use crate::control::filters::filter;
use crate::control::kernel::{Kernel, LinkIndex};
use crate::dataplane::BoxedPort;
use crate::forwarding::Forwarding;
use crate::io::af_xdp::{Redirect, Umem};
use crate::io::{Backend, Caps, Opened, Pool, Port, Sent, Xdp};

/// A port that control can exchange for a new one.
pub struct Exchangeable<'mem> {
    port: BoxedPort<'mem>,
    fresh: Consumer<BoxedPort<'mem>>,
}

impl<'mem> Port<'mem> for Exchangeable<'mem> {
    fn start(&mut self, pool: &mut Pool<'mem>) -> std::io::Result<()> {
        self.port.start(pool)
    }

    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> std::io::Result<()> {
        if let Ok(fresh) = self.fresh.pop() {
            self.port.close(pool);
            self.port = fresh;
        }
        self.port.rx_burst(pool, burst, limit)
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        self.port.tx_burst(pool, frames)
    }

    fn caps(&self) -> Caps {
        self.port.caps()
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.port.readable()
    }

    fn is_stuck(&self) -> bool {
        self.port.is_stuck()
    }

    fn kernel_drops(&mut self) -> u64 {
        self.port.kernel_drops()
    }

    fn close(&mut self, pool: &mut Pool<'mem>) {
        self.port.close(pool);
    }
}

/// The control plane's end of a port on a device.
pub struct Revival<'mem> {
    plan: PortPlan,
    device: String,
    /// The device that is open now; another one of its name has another index.
    open: Option<LinkIndex>,
    workers: Vec<Producer<BoxedPort<'mem>>>,
    /// The memory of each worker, if the port is to be on XDP sockets.
    umems: Vec<Arc<Umem<'mem>>>,
    /// What decides which frames come to it, if it is on XDP sockets.
    redirect: Option<Arc<Redirect>>,
}

/// A port as every worker gets it, and what revives it, if it is on a device.
#[must_use]
pub fn exchangeable<'mem>(
    plan: &PortPlan,
    opened: Opened<'mem>,
    umems: &[Arc<Umem<'mem>>],
) -> (Vec<BoxedPort<'mem>>, Option<Revival<'mem>>) {
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
        let (producer, fresh) = RingBuffer::new(1);
        workers.push(producer);
        ports.push(Box::new(Exchangeable { port, fresh }) as BoxedPort<'mem>);
    }
    let (plan, open, umems, redirect) = (plan.clone(), opened.ifindex, umems.to_vec(), opened.redirect);
    (ports, Some(Revival { plan, device, open, workers, umems, redirect }))
}

impl Revival<'_> {
    /// Has the frames come that belong to the gateway by these tables.
    pub fn follow(&self, tables: &Forwarding) {
        let Some(redirect) = &self.redirect else { return };
        if let Err(error) = redirect.replace(&filter(tables, self.plan.id)) {
            tracing::warn!("port {}: the frames that reach it are those of before: {error}", self.plan.name);
        }
    }

    /// Opens the device again if another one of its name is there now. Gives back its name if so.
    pub fn look(&mut self, kernel: &Kernel, tables: &Forwarding) -> Option<&str> {
        let now = kernel.link_named(&self.device).map(|(index, _)| index);
        // A TAP is ours: when it is gone, nobody else will bring it back.
        let is_due = match now {
            Some(index) => self.open != Some(index),
            None => matches!(self.plan.backend, Backend::Tap { .. }) && self.open.is_some(),
        };
        // A worker that has not taken the last one yet will, and then find that it is gone.
        if !is_due || self.workers.iter().any(Producer::is_full) {
            return None;
        }
        let umems = &self.umems;
        let xdp = (!umems.is_empty()).then(|| Xdp { umems, filter: filter(tables, self.plan.id) });
        match crate::io::open(&self.plan.name, &self.plan.backend, self.workers.len(), xdp) {
            Ok(opened) => {
                (self.open, self.redirect) = (opened.ifindex, opened.redirect);
                for (worker, port) in self.workers.iter_mut().zip(opened.ports) {
                    // There is room: it was not full.
                    let _ = worker.push(port);
                }
                tracing::info!("port {}: {} is back, and open again", self.plan.name, self.device);
                Some(&self.device)
            }
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }
}
