//! The load tool: plain HTTP/1.1 connections, streams that are opened at an even pace, and requests one after the other.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::MODEL;
use crate::answer::{Departures, now};
use crate::api::Api;
use crate::samples::{Recorder, Samples};
use crate::upstream::HELD;

type Fault = Box<dyn Error + Send + Sync>;

/// What a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// So many tokens at the upstream's pace.
    Paced(u64),
    /// One token, and then nothing and no end.
    Held,
}

/// Streams or requests that run until this is dropped.
pub(crate) struct Load {
    recorder: Arc<Recorder>,
    /// Streams that have had a first token and not yet an end.
    running: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Load {
    /// Opens such a stream every so often, at most `most` in all.
    pub(crate) fn streams(target: SocketAddr, kind: Stream, every: Duration, most: usize) -> Self {
        Self::of(move |recorder, running, tasks| {
            tasks.spawn(async move {
                let start = tokio::time::Instant::now();
                let mut streams = JoinSet::new();
                for number in 0..most {
                    sleep_until(start + every * u32::try_from(number).unwrap_or(u32::MAX)).await;
                    let (recorder, running) = (Arc::clone(&recorder), Arc::clone(&running));
                    streams.spawn(async move {
                        let stream = stream(target, kind, &recorder, &running);
                        if let Err(fault) = stream.await {
                            failed(&recorder, &fault);
                        }
                    });
                    while streams.try_join_next().is_some() {}
                }
                while streams.join_next().await.is_some() {}
            });
        })
    }

    /// Asks for small whole answers over so many connections, on each one after the other. The connections are dealt out to the targets.
    pub(crate) fn requests(targets: &[SocketAddr], api: Api, connections: usize) -> Self {
        Self::of(move |recorder, _, tasks| {
            for target in targets.iter().copied().cycle().take(connections) {
                let recorder = Arc::clone(&recorder);
                tasks.spawn(async move {
                    loop {
                        let Err(fault) = ask(target, api, &recorder).await;
                        failed(&recorder, &fault);
                        // A server that refuses everything shall not be stormed.
                        sleep(Duration::from_millis(20)).await;
                    }
                });
            }
        })
    }

    fn of(spawn: impl FnOnce(Arc<Recorder>, Arc<AtomicUsize>, &mut JoinSet<()>)) -> Self {
        let (recorder, running) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        spawn(Arc::clone(&recorder), Arc::clone(&running), &mut tasks);
        Self {
            recorder,
            running,
            _tasks: tasks,
        }
    }

    /// Streams that are open.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// What is seen within a window; `None` if the clock was set meanwhile.
    pub(crate) async fn window(&self, time: Duration) -> Option<Samples> {
        self.recorder.open();
        sleep(time).await;
        self.recorder.close()
    }
}

/// Whether a GET is answered with 200.
pub(crate) async fn ok(target: SocketAddr, path: &str) -> bool {
    let get = async {
        let mut sender = connect(target).await?;
        let mut request = request(target, path, Bytes::new())?;
        *request.method_mut() = Method::GET;
        Ok::<_, Fault>(sender.send_request(request).await?.status())
    };
    get.await.is_ok_and(|status| status == StatusCode::OK)
}

/// One stream, from its request to its end.
async fn stream(
    target: SocketAddr,
    kind: Stream,
    recorder: &Recorder,
    running: &AtomicUsize,
) -> Result<(), Fault> {
    let (tokens, user) = match kind {
        Stream::Paced(tokens) => (tokens, "paced"),
        Stream::Held => (u64::MAX, HELD),
    };
    let body = json!({
        "model": MODEL,
        "stream": true,
        "max_tokens": tokens,
        "user": user,
        "messages": [{"role": "user", "content": "How long does a token take?"}],
    });
    let mut sender = connect(target).await?;
    let request = request(target, Api::Chat.path(), body.to_string().into())?;
    let counts = recorder.is_open();
    let start = Instant::now();
    let mut body = accepted(sender.send_request(request).await?).await?;
    let mut departures = Departures::default();
    let mut seen = 0;
    // Leaves the count when it is dropped, however the stream ends.
    let mut open = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let arrival = now();
        departures.push(&data, |departure| {
            seen += 1;
            if seen == 1 {
                open = Some(Running::new(running));
                if counts {
                    let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    recorder.note(|samples| samples.first.push(time));
                }
            } else {
                recorder.token(departure, arrival);
            }
        });
    }
    if seen == tokens {
        Ok(())
    } else {
        Err(format!("{seen} tokens of {tokens}").into())
    }
}

/// Requests on one connection, until something goes wrong.
async fn ask(
    target: SocketAddr,
    api: Api,
    recorder: &Recorder,
) -> Result<std::convert::Infallible, Fault> {
    let mut sender = connect(target).await?;
    loop {
        sender.ready().await?;
        let request = request(target, api.path(), api.body())?;
        let body = accepted(sender.send_request(request).await?).await?;
        let answer = body.collect().await?.to_bytes();
        if !api.is_answer(&answer) {
            return Err("something else than the upstream's answer".into());
        }
        recorder.note(|samples| samples.answers += 1);
    }
}

async fn connect(target: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Fault> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender and the body of its answer.
    tokio::spawn(connection);
    Ok(sender)
}

fn request(target: SocketAddr, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse()?;
    let host = HeaderValue::from_str(&target.to_string())?;
    request.headers_mut().insert(HOST, host);
    let kind = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(request)
}

async fn accepted(response: Response<Incoming>) -> Result<Incoming, Fault> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response.into_body());
    }
    let body = response.into_body().collect().await?.to_bytes();
    Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
}

/// Counts a failure; the first says what it was.
fn failed(recorder: &Recorder, fault: &Fault) {
    recorder.note(|samples| {
        samples.failed += 1;
        if samples.failed == 1 {
            eprintln!("  a request failed: {fault}");
        }
    });
}

struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
