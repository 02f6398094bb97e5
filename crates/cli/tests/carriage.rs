//! What goes over the wire: exact fields, sizes, ends, and what a relay and a proxy do with peers that break the rules of the carriage.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    MODEL, SSE_TICK, ask, ask_streamed, code, forward, get, instance, model, pass, post, proxy,
    question, raw_upstream, relay, server, system, system_with, url, whole,
};
use http::header::HeaderValue;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire::client::{self, ClientConfig, EarlyData};
use sealwire::{
    Bundle, BundlePolicy, Context, IdentityTrust, RelayCode, Suite, VerifiedBundle, rustcrypto,
};
use sealwire_http::carriage::{
    BUNDLES_PATH, REQUESTS_PATH, from_base64url, request_headers, response_headers,
};
use sealwire_http::net::{
    BaseUrl, Body, HttpClient, Incoming, ReadError, channel, full, next_data, problem,
};
use sealwire_http::problem::Problem;
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;
use sealwire_relay::RelayConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Length of H1 in suite 1.
const H1_LEN: usize = 2_326;

async fn bundle(base: &BaseUrl) -> VerifiedBundle {
    let (_, list) = get(base, &format!("{BUNDLES_PATH}?label={MODEL}&suite=1")).await;
    let text = list["bundles"][0]["bundle"].as_str().expect("a bundle");
    let provider = rustcrypto::provider();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    Bundle::parse(
        &provider.verification,
        &from_base64url(text).expect("base64url"),
    )
    .expect("sound")
    .verify(
        &provider,
        &BundlePolicy::new(MODEL, IdentityTrust::insecure_trust_relay()),
        now,
    )
    .expect("acceptable")
}

fn context() -> Context {
    Context::new(MODEL, [3; 16], 1).expect("a context")
}

fn h1(bundle: &VerifiedBundle) -> Vec<u8> {
    let mut h1 = Vec::new();
    client::start(
        &rustcrypto::provider(),
        &ClientConfig::default(),
        bundle,
        &context(),
        &mut h1,
    )
    .expect("a handshake");
    h1
}

async fn post_sealed(base: &BaseUrl, body: Body) -> Response<Incoming> {
    let headers = request_headers(&context().encode());
    common::send(Method::POST, base, REQUESTS_PATH, headers, body).await
}

fn names(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_proxy_sends_the_fields_of_the_carriage_and_nothing_of_the_application() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (target, log) = (honest.relay_url.clone(), Arc::clone(&seen));
    let capturing = server(move |request: Request<Incoming>| {
        let (target, log) = (target.clone(), Arc::clone(&log));
        async move {
            log.lock().expect("no panic").push((
                request.method().clone(),
                request.uri().to_string(),
                request.headers().clone(),
            ));
            pass(forward(&target, request).await).await
        }
    })
    .await;
    let pin = honest.instance.as_ref().expect("running").identity();
    let (_proxy, base) = common::proxy_before(capturing.address(), &[pin]).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer sk-app-canary"),
        ("cookie", "canary=1"),
        ("user-agent", "canary-agent"),
        ("accept-language", "canary-language"),
        ("x-canary", "canary"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for stream in [false, true] {
        let body = question(stream).to_string();
        let response = common::send(
            Method::POST,
            &base,
            "/v1/chat/completions?canary=1",
            headers.clone(),
            full(body),
        )
        .await;
        assert_eq!(response.status(), 200);
        assert!(whole(response).await.1.to_string().contains("Paris") || stream);
    }
    let seen = seen.lock().expect("no panic");
    let sealed: Vec<_> = seen
        .iter()
        .filter(|(method, ..)| method == Method::POST)
        .collect();
    assert_eq!(sealed.len(), 2);
    for (_, target, headers) in &sealed {
        assert_eq!(target, REQUESTS_PATH);
        assert_eq!(
            names(headers),
            [
                "cache-control",
                "content-length",
                "content-type",
                "host",
                "sealwire-context"
            ]
        );
        assert_eq!(headers["cache-control"], "no-store, no-transform");
        assert_eq!(headers["content-type"], "application/vnd.sealwire.request");
        assert_eq!(headers["host"], capturing.address().to_string());
    }
    for (method, target, headers) in seen.iter() {
        assert!(
            !format!("{target} {headers:?}").contains("canary"),
            "{target} {headers:?}"
        );
        if method == Method::GET {
            assert_eq!(names(headers), ["host"]);
        }
    }
}

#[tokio::test]
async fn without_early_data_a_relay_that_never_answers_gets_h1_and_nothing_more() {
    let upstream = model().await;
    let honest = system(upstream.address()).await;
    let got = Arc::new(Mutex::new(Vec::new()));
    let (target, log) = (honest.relay_url.clone(), Arc::clone(&got));
    let silent = server(move |request: Request<Incoming>| {
        let (target, log) = (target.clone(), Arc::clone(&log));
        async move {
            if request.uri().path() != REQUESTS_PATH {
                return pass(forward(&target, request).await).await;
            }
            let mut body = request.into_body();
            while let Ok(Some(data)) = next_data(&mut body, common::IDLE).await {
                log.lock().expect("no panic").extend_from_slice(&data);
            }
            problem(&Problem::new(RelayCode::Gone, "too late"))
        }
    })
    .await;
    let pin = honest.instance.as_ref().expect("running").identity();
    let mut config = ProxyConfig::new(url(silent.address()), IdentityTrust::pinned(&[pin]));
    config.early_data = EarlyData::Never;
    config.suites = vec![Suite::MlKem768];
    config.limits.handshake_time = Duration::from_millis(600);
    let proxy = proxy(config).await;
    let (status, error) = ask(&url(proxy.address())).await;
    assert_eq!((status.as_u16(), code(&error)), (503, "handshake_timeout"));
    assert_eq!(error["error"]["type"], "sealwire_relay_error");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(got.lock().expect("no panic").len(), H1_LEN);
}

#[tokio::test]
async fn a_relay_forwards_three_fields_and_the_same_bytes() {
    let upstream = model().await;
    let real = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (target, log) = (url(real.address()), Arc::clone(&seen));
    let between = server(move |request: Request<Incoming>| {
        let (target, log) = (target.clone(), Arc::clone(&log));
        async move {
            if request.uri().path() != REQUESTS_PATH {
                return pass(forward(&target, request).await).await;
            }
            let headers = request.headers().clone();
            let mut body = request.into_body();
            let body = sealwire_http::net::read_all(&mut body, 1 << 20, common::IDLE)
                .await
                .expect("a body");
            log.lock()
                .expect("no panic")
                .push((headers.clone(), body.clone()));
            let context = sealwire_http::carriage::context_bytes(&headers).expect("a context");
            let response = common::send(
                Method::POST,
                &target,
                REQUESTS_PATH,
                request_headers(&context),
                full(body),
            )
            .await;
            pass(response).await
        }
    })
    .await;
    let relay = relay(RelayConfig::new(vec![url(between.address())])).await;
    let relay_url = url(relay.address());
    common::found(&relay_url).await;
    let mut wire = h1(&bundle(&relay_url).await);
    wire.extend_from_slice(&[0x40, 0, 17, 0, 9, 9, 9]);
    let mut headers = request_headers(&context().encode());
    for name in ["authorization", "cookie", "x-extra", "user-agent"] {
        headers.insert(name, HeaderValue::from_static("secret"));
    }
    let response = common::send(
        Method::POST,
        &relay_url,
        REQUESTS_PATH,
        headers,
        full(wire.clone()),
    )
    .await;
    assert_eq!(response.status(), 200);
    // The same of an instance itself.
    let direct = post_sealed(
        &url(real.address()),
        full(h1(&bundle(&url(real.address())).await)),
    )
    .await;
    for response in [&response, &direct] {
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/vnd.sealwire.response");
        assert_eq!(headers["cache-control"], "no-store, no-transform");
        assert_eq!(headers["x-accel-buffering"], "no");
        assert!(!headers.contains_key("content-encoding") && !headers.contains_key("trailer"));
    }
    let _ = whole(response).await;
    let seen = seen.lock().expect("no panic");
    let (headers, body) = seen.first().expect("a request");
    assert_eq!(
        names(headers),
        [
            "cache-control",
            "content-type",
            "host",
            "sealwire-context",
            "transfer-encoding"
        ]
    );
    assert_eq!(body[..], wire[..]);
}

#[tokio::test]
async fn a_request_that_grows_too_large_is_the_clients_fault_and_nobody_elses() {
    let upstream = model().await;
    let instance = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    for limit in [1_000, 4_000] {
        let mut config = RelayConfig::new(vec![url(instance.address())]);
        config.limits.request_bytes = limit;
        let relay = relay(config).await;
        let base = url(relay.address());
        common::found(&base).await;
        for _ in 0..5 {
            let (sender, body) = channel(4);
            sender.send(h1(&bundle(&base).await)).await.expect("room");
            let response = post_sealed(&base, body).await;
            if limit == 1_000 {
                // Before the head.
                let (status, problem) = whole(response).await;
                assert_eq!(
                    (status.as_u16(), problem["code"].as_str()),
                    (413, Some("too-large"))
                );
            } else {
                // After it.
                assert_eq!(response.status(), 200);
                let mut body = response.into_body();
                sender.send(vec![0; 10_000]).await.expect("room");
                let end = loop {
                    match next_data(&mut body, common::IDLE).await {
                        Ok(Some(_)) => {}
                        end => break end,
                    }
                };
                assert!(matches!(end, Err(ReadError::Broken(_))), "{end:?}");
            }
            // The instance is there for others all the time.
            let (status, _) = get(&base, &format!("{BUNDLES_PATH}?label={MODEL}")).await;
            assert_eq!(status, 200);
        }
    }
}

/// A client that takes nothing of the answer and goes on with its request keeps neither of them open at the instance.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_given_up_ends_its_request_too() {
    let upstream = model().await;
    let real = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let ended = Arc::new(tokio::sync::Notify::new());
    let (target, told) = (url(real.address()), Arc::clone(&ended));
    let between = server(move |request: Request<Incoming>| {
        let (target, told) = (target.clone(), Arc::clone(&told));
        async move {
            if request.uri().path() != REQUESTS_PATH {
                return pass(forward(&target, request).await).await;
            }
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Ok(Some(_)) = next_data(&mut body, common::IDLE).await {}
                told.notify_one();
            });
            let (sender, body) = channel(1);
            tokio::spawn(async move { while sender.send(vec![0; 65_536]).await.is_ok() {} });
            let mut response = Response::new(body);
            *response.headers_mut() = response_headers();
            response
        }
    })
    .await;
    let between = url(between.address());
    for http2 in [vec![], vec![between.clone()]] {
        let client = HttpClient::new(&sealwire_http::net::ClientConfig {
            http2,
            ..sealwire_http::net::ClientConfig::default()
        });
        let mut config = RelayConfig::new(vec![between.clone()]);
        config.limits.idle = Duration::from_millis(600);
        let relay = sealwire_relay::start(config, client)
            .await
            .expect("a free port");
        let base = url(relay.address());
        common::found(&base).await;
        let (sender, body) = channel(4);
        sender.send(h1(&bundle(&base).await)).await.expect("room");
        let unread = post_sealed(&base, body).await;
        assert_eq!(unread.status(), 200);
        let trickle = tokio::spawn(async move {
            while sender.send(vec![0; 10]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        tokio::time::timeout(common::IDLE, ended.notified())
            .await
            .expect("the request ended");
        trickle.abort();
        drop(unread);
    }
}

#[tokio::test]
async fn a_relay_that_has_not_reached_its_instances_says_gone() {
    let nowhere = {
        let listener = std::net::TcpListener::bind(common::LOOPBACK).expect("a free port");
        listener.local_addr().expect("bound")
    };
    let relay = relay(RelayConfig::new(vec![url(nowhere)])).await;
    let base = url(relay.address());
    let mut wire = vec![0; H1_LEN];
    wire[..6].copy_from_slice(b"SW\x01\x00\x01\x00");
    let (status, problem) = whole(post_sealed(&base, full(wire)).await).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (502, Some("gone"))
    );
    let (status, problem) = get(&base, &format!("{BUNDLES_PATH}?label={MODEL}")).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (502, Some("gone"))
    );
}

const JSON_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
const CLOSED_SSE_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const TICK: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"tick\"}}]}\n\n";

#[tokio::test]
async fn an_answer_that_only_the_close_ends_must_show_that_it_is_whole() {
    for (content, expected) in [(&b"{\"ok\":1}"[..], 200), (b"{\"ok\":", 502), (b"", 502)] {
        let (address, _) = raw_upstream(vec![JSON_HEAD, content], true).await;
        let system = system(address).await;
        let (status, answer) = ask(&system.proxy_url).await;
        assert_eq!(status.as_u16(), expected, "{answer}");
        if expected != 200 {
            assert_eq!(code(&answer), "upstream");
        }
    }
    for (head, events, whole) in [
        (CLOSED_SSE_HEAD, vec![TICK, b"data: [DONE]\n\n"], true),
        (CLOSED_SSE_HEAD, vec![TICK], false),
        (CLOSED_SSE_HEAD, vec![TICK, b"data: [DONE]\n"], false),
        // Chunks end properly, but inside an event.
        (
            common::SSE_HEAD,
            vec![SSE_TICK, b"6\r\ndata: \r\n0\r\n\r\n"],
            false,
        ),
        (common::SSE_HEAD, vec![SSE_TICK, b"0\r\n\r\n"], true),
    ] {
        let mut pieces = vec![head];
        pieces.extend(&events);
        let done = events.iter().any(|event| event.ends_with(b"[DONE]\n\n"));
        let (address, _) = raw_upstream(pieces, true).await;
        let system = system(address).await;
        let streamed = ask_streamed(&system.proxy_url).await;
        assert_eq!(streamed.text, "tick");
        assert_eq!(
            (streamed.ended, streamed.done),
            (whole, done),
            "{streamed:?}"
        );
        match streamed.error {
            Some(error) => assert_eq!(error["code"], "upstream"),
            None => assert!(whole),
        }
    }
}

#[tokio::test]
async fn answers_that_cannot_be_carried_are_a_sealed_502() {
    for (head, expected) in [
        (
            &b"HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n"[..],
            "upstream_garbage",
        ),
        (
            b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
            "upstream_garbage",
        ),
        (
            b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            "upstream_garbage",
        ),
        (
            b"HTTP/1.1 302 X\r\nlocation: /v1/models\r\ncontent-length: 0\r\n\r\n",
            "upstream_redirect",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            "upstream_encoding",
        ),
    ] {
        let (address, raw) = raw_upstream(vec![head], true).await;
        let system = system(address).await;
        let (status, error) = ask(&system.proxy_url).await;
        assert_eq!((status.as_u16(), code(&error)), (502, expected));
        let requests = raw.requests.lock().expect("no panic").join("");
        assert!(requests.contains("accept-encoding: identity"), "{requests}");
    }
}

#[tokio::test]
async fn a_model_server_that_closes_after_each_answer_answers_every_time() {
    let (address, _) = raw_upstream(
        vec![b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"],
        true,
    )
    .await;
    let system = system(address).await;
    for number in 0..20 {
        let (status, answer) = ask(&system.proxy_url).await;
        assert_eq!(status, 200, "{number} {answer}");
    }
}

#[tokio::test]
async fn the_content_reaches_the_model_server_to_the_byte_but_for_what_is_set() {
    let (address, raw) = raw_upstream(
        vec![b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"],
        true,
    )
    .await;
    let system = system(address).await;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (sent, expected) in [
        (
            r#"{ "temperature": 1.00, "model" : "demo", "x": 1e2 }"#,
            r#"{ "temperature": 1.00, "model" : "demo", "x": 1e2 }"#,
        ),
        (
            r#"{ "model" : "demo",  "stream":true , "x": 1.10 }"#,
            r#"{ "model" : "demo",  "stream":true , "x": 1.10,"stream_options":{"include_usage":true} }"#,
        ),
        (
            r#"{"model":"demo","stream_options": {"b":1.0, "a":[ ]}, "stream":true}"#,
            r#"{"model":"demo","stream_options": {"b":1.0, "a":[ ],"include_usage":true}, "stream":true}"#,
        ),
    ] {
        let response = common::send(
            Method::POST,
            &system.proxy_url,
            "/v1/chat/completions",
            headers.clone(),
            full(sent),
        )
        .await;
        assert_eq!(response.status(), 200);
        let request = raw.requests.lock().expect("no panic").pop().expect("one");
        let (_, body) = request.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_model_that_is_no_label_is_refused_by_the_proxy_itself() {
    let relay = server(|_| async { problem(&Problem::new(RelayCode::Internal, "asked")) }).await;
    let (_proxy, base) = common::proxy_before(relay.address(), &[]).await;
    for bad in [String::new(), "x".repeat(256), "a\u{7}b".to_owned()] {
        let mut body = question(false);
        body["model"] = bad.into();
        let (status, error) = whole(post(&base, "/v1/chat/completions", &body).await).await;
        assert_eq!((status.as_u16(), code(&error)), (400, "bad_model"));
        assert_eq!(error["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn a_proxy_refuses_what_a_web_page_could_send() {
    let upstream = model().await;
    let system = system_with(upstream.address(), |_| {}, |_| {}).await;
    let address = system.proxy.address();
    let body = question(false).to_string();
    let post = |target: &str, fields: &str| {
        format!(
            "POST {target} HTTP/1.1\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let path = "/v1/chat/completions";
    let json = "content-type: application/json\r\n";
    let cases = [
        (post(path, &format!("host: localhost\r\n{json}")), 200),
        (
            post(
                path,
                &format!("host: 127.0.0.1:{}\r\n{json}", address.port()),
            ),
            200,
        ),
        (post(path, &format!("host: evil@localhost\r\n{json}")), 403),
        (
            post(path, &format!("host: localhost:evil.example\r\n{json}")),
            403,
        ),
        (
            post(
                path,
                &format!("host: localhost\r\nhost: evil.example\r\n{json}"),
            ),
            403,
        ),
        (post(path, json), 403),
        (
            post(
                "http://evil.example/v1/chat/completions",
                &format!("host: localhost\r\n{json}"),
            ),
            403,
        ),
        (
            post(path, "host: localhost\r\ncontent-type: text/plain\r\n"),
            415,
        ),
        (
            post(
                path,
                &format!("host: localhost\r\n{json}content-type: text/plain\r\n"),
            ),
            415,
        ),
    ];
    for (request, expected) in cases {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("up");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.get(9..12).unwrap_or_default();
        assert_eq!(
            StatusCode::from_bytes(status.as_bytes())
                .map(|status| status.as_u16())
                .ok(),
            Some(expected),
            "{request}\n{answer}"
        );
    }
}
