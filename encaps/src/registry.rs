//! The one place that lists the encapsulations: a line each, and everything else follows.
//!
//! From the list the macro makes the YAML choice with its schema, the drop table, the ID field names, the
//! documentation rows, and the dispatch of the data plane: one `match` for a run of frames, static inside.

mod yaml;

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use serde::de::MapAccess;
use serde::ser::SerializeMap;

use crate::drops::{Common, DropInfo, DropReason, DropTable};
use crate::encap::{Carrier, Decap, Encap, IdField, Ids, InnerTags, Segment, SpecError};
use crate::frame::Frame;
use crate::l2cp::ControlGroups;
use crate::wire_ids::WireIds;
use crate::words::{HeaderField, Readings};

/// What the registry knows of a listed encapsulation.
pub trait Registered: Encap {
    /// Which one it is.
    const KIND: Kind;
    /// The first row of its own drop reasons in the whole table.
    const FIRST_DROP: u16;
}

/// A piece of work on frames of one peer, written once and compiled for every encapsulation.
pub trait Work {
    /// What comes of it.
    type Outcome;

    /// Does the work for a peer of this encapsulation.
    fn run<E: Encap>(self, peer: &E, state: &E::State) -> Self::Outcome;
}

macro_rules! encapsulations {
    ($($(#[$cfg:meta])* $module:ident :: $Type:ident),+ $(,)?) => {
        /// Which encapsulation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[$cfg])* #[doc = stringify!($Type)] $Type),+ }

        impl Kind {
            /// All of them, in the registry's order.
            pub const ALL: &'static [Self] = &[$($(#[$cfg])* Self::$Type),+];

            const fn drop_rows(self) -> &'static [DropInfo] {
                match self { $($(#[$cfg])* Self::$Type =>
                    <<crate::$module::$Type as Encap>::Drop as DropTable>::ROWS),+ }
            }

            /// What the encapsulation declares about itself.
            #[must_use]
            pub const fn info(self) -> KindInfo {
                match self { $($(#[$cfg])* Self::$Type => KindInfo::of::<crate::$module::$Type>()),+ }
            }

            /// The segment that these ID fields name.
            ///
            /// # Errors
            /// When a field is missing or two exclude each other.
            pub fn segment(self, ids: &Ids) -> Result<Segment, SpecError> {
                match self { $($(#[$cfg])* Self::$Type => crate::$module::$Type::segment(ids)),+ }
            }

            /// Which of bridges' control frames pass at a segment, unless the configuration says otherwise.
            #[must_use]
            pub fn relayed(self, segment: Segment) -> ControlGroups {
                match self { $($(#[$cfg])* Self::$Type => crate::$module::$Type::relayed(segment)),+ }
            }

            /// The ID fields of a segment of this encapsulation.
            #[must_use]
            pub fn ids(self, segment: Segment) -> Ids {
                match self { $($(#[$cfg])* Self::$Type => crate::$module::$Type::ids(segment)),+ }
            }

            /// The fields of a header. See [`Encap::fields`].
            #[must_use]
            pub fn fields(self, packet: &[u8]) -> Vec<HeaderField> {
                match self { $($(#[$cfg])* Self::$Type => crate::$module::$Type::fields(packet)),+ }
            }

            /// Where the Ethernet frame begins in a packet. See [`Encap::inner_at`].
            #[must_use]
            pub fn inner_at(self, packet: &[u8]) -> Option<usize> {
                match self { $($(#[$cfg])* Self::$Type => crate::$module::$Type::inner_at(packet)),+ }
            }
        }

        $($(#[$cfg])* impl Registered for crate::$module::$Type {
            const KIND: Kind = Kind::$Type;
            const FIRST_DROP: u16 = first_drop(Kind::$Type);
        })+

        /// The YAML choice of an encapsulation: a word, or a one-key map with its options.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Spec { $($(#[$cfg])* #[doc = stringify!($Type)]
            $Type(<crate::$module::$Type as Encap>::Spec)),+ }

        impl Spec {
            /// The encapsulation with default options.
            #[must_use]
            pub fn default_of(kind: Kind) -> Self {
                match kind { $($(#[$cfg])* Kind::$Type => Self::$Type(Default::default())),+ }
            }

            /// Which encapsulation it asks for.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $($(#[$cfg])* Self::$Type(_) => Kind::$Type),+ }
            }

            /// Control plane, once per peer: see [`Encap::compile`].
            ///
            /// # Errors
            /// When the spec asks for something the wire cannot say.
            pub fn compile(&self) -> Result<Compiled, SpecError> {
                match self { $($(#[$cfg])* Self::$Type(spec) =>
                    crate::$module::$Type::compile(spec).map(|peer| Compiled::$Type(peer, Arc::default()))),+ }
            }

            /// Control plane: whether a mapping may lead to such a peer. See [`Encap::mappable`].
            ///
            /// # Errors
            /// Which option is in the way, and what it does.
            pub fn mappable(&self) -> Result<(), SpecError> {
                match self { $($(#[$cfg])* Self::$Type(spec) => crate::$module::$Type::mappable(spec)),+ }
            }

            fn read_options<'de, A: MapAccess<'de>>(kind: Kind, map: &mut A) -> Result<Self, A::Error> {
                match kind { $($(#[$cfg])* Kind::$Type => map.next_value().map(Self::$Type)),+ }
            }

            fn write_options<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self { $($(#[$cfg])* Self::$Type(spec) => map.serialize_entry(self.kind().info().tag, spec)),+ }
            }

            fn options_schema(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
                match kind { $($(#[$cfg])* Kind::$Type =>
                    generator.subschema_for::<<crate::$module::$Type as Encap>::Spec>()),+ }
            }
        }

        /// A compiled peer: the bytes that never change, and beside them the state that outlives a reload.
        #[derive(Debug)]
        pub enum Compiled { $($(#[$cfg])* #[doc = stringify!($Type)]
            $Type(crate::$module::$Type, Arc<<crate::$module::$Type as Encap>::State>)),+ }

        impl Compiled {
            /// Which encapsulation it speaks.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $($(#[$cfg])* Self::$Type(..) => Kind::$Type),+ }
            }

            /// What it rides on.
            #[must_use]
            pub fn carrier(&self) -> Carrier {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.carrier()),+ }
            }

            /// How many bytes a segment's header takes, carrier and underlay not counted.
            #[must_use]
            pub fn overhead(&self, segment: Segment) -> usize {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.overhead(segment)),+ }
            }

            /// The type of the tag that comes first on the wire, for an encapsulation that is tags.
            #[must_use]
            pub fn outer_tag(&self, segment: Segment) -> Option<u16> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.outer_tag(segment)),+ }
            }

            /// Control plane: an attachment will use this segment. See [`Encap::claim`].
            ///
            /// # Errors
            /// When it cannot be told apart from one claimed before.
            pub fn claim(&mut self, segment: Segment) -> Result<(), SpecError> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.claim(segment)),+ }
            }

            /// Control plane: the attachment that uses `first` will use this segment too. See [`Encap::join`].
            ///
            /// # Errors
            /// When it cannot be told apart from one claimed before.
            pub fn join(&mut self, segment: Segment, first: Segment) -> Result<(), SpecError> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.join(segment, first)),+ }
            }

            /// Control plane: a mapping will use segments that begin like this one. See [`Encap::claim_mapped`].
            ///
            /// # Errors
            /// When they cannot be told apart from one claimed before.
            pub fn claim_mapped(&mut self, segment: Segment) -> Result<(), SpecError> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.claim_mapped(segment)),+ }
            }

            /// Control plane: the claimed segments that count before this one. See [`Encap::longer`].
            #[must_use]
            pub fn longer(&self, segment: Segment) -> Vec<Segment> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.longer(segment)),+ }
            }

            /// Control plane: all segments of the attachment that uses this one. See [`Encap::fellows`].
            #[must_use]
            pub fn fellows(&self, segment: Segment) -> Vec<Segment> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.fellows(segment)),+ }
            }

            /// The tenant IDs of the attachment that uses this segment: `vni 7`, `s_vid 100, c_vid 7-9`.
            #[must_use]
            pub fn ids_in_words(&self, segment: Segment) -> String {
                let all = self.fellows(segment);
                let words: Vec<_> = all.iter().map(|&segment| self.kind().ids(segment).to_string()).collect();
                words.join(" and ")
            }

            /// Control plane: the values of the ID bits accepted for a segment. See [`Encap::rx_ids`].
            #[must_use]
            pub fn rx_ids(&self, segment: Segment) -> WireIds {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.rx_ids(segment)),+ }
            }

            /// Control plane: the values of the ID bits written for a segment. See [`Encap::tx_ids`].
            #[must_use]
            pub fn tx_ids(&self, segment: Segment) -> WireIds {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.tx_ids(segment)),+ }
            }

            /// Control plane: whether no frame of another segment leaves as this one. See
            /// [`Encap::blocks_foreign_tags`].
            #[must_use]
            pub fn blocks_foreign_tags(&self, segment: Segment) -> bool {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.blocks_foreign_tags(segment)),+ }
            }

            /// Control plane, after the last claim: makes the state, carrying over what `previous` counted.
            pub fn carry_state(&mut self, previous: Option<&Self>) {
                match self { $($(#[$cfg])* Self::$Type(peer, state) => {
                    let before = match previous {
                        Some(Self::$Type(_, before)) => Some(&**before),
                        _ => None,
                    };
                    *state = Arc::new(peer.state(before));
                }),+ }
            }

            /// Control plane, after the last claim: another peer like this one, which has counted nothing yet.
            #[must_use]
            pub fn for_new_peer(&self) -> Self {
                match self { $($(#[$cfg])* Self::$Type(peer, _) =>
                    Self::$Type(peer.clone(), Arc::new(peer.state(None)))),+ }
            }

            /// Why a packet was dropped, or tolerated, for a reason that only the encapsulation can explain: one of its
            /// own, or a payload that is not Ethernet. See [`Encap::why`] and [`Encap::other_payload`].
            #[must_use]
            pub fn why(&self, reason: DropReason, packet: &[u8], who: &str) -> Option<String> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => {
                    if reason == Common::UnknownPayload.into() {
                        return crate::$module::$Type::other_payload(packet, who);
                    }
                    peer.why(DropTable::of(reason)?, packet, who)
                }),+ }
            }

            /// The readings of the tenant ID of a packet. See [`Encap::readings`].
            #[must_use]
            pub fn readings(&self, packet: &[u8], configured: &[Segment]) -> Readings {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.readings(packet, configured)),+ }
            }

            /// What to do about a peer that sends on another carrier. See [`Encap::elsewhere`].
            #[must_use]
            pub fn elsewhere(&self, sent: Carrier, packet: &[u8]) -> Option<String> {
                match self { $($(#[$cfg])* Self::$Type(peer, _) => peer.elsewhere(sent, packet)),+ }
            }

            /// Data plane: has a piece of work done for this peer. Which encapsulation it is, is asked once.
            #[inline]
            pub fn with<W: Work>(&self, work: W) -> W::Outcome {
                match self { $($(#[$cfg])* Self::$Type(peer, state) => work.run(peer, state)),+ }
            }

            /// Data plane: strips the header of one frame. See [`Encap::decap`].
            ///
            /// # Errors
            /// Why the frame must be dropped.
            #[inline]
            pub fn decap(&self, frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
                match self { $($(#[$cfg])* Self::$Type(peer, state) => peer.decap(state, frame)),+ }
            }

            /// Data plane: puts the header in front of one frame. See [`Encap::encap`].
            ///
            /// # Errors
            /// Why the frame must be dropped. It is then unchanged.
            #[inline]
            pub fn encap(&self, frame: &mut Frame<'_>, segment: Segment, entropy: u32) -> Result<(), DropReason> {
                match self { $($(#[$cfg])* Self::$Type(peer, state) => peer.encap(state, frame, segment, entropy)),+ }
            }
        }
    };
}

encapsulations! {
    gre::Gre,
    nvgre::Nvgre,
    qinq::QinQ,
    vxlan::Vxlan,
    #[cfg(feature = "shim")] shim::Shim,
}

/// What an encapsulation declares about itself, for tables, documentation and the loader.
#[derive(Debug, Clone, Copy)]
pub struct KindInfo {
    /// The YAML tag.
    pub tag: &'static str,
    /// The name people use.
    pub title: &'static str,
    /// Where it is written down.
    pub standard: &'static str,
    /// What it rides on by default.
    pub carrier: Carrier,
    /// Where some software sends it unless told otherwise, and what people call that.
    pub also_on: &'static [(Carrier, &'static str)],
    /// Most bytes its header adds.
    pub overhead: usize,
    /// The fields of its tenant ID.
    pub ids: &'static [IdField],
    /// What happens to VLAN tags of the tenant's frame by default.
    pub inner_tags: InnerTags,
    /// Whether they may be kept at all.
    pub can_keep_tags: bool,
    /// Whether a UDP checksum of zero over IPv6 is accepted by default.
    pub udp6_zero_checksum: bool,
    /// The bits its tenant ID is in: others with the same name here read the same ones.
    pub id_bits: &'static str,
    /// The drop reasons that only this encapsulation has.
    pub drops: &'static [DropInfo],
}

impl KindInfo {
    const fn of<E: Encap>() -> Self {
        Self {
            tag: E::TAG,
            title: E::TITLE,
            standard: E::STANDARD,
            carrier: E::CARRIER,
            also_on: E::ALSO_ON,
            overhead: E::OVERHEAD,
            ids: E::IDS,
            inner_tags: E::INNER_TAGS,
            can_keep_tags: E::CAN_KEEP_TAGS,
            udp6_zero_checksum: E::UDP6_ZERO_CHECKSUM,
            id_bits: E::ID_BITS,
            drops: E::Drop::ROWS,
        }
    }
}

impl Kind {
    /// The encapsulation with this YAML tag.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.info().tag == tag)
    }

    /// The encapsulations that usually ride on a carrier; bytes alone do not tell them apart.
    pub fn on(carrier: Carrier) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |kind| {
            let info = kind.info();
            info.carrier == carrier || info.also_on.iter().any(|(also, _)| *also == carrier)
        })
    }

    /// Whether a peer can speak it, or only a port.
    #[must_use]
    pub fn has_peers(self) -> bool {
        self.info().carrier != Carrier::Port
    }
}

/// The most bytes any registered header adds.
pub const MAX_OVERHEAD: usize = {
    let (mut i, mut most) = (0, 0);
    while i < Kind::ALL.len() {
        let overhead = Kind::ALL[i].info().overhead;
        if overhead > most {
            most = overhead;
        }
        i += 1;
    }
    most
};

/// Rows in the drop table, the common ones and everyone's own.
pub(crate) const DROP_COUNT: usize = Common::ROWS.len() + own_rows_before(Kind::ALL.len());

const fn own_rows_before(end: usize) -> usize {
    let (mut i, mut rows) = (0, 0);
    while i < end {
        rows += Kind::ALL[i].drop_rows().len();
        i += 1;
    }
    rows
}

const fn first_drop(kind: Kind) -> u16 {
    (Common::ROWS.len() + own_rows_before(kind as usize)) as u16
}

const DROP_TABLE: [DropInfo; DROP_COUNT] = {
    let mut table = [Common::ROWS[0]; DROP_COUNT];
    let mut at = 0;
    while at < Common::ROWS.len() {
        table[at] = Common::ROWS[at];
        at += 1;
    }
    let mut kind = 0;
    while kind < Kind::ALL.len() {
        let rows = Kind::ALL[kind].drop_rows();
        let mut row = 0;
        while row < rows.len() {
            table[at] = rows[row];
            (at, row) = (at + 1, row + 1);
        }
        kind += 1;
    }
    table
};

pub(crate) fn drop_info(index: usize) -> &'static DropInfo {
    static TABLE: [DropInfo; DROP_COUNT] = DROP_TABLE;
    TABLE.get(index).unwrap_or(&TABLE[0])
}
