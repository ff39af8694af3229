//! Opening a plan's ports, and keeping the machine's own stack out of what comes in by them.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error;
use transload_encaps::Carrier;

use crate::compile::{Plan, PortPlan};
use crate::forwarding::{Endpoint, EndpointId, PortId, Slab};
use crate::io::af_xdp::Umem;
use crate::io::quiet::{Quiet, UdpListener, Unheard};
use crate::io::{Backend, BoxedPort, OpenError, Pool, Xdp};
use crate::kernel::tables::{Kernel, LinkIndex};
use crate::logging::LogEvent;
use crate::rib::facts::{DeviceFact, DeviceState};
use crate::run::backends::Choices;
use crate::run::exclusive::Exclusive;
use crate::run::filters::filter;
use crate::run::reopen::{PortReopener, reopenable};

/// After which what another gateway only looked at is free again.
const MOMENT: Duration = Duration::from_millis(5);

/// The ports of a gateway, open. Everything is undone when this is dropped.
pub struct Opening<'mem> {
    /// By worker: its ports.
    pub workers: Vec<Vec<(PortId, BoxedPort<'mem>)>>,
    /// What brings ports back whose device went away.
    pub reopeners: Vec<PortReopener<'mem>>,
    /// What moves the frames of each port, in words.
    pub backends: Slab<PortId, String>,
    /// What the devices of the ports say.
    pub devices: Vec<DeviceFact>,
    /// What keeps the machine quiet.
    pub quiet: Quiet,
}

/// Why the ports are not open.
#[derive(Debug, Error)]
pub enum OpeningError {
    /// One cannot be opened.
    #[error(transparent)]
    Port(#[from] OpenError),
    /// Nothing would arrive.
    #[error("cannot redirect frames to XDP sockets: {0}")]
    Start(#[source] io::Error),
    /// Another gateway is here already.
    #[error(
        "another transload on this machine serves {0} already: stop it first, have this one take its place (`transload run --replace FILE`), or give this one its own"
    )]
    Taken(String),
    /// The kernel has no socket for us.
    #[error("cannot claim {0}: {1}")]
    Claim(String, io::Error),
    /// The machine cannot be kept from answering.
    #[error("cannot keep the kernel from answering {what}: {error}{}", permission(.error, .capability))]
    Quiet {
        /// What it would answer.
        what: String,
        /// What the kernel said.
        error: io::Error,
        /// The capability that it takes.
        capability: &'static str,
    },
}

fn permission(error: &io::Error, capability: &str) -> String {
    if error.kind() == ErrorKind::PermissionDenied {
        format!("; run as root, or with {capability}")
    } else {
        String::new()
    }
}

impl<'mem> Opening<'mem> {
    /// Drops what has arrived so far: another gateway has handled it. Of each port at most 16,384 frames at a time, since there
    /// may be no end to what arrives.
    pub fn discard(&mut self, pools: &mut [Pool<'mem>]) {
        const BURST: usize = 64;
        const BURSTS: usize = 256;
        let mut frames = Vec::with_capacity(BURST);
        for (ports, pool) in self.workers.iter_mut().zip(pools) {
            for (_, port) in ports {
                for _ in 0..BURSTS {
                    // What cannot be received now is the worker's to report.
                    let has_more = port.rx_burst(pool, &mut frames, BURST).is_ok() && !frames.is_empty();
                    frames.drain(..).for_each(|frame| pool.put(frame));
                    if !has_more {
                        break;
                    }
                }
            }
        }
    }

    /// Has frames arrive, in chunks of each worker's memory where that takes some.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn start(&mut self, pools: &mut [Pool<'mem>]) -> Result<(), OpeningError> {
        for (ports, pool) in self.workers.iter_mut().zip(pools) {
            ports.iter_mut().try_for_each(|(_, port)| port.start(pool)).map_err(OpeningError::Start)?;
        }
        Ok(())
    }
}

/// Opens every port as was chosen; `umems` is the memory of each worker, if any port is on XDP sockets.
///
/// # Errors
/// When a port cannot be opened or kept quiet. Nothing is left open then.
pub fn open<'mem>(plan: &Plan, choices: &Choices, umems: &[Arc<Umem<'mem>>]) -> Result<Opening<'mem>, OpeningError> {
    let workers = choices.workers;
    let mut opening = Opening {
        workers: (0..workers).map(|_| Vec::new()).collect(),
        reopeners: Vec::new(),
        backends: Slab::new(),
        devices: Vec::new(),
        quiet: Quiet::new(),
    };
    for port in &plan.ports {
        let choice = choices.of(port.id);
        if let Some((port, why)) = choice.and_then(|choice| Some((&choice.name, choice.words()?))) {
            LogEvent::PortMode { port, why: &why }.tell();
        }
        let on_xdp = choice.filter(|choice| choice.xdp);
        let umems = if on_xdp.is_some() { umems } else { &[] };
        let xdp = on_xdp.map(|choice| {
            let mac = port.mac.or(choice.survey.mac);
            Xdp { umems, filter: filter(&plan.tables, port.id, mac) }
        });
        let opened = crate::io::open(&port.name, &port.backend, workers, xdp)?;
        opening.backends.insert(port.id, backend_words(port, opened.kind));
        let state = DeviceState { mac: opened.mac, mtu: opened.mtu, is_down: false };
        opening.devices.push(DeviceFact { port: port.id, state: Some(state), failure: None });
        let (ports, reopener) = reopenable(port, opened, umems);
        opening.reopeners.extend(reopener);
        for (worker, io) in opening.workers.iter_mut().zip(ports) {
            worker.push((port.id, io));
        }
    }
    Ok(opening)
}

/// The endpoints and the tags of devices that other gateways could serve as well.
#[must_use]
pub fn claims(plan: &Plan) -> Vec<String> {
    let endpoints = plan.tables.endpoints.iter().filter(|(id, _)| is_heard(plan, *id));
    let endpoints = endpoints.map(|(id, endpoint)| {
        let link = if is_link_local(endpoint) { devices(plan, id).next() } else { None };
        let link = link.map_or_else(String::new, |device| format!(" on {device}"));
        match endpoint.vlan {
            Some(vlan) => format!("endpoint {}{link} in VLAN {vlan}", endpoint.address),
            None => format!("endpoint {}{link}", endpoint.address),
        }
    });
    let tags = plan.ports.iter().filter(|port| plan.has_tags(port.id)).filter_map(|port| {
        let device = port.backend.network_device()?;
        Some(format!("the tags of {device}"))
    });
    endpoints.chain(tags).collect()
}

/// Claims, for this gateway alone, what a plan serves.
///
/// # Errors
/// When another gateway has one of them.
pub fn claim(plan: &Plan, exclusive: &mut Exclusive) -> Result<(), OpeningError> {
    let claimed = claim_at_once(plan, exclusive);
    if !matches!(claimed, Err(OpeningError::Taken(_))) {
        return claimed;
    }
    // One that starts holds for a moment what it finds abandoned.
    thread::sleep(MOMENT);
    claim_at_once(plan, exclusive)
}

/// The same, for whoever asks again and again.
///
/// # Errors
/// When another gateway has one of them.
pub fn claim_at_once(plan: &Plan, exclusive: &mut Exclusive) -> Result<(), OpeningError> {
    for what in claims(plan) {
        match exclusive.claim(&what) {
            Ok(true) => {}
            Ok(false) => return Err(OpeningError::Taken(what)),
            Err(error) => return Err(OpeningError::Claim(what, error)),
        }
    }
    Ok(())
}

/// The UDP ports that the machine must not answer from.
#[must_use]
pub fn listeners(plan: &Plan, kernel: &Kernel) -> BTreeSet<UdpListener> {
    let endpoints = plan.tables.endpoints.iter().filter(|(id, _)| is_heard(plan, *id));
    let listeners = endpoints.flat_map(|(id, endpoint)| {
        let device = heard_by(plan, kernel, id, endpoint);
        // Without its device, nothing comes to a link-local address.
        let is_there = device.is_some() || !is_link_local(endpoint);
        let ports = endpoint.carriers.iter().filter(move |_| is_there).filter_map(|carrier| match carrier {
            Carrier::Udp(port) => Some(*port),
            _ => None,
        });
        let listener = move |port| UdpListener {
            address: SocketAddr::new(endpoint.address, port),
            device: device.map(|index| (index, kernel.link_name(index))),
        };
        ports.map(listener)
    });
    listeners.collect()
}

fn is_link_local(endpoint: &Endpoint) -> bool {
    matches!(endpoint.address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The names of the devices of an endpoint.
fn devices(plan: &Plan, endpoint: EndpointId) -> impl Iterator<Item = &str> {
    let has_it = move |port: &&PortPlan| {
        let table = plan.tables.ports.get(port.id);
        table.is_some_and(|table| table.endpoints.contains(&endpoint))
    };
    plan.ports.iter().filter(has_it).filter_map(|port| match &port.backend {
        Backend::Tap { device } => Some(device.as_str()),
        other => other.network_device(),
    })
}

/// The only device that an endpoint's packets come to the machine by, where there is one and sockets must name it.
fn heard_by(plan: &Plan, kernel: &Kernel, id: EndpointId, endpoint: &Endpoint) -> Option<LinkIndex> {
    let mut links = devices(plan, id).filter_map(|device| kernel.link_in_vlan(device, endpoint.vlan));
    if is_link_local(endpoint) { links.next() } else { links.find_map(|link| kernel.vrf_of(link)) }
}

/// Keeps the machine from answering what is this plan's.
///
/// # Errors
/// Without the right to.
pub fn keep_quiet(plan: &Plan, kernel: &Kernel, quiet: &mut Quiet) -> Result<(), OpeningError> {
    listeners(plan, kernel).iter().try_for_each(|listener| listen(listener, quiet))?;
    for (_, endpoint) in plan.tables.endpoints.iter().filter(|(id, _)| is_heard(plan, *id)) {
        for carrier in &endpoint.carriers {
            let Carrier::Ip(protocol) = *carrier else { continue };
            let refused = |error| {
                let what = format!("packets of {}", carrier.in_words());
                OpeningError::Quiet { what, error, capability: "CAP_NET_RAW" }
            };
            quiet.ip(protocol, endpoint.address.is_ipv6()).map_err(refused)?;
        }
    }
    plan.ports.iter().try_for_each(|port| quiet_tenants(plan, port, quiet))
}

/// Keeps the machine from answering from a UDP port.
///
/// # Errors
/// Without the right to.
pub fn listen(listener: &UdpListener, quiet: &mut Quiet) -> Result<(), OpeningError> {
    let (address, port) = (listener.address.ip(), listener.address.port());
    let refused = |error| {
        let what = format!("tunnel packets to {address} port {port}");
        OpeningError::Quiet { what, error, capability: "CAP_NET_BIND_SERVICE" }
    };
    if !quiet.udp(listener).map_err(refused)? {
        LogEvent::UdpPortShared { address, udp_port: port }.tell();
    }
    Ok(())
}

/// Whether the machine's own stack receives the packets to an endpoint too: what comes by a Unix socket it never sees,
/// and a gateway with no other ports needs no privilege.
pub(super) fn is_heard(plan: &Plan, endpoint: EndpointId) -> bool {
    let has_endpoint = |port: PortId| {
        let table = plan.tables.ports.get(port);
        table.is_some_and(|table| table.endpoints.contains(&endpoint))
    };
    plan.ports.iter().any(|port| !matches!(port.backend, Backend::Unix { .. }) && has_endpoint(port.id))
}

/// Our tunnel addresses to which packets come that the machine's own stack receives too.
#[must_use]
pub fn heard_addresses(plan: &Plan) -> BTreeSet<IpAddr> {
    let ports = plan.ports.iter().filter(|port| !matches!(port.backend, Backend::Unix { .. }));
    let endpoints = ports.filter_map(|port| plan.tables.ports.get(port.id)).flat_map(|port| &port.endpoints);
    endpoints.filter_map(|id| plan.tables.endpoints.get(*id)).map(|endpoint| endpoint.address).collect()
}

/// Behind a device with tags and no endpoint are only tenants, whom the machine has nothing to say to: what they send is
/// dropped behind the packet sockets.
///
/// # Errors
/// Without the right to. A kernel without netfilter tables is only warned about.
pub fn quiet_tenants(plan: &Plan, port: &PortPlan, quiet: &mut Quiet) -> Result<(), OpeningError> {
    let Some(device) = plan.tenant_device(port) else { return Ok(()) };
    let unheard = if plan.has_untagged(port.id) { Unheard::Everything } else { Unheard::Tagged };
    match quiet.device(device, unheard) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(OpeningError::Quiet { what: format!("tenants on {device}"), error, capability: "CAP_NET_ADMIN" })
        }
        Err(error) => {
            LogEvent::TenantsHeard { device, why: &error.to_string() }.tell();
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The device of a port, or where its socket is, and what moves its frames.
fn backend_words(port: &PortPlan, kind: &str) -> String {
    match &port.backend {
        Backend::Auto { device }
        | Backend::AfPacket { device }
        | Backend::AfXdp { device }
        | Backend::Tap { device } => format!("{kind} {device}"),
        Backend::Unix { local, .. } => format!("{kind} {}", local.display()),
    }
}
