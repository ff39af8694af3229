//! The memory of one worker, and how it is cut into chunks.
//!
//! Without XDP sockets there are long chunks only, each for a whole super-frame; the system gives a page once it is
//! used. With XDP sockets the kernel holds every page: then there are short chunks for what these sockets receive and
//! for copies, one granule each, and as few long ones as do, for what other back-ends receive and for frames that come
//! in pieces:
//!
//! ```text
//! page boundary
//! | short | short | .. | long: many granules | long | .. |
//! ```

use std::sync::Arc;

use transload_encaps::HEADROOM;

use super::Pool;
use super::af_xdp::{KERNEL_HEADROOM, Umem};

/// Longest frame that goes through: a whole IP packet of 64 KB in Ethernet, tagged.
pub const LONGEST: usize = 65_536 + 64;
/// Bytes of a long chunk: odd in cache lines, so that chunks do not fall into the same sets of a cache.
pub const LONG: usize = (HEADROOM + LONGEST).next_multiple_of(64) | 64;
/// Long chunks without XDP sockets: what a burst of super-frames is cut into, and room for what waits at the ports.
const MANY: usize = 1024;
/// Long chunks beside short ones: a burst, and what waits at the ports.
const FEW: usize = 128;
/// The larger granule of XDP sockets.
const PAGE: usize = 4096;
/// The largest page of any processor (64-bit ARM has 4, 16 or 64 KiB): the kernel takes only memory that begins at a page.
const LARGEST_PAGE: usize = 64 << 10;
/// Ethernet and two tags.
const LINK: usize = 14 + 8;

/// How a worker's memory is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    short: usize,
    granule: usize,
    frags: bool,
}

impl Layout {
    /// For a worker without XDP sockets.
    pub const PLAIN: Self = Self { short: 0, granule: 0, frags: false };

    /// For a worker with so many short chunks, whose XDP ports carry IP packets of at most `mtu` bytes. The kernel
    /// knows granules of 2048 and of 4096 bytes; what fits neither comes in pieces.
    #[must_use]
    pub const fn xdp(short: usize, mtu: usize) -> Self {
        let room = KERNEL_HEADROOM + LINK + mtu;
        let granule = if room <= PAGE / 2 { PAGE / 2 } else { PAGE };
        Self { short: short.next_multiple_of(PAGE / granule), granule, frags: room > granule }
    }

    /// Whether frames may lie in several granules.
    #[must_use]
    pub const fn frags(self) -> bool {
        self.frags
    }

    const fn long_chunk(self) -> usize {
        LONG.next_multiple_of(self.granule)
    }

    /// Memory for this layout, none of it used yet.
    #[must_use]
    pub fn arena(self) -> Vec<u8> {
        if self.short == 0 {
            return vec![0; LONG * MANY];
        }
        vec![0; LARGEST_PAGE + self.short * self.granule + FEW * self.long_chunk()]
    }

    /// Cuts an arena that was made for this layout. XDP sockets use it through the second value.
    #[must_use]
    pub fn cut(self, arena: &mut [u8]) -> (Pool<'_>, Option<Arc<Umem<'_>>>) {
        if self.short == 0 {
            return (Pool::new(arena, LONG), None);
        }
        let before = arena.as_ptr().align_offset(LARGEST_PAGE).min(arena.len());
        let (_, aligned) = arena.split_at_mut(before);
        let whole = (self.short * self.granule + FEW * self.long_chunk()).min(aligned.len() / PAGE * PAGE);
        let (umem, memory) = Umem::new(aligned.split_at_mut(whole).0, self.granule, self.frags);
        let (short, long) = memory.split_at_mut((self.short * self.granule).min(whole));
        (Pool::of_two(long, self.long_chunk(), short, self.granule), Some(Arc::new(umem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_xdp_sockets_lie_in_granules() {
        for (mtu, granule) in [(1500, 2048), (3000, 4096), (9000, 4096)] {
            let layout = Layout::xdp(7, mtu);
            let mut arena = layout.arena();
            let (mut pool, umem) = layout.cut(&mut arena);
            let umem = umem.unwrap();
            assert_eq!(umem.frags(), mtu == 9000);
            let shorts: Vec<_> = std::iter::from_fn(|| pool.take_short()).collect();
            assert_eq!(shorts.len(), if granule == 2048 { 8 } else { 7 });
            assert_eq!(shorts[0].as_ptr().align_offset(LARGEST_PAGE), 0);
            for (number, short) in shorts.iter().enumerate() {
                assert_eq!((short.len(), umem.place(short)), (granule, Some((number * granule) as u64)));
            }
            let longs: Vec<_> = std::iter::from_fn(|| pool.take(0)).map(transload_encaps::Frame::into_chunk).collect();
            assert_eq!(longs.len(), FEW);
            assert!(longs.iter().all(|long| umem.place(long).is_some_and(|at| at % granule as u64 == 0)));
        }
    }

    #[test]
    fn without_xdp_sockets_there_are_long_chunks_only() {
        let mut arena = Layout::PLAIN.arena();
        let (mut pool, umem) = Layout::PLAIN.cut(&mut arena);
        assert!(umem.is_none() && pool.take_short().is_none());
        assert_eq!((pool.free(), pool.take_for(100, 60).unwrap().into_chunk().len()), (MANY, LONG));
    }
}
