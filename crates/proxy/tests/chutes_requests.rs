//! chutes-v1: what leaves the proxy, in which form, and for whom.

mod common;

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use common::{
    ANSWER, CHUTE, KEY, MODEL, OPEN_CHUTE, OPEN_MODEL, Plan, TestGate, answering, ask,
    ask_streamed, code, content, get, instance_id, post, post_with, question, read_stream, send,
    system, system_with, whole,
};
use http::Method;
use sealwire_http::net::full;
use serde_json::{Value, json};

#[tokio::test]
async fn whole_and_streamed_answers_arrive_from_both_kinds_of_instance() {
    for deployed in [false, true] {
        let mut plan = Plan::new(answering);
        plan.deployed = deployed;
        let system = system(plan).await;
        let (status, answer) = ask(&system.url).await;
        assert_eq!((status, content(&answer)), (200, ANSWER));
        let streamed = ask_streamed(&system.url).await;
        assert_eq!((streamed.status, &*streamed.text), (200, ANSWER));
        assert!(streamed.done && streamed.ended && streamed.error.is_none());
    }
}

#[tokio::test]
async fn the_relay_sees_what_it_must_and_nothing_of_the_application() {
    let system = system(Plan::new(answering)).await;
    let headers = [
        ("user-agent", "secret-app/1"),
        ("x-custom", "private"),
        ("authorization", "Bearer app-key"),
    ];
    let path = "/v1/chat/completions?trace=private";
    let response = post_with(&system.url, path, &headers, &question(true)).await;
    assert!(read_stream(response).await.done);
    let log = system.relay.log();
    let seen = &log.invocations[0];
    assert_eq!(seen.header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(seen.header("content-type"), "application/octet-stream");
    assert_eq!(seen.header("x-chute-id"), CHUTE);
    assert_eq!(seen.header("x-instance-id"), instance_id(seen.instance));
    assert_eq!(seen.header("x-e2e-stream"), "true");
    assert_eq!(seen.header("x-e2e-path"), "/v1/chat/completions");
    assert_eq!(seen.header("x-e2ee-usage-passthrough"), "");
    let wire = String::from_utf8_lossy(&log.wire);
    for private in ["secret-app", "private", "app-key"] {
        assert!(!wire.contains(private), "{private}");
    }
}

#[tokio::test]
async fn the_applications_key_is_handed_on_only_where_that_is_asked_for() {
    let key = [("authorization", "Bearer app-key")];
    for (forward, expected) in [(true, "Bearer app-key"), (false, "")] {
        let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
            config.front.relay_key = None;
            config.front.forward_key = forward;
        })
        .await;
        let path = "/v1/chat/completions";
        let (status, _) = whole(post_with(&system.url, path, &key, &question(false)).await).await;
        // This relay knows a user without a key as nobody.
        assert_eq!(status, 200);
        let log = system.relay.log();
        assert_eq!(log.invocations[0].header("authorization"), expected);
    }
}

#[tokio::test]
async fn what_cannot_be_sealed_never_leaves() {
    let system = system(Plan::new(answering)).await;
    let secret = common::PROMPT;
    let bodies = [
        (format!("{secret} is no JSON"), "bad_json"),
        (format!(r#"["{secret}"]"#), "bad_json"),
        (format!(r#"{{"prompt":"{secret}"}}"#), "no_model"),
        (format!(r#"{{"model":7,"prompt":"{secret}"}}"#), "bad_model"),
        (
            format!(r#"{{"model":"{MODEL}","model":"x","prompt":"{secret}"}}"#),
            "bad_json",
        ),
        (
            format!(r#"{{"model":"{MODEL}","e2e_response_pk":"AAAA","prompt":"{secret}"}}"#),
            "reserved_member",
        ),
        (
            format!(
                r#"{{"model":"{MODEL}:THINKING","chat_template_kwargs":7,"prompt":"{secret}"}}"#
            ),
            "bad_chat_template_kwargs",
        ),
    ];
    for (body, expected) in bodies {
        let headers = [("content-type", "application/json")];
        let response = send(
            &system.url,
            Method::POST,
            "/v1/chat/completions",
            &headers,
            full(body.clone()),
        )
        .await;
        let (status, answer) = whole(response).await;
        assert_eq!((status, code(&answer)), (400, expected), "{body}");
    }
    assert!(system.relay.log().invocations.is_empty());
}

#[tokio::test]
async fn only_the_listed_paths_are_taken() {
    let system = system(Plan::new(answering)).await;
    for path in ["/v1/completions", "/v1/embeddings"] {
        let response = post_with(&system.url, path, &[], &question(false)).await;
        assert_eq!(whole(response).await.0, 200, "{path}");
    }
    for path in ["/v1/files", "/admin", "/e2e/invoke"] {
        let response = post_with(&system.url, path, &[], &question(false)).await;
        let (status, answer) = whole(response).await;
        assert_eq!((status, code(&answer)), (404, "unknown_url"), "{path}");
    }
    assert_eq!(system.relay.log().invocations.len(), 2);
}

#[tokio::test]
async fn names_ids_aliases_and_thinking_reach_the_model_as_it_knows_them() {
    let system = system(Plan::new(answering)).await;
    for (name, thinks) in [
        (MODEL.to_owned(), false),
        (CHUTE.to_owned(), false),
        ("best".to_owned(), false),
        (format!("{MODEL}:THINKING"), true),
        ("best:THINKING".to_owned(), true),
    ] {
        let mut body = question(false);
        body["model"] = Value::from(name.clone());
        let (status, answer) = whole(post(&system.url, &body).await).await;
        assert_eq!(status, 200, "{name}: {answer}");
        let opened = system.relay.log().opened.last().cloned().expect("opened");
        assert_eq!(opened["model"], MODEL, "{name}");
        let switches = json!({"thinking": true, "enable_thinking": true});
        assert_eq!(
            opened.get("chat_template_kwargs"),
            thinks.then_some(&switches),
            "{name}"
        );
    }
    let headers = [("x-enable-thinking", "true")];
    let path = "/v1/chat/completions";
    let response = post_with(&system.url, path, &headers, &question(false)).await;
    assert_eq!(whole(response).await.0, 200);
    let log = system.relay.log();
    let opened = log.opened.last().expect("opened");
    assert_eq!(opened["chat_template_kwargs"]["enable_thinking"], true);
    // All of it from one list.
    assert_eq!(log.model_lists, 1);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_refused() {
    let system = system(Plan::new(answering)).await;
    for (name, status, expected) in [
        ("org/none", 404, "model_not_found"),
        ("any", 400, "ambiguous_alias"),
    ] {
        let mut body = question(false);
        body["model"] = Value::from(name);
        let (got, answer) = whole(post(&system.url, &body).await).await;
        assert_eq!((got, code(&answer)), (status, expected));
    }
    assert!(system.relay.log().invocations.is_empty());
}

#[tokio::test]
async fn a_model_that_is_not_confidential_is_used_only_if_it_is_named() {
    let mut body = question(false);
    body["model"] = Value::from(OPEN_MODEL);
    let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
        config.allow_non_confidential = vec!["*".to_owned(), MODEL.to_owned()];
    })
    .await;
    let (status, answer) = whole(post(&system.url, &body).await).await;
    assert_eq!((status, code(&answer)), (403, "not_confidential"));
    assert!(answer.to_string().contains("--allow-non-confidential"));
    assert!(system.relay.log().invocations.is_empty());
    let (_, list) = get(&system.url, "/v1/models").await;
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));

    for name in [OPEN_MODEL, OPEN_CHUTE] {
        let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
            config.allow_non_confidential = vec![name.to_owned()];
        })
        .await;
        body["model"] = Value::from(name);
        let (status, _) = whole(post(&system.url, &body).await).await;
        assert_eq!(status, 200);
        // There is no evidence to ask for.
        assert_eq!(system.gate.judged.load(Ordering::SeqCst), 0);
        let (_, list) = get(&system.url, "/v1/models").await;
        assert_eq!(list["data"][0]["id"], MODEL);
        assert_eq!(list["data"][0].get("sealwire_waived"), None);
        // Applications take names from it.
        let waived = &list["data"][1];
        assert_eq!(waived["id"] == OPEN_MODEL, name == OPEN_MODEL);
        assert_eq!(waived["sealwire_waived"] == true, name == OPEN_MODEL);
    }
}

#[tokio::test]
async fn a_waiver_of_one_name_is_none_of_another_that_the_relay_makes_the_same() {
    let mut body = question(false);
    body["model"] = Value::from(OPEN_MODEL);
    let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
        config.allow_non_confidential = vec![OPEN_CHUTE.to_owned()];
    })
    .await;
    let (status, answer) = whole(post(&system.url, &body).await).await;
    assert_eq!((status, code(&answer)), (403, "not_confidential"));
    assert!(system.relay.log().invocations.is_empty());
}

#[tokio::test]
async fn usage_is_asked_of_the_relay_where_the_application_or_the_user_wants_it() {
    for (flag, asked, expected) in [
        (false, false, ""),
        (false, true, "true"),
        (true, false, "true"),
    ] {
        let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
            config.usage_passthrough = flag;
        })
        .await;
        let mut body = question(true);
        if asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let streamed = read_stream(post(&system.url, &body).await).await;
        assert!(streamed.done);
        let header = system.relay.log().invocations[0]
            .header("x-e2ee-usage-passthrough")
            .to_owned();
        assert_eq!(header, expected);
        // The sealed event with usage alone is for who asked.
        let alone = streamed
            .events
            .iter()
            .any(|event| event["choices"] == json!([]));
        assert_eq!(alone, asked);
    }
}

#[tokio::test]
async fn nonces_are_spread_and_each_user_has_its_own() {
    let system = system_with(
        Plan::new(answering).instances(3),
        TestGate::refusing(&[]),
        |config| {
            config.front.relay_key = None;
            config.front.forward_key = true;
        },
    )
    .await;
    for _ in 0..3 {
        for user in ["Bearer one", "Bearer two"] {
            let headers = [("authorization", user)];
            let path = "/v1/chat/completions";
            let response = post_with(&system.url, path, &headers, &question(false)).await;
            assert_eq!(whole(response).await.0, 200);
        }
    }
    let log = system.relay.log();
    assert_eq!(log.discoveries, 2, "one for each user");
    for user in ["Bearer one", "Bearer two"] {
        let used: HashSet<usize> = log
            .invocations
            .iter()
            .filter(|seen| seen.header("authorization") == user)
            .map(|seen| seen.instance)
            .collect();
        assert_eq!(used.len(), 3, "{user}");
    }
    let different: HashSet<&str> = log.invocations.iter().map(|seen| &*seen.nonce).collect();
    assert_eq!(different.len(), 6);
}

#[tokio::test]
async fn nonces_are_fetched_again_before_they_run_out() {
    let system = system(Plan::new(answering)).await;
    system.relay.nonces_each.store(4, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(ask(&system.url).await.0, 200);
    }
    let log = system.relay.log();
    assert!(log.discoveries >= 3, "{}", log.discoveries);
    assert!(log.discoveries <= 5, "{}", log.discoveries);
}

#[tokio::test]
async fn a_relay_that_offers_nothing_is_asked_once() {
    let none = json!({"instances": []});
    for (discovery, nonces_each) in [(none, 4), (json!({}), 0)] {
        let system = system(Plan::new(answering)).await;
        *system.relay.discovery.lock().expect("no panic") = discovery;
        system
            .relay
            .nonces_each
            .store(nonces_each, Ordering::SeqCst);
        let (status, answer) = ask(&system.url).await;
        assert_eq!((status, code(&answer)), (503, "no_instance"));
        assert!(answer.to_string().contains("the relay offers none"));
        assert_eq!(system.relay.log().discoveries, 1);
    }
}

#[tokio::test]
async fn requests_whose_nonces_went_to_others_find_one_each() {
    let system = system(Plan::new(answering).instances(1)).await;
    system.relay.nonces_each.store(1, Ordering::SeqCst);
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let url = system.url.clone();
            tokio::spawn(async move { ask(&url).await.0 })
        })
        .collect();
    for each in asking {
        assert_eq!(each.await.expect("no panic"), 200);
    }
}

#[tokio::test]
async fn concurrent_requests_share_one_discovery() {
    let system = system(Plan::new(answering)).await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let url = system.url.clone();
            tokio::spawn(async move { ask(&url).await.0 })
        })
        .collect();
    for each in asking {
        assert_eq!(each.await.expect("no panic"), 200);
    }
    let log = system.relay.log();
    assert_eq!((log.discoveries, log.model_lists), (1, 1));
    assert_eq!(system.gate.judged.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn nonces_that_have_expired_are_not_used() {
    let system = system(Plan::new(answering)).await;
    *system.relay.discovery.lock().expect("no panic") = json!({"nonce_expires_at": 1_000});
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "clock"));
    assert!(system.relay.log().invocations.is_empty());
}

#[tokio::test]
async fn a_web_page_cannot_use_the_proxy() {
    let system = system(Plan::new(answering)).await;
    let path = "/v1/chat/completions";
    let headers = [("host", "evil.example")];
    let response = post_with(&system.url, path, &headers, &question(false)).await;
    let (status, answer) = whole(response).await;
    assert_eq!((status, code(&answer)), (403, "bad_host"));
    let headers = [("content-type", "text/plain")];
    let response = post_with(&system.url, path, &headers, &question(false)).await;
    assert_eq!(whole(response).await.0, 415);
    assert!(system.relay.log().wire.is_empty());
}
