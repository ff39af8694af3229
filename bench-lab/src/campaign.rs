//! The whole measurement: systems take turns, so that a machine that gets slower or faster does so for all of them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use transload_lab::interrupt;

use crate::cpus;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::measure::{self, Case, Setting, cost_of_a_turn};
use crate::path::Path;
use crate::plan::Plan;
use crate::results::Results;
use crate::systems::{Io, Running, System, Why};
use crate::traffic::Sink;

/// How long a gateway is watched doing nothing.
const IDLE: Duration = Duration::from_secs(1);

/// Measures everything of the plan. `tell` hears what is going on.
///
/// # Errors
/// When interrupted, or when the lab cannot be built. A system that fails is noted in its cell.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&str)) -> io::Result<Results> {
    let mut results = Results::new(Machine::here(), plan.patience.loss);
    // The gateways start on the processor that this thread is on.
    cpus::pin(cpus::GATEWAY)?;
    results.generator = cost_of_a_turn()?;
    for round in 1..=plan.rounds {
        for (path, cases) in &plan.paths {
            for system in System::ALL {
                interrupt::check()?;
                tell(&format!("round {round} of {}: {}, {}", plan.rounds, path.name(), system.name()));
                frames(&mut results, plan, path, cases, system)?;
            }
        }
        for path in Path::ways_out() {
            for system in System::ALL.into_iter().filter(|system| *system != System::Bare) {
                interrupt::check()?;
                tell(&format!("round {round} of {}: TCP {}, {}", plan.rounds, path.name(), system.name()));
                streams(&mut results, plan, &path, system)?;
            }
        }
    }
    Ok(results)
}

/// Why there is no figure, in words; unless it is because of Ctrl-C.
fn note(why: Why) -> io::Result<String> {
    interrupt::check()?;
    Ok(match why {
        Why::NotAvailable(reason) => format!("not available: {reason}"),
        Why::Failed(error) => format!("failed: {error}"),
    })
}

/// One system on one path, through all its cases.
fn frames(results: &mut Results, plan: &Plan, path: &Path, cases: &[Case], system: System) -> io::Result<()> {
    let lab = Lab::build(path)?;
    let sink = Sink::new(&lab.outside, &path.to)?;
    let turn = results.generator.0;
    let gateway = match system.start(&lab, path) {
        Ok(gateway) => gateway,
        Err(why) => {
            let note = note(why)?;
            for case in cases {
                results.cell(&path.name(), *case, system.name()).note = Some(note.clone());
            }
            return Ok(());
        }
    };
    if matches!(system, System::Transload(_)) && results.idle.iter().all(|(name, ..)| name != system.name()) {
        let (share, bytes) = idle(&gateway);
        results.idle.push((system.name().to_owned(), share, bytes));
    }
    for case in cases {
        let measured = Setting::new(&lab, &gateway, &sink, path, case, turn)
            .and_then(|setting| measure::measure(&setting, &plan.patience));
        interrupt::check()?;
        let cell = results.cell(&path.name(), *case, system.name());
        match measured {
            Ok(point) => cell.runs.push(point),
            Err(error) => cell.note = Some(format!("failed: {error}")),
        }
        cell.memory.push(measure::resident(&gateway.processes));
    }
    Ok(())
}

/// The share of a processor that a gateway takes, and its memory, when nothing arrives.
fn idle(gateway: &Running) -> (f64, u64) {
    // What starting it left to do.
    thread::sleep(IDLE / 2);
    let (before, begin) = (measure::used(&gateway.processes), Instant::now());
    thread::sleep(IDLE);
    let used = measure::used(&gateway.processes).saturating_sub(before);
    (used as f64 / begin.elapsed().as_nanos() as f64, measure::resident(&gateway.processes))
}

/// One system on one path, TCP with the hosts' offloads and without.
fn streams(results: &mut Results, plan: &Plan, path: &Path, system: System) -> io::Result<()> {
    let is_xdp = matches!(system, System::OpenVswitch(Io::AfXdp) | System::Transload(Io::AfXdp));
    if is_xdp {
        // The checksum that the sender left to its device never gets done: an XDP socket is not told of it.
        results.stream(&path.name(), system.name(), true).note =
            Some("not available: XDP sockets carry no offloads".into());
    }
    let lab = Lab::with_hosts(path)?;
    let gateway = match system.start(&lab, path) {
        Ok(gateway) => gateway,
        Err(why) => {
            let note = note(why)?;
            for offloads in [true, false] {
                results.stream(&path.name(), system.name(), offloads).note = Some(note.clone());
            }
            return Ok(());
        }
    };
    for offloads in [true, false].into_iter().filter(|offloads| !(is_xdp && *offloads)) {
        let measured = measure::stream(&lab, path, offloads, plan.tcp);
        let stream = results.stream(&path.name(), system.name(), offloads);
        match measured {
            Ok(measure::Stream { rate, far_end }) => {
                stream.runs.push(rate);
                stream.far_end = Some(far_end.into());
            }
            Err(why) => stream.note = Some(note(why)?),
        }
    }
    drop(gateway);
    Ok(())
}
