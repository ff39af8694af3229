//! What tenants say besides bulk transfers: datagrams that are asked and answered one by one, datagrams to everyone,
//! and a steady stream whose longest silence is measured.
//!
//! `talk echo ADDRESS PORT` answers; `talk ask ADDRESS PORT COUNT` asks with 1 to 1000 bytes, and prints how many had
//! to be asked again. `talk shout FROM TO PORT COUNT` sends to a broadcast or multicast address. `talk watch ADDRESS
//! PORT` takes one stream; `talk stream ADDRESS PORT SECONDS` makes it, and prints the receiver's longest silence in
//! milliseconds once every byte has arrived in order.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
/// How long an answer may take before the question is asked again.
const ANSWER: Duration = Duration::from_millis(1500);
const TRIES: u32 = 5;
/// A stream says so much so often.
const BEAT: Duration = Duration::from_millis(5);
const PIECE: usize = 512;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["echo", address, port] => at(address, port).and_then(echo),
        ["ask", address, port, count] => at(address, port).and_then(|to| ask(to, number(count)?)),
        ["shout", from, to, port, count] => at(to, port).and_then(|to| shout(from, to, number(count)?)),
        ["watch", address, port] => at(address, port).and_then(watch),
        ["stream", address, port, seconds] => at(address, port).and_then(|to| stream(to, number(seconds)?)),
        _ => Err(io::Error::other("usage: talk echo|ask|shout|watch|stream ADDRESS PORT ..")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("talk: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> io::Result<u32> {
    word.parse().map_err(io::Error::other)
}

fn at(address: &str, port: &str) -> io::Result<SocketAddr> {
    let address: IpAddr = address.parse().map_err(io::Error::other)?;
    Ok(SocketAddr::new(address, port.parse().map_err(io::Error::other)?))
}

/// Answers until nobody asks any more.
fn echo(own: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(own)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = [0; 2048];
    while let Ok((len, from)) = socket.recv_from(&mut bytes) {
        socket.send_to(&bytes[..len], from)?;
    }
    Ok(())
}

fn ask(to: SocketAddr, count: u32) -> io::Result<()> {
    let own = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(own)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(ANSWER))?;
    let mut again = 0;
    for question in 0..count {
        let len = 4 + question as usize * 996 / count.max(1) as usize;
        let mut sent = vec![question as u8; len];
        sent[..4].copy_from_slice(&question.to_be_bytes());
        again += asked(&socket, &sent)?;
    }
    println!("{again}");
    Ok(())
}

/// Asks until the same bytes come back; how often it had to be asked again.
fn asked(socket: &UdpSocket, question: &[u8]) -> io::Result<u32> {
    let mut answer = [0; 2048];
    for again in 0..TRIES {
        if let Err(refused) = socket.send(question) {
            // The far end is not there yet.
            if refused.kind() != io::ErrorKind::ConnectionRefused {
                return Err(refused);
            }
        }
        while let Ok(len) = socket.recv(&mut answer) {
            match &answer[..len] {
                same if same == question => return Ok(again),
                // Of an earlier question, asked twice.
                other if other[..4] < question[..4] => {}
                _ => return Err(io::Error::other("an answer is not what was asked")),
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::other(format!("no answer to {} bytes, asked {TRIES} times", question.len())))
}

fn shout(from: &str, to: SocketAddr, count: u32) -> io::Result<()> {
    let socket = UdpSocket::bind(at(from, "0")?)?;
    socket.set_broadcast(true)?;
    for number in 0..count {
        socket.send_to(format!("hear me: {number}").as_bytes(), to)?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Takes one stream and answers with the longest silence in it, or with an error where a piece is not the next one.
fn watch(own: SocketAddr) -> io::Result<()> {
    let (mut stream, _) = TcpListener::bind(own)?.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut piece, mut next, mut longest) = ([0; PIECE], 0_u32, Duration::ZERO);
    let mut last = Instant::now();
    loop {
        match stream.read_exact(&mut piece) {
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => break,
            outcome => outcome?,
        }
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if piece[..4] != next.to_be_bytes() {
            return Err(io::Error::other("a piece is missing"));
        }
        next += 1;
    }
    stream.write_all(&next.to_be_bytes())?;
    stream.write_all(&(longest.as_millis() as u32).to_be_bytes())
}

fn stream(to: SocketAddr, seconds: u32) -> io::Result<()> {
    let mut stream = connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    let mut pieces = 0_u32;
    while Instant::now() < end {
        let mut piece = [0; PIECE];
        piece[..4].copy_from_slice(&pieces.to_be_bytes());
        stream.write_all(&piece)?;
        pieces += 1;
        thread::sleep(BEAT);
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    let [a, b, c, d, longest @ ..] = answer;
    if u32::from_be_bytes([a, b, c, d]) != pieces {
        return Err(io::Error::other("not every piece arrived"));
    }
    println!("{}", u32::from_be_bytes(longest));
    Ok(())
}

/// The receiver may be a moment late.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpStream::connect_timeout(&to, Duration::from_secs(5)) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < end => {
                thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}
