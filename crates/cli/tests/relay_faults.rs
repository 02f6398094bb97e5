//! A relay that lies, injects, cuts, swaps, hangs. The application gets errors of the API, and never a part of an answer as a whole one.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    ANSWER, LOOPBACK, System, ask, ask_streamed, code, forward, model, pass, post, proxy,
    proxy_before, question, server, system, url, whole,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use sealwire::frame::{FrameHeader, FrameType, HEADER_LEN};
use sealwire::handshake::h2_len;
use sealwire::{Context, IdentityTrust, RelayCode, Suite};
use sealwire_http::carriage::{BUNDLES_PATH, REQUESTS_PATH, context_bytes, response_headers};
use sealwire_http::net::{BaseUrl, Body, Incoming, Server, full, json, problem, read_all};
use sealwire_http::problem::Problem;
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;

/// An honest system, a server before its relay that changes answers to sealed requests, and a proxy before that.
async fn meddled<F>(upstream: &Server, change: F) -> (System, Server, Server, BaseUrl)
where
    F: Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
{
    let honest = system(upstream.address()).await;
    let relay = honest.relay_url.clone();
    let change = Arc::new(change);
    let meddler = server(move |request| {
        let (relay, change) = (relay.clone(), Arc::clone(&change));
        async move {
            let sealed = request.uri().path() == REQUESTS_PATH;
            let response = forward(&relay, request).await;
            if !sealed {
                return pass(response).await;
            }
            let (parts, mut body) = response.into_parts();
            let body = read_all(&mut body, 1 << 24, common::IDLE)
                .await
                .expect("a body");
            Response::from_parts(parts, full(change(body.to_vec())))
        }
    })
    .await;
    let pin = honest.instance.as_ref().expect("running").identity();
    let (proxy, base) = proxy_before(meddler.address(), &[pin]).await;
    (honest, meddler, proxy, base)
}

/// Where each frame behind H2 ends.
fn frame_ends(body: &[u8]) -> Vec<usize> {
    let mut at = h2_len(Suite::MlKem768);
    let mut ends = vec![at];
    while let Some(header) = body.get(at..).and_then(<[u8]>::first_chunk::<HEADER_LEN>) {
        at += FrameHeader::decode(*header).expect("a frame").frame_len();
        ends.push(at);
    }
    assert_eq!(at, body.len());
    ends
}

/// A relay that answers discovery honestly and sealed requests as told; it keeps what it got.
async fn lying<F>(honest: &System, answer: F) -> (Server, Arc<Mutex<Vec<(Context, Vec<u8>)>>>)
where
    F: Fn() -> Response<Body> + Send + Sync + 'static,
{
    let relay = honest.relay_url.clone();
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&got);
    let answer = Arc::new(answer);
    let lying = server(move |request: Request<Incoming>| {
        let (relay, seen, answer) = (relay.clone(), Arc::clone(&seen), Arc::clone(&answer));
        async move {
            if request.uri().path() != REQUESTS_PATH {
                return pass(forward(&relay, request).await).await;
            }
            let context = context_bytes(request.headers()).expect("a context");
            let context = Context::parse(&context).expect("a context");
            let mut body = request.into_body();
            let body = read_all(&mut body, 1 << 24, common::IDLE)
                .await
                .expect("a body");
            seen.lock()
                .expect("no panic")
                .push((context, body.to_vec()));
            answer()
        }
    })
    .await;
    (lying, got)
}

async fn proxy_to(honest: &System, relay: &Server) -> (Server, BaseUrl) {
    let pin = honest.instance.as_ref().expect("running").identity();
    proxy_before(relay.address(), &[pin]).await
}

fn with_type(status: u16, media_type: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

const INJECTED: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"injected\"}}]}\n\ndata: [DONE]\n\n";

#[tokio::test]
async fn html_and_plaintext_with_status_200_are_thrown_away() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    for (media_type, body) in [
        ("text/html", "<html>injected</html>"),
        ("text/event-stream", INJECTED),
        (
            "application/json",
            "{\"choices\":[{\"message\":{\"content\":\"injected\"}}]}",
        ),
    ] {
        let (relay, _) = lying(&honest, move || with_type(200, media_type, body)).await;
        let (_proxy, base) = proxy_to(&honest, &relay).await;
        for stream in [false, true] {
            let (status, error) =
                whole(post(&base, "/v1/chat/completions", &question(stream)).await).await;
            assert_eq!((status.as_u16(), code(&error)), (502, "relay_not_sealed"));
            assert!(!error.to_string().contains("injected"));
        }
    }
}

#[tokio::test]
async fn plaintext_under_the_sealed_media_type_is_no_answer() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let (relay, _) = lying(&honest, || {
        let mut response = Response::new(full(INJECTED.repeat(40)));
        *response.headers_mut() = response_headers();
        response
    })
    .await;
    let (_proxy, base) = proxy_to(&honest, &relay).await;
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "bad_version"));
}

#[tokio::test]
async fn plaintext_within_a_sealed_stream_is_an_error_not_output() {
    let upstream = model().await;
    let (_honest, _meddler, _proxy, base) = meddled(&upstream, |body| {
        let at = frame_ends(&body)[4];
        let mut changed = body[..at].to_vec();
        changed.extend_from_slice(INJECTED.as_bytes());
        changed.extend_from_slice(&body[at..]);
        changed
    })
    .await;
    let streamed = ask_streamed(&base).await;
    assert!(ANSWER.starts_with(&streamed.text), "{streamed:?}");
    assert!(!streamed.done && !streamed.ended);
    assert_eq!(streamed.error.expect("an error")["code"], "bad_frame_type");
    assert_eq!(ask(&base).await.0, 502);
}

#[tokio::test]
async fn an_answer_cut_at_any_frame_is_truncated() {
    let upstream = model().await;
    let cut = Arc::new(Mutex::new(0_usize));
    let at = Arc::clone(&cut);
    let (_honest, _meddler, _proxy, base) = meddled(&upstream, move |body| {
        let ends = frame_ends(&body);
        let end = ends[ends.len() - 2 - *at.lock().expect("no panic")];
        body[..end].to_vec()
    })
    .await;
    // Without FINAL, without the receipt before it, and so on towards the beginning.
    for frames in 0..4 {
        *cut.lock().expect("no panic") = frames;
        let streamed = ask_streamed(&base).await;
        assert_eq!(streamed.status, 200);
        // `[DONE]` was opened, but what comes before FINAL is not the end.
        assert!(!streamed.done && !streamed.ended, "{frames} {streamed:?}");
        assert_eq!(streamed.error.expect("an error")["code"], "truncated");
    }
    for frames in 0..3 {
        *cut.lock().expect("no panic") = frames;
        let (status, error) = ask(&base).await;
        assert_eq!((status.as_u16(), code(&error)), (502, "truncated"));
    }
}

#[tokio::test]
async fn a_changed_receipt_breaks_the_stream() {
    let upstream = model().await;
    let (_honest, _meddler, _proxy, base) = meddled(&upstream, |mut body| {
        let ends = frame_ends(&body);
        let receipt = ends
            .iter()
            .copied()
            .find(|at| {
                body.get(*at..*at + HEADER_LEN)
                    .and_then(|bytes| FrameHeader::decode(bytes.try_into().ok()?).ok())
                    .is_some_and(|header| header.frame_type == FrameType::Public)
            })
            .expect("a receipt");
        // One token more on the bill.
        body[receipt + HEADER_LEN + 24] += 1;
        body
    })
    .await;
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "decrypt"));
}

#[tokio::test]
async fn an_answer_of_another_stream_or_a_reflected_request_fails_the_handshake() {
    let upstream = model().await;
    let first = Arc::new(Mutex::new(None::<Vec<u8>>));
    let (_honest, _meddler, _proxy, base) = meddled(&upstream, move |body| {
        first.lock().expect("no panic").get_or_insert(body).clone()
    })
    .await;
    assert_eq!(ask(&base).await.0, 200);
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "confirm_failed"));

    let honest = system(upstream.address()).await;
    let relay = honest.relay_url.clone();
    let reflecting = server(move |request: Request<Incoming>| {
        let relay = relay.clone();
        async move {
            if request.uri().path() != REQUESTS_PATH {
                return pass(forward(&relay, request).await).await;
            }
            let mut body = request.into_body();
            let body = read_all(&mut body, 1 << 24, common::IDLE)
                .await
                .expect("a body");
            let mut response = Response::new(full(body));
            *response.headers_mut() = response_headers();
            response
        }
    })
    .await;
    let (_proxy, base) = proxy_to(&honest, &reflecting).await;
    assert_eq!(ask(&base).await.0, 502);
}

#[tokio::test]
async fn a_swapped_bundle_gets_no_request() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let mallory = common::instance(
        InstanceConfig::new(url(upstream.address()), common::MODEL),
        9,
    )
    .await;
    // Discovery of another instance, with the same label and an identity of its own.
    let got = Arc::new(Mutex::new(0));
    let (target, seen) = (url(mallory.address()), Arc::clone(&got));
    let swapping = server(move |request: Request<Incoming>| {
        let (target, seen) = (target.clone(), Arc::clone(&seen));
        async move {
            if request.uri().path() == REQUESTS_PATH {
                *seen.lock().expect("no panic") += 1;
            }
            pass(forward(&target, request).await).await
        }
    })
    .await;
    let (_proxy, base) = proxy_to(&honest, &swapping).await;
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "identity_untrusted"));
    assert_eq!(*got.lock().expect("no panic"), 0);
}

#[tokio::test]
async fn a_bundle_pushed_with_key_unknown_passes_the_same_checks() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let mallory = common::instance(
        InstanceConfig::new(url(upstream.address()), common::MODEL),
        9,
    )
    .await;
    let (_, list) = common::get(
        &url(mallory.address()),
        &format!("{BUNDLES_PATH}?label={}&suite=1", common::MODEL),
    )
    .await;
    let pushed = list["bundles"][0]["bundle"].as_str().expect("a bundle");
    let pushed = sealwire_http::carriage::from_base64url(pushed).expect("base64url");
    let id = sealwire::Bundle::parse(&sealwire::rustcrypto::verification(), &pushed)
        .expect("sound")
        .id();
    let (relay, got) = lying(&honest, move || {
        problem(&Problem::new(RelayCode::KeyUnknown, "take this").with_bundle(Some(pushed.clone())))
    })
    .await;
    let (_proxy, base) = proxy_to(&honest, &relay).await;
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "relay_key_unknown"));
    let got = got.lock().expect("no panic");
    assert_eq!(got.len(), 3);
    // Nothing was sealed to the pushed bundle; H1 names its bundle at bytes 6 to 22.
    assert!(got.iter().all(|(_, body)| body[6..22] != id));
}

#[tokio::test]
async fn attempts_are_few_and_each_is_a_handshake_of_its_own() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    for (code_sent, attempts, status, code_seen) in [
        (RelayCode::Busy, 3, 503, "relay_busy"),
        (RelayCode::Gone, 3, 502, "relay_gone"),
        (RelayCode::Auth, 1, 401, "relay_auth"),
        (RelayCode::Quota, 1, 429, "relay_quota"),
        (RelayCode::TooLarge, 1, 413, "relay_too_large"),
        (RelayCode::Refused, 1, 502, "relay_refused"),
        (RelayCode::Replayed, 1, 502, "relay_replayed"),
        (RelayCode::Internal, 1, 502, "relay_internal"),
    ] {
        let (relay, got) = lying(&honest, move || problem(&Problem::new(code_sent, "no"))).await;
        let (_proxy, base) = proxy_to(&honest, &relay).await;
        let (seen_status, error) = ask(&base).await;
        assert_eq!(
            (seen_status.as_u16(), code(&error)),
            (status, code_seen),
            "{error}"
        );
        assert_eq!(error["error"]["type"], "sealwire_relay_error");
        let got = got.lock().expect("no panic");
        assert_eq!(got.len(), attempts, "{code_sent}");
        for (index, (context, body)) in got.iter().enumerate() {
            assert_eq!(usize::from(context.attempt()), index + 1);
            assert_eq!(context.request_id(), got[0].0.request_id());
            assert!(index == 0 || body[22..] != got[index - 1].1[22..]);
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_of_a_relay_is_said_to_be_none() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    for (status, media_type, body, expected) in [
        (500, "text/html", "<html>oops</html>", "relay_not_sealwire"),
        (502, "application/problem+json", "{", "relay_not_sealwire"),
        (
            503,
            "application/problem+json",
            "{\"code\":\"shiny\",\"status\":503}",
            "relay_internal",
        ),
        (
            201,
            "application/vnd.sealwire.response",
            "x",
            "relay_not_sealwire",
        ),
    ] {
        let (relay, got) = lying(&honest, move || with_type(status, media_type, body)).await;
        let (_proxy, base) = proxy_to(&honest, &relay).await;
        let (seen, error) = ask(&base).await;
        assert_eq!((seen.as_u16(), code(&error)), (502, expected));
        assert_eq!(got.lock().expect("no panic").len(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let target = format!("{}{REQUESTS_PATH}", honest.relay_url);
    let (relay, _) = lying(&honest, move || {
        let mut response = with_type(307, "text/html", "over there");
        let location = HeaderValue::from_str(&target).expect("a location");
        response.headers_mut().insert("location", location);
        response
    })
    .await;
    let (_proxy, base) = proxy_to(&honest, &relay).await;
    let (status, error) = ask(&base).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "relay_not_sealwire"));
}

#[tokio::test]
async fn a_relay_that_hangs_is_an_api_error_in_time() {
    let listener = tokio::net::TcpListener::bind(LOOPBACK)
        .await
        .expect("a free port");
    let mut config = ProxyConfig::new(
        url(listener.local_addr().expect("bound")),
        IdentityTrust::insecure_trust_relay(),
    );
    config.limits.handshake_time = Duration::from_millis(300);
    let proxy = proxy(config).await;
    let (status, error) = ask(&url(proxy.address())).await;
    assert_eq!((status.as_u16(), code(&error)), (503, "handshake_timeout"));
    assert!(sealwire_proxy::ProxyLimits::default().handshake_time < Duration::from_secs(5));
}

#[tokio::test]
async fn discovery_that_is_none_is_an_error() {
    for body in [
        "<html></html>",
        "{\"bundles\":[{\"bundle\":\"AAAA\"}]}",
        "{\"bundles\":[]}",
    ] {
        let relay =
            server(move |_| async move { json(StatusCode::OK, body.as_bytes().to_vec()) }).await;
        let (_proxy, base) = proxy_before(relay.address(), &[]).await;
        let (status, error) = ask(&base).await;
        assert!(matches!(status.as_u16(), 502 | 503), "{error}");
        assert_ne!(code(&error), "no code");
    }
}

#[tokio::test]
async fn the_applications_key_goes_to_the_relay_only_when_told_so() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let relay = server(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let key = request
                .headers()
                .get(AUTHORIZATION)
                .map(|value| value.to_str().expect("ASCII").to_owned());
            seen.lock().expect("no panic").push(key);
            problem(&Problem::new(RelayCode::Auth, "no"))
        }
    })
    .await;
    for (relay_key, forward_key, expected) in [
        (None, false, None),
        (None, true, Some("Bearer sk-app")),
        (Some("relay"), false, Some("Bearer relay")),
        (Some("relay"), true, Some("Bearer relay")),
    ] {
        let mut config =
            ProxyConfig::new(url(relay.address()), IdentityTrust::insecure_trust_relay());
        config.front.relay_key = relay_key.map(str::to_owned);
        config.front.forward_key = forward_key;
        let proxy = proxy(config).await;
        let mut headers = http::HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer sk-app"));
        let response = common::send(
            http::Method::POST,
            &url(proxy.address()),
            "/v1/chat/completions",
            headers,
            full(question(false).to_string()),
        )
        .await;
        assert_eq!(response.status(), 401);
        let last = keys.lock().expect("no panic").pop().expect("a request");
        assert_eq!(last.as_deref(), expected);
    }
}
