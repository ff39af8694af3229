//! All that is measured of one gateway under one kind of traffic.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::setting::Setting;
use super::trial::Trial;

/// How much time is taken, and what counts as no loss.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Duration of one trial.
    pub trial: Duration,
    /// Halvings in the search for the highest rate without loss.
    pub steps: u32,
    /// The share of frames that may be missing.
    pub loss: f64,
}

/// The figures.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Point {
    /// Frames a second that came through when as many as possible were sent.
    pub overload: f64,
    /// How many a second were sent then.
    pub offered: f64,
    /// The share that was lost then.
    pub loss: f64,
    /// Frames a second at the highest rate that was tried and showed no loss.
    pub lossless: f64,
    /// Nanoseconds of the gateway's processes for each frame, at overload.
    pub process: f64,
    /// Nanoseconds of the kernel's receive work for each frame, at overload; all of the work if the kernel is the
    /// gateway.
    pub softirq: f64,
    /// Microseconds under way, half of the frames and 99 of 100, at 10 % of the lossless rate.
    pub idle: Option<[f64; 2]>,
    /// The same at 80 %.
    pub busy: Option<[f64; 2]>,
}

/// Measures.
///
/// # Errors
/// When interrupted.
pub fn measure(setting: &Setting<'_>, patience: &Patience) -> io::Result<Point> {
    // Caches, and branch predictors, and processes that slept.
    Trial::run(setting, patience.trial / 4, None)?;
    let flood = Trial::run(setting, patience.trial, None)?;
    let lossless = if flood.loss() <= patience.loss { flood.forwarded() } else { search(setting, patience, &flood)? };
    let latency = |share: f64| -> io::Result<Option<[f64; 2]>> {
        let trial = Trial::run(setting, patience.trial, Some(lossless * share))?;
        let micros = |quantile| trial.latency.quantile(quantile).map(|nanos| nanos as f64 / 1000.0);
        Ok(micros(0.5).zip(micros(0.99)).map(|(half, most)| [half, most]))
    };
    let has_rate = lossless > 1000.0;
    Ok(Point {
        overload: flood.forwarded(),
        offered: flood.offered(),
        loss: flood.loss(),
        lossless,
        process: flood.per_frame(flood.processes),
        softirq: flood.per_frame(flood.softirq),
        idle: if has_rate { latency(0.1)? } else { None },
        busy: if has_rate { latency(0.8)? } else { None },
    })
}

/// Halves the interval in which the highest rate without loss is.
fn search(setting: &Setting<'_>, patience: &Patience, flood: &Trial) -> io::Result<f64> {
    // A gateway that drowns may carry more when it is offered less.
    let (mut low, mut high) = (0.0, flood.offered().min(flood.forwarded() * 1.5));
    let mut best = 0.0;
    for _ in 0..patience.steps {
        let middle = f64::midpoint(low, high);
        let trial = Trial::run(setting, patience.trial / 2, Some(middle))?;
        if trial.loss() <= patience.loss {
            low = middle;
            best = trial.forwarded().max(best);
        } else {
            high = middle;
        }
    }
    Ok(best)
}
