//! No parser and no check panics, whatever comes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire_attest::evidence::ChutesEvidence;
use sealwire_attest::testing::{
    CollateralOptions, QuoteOptions, TdxRig, TokenOptions, TokenRig, native_evidence, policy,
};
use sealwire_attest::{
    Binding, Collateral, Evidence, Freshness, GpuTokens, Hints, Jwks, Statement, TeeKind, Verifier,
    collateral, native,
};

const NOW: u64 = 1_800_000_000;
const IDENTITY: [u8; 32] = [7; 32];
const NONCE: [u8; 32] = [9; 32];

/// Bytes to overwrite, and how much to cut off.
type Changes = (
    Vec<(proptest::sample::Index, u8)>,
    Option<proptest::sample::Index>,
);

fn changes() -> impl Strategy<Value = Changes> {
    (
        vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        proptest::option::of(any::<proptest::sample::Index>()),
    )
}

fn apply(bytes: &mut Vec<u8>, (overwrite, cut): &Changes) {
    if bytes.is_empty() {
        return;
    }
    for (at, value) in overwrite {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
}

fn verify(evidence: &Evidence, collateral: Option<&Collateral>, statement: &[u8]) -> bool {
    let verifier =
        Verifier::new(policy("any_measurement = true").unwrap()).with_jwks(TokenRig::new().jwks());
    let native = Binding::Native {
        identity: &IDENTITY,
        nonce: Some(&NONCE),
        statement,
    };
    let chutes = Binding::ChutesV1 {
        nonce: &NONCE,
        e2e_pubkey_b64: Some("key"),
        hints: Hints::default(),
    };
    let freshness = Freshness::Challenged { sent: NOW };
    let _ = verifier
        .verify(evidence, &chutes, collateral, freshness, NOW)
        .verdict();
    verifier
        .verify(evidence, &native, collateral, freshness, NOW)
        .verdict()
        .is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn changed_evidence_is_refused_or_the_same(quote in changes(), gpu in changes(), certificate in changes(), token in changes(), statement in changes()) {
        let rig = TdxRig::new(NOW);
        let good = native_evidence(&rig, &IDENTITY, Some(&NONCE), "model", &QuoteOptions::default());
        let mut evidence = good.clone();
        apply(&mut evidence.quote, &quote);
        apply(&mut evidence.gpus[0].evidence, &gpu);
        apply(&mut evidence.gpus[0].certificate, &certificate);
        let mut text = evidence.statement.clone().unwrap();
        apply(&mut text, &statement);
        let mut tokens = TokenRig::new().tokens(&native::gpu_nonce(&IDENTITY, Some(&NONCE)), &TokenOptions::good(NOW));
        let mut overall = tokens.overall.clone().into_bytes();
        apply(&mut overall, &token);
        tokens.overall = String::from_utf8_lossy(&overall).into_owned();
        evidence.gpu_tokens = Some(tokens);
        let collateral = rig.collateral(&CollateralOptions::default());
        if verify(&evidence, Some(&collateral), &text) {
            // What the quote signs cannot have changed; the rest of it is checked against the root.
            prop_assert_eq!(&evidence.quote[..632], &good.quote[..632]);
            prop_assert_eq!(&evidence.gpus[0].evidence, &good.gpus[0].evidence);
            prop_assert_eq!(&text, good.statement.as_ref().unwrap());
        }
    }

    #[test]
    fn changed_collateral(change in changes()) {
        let rig = TdxRig::new(NOW);
        let evidence = native_evidence(&rig, &IDENTITY, Some(&NONCE), "model", &QuoteOptions::default());
        let mut json = rig.collateral_json(&CollateralOptions::default());
        apply(&mut json, &change);
        if let Ok(collateral) = Collateral::from_json(&json) {
            verify(&evidence, Some(&collateral), evidence.statement.as_ref().unwrap());
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = Evidence::from_json(&bytes);
        let _ = ChutesEvidence::from_json(&bytes);
        let _ = GpuTokens::from_json(&bytes);
        let _ = Jwks::from_json(&bytes);
        let _ = Statement::from_json(&bytes);
        let _ = Collateral::from_json(&bytes);
        let _ = collateral::requests(&bytes, collateral::INTEL_PCS);
        for tee in [TeeKind::Tdx, TeeKind::SevSnp] {
            let mut report = bytes.clone();
            report.resize(1184, 0);
            for quote in [bytes.clone(), report] {
                let evidence = Evidence {
                    tee,
                    quote,
                    certificates: vec![bytes.clone()],
                    gpus: Vec::new(),
                    gpu_tokens: None,
                    collateral: Some(bytes.clone()),
                    statement: None,
                    claimed_identity: None,
                    claimed_nonce: None,
                };
                prop_assert!(!verify(&evidence, None, &bytes));
            }
        }
    }
}
