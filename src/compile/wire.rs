//! The knobs of a peer's outer headers, with the defaults of their standards.

use std::net::IpAddr;

use transload_encaps::outer::UdpRules;
use transload_encaps::underlay::{self, EcnMode, SourcePorts};
use transload_encaps::{Carrier, Kind};

use super::findings::Findings;
use crate::config::{At, Df, Dscp, Ecn, Knobs, RxZero, UdpChecksum, UdpRx, UdpTx};

/// Rules for UDP checksums of received packets: the default of the encapsulation's standard unless the peer states
/// them (RFC 7348 §4.1.1 accepts zero).
pub(super) fn udp_rules(knobs: Knobs<'_>, kind: Kind) -> UdpRules {
    let UdpChecksum { rx, rx_zero, .. } = knobs.udp_checksum.and_then(At::value).unwrap_or_default();
    UdpRules {
        zero6: rx_zero.map_or(kind.info().udp6_zero_checksum, |rule| rule == RxZero::Accept),
        unverified: rx == UdpRx::Ignore,
    }
}

/// The UDP checksum of sent packets.
pub(super) fn udp_checksum(knobs: Knobs<'_>, address: IpAddr) -> underlay::UdpChecksum {
    let tx = knobs.udp_checksum.and_then(At::value).unwrap_or_default().tx;
    // RFC 6935 §5: over IPv6 a checksum is made unless the peer is said to want none; over IPv4 RFC 7348 §4.1.1 says 0.
    match (tx, address) {
        (UdpTx::Compute, _) | (UdpTx::Auto, IpAddr::V6(_)) => underlay::UdpChecksum::Compute,
        (UdpTx::Zero, _) | (UdpTx::Auto, IpAddr::V4(_)) => underlay::UdpChecksum::Zero,
    }
}

/// The UDP source ports of sent packets.
pub(super) fn source_ports(knobs: Knobs<'_>) -> SourcePorts {
    knobs.udp_source_ports.and_then(At::value).map_or(SourcePorts::DYNAMIC, |ports| ports.0)
}

/// Warns about rules for UDP that change nothing.
pub(super) fn warn_of_idle_udp_rules(knobs: Knobs<'_>, kind: Kind, address: IpAddr, findings: &mut Findings) {
    if let Some(stated) = knobs.udp_source_ports
        && !matches!(kind.info().carrier, Carrier::Udp(_))
    {
        let message = format!("{} has no UDP header, so `udp_source_ports` does nothing", kind.info().title);
        findings.warning(stated.span, message, "remove it");
    }
    let Some((stated, rules)) = knobs.udp_checksum.and_then(|stated| Some((stated, stated.value()?))) else { return };
    if !matches!(kind.info().carrier, Carrier::Udp(_)) {
        let message = format!("{} has no UDP header, so `udp_checksum` does nothing", kind.info().title);
        findings.warning(stated.span, message, "remove it");
    } else if address.is_ipv4() && rules.rx_zero == Some(RxZero::Drop) {
        let message = "over IPv4 a UDP checksum of zero is always accepted, so `rx_zero` does nothing";
        findings.warning(stated.span, message, "remove it");
    }
}

/// Whether DF is set.
pub(super) fn df(knobs: Knobs<'_>) -> bool {
    knobs.df.and_then(At::value).unwrap_or_default() == Df::Set
}

/// Refuses to have IPv6 packets fragmented on their way.
pub(super) fn check_df(knobs: Knobs<'_>, label: &str, address: IpAddr, findings: &mut Findings) {
    if let Some(at) = knobs.df.filter(|_| address.is_ipv6() && !df(knobs)) {
        let message = format!("{label} is reached over IPv6, where no router fragments (RFC 8200 §4.5)");
        findings.error(at.span, message, "remove `df`: the tenant's hosts are told of the path MTU");
    }
}

/// The outer DSCP.
pub(super) fn dscp(knobs: Knobs<'_>) -> underlay::Dscp {
    // RFC 2983 §3: the tunnel's own marks are the conservative choice between two networks.
    match knobs.dscp.and_then(At::value) {
        None => underlay::Dscp::Pipe(0),
        Some(Dscp::Pipe(value)) => underlay::Dscp::Pipe(value.0 as u8),
        Some(Dscp::Uniform) => underlay::Dscp::Uniform,
    }
}

/// The outer ECN.
pub(super) fn ecn(knobs: Knobs<'_>) -> EcnMode {
    match knobs.ecn.and_then(At::value) {
        None | Some(Ecn::Normal) => EcnMode::Normal,
        Some(Ecn::Compatibility) => EcnMode::Compatibility,
    }
}
