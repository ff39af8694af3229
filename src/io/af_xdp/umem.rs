//! The memory of one worker, as XDP sockets share it.
//!
//! The kernel knows it as a UMEM in aligned mode: granules of one size, a received frame in each. The first socket
//! registers the memory; others that can work the same way share its registration (`XDP_SHARED_UMEM`). One that
//! cannot, because its device alone can do without copies or the first one's device is gone, registers the same
//! memory once more. Either way a frame passes from port to port where it lies.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::io::Errno;
use rustix::net::xdp::{SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XdpUmemReg, XdpUmemRegFlags};
use rustix::net::{bind, sockopt};

/// How frames get from the device to the memory, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// The device reads and writes the memory.
    ZeroCopy,
    /// The kernel copies.
    Copy,
}

impl Transfer {
    const fn flags(self) -> SocketAddrXdpFlags {
        match self {
            Self::ZeroCopy => SocketAddrXdpFlags::XDP_ZEROCOPY,
            Self::Copy => SocketAddrXdpFlags::XDP_COPY,
        }
    }
}

/// The memory of one worker.
#[derive(Debug)]
pub struct Umem<'mem> {
    base: usize,
    len: usize,
    granule: u32,
    /// Whether frames may lie in several granules.
    frags: bool,
    /// A bound socket that has registered the memory, for each kind of transfer. Locked while a socket is bound or
    /// closed, so that none outlives the chunks it was lent.
    owners: Mutex<[Weak<OwnedFd>; 2]>,
    /// The kernel writes there.
    memory: PhantomData<&'mem mut [u8]>,
}

impl<'mem> Umem<'mem> {
    /// This memory, which begins at a page, in granules of this length: 2048 or 4096 bytes.
    pub(in crate::io) fn new(memory: &'mem mut [u8], granule: usize, frags: bool) -> (Self, &'mem mut [u8]) {
        let (base, len) = (memory.as_mut_ptr().expose_provenance(), memory.len());
        let owners = Mutex::default();
        (Self { base, len, granule: granule as u32, frags, owners, memory: PhantomData }, memory)
    }

    /// Bytes of a granule.
    pub(super) const fn granule(&self) -> u32 {
        self.granule
    }

    /// How many granules there are.
    pub(super) const fn granules(&self) -> usize {
        self.len / self.granule as usize
    }

    /// Whether frames may lie in several granules.
    pub(in crate::io) const fn frags(&self) -> bool {
        self.frags
    }

    /// Where these bytes are in the memory, if they are.
    #[inline]
    pub(in crate::io) fn place(&self, bytes: &[u8]) -> Option<u64> {
        let at = bytes.as_ptr().addr().checked_sub(self.base)?;
        (at + bytes.len() <= self.len).then_some(at as u64)
    }

    /// Binds a socket that has its rings to a queue of a device, sharing a registration if there is one for this
    /// kind of transfer, else registering the memory, which must happen before the socket has rings: `rings` makes
    /// them.
    pub(super) fn bind<R>(
        &self,
        ifindex: u32,
        queue: u32,
        transfer: Transfer,
        open: impl Fn() -> io::Result<OwnedFd>,
        rings: impl Fn(&OwnedFd) -> io::Result<R>,
    ) -> io::Result<(Arc<OwnedFd>, R)> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let [zero_copy, copy] = &mut *owners;
        let owner = if transfer == Transfer::ZeroCopy { zero_copy } else { copy };
        if let Some(first) = owner.upgrade() {
            let socket = open()?;
            let made = rings(&socket)?;
            let addr = SocketAddrXdp::new(SocketAddrXdpFlags::XDP_SHARED_UMEM, ifindex, queue);
            match bind(&socket, &SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: first.as_fd() }) {
                Ok(()) => return Ok((Arc::new(socket), made)),
                // The first one's device is gone, or has other abilities.
                Err(Errno::BADF | Errno::OPNOTSUPP | Errno::INVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let socket = open()?;
        self.register(&socket)?;
        let made = rings(&socket)?;
        let mut flags = transfer.flags() | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP;
        flags.set(SocketAddrXdpFlags::XDP_USE_SG, self.frags);
        bind(&socket, &SocketAddrXdp::new(flags, ifindex, queue))?;
        let socket = Arc::new(socket);
        *owner = Arc::downgrade(&socket);
        Ok((socket, made))
    }

    fn register(&self, socket: &OwnedFd) -> io::Result<()> {
        let memory = XdpUmemReg {
            addr: self.base as u64,
            len: self.len as u64,
            chunk_size: self.granule,
            // The kernel leaves XDP_PACKET_HEADROOM in front of every frame in any case, which is more than we push.
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        Ok(sockopt::set_xdp_umem_reg(socket, memory)?)
    }

    /// Closes a socket. The kernel has let go of every chunk that it was lent when this returns.
    pub(super) fn close(&self, socket: Arc<OwnedFd>) {
        let _nobody_binds = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        drop(socket);
    }
}
