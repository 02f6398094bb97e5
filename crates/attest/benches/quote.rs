//! What one TDX quote costs. The goal is 15 ms, once for an identity and not for a request.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sealwire_attest::testing::{CollateralOptions, QuoteOptions, TdxRig, native_evidence, policy};
use sealwire_attest::{Binding, Freshness, Verifier};

const NOW: u64 = 1_800_000_000;

fn quote(criterion: &mut Criterion) {
    let rig = TdxRig::new(NOW);
    let evidence = native_evidence(
        &rig,
        &[7; 32],
        Some(&[9; 32]),
        "model",
        &QuoteOptions::default(),
    );
    let collateral = rig.collateral(&CollateralOptions::default());
    let binding = Binding::Native {
        identity: &[7; 32],
        nonce: Some(&[9; 32]),
        statement: evidence.statement.as_ref().unwrap(),
    };
    for (name, gpu) in [
        ("tdx quote", "ignore"),
        ("tdx quote and one gpu", "required"),
    ] {
        let verifier =
            Verifier::new(policy(&format!("any_measurement = true\ngpu = \"{gpu}\"")).unwrap());
        let verify = || {
            let freshness = Freshness::Challenged { sent: NOW };
            verifier.verify(
                black_box(&evidence),
                &binding,
                Some(&collateral),
                freshness,
                NOW,
            )
        };
        assert!(verify().verdict().is_ok());
        criterion.bench_function(name, |bencher| bencher.iter(verify));
    }
}

criterion_group!(benches, quote);
criterion_main!(benches);
