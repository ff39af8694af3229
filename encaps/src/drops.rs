//! Drop reasons: those that every encapsulation shares, and the template for those of one encapsulation.
//!
//! One line per reason gives the enum, the counter, the metric label, who is responsible, and what the operator
//! should look at. A label is never renamed, only retired.

use crate::registry;

/// The party that can do something about a drop: the one that is responsible when a counter climbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The sender broke the wire format, or sent what it must not.
    Peer,
    /// Our configuration does not cover this frame, or forbids it.
    Config,
    /// We, or this machine, ran out of something.
    Local,
    /// Nobody: the frame is the machine's own, whose network stack takes it. Nothing is lost.
    Nobody,
}

impl Fault {
    /// The word shown in tables and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Config => "config",
            Self::Local => "local",
            Self::Nobody => "nobody",
        }
    }
}

/// The last stage in which frames are dropped for a reason, and by that what can be known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastStage {
    /// Decap, or one before it: whose frame it is has not been found out.
    Decap,
    /// One behind decap: the frame may be a tenant's or a mapping's.
    Encap,
}

/// One row of the drop table.
#[derive(Debug, Clone, Copy)]
pub struct DropInfo {
    /// The metric label, unique over all tables.
    pub label: &'static str,
    /// The party that is responsible.
    pub fault: Fault,
    /// The last stage that drops frames for it.
    pub last_stage: LastStage,
    /// What the drop means and what the operator should look at, one sentence.
    pub meaning: &'static str,
}

/// Why a frame was dropped: a row of the drop table, as small as a counter index.
///
/// It also names what was *tolerated*: the reason for which a stricter peer would have dropped the frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DropReason(u16);

impl DropReason {
    /// How many reasons there are; counters are arrays of this length.
    pub const COUNT: usize = registry::DROP_COUNT;

    /// The reason in this row, for those who walk the table.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        (index < Self::COUNT).then_some(Self(index as u16))
    }

    /// The row's number, below [`COUNT`](Self::COUNT).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The row itself.
    #[must_use]
    pub fn info(self) -> &'static DropInfo {
        registry::drop_info(self.index())
    }

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.info().label
    }

    /// Every reason, in table order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u16).map(Self)
    }

    pub(crate) const fn at(index: u16) -> Self {
        Self(index)
    }
}

impl std::fmt::Debug for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// A table of drop reasons: the common one, or one encapsulation's own.
pub trait DropTable: Copy + Into<DropReason> {
    /// The rows, in the order of the enum's variants.
    const ROWS: &'static [DropInfo];
    /// The number of the first row in the whole table.
    const FIRST: u16;

    /// The variant of a reason, if it is of this table.
    fn of(reason: DropReason) -> Option<Self>;
}

/// Writes an enum of drop reasons and its table from one line each, which stand under their [`LastStage`].
///
/// `for TYPE` says which registered encapsulation the reasons belong to; without it they are everyone's.
macro_rules! drop_reasons {
    ($(#[$meta:meta])* $vis:vis enum $name:ident $(for $owner:ty)? {
        $([$last_stage:ident] $($variant:ident, $label:literal, $fault:ident, $meaning:literal;)*)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[doc = $meaning] $variant,)*)* }

        impl $crate::drops::DropTable for $name {
            const ROWS: &'static [$crate::drops::DropInfo] = &[$($($crate::drops::DropInfo {
                label: $label,
                fault: $crate::drops::Fault::$fault,
                last_stage: $crate::drops::LastStage::$last_stage,
                meaning: $meaning,
            },)*)*];
            const FIRST: u16 = 0 $(+ <$owner as $crate::registry::Registered>::FIRST_DROP)?;

            fn of(reason: $crate::drops::DropReason) -> Option<Self> {
                const ALL: &[$name] = &[$($($name::$variant,)*)*];
                ALL.get(reason.index().checked_sub(Self::FIRST.into())?).copied()
            }
        }

        impl From<$name> for $crate::drops::DropReason {
            fn from(reason: $name) -> Self {
                Self::at(<$name as $crate::drops::DropTable>::FIRST + reason as u16)
            }
        }
    };
}
pub(crate) use drop_reasons;

drop_reasons! {
    /// The reasons that belong to no single encapsulation.
    pub enum Common {
        [Encap]
        // What is wrong with the bytes.
        Truncated, "truncated", Peer, "The frame ends inside a header, or was cut short by a capture.";
        [Decap]
        BadIpHeader, "bad_ip_header", Peer, "An outer IP header with an impossible version or header length.";
        BadIpChecksum, "bad_ip_checksum", Peer, "The outer IPv4 header checksum is wrong: the underlay corrupts packets.";
        BadLength, "bad_length", Peer, "An outer IP or UDP length says more, or less, than the frame holds.";
        SuperFrameTooLong, "super_frame_too_long", Local, "A super-frame of more than 64 KB (BIG TCP), of which the gateway takes no more: `ip link set DEVICE gro_max_size 65536` on the device that it came in by; on a veth or a TAP, `gso_max_size 65536` on the sender's end.";
        OuterFragment, "outer_fragment", Peer, "A fragment of a tunnel packet: the underlay's MTU is smaller than the peer believes. Raise it, lower the MTU of the peer's tenants, or write `reassemble: on` at the endpoint. Tolerated are those that were put together there, but for one of each packet.";
        BadFragment, "bad_fragment", Peer, "A fragment that can be part of no tunnel packet, or one that the whole was broken with: of no length, of an odd length in the middle, beyond 64 KiB, in too many parts, or with congestion marks that contradict each other.";
        DuplicateFragment, "duplicate_fragment", Peer, "A part of a tunnel packet that has come already: the underlay duplicates packets.";
        FragmentOverlap, "fragment_overlap", Peer, "Fragments of a tunnel packet that overlap, which ends all of it (RFC 5722): an attack, or a sender that uses its numbers again too soon.";
        ReassemblyTimeout, "reassembly_timeout", Peer, "Fragments of a tunnel packet whose others did not come in time (`reassemble`): the underlay loses packets, or takes them to another worker.";
        ReassemblyFull, "reassembly_full", Local, "Fragments of more tunnel packets at a time than `reassemble: { most: .. }` or the memory allows, or of one that is longer than a chunk.";
        ExtensionHeaders, "extension_headers", Peer, "More IPv6 extension headers than any tunnel peer needs, or one that cannot be walked.";
        UdpChecksum, "udp_checksum", Peer, "The outer UDP checksum is not zero and not right: the underlay changed the packet, or the sender left the checksum to its device, which XDP sockets do not see. Tolerated are those that were not verified (`udp_checksum.rx: ignore`).";
        UdpZeroChecksum, "udp_zero_checksum", Config, "A UDP checksum of zero over IPv6, which this peer is configured to refuse (`udp_checksum.rx_zero`).";
        [Encap]
        InnerTruncated, "inner_truncated", Peer, "What the tunnel carried is shorter than an Ethernet header.";
        [Decap]
        UnknownPayload, "unknown_payload", Peer, "The tunnel carried something other than Ethernet.";
        EcnDropped, "ecn_dropped", Peer, "Congestion was marked on a packet whose sender does not understand marks (RFC 6040 section 4.2).";
        // Who it is from, and for.
        NotForUs, "not_for_us", Config, "Neither a tunnel packet to an endpoint of this port, nor tags that an attachment claims.";
        UnderlayControl, "underlay_control", Nobody, "ARP, neighbour discovery, LLDP or the like on a port that takes tunnel packets only: the machine's own stack handles it, and nothing is wrong.";
        HostTraffic, "host_traffic", Nobody, "To the machine itself and no tunnel packet (SSH, BGP, ping, ..): the machine's own stack takes it, and nothing is wrong.";
        NotOurMac, "not_our_mac", Config, "To one of our tunnel addresses, but to another device's MAC address.";
        UnknownPeer, "unknown_peer", Config, "A tunnel packet from an address that no peer, `accept_from`, `learn_from` or group names.";
        OwnPacket, "own_packet", Peer, "A tunnel packet from one of our own addresses: a loop in the underlay brought it back, or somebody pretends to be us.";
        OtherGroup, "other_group", Config, "A tunnel packet to the multicast address of a group (`bum`) that its sender is not in.";
        UnknownSegment, "unknown_segment", Config, "The peer is known, but no attachment claims this tenant ID of it.";
        UnclaimedTags, "unclaimed_tags", Config, "No attachment of this port claims these VLAN tags.";
        MappingHole, "mapping_hole", Config, "A mapping has this tenant ID, but its counterpart is reserved and cannot be used; `check` lists all such IDs.";
        [Encap]
        InnerTags, "inner_tags", Config, "The tenant frame carries a VLAN tag, and the attachment says `inner_tags: drop`.";
        L2Control, "l2_control", Config, "A control frame of bridges (01:80:c2:00:00:0x), kept to its link by IEEE 802.1Q: table 8-2 on an S-VID as a whole, 8-1 elsewhere; `l2cp: tunnel` on both attachments carries it.";
        BadSource, "bad_source", Peer, "The tenant frame's source is a group address or all zeros, which no host may use.";
        FromOwnMac, "from_own_mac", Peer, "The tenant frame's source is the gateway's own address in this tenant: a loop brought its answer back, or somebody pretends to be it.";
        // The bridge's decisions.
        ToOwnMac, "to_own_mac", Peer, "To the gateway's own address in this tenant, which only ever sends.";
        SameAttachment, "same_attachment", Peer, "The destination lives where the frame came from; a bridge does not send back.";
        SplitHorizon, "split_horizon", Config, "The destination is another member of the same mesh, which it reaches without us.";
        NoTargets, "no_targets", Config, "Broadcast, multicast or unknown, and the domain has nobody else to send it to.";
        UnknownUnicastOff, "unknown_unicast_off", Config, "No frame has come from the destination yet, and this tenant does not flood unknown unicast.";
        BumLimit, "bum_limit", Config, "More copies of broadcast, unknown or multicast frames than limits.bum allows the attachment they came in by; look for a loop.";
        LoopGuard, "loop_guard", Config, "Broadcast, unknown or multicast between two attachments that a loop joins: look for the link between them. `show tenants` names both.";
        // On egress.
        TooBig, "too_big", Config, "Longer than the path out carries with its headers; the sender gets an ICMP error where the RFCs allow one. Raise the underlay's MTU or lower the tenant's.";
        TooBigNoDf, "too_big_no_df", Config, "As `too_big`, and an IPv4 packet without DF, whose sender expects a fragmentation that no tunnel endpoint does: raise the underlay's MTU, lower the tenant's, or write `mss_clamp: true` for its TCP.";
        TooBigNotIp, "too_big_not_ip", Config, "As `too_big`, and neither IPv4 nor IPv6, so that no ICMP error can be sent: raise the underlay's MTU or lower the tenant's.";
        NoNextHop, "no_next_hop", Local, "The route or the neighbour of the peer's address is not resolved yet.";
        NoHeadroom, "no_headroom", Local, "The port reserves less room than the outer headers need.";
        NoBuffer, "no_buffer", Local, "No free chunk for a copy or a segment of this frame.";
        FloodBacklog, "flood_backlog", Local, "Broadcast, unknown or multicast frames to many peers came in faster than a worker copies them beside other traffic, and no more can wait: lower the tenant's limits.bum, give its groups a multicast group (`bum`), or run more workers.";
        Unsegmentable, "unsegmentable", Peer, "An offloaded super-frame that cannot be cut into segments.";
        PortBusy, "port_busy", Local, "The port's transmit queue is full.";
        PortDown, "port_down", Local, "The port cannot send: its device is down or gone, or has no carrier since the other end of the cable is down.";
        PortRefused, "port_refused", Local, "The kernel refused to send the frame, and the port goes on: mostly a super-frame whose headers are not what its sender said of it, or a filter of this machine on what leaves by the device.";
    }
}
