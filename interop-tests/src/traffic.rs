//! What tenants do: ping each other, and move bytes by TCP whose content is checked.

use std::io;
use std::time::{Duration, Instant};

use transload_lab::{Host, interrupt, programs};

/// How long a world may take until its first ping: next hops are resolved, MAC addresses learned.
const SETTLING: Duration = Duration::from_mins(1);

/// Waits for the first answer.
///
/// # Errors
/// When none comes; the error shows the last attempt.
pub fn settle(from: &dyn Host, to: &str) -> io::Result<()> {
    let end = Instant::now() + SETTLING;
    loop {
        interrupt::check()?;
        match from.sh(&format!("ping -n -q -c 1 -W 2 {to}")) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => {}
        }
    }
}

/// Five pings of IP packets this long, which may not be fragmented; every one is answered.
///
/// # Errors
/// When an answer is missing.
pub fn ping(from: &dyn Host, to: &str, ip_len: u16) -> io::Result<()> {
    let header_len = if to.contains(':') { 48 } else { 28 };
    // One at a time: once `ping` has had an answer it waits for the others twice as long as that one took, or its
    // interval, whatever `-W` says. On a busy machine that is too short, and what comes late is called lost.
    let line = format!("ping -n -q -M do -c 1 -W 10 -s {} {to}", ip_len - header_len);
    from.sh(&format!("for n in 1 2 3 4 5; do {line}; done")).map(drop)
}

/// Whether nobody answers three pings within a second.
#[must_use]
pub fn is_silent(from: &dyn Host, to: &str) -> bool {
    // The shell's line must succeed for its output to be read.
    let printed = from.sh(&format!("ping -n -q -c 3 -i 0.2 -W 1 {to} || true")).unwrap_or_default();
    printed.contains("100% packet loss")
}

/// Moves `megabytes` by TCP from one host to an address of another and checks that every byte arrives.
///
/// # Errors
/// When the connection fails or the content differs; the error is the sender's.
pub fn transfer(from: &dyn Host, to: &dyn Host, address: &str, megabytes: u32) -> io::Result<()> {
    let program = programs::beside("transfer")?.display().to_string();
    // One that nobody reaches ends by itself.
    to.background(&format!("timeout 120 {program} receive {address} 5201"))?;
    from.sh(&format!("{program} send {address} 5201 {megabytes}"))?;
    Ok(())
}
