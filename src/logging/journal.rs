//! The systemd journal, by its native protocol: a datagram for each event, with its fields.
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;
use serde_json::Value;

use super::row::{EventLevel, EventRow};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Bytes of a value at most, so that an event fits into a datagram.
const LONGEST: usize = 32 << 10;

/// Whether what is written to this output gets to the journal anyhow: systemd says by the variable `JOURNAL_STREAM` which file
/// that would be (systemd.exec(5)). Where a unit or its starter has sent it elsewhere, it is another.
pub(super) fn takes(output: impl AsFd) -> bool {
    let is_it = |stream: String| {
        let file = fstat(output).ok()?;
        let (device, inode) = stream.split_once(':')?;
        Some(device.parse() == Ok(file.st_dev) && inode.parse() == Ok(file.st_ino))
    };
    std::env::var("JOURNAL_STREAM").ok().and_then(is_it).unwrap_or(false)
}

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// Finds the journal on this socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn find(path: &Path) -> io::Result<Self> {
        UnixDatagram::unbound()?.connect(path)?;
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned() })
    }

    /// Writes an event. By the path, so that a journal that was started again gets it too.
    ///
    /// # Errors
    /// When there is no journal now.
    pub(super) fn write(&self, row: &EventRow) -> io::Result<()> {
        self.socket.send_to(&datagram(row), &self.path).map(drop)
    }
}

/// The fields of an event: those of journald, and `TRANSLOAD_EVENT` and the event's own, each as `TRANSLOAD_` and its name
/// in capitals.
fn datagram(row: &EventRow) -> Vec<u8> {
    let mut out = Vec::new();
    let priority = match row.level {
        EventLevel::Error => "3",
        EventLevel::Warn => "4",
        EventLevel::Info => "6",
        EventLevel::Debug => "7",
    };
    put(&mut out, "MESSAGE", &row.message);
    put(&mut out, "PRIORITY", priority);
    put(&mut out, "SYSLOG_IDENTIFIER", "transload");
    put(&mut out, "TRANSLOAD_EVENT", &row.event);
    for (name, value) in &row.fields {
        let name = format!("TRANSLOAD_{}", name.to_uppercase());
        match value {
            Value::Null => {}
            Value::String(text) => put(&mut out, &name, text),
            // Of a list each on its own: the journal has a field several times.
            Value::Array(all) => all.iter().filter_map(Value::as_str).for_each(|text| put(&mut out, &name, text)),
            other => put(&mut out, &name, &other.to_string()),
        }
    }
    out
}

/// Adds a field: in one line, or with its length in front if it has several. What is too long is cut.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = &value[..value.floor_char_boundary(LONGEST)];
    out.extend(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::LogEvent;
    use super::*;

    #[test]
    fn an_event_is_fields_of_one_line_or_with_their_length() {
        let (tenant, mac) = ("blue", "02:00:00:00:00:01".parse().expect("an address"));
        let loops = datagram(&EventRow::of(&LogEvent::LoopEnded { tenant, between: ["a", "b"] }));
        assert_eq!(
            String::from_utf8(loops).expect("text"),
            "MESSAGE=blue: broadcast, unknown and multicast frames pass between a and b again\nPRIORITY=6\n\
             SYSLOG_IDENTIFIER=transload\nTRANSLOAD_EVENT=loop_ended\nTRANSLOAD_BETWEEN=a\nTRANSLOAD_BETWEEN=b\n\
             TRANSLOAD_TENANT=blue\n"
        );
        let moved = datagram(&EventRow::of(&LogEvent::MacReleased { tenant, mac }));
        assert!(String::from_utf8(moved).expect("text").contains("\nTRANSLOAD_MAC=02:00:00:00:00:01\n"));
        let refused = datagram(&EventRow::of(&LogEvent::ReloadRefused { why: "one\ntwo" }));
        assert!(refused.ends_with(b"TRANSLOAD_WHY\n\x07\0\0\0\0\0\0\0one\ntwo\n"));
    }

    #[test]
    fn an_event_fits_into_a_datagram_however_long_its_words_are() {
        let long = "ä".repeat(1 << 20);
        assert!(datagram(&EventRow::of(&LogEvent::ReloadRefused { why: &long })).len() < 3 * LONGEST);
    }

    #[test]
    fn events_get_to_the_journal_also_when_it_was_started_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        assert!(Journal::find(&path).is_err(), "nobody is there");
        let first = UnixDatagram::bind(&path).expect("a socket");
        let journal = Journal::find(&path).expect("it is there");
        let row = EventRow::of(&LogEvent::Stopped {});
        journal.write(&row).expect("it is read");
        drop(first);
        assert!(journal.write(&row).is_err(), "it is gone");
        std::fs::remove_file(&path).expect("it is there");
        let second = UnixDatagram::bind(&path).expect("a socket");
        journal.write(&row).expect("it is back");
        let mut room = [0; 4_096];
        let length = second.recv(&mut room).expect("a datagram");
        assert!(room[..length].starts_with(b"MESSAGE=stopped\nPRIORITY=6\n"));
    }
}
