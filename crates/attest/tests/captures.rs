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
