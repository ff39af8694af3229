//! Events from the workers to the control plane: a bounded ring each; what does not fit is counted and never waited for.

mod samples;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};
use transload_encaps::Mac;

pub use samples::{DropSample, OuterSample, SampleSender};

use crate::forwarding::{AttachmentId, DomainId, PeerId, PortId, Target};

/// Something that happened on the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A MAC address appeared, or appeared elsewhere.
    Heard {
        /// The tenant.
        domain: DomainId,
        /// The address.
        mac: Mac,
        /// The place where it lives now.
        to: Target,
        /// The place where it lived before, if it moved.
        from: Option<Target>,
        /// The time, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// The same frame keeps coming in by two attachments: something joins them besides us, or sends it back.
    Loop {
        /// The tenant.
        domain: DomainId,
        /// The two, the lower number first.
        between: [AttachmentId; 2],
        /// It was no echo: what we kept from one of the two has come in by it.
        is_proved: bool,
        /// The frame's source.
        mac: Mac,
        /// The time, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// A MAC address was not learned for want of room.
    Shortage {
        /// The tenant.
        domain: DomainId,
        /// Of what.
        of: Shortage,
        /// The time, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// A frame came from a sender that a group may learn, and that has no number yet.
    UnknownSender {
        /// The peer that stands for such senders.
        anonymous: PeerId,
        /// The outer source address.
        address: IpAddr,
        /// The tenant whose frame it sent.
        domain: DomainId,
        /// The time, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// A port cannot receive; it is tried again later.
    PortFailed {
        /// The port.
        port: PortId,
        /// The operating system's error number, if it gave one.
        errno: Option<i32>,
    },
    /// A port that had failed receives again.
    PortBack {
        /// The port.
        port: PortId,
    },
}

/// What keeps a MAC address from being learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shortage {
    /// Its tenant has as many as its limit allows.
    Limit,
    /// Its tenant has its reserve, and others need the rest of the table.
    Table,
}

/// A worker's end of the ring.
#[derive(Debug)]
pub struct EventSender {
    /// Where samples of dropped frames go; for a breath, the worker takes it out.
    pub samples: Option<Box<SampleSender>>,
    ring: Producer<Event>,
    lost: Arc<AtomicU64>,
}

/// The control plane's end of the ring.
#[derive(Debug)]
pub struct EventReceiver {
    samples: Consumer<DropSample>,
    ring: Consumer<Event>,
    lost: Arc<AtomicU64>,
}

/// Both ends of a ring for this many events.
#[must_use]
pub fn ring(capacity: usize) -> (EventSender, EventReceiver) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let (samples, hear_samples) = samples::ring();
    let lost = Arc::new(AtomicU64::new(0));
    let sender = EventSender { samples: Some(Box::new(samples)), ring: producer, lost: lost.clone() };
    (sender, EventReceiver { samples: hear_samples, ring: consumer, lost })
}

impl EventSender {
    /// Sends an event to the control plane, or counts it as lost when the ring is full.
    #[inline]
    pub fn send(&mut self, event: Event) {
        if self.ring.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl EventReceiver {
    /// The next event, if there is one.
    pub fn hear(&mut self) -> Option<Event> {
        self.ring.pop().ok()
    }

    /// The next sample of a dropped frame, if there is one.
    pub fn hear_sample(&mut self) -> Option<DropSample> {
        self.samples.pop().ok()
    }

    /// How many events did not fit so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_the_rest_arrives() {
        let (mut sender, mut receiver) = ring(2);
        for port in 0..5 {
            sender.send(Event::PortBack { port: PortId::new(port) });
        }
        assert_eq!(receiver.lost(), 3);
        assert_eq!(receiver.hear(), Some(Event::PortBack { port: PortId::new(0) }));
        assert_eq!(receiver.hear(), Some(Event::PortBack { port: PortId::new(1) }));
        assert_eq!(receiver.hear(), None);
    }
}
