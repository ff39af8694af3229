//! A source of frames inside the kernel: a BPF program that `BPF_PROG_TEST_RUN` runs once per frame, and that sends
//! each out of a device.
//!
//! The kernel recycles frames without restoring them, so the program writes the whole header anew each time; the
//! header's bytes are the program's own immediates. A pace is kept by letting frames pass unsent until it is time.

use std::io;
use std::time::{Duration, Instant};

use transload::bpf::{AttachedProgram, Hook, Map, MapKind, Program, ProgramKind};
use transload_lab::{Namespace, interrupt};

use super::frame::{self, ENTROPY, Packet, SOURCE_PORT};
use super::generator_code::{self as code, Pick, Place, Script, State};
use super::index_of;
use crate::alarm::Alarm;
use crate::cpus;

/// Turns that one system call may take: more than there is time for. A signal ends it.
const TURNS: u32 = i32::MAX.cast_unsigned();
/// Frames handed over at once. A pace needs small ones, or frames would come in clusters.
const BATCH: u32 = 64;
const PACED_BATCH: u32 = 8;
/// No run is longer, whatever is asked for.
const LONGEST: Duration = Duration::from_mins(1);

/// How frames differ from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variety {
    /// Flows: inner UDP source ports, and with them the outer one.
    pub flows: u32,
    /// Hosts on either side; number n speaks to number n.
    pub pairs: u32,
}

/// Which of a frame's addresses are changed, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Both, at random.
    Random,
    /// Both, one host after the other.
    InTurn,
    /// The source, one host after the other; the destination stays.
    Sources,
}

/// The frames that were sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Number of frames.
    pub frames: u64,
    /// How often the program ran: once for each frame, and while it waited for the next.
    pub turns: u64,
    /// From the first to the last.
    pub took: Duration,
    /// Nanoseconds of processor time, those included in which the kernel received what was sent.
    pub used: u64,
}

/// A loaded source, for one device.
#[derive(Debug)]
pub struct Generator {
    program: Program,
    state: Map<State>,
    frame: Vec<u8>,
    /// Where no frame ever arrives. For a program that is attached nowhere, the kernel rewrites its own code before
    /// and after each run, and waits until every processor has seen it: tens of milliseconds in which nothing is sent.
    _attached: AttachedProgram,
}

impl Generator {
    /// Sends copies of this packet out of a device of the namespace.
    ///
    /// # Errors
    /// Without the right to load programs, or when there is no such device.
    pub fn new(lab: &Namespace, device: &str, packet: &Packet, variety: Variety, order: Order) -> io::Result<Self> {
        let out = lab.enter(|| index_of(device))?;
        let state = Map::new(MapKind::Array, 1)?;
        let script = Script {
            header: packet.bytes[..(packet.inner + frame::MIN).min(packet.bytes.len())].to_vec(),
            time_at: packet.inner + frame::TIME_AT,
            picks: picks(packet, variety, order),
            in_turn: order != Order::Random,
            out,
        };
        let program = Program::load(&code::assemble(&script, &state)?, ProgramKind::Xdp)?;
        let attached = lab.enter(|| program.attach(index_of("lo")?, Hook::Generic))?;
        Ok(Self { program, state, frame: packet.bytes.clone(), _attached: attached })
    }

    /// Sends at least so many, at so many a second.
    ///
    /// # Errors
    /// When interrupted.
    pub fn send_slowly(&self, lab: &Namespace, count: u32, rate: f64) -> io::Result<()> {
        let begin = Instant::now();
        self.begin(Some(rate))?;
        while self.state.get(&0)?[code::SENT] < u64::from(count) {
            if begin.elapsed() > LONGEST {
                return Err(io::Error::other("the generator does not get its frames out"));
            }
            self.go_on(lab, Duration::from_secs_f64(f64::from(count) / rate / 4.0), Some(rate))?;
        }
        Ok(())
    }

    /// Sends for so long, at most so many frames a second if given.
    ///
    /// # Errors
    /// When interrupted.
    pub fn run(&self, lab: &Namespace, duration: Duration, pace: Option<f64>) -> io::Result<Sent> {
        self.begin(pace)?;
        let used = self.go_on(lab, duration.min(LONGEST), pace)?;
        let words = self.state.get(&0)?;
        let took = Duration::from_nanos(words[code::LAST].saturating_sub(words[code::FIRST]));
        Ok(Sent { frames: words[code::SENT], turns: words[code::TURNS], took, used })
    }

    fn begin(&self, pace: Option<f64>) -> io::Result<()> {
        let gap = pace.map_or(0, |rate| (code::FRACTION as f64 * 1e9 / rate.max(1.0)) as u64);
        self.state.set(&0, &code::initial(gap))
    }

    /// Sends for so long. Returns the nanoseconds of processor time that it took.
    fn go_on(&self, lab: &Namespace, duration: Duration, pace: Option<f64>) -> io::Result<u64> {
        let batch = if pace.is_some() { PACED_BATCH } else { BATCH };
        lab.enter(|| {
            cpus::pin(cpus::GENERATOR)?;
            cpus::yield_to_others()?;
            let _end = Alarm::after(duration)?;
            match self.program.run(&self.frame, TURNS, batch) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => interrupt::check().map(|()| cpus::used_by_this_thread()),
            }
        })
    }
}

fn picks(packet: &Packet, variety: Variety, order: Order) -> Vec<Pick> {
    // The lower four bytes of a host's MAC are its number.
    let (destination, source) = (packet.addresses + 2, packet.addresses + 8);
    let hosts = if order == Order::Sources { vec![source] } else { vec![destination, source] };
    let hosts = hosts.into_iter().map(|at| Place::Word { at }).collect();
    let mut flows = vec![Place::Port { at: packet.inner + SOURCE_PORT, base: 1024 }];
    flows.extend(packet.entropy.map(|at| Place::Port { at, base: ENTROPY }));
    let picks = [Pick { count: variety.pairs, places: hosts }, Pick { count: variety.flows, places: flows }];
    picks.into_iter().filter(|pick| pick.count > 1).collect()
}
