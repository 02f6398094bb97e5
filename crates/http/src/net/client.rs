//! The HTTP client: one request, one answer; nothing is retried and no redirect is followed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::{Body, describe};

/// Settings of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig {
    /// Longest time for a connection to open.
    pub connect_timeout: Duration,
    /// How long an unused HTTP/1.1 connection is kept; zero keeps none. A sealed request on a connection that the peer just closed is lost, since it is
    /// never sent twice, and it looks as if the peer had failed.
    pub pool_idle: Duration,
    /// HTTP/2 with prior knowledge instead of HTTP/1.1.
    pub http2: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            pool_idle: Duration::ZERO,
            http2: false,
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
        if config.pool_idle.is_zero() && !config.http2 {
            builder.pool_max_idle_per_host(0);
        }
        let client = builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle.max(Duration::from_secs(1)))
            .retry_canceled_requests(false)
            .http2_only(config.http2)
            .build::<C, Body>(connector);
        Self(Arc::new(move |request| {
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
