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
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connect, HttpConnector, capture_connection,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::task::JoinHandle;

use super::base_url::BaseUrl;
use super::body::{Body, describe};
use super::server::PING;

/// Bytes that a stream of an HTTP/2 connection may bring before they are read. Streams are many, and one that nobody reads keeps as much.
const STREAM_WINDOW: u32 = 128 * 1_024;
/// The same for a connection: the most there is (RFC 9113 section 6.9.1), so that streams that nobody reads do not hold up the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

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
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(Some(PING))
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW);
        let mut many = builder.clone();
        many.http2_only(true)
            .http2_keep_alive_while_idle(true)
            // The pool takes a connection for idle since the last request began, whatever runs on it.
            .pool_idle_timeout(None)
            .retry_canceled_requests(false);
        if config.pool_idle.is_zero() {
            builder.pool_max_idle_per_host(0);
        }
        builder
            .pool_idle_timeout(config.pool_idle.max(Duration::from_secs(1)))
            .retry_canceled_requests(false);
        let any = builder.build::<C, Body>(connector.clone());
        let known = Known::new(&config.http2, || many.build::<C, Body>(connector.clone()));
        Self(Arc::new(move |mut request| {
            if let Some(client) = known.client_for(request.uri()) {
                let connection = capture_connection(&mut request);
                let asked = Asked {
                    task: tokio::spawn(client.request(request)),
                    connection: Some(connection),
                };
                return Box::pin(asked.answer());
            }
            let answer = any.request(request);
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

/// A request on a connection that others may wait for. One that is given up meanwhile goes on until the connection is there: the pool would give up all
/// that wait with it.
struct Asked {
    task: JoinHandle<Result<Response<Incoming>, hyper_util::client::legacy::Error>>,
    connection: Option<CaptureConnection>,
}

impl Asked {
    async fn answer(mut self) -> Result<Response<Incoming>, ClientError> {
        match (&mut self.task).await {
            Ok(answer) => answer.map_err(|error| classify(&error)),
            Err(error) => Err(ClientError::Broken(error.to_string())),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let task = self.task.abort_handle();
        if let Some(mut connection) = self.connection.take()
            && !task.is_finished()
        {
            tokio::spawn(async move {
                // Ends without a connection too, if none can be had.
                let _ = connection.wait_for_connection_metadata().await;
                task.abort();
            });
        }
    }
}

/// Servers with prior knowledge. One connection is the work of one task, so each is given as many as there are processors, in turns.
struct Known<C> {
    servers: Vec<(Authority, AtomicUsize)>,
    connections: Vec<Client<C, Body>>,
}

impl<C> Known<C> {
    fn new(servers: &[BaseUrl], mut client: impl FnMut() -> Client<C, Body>) -> Self {
        let plain = servers.iter().filter(|server| server.is_plain());
        let servers: Vec<_> = plain
            .map(|server| (server.authority().clone(), AtomicUsize::new(0)))
            .collect();
        let processors = available_parallelism().map_or(1, NonZero::get);
        let many = if servers.is_empty() { 0 } else { processors };
        Self {
            servers,
            connections: std::iter::repeat_with(&mut client).take(many).collect(),
        }
    }

    fn client_for(&self, target: &Uri) -> Option<&Client<C, Body>> {
        if target.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        let authority = target.authority()?;
        let (_, turn) = self
            .servers
            .iter()
            .find(|(server, _)| server == authority)?;
        let turn = turn.fetch_add(1, Ordering::Relaxed);
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
