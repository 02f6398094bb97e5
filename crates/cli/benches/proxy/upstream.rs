//! The upstream, in a process of its own: streams paced by `pacer`, whole answers at once.

use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use sealwire_http::net::{
    Body, BodyError, Handler, Incoming, Server, ServerLimits, announce, json, read_all,
    stop_signal, text,
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::api::Api;
use crate::memory::{BUSY, IDLE};
use crate::pacer::{self, Paced, WAITING};

/// The user of whom streams are held open without tokens.
pub(crate) const HELD: &str = "held";

/// Serves until it is told to stop, and prints where.
pub(crate) fn run() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let handler = Upstream {
            pacer: Mutex::new(pacer::start()),
            held: Mutex::default(),
        };
        let limits = ServerLimits::for_streams(IDLE + BUSY, IDLE + BUSY);
        let server = Server::start(([127, 0, 0, 1], 0).into(), limits, Arc::new(handler)).await?;
        announce(server.address());
        stop_signal().await;
        Ok(())
    })
}

struct Upstream {
    pacer: Mutex<Sender<Paced>>,
    /// Streams that get nothing more.
    held: Mutex<Vec<mpsc::Sender<Bytes>>>,
}

impl Handler for Upstream {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        // Nothing else, so that whoever translates does it to this API.
        if request.method() != Method::POST || request.uri().path() != Api::Chat.path() {
            return text(StatusCode::NOT_FOUND, "chat only\n");
        }
        let mut body = request.into_body();
        let Ok(body) = read_all(&mut body, 1 << 20, Duration::from_secs(10)).await else {
            return text(StatusCode::BAD_REQUEST, "no body\n");
        };
        let Ok(body) = serde_json::from_slice::<Value>(&body) else {
            return text(StatusCode::BAD_REQUEST, "no JSON\n");
        };
        if body["stream"] != true {
            return json(StatusCode::OK, Answer::whole().into());
        }
        self.stream(&body)
    }
}

impl Upstream {
    fn stream(&self, body: &Value) -> Response<Body> {
        let mut answer = Answer::new(body["stream_options"]["include_usage"] == true);
        let (sender, pieces) = mpsc::channel(WAITING);
        // The channel is new and has room.
        let _ = sender.try_send(answer.begin());
        let _ = sender.try_send(answer.token());
        if body["user"] == HELD {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.len() == held.capacity() {
                held.retain(|sender| !sender.is_closed());
            }
            held.push(sender);
            return response(pieces);
        }
        let left = body["max_tokens"].as_u64().unwrap_or(16).saturating_sub(1);
        let paced = Paced {
            answer,
            sender,
            left,
        };
        let pacer = self.pacer.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread ends only after this sender.
        let _ = pacer.send(paced);
        response(pieces)
    }
}

fn response(pieces: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut response = Response::new(Pieces(pieces).boxed_unsync());
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A body that ends when its sender is gone.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
