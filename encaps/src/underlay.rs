//! What goes around a tunnel header: outer Ethernet, an optional VLAN tag, IPv4 or IPv6, and UDP.
//!
//! Compiled once per peer into a template; a packet copies it and patches what varies: addresses of the next hop,
//! lengths, traffic class, entropy and checksums.

use std::net::IpAddr;

use crate::checksum;
use crate::drops::{Common, DropReason};
use crate::ecn;
use crate::encap::Carrier;
use crate::ethernet::{self, Mac};
use crate::frame::{Checksum, Frame};
use crate::ip::{DF, IPV4_LEN, IPV6_LEN, UDP, UDP_LEN};
use crate::outer;

const TAGGED_ETHERNET: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN;
/// The most bytes a [`Stamp`] adds.
pub const MAX_LEN: usize = TAGGED_ETHERNET + IPV6_LEN + UDP_LEN;

const FLOW_LABEL_MASK: u32 = 0x000f_ffff;

/// What UDP checksum to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpChecksum {
    /// Zero: none (RFC 768; over IPv6 only as RFC 6936 allows).
    Zero,
    /// A right one.
    Compute,
}

/// The UDP source ports that carry the entropy: a power of two of them, the first a multiple of their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePorts {
    first: u16,
    mask: u16,
}

impl SourcePorts {
    /// RFC 6335 §6: the dynamic ports, which RFC 7348 §5 recommends for entropy.
    pub const DYNAMIC: Self = Self { first: 0xc000, mask: 0x3fff };

    /// The ports from a first to a last one; `None` if they are not such. Port 0 is none (RFC 768).
    #[must_use]
    pub const fn new(first: u16, last: u16) -> Option<Self> {
        if first == 0 || last < first {
            return None;
        }
        let mask = last - first;
        let is_aligned = mask & (mask.wrapping_add(1)) == 0 && first & mask == 0;
        if is_aligned { Some(Self { first, mask }) } else { None }
    }

    /// The first of them, and the bits that they differ in.
    #[must_use]
    pub const fn first_and_mask(self) -> (u16, u16) {
        (self.first, self.mask)
    }

    #[inline]
    const fn pick(self, entropy: u32) -> u16 {
        self.first | entropy as u16 & self.mask
    }
}

/// Where the UDP checksum of a packet that is sent is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summing {
    /// Here, by the gateway.
    Here,
    /// The device: it takes frames whose checksum is [`Partial`](Checksum::Partial).
    Device,
}

/// How the DSCP of the outer header comes about (RFC 2983).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dscp {
    /// A value of its own, 0 to 63, whatever the tenant marks.
    Pipe(u8),
    /// The tenant's.
    Uniform,
}

/// How the ECN bits of the outer header come about (RFC 6040 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EcnMode {
    /// The tenant's, congestion marks included.
    Normal,
    /// Not-ECT, for a far end that does not understand marks.
    Compatibility,
}

/// What never changes about a peer's outer headers.
#[derive(Debug, Clone)]
pub struct UnderlaySpec {
    /// Our tunnel address.
    pub src: IpAddr,
    /// The peer's.
    pub dst: IpAddr,
    /// The VLAN our endpoint lives in, if any.
    pub vlan: Option<u16>,
    /// What carries the tunnel.
    pub carrier: Carrier,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Whether IPv4 routers must not fragment the packets.
    pub df: bool,
    /// Where DSCP comes from.
    pub dscp: Dscp,
    /// Where ECN comes from.
    pub ecn: EcnMode,
    /// What UDP checksum to send.
    pub udp_checksum: UdpChecksum,
    /// Which UDP source ports to send from.
    pub source_ports: SourcePorts,
}

/// One link-layer next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAddresses {
    /// The next hop's MAC address.
    pub dst: Mac,
    /// Our port's.
    pub src: Mac,
}

/// A peer's outer headers, ready to copy.
#[derive(Debug, Clone)]
pub struct Underlay {
    /// They end where it does, so that copying it is always the same few stores.
    template: [u8; MAX_LEN],
    len: usize,
    /// Most bytes that an IP packet can hold behind them.
    most_payload: u32,
    shape: IpShape,
    udp_checksum: UdpChecksum,
    source_ports: SourcePorts,
    /// The bits of the traffic class that are the tunnel's own, and which bits of the tenant's stand beside them.
    own_class: u8,
    tenants_class: u8,
    /// The folded sum of the IPv4 header's fixed part, or of the UDP pseudo-header's addresses over IPv6.
    address_sum: u16,
}

/// What follows the outer Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IpShape {
    Ipv4,
    Ipv4Udp,
    Ipv6,
    Ipv6Udp,
}

impl IpShape {
    const fn of(is_ipv6: bool, is_udp: bool) -> Self {
        match (is_ipv6, is_udp) {
            (false, false) => Self::Ipv4,
            (false, true) => Self::Ipv4Udp,
            (true, false) => Self::Ipv6,
            (true, true) => Self::Ipv6Udp,
        }
    }

    const fn is_udp(self) -> bool {
        matches!(self, Self::Ipv4Udp | Self::Ipv6Udp)
    }

    const fn is_ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Ipv6Udp)
    }

    /// Bytes of its headers.
    const fn len(self) -> usize {
        match self {
            Self::Ipv4 => IPV4_LEN,
            Self::Ipv4Udp => IPV4_LEN + UDP_LEN,
            Self::Ipv6 => IPV6_LEN,
            Self::Ipv6Udp => IPV6_LEN + UDP_LEN,
        }
    }
}

impl Underlay {
    /// Writes the template. Both addresses must be of one family, which the loader has checked.
    #[must_use]
    pub fn compile(spec: &UnderlaySpec) -> Self {
        let mut template = [0; MAX_LEN];
        let mut len = ethernet::ADDRESSES_LEN;
        let mut put = |bytes: &[u8]| {
            if let Some(place) = template.get_mut(len..len + bytes.len()) {
                place.copy_from_slice(bytes);
            }
            len += bytes.len();
            len
        };
        let (protocol, udp_port) = match spec.carrier {
            Carrier::Udp(port) => (UDP, Some(port)),
            Carrier::Ip(protocol) => (protocol, None),
            Carrier::Port => (0, None),
        };
        if let Some(vlan) = spec.vlan {
            put(&ethernet::C_TAG.to_be_bytes());
            put(&vlan.to_be_bytes());
        }
        let is_ipv6 = spec.dst.is_ipv6();
        put(&if is_ipv6 { ethernet::IPV6 } else { ethernet::IPV4 }.to_be_bytes());
        match (spec.src, spec.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let [df, _] = if spec.df { DF } else { 0 }.to_be_bytes();
                // RFC 6864 §4.1: a packet that is never fragmented needs no identification; any other gets one later.
                // RFC 4459 §3.2: with DF set the underlay says what is too big, instead of leaving it to reassembly.
                // RFC 2003 §3.1: the outer TTL is the tunnel's; a bridge does not count down the inner one.
                put(&[0x45, 0, 0, 0, 0, 0, df, 0, spec.ttl, protocol, 0, 0]);
                put(&src.octets());
                put(&dst.octets());
            }
            (src, dst) => {
                let octets = |address| match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    IpAddr::V6(v6) => v6.octets(),
                };
                put(&[0x60, 0, 0, 0, 0, 0, protocol, spec.ttl]);
                put(&octets(src));
                put(&octets(dst));
            }
        }
        if let Some(port) = udp_port {
            put(&[0; 2]);
            put(&port.to_be_bytes());
            put(&[0; 4]);
        }
        template.rotate_right(MAX_LEN - len);
        let shape = IpShape::of(is_ipv6, udp_port.is_some());
        let ip = template.get(MAX_LEN - shape.len()..).unwrap_or_default();
        let address_sum = if is_ipv6 {
            checksum::add(u64::from(protocol), ip.get(8..IPV6_LEN).unwrap_or_default())
        } else {
            checksum::add(0, ip.get(..IPV4_LEN).unwrap_or_default())
        };
        let (own_class, tenants_class) = classes(spec.dscp, spec.ecn);
        let address_sum = checksum::fold(address_sum);
        let most_packet = u16::MAX as usize + if is_ipv6 { IPV6_LEN } else { 0 };
        Self {
            template,
            len,
            most_payload: (most_packet - shape.len()) as u32,
            shape,
            udp_checksum: spec.udp_checksum,
            source_ports: spec.source_ports,
            own_class,
            tenants_class,
            address_sum,
        }
    }

    /// The peer's address.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        outer::ip_destination(&self.template, MAX_LEN - self.shape.len())
    }

    /// Our own address.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        outer::ip_source(&self.template, MAX_LEN - self.shape.len())
    }

    /// The UDP source ports of its packets.
    #[must_use]
    pub const fn source_ports(&self) -> SourcePorts {
        self.source_ports
    }

    /// Bytes of all outer headers, Ethernet included.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.len
    }

    /// How many of them count against the underlay's MTU: all but outer Ethernet and its tag.
    #[must_use]
    pub const fn ip_overhead(&self) -> usize {
        self.shape.len()
    }

    /// Most bytes of a tunnel's header and what it carries that an IP packet can hold behind these headers.
    #[must_use]
    pub const fn most_payload(&self) -> usize {
        self.most_payload as usize
    }

    /// Whether there is an outer UDP checksum, which covers the payload; that must then be final before
    /// the stamp is put on.
    #[must_use]
    pub const fn covers_payload(&self) -> bool {
        self.shape.is_udp() && matches!(self.udp_checksum, UdpChecksum::Compute)
    }

    /// The outer headers on one link.
    #[must_use]
    #[inline]
    pub fn on(&self, link: LinkAddresses) -> Stamp {
        let mut headers = self.clone();
        let place = headers.template.get_mut(MAX_LEN - self.len..).and_then(|header| header.first_chunk_mut());
        if let Some(place) = place {
            let [d1, d2, d3, d4, d5, d6] = link.dst.0;
            let [s1, s2, s3, s4, s5, s6] = link.src.0;
            *place = [d1, d2, d3, d4, d5, d6, s1, s2, s3, s4, s5, s6];
        }
        Stamp(headers)
    }

    /// Puts the outer headers on one link in front of a tunnel header. See [`Stamp::put`].
    ///
    /// # Errors
    /// As there.
    pub fn stamp(
        &self,
        frame: &mut Frame<'_>,
        link: LinkAddresses,
        entropy: u32,
        inner_class: u8,
        summing: Summing,
    ) -> Result<(), DropReason> {
        self.on(link).put(frame, entropy, inner_class, summing)
    }

    /// Gives an IPv4 packet that has got these headers its identification (RFC 6864 §4.2), for routers that fragment it.
    #[cold]
    pub fn identify(&self, frame: &mut Frame<'_>, id: u16) {
        let ip = frame.bytes_mut().get_mut(self.len - self.shape.len()..).and_then(|ip| ip.first_chunk_mut());
        let Some(ip) = ip.filter(|_| !self.shape.is_ipv6()) else { return };
        let ip: &mut [u8; IPV4_LEN] = ip;
        let sum = checksum::update(u16::from_be_bytes([ip[10], ip[11]]), u16::from_be_bytes([ip[4], ip[5]]), id);
        [ip[4], ip[5]] = id.to_be_bytes();
        [ip[10], ip[11]] = sum.to_be_bytes();
    }

    #[inline]
    fn ipv4(&self, ip: Option<&mut [u8; IPV4_LEN]>, len: usize, class: u8) {
        let Some(ip) = ip else { return };
        ip[1] = class;
        [ip[2], ip[3]] = (len as u16).to_be_bytes();
        let sum = !checksum::fold_short(u32::from(self.address_sum) + u32::from(class) + len as u32);
        [ip[10], ip[11]] = sum.to_be_bytes();
    }

    #[inline(never)]
    fn sum_udp(&self, frame: &mut Frame<'_>, summing: Summing) {
        let udp = self.len - UDP_LEN;
        let start = frame.chunk_offset(udp);
        let Some(packet) = frame.bytes_mut().get_mut(udp..) else { return };
        let sum = self.pseudo_header_sum() + packet.len() as u64;
        let sum = match summing {
            Summing::Device => checksum::fold(sum),
            Summing::Here => match !checksum::fold(checksum::add(sum, packet)) {
                // RFC 768: a computed zero is sent as all ones.
                0 => 0xffff,
                sum => sum,
            },
        };
        if let Some(field) = packet.get_mut(usize::from(outer::UDP_CHECKSUM)..).and_then(|rest| rest.first_chunk_mut())
        {
            *field = sum.to_be_bytes();
        }
        if summing == Summing::Device {
            frame.meta.checksum = Checksum::Partial { start, offset: outer::UDP_CHECKSUM };
        }
    }

    fn pseudo_header_sum(&self) -> u64 {
        if self.shape.is_ipv6() {
            self.address_sum.into()
        } else {
            let ip = self.template.get(MAX_LEN - self.shape.len()..).unwrap_or_default();
            checksum::add(u64::from(UDP), ip.get(12..IPV4_LEN).unwrap_or_default())
        }
    }
}

/// A peer's outer headers on one link: all that frames to it have in common.
#[derive(Debug)]
pub struct Stamp(Underlay);

impl Stamp {
    /// Puts the outer headers in front of a tunnel header. `inner_class` is the traffic class of the tenant's IP
    /// packet, 0 if it is none; `entropy` a hash of its flow. A UDP checksum that is the device's to compute leaves the
    /// frame's [`Checksum`] partial.
    ///
    /// # Errors
    /// `NoHeadroom` with less than [`MAX_LEN`] bytes of it, or `TooBig` for what no IP packet can hold. The frame is then
    /// unchanged.
    #[expect(clippy::inline_always, reason = "asked for each frame; what is fixed then stays in registers")]
    #[inline(always)]
    pub fn put(
        &self,
        frame: &mut Frame<'_>,
        entropy: u32,
        inner_class: u8,
        summing: Summing,
    ) -> Result<(), DropReason> {
        let Self(headers) = self;
        let len = frame.len();
        if len > headers.most_payload() {
            return Err(Common::TooBig.into());
        }
        let header = frame.prepend_last(&headers.template, headers.len)?;
        let class = headers.own_class | inner_class & headers.tenants_class;
        match headers.shape {
            IpShape::Ipv4Udp => {
                let ip = header.last_chunk_mut::<{ IPV4_LEN + UDP_LEN }>().and_then(|ip| ip.first_chunk_mut());
                headers.ipv4(ip, IPV4_LEN + UDP_LEN + len, class);
                udp(header, UDP_LEN + len, headers.source_ports.pick(entropy));
            }
            IpShape::Ipv4 => headers.ipv4(header.last_chunk_mut(), IPV4_LEN + len, class),
            IpShape::Ipv6Udp => {
                let ip = header.last_chunk_mut::<{ IPV6_LEN + UDP_LEN }>().and_then(|ip| ip.first_chunk_mut());
                ipv6(ip, UDP_LEN + len, class, entropy);
                udp(header, UDP_LEN + len, headers.source_ports.pick(entropy));
            }
            IpShape::Ipv6 => ipv6(header.last_chunk_mut(), len, class, entropy),
        }
        if headers.covers_payload() {
            headers.sum_udp(frame, summing);
        }
        Ok(())
    }
}

#[inline]
fn udp(header: &mut [u8; MAX_LEN], len: usize, source_port: u16) {
    let Some(header) = header.last_chunk_mut::<UDP_LEN>() else { return };
    // RFC 7348 §5: the source port is the entropy.
    [header[0], header[1]] = source_port.to_be_bytes();
    [header[4], header[5]] = (len as u16).to_be_bytes();
}

#[inline]
fn ipv6(ip: Option<&mut [u8; IPV6_LEN]>, len: usize, class: u8, entropy: u32) {
    let Some(ip) = ip else { return };
    // RFC 6438 §3: the flow label carries the inner flow's entropy.
    let first = 6 << 28 | u32::from(class) << 20 | entropy & FLOW_LABEL_MASK;
    [ip[0], ip[1], ip[2], ip[3]] = first.to_be_bytes();
    [ip[4], ip[5]] = (len as u16).to_be_bytes();
}

/// The tunnel's own bits of the outer traffic class, and which bits of the tenant's it takes over. What is not IP has
/// none to take over.
const fn classes(dscp: Dscp, ecn: EcnMode) -> (u8, u8) {
    // RFC 2983 §3.1: with the pipe model the tunnel has marks of its own, with the uniform one the tenant's. What the
    // underlay makes of them stays outside: a bridge does not change the tenant's header.
    let (own, tenants) = match dscp {
        Dscp::Pipe(dscp) => (dscp << 2, 0),
        Dscp::Uniform => (0, !ecn::MASK),
    };
    // RFC 6040 §4.1: normal mode copies the inner bits, CE included; what is not IP is Not-ECT.
    match ecn {
        EcnMode::Normal => (own, tenants | ecn::MASK),
        EcnMode::Compatibility => (own | ecn::NOT_ECT, tenants),
    }
}
