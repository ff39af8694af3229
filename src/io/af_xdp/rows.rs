//! The rows of the redirect program's maps, as `redirect.bpf.c` has them.

use std::net::IpAddr;

use transload_encaps::{Carrier, Common, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// In the map of tags, by VLAN ID: claimed as an outer tag.
pub(super) const OUTER: u32 = 1;
/// In the map of tags: claimed as a 0x8100 tag that stands alone.
pub(super) const SINGLE: u32 = 2;

/// In the map of carriers: tunnels ride on it.
pub(super) const TUNNEL: u32 = 1;
/// In the map of carriers: it is something else's, whoever it is from.
pub(super) const NO_TUNNEL: u32 = 2;

/// In the place of an endpoint: nobody's in particular.
pub(super) const NO_ENDPOINT: u32 = 0;

/// What is counted of the frames that are not taken, by `enum reason`.
pub(super) const REASONS: [Common; 10] = [
    Common::HostTraffic,
    Common::NotForUs,
    Common::NotOurMac,
    Common::OuterFragment,
    Common::UnknownPeer,
    Common::UnclaimedTags,
    Common::UnderlayControl,
    Common::Truncated,
    Common::BadIpHeader,
    Common::ExtensionHeaders,
];

/// A MAC address, if it matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct MacRow {
    bytes: [u8; 6],
    is_set: u16,
}

impl From<Option<Mac>> for MacRow {
    fn from(mac: Option<Mac>) -> Self {
        mac.map_or_else(Self::default, |Mac(bytes)| Self { bytes, is_set: 1 })
    }
}

/// The one row of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct XdpPortRow {
    pub(super) mac: MacRow,
    /// `enum tags`.
    pub(super) tags: u32,
    pub(super) untagged: u32,
    pub(super) without_socket: u32,
}

/// An address and its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct HostKey {
    address: [u8; 16],
    ether_type: u32,
}

impl From<IpAddr> for HostKey {
    fn from(address: IpAddr) -> Self {
        let ether_type: u16 = if address.is_ipv4() { 0x0800 } else { 0x86dd };
        Self { address: bytes(address), ether_type: in_frame(ether_type) }
    }
}

/// Where a tunnel packet is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct EntranceKey {
    pub(super) host: HostKey,
    /// 0 where there is no tag.
    pub(super) vlan: u32,
}

/// What a tunnel packet to one of our addresses must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct EndpointRow {
    pub(super) id: u32,
    pub(super) any_sender: u32,
    pub(super) mac: MacRow,
}

/// What rides to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct RideKey {
    endpoint: u32,
    carrier: u32,
}

impl RideKey {
    /// By a carrier, or by whichever. Frames themselves are no carrier here.
    pub(super) fn new(endpoint: u32, carrier: Option<Carrier>) -> Option<Self> {
        const UDP_PORT: u32 = 0x10000;
        const ANY_CARRIER: u32 = 0x20000;
        let carrier = match carrier {
            None => ANY_CARRIER,
            Some(Carrier::Udp(port)) => UDP_PORT | u32::from(port),
            Some(Carrier::Ip(protocol)) => protocol.into(),
            Some(Carrier::Port) => return None,
        };
        Some(Self { endpoint, carrier })
    }
}

/// Who sends what to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct SenderKey {
    ride: RideKey,
    address: [u8; 16],
}

impl SenderKey {
    pub(super) fn new(ride: RideKey, address: IpAddr) -> Self {
        Self { ride, address: bytes(address) }
    }
}

/// Whoever sends to an endpoint from an address that begins like this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct PrefixKey {
    bits: u32,
    sender: SenderKey,
}

impl PrefixKey {
    /// The addresses from `first` to `last`, and what has as many bits in common with them.
    pub(super) fn new(ride: RideKey, first: IpAddr, last: IpAddr) -> Self {
        let common = (u128::from_be_bytes(bytes(first)) ^ u128::from_be_bytes(bytes(last))).leading_zeros();
        Self { bits: 8 * size_of::<RideKey>() as u32 + common, sender: SenderKey::new(ride, first) }
    }
}

/// Frames, and bytes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct TrafficRow {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

/// A number of 16 bits as it stands in a frame.
pub(super) fn in_frame(number: u16) -> u32 {
    u16::from_ne_bytes(number.to_be_bytes()).into()
}

/// An IPv4 address stands in the last four bytes, behind zeros.
fn bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()).to_be_bytes(),
        IpAddr::V6(address) => address.octets(),
    }
}
