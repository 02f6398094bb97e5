//! What a sealer and an opener hold, the heap counted, as JSON. A program of its own, so that the counting slows nothing that is timed.
//!
//! Counted is what Rust allocates: AWS-LC's and OpenSSL's own memory is not in it.

use std::alloc::System;

use sealwire::CryptoProvider;
use sealwire_peers::{opener, sealer};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn count(provider: &CryptoProvider) -> Value {
    let before = Region::new(ALLOCATOR);
    let halves = (sealer(provider), opener(provider));
    let change = before.change();
    let heap = change.bytes_allocated - change.bytes_deallocated;
    json!({"bytes": heap + size_of_val(&halves), "heap": heap})
}

fn main() {
    #[cfg_attr(not(feature = "openssl"), expect(unused_mut))]
    let mut counted = json!({
        "default": count(&sealwire::rustcrypto::provider()),
        "aws-lc-rs": count(&sealwire_aws_lc_rs::provider()),
    });
    #[cfg(feature = "openssl")]
    {
        counted["aws-lc-rs + openssl"] = count(&sealwire_peers::combined());
    }
    println!("{counted}");
}
