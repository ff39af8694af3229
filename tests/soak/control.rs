//! The admin socket of a soaked gateway: questions with a watch in hand, reloads, and clients that misbehave.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anybody waits for an answer: far longer than a soak allows.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks the gateway; how long it took goes into `longest`, in microseconds.
pub(crate) fn ask(socket: &Path, what: &str, longest: &AtomicU64) -> io::Result<Value> {
    let begin = Instant::now();
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{what} HTTP/1.0\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    longest.fetch_max(begin.elapsed().as_micros() as u64, Ordering::Relaxed);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => serde_json::from_str(body).map_err(io::Error::other),
        _ => Err(io::Error::other(format!("{what}: {answer}"))),
    }
}

/// Opens connections that ask and do not read, ask half a question, talk nonsense or say nothing, and lets go of them now
/// and then; until it is over.
pub(crate) fn misbehave(socket: &Path, is_paused: &AtomicBool, is_over: &AtomicBool, met: &AtomicU64) {
    /// Clients that there are at most at a time, and how soon after one comes the next.
    const MOST: usize = 60;
    const PAUSE: Duration = Duration::from_millis(100);
    const WORDS: [&[u8]; 5] = [
        b"",
        b"GET /fdb HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET /drops HTTP/1.1\r\nHost:",
        b"\0\x01\xff\xfe nonsense \r\n\r\n",
        b"DELETE /%ff%00?tenant=%1b[31m HTTP/1.1\r\nHost: t\r\n\r\n",
    ];
    const RELOAD: &[u8] = b"POST /reload HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n";
    let mut held = Vec::new();
    let mut turn = 0;
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(PAUSE);
        if is_paused.load(Ordering::Relaxed) || held.len() == MOST {
            held.clear();
            continue;
        }
        if let Ok(mut client) = UnixStream::connect(socket) {
            let _ = client.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = client.write_all(if turn % MOST == 0 { RELOAD } else { WORDS[turn % WORDS.len()] });
            held.push(client);
            met.fetch_add(1, Ordering::Relaxed);
        }
        turn += 1;
    }
}
