//! A relay and its instances for chutes-v1 in one server, built with the library's own instance side, which misbehaves as a test tells it; and an application.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use sealwire::compat::chutes::{Codec, Head, KeyRing, KeyRingConfig, Responder, open_request};
use sealwire::rustcrypto;
use sealwire_http::net::{
    BaseUrl, Body, ClientConfig, Handler, HttpClient, Incoming, ReadError, Server, ServerLimits,
    channel, empty, full, next_data, read_all,
};
use sealwire_http::sse::{self, Splitter};
use sealwire_proxy::chutes::{
    Asked, ChutesConfig, Finding, Gate, GateError, Judging, Outcome, Verdict, start,
};
use serde_json::{Value, json};

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
pub(crate) const IDLE: Duration = Duration::from_secs(20);
pub(crate) const LIMIT: usize = 8 << 20;

pub(crate) const MODEL: &str = "org/model";
pub(crate) const CHUTE: &str = "11111111-2222-3333-4444-555555555555";
pub(crate) const OPEN_MODEL: &str = "org/open";
pub(crate) const OPEN_CHUTE: &str = "99999999-2222-3333-4444-555555555555";
/// Must be nowhere on the wire.
pub(crate) const PROMPT: &str = "a diagnosis that is nobody's business";
pub(crate) const ANSWER: &str = "The capital of France is Paris.";
pub(crate) const KEY: &str = "cpk_first";

/// One invocation as the relay sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) instance: usize,
    pub(crate) nonce: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What the relay has seen and handed out.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) invocations: Vec<Seen>,
    pub(crate) discoveries: usize,
    pub(crate) model_lists: usize,
    /// Nonces that may still be used: token to user and instance.
    issued: HashMap<String, (String, usize)>,
    /// Uses of nonces that no relay would take.
    pub(crate) violations: Vec<String>,
    /// Bodies that the instances opened.
    pub(crate) opened: Vec<Value>,
    /// Everything that came in.
    pub(crate) wire: Vec<u8>,
    /// What happened, in order.
    pub(crate) order: Vec<&'static str>,
}

/// An invocation that the relay let through and the instance opened.
pub(crate) struct Call {
    /// Counts from 0 over all.
    pub(crate) number: usize,
    pub(crate) instance: usize,
    pub(crate) stream: bool,
    pub(crate) body: Value,
    pub(crate) responder: Responder,
}

type Script = Box<dyn Fn(Call) -> Response<Body> + Send + Sync>;
/// Decides before anything is opened, by number and instance.
type Refusal = Box<dyn Fn(usize, usize) -> Option<Response<Body>> + Send + Sync>;

pub(crate) struct Relay {
    codec: Codec,
    rings: Mutex<Vec<KeyRing>>,
    /// As discovery writes it, over the plain one.
    pub(crate) discovery: Mutex<Value>,
    pub(crate) nonces_each: AtomicUsize,
    script: Script,
    refusal: Refusal,
    log: Mutex<Log>,
}

/// What a relay is made of.
pub(crate) struct Plan {
    pub(crate) instances: usize,
    /// Whether the instances are of the deployed kind.
    pub(crate) deployed: bool,
    pub(crate) script: Script,
    pub(crate) refusal: Refusal,
}

impl Plan {
    pub(crate) fn new(script: impl Fn(Call) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self {
            instances: 2,
            deployed: false,
            script: Box::new(script),
            refusal: Box::new(|_, _| None),
        }
    }

    pub(crate) fn deployed(mut self) -> Self {
        self.deployed = true;
        self
    }

    pub(crate) fn instances(mut self, count: usize) -> Self {
        self.instances = count;
        self
    }

    pub(crate) fn refusing(
        mut self,
        refusal: impl Fn(usize, usize) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        self.refusal = Box::new(refusal);
        self
    }
}

pub(crate) fn instance_id(index: usize) -> String {
    format!("{index:08}-aaaa-bbbb-cccc-dddddddddddd")
}

impl Relay {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no panic")
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let body = read_all(&mut body, LIMIT, IDLE).await.expect("a body");
        {
            let mut log = self.log();
            log.wire
                .extend_from_slice(format!("{} {:?}\n", parts.uri, parts.headers).as_bytes());
            log.wire.extend_from_slice(&body);
        }
        let user = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("nobody")
            .to_owned();
        match parts.uri.path() {
            "/v1/models" => {
                self.log().model_lists += 1;
                reply(200, &models())
            }
            "/model_aliases/" => reply(
                200,
                &json!([{"alias": "best", "chute_ids": [CHUTE]}, {"alias": "any", "chute_ids": [CHUTE, OPEN_CHUTE]}]),
            ),
            "/e2e/invoke" => self.invoke(&user, parts.headers, &body),
            path if path.starts_with("/e2e/instances/") => self.discover(&user),
            path => panic!("the proxy asked for {path}"),
        }
    }

    fn discover(&self, user: &str) -> Response<Body> {
        let mut rings = self.rings.lock().expect("no panic");
        let mut log = self.log();
        log.order.push("discovery");
        log.discoveries += 1;
        let batch = log.discoveries;
        let each = self.nonces_each.load(Ordering::SeqCst);
        let mut instances = Vec::new();
        for (index, ring) in rings.iter_mut().enumerate() {
            let nonces: Vec<String> = (0..each)
                .map(|n| format!("nonce-{batch}-{index}-{n}"))
                .collect();
            for nonce in &nonces {
                log.issued.insert(nonce.clone(), (user.to_owned(), index));
            }
            instances.push(json!({
                "instance_id": instance_id(index),
                "e2e_pubkey": ring.public_key(0).expect("a key"),
                "nonces": nonces,
            }));
        }
        let mut answer = json!({"instances": instances, "nonce_expires_in": 60, "unknown": {}});
        let changes = self.discovery.lock().expect("no panic").clone();
        if let (Some(answer), Some(changes)) = (answer.as_object_mut(), changes.as_object()) {
            answer.extend(changes.clone());
        }
        reply(200, &answer)
    }

    fn invoke(&self, user: &str, headers: HeaderMap, blob: &[u8]) -> Response<Body> {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (nonce, id) = (header("x-e2e-nonce"), header("x-instance-id"));
        let instance: usize = id
            .split('-')
            .next()
            .and_then(|index| index.parse().ok())
            .expect("an instance of this relay");
        let number = {
            let mut log = self.log();
            log.order.push("invoke");
            let number = log.invocations.len();
            log.invocations.push(Seen {
                instance,
                nonce: nonce.clone(),
                headers: headers.clone(),
            });
            match log.issued.remove(&nonce) {
                Some((owner, of)) if owner == user && of == instance => {}
                other => log.violations.push(format!("{nonce}: {other:?}")),
            }
            number
        };
        if let Some(refused) = (self.refusal)(number, instance) {
            return refused;
        }
        let mut rings = self.rings.lock().expect("no panic");
        let ring = &mut rings[instance];
        let candidates = ring.candidates(0);
        let request = open_request(&self.codec, &candidates, blob, &header("x-e2e-path"), LIMIT)
            .expect("a sound request")
            .admit(ring, 0)
            .expect("a new request");
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        self.log().opened.push(body.clone());
        let stream = header("x-e2e-stream") == "true";
        assert_eq!(stream, body["stream"] == true, "the flag is the body's");
        (self.script)(Call {
            number,
            instance,
            stream,
            body,
            responder: request.responder,
        })
    }
}

struct RelayHandler(Arc<Relay>);

impl Handler for RelayHandler {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        self.0.answer(request).await
    }
}

fn models() -> Value {
    json!({"object": "list", "data": [
        {"id": MODEL, "chute_id": CHUTE, "root": "org/base", "confidential_compute": true, "supported_features": ["tools"]},
        {"id": OPEN_MODEL, "chute_id": OPEN_CHUTE, "confidential_compute": false},
    ]})
}

/// A gate that refuses some instances, and counts.
pub(crate) struct TestGate {
    pub(crate) refuses: Vec<String>,
    pub(crate) fails: Option<GateError>,
    pub(crate) judged: AtomicUsize,
    log: Mutex<Option<Arc<Relay>>>,
}

impl TestGate {
    pub(crate) fn refusing(instances: &[usize]) -> Self {
        Self {
            refuses: instances.iter().map(|index| instance_id(*index)).collect(),
            fails: None,
            judged: AtomicUsize::new(0),
            log: Mutex::new(None),
        }
    }

    pub(crate) fn failing(error: GateError) -> Self {
        Self {
            fails: Some(error),
            ..Self::refusing(&[])
        }
    }
}

impl Gate for TestGate {
    fn policy(&self) -> Value {
        json!({"name": "test"})
    }

    fn judge<'a>(&'a self, asked: Asked<'a>) -> Judging<'a> {
        self.judged.fetch_add(1, Ordering::SeqCst);
        if let Some(relay) = &*self.log.lock().expect("no panic") {
            relay.log().order.push("evidence");
        }
        let result = match &self.fails {
            Some(error) => Err(error.clone()),
            None => Ok(asked
                .instances
                .iter()
                .map(|candidate| {
                    let accepted = !self.refuses.contains(&candidate.instance);
                    let outcome = if accepted {
                        Outcome::Passed
                    } else {
                        Outcome::Failed("report-data-key")
                    };
                    Verdict {
                        candidate: candidate.clone(),
                        accepted,
                        valid_until: u64::MAX,
                        findings: vec![Finding {
                            name: "report data".to_owned(),
                            outcome,
                            expected: "this key".to_owned(),
                            got: "some key".to_owned(),
                        }],
                    }
                })
                .collect()),
        };
        Box::pin(std::future::ready(result))
    }
}

/// Relay, instances and proxy.
pub(crate) struct System {
    pub(crate) relay: Arc<Relay>,
    pub(crate) gate: Arc<TestGate>,
    pub(crate) url: BaseUrl,
    server: Server,
    _proxy: Server,
}

pub(crate) async fn system_with(
    plan: Plan,
    gate: TestGate,
    change: impl FnOnce(&mut ChutesConfig),
) -> System {
    let provider = rustcrypto::provider();
    let rings = (0..plan.instances)
        .map(|_| KeyRing::new(&provider, KeyRingConfig::default()).expect("sound"))
        .collect();
    let relay = Arc::new(Relay {
        codec: Codec {
            extensions: !plan.deployed,
            ..Codec::new(&provider)
        },
        rings: Mutex::new(rings),
        discovery: Mutex::new(json!({})),
        nonces_each: AtomicUsize::new(10),
        script: plan.script,
        refusal: plan.refusal,
        log: Mutex::new(Log::default()),
    });
    let gate = Arc::new(gate);
    *gate.log.lock().expect("no panic") = Some(Arc::clone(&relay));
    let server = Server::start(
        LOOPBACK,
        ServerLimits::default(),
        Arc::new(RelayHandler(Arc::clone(&relay))),
    )
    .await
    .expect("a free port");
    let mut config = ChutesConfig::new(url(server.address()));
    config.front.relay_key = Some(KEY.to_owned());
    change(&mut config);
    let proxy = start(
        config,
        Codec::new(&provider),
        client(),
        Arc::clone(&gate) as Arc<dyn Gate>,
    )
    .await
    .expect("a free port");
    System {
        relay,
        gate,
        url: url(proxy.address()),
        server,
        _proxy: proxy,
    }
}

pub(crate) async fn system(plan: Plan) -> System {
    system_with(plan, TestGate::refusing(&[]), |_| {}).await
}

impl System {
    pub(crate) fn relay_address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A second proxy before the same relay.
    pub(crate) async fn another_proxy(
        &self,
        change: impl FnOnce(&mut ChutesConfig),
    ) -> (Server, BaseUrl) {
        let mut config = ChutesConfig::new(url(self.server.address()));
        config.front.relay_key = Some(KEY.to_owned());
        change(&mut config);
        let gate = Arc::clone(&self.gate) as Arc<dyn Gate>;
        let proxy = start(config, Codec::new(&rustcrypto::provider()), client(), gate)
            .await
            .expect("a free port");
        let address = url(proxy.address());
        (proxy, address)
    }
}

impl Drop for System {
    /// Whatever a test is about: no nonce was misused, and nothing left in clear.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.relay.log();
        assert_eq!(log.violations, Vec::<String>::new());
        let wire = String::from_utf8_lossy(&log.wire);
        assert!(!wire.contains(PROMPT), "the prompt is on the wire");
    }
}

pub(crate) fn client() -> HttpClient {
    HttpClient::new(&ClientConfig::default())
}

pub(crate) fn url(address: SocketAddr) -> BaseUrl {
    format!("http://{address}").parse().expect("an address")
}

pub(crate) fn reply(status: u16, value: &Value) -> Response<Body> {
    raw(status, "application/json", value.to_string())
}

/// An error as the relay writes it.
pub(crate) fn refuse(status: u16, detail: &str) -> Response<Body> {
    reply(status, &json!({"detail": detail}))
}

pub(crate) fn raw(
    status: u16,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    with_body(status, content_type, full(body))
}

pub(crate) fn with_body(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The head of a connection that breaks before anything follows.
pub(crate) fn broken(status: u16, content_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let (sender, body) = channel(2);
    tokio::spawn(async move {
        let _ = sender.send(bytes).await;
        sender.abort().await;
    });
    with_body(status, content_type, body)
}

pub(crate) fn completion(text: &str) -> Value {
    json!({
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 7},
    })
}

/// A whole answer, sealed.
pub(crate) fn whole_answer(call: Call, status: u16, value: &Value) -> Response<Body> {
    let head = Head::new(status, "application/json").expect("sound");
    let blob = call
        .responder
        .seal(&head, value.to_string().as_bytes())
        .expect("sealed");
    raw(200, "application/octet-stream", blob)
}

/// The events of a stream with these lines, the first being `e2e_init`.
pub(crate) fn events(responder: Responder, head: &Head, lines: &[String]) -> Vec<String> {
    let mut wire = Vec::new();
    let mut sealer = responder.into_stream(head, &mut wire).expect("sealed");
    for line in lines {
        sealer.seal(line.as_bytes(), &mut wire).expect("sealed");
    }
    String::from_utf8(wire)
        .expect("ASCII")
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .collect()
}

pub(crate) fn stream_head() -> Head {
    Head::new(200, "text/event-stream").expect("sound")
}

/// The lines of an inner stream: a chunk for each word with a running count, usage alone, and the end.
pub(crate) fn inner_lines() -> Vec<String> {
    let mut lines = Vec::new();
    for (index, word) in ANSWER.split_inclusive(' ').enumerate() {
        let chunk = json!({
            "choices": [{"index": 0, "delta": {"content": word}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": index + 1},
        });
        lines.push(format!("data: {chunk}\n"));
        lines.push("\n".to_owned());
    }
    let words = ANSWER.split_inclusive(' ').count();
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": words}});
    lines.push(format!("data: {usage}\n"));
    lines.push("\n".to_owned());
    lines.push("data: [DONE]\n".to_owned());
    lines.push("\n".to_owned());
    lines
}

/// The honest events of a streamed answer.
pub(crate) fn honest(call: Call) -> Vec<String> {
    events(call.responder, &stream_head(), &inner_lines())
}

pub(crate) fn stream_of(events: &[String]) -> Response<Body> {
    raw(200, "text/event-stream", events.concat())
}

/// The honest instance.
pub(crate) fn answering(call: Call) -> Response<Body> {
    if call.stream {
        return stream_of(&honest(call));
    }
    whole_answer(call, 200, &completion(ANSWER))
}

pub(crate) fn question(stream: bool) -> Value {
    json!({
        "model": MODEL,
        "stream": stream,
        "messages": [{"role": "user", "content": PROMPT}],
    })
}

pub(crate) async fn send(
    base: &BaseUrl,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Body,
) -> Response<Incoming> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = base.join(path).expect("a path");
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, value.parse().expect("ASCII"));
    }
    client().send(request).await.expect("an answer")
}

pub(crate) async fn post(base: &BaseUrl, body: &Value) -> Response<Incoming> {
    post_with(base, "/v1/chat/completions", &[], body).await
}

pub(crate) async fn post_with(
    base: &BaseUrl,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &Value,
) -> Response<Incoming> {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    send(base, Method::POST, path, &all, full(body.to_string())).await
}

pub(crate) async fn get(base: &BaseUrl, path: &str) -> (u16, Value) {
    whole(send(base, Method::GET, path, &[], empty()).await).await
}

pub(crate) async fn whole(response: Response<Incoming>) -> (u16, Value) {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let body = read_all(&mut body, 64 << 20, IDLE).await.expect("a body");
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    (status, value)
}

pub(crate) async fn ask(base: &BaseUrl) -> (u16, Value) {
    whole(post(base, &question(false)).await).await
}

/// The text of a whole answer.
pub(crate) fn content(value: &Value) -> &str {
    value
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .unwrap_or("no content")
}

/// The code of an API error.
pub(crate) fn code(value: &Value) -> &str {
    value
        .pointer("/error/code")
        .and_then(Value::as_str)
        .unwrap_or("no code")
}

/// What an application gets of a streamed answer.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) events: Vec<Value>,
    pub(crate) raw: String,
    pub(crate) done: bool,
    pub(crate) error: Option<Value>,
    /// The HTTP body ended properly.
    pub(crate) ended: bool,
}

impl Streamed {
    pub(crate) fn code(&self) -> &str {
        self.error
            .as_ref()
            .and_then(|error| error["code"].as_str())
            .unwrap_or("no error")
    }
}

pub(crate) async fn ask_streamed(base: &BaseUrl) -> Streamed {
    read_stream(post(base, &question(true)).await).await
}

pub(crate) async fn read_stream(response: Response<Incoming>) -> Streamed {
    let mut streamed = Streamed {
        status: response.status().as_u16(),
        ..Streamed::default()
    };
    let mut body = response.into_body();
    let mut splitter = Splitter::new(1 << 20);
    loop {
        match next_data(&mut body, IDLE).await {
            Ok(Some(data)) => {
                streamed.raw.push_str(&String::from_utf8_lossy(&data));
                splitter.push(&data);
            }
            Ok(None) => {
                streamed.ended = true;
                if streamed.status != 200 {
                    let value: Value = serde_json::from_str(&streamed.raw).expect("JSON");
                    streamed.error = value.get("error").cloned();
                }
                return streamed;
            }
            Err(ReadError::Broken(_)) => return streamed,
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = splitter.next_event().expect("small") {
            let Some(data) = sse::data(&event) else {
                continue;
            };
            if data.trim() == "[DONE]" {
                streamed.done = true;
                continue;
            }
            let value: Value = serde_json::from_str(&data).expect("JSON");
            if let Some(text) = value
                .pointer("/choices/0/delta/content")
                .and_then(Value::as_str)
            {
                streamed.text.push_str(text);
            }
            if let Some(error) = value.get("error") {
                streamed.error = Some(error.clone());
            }
            streamed.events.push(value);
        }
    }
}
