//! Moves bytes by TCP and checks every one: `transfer receive ADDRESS PORT` takes one connection, `transfer send
//! ADDRESS PORT MEGABYTES` makes it. The sender succeeds only if the receiver saw exactly what was sent.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const CHUNK: usize = 1 << 14;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["receive", address, port] => endpoint(address, port).and_then(receive),
        ["send", address, port, megabytes] => endpoint(address, port).and_then(|to| send(to, megabytes)),
        _ => Err(io::Error::other("usage: transfer receive ADDRESS PORT | transfer send ADDRESS PORT MEGABYTES")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transfer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn endpoint(address: &str, port: &str) -> io::Result<SocketAddr> {
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    Ok(SocketAddr::new(address, port.parse().map_err(io::Error::other)?))
}

/// Takes one connection, and answers how many bytes were right up to the first wrong one.
fn receive(at: SocketAddr) -> io::Result<()> {
    let (mut stream, _) = TcpListener::bind(at)?.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut pattern = Pattern::default();
    let (mut bytes, mut expected) = ([0; CHUNK], [0; CHUNK]);
    let mut right = 0_u64;
    loop {
        let len = stream.read(&mut bytes)?;
        pattern.fill(&mut expected[..len]);
        if len == 0 || bytes[..len] != expected[..len] {
            break;
        }
        right += len as u64;
    }
    stream.write_all(&right.to_be_bytes())
}

fn send(to: SocketAddr, megabytes: &str) -> io::Result<()> {
    let total = megabytes.parse::<u64>().map_err(io::Error::other)? << 20;
    let mut stream = connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut pattern = Pattern::default();
    let mut bytes = [0; CHUNK];
    for _ in 0..total / CHUNK as u64 {
        pattern.fill(&mut bytes);
        stream.write_all(&bytes)?;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut right = [0; 8];
    stream.read_exact(&mut right)?;
    match u64::from_be_bytes(right) {
        right if right == total => Ok(()),
        right => Err(io::Error::other(format!("only {right} of {total} bytes arrived as they were sent"))),
    }
}

/// The receiver may be a moment late.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect_timeout(&to, Duration::from_secs(5)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

/// A sequence of bytes that never repeats within a transfer, so that no piece can stand for another.
struct Pattern {
    state: u64,
    left: [u8; 8],
    at: usize,
}

impl Default for Pattern {
    fn default() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, left: [0; 8], at: 8 }
    }
}

impl Pattern {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.at == self.left.len() {
                // Xorshift64.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                (self.left, self.at) = (self.state.to_le_bytes(), 0);
            }
            *byte = self.left[self.at];
            self.at += 1;
        }
    }
}
