//! The fields of events: what each is, the same in every event that has it, and how its value is written.

use std::net::IpAddr;

use serde_json::{Value, json};
use transload_encaps::Mac;

/// Every field, and what it is. A field is never renamed, only retired.
pub const FIELDS: &[(&str, &str)] = &[
    ("address", "An IP address: of a peer, an endpoint, a multicast group, or whoever answered."),
    ("between", "The two attachments."),
    ("calls", "The system calls that are allowed, in words."),
    ("capabilities", "The capabilities that are kept, in words."),
    ("capacity", "MAC addresses that the whole table holds."),
    ("changes", "What changed, a text each, as `transload reload` says it; if that is much, the first hundred."),
    ("count", "How many."),
    ("device", "The network device."),
    ("endpoint", "The endpoint."),
    ("file", "The path of the file."),
    ("first", "The words of the first of them."),
    ("from", "The attachment that the MAC address was behind."),
    ("from_via", "The peer or port that it was reached by."),
    ("group", "The group of peers."),
    ("held_at", "The attachment where the MAC address is held."),
    ("held_via", "The peer or port that it is reached by there."),
    ("host", "The DNS name."),
    ("limit", "MAC addresses that the tenant may learn at most."),
    ("listen", "The address and TCP port that scrapers are answered by."),
    ("mac", "The MAC address; of a loop, the source of the broadcast that came back."),
    ("macs", "MAC addresses."),
    ("moves", "Times that the MAC address moved."),
    ("mtu", "Bytes of the longest IP packet that passes."),
    ("of", "The name of the events that are summed up."),
    ("peer", "The peer."),
    ("peers", "Names of peers; if they are many, the first."),
    ("port", "The port."),
    ("reserve", "MAC addresses that the tenant has room for whatever others learn."),
    ("seconds", "Seconds: for which something holds, or since."),
    ("socket", "The path of the admin socket, or of a port's."),
    ("summary", "How many ports, tunnel peers and tenants there are now."),
    ("tag", "The VLAN ID of the endpoint, if it has one."),
    ("target", "The part of a library that said it."),
    ("tenant", "The tenant."),
    ("to", "The attachment that the MAC address is behind now."),
    ("to_via", "The peer or port that it is reached by now."),
    ("udp_port", "The UDP port."),
    ("user", "The user that the gateway runs as, if the file names one."),
    ("was", "The address before, if there was one."),
    ("why", "The cause, or what was said, in words."),
    ("within", "Seconds within which that happened."),
    ("worker", "The worker's number, from 0 on."),
];

/// What a field may hold.
pub(super) trait EventField {
    /// As JSON has it.
    fn json(&self) -> Value;

    /// As it stands, if it is one text.
    fn text(&self) -> Option<&str> {
        None
    }
}

impl EventField for &str {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// Values that JSON has.
macro_rules! plain {
    ($($Type:ty),*) => {
        $(impl EventField for $Type {
            fn json(&self) -> Value {
                json!(self)
            }
        })*
    };
}
plain!(u16, u32, u64, usize, IpAddr, [&str; 2], &[&str], &[String]);

impl EventField for Mac {
    fn json(&self) -> Value {
        json!(self.to_string())
    }
}

impl<T: EventField> EventField for Option<T> {
    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, EventField::json)
    }

    fn text(&self) -> Option<&str> {
        self.as_ref()?.text()
    }
}
