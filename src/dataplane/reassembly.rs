//! Reassembly: tunnel packets that arrive in fragments, put together again at endpoints that ask for it.
//!
//! Only what the classifier calls a fragment comes here. A fragment of a sender that the endpoint knows is copied to its
//! place in a chunk; with the last one that is missing, the whole packet takes its place in the burst, and is classified
//! as if it had come so. What overlaps ends the datagram, with all of it that is still to come (RFC 5722 §4, for IPv4
//! alike); a part that comes twice is dropped. The memory is fixed, and what is given up is counted by name, once for
//! every fragment.

use std::net::IpAddr;

use transload_encaps::fragment::{DatagramId, PacketPart};
use transload_encaps::{Common, DropReason, Frame, HEADROOM, ecn};

use super::Now;
use super::burst::Burst;
use super::classify::{Classifier, NoOrigin};
use super::note::{Note, Verdict};
use super::trace::{LostFrame, Tracer};
use crate::counters::Counters;
use crate::forwarding::{EndpointId, Forwarding, Port, PortId, Reassembly};
use crate::io::Pool;

/// Most datagrams at a time, of all endpoints together.
const MOST: usize = 256;
/// Most fragments of one datagram: 64 KiB by an MTU of 1280 are 54.
const MOST_PARTS: usize = 64;
/// Room for the headers in front of a datagram's payload, in bytes: Ethernet, a tag, IP and what it has of options.
const HEAD_ROOM: usize = 256;

/// A datagram of which parts are still missing.
struct Datagram<'mem> {
    endpoint: EndpointId,
    id: DatagramId,
    /// Behind `HEAD_ROOM` the payload, as far as it is there, and in front of it the headers of the first fragment, or until
    /// that is there, of the one that came before all others.
    chunk: Option<Frame<'mem>>,
    /// Why the datagram was given up before its time; what is still to come of it is, too.
    fault: Option<Common>,
    /// When it is given up, in nanoseconds of the workers' clock.
    due: u64,
    /// By which port the fragments came.
    port: PortId,
    parts: [(u16, u16); MOST_PARTS],
    len: usize,
    /// How many bytes of payload are there, and how many there will be, once the last part is there.
    bytes: (usize, Option<usize>),
    /// The length, in bytes, of the headers in front of the payload in `chunk`.
    head: usize,
    /// The first fragment.
    first: Option<PacketPart>,
    /// The ECN fields that were seen, a bit for each.
    ecn: u8,
}

/// The datagrams that a worker puts together.
pub(super) struct Datagrams<'mem> {
    all: Vec<Datagram<'mem>>,
    /// When the first of them is given up; never without any.
    due: u64,
}

impl<'mem> Datagrams<'mem> {
    pub(super) fn new() -> Self {
        Self { all: Vec::with_capacity(MOST), due: u64::MAX }
    }

    /// Gives up what has waited too long.
    #[inline]
    pub(super) fn expire<T: Tracer>(
        &mut self,
        pool: &mut Pool<'mem>,
        counters: &Counters,
        (tables, now): (&Forwarding, Now),
        tracer: &mut T,
    ) {
        if now.nanos >= self.due {
            self.give_up(pool, counters, (tables, now), tracer);
        }
    }

    #[cold]
    fn give_up<T: Tracer>(
        &mut self,
        pool: &mut Pool<'mem>,
        counters: &Counters,
        (tables, now): (&Forwarding, Now),
        tracer: &mut T,
    ) {
        let reason = Common::ReassemblyTimeout;
        let late = |datagram: &mut Datagram<'mem>| datagram.due <= now.nanos;
        for mut datagram in self.all.extract_if(.., late) {
            let mut note = Note::new(datagram.port);
            note.drop(reason.into());
            if let Some(frame) = datagram.as_a_part() {
                tracer.again(0, &note, frame);
                let reason = reason.into();
                tracer.dropped(&LostFrame { reason, frame, note: &note, wrapped: 0, tables, now });
            }
            datagram.abandon(reason, pool, counters);
        }
        self.due = self.all.iter().map(|datagram| datagram.due).min().unwrap_or(u64::MAX);
    }
}

impl<'mem> Datagram<'mem> {
    /// Counts the parts that are there as dropped, and gives the chunk back. What is given up already is counted.
    fn abandon(&mut self, reason: Common, pool: &mut Pool<'mem>, counters: &Counters) {
        let Some(chunk) = self.chunk.take() else { return };
        self.fault = Some(reason);
        pool.put(chunk);
        counters.dropped(reason.into(), None, self.len as u64);
        counters.dropped_at(self.port, None, reason.into(), self.len as u64);
    }

    /// Puts a part in its place.
    fn add(&mut self, bytes: &[u8], part: &PacketPart, ip_at: usize) -> Result<(), Common> {
        if let Some(reason) = self.fault {
            return Err(reason);
        }
        let (from, to) = (part.offset, part.offset + part.payload.len());
        let range = (from as u16, to as u16);
        let known = self.parts.get(..self.len).unwrap_or_default();
        if known.contains(&range) {
            return Err(Common::DuplicateFragment);
        }
        let meets = |&(start, end): &(u16, u16)| usize::from(start) < to && from < usize::from(end);
        let is_behind_end = self.bytes.1.is_some_and(|end| part.is_last || to > end);
        let ends_before = part.is_last && known.iter().any(|&(_, end)| usize::from(end) > to);
        if is_behind_end || ends_before || known.iter().any(meets) {
            return Err(Common::FragmentOverlap);
        }
        let place = self.parts.get_mut(self.len).ok_or(Common::BadFragment)?;
        let space = self.chunk.as_mut().ok_or(Common::FragmentOverlap)?.space();
        let payload = bytes.get(part.payload.clone()).ok_or(Common::BadFragment)?;
        space.get_mut(HEAD_ROOM + from..HEAD_ROOM + to).ok_or(Common::ReassemblyFull)?.copy_from_slice(payload);
        if from == 0 || self.len == 0 {
            let head = bytes.get(..part.head).ok_or(Common::BadFragment)?;
            let start = HEAD_ROOM.checked_sub(head.len()).filter(|_| ip_at <= part.head).ok_or(Common::BadFragment)?;
            space.get_mut(start..HEAD_ROOM).ok_or(Common::BadFragment)?.copy_from_slice(head);
            self.head = part.head;
        }
        if from == 0 {
            self.first = Some(part.clone());
        }
        *place = range;
        self.len += 1;
        self.bytes = (self.bytes.0 + to - from, if part.is_last { Some(to) } else { self.bytes.1 });
        self.ecn |= 1 << part.ecn;
        Ok(())
    }

    /// The fragment whose headers the chunk has, for the observer: the others' bytes are lost. IPv6's has no fragment header.
    fn as_a_part(&mut self) -> Option<&Frame<'mem>> {
        let of_headers = |&&(from, _): &&(u16, u16)| from == 0 || self.first.is_none();
        let (from, to) = *self.parts.get(..self.len)?.iter().find(of_headers)?;
        let chunk = self.chunk.as_mut()?;
        let (from, to) = (usize::from(from), usize::from(to));
        chunk.space().get_mut(HEAD_ROOM..HEAD_ROOM + to)?.copy_within(from..to, 0);
        chunk.reset(HEADROOM + HEAD_ROOM - self.head);
        chunk.set_len(self.head + to - from);
        Some(chunk)
    }

    fn is_whole(&self) -> bool {
        self.first.is_some() && self.bytes.1 == Some(self.bytes.0)
    }

    /// What all parts say of congestion together (RFC 3168 §5.3).
    fn joint_ecn(&self) -> Option<u8> {
        let has = |ecn: u8| self.ecn & 1 << ecn != 0;
        match self.first.as_ref()?.ecn {
            _ if has(ecn::NOT_ECT) && self.ecn != 1 << ecn::NOT_ECT => None,
            _ if has(ecn::CE) => Some(ecn::CE),
            first => Some(first),
        }
    }

    /// The whole packet, if its parts do not contradict each other.
    fn make_whole(&mut self, ip_at: usize) -> Option<Frame<'mem>> {
        let mut chunk = self.chunk.take()?;
        let made = self.first.as_ref().zip(self.joint_ecn()).and_then(|(first, ecn)| {
            chunk.reset(HEADROOM + HEAD_ROOM - first.head);
            let head = chunk.space().get_mut(..first.head)?;
            first.make_whole(head, ip_at, self.bytes.0, ecn).ok()?;
            Some(first.head + self.bytes.0)
        });
        if let Some(len) = made {
            chunk.set_len(len);
            Some(chunk)
        } else {
            self.chunk = Some(chunk);
            None
        }
    }
}

/// What reassembly reads and writes besides the burst.
pub(super) struct Reassembler<'r, 'a, 'mem, T> {
    pub classifier: Classifier<'a, 'mem, T>,
    pub datagrams: &'r mut Datagrams<'mem>,
    pub pool: &'r mut Pool<'mem>,
    pub counters: &'r Counters,
    pub now: Now,
}

/// Takes the fragments of a burst to their datagrams, and puts those into the burst that are whole.
#[cold]
pub(super) fn reassemble<'mem, T: Tracer>(burst: &mut Burst<'mem>, with: &mut Reassembler<'_, '_, 'mem, T>) {
    burst.has_fragments = false;
    let Some(port) = with.classifier.tables.ports.get(with.classifier.port) else { return };
    let Burst { frames, notes, unknown_senders, .. } = burst;
    for (frame, note) in frames.iter_mut().zip(notes) {
        if note.verdict == Verdict::Dropped(Common::OuterFragment.into()) {
            with.take(frame, note, port, unknown_senders);
        }
    }
}

impl<'mem, T: Tracer> Reassembler<'_, '_, 'mem, T> {
    fn take(&mut self, frame: &mut Frame<'mem>, note: &mut Note, port: &Port, unknown_senders: &mut Vec<IpAddr>) {
        let Some((endpoint, rule, ip_at)) = self.classifier.reassembly(frame, port) else { return };
        match self.add(frame, (endpoint, rule), ip_at) {
            Err(reason) => note.drop(reason),
            Ok(None) => note.verdict = Verdict::Waiting,
            Ok(Some(whole)) => {
                self.pool.put(std::mem::replace(frame, whole));
                *note = Note::new(self.classifier.port);
                match self.classifier.origin(frame, port, unknown_senders) {
                    Ok(origin) => note.origin = origin,
                    Err(NoOrigin::Dropped(reason)) => note.drop(reason),
                    // What came in fragments is no super-frame.
                    Err(NoOrigin::Train(_)) => note.drop(Common::BadFragment.into()),
                }
            }
        }
    }

    /// Adds a fragment to its datagram. Returns that, if it is whole now.
    fn add(
        &mut self,
        frame: &Frame<'mem>,
        (endpoint, rule): (EndpointId, Reassembly),
        ip_at: usize,
    ) -> Result<Option<Frame<'mem>>, DropReason> {
        let part = PacketPart::of(frame.bytes(), ip_at)?;
        if !self.classifier.knows(endpoint, part.datagram.src) {
            return Err(Common::UnknownPeer.into());
        }
        let same = |known: &Datagram<'_>| known.endpoint == endpoint && known.id == part.datagram;
        let found = self.datagrams.all.iter().position(same);
        let at = match found {
            Some(at) => at,
            None => self.begin(endpoint, part.datagram, rule)?,
        };
        let Some(datagram) = self.datagrams.all.get_mut(at) else { return Err(Common::ReassemblyFull.into()) };
        match datagram.add(frame.bytes(), &part, ip_at) {
            Ok(()) if datagram.is_whole() => {}
            Ok(()) => return Ok(None),
            Err(reason) => {
                if reason != Common::DuplicateFragment {
                    datagram.abandon(reason, self.pool, self.counters);
                }
                return Err(reason.into());
            }
        }
        let mut datagram = self.datagrams.all.swap_remove(at);
        let whole = datagram.make_whole(ip_at);
        // The last of its parts is counted where it is, and as the whole if there is one.
        datagram.len -= 1;
        if whole.is_none() {
            datagram.abandon(Common::BadFragment, self.pool, self.counters);
            return Err(Common::BadFragment.into());
        }
        if let Some(joined) = self.counters.tolerated(Common::OuterFragment.into()) {
            joined.add(datagram.len as u64);
        }
        Ok(whole)
    }

    /// Makes room for a datagram. Returns where.
    fn begin(&mut self, endpoint: EndpointId, id: DatagramId, rule: Reassembly) -> Result<usize, DropReason> {
        let (all, due) = (&mut self.datagrams.all, self.now.nanos.saturating_add(rule.timeout));
        let of_endpoint = all.iter().filter(|known| known.endpoint == endpoint).count();
        // A burst's worth of long chunks stays free for what ports receive.
        let is_room =
            of_endpoint < rule.most && all.len() < MOST && self.pool.free_for(HEADROOM, usize::MAX / 2) > Burst::LEN;
        let chunk = if is_room { self.pool.take(HEADROOM) } else { None };
        let chunk = Some(chunk.ok_or(Common::ReassemblyFull)?);
        let port = self.classifier.port;
        all.push(Datagram {
            endpoint,
            id,
            chunk,
            fault: None,
            due,
            port,
            parts: [(0, 0); MOST_PARTS],
            len: 0,
            bytes: (0, None),
            head: 0,
            first: None,
            ecn: 0,
        });
        self.datagrams.due = self.datagrams.due.min(due);
        Ok(all.len() - 1)
    }
}
