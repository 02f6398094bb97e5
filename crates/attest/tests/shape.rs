//! Documents of evidence: their shape and their bounds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use sealwire_attest::evidence::{ChutesEvidence, MAX_DOCUMENT, MAX_GPUS, MAX_QUOTE};
use sealwire_attest::testing::{QuoteOptions, TdxRig, native_evidence};
use sealwire_attest::{Evidence, EvidenceError};
use serde_json::{Value, json};

fn good() -> Value {
    let evidence = native_evidence(
        &TdxRig::new(1_800_000_000),
        &[7; 32],
        Some(&[9; 32]),
        "model",
        &QuoteOptions::default(),
    );
    serde_json::from_slice(&evidence.to_json().unwrap()).unwrap()
}

fn parse(value: &Value) -> Result<Evidence, EvidenceError> {
    Evidence::from_json(value.to_string().as_bytes())
}

fn changed(member: &str, to: Value) -> EvidenceError {
    let mut value = good();
    value[member] = to;
    parse(&value).unwrap_err()
}

#[test]
fn unknown_members_are_refused() {
    parse(&good()).unwrap();
    assert!(matches!(changed("more", json!(1)), EvidenceError::Json(_)));
    assert!(matches!(
        changed("format", json!("sealwire/2 evidence")),
        EvidenceError::Format(_)
    ));
    assert!(matches!(
        changed("tee", json!("sgx")),
        EvidenceError::Json(_)
    ));
    for required in ["format", "tee", "identity", "nonce", "statement"] {
        let mut value = good();
        value.as_object_mut().unwrap().remove(required);
        assert!(
            matches!(parse(&value), Err(EvidenceError::Json(_))),
            "{required}"
        );
    }
}

#[test]
fn members_hold_what_they_should() {
    assert!(matches!(
        changed("identity", json!("AAAA")),
        EvidenceError::Member("identity", _)
    ));
    assert!(matches!(
        changed("nonce", json!("00")),
        EvidenceError::Member("nonce", _)
    ));
    assert!(matches!(
        changed("quote", json!("!")),
        EvidenceError::Member("quote", _)
    ));
    let mut stapled = good();
    stapled["nonce"] = Value::Null;
    assert_eq!(parse(&stapled).unwrap().claimed_nonce, None);
}

#[test]
fn everything_is_bounded() {
    let long = "A".repeat((MAX_QUOTE + 64) / 3 * 4 / 4 * 4);
    assert!(matches!(
        changed("quote", json!(long)),
        EvidenceError::TooLong("quote", _)
    ));
    let gpu = good()["gpus"][0].clone();
    assert!(matches!(
        changed("gpus", json!(vec![gpu; MAX_GPUS + 1])),
        EvidenceError::TooMany("GPUs", _)
    ));
    assert!(matches!(
        changed("certificates", json!(vec!["AAAA"; 9])),
        EvidenceError::TooMany("certificates", _)
    ));
    let document = " ".repeat(MAX_DOCUMENT + 1);
    assert!(matches!(
        Evidence::from_json(document.as_bytes()),
        Err(EvidenceError::TooLong(..))
    ));
    assert!(matches!(
        ChutesEvidence::from_json(document.as_bytes()),
        Err(EvidenceError::TooLong(..))
    ));
}

#[test]
fn one_bad_instance_does_not_hide_the_others() {
    let list = json!({ "evidence": [
        { "instance_id": "a", "quote": "AAAA", "more": 1 },
        { "instance_id": "b", "quote": 3 },
        { "instance_id": "c" },
    ], "failed_instance_ids": ["d"], "more": 1 });
    let parsed = ChutesEvidence::from_json(list.to_string().as_bytes()).unwrap();
    let read: Vec<(&str, bool)> = parsed
        .instances
        .iter()
        .map(|(id, evidence)| (id.as_str(), evidence.is_ok()))
        .collect();
    assert_eq!(read, [("a", true), ("b", false), ("c", false)]);
    assert_eq!(parsed.failed, ["d"]);
}
