//! The events: everything that the gateway tells while it runs. A name is never changed, only retired.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_json::Value;
use transload_encaps::Mac;

use super::fields::EventField;
use super::row::{EventKind, EventLevel};
use super::table::log_events;

/// `, it was 192.0.2.9`
fn it_was(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |was| format!(", it was {was}"))
}

/// `a, b, c and 6 more`, of so many in all.
fn and_more(names: &[&str], count: usize) -> String {
    match count.saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

const fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

log_events! {
    // The gateway itself.

    /// The gateway is ready and moves frames.
    Started "started" Info { summary: &'a str, socket: &'a str }
        "ready: {summary}; `transload show` asks {socket}";
        "Nothing."
    /// The gateway has been told to end, or has to.
    Stopping "stopping" Info { why: &'a str }
        "stopping: {why}";
        "Nothing, if you have stopped it. Whoever follows events gets no more."
    /// The gateway has ended and left nothing behind.
    Stopped "stopped" Info {}
        "stopped";
        "Nothing."
    /// Another file is in force.
    ReloadDone "reload_done" Info { count: usize, changes: &'a [String], summary: &'a str }
        "reloaded: {count} changed; {summary}";
        "Nothing; `changes` has what is new, gone or different."
    /// The file was wrong, or asked for what cannot change; the running configuration is unchanged.
    ReloadRefused "reload_refused" Error { why: &'a str }
        "reload rejected, running configuration unchanged:\n{why}";
        "Mend the file as `why` says (`transload check --host FILE` says the same), and reload."
    /// The file, or this machine, is not quite as it should be.
    Warning "warning" Warn { why: &'a str }
        "{why}";
        "What the message says; `transload check --host FILE` shows the line of the file."
    /// What the process may still do, now that its ports are open.
    RightsKept "rights_kept" Info { user: Option<&'a str>, capabilities: &'a str, calls: &'a str }
        "rights from here on: {}{capabilities}, {calls}", user.map_or_else(String::new, |user| format!("user {user}, "));
        "Nothing."
    /// The kernel does not restrict system calls, or not for this process.
    SystemCallsUnrestricted "system_calls_unrestricted" Warn { why: &'a str }
        "the kernel does not restrict system calls: {why}";
        "Run a kernel with seccomp filters, or write `seccomp: off` so that it is meant."
    /// A file or socket is out of reach for the user that the gateway has become.
    FileOutOfReach "file_out_of_reach" Warn { file: &'a str, why: &'a str }
        "{why}";
        "Change the owner or the mode of the file or its directory, as the message says."
    /// The admin socket takes no client in; the gateway goes on.
    AdminSocketFailed "admin_socket_failed" Warn { why: &'a str }
        "the admin socket takes no client in: {why}";
        "Look for a limit on open files; `show` works again by itself."
    /// The TCP port of metrics takes no client in; the gateway goes on.
    MetricsPortFailed "metrics_port_failed" Warn { why: &'a str }
        "the TCP port of metrics takes no client in: {why}";
        "Look for a limit on open files; it works again by itself."
    /// Metrics are not served any more; the gateway goes on.
    MetricsNotServed "metrics_not_served" Error { why: &'a str }
        "metrics are not served: {why}; it is tried again every few seconds";
        "See what has the port (`ss -ltnp`) or the address, or reload with another; until then the admin socket has them (`show metrics`)."
    /// Metrics are served again, or for the first time after a start that could not have the port.
    MetricsServed "metrics_served" Info { listen: &'a str }
        "metrics are served on {listen}";
        "Nothing."
    /// A worker does not move. Its ports carry nothing.
    WorkerHangs "worker_hangs" Error { worker: usize, seconds: u64 }
        "worker {worker} has not moved for {seconds} s: the service manager's watchdog is not told that all is well";
        "Keep the stack of the thread `worker-N` for a report; systemd restarts the gateway."
    /// The service manager cannot be spoken to.
    ServiceManagerNotTold "service_manager_not_told" Warn { why: &'a str }
        "the service manager is told nothing: {why}";
        "See why; a unit of `Type=notify` would wait in vain."
    /// The service manager does not take what it is told.
    ServiceManagerDeaf "service_manager_deaf" Warn { count: u64 }
        "the service manager takes no messages: {count} are lost so far";
        "See whether it hangs."
    /// A worker is not kept on a CPU of its own.
    WorkerNotPinned "worker_not_pinned" Warn { worker: usize, why: &'a str }
        "worker {worker} is not pinned to a CPU: {why}";
        "Nothing is lost but speed; look for what keeps the process from setting its affinity."
    /// Workers told of more than control could hear. Counters are right all the same.
    WorkerEventsLost "worker_events_lost" Warn { count: u64 }
        "{count} events of the workers were lost; counters are right all the same";
        "Look for a tenant whose MAC addresses move (`mac_moved`); what was lost comes again if it lasts."
    /// The MAC table could not get huge pages.
    HugePagesRefused "huge_pages_refused" Debug { why: &'a str }
        "the MAC table stays in small pages: {why}";
        "Nothing; lookups take a little longer."

    // What is kept over a restart.

    /// MAC addresses and learned peers of the gateway before are back.
    StateRestored "state_restored" Info { file: &'a str, macs: usize, peers: usize, count: usize, seconds: u64 }
        "{file}: {macs} MAC addresses and {peers} learned peers are as {seconds} s ago; {count} have aged or have no place now";
        "Nothing."
    /// The state file is not used.
    StateNotUsed "state_not_used" Warn { file: &'a str, why: &'a str }
        "the state file {file} is not used: {why}; MAC addresses are learned anew";
        "Nothing, unless it comes at every start; then see why."
    /// The state file cannot be written.
    StateNotWritten "state_not_written" Warn { file: &'a str, why: &'a str }
        "the state file {file} cannot be written: {why}; a restart will forget";
        "Make room on the disk, or name another place (`state: { file: PATH }`)."

    // Tenants and their MAC addresses.

    /// A MAC address appeared. Only in the log, and only if `RUST_LOG` asks for it.
    MacLearned "mac_learned" Debug { tenant: &'a str, mac: Mac, to: &'a str, to_via: &'a str }
        "{tenant}: {mac} is behind {to} ({to_via})";
        "Nothing."
    /// A MAC address moved to another place.
    MacMoved "mac_moved" Info
        { tenant: &'a str, mac: Mac, from: &'a str, from_via: &'a str, to: &'a str, to_via: &'a str }
        "{tenant}: {mac} moved from {from} ({from_via}) to {to} ({to_via})";
        "Nothing, if the host has moved. If many move between the same two places, look for a loop or a wrong ID there."
    /// Two hosts seem to have one MAC address: it moved too often, and is held where it was for the longest.
    MacHeld "mac_held" Warn {
        tenant: &'a str, mac: Mac, moves: u64, within: u64, from: &'a str, from_via: &'a str, to: &'a str, to_via: &'a str,
        held_at: &'a str, held_via: &'a str, seconds: u64
    }
        "{tenant}: {mac} moved {moves} times within {within} s, last from {from} ({from_via}) to {to} ({to_via}): two hosts \
         seem to have it; it stays behind {held_at} ({held_via}), where it was for the longest, for {seconds} s";
        "Find the two hosts at `from` and `to`, and give one another address; or find what joins the two places."
    /// A MAC address that was held may move again.
    MacReleased "mac_released" Info { tenant: &'a str, mac: Mac }
        "{tenant}: {mac} may move again";
        "Nothing."
    /// A tenant has as many MAC addresses as its limit allows.
    MacLimitReached "mac_limit_reached" Warn { tenant: &'a str, limit: u32 }
        "{tenant}: it has the {limit} MAC addresses that its limit allows: further ones are not learned, and frames to them \
         are flooded; raise `limits: {{ macs: .. }}` if these are hosts";
        "Raise `limits: { macs: .. }` of the tenant, or find who sends from so many addresses (`show fdb --tenant`)."
    /// The MAC table has no more room for a tenant.
    MacTableFull "mac_table_full" Warn { tenant: &'a str, reserve: u32, capacity: usize }
        "{tenant}: the MAC table has no more room for it: further addresses are not learned, and frames to them are flooded; \
         {reserve} are its own, and beyond them it gets what others leave; raise `fdb: {{ capacity: .. }}` (now {capacity}), \
         or lower the limits of others";
        "Raise `fdb: { capacity: .. }`, which takes a restart, or lower the limits of other tenants."
    /// The MAC table has no room for an address of the file.
    StaticMacRefused "static_mac_refused" Error { tenant: &'a str, mac: Mac }
        "{tenant}: the MAC table has no room for the static address {mac}";
        "Raise `fdb: { capacity: .. }`."
    /// Broadcasts come back by another attachment, from an echo or a loop.
    LoopSuspected "loop_suspected" Warn { tenant: &'a str, between: [&'a str; 2], mac: Mac }
        "{tenant}: what {mac} broadcasts keeps coming back by {} and {}, from an echo or a loop; for two seconds, or until that \
         is known, broadcast, unknown and multicast frames do not pass between the two", between[0], between[1];
        "Wait for `loop_found`; if only this comes, look for a device that sends broadcasts back to where they came from."
    /// Two attachments are joined outside of the gateway.
    LoopFound "loop_found" Warn { tenant: &'a str, between: [&'a str; 2], mac: Mac }
        "{tenant}: {} and {} are joined in a loop: what {mac} broadcasts comes in by both; broadcast, unknown and multicast \
         frames do not pass between the two for now, known unicast does", between[0], between[1];
        "Find what joins the two behind the gateway (a second link, a bridge), and cut it; or put the two into one group."
    /// Broadcasts pass again between two attachments.
    LoopEnded "loop_ended" Info { tenant: &'a str, between: [&'a str; 2] }
        "{tenant}: broadcast, unknown and multicast frames pass between {} and {} again", between[0], between[1];
        "Nothing; if the two are still joined, `loop_suspected` comes again."

    // Peers, and the way to them.

    /// A group has learned a peer from what it sends.
    PeerLearned "peer_learned" Info { peer: &'a str }
        "peer {peer}: learned from what it sends";
        "Nothing."
    /// Learned peers are forgotten: they were silent, and no MAC address is behind them.
    PeerForgotten "peer_forgotten" Info { count: usize, peers: &'a [String] }
        "{count} learned peers removed, silent and without MAC addresses";
        "Nothing."
    /// A group learns no further peers.
    GroupFull "group_full" Warn { group: &'a str, count: u64 }
        "group {group}: {count} senders are not learned, since `max_learned` is reached; their frames are carried, but answers \
         to them are flooded";
        "Raise `max_learned` of the group, or narrow `learn_from` if these are not its members."
    /// A router carries only shorter packets to a peer than were sent.
    PathMtuLowered "path_mtu_lowered" Info { peer: &'a str, address: IpAddr, mtu: u32 }
        "peer {peer}: {address} carries packets of {mtu} bytes at most: the path MTU";
        "Raise the MTU of the link behind `address`, or lower the tenants' so that their frames fit without being told."
    /// A router or the peer itself says that packets to it do not arrive.
    PeerUnreachable "peer_unreachable" Warn { peer: &'a str, address: IpAddr, why: &'a str }
        "peer {peer}: {address} answers: {why}";
        "If `address` is the peer's, start its tunnel there or open its port; else look at routes and filters of `address`."
    /// Frames are sent to a peer, and nothing comes from it.
    PeerSilent "peer_silent" Warn { peer: &'a str }
        "peer {peer}: frames are sent to it, and for ten seconds nothing has come from it";
        "See whether its tunnel is up and a firewall lets the packets through, both ways: `transload probe PEER` asks its host."
    /// A peer that was silent is heard again, or nothing is sent to it any more.
    PeerHeard "peer_heard" Info { peer: &'a str }
        "peer {peer}: it is not silent any more";
        "Nothing."
    /// A next hop has not answered yet, or its device is down.
    PeerUnresolved "peer_unresolved" Warn { peer: &'a str, why: &'a str }
        "peer {peer}: {why}";
        "Look whether the next hop is there and the device is up."
    /// The same of many peers at once.
    PeersUnresolved "peers_unresolved" Warn { count: usize, peers: &'a [&'a str] }
        "{count} peers have not answered yet, or their devices are down: {}; `transload show peers` lists them", and_more(peers, *count);
        "Look at what they share: a device, a next hop."
    /// There is no usable route to a peer.
    PeerWithoutRoute "peer_without_route" Error { peer: &'a str, why: &'a str }
        "peer {peer}: {why}";
        "Give the machine a route to the peer by a device of the endpoint's ports, as the message says."
    /// The same of many peers at once.
    PeersWithoutRoute "peers_without_route" Error { count: usize, peers: &'a [&'a str] }
        "{count} peers have no usable route: {}; `transload show peers` lists them", and_more(peers, *count);
        "Look at what they share: a default route, a device, an endpoint's `ports`."
    /// What stood in the way of a peer is over.
    PeerResolved "peer_resolved" Info { peer: &'a str, why: &'a str }
        "peer {peer}: {why}";
        "Nothing."
    /// The same of many peers at once.
    PeersResolved "peers_resolved" Info { count: usize, peers: &'a [&'a str] }
        "{count} peers are no longer complained of: {}; `transload show peers` lists them", and_more(peers, *count);
        "Nothing."
    /// The machine has lost the address of an endpoint.
    EndpointAddressLost "endpoint_address_lost" Error { endpoint: &'a str, address: IpAddr, count: usize }
        "this machine no longer has {address}, the address of endpoint {endpoint}: {count} peer{} cannot be spoken to until it \
         is given back (`ip address add`)", s(*count);
        "Give the address back: `ip address add ADDRESS dev DEVICE`."
    /// The machine has the address of an endpoint again.
    EndpointAddressBack "endpoint_address_back" Info { endpoint: &'a str, address: IpAddr }
        "this machine has {address}, the address of endpoint {endpoint}, again";
        "Nothing."
    /// The DNS name of a peer has another address.
    PeerAddress "peer_address" Info { peer: &'a str, host: &'a str, address: IpAddr, was: Option<IpAddr> }
        "peer {peer}: {host} is {address}{}", it_was(*was);
        "Nothing."
    /// The DNS name of a peer has no address, or none that can be used.
    PeerAddressRefused "peer_address_refused" Warn { peer: &'a str, why: &'a str }
        "peer {peer}: {why}";
        "Mend the name's records, or write the address into the file."
    /// What the peers' names say now cannot be used; the addresses before stay.
    NamesRefused "names_refused" Error { why: &'a str }
        "names of peers are not resolved anew, running configuration unchanged:\n{why}";
        "Mend the records or the file, as the message says."

    // Ports and devices.

    /// A port does not carry frames.
    PortFailed "port_failed" Warn { port: &'a str, why: &'a str }
        "port {port}: {why}; the other ports go on, and it is retried every second";
        "Bring the device up, or back; the port works again by itself."
    /// A port that had failed carries frames again.
    PortRecovered "port_recovered" Info { port: &'a str }
        "port {port} works again";
        "Nothing."
    /// A device that was gone is back, and the port is open on it.
    PortReopened "port_reopened" Info { port: &'a str, device: &'a str }
        "port {port}: {device} is back and has been opened again";
        "Nothing."
    /// A device that was gone is back, but the port cannot be opened on it.
    PortNotReopened "port_not_reopened" Warn { port: &'a str, device: &'a str, why: &'a str }
        "{why}";
        "See why; it is tried again."
    /// A port is open on a device that is down.
    DeviceDown "device_down" Warn { port: &'a str }
        "port {port}: the device is down; frames pass once it is up (`ip link set DEVICE up`)";
        "`ip link set DEVICE up`."
    /// What moves the frames of a port, where that was to be chosen, and how.
    PortMode "port_mode" Info { port: &'a str, why: &'a str }
        "port {port}: {why}";
        "Nothing."
    /// There are fewer workers than the file asks for.
    FewerWorkers "fewer_workers" Warn { why: &'a str }
        "{why}";
        "Lower `workers`, or give the devices as many queues."
    /// The XDP program of a port could not be told what is new; the old rules stay in force.
    XdpFilterKept "xdp_filter_kept" Warn { port: &'a str, why: &'a str }
        "port {port}: cannot update its XDP filter, the old one stays in force: {why}";
        "Restart the gateway if the new peers do not get through."
    /// An endpoint receives a multicast group on a device.
    MulticastJoined "multicast_joined" Info { address: IpAddr, device: &'a str }
        "joined {address} on {device}";
        "Nothing."
    /// An endpoint does not receive a multicast group on a device.
    MulticastNotJoined "multicast_not_joined" Warn { address: IpAddr, device: &'a str, tag: Option<u16>, why: &'a str }
        "cannot join {address} on {device}{}: {why}; switches that listen to IGMP and MLD will not send it here",
        tag.map_or_else(String::new, |vlan| format!(" (vlan {vlan})"));
        "Bring the device back (in a VLAN, the VLAN device), or see `sysctl net.ipv4.igmp_max_memberships`."

    // The machine beside the gateway.

    /// Another socket of the machine receives an endpoint's tunnel packets too.
    UdpPortShared "udp_port_shared" Warn { address: IpAddr, udp_port: u16 }
        "UDP port {udp_port} of {address} belongs to another socket, such as a kernel VXLAN device: it receives the same packets";
        "Remove the kernel's tunnel device, or have it use another port."
    /// The machine's own network stack receives tenants' frames too, and may answer them.
    TenantsHeard "tenants_heard" Warn { device: &'a str, why: &'a str }
        "this machine's own network stack also receives the frames of tenants on {device}, and may answer them: {why}";
        "Load nf_tables, or keep addresses off the device."
    /// The machine's own network stack could not be kept from answering.
    NotKeptQuiet "not_kept_quiet" Warn { why: &'a str }
        "{why}";
        "What the message says; the gateway goes on."
    /// ICMP errors to an endpoint cannot be received.
    IcmpUnavailable "icmp_unavailable" Warn { address: IpAddr, why: &'a str }
        "cannot receive ICMP errors to {address}, so path MTUs stay unknown: {why}";
        "See why; CAP_NET_RAW is needed."
    /// ICMP errors come faster than they are looked at.
    IcmpLost "icmp_lost" Warn { address: IpAddr, count: u64 }
        "{count} ICMP errors to {address} were lost: they come faster than they are looked at";
        "Find who sends so many: a peer that is down, or somebody who forges them."
    /// The kernel no longer tells of routes and neighbours; it is asked anew.
    KernelLost "kernel_lost" Error {}
        "the kernel closed our netlink socket; opening another";
        "Nothing, unless it comes again and again."
    /// The kernel's routes and neighbours cannot be read; it is tried again.
    KernelUnreadable "kernel_unreadable" Error { why: &'a str }
        "cannot read the kernel's routes and neighbours: {why}";
        "See why; until it works, next hops stay as they are."
    /// The kernel does not ask for a neighbour, or has no room for all of them.
    NeighboursRefused "neighbours_refused" Warn { why: &'a str }
        "{why}";
        "What the message says, mostly `sysctl net.ipv4.neigh.default.gc_thresh3`."
    /// An IPsec policy of the machine objects to tunnel packets.
    IpsecObjects "ipsec_objects" Warn { why: &'a str }
        "{why}";
        "Except the tunnels from the policy, or write `ipsec: ignore` at the endpoint."
    /// No IPsec policy objects any more.
    IpsecClear "ipsec_clear" Info {}
        "no IPsec policy of this machine objects to tunnel packets any more";
        "Nothing."
    /// IPsec policies cannot be followed any more.
    IpsecUnwatched "ipsec_unwatched" Warn { why: &'a str }
        "IPsec policies of this machine cannot be followed any more: {why}";
        "`transload check --host FILE` says what they object to."

    // The log.

    /// More of a kind than the log, or those who follow events, are told one by one. The level is that of the kind.
    /// Of tenants, those with the most have a sum each, and the others one for all.
    HeldBack "held_back" Info { count: u64, of: &'a str, tenant: Option<&'a str>, first: &'a str }
        "{count} more like this: {first}";
        "What `of` says."
    /// Lines could not be written to the log.
    LogLost "log_lost" Warn { count: u64 }
        "{count} lines of the log were lost, since they could not be written";
        "See whether the disk is full, or whoever reads the log is slow or gone."
    /// Whoever follows events was too slow, and has missed some; those that it did not ask for are counted, too. Only
    /// `transload events` has it.
    EventsLost "events_lost" Warn { count: u64 }
        "{count} events were lost, asked for or not: they came faster than they were read";
        "Read faster, or follow fewer (`--tenant`, `--name`)."
    /// Something that a library of the gateway says. The level is the library's.
    Library "library" Info { target: &'a str, why: &'a str }
        "{why}";
        "Look for what else the log says at this time."
}
