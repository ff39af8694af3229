//! Packets as IPsec policies select them: by addresses, protocol and ports; and which of them two selections share.

use std::fmt;
use std::net::IpAddr;

use transload_encaps::Carrier;
use transload_encaps::underlay::SourcePorts;

use crate::config::Prefix;

/// The IP protocol number of UDP.
const UDP: u8 = 17;

/// A set of IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketSet {
    /// Where they are from.
    pub src: Prefix,
    /// Where they go to.
    pub dst: Prefix,
    /// Their protocol; `None` for all.
    pub protocol: Option<u8>,
    /// Their source port. Of GRE, the kernel takes the upper half of the key for it, and the lower half for the
    /// destination port.
    pub src_port: PortBits,
    /// Their destination port.
    pub dst_port: PortBits,
}

/// Which bits of a port number matter, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortBits {
    /// The bits.
    pub value: u16,
    /// Those that matter.
    pub mask: u16,
}

impl PortBits {
    /// Every port.
    pub const ANY: Self = Self { value: 0, mask: 0 };

    /// This port alone.
    #[must_use]
    pub const fn only(port: u16) -> Self {
        Self { value: port, mask: u16::MAX }
    }

    fn meet(self, other: Self) -> Option<Self> {
        let value = self.value & self.mask | other.value & other.mask;
        let differ = (self.value ^ other.value) & self.mask & other.mask;
        (differ == 0).then_some(Self { value, mask: self.mask | other.mask })
    }

    fn covers(self, other: Self) -> bool {
        self.mask & !other.mask == 0 && (self.value ^ other.value) & self.mask == 0
    }
}

impl PacketSet {
    /// The tunnel packets that the gateway sends, from these source ports if it is by UDP.
    #[must_use]
    pub fn sent(src: Prefix, dst: Prefix, carrier: Carrier, source_ports: SourcePorts) -> Option<Self> {
        let (value, differing) = source_ports.first_and_mask();
        Self::of(src, dst, carrier, PortBits { value, mask: !differing })
    }

    /// The tunnel packets that others send.
    #[must_use]
    pub fn received(src: Prefix, dst: Prefix, carrier: Carrier) -> Option<Self> {
        Self::of(src, dst, carrier, PortBits::ANY)
    }

    fn of(src: Prefix, dst: Prefix, carrier: Carrier, from_port: PortBits) -> Option<Self> {
        let (protocol, src_port, dst_port) = match carrier {
            Carrier::Udp(port) => (UDP, from_port, PortBits::only(port)),
            Carrier::Ip(protocol) => (protocol, PortBits::ANY, PortBits::ANY),
            Carrier::Port => return None,
        };
        Some(Self { src, dst, protocol: Some(protocol), src_port, dst_port })
    }

    /// Those that are in both.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (Some(one), Some(two)) if one != two => return None,
            (one, two) => one.or(two),
        };
        Some(Self {
            src: shared(self.src, other.src)?,
            dst: shared(self.dst, other.dst)?,
            protocol,
            src_port: self.src_port.meet(other.src_port)?,
            dst_port: self.dst_port.meet(other.dst_port)?,
        })
    }

    /// Whether all of another set are in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        contains(self.src, other.src)
            && contains(self.dst, other.dst)
            && (self.protocol.is_none() || self.protocol == other.protocol)
            && self.src_port.covers(other.src_port)
            && self.dst_port.covers(other.dst_port)
    }
}

impl fmt::Display for PacketSet {
    /// As `ip xfrm policy` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src {} dst {}", self.src, self.dst)?;
        match self.protocol {
            None => {}
            Some(UDP) => f.write_str(" proto udp")?,
            Some(protocol) => write!(f, " proto {protocol}")?,
        }
        for (name, port) in [("sport", self.src_port), ("dport", self.dst_port)] {
            if port.mask != 0 {
                write!(f, " {name} {}", port.value)?;
            }
        }
        Ok(())
    }
}

/// The prefix of one address.
#[must_use]
pub fn host(address: IpAddr) -> Prefix {
    Prefix::around(address, if address.is_ipv4() { 32 } else { 128 })
}

/// Two prefixes have no address in common, or one is in the other.
fn shared(one: Prefix, two: Prefix) -> Option<Prefix> {
    if contains(one, two) { Some(two) } else { contains(two, one).then_some(one) }
}

fn contains(outer: Prefix, inner: Prefix) -> bool {
    outer.first.is_ipv4() == inner.first.is_ipv4()
        && outer.len <= inner.len
        && Prefix::around(inner.first, outer.len) == Prefix::around(outer.first, outer.len)
}
