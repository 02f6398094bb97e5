//! The HTTP client: one request, one answer; nothing is retried and no redirect is followed.

use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::base_url::BaseUrl;
use super::body::{Body, describe};
use super::server::{CONNECTION_WINDOW, PING, STREAM_WINDOW};

/// Settings of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Longest time for a connection to open.
    pub connect_timeout: Duration,
    /// How long an unused HTTP/1.1 connection is kept; zero keeps none. A sealed request on a connection that the peer just closed is lost, since it is
    /// never sent twice, and it looks as if the peer had failed.
    pub pool_idle: Duration,
    /// Servers that are spoken to in HTTP/2, many requests on one connection: over plain TCP with prior knowledge, over TLS if they offer it.
    pub http2: Vec<BaseUrl>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            pool_idle: Duration::ZERO,
            http2: Vec::new(),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection could be opened: nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// What came back is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    /// The connection broke before the answer's head was there.
    #[error("the connection broke: {0}")]
    Broken(String),
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, ClientError>> + Send>>;

/// An HTTP client over any connector; cheap to clone.
#[derive(Clone)]
pub struct HttpClient(Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>);

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// A client over plain TCP.
    #[must_use]
    pub fn new(config: &ClientConfig) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.connect_timeout));
        Self::with_connector(config, connector)
    }

    /// A client over a connector of the caller's, such as one that speaks TLS.
    #[must_use]
    pub fn with_connector<C>(config: &ClientConfig, connector: C) -> Self
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let mut builder = Client::builder(TokioExecutor::new());
        if config.pool_idle.is_zero() && config.http2.is_empty() {
            builder.pool_max_idle_per_host(0);
        }
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle.max(Duration::from_secs(1)))
            .retry_canceled_requests(false)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(Some(PING))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW);
        let any = builder.build::<C, Body>(connector.clone());
        let known = Known::new(&config.http2, || {
            builder.http2_only(true).build::<C, Body>(connector.clone())
        });
        Self(Arc::new(move |request| {
            let client = known.client_for(request.uri()).unwrap_or(&any);
            let answer = client.request(request);
            Box::pin(async move { answer.await.map_err(|error| classify(&error)) })
        }))
    }

    /// The same client, with something done to each request before it is sent.
    #[must_use]
    pub fn prepared(self, prepare: impl Fn(&mut Request<Body>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |mut request| {
            prepare(&mut request);
            (self.0)(request)
        }))
    }

    /// Sends a request. The answer's head may come while the request's body is still being sent.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        (self.0)(request).await
    }
}

/// Servers with prior knowledge. One connection is the work of one task, so each is given as many as there are processors, in turns.
struct Known<C> {
    servers: Vec<Authority>,
    connections: Vec<Client<C, Body>>,
    turn: AtomicUsize,
}

impl<C> Known<C> {
    fn new(servers: &[BaseUrl], mut client: impl FnMut() -> Client<C, Body>) -> Self {
        let plain = servers.iter().filter(|server| server.is_plain());
        let servers: Vec<_> = plain.map(|server| server.authority().clone()).collect();
        let processors = available_parallelism().map_or(1, NonZero::get);
        let many = if servers.is_empty() { 0 } else { processors };
        Self {
            servers,
            connections: std::iter::repeat_with(&mut client).take(many).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    fn client_for(&self, target: &Uri) -> Option<&Client<C, Body>> {
        if target.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        let authority = target.authority()?;
        if !self.servers.contains(authority) {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.connections
            .get(turn.checked_rem(self.connections.len())?)
    }
}

fn classify(error: &hyper_util::client::legacy::Error) -> ClientError {
    let mut source = std::error::Error::source(error);
    if error.is_connect() {
        // The connector's own words; the client's around them say nothing more.
        return ClientError::Connect(source.map_or_else(|| describe(error), describe));
    }
    let text = describe(error);
    while let Some(cause) = source {
        if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return ClientError::NotHttp(text);
        }
        source = cause.source();
    }
    ClientError::Broken(text)
}
