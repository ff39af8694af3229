//! Samples of dropped frames: what their headers said, of each reason and peer about one a second, and nothing of what
//! they carried.

use std::net::IpAddr;

use rtrb::{Consumer, Producer, RingBuffer};
use transload_encaps::{Carrier, DropReason, Mac, Segment};

use crate::forwarding::{Claim, MappingId, PeerId, PortId};

/// Samples that a worker may be ahead of the control plane.
const RING: usize = 256;
/// The bits by which pairs of a reason and a peer are told apart, as words.
const WORDS: usize = 16;
/// Bits of a word: of so many strangers samples are taken in a second, whatever addresses they make up.
const WORD: usize = 64;

/// A frame that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropSample {
    /// The time, in nanoseconds of the workers' clock.
    pub at: u64,
    /// Why.
    pub reason: DropReason,
    /// The port that it came in by.
    pub port: PortId,
    /// The peer that it came from, or the tags of the port; none of an unknown sender.
    pub peer: Option<PeerId>,
    /// The outer headers, where it had any and they were still there.
    pub outer: Option<OuterSample>,
    /// The tenant ID, where its header was off when the frame was dropped.
    pub segment: Option<Segment>,
    /// The attachment that it came in by, if it was a tenant's.
    pub claim: Option<Claim>,
    /// The mapping that it was to cross.
    pub mapping: Option<MappingId>,
    /// Destination and source of the tenant's frame, or of the frame itself if there was none in it.
    pub macs: Option<[Mac; 2]>,
    /// The VLAN ID of the tag behind these addresses.
    pub vlan: Option<u16>,
    /// How many bytes it had, outer headers included where they were known.
    pub len: u32,
}

/// Outer headers of a frame that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterSample {
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// IP protocol, or UDP destination port; none of a packet that was not whole.
    pub carrier: Option<Carrier>,
    /// The first bytes behind it: the longest tunnel header. What is not there is zero.
    pub header: [u8; Self::HEADER],
}

impl OuterSample {
    /// As long as the longest tunnel header: of GRE, with all that it may have.
    pub const HEADER: usize = 16;
}

/// A worker's end of a ring for samples.
#[derive(Debug)]
pub struct SampleSender {
    ring: Producer<DropSample>,
    /// The pairs of which a sample was taken in this second, by their hash.
    seen: [u64; WORDS],
    /// The same of senders that are no peers, by their addresses.
    strangers: u64,
    second: u16,
}

/// A ring for samples.
pub(super) fn ring() -> (SampleSender, Consumer<DropSample>) {
    let (ring, consumer) = RingBuffer::new(RING);
    (SampleSender { ring, seen: [0; WORDS], strangers: 0, second: 0 }, consumer)
}

impl SampleSender {
    /// Whether a sample of this reason and peer is wanted in this second; if so, the next one is not.
    #[inline]
    pub fn wants(&mut self, reason: DropReason, peer: PeerId, second: u16) -> bool {
        self.pass_to(second);
        let hash = hash(reason, peer.number().into(), second) >> 54;
        let place = self.seen.get_mut(hash as usize / WORD % WORDS);
        !self.ring.is_full() && place.is_some_and(|seen| is_new(seen, hash))
    }

    /// The same of a sender that is no peer, by its address.
    pub fn wants_of_stranger(&mut self, reason: DropReason, address: Option<IpAddr>, second: u16) -> bool {
        self.pass_to(second);
        let bits = match address {
            None => 0,
            Some(IpAddr::V4(address)) => address.to_bits().into(),
            Some(IpAddr::V6(address)) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
        };
        !self.ring.is_full() && is_new(&mut self.strangers, hash(reason, bits, second) >> 54)
    }

    #[inline]
    fn pass_to(&mut self, second: u16) {
        if self.second != second {
            (self.seen, self.strangers, self.second) = ([0; WORDS], 0, second);
        }
    }

    /// Sends a sample to the control plane.
    pub fn send(&mut self, sample: DropSample) {
        // There was room for it when it was wanted.
        let _ = self.ring.push(sample);
    }
}

/// Two pairs of one hash have others in the next second.
#[inline]
fn hash(reason: DropReason, sender: u64, second: u16) -> u64 {
    let mixed = ((reason.index() as u64) << 48 | u64::from(second) << 32) ^ sender;
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether the bit of this number was not set; it is now.
#[inline]
const fn is_new(seen: &mut u64, number: u64) -> bool {
    let bit = 1 << (number % WORD as u64);
    let is_new = *seen & bit == 0;
    *seen |= bit;
    is_new
}

#[cfg(test)]
mod tests {
    use transload_encaps::Common;

    use super::*;

    #[test]
    fn a_storm_of_one_pair_leaves_room_for_every_other() {
        let (mut sender, _consumer) = ring();
        let storm = (0..100_000).filter(|_| sender.wants(Common::UnknownPeer.into(), PeerId::new(1), 5)).count();
        assert_eq!(storm, 1);
        assert!(sender.wants(Common::UnknownPeer.into(), PeerId::new(2), 5));
        assert!(sender.wants(Common::TooBig.into(), PeerId::new(1), 5));
        assert!(sender.wants(Common::UnknownPeer.into(), PeerId::new(1), 6), "a second later it is its turn again");
    }

    #[test]
    fn strangers_are_told_apart_and_take_no_peers_place() {
        let (mut sender, _consumer) = ring();
        let reason = Common::UnknownPeer.into();
        let [known, other] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|address| Some(IpAddr::from(address)));
        assert!(sender.wants_of_stranger(reason, known, 5) && !sender.wants_of_stranger(reason, known, 5));
        assert!(sender.wants_of_stranger(reason, other, 5));
        let spoofed = (0..100_000_u32).filter(|n| sender.wants_of_stranger(reason, Some(n.to_be_bytes().into()), 6));
        assert!(spoofed.count() <= 64);
        assert!(sender.wants(reason, PeerId::new(2), 6));
    }

    #[test]
    fn pairs_of_one_hash_do_not_hide_each_other_for_long() {
        let peers = 0..3000;
        let (mut sender, _consumer) = ring();
        let mut unseen: std::collections::BTreeSet<u32> = peers.clone().collect();
        for second in 0..60 {
            for peer in peers.clone() {
                // Whoever is first gets the place: let that be another one each second.
                let peer = (peer + u32::from(second) * 977) % 3000;
                if sender.wants(Common::UnknownPeer.into(), PeerId::new(peer), second) {
                    unseen.remove(&peer);
                }
            }
        }
        assert!(unseen.len() < 30, "{} of 3000 were never seen", unseen.len());
    }
}
