//! Peers and groups of peers: who is at the far end of a tunnel, and how to speak to them.

use schemars::JsonSchema;
use serde::Deserialize;

use transload_encaps::Spec;

use super::addresses::{Address, Addresses};
use super::at::{At, section};
use super::dscp::Dscp;
use super::host_names::PeerAddress;
use super::numbers::{Ttl, Whole};
use super::prefixes::LearnFrom;
use super::profiles::Profile;
use super::source_ports::UdpSourcePorts;

/// Defines a section's entry with its own fields and those that peers and groups share. (serde's `flatten` would lose
/// the places of what is written.)
macro_rules! with_knobs {
    ($(#[$about:meta])* pub struct $Type:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $Type {
            $($own)*
            /// Our endpoint at the near end; may be left out when only one has the same address family.
            pub endpoint: Option<At<String>>,
            /// The encapsulation.
            pub encap: At<Spec>,
            /// What kind of far end it is: sets the knobs below, and options of `encap`, that are not given.
            pub profile: Option<At<Profile>>,
            /// Where the outer DSCP comes from; `pipe` if left out.
            pub dscp: Option<At<Dscp>>,
            /// Where the outer ECN comes from; `normal` if left out.
            pub ecn: Option<At<Ecn>>,
            /// Outer TTL or hop limit; the endpoint's if left out.
            pub ttl: Option<At<Ttl>>,
            /// Whether IPv4 routers may fragment packets to it; `set` if left out: they may not.
            pub df: Option<At<Df>>,
            /// UDP checksums: which are sent, and which are accepted.
            pub udp_checksum: Option<At<UdpChecksum>>,
            /// The UDP source ports of packets to it, of which each flow gets one, such as `50048-50175`:
            /// a power of two of them, the first a multiple of their number; 49152-65535 if left out.
            pub udp_source_ports: Option<At<UdpSourcePorts>>,
        }

        impl $Type {
            /// What peers and groups have in common.
            #[must_use]
            pub const fn knobs(&self) -> Knobs<'_> {
                Knobs {
                    endpoint: self.endpoint.as_ref(),
                    encap: &self.encap,
                    dscp: self.dscp.as_ref(),
                    ecn: self.ecn.as_ref(),
                    ttl: self.ttl.as_ref(),
                    df: self.df.as_ref(),
                    udp_checksum: self.udp_checksum.as_ref(),
                    udp_source_ports: self.udp_source_ports.as_ref(),
                }
            }
        }
    };
}

with_knobs! {
    /// A far tunnel endpoint.
    pub struct Peer {
        /// The address to send to, and to accept from; or a DNS name that resolves to it. Names are resolved at the
        /// start, at a reload, and once a minute.
        pub address: At<PeerAddress>,
        /// More addresses to accept from.
        #[serde(default, deserialize_with = "section")]
        pub accept_from: Vec<At<Address>>,
    }
}

with_knobs! {
    /// Peers that share an encapsulation and an endpoint and are meshed among themselves: nothing goes from one member
    /// to another through the gateway.
    pub struct Group {
        /// The members' addresses: single ones, and ranges such as `192.0.2.11-192.0.2.50`. May be left out with
        /// `learn_from`.
        pub members: Option<At<Vec<At<Addresses>>>>,
        /// A prefix such as `192.0.2.0/24`, or a list of them: whoever sends from there is a member as soon as one of
        /// its MAC addresses is learned, until none is left. Peers that the file names take precedence.
        pub learn_from: Option<At<LearnFrom>>,
        /// Most members learned at a time; 1024 if left out. A quarter of them is kept for tenants that have few, in
        /// equal parts.
        pub max_learned: Option<At<MaxLearned>>,
        /// The multicast group of the underlay that broadcast, unknown and multicast frames are sent to, instead of a
        /// copy to every member, and come from: `239.1.1.1`, `ff05::1`. Sent by the endpoint's first port that is up,
        /// with the group's `ttl`.
        pub bum: Option<At<Address>>,
    }
}

/// A limit of learned members.
pub type MaxLearned = Whole<1, 65536>;

/// What peers and groups have in common.
#[derive(Debug, Clone, Copy)]
pub struct Knobs<'c> {
    /// Our endpoint.
    pub endpoint: Option<&'c At<String>>,
    /// The encapsulation.
    pub encap: &'c At<Spec>,
    /// Outer DSCP.
    pub dscp: Option<&'c At<Dscp>>,
    /// Outer ECN.
    pub ecn: Option<&'c At<Ecn>>,
    /// Outer TTL.
    pub ttl: Option<&'c At<Ttl>>,
    /// Outer DF.
    pub df: Option<&'c At<Df>>,
    /// UDP checksums.
    pub udp_checksum: Option<&'c At<UdpChecksum>>,
    /// UDP source ports.
    pub udp_source_ports: Option<&'c At<UdpSourcePorts>>,
}

/// Where the ECN bits of the outer header come from (RFC 6040 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ecn {
    /// The mark of the tenant's packet.
    Normal,
    /// Not-ECT, for a far end that does not understand marks.
    Compatibility,
}

/// The DF bit of the outer IPv4 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Df {
    /// A packet that is too big for a link is dropped there, and the router says so: tenants are told of the path MTU.
    #[default]
    Set,
    /// Routers fragment a packet that is too big for a link, and the peer puts it together again. Only the first link
    /// has to carry it whole.
    Clear,
}

/// UDP checksums towards and from a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UdpChecksum {
    /// What to send.
    pub tx: UdpTx,
    /// What to do about a checksum that is not zero.
    pub rx: UdpRx,
    /// What to do about a checksum of zero over IPv6; the encapsulation's standard decides if left out.
    pub rx_zero: Option<RxZero>,
}

/// What UDP checksum to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UdpTx {
    /// Zero over IPv4, computed over IPv6.
    #[default]
    Auto,
    /// Always zero, which means none.
    Zero,
    /// A computed one.
    Compute,
}

/// What to do about a UDP checksum that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UdpRx {
    /// Verify it, unless the device has; drop the packet if it is wrong.
    #[default]
    Verify,
    /// Take the packet as it is, for a far end that sends wrong ones; `show drops` counts these packets as tolerated.
    Ignore,
}

/// What to do about a UDP checksum of zero over IPv6 (RFC 6936).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RxZero {
    /// Take the packet.
    Accept,
    /// Drop it.
    Drop,
}
