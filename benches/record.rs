//! Sealing and opening in place, next to the same AEAD crate on the same buffers, and a table of the ratios at the end.
#![allow(missing_docs, reason = "criterion's macros")]

mod common;

use common::{
    OpenDirect, OpenWire, SHAPES, SealDirect, SealWire, compare_open, compare_seal, only_tests,
    rounds, wires,
};
use criterion::{BatchSize, Criterion, Throughput};

fn seal(c: &mut Criterion) {
    for shape in SHAPES {
        let mut group = c.benchmark_group(format!("seal {}", shape.name));
        group.throughput(Throughput::Bytes(shape.total as u64));
        let mut sealwire = SealWire::new(shape);
        group.bench_function("sealwire", |b| b.iter(|| sealwire.run()));
        let mut direct = SealDirect::new(shape);
        group.bench_function("direct", |b| b.iter(|| direct.run()));
        group.finish();
    }
}

fn open(c: &mut Criterion) {
    for shape in SHAPES {
        let repeats = shape.repeats();
        let (wire, direct) = wires(shape, repeats);
        let mut group = c.benchmark_group(format!("open {repeats} x {}", shape.name));
        group.throughput(Throughput::Bytes((shape.total * repeats) as u64));
        group.bench_function("sealwire", |b| {
            b.iter_batched_ref(
                || OpenWire::new(&wire),
                OpenWire::run,
                BatchSize::PerIteration,
            );
        });
        group.bench_function("direct", |b| {
            b.iter_batched_ref(
                || OpenDirect::new(&direct, shape, repeats),
                OpenDirect::run,
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

fn table() {
    println!("\nSpeed of sealwire by speed of the AEAD alone (interleaved runs, medians)");
    println!("{:<20} {:>6} {:>6}", "", "seal", "open");
    for shape in SHAPES {
        let rounds = (rounds() / (shape.total / 65_536).max(1)).max(1);
        println!(
            "{:<20} {:>6.3} {:>6.3}",
            shape.name,
            compare_seal(shape, rounds).ratio,
            compare_open(shape, rounds).ratio
        );
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    seal(&mut criterion);
    open(&mut criterion);
    criterion.final_summary();
    if !only_tests() {
        table();
    }
}
