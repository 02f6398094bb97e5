//! Sizes on the wire, memory of a stream, and allocations on the steady path.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use std::alloc::System;

use common::*;
use sealwire::client::ClientConfig;
use sealwire::{Event, Half, Limits, Padding, Suite, testing};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test, so that no other thread allocates meanwhile.
#[test]
fn sizes_memory_and_allocations_are_as_promised() {
    let provider = sealwire::rustcrypto::provider();
    let mut ring = ring(&provider);
    let one = handshake(
        &provider,
        &mut ring,
        Suite::MlKem768,
        &ClientConfig::default(),
    );
    assert_eq!((one.h1.len(), one.h2.len()), (2_326, 1_122));
    let two = handshake(&provider, &mut ring, Suite::XWing, &ClientConfig::default());
    assert_eq!((two.h1.len(), two.h2.len()), (2_390, 1_154));

    let limits = Limits::default();
    let before = Region::new(ALLOCATOR);
    let mut sealer = testing::sealer(&provider, &limits, Half::S2c, [1; 32], true).unwrap();
    let mut opener = testing::opener(&provider, &limits, Half::S2c, [1; 32], None).unwrap();
    let stats = before.change();
    let heap = stats.bytes_allocated - stats.bytes_deallocated;
    let state = heap + size_of_val(&sealer) + size_of_val(&opener);
    println!("a sealer and an opener hold {state} bytes ({heap} on the heap)");
    assert!(state <= 1_024, "{state}");

    sealer.set_padding(Padding::None);
    for size in [0, 1, 64, 200, 16_384] {
        assert_eq!(sealer.sealed_len(size).unwrap(), size + 24);
    }
    let content = vec![7; 16_384];
    let mut frame = vec![0; 16_384 + 24];
    let mut run = |size: usize| {
        let len = sealer.seal(&content[..size], &mut frame).unwrap();
        let opened = opener.open(&mut frame[..len]).unwrap();
        assert!(matches!(opened.event, Event::Data(data) if data.len() == size));
        frame[4..4 + size].copy_from_slice(&content[..size]);
        let len = sealer.seal_in_place(&mut frame, size).unwrap();
        assert!(matches!(
            opener.open(&mut frame[..len]).unwrap().event,
            Event::Data(_)
        ));
    };
    run(200);
    let steady = Region::new(ALLOCATOR);
    for _ in 0..100 {
        run(200);
        run(16_384);
    }
    let stats = steady.change();
    assert_eq!((stats.allocations, stats.reallocations), (0, 0));
}
