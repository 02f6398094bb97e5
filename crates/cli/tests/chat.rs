//! The main job: an application asks through proxy, relay and instance, and gets what the model server says.

mod common;

use std::time::{Duration, Instant};

use common::{
    ANSWER, MODEL, ask, ask_streamed, found, get, instance, model, post, proxy, question,
    read_stream, relay, system, system_with, url, usage, whole,
};
use sealwire::client::EarlyData;
use sealwire::{IdentityTrust, Suite};
use sealwire_http::inner::PaddingWish;
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;
use sealwire_relay::RelayConfig;
use serde_json::json;

async fn assert_works(system: &common::System) {
    let (status, answer) = ask(&system.proxy_url).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["message"]["content"], ANSWER);
    let streamed = ask_streamed(&system.proxy_url).await;
    assert_eq!(
        (streamed.status, streamed.text.as_str()),
        (200, ANSWER),
        "{streamed:?}"
    );
    assert!(streamed.done && streamed.ended && streamed.error.is_none());
}

#[tokio::test]
async fn both_suites_answer_whole_and_streamed() {
    let model = model().await;
    for suite in Suite::ALL {
        let system = system_with(
            model.address(),
            |instance| instance.suites = vec![suite],
            |_| {},
        )
        .await;
        assert_works(&system).await;
    }
}

#[tokio::test]
async fn the_proxy_shows_whom_it_trusts_and_what_it_verified() {
    let model = model().await;
    let system = system(model.address()).await;
    let identity = system.instance.as_ref().expect("running").identity();
    let identity = sealwire_http::carriage::to_base64url(&identity);
    let (status, document) = get(&system.proxy_url, "/attestation").await;
    assert_eq!(
        (status.as_u16(), &document["profile"]),
        (200, &json!("native"))
    );
    assert_eq!(document["policy"]["identities"], json!([identity]));
    assert_eq!(document["models"], json!([]));
    assert_works(&system).await;
    let (_, document) = get(&system.proxy_url, "/attestation").await;
    assert_eq!(document["models"][0]["model"], MODEL);
    assert_eq!(document["models"][0]["identity"], identity);
}

#[tokio::test]
async fn early_data_never_answers_whole_and_streamed() {
    let model = model().await;
    let system = system_with(
        model.address(),
        |_| {},
        |proxy| proxy.early_data = EarlyData::Never,
    )
    .await;
    assert_works(&system).await;
    // A request of many frames, sealed after SWITCH.
    let mut long = question(false);
    long["padding"] = json!("x".repeat(3_000_000));
    let (status, _) = whole(post(&system.proxy_url, "/v1/chat/completions", &long).await).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn single_use_bundles_answer_every_time() {
    let model = model().await;
    let system = system_with(model.address(), |_| {}, |proxy| proxy.single_use = true).await;
    assert_works(&system).await;
}

#[tokio::test]
async fn every_padding_gives_the_same_answer() {
    let model = model().await;
    for padding in PaddingWish::ALL {
        let system = system_with(model.address(), |_| {}, |proxy| proxy.padding = padding).await;
        assert_works(&system).await;
    }
}

#[tokio::test]
async fn many_at_once_do_not_mix() {
    let model = model().await;
    let system = system(model.address()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..24 {
        let base = system.proxy_url.clone();
        tasks.spawn(async move {
            let body = json!({"model": MODEL, "input": number.to_string()});
            let sealed = whole(post(&base, "/v1/embeddings", &body).await).await;
            (number, sealed.1["data"][0]["embedding"].clone())
        });
    }
    let mut seen = std::collections::BTreeMap::new();
    while let Some(task) = tasks.join_next().await {
        let (number, embedding) = task.expect("no panic");
        seen.insert(embedding.to_string(), number);
    }
    assert_eq!(seen.len(), 24);
}

#[tokio::test]
async fn usage_reaches_the_relay_and_the_extra_event_does_not_reach_the_application() {
    let model = model().await;
    let system = system(model.address()).await;
    let streamed = ask_streamed(&system.proxy_url).await;
    assert!(
        streamed
            .events
            .iter()
            .all(|event| event.get("usage").is_none())
    );
    let row = usage(&system.relay_url, 1).await;
    assert_eq!(
        (
            &row["tokens_in"],
            &row["tokens_out"],
            &row["receipts_refused"]
        ),
        (&json!(6), &json!(6), &json!(0)),
        "{row}"
    );
    // Who asks for usage gets it.
    let mut asked = question(true);
    asked["stream_options"] = json!({"include_usage": true});
    let streamed = read_stream(post(&system.proxy_url, "/v1/chat/completions", &asked).await).await;
    assert!(streamed.done);
    assert_eq!(
        streamed
            .events
            .last()
            .map(|event| &event["usage"]["completion_tokens"]),
        Some(&json!(6))
    );
    assert_eq!(usage(&system.relay_url, 2).await["tokens_out"], 12);
}

#[tokio::test]
async fn tokens_come_one_by_one() {
    let (upstream, _) = common::raw_upstream(vec![common::SSE_HEAD, common::SSE_TICK], false).await;
    let system = system(upstream).await;
    let response = post(&system.proxy_url, "/v1/chat/completions", &question(true)).await;
    assert_eq!(response.status(), 200);
    // The model server goes silent after its first token, and never ends: the token is there all the same.
    let mut body = response.into_body();
    let first = sealwire_http::net::next_data(&mut body, common::IDLE)
        .await
        .expect("a token")
        .expect("no end");
    assert!(String::from_utf8_lossy(&first).contains("tick"));
}

#[tokio::test]
async fn the_order_of_starting_does_not_matter() {
    let upstream = model().await;
    // A port that was free a moment ago stands for the instance that is not there yet.
    let address = {
        let listener = std::net::TcpListener::bind(common::LOOPBACK).expect("a free port");
        listener.local_addr().expect("bound")
    };
    let relay = relay(RelayConfig::new(vec![url(address)])).await;
    let relay_url = url(relay.address());
    let mut config = ProxyConfig::new(relay_url.clone(), IdentityTrust::insecure_trust_relay());
    config.limits.attempts = 1;
    let proxy = proxy(config).await;
    let proxy_url = url(proxy.address());
    let (status, error) = ask(&proxy_url).await;
    assert_eq!((status.as_u16(), common::code(&error)), (502, "relay_gone"));
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.listen = address;
    let _instance = instance(config, 1).await;
    found(&relay_url).await;
    let (status, answer) = ask(&proxy_url).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn an_instance_that_restarts_is_found_again_with_its_new_bundle() {
    let upstream = model().await;
    let mut system = system(upstream.address()).await;
    assert_eq!(ask(&system.proxy_url).await.0, 200);
    let old = system.instance.take().expect("running");
    let address = old.address();
    drop(old);
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.listen = address;
    // The same identity, other keys: the proxy's kept bundle gets key-unknown, and a fresh one.
    let restarted = async {
        loop {
            let started = sealwire_instance::start(
                config.clone(),
                sealwire_cli::provider::provider(),
                &common::seed(1),
                common::client(),
            )
            .await;
            if let Ok(instance) = started {
                return instance;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _instance = tokio::time::timeout(common::IDLE, restarted)
        .await
        .expect("the port is free again");
    let (status, answer) = ask(&system.proxy_url).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_dead_instance_is_an_api_error_within_five_seconds() {
    let upstream = model().await;
    let mut system = system(upstream.address()).await;
    drop(system.instance.take());
    let start = Instant::now();
    let (status, error) = ask(&system.proxy_url).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(status.as_u16(), 502 | 503), "{status} {error}");
    assert_eq!(error["error"]["type"], "sealwire_relay_error");
}

#[tokio::test]
async fn models_are_listed_and_other_paths_are_errors_of_the_api() {
    let upstream = model().await;
    let system = system(upstream.address()).await;
    let (status, models) = get(&system.proxy_url, "/v1/models").await;
    assert_eq!(
        (status.as_u16(), &models["data"][0]["id"]),
        (200, &json!(MODEL))
    );
    let (status, error) = get(&system.proxy_url, "/v1/files").await;
    assert_eq!(
        (status.as_u16(), common::code(&error)),
        (404, "unknown_url")
    );
    let unknown = json!({"model": "other", "messages": []});
    let (status, error) =
        whole(post(&system.proxy_url, "/v1/chat/completions", &unknown).await).await;
    assert_eq!(
        (status.as_u16(), common::code(&error)),
        (404, "model_not_found")
    );
    for bad in [json!([]), json!({"messages": []}), json!({"model": 7})] {
        let (status, _) = whole(post(&system.proxy_url, "/v1/chat/completions", &bad).await).await;
        assert_eq!(status, 400, "{bad}");
    }
}

#[tokio::test]
async fn errors_of_the_model_server_pass_as_they_are() {
    let upstream = model().await;
    let system = system(upstream.address()).await;
    let empty = json!({"model": MODEL, "messages": []});
    let (status, error) =
        whole(post(&system.proxy_url, "/v1/chat/completions", &empty).await).await;
    assert_eq!(
        (status.as_u16(), common::code(&error)),
        (400, "no_question")
    );
}
