//! The whole measurement: systems take turns, so that a machine that gets slower or faster does so for all of them.

use std::io;

use transload_interop_tests::interrupt;

use crate::cpus;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::measure::{self, Case, Setting, cost_of_a_turn};
use crate::path::Path;
use crate::plan::Plan;
use crate::results::Results;
use crate::systems::{System, Why};
use crate::traffic::Sink;

/// Measures everything of the plan. `tell` hears what is going on.
///
/// # Errors
/// When interrupted, or when the lab cannot be built. A system that fails is noted in its cell.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&str)) -> io::Result<Results> {
    let machine = Machine::here();
    // The gateways start on the processor that this thread is on.
    cpus::pin(cpus::GATEWAY)?;
    let generator = cost_of_a_turn()?;
    let mut results = Results { machine, loss: plan.patience.loss, generator, cells: Vec::new() };
    for round in 1..=plan.rounds {
        for (path, cases) in &plan.paths {
            for system in System::ALL {
                interrupt::check()?;
                tell(&format!("round {round} of {}: {}, {}", plan.rounds, path.name(), system.name()));
                one(&mut results, plan, path, cases, system)?;
            }
        }
    }
    Ok(results)
}

/// One system on one path, through all its cases.
fn one(results: &mut Results, plan: &Plan, path: &Path, cases: &[Case], system: System) -> io::Result<()> {
    let lab = Lab::build(path)?;
    let sink = Sink::new(&lab.outside, &path.to)?;
    let turn = results.generator.0;
    let gateway = match system.start(&lab, path) {
        Ok(gateway) => gateway,
        Err(why) => {
            interrupt::check()?;
            let note = match why {
                Why::NotAvailable(reason) => format!("not available: {reason}"),
                Why::Failed(error) => format!("failed: {error}"),
            };
            for case in cases {
                results.cell(&path.name(), *case, system.name()).note = Some(note.clone());
            }
            return Ok(());
        }
    };
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
