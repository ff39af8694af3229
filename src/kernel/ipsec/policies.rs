//! The machine's IPsec policies, as the kernel lists them (`ip xfrm policy`).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with};

use super::packets::{PacketSet, PortBits};
use crate::config::Prefix;
use crate::kernel::tables::LinkIndex;

/// Which way the packets go that a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To this machine.
    In,
    /// From this machine.
    Out,
}

/// What a policy does with the packets that it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// They pass as they are.
    Pass,
    /// They must not pass.
    Block,
    /// They must be protected, by this IP protocol.
    Protect(u8),
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpsecPolicy {
    /// The packets that it selects.
    pub packets: PacketSet,
    /// The device that they must come or leave by; `None` for all.
    pub device: Option<LinkIndex>,
    /// Which way they go.
    pub way: Way,
    /// The lowest is applied; of two that are the same, the older one.
    pub priority: u32,
    /// What is done with them.
    pub treatment: Treatment,
    /// Whether it is what happens when no policy selects a packet.
    pub is_default: bool,
}

impl fmt::Display for IpsecPolicy {
    /// As `ip xfrm policy` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.way == Way::In { "in" } else { "out" };
        if self.is_default {
            return write!(f, "default {way} block");
        }
        write!(f, "{} dir {way} priority {}", self.packets, self.priority)?;
        match self.treatment {
            Treatment::Pass => Ok(()),
            Treatment::Block => f.write_str(" action block"),
            Treatment::Protect(50) => f.write_str(" tmpl proto esp"),
            Treatment::Protect(51) => f.write_str(" tmpl proto ah"),
            Treatment::Protect(protocol) => write!(f, " tmpl proto {protocol}"),
        }
    }
}

const GET_POLICY: u16 = 0x15;
const GET_DEFAULT: u16 = 0x28;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 0x001;
const DUMP: u16 = 0x300;
const HEADER_LEN: usize = 16;

/// The length of `struct xfrm_userpolicy_info`, behind which attributes follow.
const INFO_LEN: usize = 168;
/// The templates: what protects a packet.
const TEMPLATES: u16 = 5;
const MARK: u16 = 21;
/// The number of an IPsec interface (`ip link add type xfrm`).
const INTERFACE: u16 = 31;

/// Every policy that may apply to a packet without a mark, in the order in which the kernel tries them. None where the
/// kernel has no IPsec.
///
/// # Errors
/// Without the right to ask (`CAP_NET_ADMIN`).
pub fn policies() -> io::Result<Vec<IpsecPolicy>> {
    let mut all = match ask(GET_POLICY, DUMP, &[]) {
        Ok(bodies) => bodies.iter().filter_map(|body| policy(body)).collect::<Vec<_>>(),
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // The newest is listed first.
    all.reverse();
    all.sort_by_key(|policy| policy.priority);
    // Kernels before Linux 5.14 know no default but to let pass.
    let answers = ask(GET_DEFAULT, 0, &[0; 3]).unwrap_or_default();
    all.extend(answers.iter().flat_map(|body| defaults(body)));
    Ok(all)
}

/// What a message about a policy says, unless it cannot apply: it is a socket's own, or of forwarded packets, or wants
/// an IPsec interface or a mark.
fn policy(body: &[u8]) -> Option<IpsecPolicy> {
    let (info, attributes) = body.split_at_checked(INFO_LEN)?;
    let way = match info.get(160)? {
        0 => Way::In,
        1 => Way::Out,
        _ => return None,
    };
    let blocks = *info.get(161)? == 1;
    let mut treatment = if blocks { Treatment::Block } else { Treatment::Pass };
    for (kind, value) in PolicyAttributes(attributes) {
        match kind {
            INTERFACE | MARK if number(value, 0)? != 0 => return None,
            TEMPLATES if !blocks && !value.is_empty() => treatment = Treatment::Protect(*value.get(20)?),
            _ => {}
        }
    }
    let device = Some(number(info, 48)?).filter(|index| *index != 0);
    let packets = selector(info)?;
    Some(IpsecPolicy { packets, device, way, priority: number(info, 152)?, treatment, is_default: false })
}

/// `struct xfrm_selector`.
fn selector(bytes: &[u8]) -> Option<PacketSet> {
    let port = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = *bytes.get(at..)?.first_chunk()?;
        match i32::from(u16::from_ne_bytes(*bytes.get(40..)?.first_chunk()?)) {
            libc::AF_INET => Some(Ipv4Addr::from(*octets.first_chunk::<4>()?).into()),
            libc::AF_INET6 => Some(Ipv6Addr::from(octets).into()),
            _ => None,
        }
    };
    Some(PacketSet {
        src: Prefix::around(address(16)?, *bytes.get(43)?),
        dst: Prefix::around(address(0)?, *bytes.get(42)?),
        protocol: Some(*bytes.get(44)?).filter(|protocol| *protocol != 0),
        src_port: PortBits { value: port(36)?, mask: port(38)? },
        dst_port: PortBits { value: port(32)?, mask: port(34)? },
    })
}

/// `struct xfrm_userpolicy_default`: what happens to packets that no policy selects.
fn defaults(body: &[u8]) -> Vec<IpsecPolicy> {
    const BLOCK: u8 = 1;
    let ways = [(Way::In, 0), (Way::Out, 2)].into_iter().filter(|(_, at)| body.get(*at) == Some(&BLOCK));
    let everything = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let default = |way, address| {
        let all = Prefix::around(address, 0);
        let packets =
            PacketSet { src: all, dst: all, protocol: None, src_port: PortBits::ANY, dst_port: PortBits::ANY };
        let treatment = Treatment::Block;
        IpsecPolicy { packets, device: None, way, priority: u32::MAX, treatment, is_default: true }
    };
    ways.flat_map(|(way, _)| everything.map(|address| default(way, address))).collect()
}

/// A question, and the bodies of its answers.
fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let protocol = Some(netlink::XFRM);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    let mut question = Vec::new();
    question.extend((HEADER_LEN as u32 + body.len() as u32).to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend((REQUEST | flags).to_ne_bytes());
    question.extend([0; 8]);
    question.extend(body);
    sendto(&socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

    let mut answers = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (len, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = buffer.get(..len).unwrap_or_default();
        while !rest.is_empty() {
            let len = number(rest, 0).ok_or(Errno::PROTO)? as usize;
            let kind = u16::from_ne_bytes(*rest.get(4..).and_then(|rest| rest.first_chunk()).ok_or(Errno::PROTO)?);
            let body = rest.get(HEADER_LEN..len).ok_or(Errno::PROTO)?;
            match kind {
                ERROR => return Err(io::Error::from_raw_os_error(-number(body, 0).unwrap_or_default().cast_signed())),
                DONE => return Ok(answers),
                _ => answers.push(body.to_vec()),
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        if flags & DUMP == 0 {
            return Ok(answers);
        }
    }
}

/// A number in the machine's byte order.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Netlink attributes: kind and value.
struct PolicyAttributes<'b>(&'b [u8]);

impl<'b> Iterator for PolicyAttributes<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let kind = u16::from_ne_bytes(*self.0.get(2..)?.first_chunk()?);
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}
