//! Evidence captured from a deployed network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use common::{Capture, captures};
use sealwire_attest::{
    Binding, Evidence, Freshness, Hints, Outcome, Policy, Reason, Report, Verifier,
};

fn policy() -> Policy {
    Policy::from_toml("any_measurement = true").unwrap()
}

fn verify(capture: &Capture, id: &str, evidence: &Evidence) -> Report {
    let verifier = Verifier::new(policy()).with_jwks(capture.jwks.clone());
    let key = capture.keys.get(id).map(String::as_str);
    let binding = Binding::ChutesV1 {
        nonce: &capture.nonce,
        e2e_pubkey_b64: key,
        hints: Hints::default(),
    };
    let freshness = Freshness::Challenged {
        sent: capture.now - 30,
    };
    verifier.verify(
        evidence,
        &binding,
        Some(&capture.collateral),
        freshness,
        capture.now,
    )
}

const LISTED: [u8; 6] = [0x90, 0xc0, 0x6f, 0, 0, 0];

#[test]
fn every_instance_gets_the_verdict_it_deserves() {
    let Some(captures) = captures() else { return };
    let (mut good, mut other, mut unlisted) = (0, 0, 0);
    for capture in &captures {
        for (id, evidence) in &capture.evidence {
            let report = verify(capture, id, evidence);
            let verdict = report.verdict();
            let same_platform =
                sealwire_attest::collateral::quote_fmspc(&evidence.quote).unwrap() == LISTED;
            let listed = capture.keys.contains_key(id);
            let mut expected = Vec::new();
            if !same_platform {
                other += 1;
                expected.push(Reason::CollateralOtherPlatform);
                let check = report
                    .checks
                    .iter()
                    .find(|check| check.name == "collateral platform")
                    .unwrap();
                assert!(
                    check.got.contains("collateral is for another platform"),
                    "{}",
                    check.got
                );
            }
            if !listed {
                unlisted += 1;
                expected.push(Reason::NoKeyToBind);
            }
            match verdict {
                Ok(verified) => {
                    assert!(expected.is_empty(), "{id}: {expected:?}");
                    assert_eq!(verified.chutes_key().unwrap().as_base64(), capture.keys[id]);
                }
                Err(rejected) => {
                    assert_eq!(rejected.reasons, expected, "{id}: {:#?}", report.checks)
                }
            }
            if same_platform {
                good += 1;
                assert_eq!(report.tcb.as_ref().unwrap().status, "UpToDate");
                for name in [
                    "quote signature",
                    "quote key",
                    "quote certificates",
                    "collateral signature",
                    "tcb",
                    "debug",
                ] {
                    assert_eq!(report.outcome(name), Some(Outcome::Passed), "{id}: {name}");
                }
            }
        }
    }
    assert_eq!((good, other, unlisted), (9, 4, 2));
}

#[test]
fn all_gpu_reports_verify() {
    let Some(captures) = captures() else { return };
    let mut reports = 0;
    for capture in &captures {
        for (id, evidence) in &capture.evidence {
            let report = verify(capture, id, evidence);
            for index in 0..evidence.gpus.len() {
                for what in ["chain", "signature", "nonce"] {
                    let name = format!("gpu {index} {what}");
                    assert_eq!(report.outcome(&name), Some(Outcome::Passed), "{id} {name}");
                }
                assert!(!report.gpus[index].measurements.is_empty());
                reports += 1;
            }
        }
    }
    assert_eq!(reports, 104);
}

#[test]
fn the_tokens_are_genuine_and_say_no() {
    let Some(captures) = captures() else { return };
    assert_eq!(captures.len(), 3);
    for capture in &captures {
        let (id, evidence) = &capture.evidence[0];
        let evidence = Evidence {
            gpu_tokens: Some(capture.tokens.clone()),
            ..evidence.clone()
        };
        let report = verify(capture, id, &evidence);
        assert_eq!(report.outcome("token signature"), Some(Outcome::Passed));
        assert_eq!(report.outcome("token binding"), Some(Outcome::Passed));
        assert_eq!(
            report.outcome("token result"),
            Some(Outcome::Failed(Reason::TokenResult))
        );
        let result = report
            .checks
            .iter()
            .find(|check| check.name == "token result")
            .unwrap();
        assert_eq!(result.got, "false: NONCE_NOT_MATCHING");
        for (gpu, _) in &capture.tokens.gpus {
            assert_eq!(
                report.outcome(&format!("token {gpu} signature")),
                Some(Outcome::Passed)
            );
            assert_eq!(
                report.outcome(&format!("token {gpu} result")),
                Some(Outcome::Failed(Reason::TokenResult))
            );
        }
        let rejected = report.verdict().unwrap_err();
        assert!(rejected.reasons.contains(&Reason::TokenResult));
    }
}

/// A copy with one bit changed is refused for what was changed.
#[test]
fn tampered_copies() {
    let Some(captures) = captures() else { return };
    let capture = &captures[0];
    let (id, good) = capture
        .evidence
        .iter()
        .find(|(id, evidence)| verify(capture, id, evidence).verdict().is_ok())
        .unwrap();
    let reasons = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        verify(capture, id, &evidence)
            .verdict()
            .unwrap_err()
            .reasons
    };
    let flip = |at: usize| reasons(&|evidence| evidence.quote[at] ^= 1);
    // MRTD; nothing but the signature protects it here, because this policy takes any measurement.
    assert_eq!(flip(48 + 140), [Reason::QuoteSignature]);
    assert_eq!(
        flip(48 + 520),
        [Reason::QuoteSignature, Reason::ReportData, Reason::GpuNonce]
    );
    assert_eq!(
        flip(48 + 552),
        [Reason::QuoteSignature, Reason::CertificateBinding]
    );
    assert_eq!(flip(632 + 4 + 10), [Reason::QuoteSignature]);
    assert_eq!(flip(632 + 4 + 128 + 6 + 70), [Reason::QuoteKey]);
    let end = b"\n-----END CERTIFICATE-----";
    let at = good
        .quote
        .windows(end.len())
        .position(|window| window == end)
        .unwrap()
        - 8;
    let other = if good.quote[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(
        reasons(&|evidence| evidence.quote[at] = other),
        [Reason::QuoteChain]
    );
    // Debug.
    assert_eq!(
        flip(120 + 48),
        [Reason::QuoteSignature, Reason::DebugEnabled]
    );

    let length = good.gpus[3].evidence.len();
    assert_eq!(
        reasons(&|evidence| evidence.gpus[3].evidence[length - 1] ^= 1),
        [Reason::GpuSignature]
    );
    assert_eq!(
        reasons(&|evidence| evidence.gpus[3].evidence[10] ^= 1),
        [Reason::GpuSignature, Reason::GpuNonce]
    );
    let certificate = &good.gpus[3].certificate;
    let at = certificate
        .windows(end.len())
        .position(|window| window == end)
        .unwrap()
        - 8;
    let other = if certificate[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(
        reasons(&|evidence| evidence.gpus[3].certificate[at] = other),
        [Reason::GpuChain]
    );
    assert_eq!(
        reasons(&|evidence| evidence.gpus[3] = evidence.gpus[2].clone()),
        [Reason::GpuRepeated]
    );
    assert_eq!(
        reasons(&|evidence| evidence.gpus.clear()),
        [Reason::GpuMissing]
    );
    assert_eq!(
        reasons(&|evidence| evidence.certificates.clear()),
        [Reason::CertificateMissing]
    );
}

#[test]
fn collateral_of_another_time_or_changed() {
    let Some(captures) = captures() else { return };
    let capture = &captures[0];
    let (id, good) = capture
        .evidence
        .iter()
        .find(|(id, evidence)| verify(capture, id, evidence).verdict().is_ok())
        .unwrap();
    let binding = Binding::ChutesV1 {
        nonce: &capture.nonce,
        e2e_pubkey_b64: capture.keys.get(id).map(String::as_str),
        hints: Hints::default(),
    };
    let reasons = |collateral: &sealwire_attest::Collateral, now: u64| {
        let freshness = Freshness::Challenged { sent: now };
        let report =
            Verifier::new(policy()).verify(good, &binding, Some(collateral), freshness, now);
        report.verdict().unwrap_err().reasons
    };
    let until = capture.collateral.valid_until();
    assert_eq!(
        reasons(&capture.collateral, until + 1),
        [Reason::CollateralExpired]
    );
    assert_eq!(
        reasons(&capture.collateral, capture.collateral.valid_from() - 1),
        [Reason::CollateralNotYetValid]
    );
    let json: serde_json::Value =
        serde_json::from_slice(&capture.collateral.to_json().unwrap()).unwrap();
    for member in ["tcb_info", "qe_identity"] {
        let mut json = json.clone();
        let text = json[member].as_str().unwrap().replace(
            "\"tcbEvaluationDataNumber\":19",
            "\"tcbEvaluationDataNumber\":20",
        );
        json[member] = text.into();
        let changed = sealwire_attest::Collateral::from_json(json.to_string().as_bytes()).unwrap();
        assert_eq!(
            reasons(&changed, capture.now),
            [Reason::CollateralSignature],
            "{member}"
        );
    }
}

#[test]
fn wrong_nonce_and_wrong_key() {
    let Some(captures) = captures() else { return };
    let capture = &captures[0];
    let (id, good) = &capture.evidence[0];
    let other = capture
        .keys
        .iter()
        .find(|(other, _)| *other != id)
        .unwrap()
        .1;
    let reasons = |nonce: &[u8; 32], key: &str, hints: Hints<'_>| {
        let binding = Binding::ChutesV1 {
            nonce,
            e2e_pubkey_b64: Some(key),
            hints,
        };
        let freshness = Freshness::Challenged { sent: capture.now };
        Verifier::new(policy())
            .verify(
                good,
                &binding,
                Some(&capture.collateral),
                freshness,
                capture.now,
            )
            .verdict()
            .unwrap_err()
            .reasons
    };
    let own = capture.keys[id].as_str();
    assert_eq!(
        reasons(&[0; 32], own, Hints::default()),
        [Reason::ReportData]
    );
    assert_eq!(
        reasons(&capture.nonce, other, Hints::default()),
        [Reason::ReportData]
    );
    let keys = Hints {
        other_keys: &[own],
        ..Hints::default()
    };
    assert_eq!(
        reasons(&capture.nonce, other, keys),
        [Reason::ReportDataKey]
    );
    let nonces = Hints {
        other_nonces: &[capture.nonce],
        ..Hints::default()
    };
    assert_eq!(reasons(&[0; 32], own, nonces), [Reason::ReportDataNonce]);
}

#[test]
fn a_token_that_was_changed() {
    let Some(captures) = captures() else { return };
    let capture = &captures[0];
    let (id, good) = &capture.evidence[0];
    let mut tokens = capture.tokens.clone();
    let at = tokens.overall.len() - 5;
    let other = if &tokens.overall[at..=at] == "A" {
        "B"
    } else {
        "A"
    };
    tokens.overall.replace_range(at..=at, other);
    let evidence = Evidence {
        gpu_tokens: Some(tokens),
        ..good.clone()
    };
    let report = verify(capture, id, &evidence);
    assert_eq!(
        report.outcome("token signature"),
        Some(Outcome::Failed(Reason::TokenSignature))
    );
}

#[test]
fn what_to_fetch_is_what_was_fetched() {
    let Some(captures) = captures() else { return };
    for capture in &captures {
        let (_, evidence) = capture
            .evidence
            .iter()
            .find(|(_, evidence)| {
                sealwire_attest::collateral::quote_fmspc(&evidence.quote).unwrap() == LISTED
            })
            .unwrap();
        let requests = sealwire_attest::collateral::requests(
            &evidence.quote,
            sealwire_attest::collateral::INTEL_PCS,
        )
        .unwrap();
        let urls: Vec<&str> = requests
            .iter()
            .map(|request| request.url.as_str())
            .collect();
        assert_eq!(
            urls,
            capture.urls.iter().map(String::as_str).collect::<Vec<_>>()
        );
    }
}
