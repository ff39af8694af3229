//! The routes to peers, as this machine has them.

use std::collections::BTreeSet;
use std::io;

use crate::compile::Plan;
use crate::config::Problem;
use crate::kernel::asking::crowded;
use crate::kernel::netlink::Netlink;
use crate::kernel::next_hops::{Complaint, flows, resolve};
use crate::rib::facts::{PortLink, Tunnel};

/// Tunnels whose route leads nowhere, which may change by itself, or where it must not, which is an error. A gateway
/// that runs only logs them, since routes come and go.
///
/// # Errors
/// When the kernel will not say what it has.
pub async fn check(plan: &Plan) -> io::Result<Vec<Problem>> {
    let (netlink, _changes) = Netlink::open()?;
    let (tunnels, ports) = (Tunnel::all_of(plan), PortLink::all_of(plan));
    let kernel = netlink.read(|kernel| flows(&tunnels, &ports, kernel)).await?;
    let (mut complaints, mut neighbours) = (Vec::new(), BTreeSet::new());
    for tunnel in &tunnels {
        let resolution = resolve(tunnel, &ports, &kernel);
        complaints.extend(resolution.complaints.into_iter().map(|complaint| (tunnel.peer, complaint)));
        neighbours.extend(resolution.neighbours);
    }
    // That an endpoint's address is missing is said of the endpoint, and not of each of its peers again.
    let is_to_say = |complaint: &Complaint| !complaint.is_passing() && !complaint.is_of_endpoint();
    let lasting = complaints.into_iter().filter(|(_, complaint)| is_to_say(complaint));
    let problem = |(peer, complaint): (_, Complaint)| {
        let tunnel = plan.tunnels.iter().find(|tunnel| tunnel.peer == peer)?;
        let make = if matches!(complaint, Complaint::NoRoute(_)) { Problem::warning } else { Problem::error };
        Some(make(&plan.source, tunnel.span, complaint.to_string()))
    };
    let crowded = crowded(&neighbours, netlink.neighbour_room().await).into_iter();
    let first = plan.tunnels.first().map(|tunnel| tunnel.span).unwrap_or_default();
    let crowded = crowded.map(|words| Problem::warning(&plan.source, first, words));
    Ok(lasting.filter_map(problem).chain(crowded).collect())
}
