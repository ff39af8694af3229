//! Breaths for valgrind to count: `cargo xtask bench instructions` runs it, once for every kind of traffic.
//!
//! Instructions are the stable measure on a machine that is shared: the same frames take the same number every time.

mod gateway;

use gateway::{Case, Gateway, TENANTS, TICK, with_ports_alone};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [who, tenant, len, macs, breaths] = arguments.as_slice() else {
        // `cargo bench` without valgrind has nothing to count.
        return println!("instructions: run `cargo xtask bench instructions`");
    };
    let number = |text: &String| text.parse().expect("a number");
    let tenant = TENANTS.into_iter().find(|known| known == tenant).expect("one of the tenants");
    let macs = number(macs);
    let case = Case { tenant, len: number(len) as usize, sources: macs, destinations: macs };
    match who.as_str() {
        "gateway" => Gateway::new(case, 1).with_worker(0, |worker| {
            for _ in 0..number(breaths) {
                worker.breathe(TICK);
            }
        }),
        _ => with_ports_alone(&case, |breathe| (0..number(breaths)).for_each(|_| breathe())),
    }
}
