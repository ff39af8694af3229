//! The numbers that control gives out, each of one kind of thing.

use super::slab::RowId;

/// Declares kinds of numbers. What is inside is private: a number of one kind is no index into a table of another.
macro_rules! ids {
    ($($(#[$doc:meta])+ $Id:ident($number:ty)),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Id($number);

        impl $Id {
            /// The one with this number.
            #[must_use]
            #[inline]
            pub const fn new(number: $number) -> Self {
                Self(number)
            }

            /// The number itself.
            #[must_use]
            #[inline]
            pub const fn number(self) -> $number {
                self.0
            }
        }

        impl RowId for $Id {
            #[inline]
            fn from_index(index: usize) -> Self {
                Self(index as $number)
            }

            #[inline]
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// A port of the configuration.
    PortId(u16),
    /// A far tunnel endpoint, or the tags of a port: whatever frames are decapsulated from and encapsulated for.
    /// At most 20 bits.
    PeerId(u32),
    /// A tenant's bridge domain. At most 24 bits.
    DomainId(u32),
    /// One of our tunnel addresses.
    EndpointId(u16),
    /// The number space that a peer's segments are looked up in: its own, its group's, or its port's.
    Scope(u32),
    /// Peers that share a mesh.
    GroupId(u32),
    /// An attachment's place in its domain. At most 12 bits.
    AttachmentId(u16),
    /// A stateless cross-connect.
    MappingId(u32),
}
