//! Breaths for valgrind to count: `cargo xtask bench instructions` runs it, once for every kind of traffic.
//!
//! Instructions are the stable measure on a machine that is shared: the same frames take the same number every time.

mod gateway;

use gateway::{Case, TENANTS, TICK, with_worker};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tenant, len, macs, breaths] = arguments.as_slice() else {
        // `cargo bench` without valgrind has nothing to count.
        return println!("instructions: run `cargo xtask bench instructions`");
    };
    let number = |text: &String| text.parse().expect("a number");
    let tenant = TENANTS.into_iter().find(|known| known == tenant).expect("one of the tenants");
    let case = Case { tenant, len: number(len) as usize, macs: number(macs) };
    with_worker(&case, |worker| {
        for _ in 0..number(breaths) {
            worker.breathe(TICK);
        }
    });
}
