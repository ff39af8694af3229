//! Captures on the running gateway: names become the numbers that taps go by, and what taps see becomes pcapng, in names
//! again.

mod asked_for;
mod words;

use std::sync::{Arc, Weak};

use super::gateway::Gateway;
use crate::admin::{CaptureParts, CaptureRequest};
use crate::dataplane::tap::{Tap, TapFilter, TapPoint, TapReader, TapRecord, TapTotals};
use crate::forwarding::{Forwarding, PortId};
use crate::io::pcap::{PacketDirection, PcapngParts, SeenPacket};
use asked_for::resolve;
use words::RecordWords;

/// Bytes of a part of the file, more or less.
const PART: usize = 64 << 10;
const SECOND: u64 = 1_000_000_000;

/// A capture that runs.
pub(super) struct Capturing {
    gateway: Arc<Gateway>,
    request: CaptureRequest,
    filter: TapFilter,
    /// The tables by which its names were found.
    tables: Weak<Forwarding>,
    taps: Option<Installed>,
    readers: Vec<TapReader>,
    totals: Arc<TapTotals>,
    file: PcapngParts,
    interfaces: Vec<CaptureInterface>,
    /// Nanoseconds between 1970 and the origin of the workers' clock.
    origin: u64,
    /// When it ends, in nanoseconds of the workers' clock.
    until: Option<u64>,
    /// How many sightings were missed when that was last told, and when.
    missed: (u64, u64),
    /// Why it has ended; the rest is still to be read.
    ended: Option<String>,
    is_told: bool,
}

/// Taps in the workers' slots, taken out when this is dropped.
struct Installed(Arc<Gateway>);

impl Drop for Installed {
    fn drop(&mut self) {
        self.0.shared.taps.remove();
    }
}

/// An interface of the file, and how many frames were written of it.
struct CaptureInterface {
    place: SeenAt,
    written: u64,
}

/// Where frames are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeenAt {
    Port(PortId),
    Between(TapPoint),
}

impl Capturing {
    /// Begins a capture.
    ///
    /// # Errors
    /// When what is asked for cannot be, or another capture runs; in words.
    pub(super) fn begin(gateway: Arc<Gateway>, request: CaptureRequest) -> Result<Self, String> {
        let filter = resolve(&request, &gateway.rib())?;
        for (what, number) in [("count", request.count), ("seconds", request.seconds)] {
            if number == Some(0) {
                return Err(format!("`{what}` is 0, and nothing would be captured: leave it out, or write 1 or more"));
            }
        }
        let totals = Arc::new(TapTotals::new(request.count.unwrap_or(u64::MAX)));
        let (now, origin) = (gateway.clock.now().nanos, gateway.clock.origin());
        let until = request.seconds.map(|seconds| now.saturating_add(seconds.saturating_mul(SECOND)));
        let (file, interfaces) = begin_file(&filter, &gateway).map_err(|error| error.to_string())?;
        let tap = |worker| Tap::new(filter.clone(), Arc::clone(&totals), worker);
        let readers = gateway.shared.taps.install(tap).ok_or(
            "another capture runs on this gateway, and there is one at a time: end it, or wait until it is over",
        )?;
        let taps = Some(Installed(Arc::clone(&gateway)));
        let (ended, is_told) = (None, false);
        // They are looked at once more if they are exchanged in this moment.
        let tables = Weak::new();
        Ok(Self {
            gateway,
            request,
            filter,
            tables,
            taps,
            readers,
            totals,
            file,
            interfaces,
            origin,
            until,
            missed: (0, 0),
            ended,
            is_told,
        })
    }

    /// Looks whether it is over: all frames are there, or its time is up, or a reload has taken away what it asks for.
    fn look(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let is_late = self.until.is_some_and(|until| self.gateway.clock.now().nanos >= until);
        self.ended = if self.totals.has_all() {
            Some("as many frames as were asked for".to_owned())
        } else if is_late {
            Some("its time was up".to_owned())
        } else {
            self.has_lost_its_sense()
        };
        if self.ended.is_some() {
            self.taps = None;
        }
    }

    /// Why nothing can match any more, once other tables are in force that do not mean the same.
    fn has_lost_its_sense(&mut self) -> Option<String> {
        let tables = self.gateway.shared.forwarding.load_full();
        if Arc::as_ptr(&tables) == self.tables.as_ptr() {
            return None;
        }
        self.tables = Arc::downgrade(&tables);
        let resolved = resolve(&self.request, &self.gateway.rib());
        match resolved {
            Err(why) => Some(format!("a reload has changed what it asks for: {why}")),
            Ok(now) if now != self.filter => Some("a reload has changed what it asks for".to_owned()),
            Ok(_) => None,
        }
    }

    /// Writes what the taps have seen, in the order of time, as far as a part goes.
    fn write(&mut self) {
        let rib = Arc::clone(&self.gateway);
        let rib = rib.rib();
        let tables = rib.shared().forwarding.load();
        let words = RecordWords { names: rib.names(), tables: &tables };
        while self.file.len() < PART {
            let first = self.readers.iter_mut().filter_map(|reader| Some((reader.next_at()?, reader)));
            let Some((_, reader)) = first.min_by_key(|(at, _)| *at) else { return };
            let (file, interfaces, origin) = (&mut self.file, &mut self.interfaces, self.origin);
            reader.read(|record, bytes| write_record(file, interfaces, origin, record, bytes, &words));
        }
    }

    /// Tells what was missed, at most once a second, and only if it has become more: whoever captures may leave at any time.
    fn tell_missed(&mut self) {
        let (now, missed) = (self.gateway.clock.now().nanos, self.totals.missed());
        if missed > self.missed.0 && now.saturating_sub(self.missed.1) >= SECOND {
            let written = self.interfaces.first().map_or(0, |interface| interface.written);
            let _ = self.file.statistics(0, self.origin + now, (written, missed), "");
            self.missed = (missed, now);
        }
    }

    fn finish(&mut self, why: &str) {
        let at = self.origin + self.gateway.clock.now().nanos;
        let missed = self.totals.missed();
        for (number, interface) in (0..).zip(&self.interfaces) {
            let (missed, comment) = if number == 0 && missed > 0 {
                (
                    missed,
                    format!(
                        "the capture ended: {why}; {missed} sightings were missed, since they came faster than they were read"
                    ),
                )
            } else {
                (0, format!("the capture ended: {why}"))
            };
            let _ = self.file.statistics(number, at, (interface.written, missed), &comment);
        }
    }
}

impl CaptureParts for Capturing {
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_told {
            return None;
        }
        self.look();
        self.write();
        self.tell_missed();
        if let Some(why) = self.ended.take() {
            if self.readers.iter().all(|reader| reader.next_at().is_none()) {
                self.finish(&why);
                self.is_told = true;
            }
            self.ended = Some(why);
        }
        Some(self.file.take())
    }
}

fn begin_file(
    filter: &TapFilter,
    gateway: &Gateway,
) -> Result<(PcapngParts, Vec<CaptureInterface>), pcap_file::PcapError> {
    let mut file = PcapngParts::new(concat!("transload ", env!("CARGO_PKG_VERSION")))?;
    let mut interfaces = Vec::new();
    let snaplen = filter.snaplen as u32;
    if filter.points.holds(TapPoint::Receive) || filter.points.holds(TapPoint::Transmit) {
        for (port, name) in gateway.rib().names().ports() {
            let io = gateway.backends.get(port).map_or("", String::as_str);
            file.interface(name, &format!("port {name}: frames as they come in and leave ({io})"), snaplen)?;
            interfaces.push(CaptureInterface { place: SeenAt::Port(port), written: 0 });
        }
    }
    for (point, description) in [
        (TapPoint::Decap, "after decap: tenants' frames, out of their tunnels"),
        (TapPoint::Bridge, "after the bridge: it is decided where they go"),
        (TapPoint::Drop, "frames, and copies of frames, that are dropped"),
    ] {
        if filter.points.holds(point) {
            file.interface(point.word(), description, snaplen)?;
            interfaces.push(CaptureInterface { place: SeenAt::Between(point), written: 0 });
        }
    }
    Ok((file, interfaces))
}

fn write_record(
    file: &mut PcapngParts,
    interfaces: &mut [CaptureInterface],
    origin: u64,
    record: &TapRecord,
    bytes: &[u8],
    words: &RecordWords<'_>,
) {
    let (place, direction) = match record.point {
        TapPoint::Receive => (SeenAt::Port(record.port), PacketDirection::In),
        TapPoint::Transmit => (SeenAt::Port(record.exit.unwrap_or(record.port)), PacketDirection::Out),
        point => (SeenAt::Between(point), PacketDirection::Inside),
    };
    let Some(at) = interfaces.iter().position(|interface| interface.place == place) else { return };
    interfaces[at].written += 1;
    let comment = words.of(record);
    let seen = SeenPacket {
        interface: at as u32,
        at: origin + record.at,
        id: record.frame,
        direction,
        bytes,
        len: record.len,
        comment: &comment,
    };
    file.packet(&seen);
}
