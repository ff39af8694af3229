//! A port that is a Unix datagram socket, one frame per datagram, as User-Mode Linux and QEMU speak it: a real
//! kernel can be wired to the gateway without any privilege.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, recvfrom, send, sendto};
use transload_encaps::{Frame, HEADROOM};

use super::{Pool, Port, Sent};

/// Bytes each direction may queue: room for a few bursts of long frames.
const SOCKET_BUFFER: usize = 4 << 20;

/// A Unix datagram socket as a port.
///
/// A datagram socket has one queue, so of several workers only the first receives; all of them send.
#[derive(Debug)]
pub struct UnixPort {
    socket: Arc<Socket>,
    receives: bool,
    lost: u64,
}

#[derive(Debug)]
struct Socket {
    datagrams: UnixDatagram,
    /// Our path, to remove in the end.
    local: Option<Bound>,
    far: Far,
}

/// Where frames are sent.
#[derive(Debug)]
enum Far {
    /// The socket is connected.
    Connected,
    /// A path in the file system.
    Path(SocketAddrUnix),
    /// To whoever sent last; to nobody before.
    LastSender(ArcSwapOption<SocketAddrUnix>),
}

impl UnixPort {
    /// Binds `local`, and sends to `remote`, which need not exist yet, or to whoever sent last.
    ///
    /// # Errors
    /// `AddrInUse` when a living process holds `local`, `AlreadyExists` when it is something other than a socket,
    /// or whatever else keeps the socket from being made. A socket left behind by a dead process is replaced.
    pub fn bind(local: &Path, remote: Option<&Path>) -> io::Result<Self> {
        let far = match remote {
            Some(path) => Far::Path(SocketAddrUnix::new(path)?),
            None => Far::LastSender(ArcSwapOption::empty()),
        };
        let (socket, bound) = bind(local)?;
        Self::with(socket, Some(bound), far)
    }

    /// Looks whether `local` could be bound. Nothing is changed.
    ///
    /// # Errors
    /// As [`bind`](Self::bind) would say.
    pub fn examine(local: &Path) -> io::Result<()> {
        SocketAddrUnix::new(local)?;
        match fs::symlink_metadata(local) {
            Ok(_) => is_stale(local),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match local.parent() {
                Some(directory) if !directory.as_os_str().is_empty() => {
                    if fs::metadata(directory)?.is_dir() {
                        Ok(())
                    } else {
                        Err(io::ErrorKind::NotADirectory.into())
                    }
                }
                _ => Ok(()),
            },
            Err(e) => Err(e),
        }
    }

    /// Takes over a connected socket, such as one half of a pair whose other half was given to a child.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn connected(socket: UnixDatagram) -> io::Result<Self> {
        Self::with(socket, None, Far::Connected)
    }

    fn with(socket: UnixDatagram, local: Option<Bound>, far: Far) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let options = socket2::SockRef::from(&socket);
        options.set_recv_buffer_size(SOCKET_BUFFER)?;
        options.set_send_buffer_size(SOCKET_BUFFER)?;
        Ok(Self { socket: Arc::new(Socket { datagrams: socket, local, far }), receives: true, lost: 0 })
    }

    /// The same port for another worker, which only sends through it.
    #[must_use]
    pub fn sender(&self) -> Self {
        Self { socket: Arc::clone(&self.socket), receives: false, lost: 0 }
    }

    /// Where the socket is bound, if it is.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        self.socket.local.as_ref().map(|bound| bound.path.as_path())
    }
}

impl Socket {
    /// Receives a datagram into the frame; false when it was longer than the chunk.
    fn receive(&self, frame: &mut Frame<'_>) -> Result<bool, Errno> {
        let space = frame.space();
        let room = space.len();
        // With TRUNC the datagram's whole length is returned, however much of it fits.
        let (_, len, sender) = recvfrom(&self.datagrams, space, RecvFlags::TRUNC)?;
        frame.set_len(len);
        if let (Far::LastSender(last), Some(sender)) = (&self.far, sender)
            && let Ok(sender) = SocketAddrUnix::try_from(sender)
        {
            remember(last, sender);
        }
        Ok(len <= room)
    }

    fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match &self.far {
            Far::Connected => send(&self.datagrams, frame, flags),
            Far::Path(path) => sendto(&self.datagrams, frame, flags, path),
            Far::LastSender(last) => match last.load().as_deref() {
                Some(address) => sendto(&self.datagrams, frame, flags, address),
                None => Err(Errno::DESTADDRREQ),
            },
        }
    }
}

/// Stores only what is new: on an unchanged wire a received frame costs one comparison.
fn remember(last: &ArcSwapOption<SocketAddrUnix>, sender: SocketAddrUnix) {
    let known = last.load().as_deref().is_some_and(|known| *known == sender);
    if !known && !sender.is_unnamed() {
        last.store(Some(Arc::new(sender)));
    }
}

impl<'mem> Port<'mem> for UnixPort {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        if !self.receives {
            return Ok(());
        }
        for _ in 0..limit {
            let Some(mut frame) = pool.take(HEADROOM) else { break };
            let received = self.socket.receive(&mut frame);
            match received {
                Ok(true) if !frame.is_empty() => burst.push(frame),
                Ok(fits) => {
                    self.lost += u64::from(!fits);
                    pool.put(frame);
                }
                Err(error) => {
                    pool.put(frame);
                    return if gone(error) { Err(error.into()) } else { Ok(()) };
                }
            }
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut sent = Sent::default();
        for frame in frames.drain(..) {
            match self.socket.send(frame.bytes()) {
                Ok(_) => {
                    sent.frames += 1;
                    sent.bytes += frame.len() as u64;
                }
                Err(error) => sent.refuse(1, error),
            }
            pool.put(frame);
        }
        sent
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.receives.then(|| self.socket.datagrams.as_fd())
    }

    fn kernel_drops(&mut self) -> u64 {
        self.lost
    }
}

/// Whether a receive error is more than "nothing there": a far side that went away and may come back is not.
fn gone(error: Errno) -> bool {
    !matches!(error, Errno::AGAIN | Errno::INTR | Errno::CONNREFUSED | Errno::CONNRESET)
}

/// A path that we bound. It is removed when dropped, unless something else has taken its place.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    inode: (u64, u64),
}

impl Bound {
    fn inode(path: &Path) -> io::Result<(u64, u64)> {
        fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if Self::inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // Nobody is left to tell: the socket is closed either way.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bind(local: &Path) -> io::Result<(UnixDatagram, Bound)> {
    let socket = match UnixDatagram::bind(local) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            is_stale(local)?;
            fs::remove_file(local)?;
            UnixDatagram::bind(local)?
        }
        bound => bound?,
    };
    let inode = Bound::inode(local)?;
    Ok((socket, Bound { path: local.to_owned(), inode }))
}

/// Whether this is a socket that no living process holds.
fn is_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let what = format!("{} exists and is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    }
    match UnixDatagram::unbound()?.connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e),
        // Connected, or of another type but alive.
        _ => {
            let what = format!("{} is in use by a running process", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, what))
        }
    }
}
