//! An instance before a client made of the core alone: what it does before H2, before FINAL, and with what it should refuse.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{MODEL, code, instance, model, raw_upstream, url};
use http::{HeaderMap, Method, Response};
use sealwire::client::{self, AwaitResponse, ClientConfig, Connected, ResponseProgress};
use sealwire::receipt::{ReceiptChecker, ReceiptKind};
use sealwire::{
    Bundle, BundlePolicy, Context, Event, IdentityTrust, Sealer, StreamErrorCode, VerifiedBundle,
    rustcrypto,
};
use sealwire_http::carriage::{BUNDLES_PATH, REQUESTS_PATH, from_base64url, request_headers};
use sealwire_http::inner::{PADDING_FIELD, TIME_FIELD};
use sealwire_http::message::{
    Decoder, Fields, MessageLimits, Piece, RequestHead, ResponseHead, encode_content, encode_end,
};
use sealwire_http::net::{BaseUrl, Body, BodySender, Incoming, channel, full, next_data};
use sealwire_instance::{Instance, InstanceConfig};
use serde_json::{Value, json};

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

async fn bundle(base: &BaseUrl, single_use: bool) -> VerifiedBundle {
    let path = format!("{BUNDLES_PATH}?label={MODEL}&suite=1&single_use={single_use}");
    let (_, list) = common::get(base, &path).await;
    let text = list["bundles"][0]["bundle"].as_str().expect("a bundle");
    let bytes = from_base64url(text).expect("base64url");
    let provider = rustcrypto::provider();
    let policy = BundlePolicy::new(MODEL, IdentityTrust::insecure_trust_relay());
    Bundle::parse(&provider.verification, &bytes)
        .expect("sound")
        .verify(&provider, &policy, unix_now())
        .expect("acceptable")
}

fn context() -> Context {
    Context::new(MODEL, [3; 16], 1).expect("a context")
}

/// H1 and what goes with it.
fn start(bundle: &VerifiedBundle) -> (Vec<u8>, Sealer, AwaitResponse) {
    let mut h1 = Vec::new();
    let (sealer, waiting) = client::start(
        &rustcrypto::provider(),
        &ClientConfig::default(),
        bundle,
        &context(),
        &mut h1,
    )
    .expect("a handshake");
    (h1, sealer, waiting)
}

async fn post(base: &BaseUrl, headers: HeaderMap, body: Body) -> Response<Incoming> {
    common::send(Method::POST, base, REQUESTS_PATH, headers, body).await
}

fn sealed_headers() -> HeaderMap {
    request_headers(&context().encode())
}

/// A request message with a field or two changed.
struct Inner {
    method: &'static str,
    path: &'static str,
    time: Vec<String>,
    padding: Option<&'static str>,
    content: Vec<u8>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            method: "POST",
            path: "/v1/chat/completions",
            time: vec![unix_now().to_string()],
            padding: None,
            content: common::question(false).to_string().into_bytes(),
        }
    }
}

impl Inner {
    fn encode(&self) -> Vec<u8> {
        let mut fields = Fields::new();
        fields
            .push("content-type", b"application/json")
            .expect("valid");
        for time in &self.time {
            fields.push(TIME_FIELD, time.as_bytes()).expect("valid");
        }
        if let Some(padding) = self.padding {
            fields
                .push(PADDING_FIELD, padding.as_bytes())
                .expect("valid");
        }
        let mut out = Vec::new();
        RequestHead {
            method: self.method.into(),
            path: self.path.into(),
            fields,
        }
        .encode(&mut out)
        .expect("valid");
        encode_content(&self.content, &mut out);
        encode_end(&mut out);
        out
    }
}

/// What came back, opened.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    content: Vec<u8>,
    interim: Vec<sealwire::receipt::Receipt>,
    final_receipt: Option<sealwire::receipt::Receipt>,
    finished: bool,
    error: Option<StreamErrorCode>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.content).unwrap_or_default()
    }
}

async fn read_h2(
    mut waiting: AwaitResponse,
    response: Response<Incoming>,
) -> (Connected, Vec<u8>, Incoming) {
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut buffer = Vec::new();
    loop {
        let data = next_data(&mut body, common::IDLE)
            .await
            .expect("H2")
            .expect("no end");
        buffer.extend_from_slice(&data);
        match waiting.read(&buffer).expect("a sound H2") {
            ResponseProgress::Done {
                consumed,
                connected,
            } => return (connected, buffer.split_off(consumed), body),
            ResponseProgress::NeedInput { next, .. } => waiting = next,
            _ => panic!("an unknown state"),
        }
    }
}

async fn read_answer(connected: Connected, mut buffer: Vec<u8>, mut body: Incoming) -> Answer {
    let mut opener = connected.opener;
    let mut receipts = ReceiptChecker::for_session(&connected.session);
    let mut decoder = Decoder::<ResponseHead>::new(MessageLimits::default());
    let mut answer = Answer::default();
    let mut after_final_receipt = false;
    loop {
        let opened = opener.open(&mut buffer).expect("sound frames");
        let consumed = opened.consumed;
        let content = match opened.event {
            Event::NeedInput { .. } => {
                buffer.drain(..consumed);
                match next_data(&mut body, common::IDLE).await.expect("a body") {
                    Some(data) => buffer.extend_from_slice(&data),
                    None => return answer,
                }
                continue;
            }
            Event::Data(content) => {
                after_final_receipt = false;
                content.to_vec()
            }
            Event::Final(content) => {
                // The final receipt stands directly before it.
                assert!(after_final_receipt);
                answer.finished = true;
                content.to_vec()
            }
            Event::Public(body) => {
                let receipt = receipts
                    .check(&rustcrypto::verification(), body)
                    .expect("a sound receipt");
                after_final_receipt = receipt.kind == ReceiptKind::Final;
                if after_final_receipt {
                    answer.final_receipt = Some(receipt);
                } else {
                    answer.interim.push(receipt);
                }
                Vec::new()
            }
            Event::Error { code, .. } => {
                answer.error = Some(code);
                Vec::new()
            }
            _ => panic!("an unknown event"),
        };
        let mut content = content.as_slice();
        loop {
            let (used, piece) = decoder.read(content).expect("a sound message");
            content = &content[used..];
            match piece {
                Piece::NeedInput => break,
                Piece::Head(head) => answer.status = head.status,
                Piece::Content(piece) => answer.content.extend_from_slice(piece),
                Piece::End => {}
            }
        }
        buffer.drain(..consumed);
    }
}

/// Sends a whole request as early data.
async fn ask(base: &BaseUrl, message: &[u8]) -> Answer {
    let (mut wire, sealer, waiting) = start(&bundle(base, false).await);
    sealer.finish(message, &mut wire).expect("room");
    let response = post(base, sealed_headers(), full(wire)).await;
    let (connected, rest, body) = read_h2(waiting, response).await;
    read_answer(connected, rest, body).await
}

async fn with_model() -> (sealwire_http::net::Server, Instance, BaseUrl) {
    let upstream = model().await;
    let instance = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let base = url(instance.address());
    (upstream, instance, base)
}

#[tokio::test]
async fn an_answer_ends_with_a_final_receipt_and_final() {
    let (_upstream, _instance, base) = with_model().await;
    let answer = ask(&base, &Inner::default().encode()).await;
    assert_eq!((answer.status, answer.finished), (200, true));
    let receipt = answer.final_receipt.expect("a receipt");
    assert!(receipt.request_complete && receipt.usage_known);
    assert_eq!((receipt.status, receipt.usage.tokens_out), (200, 6));
}

#[tokio::test]
async fn inner_requests_that_are_not_allowed_get_a_sealed_refusal() {
    let (upstream, raw) = raw_upstream(vec![b"HTTP/1.1 200 OK\r\n\r\n"], true).await;
    let instance = instance(InstanceConfig::new(url(upstream), MODEL), 1).await;
    let base = url(instance.address());
    let late = (unix_now() - 100).to_string();
    let cases: Vec<(Inner, u16, &str)> = vec![
        (
            Inner {
                time: vec![late],
                ..Inner::default()
            },
            400,
            "clock_skew",
        ),
        (
            Inner {
                time: vec![],
                ..Inner::default()
            },
            400,
            "bad_head",
        ),
        (
            Inner {
                padding: Some("loud"),
                ..Inner::default()
            },
            400,
            "bad_head",
        ),
        (
            Inner {
                path: "/admin",
                ..Inner::default()
            },
            404,
            "unknown_url",
        ),
        (
            Inner {
                path: "/v1/../admin",
                ..Inner::default()
            },
            404,
            "unknown_url",
        ),
        (
            Inner {
                method: "GET",
                path: "/v1/x?\"<>",
                content: vec![],
                ..Inner::default()
            },
            404,
            "unknown_url",
        ),
        (
            Inner {
                method: "DELETE",
                ..Inner::default()
            },
            405,
            "method_not_allowed",
        ),
        (
            Inner {
                content: json!({"model": "other"}).to_string().into_bytes(),
                ..Inner::default()
            },
            400,
            "model_mismatch",
        ),
        (
            Inner {
                content: br#"{"model":"demo","model":"other"}"#.to_vec(),
                ..Inner::default()
            },
            400,
            "bad_json",
        ),
    ];
    for (inner, status, expected) in cases {
        let answer = ask(&base, &inner.encode()).await;
        assert_eq!(
            (answer.status, code(&answer.json()), answer.finished),
            (status, expected, true)
        );
        // Not the text about addresses of servers.
        assert!(!answer.json().to_string().contains("127.0.0.1"));
        let receipt = answer.final_receipt.expect("a receipt");
        assert!(!receipt.usage_known);
        assert_eq!(receipt.status, status);
    }
    // Malformed messages: another framing indicator; FINAL before the message's end.
    let whole = Inner::default().encode();
    for message in [&b"\x00"[..], b"", &whole[..whole.len() - 40]] {
        let answer = ask(&base, message).await;
        assert_eq!((answer.status, code(&answer.json())), (400, "bad_message"));
    }
    assert!(raw.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn too_much_content_is_refused_while_it_comes() {
    let upstream = model().await;
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.limits.request_bytes = 1_000;
    let instance = instance(config, 1).await;
    let inner = Inner {
        content: vec![b'x'; 200_000],
        ..Inner::default()
    };
    let answer = ask(&url(instance.address()), &inner.encode()).await;
    assert_eq!((answer.status, answer.finished), (413, true));
    let receipt = answer.final_receipt.expect("a receipt");
    assert!(!receipt.request_complete);
}

/// A stream whose request is still open.
async fn open_stream(
    base: &BaseUrl,
    single_use: bool,
) -> (BodySender, Sealer, Connected, Vec<u8>, Incoming) {
    let (h1, sealer, waiting) = start(&bundle(base, single_use).await);
    let (sender, body) = channel(4);
    sender.send(h1).await.expect("room");
    let response = post(base, sealed_headers(), body).await;
    let (connected, rest, body) = read_h2(waiting, response).await;
    (sender, sealer, connected, rest, body)
}

#[tokio::test]
async fn h2_comes_before_any_frame_and_nothing_runs_before_final() {
    let (upstream, raw) = raw_upstream(
        vec![b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"],
        true,
    )
    .await;
    let instance = instance(InstanceConfig::new(url(upstream), MODEL), 1).await;
    let base = url(instance.address());
    let (sender, mut sealer, connected, rest, body) = open_stream(&base, false).await;
    // The whole message, but no FINAL.
    let mut frames = Vec::new();
    sealer
        .switch(
            // Taken out of the connection below.
            connected.switch_key,
            &mut frames,
        )
        .expect("room");
    sealer
        .seal_vec(&Inner::default().encode(), &mut frames)
        .expect("room");
    sender.send(frames).await.expect("room");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(raw.requests.lock().expect("no panic").is_empty());
    let mut frames = Vec::new();
    sealer.finish(&[], &mut frames).expect("room");
    sender.send(frames).await.expect("room");
    sender.finish().await.expect("room");
    let mut opener = connected.opener;
    let mut buffer = rest;
    let mut body = body;
    loop {
        let opened = opener.open(&mut buffer).expect("sound");
        let consumed = opened.consumed;
        let ended = matches!(opened.event, Event::Final(_));
        let more = matches!(opened.event, Event::NeedInput { .. });
        buffer.drain(..consumed);
        if ended {
            break;
        }
        if more {
            let data = next_data(&mut body, common::IDLE).await.expect("a body");
            buffer.extend_from_slice(&data.expect("no end"));
        }
    }
    assert_eq!(raw.requests.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn a_request_that_breaks_off_ends_in_error_and_runs_nothing() {
    let (upstream, raw) = raw_upstream(vec![], false).await;
    let mut config = InstanceConfig::new(url(upstream), MODEL);
    config.limits.request_idle = Duration::from_millis(200);
    let instance = instance(config, 1).await;
    let base = url(instance.address());
    let message = Inner::default().encode();

    // The body ends properly, without FINAL.
    let (mut wire, mut sealer, waiting) = start(&bundle(&base, false).await);
    sealer.seal_vec(&message, &mut wire).expect("room");
    let response = post(&base, sealed_headers(), full(wire)).await;
    let (connected, rest, body) = read_h2(waiting, response).await;
    let answer = read_answer(connected, rest, body).await;
    assert_eq!(
        (answer.error, answer.finished),
        (Some(StreamErrorCode::Incomplete), false)
    );
    assert!(!answer.final_receipt.expect("a receipt").request_complete);

    // A changed frame.
    let (mut wire, sealer, waiting) = start(&bundle(&base, false).await);
    let at = wire.len() + 10;
    sealer.finish(&message, &mut wire).expect("room");
    wire[at] ^= 1;
    let response = post(&base, sealed_headers(), full(wire)).await;
    let (connected, rest, body) = read_h2(waiting, response).await;
    let answer = read_answer(connected, rest, body).await;
    assert_eq!(answer.error, Some(StreamErrorCode::Protocol));

    // The client says that it gave up.
    let (mut wire, sealer, waiting) = start(&bundle(&base, false).await);
    sealer
        .fail(StreamErrorCode::Cancelled, "enough", &mut wire)
        .expect("room");
    let response = post(&base, sealed_headers(), full(wire)).await;
    let (connected, rest, body) = read_h2(waiting, response).await;
    let answer = read_answer(connected, rest, body).await;
    assert_eq!(answer.error, Some(StreamErrorCode::Cancelled));

    // Silence.
    let (_sender, _sealer, connected, rest, body) = open_stream(&base, false).await;
    let answer = read_answer(connected, rest, body).await;
    assert_eq!(answer.error, Some(StreamErrorCode::Incomplete));
    assert!(raw.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_replayed_handshake_is_refused_and_a_single_use_key_serves_once() {
    let (_upstream, _instance, base) = with_model().await;
    for (single_use, expected) in [(false, "replayed"), (true, "key-unknown")] {
        let (mut wire, sealer, waiting) = start(&bundle(&base, single_use).await);
        sealer
            .finish(&Inner::default().encode(), &mut wire)
            .expect("room");
        let response = post(&base, sealed_headers(), full(wire.clone())).await;
        let (connected, rest, body) = read_h2(waiting, response).await;
        assert!(read_answer(connected, rest, body).await.finished);
        let response = post(&base, sealed_headers(), full(wire)).await;
        let (status, problem) = common::whole(response).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (409, Some(expected))
        );
    }
}

#[tokio::test]
async fn another_context_beside_h1_is_refused() {
    let (_upstream, _instance, base) = with_model().await;
    let (mut wire, sealer, _waiting) = start(&bundle(&base, false).await);
    sealer
        .finish(&Inner::default().encode(), &mut wire)
        .expect("room");
    for other in [
        Context::new(MODEL, [3; 16], 2),
        Context::new(MODEL, [4; 16], 1),
        Context::new("other", [3; 16], 1),
        context().with_billing(b"somebody else"),
    ] {
        let other = other.expect("a context").encode();
        let response = post(&base, request_headers(&other), full(wire.clone())).await;
        let (status, problem) = common::whole(response).await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (400, &json!("refused"))
        );
        // One text for all causes.
        assert_eq!(problem["detail"], "the handshake was refused");
    }
}

#[tokio::test]
async fn a_full_instance_is_busy_before_it_decapsulates() {
    let (upstream, _raw) = raw_upstream(vec![], false).await;
    let mut config = InstanceConfig::new(url(upstream), MODEL);
    config.limits.streams = 1;
    let instance = instance(config, 1).await;
    let base = url(instance.address());
    let first = open_stream(&base, false).await;
    // A confirmation that would fail: busy comes first.
    let (mut wire, _sealer, _waiting) = start(&bundle(&base, false).await);
    let last = wire.len() - 1;
    wire[last] ^= 1;
    let response = post(&base, sealed_headers(), full(wire.clone())).await;
    let (status, problem) = common::whole(response).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("busy")));
    drop(first);
    // The place is free again as soon as the client has gone.
    for _ in 0..200 {
        let response = post(&base, sealed_headers(), full(wire.clone())).await;
        let (_, problem) = common::whole(response).await;
        if problem["code"] == "refused" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not freed");
}

#[tokio::test]
async fn interim_receipts_come_on_their_clock_while_the_model_thinks() {
    let (upstream, _raw) = raw_upstream(vec![], false).await;
    let mut config = InstanceConfig::new(url(upstream), MODEL);
    config.limits.receipt_interval = Duration::from_millis(50);
    config.limits.upstream_head_time = Duration::from_millis(400);
    let instance = instance(config, 1).await;
    let answer = ask(&url(instance.address()), &Inner::default().encode()).await;
    assert_eq!(answer.status, 504);
    let receipt = answer.final_receipt.expect("a receipt");
    assert!(receipt.index >= 2, "{receipt:?}");
}

#[tokio::test]
async fn interim_receipts_are_rounded_up_and_state_only_what_was_reported() {
    const REPORTED: &[u8] = b"data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":257,\"completion_tokens\":3}}\n\n";
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    const UNREPORTED: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    for (event, padding, known, tokens) in [
        (REPORTED, None, true, (512, 256)),
        (UNREPORTED, None, false, (0, 0)),
        (REPORTED, Some("constant"), true, (0, 0)),
    ] {
        let (upstream, _raw) = raw_upstream(vec![HEAD, event], false).await;
        let mut config = InstanceConfig::new(url(upstream), MODEL);
        config.limits.receipt_interval = Duration::from_millis(150);
        config.limits.upstream_idle = Duration::from_millis(600);
        let instance = instance(config, 1).await;
        let inner = Inner {
            padding,
            ..Inner::default()
        };
        let answer = ask(&url(instance.address()), &inner.encode()).await;
        assert_eq!(answer.error, Some(StreamErrorCode::UpstreamTimeout));
        let last = answer.final_receipt.expect("a receipt");
        assert_eq!(last.usage_known, known);
        if known {
            assert_eq!((last.usage.tokens_in, last.usage.tokens_out), (257, 3));
        }
        assert_eq!(answer.interim.is_empty(), padding.is_some());
        if let Some(interim) = answer.interim.last() {
            assert_eq!(interim.usage_known, known);
            assert_eq!((interim.usage.tokens_in, interim.usage.tokens_out), tokens);
        }
    }
}

#[tokio::test]
async fn the_least_padding_of_an_instance_holds() {
    let upstream = model().await;
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.least_padding = sealwire_http::inner::PaddingWish::Constant;
    let instance = instance(config, 1).await;
    let base = url(instance.address());
    let (mut wire, sealer, waiting) = start(&bundle(&base, false).await);
    sealer
        .finish(&Inner::default().encode(), &mut wire)
        .expect("room");
    let response = post(&base, sealed_headers(), full(wire)).await;
    let (_connected, mut bytes, mut body) = read_h2(waiting, response).await;
    while let Some(data) = next_data(&mut body, common::IDLE).await.expect("a body") {
        bytes.extend_from_slice(&data);
    }
    let mut at = 0;
    let mut lengths = Vec::new();
    while let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        let header = sealwire::frame::FrameHeader::decode(*header).expect("a frame");
        if header.frame_type == sealwire::frame::FrameType::Sealed {
            lengths.push(header.frame_len());
        }
        at += header.frame_len();
    }
    assert!(!lengths.is_empty());
    assert!(
        lengths.iter().all(|length| *length == 1_024 + 24),
        "{lengths:?}"
    );
}

#[tokio::test]
async fn labels_are_kept_apart() {
    let upstream = model().await;
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.models.push("other".to_owned());
    let instance = instance(config, 1).await;
    let base = url(instance.address());
    // Sealed for "demo", asks for "other".
    let inner = Inner {
        content: json!({"model": "other", "messages": []})
            .to_string()
            .into_bytes(),
        ..Inner::default()
    };
    let answer = ask(&base, &inner.encode()).await;
    assert_eq!(
        (answer.status, code(&answer.json())),
        (400, "model_mismatch")
    );
}
