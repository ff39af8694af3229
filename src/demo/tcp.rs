//! TCP: bytes from one host to another, which counts them and adds them up, so that nothing can be lost or changed
//! without being noticed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The TCP port that sinks listen on.
const PORT: u16 = 7000;
const BLOCK: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is moved: until either is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Number of bytes.
    pub bytes: u64,
    /// How long it may take.
    pub time: Duration,
}

/// What arrived, as the receiver counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// Number of bytes.
    pub bytes: u64,
    /// How long they took, from the first to the receiver's receipt.
    pub time: Duration,
}

/// Starts counting whatever is sent to this address, which belongs to the calling thread's namespace. Ends with the
/// process.
///
/// # Errors
/// When the address is not there.
pub(super) fn listen(at: Ipv4Addr) -> io::Result<()> {
    let listener = TcpListener::bind((at, PORT))?;
    thread::Builder::new().name("sink".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(|| receive(stream));
        }
    })?;
    Ok(())
}

fn receive(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut seen = Tally::default();
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block)? {
            0 => return stream.write_all(&seen.receipt()),
            len => seen.add(&block[..len]),
        }
    }
}

/// Sends from the calling thread's namespace.
///
/// # Errors
/// When the connection cannot be made or breaks, or the receiver did not get exactly what was sent.
pub(super) fn send(to: Ipv4Addr, budget: Budget) -> io::Result<Moved> {
    let to = SocketAddr::V4(SocketAddrV4::new(to, PORT));
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut sent = Tally::default();
    let mut block = vec![0; BLOCK];
    let started = Instant::now();
    while sent.bytes < budget.bytes && started.elapsed() < budget.time {
        block.fill_with({
            let mut next = sent.bytes;
            move || {
                next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (next >> 56) as u8
            }
        });
        stream.write_all(&block)?;
        sent.add(&block);
    }
    stream.shutdown(Shutdown::Write)?;
    let mut receipt = [0; 16];
    stream.read_exact(&mut receipt)?;
    if receipt != sent.receipt() {
        return Err(io::Error::new(ErrorKind::InvalidData, "the receiver got something else than was sent"));
    }
    Ok(Moved { bytes: sent.bytes, time: started.elapsed() })
}

/// How many bytes, and a sum that depends on their order.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    bytes: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, block: &[u8]) {
        self.bytes += block.len() as u64;
        self.sum = block.iter().fold(self.sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    }

    fn receipt(self) -> [u8; 16] {
        (u128::from(self.bytes) << 64 | u128::from(self.sum)).to_be_bytes()
    }
}
