//! The client's connections: how many it opens, what it keeps, and who suffers when a request is given up.
#![cfg(feature = "net")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::available_parallelism;
use std::time::Duration;

use http::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use sealwire_http::net::{
    BaseUrl, Body, ClientConfig, Handler, HttpClient, Incoming, Server, ServerLimits, channel,
    empty, full, read_all,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tower_service::Service;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const IDLE: Duration = Duration::from_secs(20);

/// Answers `/held` without an end, anything else at once.
struct Answers;

impl Handler for Answers {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() != "/held" {
            return Response::new(full("whole"));
        }
        let (sender, body) = channel(1);
        tokio::spawn(async move { sender.closed().await });
        Response::new(body)
    }
}

/// A server, and the connections that it has got.
async fn server() -> (Server, BaseUrl, Arc<AtomicUsize>) {
    let server = Server::start(LOOPBACK, ServerLimits::default(), Arc::new(Answers))
        .await
        .expect("a free port");
    let to = server.address();
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
    let base = format!("http://{address}").parse().expect("an address");
    (server, base, count)
}

fn get(base: &BaseUrl, path: &str) -> Request<Body> {
    let mut request = Request::new(empty());
    *request.uri_mut() = base.join(path).expect("a path");
    request
}

fn http2(servers: &[&BaseUrl]) -> ClientConfig {
    ClientConfig {
        http2: servers.iter().copied().cloned().collect(),
        ..ClientConfig::default()
    }
}

#[tokio::test]
async fn streams_that_begin_long_after_each_other_share_connections() {
    let (_server, base, count) = server().await;
    let client = HttpClient::new(&http2(&[&base]));
    let processors = available_parallelism().map_or(1, usize::from);
    let mut held = Vec::new();
    for _ in 0..=processors.min(4) {
        held.push(client.send(get(&base, "/held")).await.expect("an answer"));
        sleep(Duration::from_millis(1_300)).await;
    }
    let opened = count.load(Ordering::Relaxed);
    assert!(opened <= processors.min(held.len()), "{opened} connections");
}

#[derive(Clone)]
struct Slow(HttpConnector);

impl Service<Uri> for Slow {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            sleep(Duration::from_millis(300)).await;
            connecting.await
        })
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_while_its_connection_opens_takes_no_other_with_it() {
    let (_server, base, _) = server().await;
    let client = HttpClient::with_connector(&http2(&[&base]), Slow(HttpConnector::new()));
    let mut asking = Vec::new();
    for _ in 0..4 * available_parallelism().map_or(1, usize::from) {
        let (client, request) = (client.clone(), get(&base, "/"));
        asking.push(tokio::spawn(async move { client.send(request).await }));
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_millis(50)).await;
    asking.remove(0).abort();
    for answer in asking {
        let response = answer.await.expect("no panic").expect("an answer");
        let body = read_all(&mut response.into_body(), 100, IDLE).await;
        assert_eq!(body.expect("whole"), "whole");
    }
}

#[tokio::test]
async fn without_a_time_to_keep_them_connections_of_http1_serve_once() {
    let (_server, base, count) = server().await;
    let other: BaseUrl = "http://127.0.0.1:9".parse().expect("an address");
    let client = HttpClient::new(&http2(&[&other]));
    for _ in 0..3 {
        let response = client.send(get(&base, "/")).await.expect("an answer");
        let body = read_all(&mut response.into_body(), 100, IDLE).await;
        assert_eq!(body.expect("whole"), "whole");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
}
