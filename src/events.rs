//! News from the workers for the control plane: a bounded ring each, whose overflow is counted and never waited for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};
use transload_encaps::Mac;

use crate::forwarding::{AttachmentId, DomainId, PeerId, PortId, Target};

/// Something that happened on the data path and that somebody may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A MAC address appeared, or appeared elsewhere.
    Heard {
        /// The tenant.
        domain: DomainId,
        /// The address.
        mac: Mac,
        /// Where it lives now.
        to: Target,
        /// Where it lived before, if it moved.
        from: Option<Target>,
        /// When, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// The same frame keeps coming in by two attachments: something joins them besides us.
    Loop {
        /// The tenant.
        domain: DomainId,
        /// The two, the lower number first.
        between: [AttachmentId; 2],
        /// The frame's source.
        mac: Mac,
        /// When, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// A sender that a group may learn, and that has no number yet.
    UnknownSender {
        /// The peer that stands for such senders.
        anonymous: PeerId,
        /// Its address.
        address: IpAddr,
        /// The tenant whose frame it sent.
        domain: DomainId,
        /// When, in nanoseconds of the workers' clock.
        at: u64,
    },
    /// A port cannot receive; it is tried again later.
    PortFailed {
        /// Which one.
        port: PortId,
        /// The operating system's error number, if it gave one.
        errno: Option<i32>,
    },
    /// A port that had failed receives again.
    PortBack {
        /// Which one.
        port: PortId,
    },
}

/// A worker's end of the ring.
#[derive(Debug)]
pub struct Sender {
    ring: Producer<Event>,
    lost: Arc<AtomicU64>,
}

/// The control plane's end of the ring.
#[derive(Debug)]
pub struct Receiver {
    ring: Consumer<Event>,
    lost: Arc<AtomicU64>,
}

/// A ring for this many events.
#[must_use]
pub fn ring(capacity: usize) -> (Sender, Receiver) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let lost = Arc::new(AtomicU64::new(0));
    (Sender { ring: producer, lost: lost.clone() }, Receiver { ring: consumer, lost })
}

impl Sender {
    /// Tells the control plane, or counts the event as lost when it does not listen fast enough.
    #[inline]
    pub fn send(&mut self, event: Event) {
        if self.ring.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Receiver {
    /// The next event, if there is one.
    pub fn hear(&mut self) -> Option<Event> {
        self.ring.pop().ok()
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
            sender.send(Event::PortBack { port: PortId(port) });
        }
        assert_eq!(receiver.lost(), 3);
        assert_eq!(receiver.hear(), Some(Event::PortBack { port: PortId(0) }));
        assert_eq!(receiver.hear(), Some(Event::PortBack { port: PortId(1) }));
        assert_eq!(receiver.hear(), None);
    }
}
