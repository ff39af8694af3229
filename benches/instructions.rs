//! Work for valgrind to count: `cargo xtask bench instructions` runs it, once for every kind of traffic and of control.
//!
//! Instructions are the stable measure on a machine that is shared: the same frames take the same number every time.

mod gateway;
mod newcomers;

use gateway::{CHUNK, Case, Gateway, TENANTS, TICK, with_ports_alone};
use newcomers::Control;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [who, known, newcomers] = arguments.as_slice()
        && who == "newcomers"
    {
        let mut control = Control::with_learned(known.parse().expect("a number"));
        return (0..newcomers.parse().expect("a number")).for_each(|_: u32| control.learn_one_more());
    }
    let [who, tenant, len, macs, breaths] = arguments.as_slice() else {
        // `cargo bench` without valgrind has nothing to count.
        return println!("instructions: run `cargo xtask bench instructions`");
    };
    let number = |text: &String| text.parse().expect("a number");
    let tenant = TENANTS.into_iter().find(|known| known.name == tenant).expect("one of the tenants");
    let macs = number(macs);
    let case = Case { tenant, len: number(len) as usize, sources: macs, destinations: macs, chunk: CHUNK };
    match who.as_str() {
        "gateway" => Gateway::new(case, 1).with_worker(0, |worker| {
            for _ in 0..number(breaths) {
                worker.breathe(TICK);
            }
        }),
        _ => with_ports_alone(&case, |breathe| (0..number(breaths)).for_each(|_| breathe())),
    }
}
