//! chutes-v1: no byte goes to an instance before its key is attested.

mod common;

use std::sync::atomic::Ordering;

use common::{
    ANSWER, CHUTE, MODEL, Plan, TestGate, answering, ask, ask_streamed, code, content, get,
    instance_id, system, system_with,
};
use sealwire_proxy::chutes::GateError;

#[tokio::test]
async fn evidence_comes_before_the_first_request_and_once() {
    let system = system(Plan::new(answering)).await;
    for _ in 0..3 {
        assert_eq!(ask(&system.url).await.0, 200);
    }
    let log = system.relay.log();
    assert_eq!(
        log.order,
        ["discovery", "evidence", "invoke", "invoke", "invoke"]
    );
}

#[tokio::test]
async fn an_instance_that_fails_is_left_out_and_shown() {
    let system = system_with(Plan::new(answering), TestGate::refusing(&[0]), |_| {}).await;
    for _ in 0..4 {
        let (status, answer) = ask(&system.url).await;
        assert_eq!((status, content(&answer)), (200, ANSWER));
    }
    {
        let log = system.relay.log();
        assert!(log.invocations.iter().all(|seen| seen.instance == 1));
    }
    let (status, document) = get(&system.url, "/attestation").await;
    assert_eq!(status, 200);
    assert_eq!(document["profile"], "chutes-v1");
    assert_eq!(document["policy"]["name"], "test");
    let model = &document["models"][0];
    assert_eq!(
        (&model["model"], &model["chute_id"]),
        (&MODEL.into(), &CHUTE.into())
    );
    let [bad, good] = model["instances"].as_array().expect("a list").as_slice() else {
        panic!("two instances: {document}");
    };
    assert_eq!(bad["instance_id"], instance_id(0));
    assert_eq!(bad["accepted"], false);
    assert_eq!(bad["checks"][0]["outcome"], "failed");
    assert_eq!(bad["checks"][0]["reason"], "report-data-key");
    assert_eq!(good["instance_id"], instance_id(1));
    assert_eq!(good["accepted"], true);
    assert!(good["expires"].as_u64() > good["verified_at"].as_u64());
    // Nothing in it lets anybody in.
    let text = document.to_string();
    assert!(
        !text.contains("nonce-") && !text.contains(common::KEY),
        "{text}"
    );
}

#[tokio::test]
async fn an_instance_that_fails_does_not_keep_nonces_from_being_fetched() {
    let system = system_with(Plan::new(answering), TestGate::refusing(&[0]), |_| {}).await;
    // More than one discovery brings for the other.
    for _ in 0..25 {
        assert_eq!(ask(&system.url).await.0, 200);
    }
    // Without a chance to ask for more in the background.
    system.relay.nonces_each.store(1, Ordering::SeqCst);
    for _ in 0..15 {
        assert_eq!(ask(&system.url).await.0, 200);
    }
    assert_eq!(system.gate.judged.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn if_no_instance_passes_nothing_is_sent() {
    let system = system_with(Plan::new(answering), TestGate::refusing(&[0, 1]), |_| {}).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (403, "not_attested"));
    let text = answer.to_string();
    for named in [
        "report data (report-data-key)",
        &instance_id(0),
        &instance_id(1),
        "GET /attestation",
    ] {
        assert!(text.contains(named), "{text}");
    }
    let streamed = ask_streamed(&system.url).await;
    assert_eq!((streamed.status, streamed.code()), (403, "not_attested"));
    assert!(system.relay.log().invocations.is_empty());
    assert_eq!(system.gate.judged.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn if_there_is_no_evidence_nothing_is_sent() {
    let gate = TestGate::failing(GateError::Refused {
        source_name: "the relay",
        status: 503,
        detail: "no evidence today".to_owned(),
    });
    let system = system_with(Plan::new(answering), gate, |_| {}).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "no_evidence"));
    assert!(answer.to_string().contains("no evidence today"), "{answer}");
    assert!(system.relay.log().invocations.is_empty());
}
