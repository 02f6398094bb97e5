//! The whole system in one process, and peers that misbehave on purpose.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use sealwire::IdentityTrust;
use sealwire::crypto::Secret;
use sealwire_cli::demo_model::{self, DemoModelConfig};
use sealwire_cli::provider::provider;
use sealwire_http::net::{
    BaseUrl, Body, ClientConfig, Handler, HttpClient, Incoming, ReadError, Server, ServerLimits,
    empty, full, next_data, read_all,
};
use sealwire_http::sse::{self, Splitter};
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_proxy::ProxyConfig;
use sealwire_relay::{Relay, RelayConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

pub(crate) const MODEL: &str = "demo";
pub(crate) const IDLE: Duration = Duration::from_secs(20);
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn client() -> HttpClient {
    HttpClient::new(&ClientConfig::default())
}

pub(crate) fn url(address: SocketAddr) -> BaseUrl {
    format!("http://{address}").parse().expect("an address")
}

pub(crate) fn seed(byte: u8) -> Secret<32> {
    Secret::new([byte; 32])
}

pub(crate) async fn model() -> Server {
    demo_model::start(DemoModelConfig {
        listen: LOOPBACK,
        model: MODEL.to_owned(),
        token_delay: Duration::from_millis(1),
        max_model_len: None,
    })
    .await
    .expect("a free port")
}

pub(crate) async fn instance(config: InstanceConfig, seed_byte: u8) -> Instance {
    sealwire_instance::start(config, provider(), &seed(seed_byte), client())
        .await
        .expect("a free port")
}

pub(crate) async fn relay(config: RelayConfig) -> Relay {
    sealwire_relay::start(config, client())
        .await
        .expect("a free port")
}

pub(crate) async fn proxy(config: ProxyConfig) -> Server {
    sealwire_proxy::start(config, provider(), client())
        .await
        .expect("a free port")
}

/// Waits until a relay has found its instances.
pub(crate) async fn found(relay: &BaseUrl) {
    for _ in 0..200 {
        let (_, models) = get(relay, "/v1/models").await;
        if models.pointer("/data/0").is_some() {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("the relay did not find its instance");
}

/// Instance, relay and proxy before some upstream.
pub(crate) struct System {
    pub(crate) instance: Option<Instance>,
    pub(crate) relay: Relay,
    pub(crate) proxy: Server,
    pub(crate) proxy_url: BaseUrl,
    pub(crate) relay_url: BaseUrl,
}

/// The system with settings changed by two functions.
pub(crate) async fn system_with(
    upstream: SocketAddr,
    change_instance: impl FnOnce(&mut InstanceConfig),
    change_proxy: impl FnOnce(&mut ProxyConfig),
) -> System {
    let mut config = InstanceConfig::new(url(upstream), MODEL);
    change_instance(&mut config);
    let instance = instance(config, 1).await;
    let relay = relay(RelayConfig::new(vec![url(instance.address())])).await;
    let relay_url = url(relay.address());
    found(&relay_url).await;
    let mut config = ProxyConfig::new(
        relay_url.clone(),
        IdentityTrust::pinned(&[instance.identity()]),
    );
    change_proxy(&mut config);
    let proxy = proxy(config).await;
    System {
        proxy_url: url(proxy.address()),
        relay_url,
        instance: Some(instance),
        relay,
        proxy,
    }
}

pub(crate) async fn system(upstream: SocketAddr) -> System {
    system_with(upstream, |_| {}, |_| {}).await
}

/// A proxy alone, before something that calls itself a relay.
pub(crate) async fn proxy_before(relay: SocketAddr, pins: &[[u8; 32]]) -> (Server, BaseUrl) {
    let proxy = proxy(ProxyConfig::new(url(relay), IdentityTrust::pinned(pins))).await;
    let address = url(proxy.address());
    (proxy, address)
}

pub(crate) fn question(stream: bool) -> Value {
    json!({
        "model": MODEL,
        "stream": stream,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    })
}

pub(crate) const ANSWER: &str = "The capital of France is Paris.";

pub(crate) async fn send(
    method: Method,
    base: &BaseUrl,
    path: &str,
    headers: HeaderMap,
    body: Body,
) -> Response<Incoming> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = base.join(path).expect("a path");
    *request.headers_mut() = headers;
    client().send(request).await.expect("an answer")
}

pub(crate) async fn get(base: &BaseUrl, path: &str) -> (StatusCode, Value) {
    let response = send(Method::GET, base, path, HeaderMap::new(), empty()).await;
    whole(response).await
}

pub(crate) async fn post(base: &BaseUrl, path: &str, body: &Value) -> Response<Incoming> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    send(Method::POST, base, path, headers, full(body.to_string())).await
}

pub(crate) async fn whole(response: Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let mut body = response.into_body();
    let body = read_all(&mut body, 64 << 20, IDLE).await.expect("a body");
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    (status, value)
}

/// Asks for a whole answer.
pub(crate) async fn ask(base: &BaseUrl) -> (StatusCode, Value) {
    whole(post(base, "/v1/chat/completions", &question(false)).await).await
}

/// What an application gets of a streamed answer.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) events: Vec<Value>,
    pub(crate) done: bool,
    pub(crate) error: Option<Value>,
    /// The HTTP body ended properly.
    pub(crate) ended: bool,
}

pub(crate) async fn ask_streamed(base: &BaseUrl) -> Streamed {
    read_stream(post(base, "/v1/chat/completions", &question(true)).await).await
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
            Ok(Some(data)) => splitter.push(&data),
            Ok(None) => {
                streamed.ended = true;
                return streamed;
            }
            Err(ReadError::Broken(_)) => return streamed,
            Err(error) => panic!("{error}"),
        }
        while let Some(event) = splitter.next_event().expect("small") {
            let Some(data) = sse::data(&event) else {
                continue;
            };
            if data == "[DONE]" {
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

/// The code of an API error.
pub(crate) fn code(value: &Value) -> &str {
    value
        .pointer("/error/code")
        .and_then(Value::as_str)
        .unwrap_or("no code")
}

/// A relay's usage of the only account, when it has come to `requests`.
pub(crate) async fn usage(relay: &BaseUrl, requests: u64) -> Value {
    for _ in 0..200 {
        let (_, usage) = get(relay, "/usage").await;
        let row = usage.pointer("/usage/0").cloned().unwrap_or_default();
        if row["requests"].as_u64() >= Some(requests) {
            return row;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("the relay has not metered {requests} requests");
}

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A handler from a function.
pub(crate) struct FromFn(Box<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>);

impl Handler for FromFn {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        (self.0)(request).await
    }
}

/// An HTTP server that answers as a function says.
pub(crate) async fn server<F, A>(answer: F) -> Server
where
    F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = FromFn(Box::new(move |request| Box::pin(answer(request))));
    Server::start(LOOPBACK, ServerLimits::default(), Arc::new(handler))
        .await
        .expect("a free port")
}

/// Forwards a request to another server, body and all.
pub(crate) async fn forward(to: &BaseUrl, request: Request<Incoming>) -> Response<Incoming> {
    let (mut parts, mut body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .expect("a path")
        .as_str()
        .to_owned();
    parts.uri = to.join(&path).expect("a path");
    parts.version = Version::HTTP_11;
    let body = read_all(&mut body, 64 << 20, IDLE).await.expect("a body");
    client()
        .send(Request::from_parts(parts, full(body)))
        .await
        .expect("an answer")
}

/// Forwards an answer without change.
pub(crate) async fn pass(response: Response<Incoming>) -> Response<Body> {
    let (parts, mut body) = response.into_parts();
    let body = read_all(&mut body, 64 << 20, IDLE).await.expect("a body");
    Response::from_parts(parts, full(body))
}

/// What a raw upstream has seen.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) requests: Mutex<Vec<String>>,
    pub(crate) closed: tokio::sync::Notify,
}

/// A TCP listener that reads a request's head and body and then writes these pieces; it keeps the connection open or closes it at the end.
pub(crate) async fn raw_upstream(
    pieces: Vec<&'static [u8]>,
    close: bool,
) -> (SocketAddr, Arc<Raw>) {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let raw = Arc::new(Raw::default());
    let seen = Arc::clone(&raw);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(raw_connection(
                stream,
                pieces.clone(),
                close,
                Arc::clone(&seen),
            ));
        }
    });
    (address, raw)
}

async fn raw_connection(
    mut stream: TcpStream,
    pieces: Vec<&'static [u8]>,
    close: bool,
    raw: Arc<Raw>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let Ok(length) = stream.read(&mut buffer).await else {
            return;
        };
        if length == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request);
        // The bodies of these tests end with a brace.
        if text.contains("\r\n\r\n") && text.trim_end().ends_with('}') {
            break;
        }
    }
    raw.requests
        .lock()
        .expect("no panic")
        .push(String::from_utf8_lossy(&request).into_owned());
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
        sleep(Duration::from_millis(20)).await;
    }
    if close {
        return;
    }
    // Until the other side is gone.
    while matches!(stream.read(&mut buffer).await, Ok(length) if length > 0) {}
    raw.closed.notify_one();
}

pub(crate) const SSE_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// One chunk with one event whose content is "tick".
pub(crate) const SSE_TICK: &[u8] =
    b"32\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"tick\"}}]}\n\n\r\n";
