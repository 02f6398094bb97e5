//! The server loop: accepts connections within bounds and hands each request to a [`Handler`].

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::body::Body;
use super::process::warn;

/// Time between two warnings that connections cannot be accepted.
const PAUSE: Duration = Duration::from_secs(60);
/// Bytes that a request on an HTTP/2 connection may bring before they are read. Less would slow uploads down.
const STREAM_WINDOW: u32 = 256 * 1_024;
/// The same for all requests of a connection, whoever opens it: what it can make a server hold.
const CONNECTION_WINDOW: u32 = 4 * 1_024 * 1_024;
/// Time between two pings on an HTTP/2 connection with streams; one that does not answer is given up.
pub(super) const PING: Duration = Duration::from_secs(20);

/// Answers requests. A handler never fails: what goes wrong becomes an answer.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;
}

/// Bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Header fields of a request.
    pub header_fields: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Longest time for a request's head to arrive, and for the first request of a connection.
    pub header_time: Duration,
    /// Concurrent requests on one HTTP/2 connection; more wait at the client.
    pub http2_streams: u32,
}

impl ServerLimits {
    /// The defaults with so many connections, and room for so many streams on one. The bound on streams themselves is the handler's, which says so to
    /// whoever comes too many; a client that waits for a place in its connection is told nothing.
    #[must_use]
    pub fn for_streams(streams: usize, connections: usize) -> Self {
        let defaults = Self::default();
        Self {
            connections,
            http2_streams: defaults
                .http2_streams
                .max(u32::try_from(streams).unwrap_or(u32::MAX).saturating_add(1)),
            ..defaults
        }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            header_fields: 64,
            header_bytes: 32 * 1_024,
            header_time: Duration::from_secs(15),
            http2_streams: 128,
        }
    }
}

/// A running server. Dropping it closes the listener and every connection at once; [`Server::shut_down`] lets requests end.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` (port 0 picks one) and serves.
    ///
    /// # Errors
    ///
    /// The operating system's, if the address cannot be bound.
    pub async fn start<H: Handler>(
        address: SocketAddr,
        limits: ServerLimits,
        handler: Arc<H>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, limits, handler, stopped));
        Ok(Self {
            address,
            stop,
            task: Some(task),
        })
    }

    /// The address it listens on, with the actual port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests end for at most `grace`, then closes what is left.
    pub async fn shut_down(mut self, grace: Duration) {
        let _ = self.stop.send(true);
        if let Some(mut task) = self.task.take()
            && timeout(grace, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept<H: Handler>(
    listener: TcpListener,
    limits: ServerLimits,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
) {
    let most = limits.connections.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut told: Option<Instant> = None;
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
        };
        let (permit, stream) = match accepted {
            (Ok(permit), Ok((stream, _))) => (permit, stream),
            (_, failed) => {
                // Out of files, or a connection that died in the queue: others may go on.
                if let Err(error) = failed
                    && !matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                    )
                    && told.is_none_or(|at| at.elapsed() >= PAUSE)
                {
                    told = Some(Instant::now());
                    warn(&format!(
                        "warning: a connection cannot be accepted: {error}"
                    ));
                }
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let handler = Arc::clone(&handler);
        let stopped = stopped.clone();
        connections.spawn(async move {
            serve(stream, limits, handler, stopped).await;
            drop(permit);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<H: Handler>(
    stream: TcpStream,
    limits: ServerLimits,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request| {
        seen.store(true, Ordering::Relaxed);
        let handler = Arc::clone(&handler);
        // On the heap: hyper keeps room for this future as long as the answer lasts.
        Box::pin(async move { Ok::<_, Infallible>(handler.handle(request).await) })
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(limits.header_fields)
        .max_buf_size(limits.header_bytes.max(8_192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.http2_streams);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // Before the first request no timeout of the protocols runs yet.
    let first = sleep(limits.header_time);
    tokio::pin!(first);
    let mut waiting = true;
    let mut stopping = false;
    loop {
        tokio::select! {
            // An error here is the connection's end; the handlers have seen it through their bodies.
            _ = connection.as_mut() => return,
            () = first.as_mut(), if waiting => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                waiting = false;
            }
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
