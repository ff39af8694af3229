//! The lab itself, briefly: what the generator sends the sink counts, and a gateway in between forwards it.

use std::time::Duration;

use transload::config;
use transload_bench_lab::lab::Lab;
use transload_bench_lab::measure::{self, Case, Patience, Setting};
use transload_bench_lab::path::Path;
use transload_bench_lab::systems::{Io, System, Why, configuration};
use transload_bench_lab::traffic::Sink;
use transload_lab::need;

const BRIEFLY: Patience = Patience { trial: Duration::from_millis(60), steps: 3, loss: 0.5 };
const CASE: Case = Case { len: 64, flows: 10, macs: 20 };

#[test]
fn the_generator_is_heard_by_the_sink() {
    need!(root, ip);
    let (nanos, rate) = measure::cost_of_a_turn().unwrap();
    assert!(nanos > 1.0 && rate > 1000.0, "{nanos} ns a frame, {rate} frames a second");
}

#[test]
fn the_kernel_and_transload_carry_every_path() {
    need!(root, ip, ethtool, vxlan);
    for system in [System::Kernel, System::Transload(Io::AfPacket)] {
        for path in Path::measured() {
            let lab = Lab::build(&path).unwrap();
            let sink = Sink::new(&lab.outside, &path.to).unwrap();
            let gateway = match system.start(&lab, &path) {
                // Not every kernel has GRE.
                Err(Why::NotAvailable(_)) if system == System::Kernel => continue,
                other => other.unwrap(),
            };
            let setting = Setting::new(&lab, &gateway, &sink, &path, &CASE, 100.0).unwrap();
            let point = measure::measure(&setting, &BRIEFLY).unwrap();
            assert!(point.overload > 100.0, "{}, {}: {point:?}", system.name(), path.name());
        }
    }
}

#[test]
fn our_configuration_of_every_path_is_a_good_one() {
    for path in Path::measured() {
        for io in [Io::AfPacket, Io::AfXdp] {
            let text = configuration(&path, io);
            if let Err(problems) = config::parse("bench.yaml", &text) {
                panic!("{}: {problems:?}\n{text}", path.name());
            }
        }
    }
}
