//! A cable between a User-Mode Linux and a `unix` port of the gateway: it stays when the gateway goes, and keeps a
//! capture of everything that passes.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use transload::io::pcap::CaptureWriter;
use transload_lab::Namespace;

/// How often an idle cable looks whether it should end.
const GLANCE: Duration = Duration::from_millis(100);
/// Longer than any frame that a card without offloads sends.
const LONGEST: usize = 1 << 16;

/// A cable. It ends when it is dropped.
pub struct Wire {
    own: PathBuf,
    gateway: PathBuf,
    port: Arc<UnixDatagram>,
    card: Arc<UnixDatagram>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

type Tape = Mutex<CaptureWriter<std::fs::File>>;

impl Wire {
    /// Lays one: the gateway's port is bound to `gateway` and sends to `own`. Returns the far end, for the card of
    /// a kernel. Everything is written to `capture`.
    ///
    /// # Errors
    /// When a socket or the file cannot be made.
    pub fn new(own: &Path, gateway: &Path, capture: &Path) -> io::Result<(Self, UnixDatagram)> {
        let sockets = || {
            let (near, far) = UnixDatagram::pair()?;
            Ok((UnixDatagram::bind(own)?, near, far))
        };
        // A socket's queue is as long as its namespace says, and the machine's own says ten datagrams.
        let (port, card, far) = match Namespace::new() {
            Ok(namespace) => namespace.enter(sockets)?,
            Err(_) => sockets()?,
        };
        for socket in [&port, &card] {
            socket.set_read_timeout(Some(GLANCE))?;
            rustix::net::sockopt::set_socket_send_buffer_size(socket, 4 << 20)?;
        }
        let tape = Arc::new(Mutex::new(CaptureWriter::new(std::fs::File::create(capture)?)?));
        let (port, card) = (Arc::new(port), Arc::new(card));
        let mut wire = Self {
            own: own.to_owned(),
            gateway: gateway.to_owned(),
            port: Arc::clone(&port),
            card: Arc::clone(&card),
            ended: Arc::default(),
            threads: Vec::new(),
        };
        wire.carry(&port, &tape, {
            let card = Arc::clone(&card);
            move |frame| card.send(frame)
        });
        let to = gateway.to_owned();
        wire.carry(&card, &tape, move |frame| port.send_to(frame, &to));
        Ok((wire, far))
    }

    /// Sends a frame to the gateway as if it came from the kernel.
    ///
    /// # Errors
    /// When there is no gateway.
    pub fn send_to_gateway(&self, frame: &[u8]) -> io::Result<()> {
        self.port.send_to(frame, &self.gateway).map(|_| ())
    }

    /// Sends a frame to the kernel as if it came from the gateway.
    ///
    /// # Errors
    /// When there is no kernel.
    pub fn send_to_peer(&self, frame: &[u8]) -> io::Result<()> {
        self.card.send(frame).map(|_| ())
    }

    /// One direction. A frame that the other end does not take is lost, as on any cable.
    fn carry(
        &mut self,
        from: &Arc<UnixDatagram>,
        tape: &Arc<Tape>,
        send: impl Fn(&[u8]) -> io::Result<usize> + Send + 'static,
    ) {
        let (from, tape, ended) = (Arc::clone(from), Arc::clone(tape), Arc::clone(&self.ended));
        self.threads.push(thread::spawn(move || {
            let mut frame = vec![0; LONGEST];
            while !ended.load(Ordering::Relaxed) {
                let Ok(len) = from.recv(&mut frame) else { continue };
                let frame = &frame[..len];
                let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
                // A capture that cannot be written any more is short; the frame still passes.
                let _ = tape.lock().unwrap_or_else(PoisonError::into_inner).write(stamp, frame);
                let _ = send(frame);
            }
        }));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.own);
    }
}
