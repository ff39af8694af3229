//! What control's work costs as the gateway grows: `cargo bench --bench rib`.

mod newcomers;

use criterion::{Criterion, criterion_group, criterion_main};
use newcomers::Control;

fn newcomer(criterion: &mut Criterion) {
    for known in [100, 10_000] {
        let mut control = Control::with_learned(known);
        criterion.bench_function(&format!("a newcomer beside {known} learned peers"), |bencher| {
            bencher.iter(|| control.learn_one_more());
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = newcomer
}
criterion_main!(benches);
