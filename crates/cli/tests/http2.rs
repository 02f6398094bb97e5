//! HTTP/2 between the roles: many streams on few connections, and none in the way of another.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use common::{
    ANSWER, IDLE, LOOPBACK, MODEL, found, model, post, question, read_stream, server, url, whole,
};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode, Version};
use sealwire::IdentityTrust;
use sealwire_cli::provider::provider;
use sealwire_http::net::{
    BaseUrl, BodySender, ClientConfig, HttpClient, Incoming, Server, channel, next_data, read_all,
    text,
};
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_proxy::ProxyConfig;
use sealwire_relay::{Relay, RelayConfig};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

fn http2_to(server: &BaseUrl) -> HttpClient {
    HttpClient::new(&ClientConfig {
        http2: vec![server.clone()],
        ..ClientConfig::default()
    })
}

/// What the proxy asks is counted on its way to the relay, and so on.
struct System {
    proxy: BaseUrl,
    to_relay: Arc<AtomicUsize>,
    to_instance: Arc<AtomicUsize>,
    _roles: (Instance, Relay, Server),
}

async fn system(upstream: SocketAddr, relay_idle: Duration) -> System {
    let config = InstanceConfig::new(url(upstream), MODEL);
    let instance = common::instance(config, 1).await;
    let (instance_url, to_instance) = counted(instance.address()).await;
    let mut config = RelayConfig::new(vec![instance_url.clone()]);
    config.limits.idle = relay_idle;
    let relay = sealwire_relay::start(config, http2_to(&instance_url))
        .await
        .expect("a free port");
    let (relay_url, to_relay) = counted(relay.address()).await;
    found(&relay_url).await;
    let config = ProxyConfig::new(
        relay_url.clone(),
        IdentityTrust::pinned(&[instance.identity()]),
    );
    let proxy = sealwire_proxy::start(config, provider(), http2_to(&relay_url))
        .await
        .expect("a free port");
    System {
        proxy: url(proxy.address()),
        to_relay,
        to_instance,
        _roles: (instance, relay, proxy),
    }
}

/// Leads to a server, and counts the connections.
async fn counted(to: SocketAddr) -> (BaseUrl, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(LOOPBACK).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut inner = TcpStream::connect(to).await.expect("the server");
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    (url(address), count)
}

/// A model server whose streams are in the hands of the test.
async fn held() -> (Server, mpsc::UnboundedReceiver<BodySender>) {
    let (senders, streams) = mpsc::unbounded_channel();
    let server = server(move |request| {
        let senders = senders.clone();
        async move {
            let mut body = request.into_body();
            read_all(&mut body, 1 << 20, IDLE).await.expect("a request");
            let (sender, body) = channel(1);
            senders.send(sender).expect("the test listens");
            let mut response = Response::new(body);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            response
        }
    })
    .await;
    (server, streams)
}

async fn ask(proxy: &BaseUrl) -> Response<Incoming> {
    post(proxy, "/v1/chat/completions", &question(true)).await
}

const TICK: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tick\"}}]}\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_share_few_connections() {
    let (model, mut streams) = held().await;
    let system = system(model.address(), IDLE).await;
    let (relay_before, instance_before) = (
        system.to_relay.load(Ordering::Relaxed),
        system.to_instance.load(Ordering::Relaxed),
    );
    let mut asking = JoinSet::new();
    for _ in 0..64 {
        let base = system.proxy.clone();
        asking.spawn(async move { read_stream(ask(&base).await).await });
    }
    let mut held = Vec::new();
    while held.len() < 64 {
        let next = timeout(IDLE, streams.recv()).await.expect("in time");
        held.push(next.expect("a stream"));
    }
    // One client each of proxy and relay, and the test's own questions.
    let most = available_parallelism().map_or(1, usize::from) + 1;
    for (count, before) in [
        (&system.to_relay, relay_before),
        (&system.to_instance, instance_before),
    ] {
        let opened = count.load(Ordering::Relaxed) - before;
        assert!(opened <= most, "{opened} connections");
    }
    for sender in held {
        sender.send(TICK).await.expect("read");
        sender.send("data: [DONE]\n\n").await.expect("read");
        sender.finish().await.expect("read");
    }
    while let Some(streamed) = asking.join_next().await {
        let streamed = streamed.expect("no panic");
        assert!(streamed.done && streamed.ended, "{streamed:?}");
        assert_eq!(streamed.text, "tick");
    }
}

#[tokio::test]
async fn answers_cross_whole_and_streamed() {
    let model = model().await;
    let system = system(model.address(), IDLE).await;
    let answer = post(&system.proxy, "/v1/chat/completions", &question(false)).await;
    let (status, answer) = whole(answer).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["choices"][0]["message"]["content"], ANSWER);
    let streamed = read_stream(ask(&system.proxy).await).await;
    assert!(streamed.done && streamed.ended, "{streamed:?}");
    assert_eq!(streamed.text, ANSWER);
}

#[tokio::test]
async fn a_request_of_many_windows_reaches_the_model_server() {
    let content = "x".repeat(3 << 20);
    let length = content.len();
    let model = server(move |request| async move {
        let mut body = request.into_body();
        let body = read_all(&mut body, 8 << 20, IDLE).await.expect("a request");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let came = body["input"].as_str().map_or(0, str::len);
        text(StatusCode::OK, &came.to_string())
    })
    .await;
    let system = system(model.address(), IDLE).await;
    let body = json!({"model": MODEL, "input": content});
    let (status, answer) = whole(post(&system.proxy, "/v1/embeddings", &body).await).await;
    assert_eq!((status, answer), (StatusCode::OK, json!(length)));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_own_stream_only() {
    let (model, mut streams) = held().await;
    let system = system(model.address(), IDLE).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let asked = ask(&system.proxy);
        let (response, sender) = tokio::join!(asked, async {
            let sender = streams.recv().await.expect("a stream");
            sender.send(TICK).await.expect("read");
            sender
        });
        open.push((response.into_body(), sender));
    }
    let (mut stays, to_stays) = open.pop().expect("two");
    let (leaves, to_leaves) = open.pop().expect("two");
    drop(leaves);
    timeout(IDLE, to_leaves.closed()).await.expect("cancelled");
    next_data(&mut stays, IDLE).await.expect("a token");
    to_stays.send(TICK).await.expect("still read");
    let data = next_data(&mut stays, IDLE).await.expect("still open");
    assert!(data.is_some_and(|data| data.windows(4).any(|four| four == b"tick")));
}

/// Fills a stream until nothing more is taken.
async fn flood(sender: &BodySender) {
    let tokens = Bytes::from(TICK.repeat(1_000));
    while let Ok(sent) = timeout(Duration::from_millis(300), sender.send(tokens.clone())).await {
        sent.expect("still open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_no_other_up_and_is_given_up() {
    let (model, mut streams) = held().await;
    let system = system(model.address(), Duration::from_secs(3)).await;
    let (stuck, to_stuck) = tokio::join!(ask(&system.proxy), async {
        let sender = streams.recv().await.expect("a stream");
        sender.send(TICK).await.expect("read");
        sender
    });
    flood(&to_stuck).await;
    let asked = ask(&system.proxy);
    let (response, ()) = tokio::join!(asked, async {
        let sender = streams.recv().await.expect("a stream");
        sender.send(TICK.repeat(20_000)).await.expect("read");
        sender.send("data: [DONE]\n\n").await.expect("read");
        sender.finish().await.expect("read");
    });
    let streamed = read_stream(response).await;
    assert!(streamed.done && streamed.ended);
    // The instance would wait for a minute.
    timeout(IDLE, to_stuck.closed()).await.expect("given up");
    drop(stuck);
}

#[tokio::test]
async fn other_servers_are_spoken_to_in_http1() {
    let versions = server(|request| {
        let version = request.version();
        async move { text(StatusCode::OK, &format!("{version:?}")) }
    })
    .await;
    let base = url(versions.address());
    let other: BaseUrl = "http://127.0.0.1:9".parse().expect("an address");
    for (named, expected) in [(&base, Version::HTTP_2), (&other, Version::HTTP_11)] {
        let mut request = http::Request::new(sealwire_http::net::empty());
        *request.uri_mut() = base.join("/").expect("a path");
        let response = http2_to(named).send(request).await.expect("an answer");
        let mut body = response.into_body();
        let body = read_all(&mut body, 1 << 10, IDLE).await.expect("a body");
        assert_eq!(body, format!("{expected:?}"));
    }
}
