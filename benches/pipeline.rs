//! The whole pipeline on frames in memory: receive, classify, decap, bridge, encap, transmit.

mod gateway;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gateway::{Case, TENANTS, TICK, with_worker};
use transload::dataplane::Burst;

fn pipeline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(Burst::LEN as u64));
    for tenant in TENANTS {
        for len in [64, 1400] {
            for macs in [1, 1_000, 100_000, 1_000_000] {
                let id = BenchmarkId::new(format!("{tenant}/{len}B"), format!("{macs} MACs"));
                group.bench_function(id, |bencher| {
                    with_worker(&Case { tenant, len, macs }, |worker| bencher.iter(|| worker.breathe(TICK)));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
