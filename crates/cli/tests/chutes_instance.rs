//! The whole way of chutes-v1: a client made of the core, our relay, our instance; and everything that an instance refuses.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{
    ANSWER, MODEL, SSE_HEAD, SSE_TICK, code, get, model, raw_upstream, relay, url, whole,
};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Response};
use sealwire::compat::chutes::{
    AwaitResponse, ChutesError, Codec, Event, Head, InstanceKey, KeyRingConfig, Reply,
    StreamLimits, StreamOpener, seal_request, testing,
};
use sealwire::rustcrypto;
use sealwire_http::carriage::BUNDLES_PATH;
use sealwire_http::chutes::{
    DESCRIPTION_PATH, INSTANCE_EVIDENCE_PATH, INSTANCE_INVOKE_PATH, INVOKE_PATH,
};
use sealwire_http::discovery::bundles_from_json;
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{BaseUrl, Body, Incoming, Server, channel, full, next_data, read_all};
use sealwire_http::profile::Profile;
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_relay::{Relay, RelayConfig};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const CHAT: &str = "/v1/chat/completions";
const LIMIT: usize = 16 << 20;

/// A client of this project.
fn ours() -> Codec {
    Codec::new(&rustcrypto::provider())
}

/// A client of the deployed kind.
fn deployed() -> Codec {
    Codec {
        extensions: false,
        ..ours()
    }
}

fn question(stream: bool) -> Value {
    common::question(stream)
}

/// An instance and a relay that speak chutes-v1.
struct System {
    instance: Instance,
    direct: BaseUrl,
    _relay: Relay,
    relay: BaseUrl,
}

async fn system_with(upstream: SocketAddr, change: impl FnOnce(&mut InstanceConfig)) -> System {
    let mut config = InstanceConfig::new(url(upstream), MODEL);
    config.profiles = vec![Profile::ChutesV1];
    change(&mut config);
    let instance = common::instance(config, 1).await;
    let direct = url(instance.address());
    let mut config = RelayConfig::new(vec![direct.clone()]);
    config.profiles = vec![Profile::ChutesV1];
    config.limits.poll_interval = Duration::from_millis(100);
    let running = relay(config).await;
    let relay = url(running.address());
    common::found(&relay).await;
    System {
        instance,
        direct,
        _relay: running,
        relay,
    }
}

async fn system(upstream: SocketAddr) -> System {
    system_with(upstream, |_| {}).await
}

fn header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = value.parse().expect("a value");
    headers.insert(HeaderName::from_static(name), value);
}

fn instance_headers(chute: &str, path: &str, stream: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    header(&mut headers, "content-type", "application/octet-stream");
    header(&mut headers, "x-chute-id", chute);
    header(&mut headers, "x-e2e-path", path);
    header(
        &mut headers,
        "x-e2e-stream",
        if stream { "true" } else { "false" },
    );
    headers
}

fn instance_key(text: &Value) -> InstanceKey {
    let text = text.as_str().expect("a key");
    InstanceKey::from_base64(&rustcrypto::provider(), text).expect("a sound key")
}

/// What an answer came to.
struct Answered {
    waiting: AwaitResponse,
    response: Response<Incoming>,
}

impl Answered {
    async fn blob(self) -> Reply {
        assert_eq!(self.response.status(), 200);
        assert_eq!(
            self.response.headers()[CONTENT_TYPE],
            "application/octet-stream"
        );
        let mut body = self.response.into_body();
        let blob = read_all(&mut body, LIMIT, common::IDLE)
            .await
            .expect("whole");
        self.waiting
            .open(&blob, LIMIT)
            .expect("sealed to this client")
    }

    async fn events(self) -> Streamed {
        assert_eq!(self.response.status(), 200);
        assert_eq!(self.response.headers()[CONTENT_TYPE], "text/event-stream");
        let mut opener = self.waiting.into_stream(StreamLimits::default());
        let mut body = self.response.into_body();
        let mut streamed = Streamed::default();
        while let Some(data) = next_data(&mut body, common::IDLE).await.expect("an end") {
            opener.push(&data);
            streamed.drain(&mut opener);
        }
        streamed.end = Some(opener.end_of_input());
        streamed
    }
}

/// An opened stream.
#[derive(Debug, Default)]
struct Streamed {
    head: Option<Head>,
    lines: Vec<String>,
    /// Counts in clear.
    counts: Vec<(u64, u64)>,
    end: Option<Result<(), ChutesError>>,
}

impl Streamed {
    fn drain(&mut self, opener: &mut StreamOpener) {
        while let Some(event) = opener.next_event().expect("a sound stream") {
            match event {
                Event::Head(head) => {
                    assert!(self.lines.is_empty());
                    self.head = Some(head);
                }
                Event::Content(line) | Event::Done(line) => {
                    self.lines.push(String::from_utf8(line).expect("UTF-8"));
                }
                Event::Usage(usage) => self.counts.push((usage.prompt, usage.completion)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The data of events with JSON.
    fn data(&self) -> Vec<Value> {
        self.lines
            .iter()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| data.trim() != "[DONE]")
            .map(|data| serde_json::from_str(data).expect("JSON"))
            .collect()
    }

    fn text(&self) -> String {
        let data = self.data();
        let texts = data.iter().filter_map(|data| {
            data.pointer("/choices/0/delta/content")
                .and_then(Value::as_str)
        });
        texts.collect()
    }
}

impl System {
    async fn description(&self) -> Value {
        get(&self.direct, DESCRIPTION_PATH).await.1
    }

    async fn chute(&self) -> String {
        let description = self.description().await;
        let id = &description["chutes"][0]["chute_id"];
        id.as_str().expect("an id").to_owned()
    }

    /// Through the relay, as a client does.
    async fn ask_with(
        &self,
        codec: &Codec,
        body: &Value,
        more: &[(&'static str, &str)],
    ) -> Answered {
        let (_, models) = get(&self.relay, "/v1/models").await;
        let chute = models["data"][0]["chute_id"].as_str().expect("an id");
        let (_, found) = get(&self.relay, &format!("/e2e/instances/{chute}")).await;
        let found = &found["instances"][0];
        let key = instance_key(&found["e2e_pubkey"]);
        let (blob, waiting) =
            seal_request(codec, &key, CHAT, body.to_string().as_bytes()).expect("sealed");
        let mut headers = instance_headers(chute, CHAT, body["stream"] == true);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        header(&mut headers, "x-instance-id", &text(&found["instance_id"]));
        header(&mut headers, "x-e2e-nonce", &text(&found["nonces"][0]));
        for (name, value) in more {
            header(&mut headers, name, value);
        }
        let response =
            common::send(Method::POST, &self.relay, INVOKE_PATH, headers, full(blob)).await;
        Answered { waiting, response }
    }

    async fn ask(&self, codec: &Codec, body: &Value) -> Answered {
        self.ask_with(codec, body, &[]).await
    }

    /// Straight to the instance.
    async fn post(&self, headers: HeaderMap, body: Body) -> Response<Incoming> {
        common::send(
            Method::POST,
            &self.direct,
            INSTANCE_INVOKE_PATH,
            headers,
            body,
        )
        .await
    }

    async fn key(&self) -> InstanceKey {
        instance_key(&self.description().await["e2e_pubkey"])
    }

    /// A sound request, sealed to the current key.
    async fn sealed(&self, body: &Value) -> Vec<u8> {
        let body = body.to_string();
        seal_request(&ours(), &self.key().await, CHAT, body.as_bytes())
            .expect("sealed")
            .0
    }
}

async fn refused(response: Response<Incoming>, status: u16, what: &str) {
    let (seen, body) = whole(response).await;
    assert_eq!((seen.as_u16(), &body), (status, &json!({"detail": what})));
}

#[tokio::test]
async fn a_whole_answer_crosses_and_is_metered() {
    let upstream = model().await;
    let system = system(upstream.address()).await;
    for (number, codec) in [ours(), deployed()].into_iter().enumerate() {
        let answered = system.ask(&codec, &question(false)).await;
        assert!(!answered.response.headers().contains_key("x-e2e-usage"));
        let reply = answered.blob().await;
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(body["choices"][0]["message"]["content"], ANSWER);
        // A deployed client skips it.
        let head = reply.head.expect("a head");
        assert_eq!(
            (head.status, head.content_type.as_str()),
            (200, "application/json")
        );
        let requests = u64::try_from(number).expect("small") + 1;
        let row = common::usage(&system.relay, requests).await;
        assert_eq!(row["tokens_out"], 6 * requests);
        assert_eq!(
            row["tokens_in"],
            body["usage"]["prompt_tokens"].as_u64().expect("counted") * requests
        );
    }
}

#[tokio::test]
async fn a_streamed_answer_crosses_line_by_line_and_is_metered() {
    let upstream = model().await;
    let system = system(upstream.address()).await;
    for (number, (codec, passthrough)) in [(ours(), "false"), (deployed(), "true")]
        .into_iter()
        .enumerate()
    {
        let more = [("x-e2ee-usage-passthrough", passthrough)];
        let streamed = system
            .ask_with(&codec, &question(true), &more)
            .await
            .events()
            .await;
        assert_eq!(streamed.end, Some(Ok(())), "{streamed:?}");
        assert_eq!(streamed.text(), ANSWER);
        assert_eq!(streamed.head.as_ref().map(|head| head.status), Some(200));
        // Each line brings its end, and so does the blank one behind it.
        for pair in streamed.lines.chunks(2) {
            assert!(pair[0].starts_with("data: ") && pair[0].ends_with('\n'));
            assert_eq!(pair[1], "\n");
        }
        let end = &streamed.lines[streamed.lines.len() - 2];
        assert_eq!(end, "data: [DONE]\n");
        // Counts run inside, and in clear where the relay was asked to leave them.
        let running: Vec<u64> = streamed
            .data()
            .iter()
            .filter_map(|data| data["usage"]["completion_tokens"].as_u64())
            .collect();
        assert!(running.len() > 6 && running.is_sorted(), "{running:?}");
        let told: Vec<u64> = streamed.counts.iter().map(|counts| counts.1).collect();
        if passthrough == "true" {
            assert_eq!(told, [0, 1, 2, 3, 4, 5, 6]);
        } else {
            assert!(told.is_empty());
        }
        let requests = u64::try_from(number).expect("small") + 1;
        let row = common::usage(&system.relay, requests).await;
        assert_eq!(row["tokens_out"], 6 * requests);
    }
}

#[tokio::test]
async fn the_model_server_gets_the_request_without_what_is_the_protocols() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for stream in [false, true] {
        let (address, raw) = raw_upstream(vec![answer], true).await;
        let system = system(address).await;
        let mut body = question(stream);
        body["stream_options"] = json!({"include_usage": false});
        system.ask(&ours(), &body).await.blob().await;
        let requests = raw.requests.lock().expect("no panic").join("");
        assert!(requests.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
        let sent: Value = requests
            .split_once("\r\n\r\n")
            .and_then(|(_, sent)| serde_json::from_str(sent).ok())
            .expect("JSON");
        if stream {
            body["stream_options"] = json!({"include_usage": true, "continuous_usage_stats": true});
        }
        assert_eq!(sent, body);
        let head = requests.to_ascii_lowercase();
        for absent in ["e2e", "chute", "authorization"] {
            assert!(!head.contains(absent), "{absent} in {requests}");
        }
    }
}

#[tokio::test]
async fn a_description_says_what_a_relay_needs() {
    let upstream = model().await;
    let id = "0b2c1a5e-0000-4000-8000-000000000001"
        .parse()
        .expect("an id");
    let chute = "e51e818e-fa63-570d-9f68-49d7d1b4d12f"
        .parse()
        .expect("an id");
    let system = system_with(upstream.address(), |config| {
        config.models.push("other".to_owned());
        config.chutes.instance_id = Some(id);
        config.chutes.chute_ids.insert("other".to_owned(), chute);
        config.chutes.features = vec!["tools".to_owned()];
    })
    .await;
    let description = system.description().await;
    let derived = sealwire_http::chutes::default_chute_id(rustcrypto::verification().hash, MODEL);
    assert_eq!(description["instance_id"], json!(id));
    assert_eq!(
        description["chutes"],
        json!([{"chute_id": derived, "model": MODEL}, {"chute_id": chute, "model": "other"}])
    );
    assert_eq!(description["confidential_compute"], false);
    assert_eq!(description["supported_features"], json!(["tools"]));
    assert_eq!(system.instance.instance_id(), Some(id));
    let (status, body) = get(
        &system.direct,
        &format!("{INSTANCE_EVIDENCE_PATH}?nonce={}", "0".repeat(64)),
    )
    .await;
    assert_eq!(
        (status.as_u16(), body),
        (404, json!({"detail": "this instance has no evidence"}))
    );
    for path in ["/sealwire/v1/instance", "/nothing"] {
        let (status, body) = get(&system.direct, path).await;
        assert_eq!(
            (status.as_u16(), body),
            (404, json!({"detail": "Not Found"}))
        );
    }
    // Without a setting, another name after each start.
    let [first, second] = [1, 2].map(|_| {
        let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
        config.profiles = vec![Profile::ChutesV1];
        common::instance(config, 1)
    });
    let (first, second) = (first.await.instance_id(), second.await.instance_id());
    assert!(first.is_some() && first != second);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_model_server_not_asked() {
    let (address, raw) = raw_upstream(vec![], true).await;
    let system = system_with(address, |config| {
        config.models.push("other".to_owned());
        config.limits.request_bytes = 100_000;
    })
    .await;
    let chute = system.chute().await;
    let good = instance_headers(&chute, CHAT, false);
    let with = |name: &'static str, value: &str| {
        let mut headers = good.clone();
        header(&mut headers, name, value);
        headers
    };
    let without = |name: &str| {
        let mut headers = good.clone();
        headers.remove(name);
        headers
    };
    let mut twice = good.clone();
    twice.append("x-e2e-stream", "false".parse().expect("ASCII"));
    let other_chute = "0b2c1a5e-0000-8000-8000-000000000001";
    let expected_stream = "expected one field x-e2e-stream: true or false";
    // In clear; the blob is not looked at.
    for (headers, what) in [
        (
            without("content-type"),
            "expected Content-Type: application/octet-stream",
        ),
        (
            with("content-type", "application/json"),
            "expected Content-Type: application/octet-stream",
        ),
        (
            without("x-chute-id"),
            "expected one field x-chute-id: an id",
        ),
        (
            with("x-chute-id", "demo"),
            "expected one field x-chute-id: an id",
        ),
        (without("x-e2e-stream"), expected_stream),
        (with("x-e2e-stream", "maybe"), expected_stream),
        (twice, expected_stream),
        (
            without("x-e2e-path"),
            "expected one field x-e2e-path: a path",
        ),
        (
            with("x-chute-id", other_chute),
            "this chute is not served here",
        ),
    ] {
        refused(system.post(headers, full("blob")).await, 400, what).await;
    }
    // What is sealed.
    let key = system.key().await;
    let raw_json = |json: &str| testing::seal_raw(&ours(), &key, json.as_bytes()).expect("sealed");
    let sound = system.sealed(&question(false)).await;
    let mut changed = sound.clone();
    changed[1_200] ^= 1;
    let elsewhere = {
        let other = common::model().await;
        let other = self::system(other.address()).await;
        other.sealed(&question(false)).await
    };
    let packed = |info: &str, packed: &[u8]| {
        testing::seal_packed(&ours(), &key, info, packed).expect("sealed")
    };
    let stream = system.sealed(&question(true)).await;
    let mut other_model = question(false);
    other_model["model"] = "other".into();
    let other_model = system.sealed(&other_model).await;
    let large = question(false)
        .to_string()
        .replace("France", &"x".repeat(100_000));
    let large: Value = serde_json::from_str(&large).expect("JSON");
    let bomb = system.sealed(&large).await;
    assert!(bomb.len() < 10_000);
    let no_key = "no key that is held opens the request; seal it anew to the current key";
    let no_object =
        "the request cannot be read: the body must be one JSON object whose names are unique";
    let no_response_key = "the request cannot be read: the request has no e2e_response_pk that is base64 of a valid ML-KEM-768 key";
    let refusals: Vec<(HeaderMap, Vec<u8>, u16, &str)> = vec![
        (
            good.clone(),
            b"blob".to_vec(),
            400,
            "the request cannot be read: shorter than key ciphertext, nonce and tag",
        ),
        (good.clone(), changed, 426, no_key),
        (good.clone(), elsewhere, 426, no_key),
        // For the other direction.
        (good.clone(), packed("e2e-resp-v1", b""), 426, no_key),
        (
            good.clone(),
            packed("e2e-req-v1", b"{}"),
            400,
            "the request cannot be read: the content is not gzip",
        ),
        (good.clone(), raw_json("[]"), 400, no_object),
        (good.clone(), raw_json("{\"a\":1,\"a\":2}"), 400, no_object),
        (
            good.clone(),
            raw_json("{\"model\":\"demo\"}"),
            400,
            no_response_key,
        ),
        (
            good.clone(),
            raw_json("{\"model\":\"demo\",\"e2e_response_pk\":\"AAAA\"}"),
            400,
            no_response_key,
        ),
        (
            good.clone(),
            bomb,
            413,
            "the request has more than 100000 bytes",
        ),
        (
            good.clone(),
            vec![7; 200_000],
            413,
            "the request has more than 100000 bytes",
        ),
        (
            good.clone(),
            stream,
            400,
            "the stream flag differs from the request's own",
        ),
        (
            good.clone(),
            other_model,
            400,
            "the request's model is not the chute's",
        ),
        (
            with("x-e2e-path", "/v1/completions"),
            sound.clone(),
            400,
            "the request cannot be read: the path asked for is not the one that the client sealed: suspect the relay",
        ),
    ];
    for (headers, blob, status, what) in refusals {
        refused(system.post(headers, full(blob)).await, status, what).await;
    }
    // A client that seals no path: the allow-list judges.
    for path in ["/admin", "/v1/../admin", "/v1/models?a=b", "v1/models"] {
        let body = question(false).to_string();
        let (blob, _) = seal_request(&deployed(), &key, CHAT, body.as_bytes()).expect("sealed");
        let headers = with("x-e2e-path", path);
        let what = "an instance serves plain paths under /v1/, /tokenize and /detokenize only";
        refused(system.post(headers, full(blob)).await, 400, what).await;
    }
    assert!(raw.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_request_is_accepted_once() {
    let upstream = model().await;
    let system = system(upstream.address()).await;
    let headers = instance_headers(&system.chute().await, CHAT, false);
    let blob = system.sealed(&question(false)).await;
    let first = system.post(headers.clone(), full(blob.clone())).await;
    assert_eq!(first.status(), 200);
    let again = system.post(headers, full(blob)).await;
    refused(again, 409, "this request was accepted before; seal it anew").await;
}

const EMPTY_OBJECT: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn no_request_goes_on_to_the_model_server_before_it_is_whole() {
    let (address, raw) = raw_upstream(vec![EMPTY_OBJECT], true).await;
    let system = system(address).await;
    let blob = system.sealed(&question(false)).await;
    let (last, most) = blob.split_last().expect("not empty");
    let headers = instance_headers(&system.chute().await, CHAT, false);
    let (sender, body) = channel(1);
    let base = system.direct.clone();
    let asking = tokio::spawn(async move {
        common::send(Method::POST, &base, INSTANCE_INVOKE_PATH, headers, body).await
    });
    sender.send(most.to_vec()).await.expect("open");
    // Another request that came later is answered before.
    system.ask(&ours(), &question(false)).await.blob().await;
    assert_eq!(raw.requests.lock().expect("no panic").len(), 1);
    sender.send(vec![*last]).await.expect("open");
    sender.finish().await.expect("open");
    assert_eq!(asking.await.expect("no panic").status(), 200);
    assert_eq!(raw.requests.lock().expect("no panic").len(), 2);
}

#[tokio::test]
async fn a_request_that_breaks_off_never_reaches_the_model_server() {
    let (address, raw) = raw_upstream(vec![EMPTY_OBJECT], true).await;
    // The place is free again when the broken request is done with.
    let system = system_with(address, |config| config.limits.streams = 1).await;
    let blob = system.sealed(&question(false)).await;
    let (_, most) = blob.split_last().expect("not empty");
    let (_, found) = get(
        &system.relay,
        &format!("/e2e/instances/{}", system.chute().await),
    )
    .await;
    let found = &found["instances"][0];
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut headers = instance_headers(&system.chute().await, CHAT, false);
    header(&mut headers, "x-instance-id", &text(&found["instance_id"]));
    header(&mut headers, "x-e2e-nonce", &text(&found["nonces"][0]));
    let (sender, body) = channel(1);
    let base = system.relay.clone();
    let asking =
        tokio::spawn(
            async move { common::send(Method::POST, &base, INVOKE_PATH, headers, body).await },
        );
    sender.send(most.to_vec()).await.expect("open");
    // It has come as far as the instance.
    while system
        .ask(&ours(), &question(false))
        .await
        .response
        .status()
        == 200
    {
        sleep(Duration::from_millis(10)).await;
    }
    let before = raw.requests.lock().expect("no panic").len();
    sender.abort().await;
    asking.abort();
    for _ in 0..400 {
        let answered = system.ask(&ours(), &question(false)).await;
        if answered.response.status() == 200 {
            answered.blob().await;
            assert_eq!(raw.requests.lock().expect("no panic").len(), before + 1);
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not freed");
}

#[tokio::test]
async fn an_instance_without_a_free_place_says_so_before_it_reads() {
    let (address, raw) = raw_upstream(vec![], false).await;
    let system = system_with(address, |config| config.limits.streams = 1).await;
    let headers = instance_headers(&system.chute().await, CHAT, false);
    let blob = system.sealed(&question(false)).await;
    let (base, first_headers) = (system.direct.clone(), headers.clone());
    let first = tokio::spawn(async move {
        common::send(
            Method::POST,
            &base,
            INSTANCE_INVOKE_PATH,
            first_headers,
            full(blob),
        )
        .await
    });
    while raw.requests.lock().expect("no panic").is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let (_sender, never) = channel(1);
    refused(
        system.post(headers.clone(), never).await,
        503,
        "no capacity, try again later",
    )
    .await;
    // The relay says it in the platform's words.
    let answered = system.ask(&ours(), &question(false)).await;
    refused(
        answered.response,
        429,
        "Instance is at maximum capacity, try again later",
    )
    .await;
    // A relay that goes away frees the place, and ends the call.
    first.abort();
    timeout(common::IDLE, raw.closed.notified())
        .await
        .expect("cancelled");
    for _ in 0..200 {
        if system.post(headers.clone(), full("blob")).await.status() == 400 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was not freed");
}

#[tokio::test]
async fn keys_rotate_through_discovery_and_the_last_one_still_opens() {
    let upstream = model().await;
    let system = system_with(upstream.address(), |config| {
        config.chutes.keys = KeyRingConfig {
            rotation: 1,
            lifetime: 3_600,
            ..KeyRingConfig::default()
        };
    })
    .await;
    let headers = instance_headers(&system.chute().await, CHAT, false);
    let old = system.key().await;
    let body = question(false).to_string();
    let (blob, waiting) = seal_request(&ours(), &old, CHAT, body.as_bytes()).expect("sealed");
    for _ in 0..400 {
        if system.key().await != old {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(system.key().await, old);
    let response = system.post(headers, full(blob)).await;
    let reply = Answered { waiting, response }.blob().await;
    assert_eq!(reply.head.map(|head| head.status), Some(200));
}

#[tokio::test]
async fn a_key_that_is_used_up_is_erased_and_the_relay_finds_the_next() {
    let upstream = model().await;
    let system = system_with(upstream.address(), |config| {
        config.chutes.keys.filter_capacity = 1;
    })
    .await;
    let headers = instance_headers(&system.chute().await, CHAT, false);
    let [first, second] = [
        system.sealed(&question(false)).await,
        system.sealed(&question(false)).await,
    ];
    assert_eq!(
        system.post(headers.clone(), full(first)).await.status(),
        200
    );
    let gone = system.post(headers, full(second)).await;
    refused(
        gone,
        426,
        "no key that is held opens the request; seal it anew to the current key",
    )
    .await;
    // A client goes on with what discovery has then.
    for _ in 0..200 {
        let answered = system.ask(&ours(), &question(false)).await;
        if answered.response.status() == 200 {
            return;
        }
        assert_eq!(answered.response.status(), 502);
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the relay did not find the new key");
}

#[tokio::test]
async fn a_key_ring_that_cannot_be_is_an_error_at_start() {
    let mut config = InstanceConfig::new(url(common::LOOPBACK), MODEL);
    config.profiles = vec![Profile::ChutesV1];
    config.chutes.keys.rotation = 0;
    let provider = sealwire_cli::provider::provider();
    let seed = common::seed(1);
    let start = |config| sealwire_instance::start(config, provider, &seed, common::client());
    let error = start(config.clone()).await.err();
    assert!(matches!(
        error,
        Some(sealwire_instance::StartError::Chutes(ChutesError::KeyRing))
    ));
    config.profiles = Vec::new();
    let error = start(config).await.err();
    assert!(matches!(
        error,
        Some(sealwire_instance::StartError::Nothing)
    ));
}

const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 37\r\n\r\n{\"error\":\n {\"message\":\"enough\"} }    ";

#[tokio::test]
async fn the_status_of_the_model_server_reaches_a_client_that_knows_where_it_is() {
    let (address, _) = raw_upstream(vec![TOO_MANY], true).await;
    let system = system(address).await;
    for stream in [false, true] {
        let reply = system.ask(&ours(), &question(stream)).await.blob().await;
        let head = reply.head.expect("a head");
        assert_eq!(head.status, 429);
        assert_eq!(head.content_type, "application/json; charset=utf-8");
        assert!(TOO_MANY.ends_with(&reply.body));
    }
}

#[tokio::test]
async fn a_deployed_client_that_reads_events_gets_an_error_as_one() {
    let not_json: &[u8] =
        b"HTTP/1.1 503 Busy\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let other_json: &[u8] = b"HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"detail\":\"x\"}";
    let html: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    for (answer, message) in [
        (TOO_MANY, "enough"),
        (
            not_json,
            "the model server answered with the status 503 and did not stream",
        ),
        (
            other_json,
            "the model server answered with the status 400 and did not stream",
        ),
        (
            html,
            "the model server answered with the status 200 and did not stream",
        ),
    ] {
        let (address, _) = raw_upstream(vec![answer], true).await;
        let system = system(address).await;
        let streamed = system
            .ask(&deployed(), &question(true))
            .await
            .events()
            .await;
        assert_eq!(streamed.end, Some(Ok(())));
        let data = streamed.data();
        assert_eq!(data.len(), 1, "{streamed:?}");
        assert_eq!(data[0]["error"]["message"], message);
        // Not streamed: as it is.
        let reply = system.ask(&deployed(), &question(false)).await.blob().await;
        assert!(answer.ends_with(&reply.body));
    }
}

#[tokio::test]
async fn a_model_server_that_is_away_or_sends_garbage_is_a_sealed_error() {
    let closed = {
        let listener = std::net::TcpListener::bind(common::LOOPBACK).expect("a free port");
        listener.local_addr().expect("bound")
    };
    let (garbage, _) = raw_upstream(vec![b"SSH-2.0-OpenSSH_9.9\r\n"], true).await;
    let (silent, _) = raw_upstream(vec![], false).await;
    let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{\"choices\":[";
    let (broken, _) = raw_upstream(vec![half], true).await;
    let (stuck, _) = raw_upstream(vec![half], false).await;
    let long = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1001\r\n\r\n";
    let (large, _) = raw_upstream(vec![long, &[b'x'; 1_001]], false).await;
    for (address, status, expected) in [
        (closed, 502, "upstream_unreachable"),
        (garbage, 502, "upstream_garbage"),
        (silent, 504, "upstream_timeout"),
        (broken, 502, "upstream"),
        (stuck, 504, "upstream_timeout"),
        (large, 502, "upstream"),
    ] {
        let system = system_with(address, |config| {
            config.limits.upstream_head_time = Duration::from_millis(300);
            config.limits.upstream_idle = Duration::from_millis(300);
            config.limits.answer_bytes = 1_000;
        })
        .await;
        for stream in [false, true] {
            let reply = system.ask(&ours(), &question(stream)).await.blob().await;
            let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!(reply.head.map(|head| head.status), Some(status), "{body}");
            assert_eq!(code(&body), expected);
            assert!(!body.to_string().contains("127.0.0.1"));
        }
        let streamed = system
            .ask(&deployed(), &question(true))
            .await
            .events()
            .await;
        assert_eq!(code(&streamed.data()[0]), expected);
    }
}

#[tokio::test]
async fn a_streamed_answer_that_breaks_off_is_an_error_event_and_no_sealed_end() {
    const OPEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    const EVENT: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"tick\"}}]}\n\n";
    const HALF: &[u8] = b"data: {\"choices\":[{\"del";
    // [DONE], and then the connection breaks within the transfer.
    const DONE_CHUNK: &[u8] = b"e\r\ndata: [DONE]\n\n\r\n";
    for (pieces, close, expected) in [
        (vec![SSE_HEAD, SSE_TICK], true, "upstream"),
        (vec![SSE_HEAD, SSE_TICK], false, "upstream_timeout"),
        (vec![SSE_HEAD, SSE_TICK, DONE_CHUNK], true, "upstream"),
        (vec![OPEN, EVENT], true, "upstream"),
        (vec![OPEN, EVENT, HALF], true, "upstream"),
    ] {
        let (address, _) = raw_upstream(pieces, close).await;
        let system = system_with(address, |config| {
            config.limits.upstream_idle = Duration::from_millis(300);
        })
        .await;
        for codec in [ours(), deployed()] {
            let streamed = system.ask(&codec, &question(true)).await.events().await;
            assert_eq!(streamed.text(), "tick");
            let data = streamed.data();
            assert_eq!(code(data.last().expect("an event")), expected);
            assert_eq!(streamed.end, Some(Err(ChutesError::Truncated)));
        }
    }
}

#[tokio::test]
async fn lines_are_made_alike_and_an_end_that_http_shows_is_sealed() {
    // Line ends of all kinds, a field that is no data, no [DONE], and a length.
    let stream = b"event: a\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\n: note\n\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\n";
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
        stream.len()
    );
    let (address, _) = raw_upstream(vec![head.leak().as_bytes(), stream], false).await;
    for (padding, lengths) in [
        (PaddingWish::None, [9, 46, 1, 7, 1, 36, 1, 13, 1]),
        (PaddingWish::Buckets, [9, 64, 1, 7, 1, 64, 1, 64, 1]),
    ] {
        let system = system_with(address, |config| config.least_padding = padding).await;
        let streamed = system
            .ask_with(
                &ours(),
                &question(true),
                &[("x-e2ee-usage-passthrough", "true")],
            )
            .await
            .events()
            .await;
        let trimmed: Vec<&str> = streamed.lines.iter().map(|line| line.trim_end()).collect();
        assert_eq!(
            trimmed,
            [
                "event: a",
                "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}",
                "",
                ": note",
                "",
                "data: {\"usage\":{\"prompt_tokens\":9}}",
                "",
                "data: [DONE]",
                "",
            ]
        );
        let seen: Vec<usize> = streamed.lines.iter().map(String::len).collect();
        assert_eq!(seen, lengths);
        assert_eq!(streamed.counts, [(9, 0)]);
        assert_eq!(streamed.end, Some(Ok(())));
    }
}

#[tokio::test]
async fn nothing_that_the_model_server_sends_behind_its_end_is_sealed() {
    const TICK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"tick\"}}]}\n\n";
    for behind in [
        "data: {\"choices\":[{\"delta\":{\"content\":\"more\"}}]}\n\n",
        "event: x\n\n",
        "data: [DONE]\n\n",
        ": a comment\n\n",
    ] {
        // Behind the event of the end, and within it.
        for end in ["data: [DONE]\n\n", "data: [DONE]\n", "data:[DONE] \r\n\r\n"] {
            let stream = format!("{TICK}{end}{behind}");
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
                stream.len()
            );
            let answer = format!("{head}{stream}").leak().as_bytes();
            let (address, _) = raw_upstream(vec![answer], false).await;
            let system = system(address).await;
            let streamed = system.ask(&ours(), &question(true)).await.events().await;
            assert_eq!(streamed.end, Some(Ok(())), "{stream}");
            assert_eq!(
                streamed.lines,
                [
                    TICK.trim_end().to_owned() + "\n",
                    "\n".into(),
                    "data: [DONE]\n".into(),
                    "\n".into()
                ],
                "{stream}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_the_chutes_id_as_the_model_is_served() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let (address, raw) = raw_upstream(vec![answer], true).await;
    let system = system(address).await;
    let mut body = question(false);
    body["model"] = system.chute().await.into();
    system.ask(&deployed(), &body).await.blob().await;
    let requests = raw.requests.lock().expect("no panic").join("");
    let sent: Value = requests
        .split_once("\r\n\r\n")
        .and_then(|(_, sent)| serde_json::from_str(sent).ok())
        .expect("JSON");
    assert_eq!(sent, question(false));
}

#[tokio::test]
async fn tokens_are_counted_at_the_model_server() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"count\":2}";
    for path in ["/tokenize", "/detokenize"] {
        let (address, raw) = raw_upstream(vec![answer], true).await;
        let system = system(address).await;
        let body = question(false).to_string();
        let (blob, waiting) =
            seal_request(&ours(), &system.key().await, path, body.as_bytes()).expect("sealed");
        let headers = instance_headers(&system.chute().await, path, false);
        let response = system.post(headers, full(blob)).await;
        let reply = Answered { waiting, response }.blob().await;
        assert_eq!(reply.body, b"{\"count\":2}");
        let requests = raw.requests.lock().expect("no panic").join("");
        assert!(requests.starts_with(&format!("POST {path} HTTP/1.1\r\n")));
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call_to_the_model_server() {
    // After the first token, and before any.
    for pieces in [vec![SSE_HEAD, SSE_TICK], vec![]] {
        let before_head = pieces.is_empty();
        let (address, raw) = raw_upstream(pieces, false).await;
        let system = system(address).await;
        if before_head {
            let asking = tokio::spawn(async move {
                system.ask(&ours(), &question(true)).await;
            });
            while raw.requests.lock().expect("no panic").is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
            asking.abort();
            timeout(common::IDLE, raw.closed.notified())
                .await
                .expect("cancelled");
        } else {
            let answered = system.ask(&ours(), &question(true)).await;
            let mut body = answered.response.into_body();
            next_data(&mut body, common::IDLE).await.expect("a line");
            drop(body);
            timeout(common::IDLE, raw.closed.notified())
                .await
                .expect("cancelled");
        }
    }
}

#[tokio::test]
async fn an_instance_that_stops_lets_answers_end() {
    let upstream = slow_model().await;
    let system = system(upstream.address()).await;
    let answered = system.ask(&ours(), &question(true)).await;
    let stopping = tokio::spawn(system.instance.shut_down(Duration::from_secs(20)));
    let streamed = answered.events().await;
    assert_eq!(
        (streamed.text().as_str(), streamed.end),
        (ANSWER, Some(Ok(())))
    );
    timeout(common::IDLE, stopping)
        .await
        .expect("drained")
        .expect("no panic");
}

async fn slow_model() -> Server {
    sealwire_cli::demo_model::start(sealwire_cli::demo_model::DemoModelConfig {
        listen: common::LOOPBACK,
        model: MODEL.to_owned(),
        token_delay: Duration::from_millis(100),
        max_model_len: None,
    })
    .await
    .expect("a free port")
}

#[tokio::test]
async fn one_instance_serves_both_profiles() {
    let upstream = model().await;
    let mut config = InstanceConfig::new(url(upstream.address()), MODEL);
    config.profiles = vec![Profile::Native, Profile::ChutesV1];
    let instance = common::instance(config, 1).await;
    let identity = instance.identity();
    let direct = url(instance.address());
    let mut config = RelayConfig::new(vec![direct.clone()]);
    config.profiles = vec![Profile::Native, Profile::ChutesV1];
    let running = relay(config).await;
    let relay = url(running.address());
    common::found(&relay).await;
    let system = System {
        instance,
        direct,
        _relay: running,
        relay,
    };
    let streamed = system.ask(&ours(), &question(true)).await.events().await;
    assert_eq!(
        (streamed.text().as_str(), streamed.end),
        (ANSWER, Some(Ok(())))
    );
    let proxy = common::proxy(sealwire_proxy::ProxyConfig::new(
        system.relay.clone(),
        sealwire::IdentityTrust::pinned(&[identity]),
    ))
    .await;
    let streamed = common::ask_streamed(&url(proxy.address())).await;
    assert!(streamed.done && streamed.ended);
    assert_eq!(streamed.text, ANSWER);
    // Each has a key of its own.
    let key = STANDARD.decode(system.key().await.to_base64());
    let key = key.expect("base64");
    let (_, list) = get(&system.relay, &format!("{BUNDLES_PATH}?label={MODEL}")).await;
    let bundles = bundles_from_json(list.to_string().as_bytes()).expect("a list");
    assert!(!bundles.is_empty());
    for bundle in bundles {
        assert!(!bundle.windows(key.len()).any(|part| part == key));
    }
    let row = common::usage(&system.relay, 2).await;
    assert_eq!(
        (&row["tokens_out"], &row["unsigned"], &row["usage_unknown"]),
        (&12.into(), &1.into(), &0.into())
    );
}
