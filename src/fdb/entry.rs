//! The contents of a slot: a domain's MAC address, where it lives, when it was last seen.

use transload_encaps::Mac;

use crate::forwarding::{DomainId, Target};

/// Workers read the clock at different moments: an entry can have been seen this many seconds after "now".
const AHEAD: u16 = 60;

/// Most seconds of ageing. More is taken as this much, so that a silent entry stays expired for a minute
/// before it would look as if it came from the future.
pub const MAX_AGEING: u16 = u16::MAX - 2 * AHEAD;

/// A MAC of a domain, and its home bucket in the one table that made the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The first word of its slot: MAC, and the low 16 bits of the domain.
    identity: u64,
    /// The high 8 bits of the domain where the second word of its slot has them, and the home bucket in the low 32.
    domain_and_home: u64,
}

impl Key {
    #[inline]
    pub(super) fn new(domain: DomainId, mac: u64, homes: usize, seed: u64) -> Self {
        debug_assert!(domain.number() < 1 << 24, "a domain has at most 24 bits");
        let identity = mac << 16 | u64::from(domain.number() & 0xffff);
        let domain_high = domain.number() >> 16;
        let hash = hash(identity, domain_high, seed);
        let home = ((u128::from(hash) * homes as u128) >> 64) as u32;
        Self { identity, domain_and_home: u64::from(domain_high) << SlotState::DOMAIN_AT | u64::from(home) }
    }

    /// The bridge domain.
    #[must_use]
    pub fn domain(self) -> DomainId {
        DomainId::new(self.domain_high() << 16 | (self.identity & 0xffff) as u32)
    }

    #[inline]
    fn domain_high(self) -> u32 {
        (self.domain_and_home >> SlotState::DOMAIN_AT) as u32
    }

    /// The address as a number.
    #[must_use]
    #[inline]
    pub fn mac_bits(self) -> u64 {
        self.identity >> 16
    }

    /// The address.
    #[must_use]
    pub fn mac(self) -> Mac {
        Mac::from_bits(self.identity >> 16)
    }

    #[inline]
    pub(super) fn home(self) -> usize {
        self.domain_and_home as u32 as usize
    }

    #[inline]
    pub(super) fn identity(self) -> u64 {
        self.identity
    }
}

/// Two rounds of multiply and fold. Whoever does not know the seed cannot tell which MACs share a home.
#[inline]
fn hash(identity: u64, domain_high: u32, seed: u64) -> u64 {
    let once = fold(identity ^ seed, 0x9e37_79b9_7f4a_7c15);
    fold(once ^ seed.rotate_left(32) ^ u64::from(domain_high), 0xd6e8_feb8_6659_fd93)
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The second word of a slot: the rest of the domain, target, tick, flags. Zero in an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotState(pub(super) u64);

impl SlotState {
    pub(super) const EMPTY: Self = Self(0);

    const OCCUPIED: u64 = 1;
    const STATIC: u64 = 2;
    const HELD: u64 = 4;
    const TOLD: u64 = 8;
    const RESTORED: u64 = 16;
    const SEEN_AT: u32 = 8;
    const TARGET_AT: u32 = 24;
    const DOMAIN_AT: u32 = 56;
    /// All that a MAC's state keeps while the MAC stays where it is, the bits that are never set included.
    const LOCATION: u64 = !(0xffff << Self::SEEN_AT | Self::STATIC | Self::HELD | Self::TOLD);

    pub(super) fn learned(key: Key, target: Target, tick: u16) -> Self {
        let location = MacLocation::bits(key.domain_high(), target);
        Self(location | u64::from(tick) << Self::SEEN_AT)
    }

    /// As [`learned`](Self::learned), before this process ran. Never [at](Self::is_at) a location for a glance: the full
    /// path hears the MAC, and forgets where it was.
    pub(super) fn restored(key: Key, target: Target, tick: u16) -> Self {
        Self(Self::learned(key, target, tick).0 | Self::RESTORED)
    }

    pub(super) fn installed(key: Key, target: Target, source: EntrySource) -> Self {
        let flags = match source {
            EntrySource::Learned => 0,
            EntrySource::Restored => Self::RESTORED,
            EntrySource::File => Self::STATIC,
            EntrySource::Told => Self::TOLD,
            EntrySource::ToldSticky => Self::TOLD | Self::STATIC,
        };
        Self(Self::learned(key, target, 0).0 | flags)
    }

    fn source(self) -> EntrySource {
        match (self.0 & Self::TOLD != 0, self.is_static()) {
            (false, false) if self.is_restored() => EntrySource::Restored,
            (false, false) => EntrySource::Learned,
            (false, true) => EntrySource::File,
            (true, false) => EntrySource::Told,
            (true, true) => EntrySource::ToldSticky,
        }
    }

    /// Whether control has put it there: it is fresh without a tick.
    #[inline]
    fn is_installed(self) -> bool {
        self.0 & (Self::STATIC | Self::TOLD) != 0
    }

    #[inline]
    pub(super) fn is_occupied(self) -> bool {
        self.0 & Self::OCCUPIED != 0
    }

    #[inline]
    pub(super) fn is_static(self) -> bool {
        self.0 & Self::STATIC != 0
    }

    #[inline]
    pub(super) fn is_restored(self) -> bool {
        self.0 & Self::RESTORED != 0
    }

    /// Whether the MAC lives behind this target, and not only did so before a restart.
    #[inline]
    pub(super) fn is_known_behind(self, target: Target) -> bool {
        let bits = u64::from(target.to_bits()) << Self::TARGET_AT;
        (self.0 ^ bits) & (0xffff_ffff << Self::TARGET_AT | Self::RESTORED) == 0
    }

    #[inline]
    pub(super) fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    /// The same, but staying behind this target, or free to move again.
    pub(super) fn held(self, at: Option<Target>) -> Self {
        let Some(target) = at else { return Self(self.0 & !Self::HELD) };
        let elsewhere = self.0 & !(u64::from(u32::MAX) << Self::TARGET_AT);
        Self(elsewhere | u64::from(target.to_bits()) << Self::TARGET_AT | Self::HELD)
    }

    /// Whether this is the state of an occupied slot of the key's domain, as far as it can tell.
    #[inline]
    pub(super) fn is_of(self, key: Key) -> bool {
        self.is_occupied() && (self.0 ^ key.domain_and_home) >> Self::DOMAIN_AT == 0
    }

    /// Whether this is the state of a MAC that lives at this location.
    #[inline]
    pub(super) fn is_at(self, location: MacLocation) -> bool {
        (self.0 ^ location.0) & Self::LOCATION == 0
    }

    #[inline]
    pub(super) fn target(self) -> Target {
        Target::from_bits((self.0 >> Self::TARGET_AT) as u32)
    }

    #[inline]
    fn seen(self) -> u16 {
        (self.0 >> Self::SEEN_AT) as u16
    }

    #[inline]
    pub(super) fn is_expired(self, tick: u16, ageing: u16) -> bool {
        !self.is_installed() && age(self.seen(), tick) > ageing.min(MAX_AGEING)
    }

    /// Whether it is not expired for sure, at an ageing of at most [`MAX_AGEING`]. One that was seen "after now" is taken
    /// for an old one.
    #[inline]
    pub(super) fn is_valid(self, tick: u16, ageing: u16) -> bool {
        tick.wrapping_sub(self.seen()) <= ageing || self.is_installed()
    }

    /// Whether it is no news that the MAC is seen now, for sure.
    #[inline]
    pub(super) fn is_fresh(self, tick: u16) -> bool {
        self.seen() == tick || self.is_installed()
    }

    /// The same, seen now; `None` if that is no news.
    #[inline]
    pub(super) fn refreshed(self, tick: u16) -> Option<Self> {
        let stale = !self.is_installed() && age(self.seen(), tick) != 0;
        stale.then(|| Self(self.0 & !(0xffff << Self::SEEN_AT) | u64::from(tick) << Self::SEEN_AT))
    }

    /// In words, given the other word of the slot.
    pub(super) fn entry(self, identity: u64) -> Entry {
        let domain = (self.0 >> Self::DOMAIN_AT) as u32;
        Entry {
            domain: DomainId::new(domain << 16 | (identity & 0xffff) as u32),
            mac: Mac::from_bits(identity >> 16),
            target: self.target(),
            seen: self.seen(),
            source: self.source(),
            is_held: self.is_held(),
        }
    }
}

/// Where MACs of a domain live: a word to compare slots with, for those who ask the same of many MACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacLocation(u64);

impl MacLocation {
    /// Where no MAC ever is: one of the flags that no slot has.
    pub const NOWHERE: Self = Self(1 << 7);

    /// Behind this target of the domain (at most 24 bits). Where the table cannot hold the target, say because its
    /// peer has no number yet, that is [`NOWHERE`](Self::NOWHERE).
    #[must_use]
    #[inline]
    pub fn new(domain: DomainId, target: Target) -> Self {
        if Target::from_bits(target.to_bits()) != target {
            return Self::NOWHERE;
        }
        Self(Self::bits(domain.number() >> 16, target))
    }

    #[inline]
    fn bits(domain_high: u32, target: Target) -> u64 {
        let target = u64::from(target.to_bits()) << SlotState::TARGET_AT;
        u64::from(domain_high) << SlotState::DOMAIN_AT | target | SlotState::OCCUPIED
    }
}

/// Seconds since `seen`.
#[inline]
fn age(seen: u16, now: u16) -> u16 {
    let age = now.wrapping_sub(seen);
    if age > u16::MAX - AHEAD { 0 } else { age }
}

/// The source of an entry: what made it known where a MAC lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntrySource {
    /// A worker that received a frame from it: it moves, and expires.
    Learned,
    /// A worker of a gateway that ran before this one: it expires, and whatever is heard takes its place.
    Restored,
    /// The file: it neither moves nor expires.
    File,
    /// A controller or a manager: it moves when it is heard elsewhere, and does not expire.
    Told,
    /// A controller or a manager, that it stays there: it neither moves nor expires.
    ToldSticky,
}

impl EntrySource {
    /// Whether it moves and expires by what workers receive.
    #[must_use]
    pub const fn is_learned(self) -> bool {
        matches!(self, Self::Learned | Self::Restored)
    }
}

/// A MAC in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The bridge domain.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// The attachment it is behind, and the peer.
    pub target: Target,
    /// The tick, in wrapping seconds of the workers' clock, of the last frame from it. 0 for one that control installed.
    pub seen: u16,
    /// What made it known.
    pub source: EntrySource,
    /// Control keeps it there; it expires all the same.
    pub is_held: bool,
}

impl Entry {
    /// Seconds, by now, `tick`, since the last frame from it.
    #[must_use]
    pub fn age(&self, tick: u16) -> u16 {
        age(self.seen, tick)
    }

    /// Whether it has been silent, by now, `tick`, for more than `ageing` seconds; one that control installed never has.
    #[must_use]
    pub fn is_expired(&self, tick: u16, ageing: u16) -> bool {
        self.source.is_learned() && self.age(tick) > ageing.min(MAX_AGEING)
    }
}
