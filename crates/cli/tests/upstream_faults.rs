//! A model server that is down, slow, dies, or sends garbage; and applications that go away.

mod common;

use std::time::Duration;

use common::{
    LOOPBACK, SSE_HEAD, SSE_TICK, ask, ask_streamed, code, model, post, question, raw_upstream,
    system, system_with, usage,
};
use sealwire_http::net::{next_data, read_all};
use sealwire_instance::InstanceConfig;
use tokio::time::timeout;

fn short_times(config: &mut InstanceConfig) {
    config.limits.upstream_head_time = Duration::from_millis(300);
    config.limits.upstream_idle = Duration::from_millis(300);
}

#[tokio::test]
async fn down_is_502() {
    let address = {
        let listener = std::net::TcpListener::bind(LOOPBACK).expect("a free port");
        listener.local_addr().expect("bound")
    };
    let system = system(address).await;
    let (status, error) = ask(&system.proxy_url).await;
    assert_eq!(
        (status.as_u16(), code(&error)),
        (502, "upstream_unreachable")
    );
    let streamed = ask_streamed(&system.proxy_url).await;
    assert_eq!((streamed.status, streamed.done), (502, false));
    // The relay bills nothing for it.
    let row = usage(&system.relay_url, 2).await;
    assert_eq!(
        (&row["tokens_in"], &row["usage_unknown"]),
        (&0.into(), &2.into())
    );
}

#[tokio::test]
async fn slow_is_504() {
    let (address, _) = raw_upstream(vec![], false).await;
    let system = system_with(address, short_times, |_| {}).await;
    let (status, error) = ask(&system.proxy_url).await;
    assert_eq!((status.as_u16(), code(&error)), (504, "upstream_timeout"));
}

#[tokio::test]
async fn garbage_is_502() {
    for garbage in [
        &b"\x00\x01\x02 not HTTP at all\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
    ] {
        let (address, _) = raw_upstream(vec![garbage], true).await;
        let system = system(address).await;
        let (status, error) = ask(&system.proxy_url).await;
        assert_eq!((status.as_u16(), code(&error)), (502, "upstream_garbage"));
    }
}

#[tokio::test]
async fn closing_before_the_head_is_502() {
    let (address, _) = raw_upstream(vec![], true).await;
    let system = system(address).await;
    let (status, error) = ask(&system.proxy_url).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "upstream_broken"));
}

#[tokio::test]
async fn death_within_a_streamed_answer_is_an_error_event_and_no_end() {
    let (address, _) = raw_upstream(vec![SSE_HEAD, SSE_TICK], true).await;
    let system = system(address).await;
    let streamed = ask_streamed(&system.proxy_url).await;
    assert_eq!((streamed.status, streamed.text.as_str()), (200, "tick"));
    assert!(!streamed.done && !streamed.ended, "{streamed:?}");
    assert_eq!(streamed.error.expect("an error event")["code"], "upstream");
}

#[tokio::test]
async fn silence_within_a_streamed_answer_is_an_error_event_and_no_end() {
    let (address, _) = raw_upstream(vec![SSE_HEAD, SSE_TICK], false).await;
    let system = system_with(address, short_times, |_| {}).await;
    let streamed = ask_streamed(&system.proxy_url).await;
    assert!(!streamed.done && !streamed.ended, "{streamed:?}");
    assert_eq!(
        streamed.error.expect("an error event")["code"],
        "upstream_timeout"
    );
}

#[tokio::test]
async fn silence_is_noticed_also_at_a_constant_rate() {
    let (address, _) = raw_upstream(vec![SSE_HEAD, SSE_TICK], false).await;
    let system = system_with(address, short_times, |proxy| {
        proxy.padding = sealwire_http::inner::PaddingWish::Constant;
    })
    .await;
    let streamed = ask_streamed(&system.proxy_url).await;
    assert_eq!(
        streamed.error.expect("an error event")["code"],
        "upstream_timeout"
    );
}

#[tokio::test]
async fn death_within_a_whole_answer_is_502_and_no_part_of_it() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{\"choices\":[";
    let (address, _) = raw_upstream(vec![half], true).await;
    let system = system(address).await;
    let (status, error) = ask(&system.proxy_url).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "upstream"));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_handed_on_as_it_is_and_translated_with_a_mark() {
    // Half of a character, as model servers send it that cut text into tokens.
    let event = b"2e\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"\xe2\x82\"}}]}\r\n";
    let rest = b"50\r\n\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"id\":1}\n\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    let whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 65\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"\xe2\x82\"},\"finish_reason\":\"stop\"}]}";
    for (pieces, stream) in [
        (vec![SSE_HEAD, event, rest], true),
        (vec![&whole[..]], false),
    ] {
        let (address, _) = raw_upstream(pieces, true).await;
        let system = system(address).await;
        let mut question = question(stream);
        question["max_tokens"] = 100.into();
        question["input"] = "hello".into();
        for (path, text) in [
            ("/v1/chat/completions", &b"\"\xe2\x82\""[..]),
            ("/v1/messages", "\"\u{fffd}\"".as_bytes()),
            ("/v1/responses", "\"\u{fffd}\"".as_bytes()),
        ] {
            let response = post(&system.proxy_url, path, &question).await;
            let status = response.status();
            let mut body = response.into_body();
            let body = read_all(&mut body, 1 << 20, common::IDLE).await;
            let body = body.expect("whole");
            let found = body.windows(text.len()).any(|bytes| bytes == text);
            assert!(status == 200 && found, "{path} {stream} {status} {body:?}");
        }
    }
}

#[tokio::test]
async fn other_streams_go_on_beside_a_broken_one() {
    let good = model().await;
    let (bad, _) = raw_upstream(vec![SSE_HEAD, SSE_TICK], true).await;
    let good_system = system(good.address()).await;
    let bad_system = system(bad).await;
    let (first, second) = tokio::join!(
        ask_streamed(&good_system.proxy_url),
        ask_streamed(&bad_system.proxy_url)
    );
    assert!(first.done && first.ended);
    assert!(second.error.is_some());
    assert!(ask_streamed(&good_system.proxy_url).await.done);
}

#[tokio::test]
async fn the_upstream_gets_no_header_of_the_application_but_the_allowed() {
    let (address, raw) = raw_upstream(
        vec![b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"],
        true,
    )
    .await;
    let system = system(address).await;
    let mut headers = http::HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-secret"),
        ("cookie", "secret=1"),
        ("x-custom", "secret"),
        ("user-agent", "OpenAI/Python"),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    let response = common::send(
        http::Method::POST,
        &system.proxy_url,
        "/v1/chat/completions",
        headers,
        sealwire_http::net::full(question(false).to_string()),
    )
    .await;
    assert_eq!(response.status(), 200);
    let requests = raw
        .requests
        .lock()
        .expect("no panic")
        .join("")
        .to_lowercase();
    assert!(requests.contains("user-agent: openai/python"), "{requests}");
    for secret in ["secret", "sealwire", "cookie"] {
        assert!(!requests.contains(secret), "{secret} in {requests}");
    }
}

#[tokio::test]
async fn an_application_that_goes_away_cancels_the_upstream_call_within_a_second() {
    // After the first token, and before any.
    for pieces in [vec![SSE_HEAD, SSE_TICK], vec![]] {
        let before_head = pieces.is_empty();
        let (address, raw) = raw_upstream(pieces, false).await;
        let system = system(address).await;
        let base = system.proxy_url.clone();
        if before_head {
            let asking = tokio::spawn(async move { ask_streamed(&base).await });
            while raw.requests.lock().expect("no panic").is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            asking.abort();
        } else {
            let response = post(&base, "/v1/chat/completions", &question(true)).await;
            let mut body = response.into_body();
            next_data(&mut body, common::IDLE).await.expect("a token");
            drop(body);
        }
        timeout(Duration::from_secs(1), raw.closed.notified())
            .await
            .expect("cancelled within a second");
    }
}
