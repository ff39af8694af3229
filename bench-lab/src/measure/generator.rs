//! What the generator itself costs, and how fast it is: it sends into nothing.

use std::io;
use std::time::Duration;

use transload_lab::{Host, Namespace, veth};

use crate::path::{Encapsulation, Path};
use crate::traffic::{Generator, Order, Sink, Variety, frame};

const TIME: Duration = Duration::from_millis(200);

/// Nanoseconds of processor time for each frame of the generator, the sink's included, and frames a second.
///
/// # Errors
/// When interrupted.
pub fn cost_of_a_turn() -> io::Result<(f64, f64)> {
    let path = Path::new(Encapsulation::Vxlan { vni: 1 }, Encapsulation::Vxlan { vni: 1 });
    let place = Namespace::new()?;
    let end = Namespace::new()?;
    veth((&place, path.from.device), (&end, path.from.outside), 1600)?;
    place.sh("for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $file; done")?;
    // The sink is a program on the other end, which drops everything there.
    let sink = Sink::new(&end, &path.from)?;
    let packet = frame::encapsulate(&path.from, &frame::tenant(&path.from, &path.to, 64));
    let variety = Variety { flows: 1000, pairs: 50_000 };
    let generator = Generator::new(&place, path.from.device, &packet, variety, Order::Random)?;
    generator.run(&place, TIME / 4, None)?;
    sink.clear()?;
    let sent = generator.run(&place, TIME, None)?;
    let arrived = sink.arrived()?.frames;
    if arrived * 2 < sent.frames {
        return Err(io::Error::other(format!("the sink counts {arrived} of {} frames that were sent", sent.frames)));
    }
    Ok((sent.used as f64 / sent.turns.max(1) as f64, arrived as f64 / sent.took.as_secs_f64()))
}
