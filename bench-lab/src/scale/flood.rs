//! What a broadcast costs for each target that it is copied to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use transload::compile::{self, Numbers};
use transload::config;
use transload::dataplane::{Now, Worker};
use transload::events;
use transload::io::{BoxedPort, Pool, Port, Sent};
use transload::offline;
use transload_encaps::{Frame, HEADROOM};

use super::files;

const CHUNK: usize = 2048 + 64;
const CHUNKS: usize = 4096;
const TIME: Duration = Duration::from_millis(200);

/// A broadcast comes in once the one before has all its copies; what leaves is counted.
struct Beacon {
    speaks: bool,
    targets: u64,
    spoken: u64,
    sent: Arc<AtomicU64>,
}

impl<'mem> Port<'mem> for Beacon {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, _: usize) -> io::Result<()> {
        if !self.speaks || self.sent.load(Ordering::Relaxed) < self.spoken * self.targets {
            return Ok(());
        }
        self.spoken += 1;
        let mut bytes = [0xff; 64];
        bytes[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 8, 6]);
        if let Some(mut frame) = pool.take(HEADROOM) {
            if !frame.fill(HEADROOM, &bytes) {
                return Err(io::Error::other("a chunk has no room for the frame"));
            }
            burst.push(frame);
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let count = frames.len() as u32;
        self.sent.fetch_add(u64::from(count), Ordering::Relaxed);
        frames.drain(..).for_each(|frame| pool.put(frame));
        Sent { frames: count, ..Sent::default() }
    }
}

/// Nanoseconds for each copy of a broadcast to so many targets.
///
/// # Errors
/// When not every target gets its copy.
pub(super) fn nanos_per_copy(targets: u64) -> io::Result<f64> {
    let mut arena = vec![0; CHUNK * CHUNKS];
    let refused = |problems| io::Error::other(format!("{problems:?}"));
    let config = config::parse("flood.yaml", &files::mesh(targets)).map_err(refused)?;
    let plan = compile::compile(&config, &Numbers::default(), None).map_err(refused)?;
    let sent = Arc::new(AtomicU64::new(0));
    let ports = plan.ports.iter().map(|port| -> (_, BoxedPort<'_>) {
        (port.id, Box::new(Beacon { speaks: port.name == "access", targets, spoken: 0, sent: sent.clone() }))
    });
    let ports = ports.collect();
    let (rib, _) = offline::rib(plan, 1);
    let (shared, counters) = (Arc::clone(rib.shared()), Arc::clone(&rib.counters()[0]));
    let (sender, _receiver) = events::ring(1024);
    let mut worker = Worker::new(shared, Pool::new(&mut arena, CHUNK), ports, counters, sender);
    let (begin, mut breaths) = (Instant::now(), 0_u64);
    // Until there is time for no more, and the last one has all its copies.
    while begin.elapsed() < TIME || !sent.load(Ordering::Relaxed).is_multiple_of(targets) && begin.elapsed() < 2 * TIME
    {
        breaths += 1;
        // A millisecond passes for the gateway, so that its limit of broadcasts is none.
        worker.breathe(Now { nanos: breaths * 1_000_000 });
    }
    let nanos = begin.elapsed().as_nanos() as f64;
    let copies = sent.load(Ordering::Relaxed);
    if copies == 0 || !copies.is_multiple_of(targets) {
        return Err(io::Error::other(format!("{copies} copies of broadcasts to {targets} targets")));
    }
    Ok(nanos / copies as f64)
}
