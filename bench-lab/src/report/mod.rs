//! What is shown of the results: Markdown tables, which a terminal shows as well, and pictures.

mod aims;
mod bars;
mod docs;
mod lines;
mod svg;
mod table;

pub use docs::write_docs;

use crate::results::Results;

/// Everything, as text.
#[must_use]
pub fn text(results: &Results) -> String {
    let parts = [
        machine(results),
        table::frames(results),
        table::tcp(results),
        table::growth(results),
        table::pipeline(results),
        aims::text(results),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "Measured at commit {} on {} UTC: {}, {:.0} GB of memory, Linux {}, {}, Open vSwitch {}. Load of the machine \
         before: {}.\n",
        machine.commit,
        machine.date,
        machine.processor,
        machine.memory as f64 / 1e9,
        machine.kernel,
        machine.rustc,
        machine.open_vswitch.as_deref().unwrap_or("not installed"),
        machine.load
    );
    let (nanos, rate) = results.generator;
    if rate > 0.0 {
        text += &format!("Generator and sink alone: {:.2} million frames/s, {nanos:.0} ns a frame.\n", rate / 1e6);
    }
    for (system, share, bytes) in &results.idle {
        text +=
            &format!("Idle: {system}: {} of a processor, {:.1} MB resident.\n", percent(*share), *bytes as f64 / 1e6);
    }
    text
}

/// Frames a second, in thousands.
fn thousands(rate: f64) -> String {
    format!("{:.0}", rate / 1000.0)
}

/// A share, in percent.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.095 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}
