//! A netfilter table that drops what comes in by a device, behind the packet sockets' tap: all of it, or what has a VLAN
//! ID.
//!
//! As `nft` would write it, were it installed, the two rules only where untagged frames pass:
//!
//! ```text
//! table netdev transload-PORTID { flags owner;
//!     chain DEVICE { type filter hook ingress device DEVICE priority 0; policy drop;
//!         @ll,96,16 != 0x8100 @ll,96,16 != 0x88a8 accept
//!         @ll,96,16 == 0x8100 @ll,112,16 & 0x0fff == 0 accept
//!     }
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

use super::quiet::Unheard;

/// The nftables subsystem of netfilter's netlink.
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
const DELETE_RULE: u16 = NFTABLES << 8 | 8;
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

const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

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
        ingress.change(&[(NEW_TABLE, attributes)])?;
        Ok(ingress)
    }

    /// Drops from now on what comes in by this device: everything, or what has a VLAN ID.
    pub(super) fn drop(&self, device: &str, dropped: Unheard) -> io::Result<()> {
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
        let rules = match dropped {
            Unheard::Everything => Vec::new(),
            Unheard::Tagged => vec![rules::untagged(), rules::priority_tagged()],
        };
        let mut changes = vec![(NEW_CHAIN, chain), (DELETE_RULE, self.rule(device, None))];
        changes.extend(rules.iter().map(|rule| (NEW_RULE, self.rule(device, Some(rule)))));
        self.change(&changes)
    }

    /// A rule of a device's chain, or all that it has.
    fn rule(&self, device: &str, expressions: Option<&Attributes>) -> Attributes {
        let mut rule = Attributes::default();
        rule.text(RULE_TABLE, &self.table);
        rule.text(RULE_CHAIN, device);
        if let Some(expressions) = expressions {
            rule.put(RULE_EXPRESSIONS | NESTED, &expressions.0);
        }
        rule
    }

    /// Sends changes as a transaction of their own, and waits for the kernel's answers.
    fn change(&self, changes: &[(u16, Attributes)]) -> io::Result<()> {
        let mut batch = message(BATCH_BEGIN, Want::Nothing, 0, NFTABLES, &[]);
        for (kind, attributes) in changes {
            batch.extend(message(*kind, Want::Answer, FAMILY_NETDEV, 0, &attributes.0));
        }
        batch.extend(message(BATCH_END, Want::Nothing, 0, NFTABLES, &[]));
        sendto(&self.socket, &batch, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

        // The kernel has answered by the time it has taken the batch: once for every change, or what is wrong with some.
        let mut answer = [0_u8; 4096];
        for _ in changes {
            let (len, _) = recv(&self.socket, &mut answer, RecvFlags::DONTWAIT)?;
            match verdict(answer.get(..len).unwrap_or_default()) {
                Some(0) => {}
                Some(errno) => {
                    while recv(&self.socket, &mut answer, RecvFlags::DONTWAIT).is_ok() {}
                    return Err(io::Error::from_raw_os_error(errno));
                }
                None => return Err(Errno::PROTO.into()),
            }
        }
        Ok(())
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
    // REQUEST; and APPEND, CREATE, ACK.
    let flags: u16 = match want {
        Want::Nothing => 0x001,
        Want::Answer => 0x001 | 0x800 | 0x400 | 0x004,
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

/// The rules that let frames without a VLAN ID pass, as lists of expressions. A tag that the device took out of a frame
/// is read as if it were still there.
mod rules {
    use super::{Attributes, NESTED};

    const TYPE_AT: u32 = 12;
    const VID_AT: u32 = 14;
    const C_TAG: u16 = 0x8100;
    const S_TAG: u16 = 0x88a8;
    const VID: u16 = 0x0fff;

    const LIST_ELEMENT: u16 = 1;
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    /// The register that all of them work in, and the one of the verdict.
    const REGISTER: u32 = 1;
    const VERDICT_REGISTER: u32 = 0;
    const ACCEPT: u32 = 1;
    const EQUAL: u32 = 0;
    const NOT_EQUAL: u32 = 1;

    /// Neither an 802.1Q nor an 802.1ad tag: the kernel has devices above for no other.
    pub(super) fn untagged() -> Attributes {
        list(&[load(TYPE_AT), compare(NOT_EQUAL, C_TAG), compare(NOT_EQUAL, S_TAG), accept()])
    }

    /// A tag that has only a priority.
    pub(super) fn priority_tagged() -> Attributes {
        list(&[load(TYPE_AT), compare(EQUAL, C_TAG), load(VID_AT), mask(VID), compare(EQUAL, 0), accept()])
    }

    /// Two bytes of the frame, from its destination address on.
    fn load(offset: u32) -> Attributes {
        const LINK_LAYER: u32 = 0;
        let mut data = Attributes::default();
        for (kind, value) in [(1, REGISTER), (2, LINK_LAYER), (3, offset), (4, 2)] {
            data.number(kind, value);
        }
        expression("payload", &data)
    }

    fn compare(how: u32, with: u16) -> Attributes {
        let mut data = Attributes::default();
        data.number(1, REGISTER);
        data.number(2, how);
        data.put(3 | NESTED, &value(with).0);
        expression("cmp", &data)
    }

    fn mask(mask: u16) -> Attributes {
        let mut data = Attributes::default();
        for (kind, number) in [(1, REGISTER), (2, REGISTER), (3, 2)] {
            data.number(kind, number);
        }
        data.put(4 | NESTED, &value(mask).0);
        data.put(5 | NESTED, &value(0).0);
        expression("bitwise", &data)
    }

    fn accept() -> Attributes {
        let (mut code, mut verdict, mut data) = (Attributes::default(), Attributes::default(), Attributes::default());
        code.number(1, ACCEPT);
        verdict.put(2 | NESTED, &code.0);
        data.number(1, VERDICT_REGISTER);
        data.put(2 | NESTED, &verdict.0);
        expression("immediate", &data)
    }

    fn value(number: u16) -> Attributes {
        let mut value = Attributes::default();
        value.put(1, &number.to_be_bytes());
        value
    }

    fn expression(name: &str, data: &Attributes) -> Attributes {
        let mut expression = Attributes::default();
        expression.text(NAME, name);
        expression.put(DATA | NESTED, &data.0);
        expression
    }

    fn list(expressions: &[Attributes]) -> Attributes {
        let mut list = Attributes::default();
        for expression in expressions {
            list.put(LIST_ELEMENT | NESTED, &expression.0);
        }
        list
    }
}
