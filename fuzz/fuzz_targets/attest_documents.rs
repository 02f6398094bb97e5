//! The documents of evidence, and policies: what is read is within its bounds and is written to the same again; a policy takes no pin that it does
//! not list.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sealwire_attest::evidence::{ChutesEvidence, MAX_INSTANCES};
use sealwire_attest::{
    Binding, Collateral, Evidence, Freshness, GpuTokens, Jwks, Policy, Statement, TeeKind, Verifier,
};
use sealwire_fuzz::attest::{FIXTURE, IDENTITY, NOW, assert_bounded, assert_tokens_bounded};
use sealwire_fuzz::mutate::{Mutation, mutate};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Document {
    Native,
    Chutes,
    Statement,
    Tokens,
    Jwks,
    Collateral,
    Policy,
}

#[derive(Arbitrary, Debug)]
enum Input {
    Bytes {
        document: Document,
        bytes: Vec<u8>,
    },
    /// A good document with changes.
    Changed {
        document: Document,
        changes: Vec<Mutation>,
    },
}

const TOKENS: &str = r#"[["JWT","e30.e30.AAAA"],{"GPU-0":"e30.e30.AAAA","GPU-1":"e30.e30.AAAA"}]"#;
const POLICY: &str = r#"tee = ["tdx", "sev-snp"]
gpu = "if-present"
gpu_ways = ["spdm", "token"]
max_evidence_age = 600
allow_stapled = true
identity_pins = ["BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"]
[tdx]
tcb = ["UpToDate", "SWHardeningNeeded"]
[snp.min_tcb]
bootloader = 1
microcode = 2
"#;

/// The others of the fixture are too long to be looked into with every input.
static NATIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut evidence = FIXTURE.evidence.clone();
    evidence.quote.truncate(100);
    evidence.gpus[0].certificate.truncate(100);
    evidence.certificates = vec![vec![1; 10]; 2];
    evidence.collateral = Some(br#"{"a":[1,"b",null]}"#.to_vec());
    evidence.to_json().unwrap()
});

fn good(document: Document) -> Vec<u8> {
    match document {
        Document::Native => NATIVE.clone(),
        Document::Chutes => br#"{"evidence":[{"quote":"AAAA","gpu_evidence":[{"certificate":"AAAA","evidence":"AAAA","arch":"HOPPER"}],"instance_id":"a","certificate":"AAAA"},{"quote":"AAAA","instance_id":"b"}],"failed_instance_ids":["c"]}"#.to_vec(),
        Document::Statement => FIXTURE.statement.clone(),
        Document::Tokens => TOKENS.into(),
        Document::Jwks => {
            let (x, y) = ("A".repeat(64), "B".repeat(64));
            format!(r#"{{"keys":[{{"kty":"EC","crv":"P-384","kid":"k","x":"{x}","y":"{y}"}}]}}"#).into()
        }
        Document::Collateral => FIXTURE.collateral_json.clone(),
        Document::Policy => {
            let hex = "a1".repeat(48);
            format!("{POLICY}[[measurements]]\nname = \"a\"\nmrtd = \"{hex}\"\nrtmr2 = \"{hex}\"\n").into()
        }
    }
}

fn judge(document: Document, bytes: &[u8]) {
    match document {
        Document::Native => {
            if let Ok(evidence) = Evidence::from_json(bytes) {
                assert_bounded(&evidence);
                // Numbers of the stapled collateral may come back in another form; it is judged by itself.
                let plain = |evidence: Evidence| Evidence {
                    collateral: None,
                    ..evidence
                };
                let again = evidence.to_json().expect("it was read");
                let again = Evidence::from_json(&again).expect("it was written");
                assert_eq!(plain(again), plain(evidence));
            }
        }
        Document::Chutes => {
            if let Ok(list) = ChutesEvidence::from_json(bytes) {
                assert!(list.instances.len() <= MAX_INSTANCES);
                assert!(list.failed.len() <= MAX_INSTANCES);
                for (_, evidence) in &list.instances {
                    if let Ok(evidence) = evidence {
                        assert_bounded(evidence);
                        assert_eq!(evidence.tee, TeeKind::Tdx);
                    }
                }
            }
        }
        Document::Statement => {
            if let Ok(statement) = Statement::from_json(bytes) {
                let _ = statement.upstream_is_loopback();
                if let Ok(again) = statement.to_json() {
                    let again = Statement::from_json(&again).expect("it was written");
                    assert_eq!(again, statement);
                }
            }
        }
        Document::Tokens => {
            if let Ok(tokens) = GpuTokens::from_json(bytes) {
                assert_tokens_bounded(&tokens);
            }
        }
        Document::Jwks => {
            let _ = Jwks::from_json(bytes);
        }
        Document::Collateral => {
            if let Ok(collateral) = Collateral::from_json(bytes) {
                let written = collateral.to_json().expect("it was read");
                let again = Collateral::from_json(&written).expect("it was written");
                assert_eq!(again.to_json().expect("it was read"), written);
                assert_eq!(
                    (again.fmspc(), again.valid_from(), again.valid_until()),
                    (
                        collateral.fmspc(),
                        collateral.valid_from(),
                        collateral.valid_until()
                    )
                );
            }
        }
        Document::Policy => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return;
            };
            let none = |_: &str| Err("there is no such file".to_owned());
            if let Ok(policy) = Policy::from_toml_with(text, none) {
                check_pin(policy);
            }
        }
    }
}

fn check_pin(policy: Policy) {
    let listed = policy.pins().contains(&IDENTITY);
    let mut evidence = FIXTURE.evidence.clone();
    evidence.tee = TeeKind::None;
    let pinned = Binding::Pinned {
        identity: &IDENTITY,
    };
    let report = Verifier::new(policy).verify(&evidence, &pinned, None, Freshness::Stapled, NOW);
    assert!(listed || report.verdict().is_err());
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes { document, bytes } => judge(document, &bytes),
        Input::Changed { document, changes } => {
            let mut bytes = good(document);
            mutate(&mut bytes, &changes);
            judge(document, &bytes);
        }
    }
});
