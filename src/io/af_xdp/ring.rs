//! One ring shared with the kernel: a power of two of entries, a producer and a consumer that count up forever.
//!
//! ```text
//! | producer: u32 | consumer: u32 | flags: u32 | entries: [T; size] |   each where XDP_MMAP_OFFSETS says
//! ```
//!
//! The producer publishes entries by storing its count with release order; the consumer gives their room back the
//! same way (`Documentation/networking/af_xdp.rst` of the kernel). Both sides keep the other's count until it is used
//! up, so that a burst costs one access to the shared cache lines.

use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::xdp::{XdpRingFlags, XdpRingOffset};

/// A mapped ring with entries of this kind: a `u64` or an [`XdpDesc`](rustix::net::xdp::XdpDesc).
#[derive(Debug)]
struct Ring<T> {
    base: NonNull<u8>,
    len: usize,
    producer: usize,
    consumer: usize,
    flags: Option<usize>,
    entries: NonNull<T>,
    size: u32,
}

// SAFETY: the mapping belongs to this value alone on our side, and the kernel's side is reached through atomics.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// Maps a ring of this size, a power of two, that the socket was set up with.
    fn map(socket: BorrowedFd<'_>, offsets: &XdpRingOffset, page: u64, size: u32) -> io::Result<Self> {
        let at = |offset: u64| usize::try_from(offset).map_err(|_| io::Error::from(rustix::io::Errno::OVERFLOW));
        let entries = at(offsets.desc)?;
        let len = entries + mem::size_of::<T>() * size as usize;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
                socket,
                page,
            )
        }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: the kernel's offset of the entries lies within the mapping, which was made long enough for them.
        let entries = unsafe { base.add(entries) }.cast();
        Ok(Self {
            base,
            len,
            producer: at(offsets.producer)?,
            consumer: at(offsets.consumer)?,
            flags: offsets.flags.map(at).transpose()?,
            entries,
            size,
        })
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: the kernel's offsets are aligned, lie before the entries and so within the mapping, which lives as
        // long as `self`; the kernel accesses these words atomically.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    #[inline]
    fn entry(&self, count: u32) -> NonNull<T> {
        // SAFETY: masked by the size, it is one of the entries.
        unsafe { self.entries.add((count & (self.size - 1)) as usize) }
    }

    #[inline]
    fn needs_wakeup(&self) -> bool {
        self.flags.is_some_and(|flags| {
            self.word(flags).load(Ordering::Relaxed) & XdpRingFlags::XDP_RING_NEED_WAKEUP.bits() != 0
        })
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can use it after this value. If it fails, the memory stays.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A ring that we fill: of chunks to receive into, or of frames to send.
#[derive(Debug)]
pub(super) struct Producer<T> {
    ring: Ring<T>,
    /// The count of what we have written.
    next: u32,
    /// The kernel's count, as we last saw it.
    consumed: u32,
}

impl<T: Copy> Producer<T> {
    /// Maps a ring that we fill.
    pub(super) fn map(socket: BorrowedFd<'_>, offsets: &XdpRingOffset, page: u64, size: u32) -> io::Result<Self> {
        Ok(Self { ring: Ring::map(socket, offsets, page, size)?, next: 0, consumed: 0 })
    }

    /// Whether there is room for so many entries.
    #[inline]
    pub(super) fn has_room(&mut self, wanted: u32) -> bool {
        if self.room() < wanted {
            self.consumed = self.ring.word(self.ring.consumer).load(Ordering::Acquire);
        }
        self.room() >= wanted
    }

    #[inline]
    const fn room(&self) -> u32 {
        self.ring.size - self.next.wrapping_sub(self.consumed)
    }

    /// Writes an entry, which the kernel sees after [`publish`](Self::publish). There must be room for it; without,
    /// it is not written.
    #[inline]
    pub(super) fn put(&mut self, entry: T) {
        if self.room() == 0 {
            return;
        }
        // SAFETY: the entry is one of the ring's, and between the kernel's count and ours: the kernel does not read
        // it before it is published.
        unsafe { self.ring.entry(self.next).write(entry) };
        self.next = self.next.wrapping_add(1);
    }

    /// Lets the kernel see everything written so far.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.ring.word(self.ring.producer).store(self.next, Ordering::Release);
    }

    /// How many published entries the kernel has not taken yet.
    #[inline]
    pub(super) fn untaken(&mut self) -> u32 {
        self.consumed = self.ring.word(self.ring.consumer).load(Ordering::Acquire);
        self.next.wrapping_sub(self.consumed)
    }

    /// Whether the kernel had not taken every entry when it was looked at last.
    pub(super) const fn was_untaken(&self) -> bool {
        self.next != self.consumed
    }

    /// Whether the kernel wants a system call before it looks at the ring again.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        self.ring.needs_wakeup()
    }
}

/// A ring that the kernel fills: with frames received, or with chunks it has sent.
#[derive(Debug)]
pub(super) struct Consumer<T> {
    ring: Ring<T>,
    /// The count of what we have read.
    next: u32,
    /// The kernel's count, as we last saw it.
    produced: u32,
}

impl<T: Copy> Consumer<T> {
    /// Maps a ring that the kernel fills.
    pub(super) fn map(socket: BorrowedFd<'_>, offsets: &XdpRingOffset, page: u64, size: u32) -> io::Result<Self> {
        Ok(Self { ring: Ring::map(socket, offsets, page, size)?, next: 0, produced: 0 })
    }

    /// The next entry, if there is one. Its room is the kernel's again after [`release`](Self::release).
    #[inline]
    pub(super) fn take(&mut self) -> Option<T> {
        if self.next == self.produced {
            self.produced = self.ring.word(self.ring.producer).load(Ordering::Acquire);
            if self.next == self.produced {
                return None;
            }
        }
        // SAFETY: the entry is one of the ring's, and the kernel published it before it moved its count past ours.
        let entry = unsafe { self.ring.entry(self.next).read() };
        self.next = self.next.wrapping_add(1);
        Some(entry)
    }

    /// Gives the room of everything read back to the kernel.
    #[inline]
    pub(super) fn release(&mut self) {
        self.ring.word(self.ring.consumer).store(self.next, Ordering::Release);
    }
}
