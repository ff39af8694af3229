//! A netfilter table that drops whatever comes in by a device, behind the packet sockets' tap.
//!
//! As `nft` would write it, were it installed:
//!
//! ```text
//! table netdev transload-PORTID { flags owner;
//!     chain DEVICE { type filter hook ingress device DEVICE priority 0; policy drop; }
//! }
//! ```
//!
//! The table is owned by the netlink socket that made it: only that socket may change it, and the kernel removes it
//! when the socket is closed, which includes a process that was killed. (Linux 5.12.)

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname, recv, sendto, socket_with,
};

/// The nftables subsystem of netfilter's netlink.
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// Tables of rules on devices.
const FAMILY_NETDEV: u8 = 5;

const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const OWNER: u32 = 2;

const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const POLICY_DROP: u32 = 0;

const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const INGRESS: u32 = 0;
const NESTED: u16 = 0x8000;

/// What a message answers with: `NLMSG_ERROR`, whose error is 0 for an acknowledgement.
const ANSWER: u16 = 2;

/// The table, and the socket it lives and dies with.
#[derive(Debug)]
pub(super) struct Ingress {
    socket: OwnedFd,
    table: String,
}

impl Ingress {
    /// An empty table.
    pub(super) fn new() -> io::Result<Self> {
        let protocol = Some(netlink::NETFILTER);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        // The kernel's number for the socket, unique in the network namespace.
        let own = SocketAddrNetlink::try_from(getsockname(&socket)?)?;
        let ingress = Self { socket, table: format!("transload-{}", own.pid()) };

        let mut attributes = Attributes::default();
        attributes.text(TABLE_NAME, &ingress.table);
        attributes.number(TABLE_FLAGS, OWNER);
        ingress.change(NEW_TABLE, &attributes)?;
        Ok(ingress)
    }

    /// Drops everything that comes in by this device from now on.
    pub(super) fn drop_all(&self, device: &str) -> io::Result<()> {
        let mut hook = Attributes::default();
        hook.number(HOOK_NUMBER, INGRESS);
        hook.number(HOOK_PRIORITY, 0);
        hook.text(HOOK_DEVICE, device);

        let mut chain = Attributes::default();
        chain.text(CHAIN_TABLE, &self.table);
        chain.text(CHAIN_NAME, device);
        chain.put(CHAIN_HOOK | NESTED, &hook.0);
        chain.number(CHAIN_POLICY, POLICY_DROP);
        chain.text(CHAIN_TYPE, "filter");
        self.change(NEW_CHAIN, &chain)
    }

    /// Sends one change as a transaction of its own, and waits for the kernel's answer.
    fn change(&self, kind: u16, attributes: &Attributes) -> io::Result<()> {
        let mut batch = message(BATCH_BEGIN, Want::Nothing, 0, NFTABLES, &[]);
        batch.extend(message(kind, Want::Answer, FAMILY_NETDEV, 0, &attributes.0));
        batch.extend(message(BATCH_END, Want::Nothing, 0, NFTABLES, &[]));
        sendto(&self.socket, &batch, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

        // The kernel has answered by the time it has taken the batch.
        let mut answer = [0_u8; 4096];
        let (len, _) = recv(&self.socket, &mut answer, RecvFlags::DONTWAIT)?;
        match verdict(answer.get(..len).unwrap_or_default()) {
            Some(0) => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(Errno::PROTO.into()),
        }
    }
}

/// The error number in an answer.
fn verdict(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(*answer.get(4..)?.first_chunk()?);
    let error = i32::from_ne_bytes(*answer.get(16..)?.first_chunk()?);
    (kind == ANSWER).then_some(-error)
}

/// What the kernel is to answer.
#[derive(Clone, Copy)]
enum Want {
    Nothing,
    Answer,
}

/// A netfilter message: netlink's header in the machine's byte order, netfilter's own, and the attributes.
fn message(kind: u16, want: Want, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    // REQUEST; and CREATE, EXCL, ACK.
    let flags: u16 = match want {
        Want::Nothing => 0x001,
        Want::Answer => 0x001 | 0x400 | 0x200 | 0x004,
    };
    let mut bytes = Vec::new();
    bytes.extend((20 + attributes.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

/// Netlink attributes, one behind the other.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn put(&mut self, kind: u16, value: &[u8]) {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        // Attributes begin at multiples of four.
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.put(kind, &[value.as_bytes(), &[0]].concat());
    }
}
