//! Message bodies: made from bytes or from a channel, read with bounds on size and silence.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// The body of every message that this project sends.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body ended without its end: the connection (or the HTTP/2 stream) is aborted, so that the peer cannot take it for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body was given up before its end")]
pub struct BodyError;

fn never(impossible: Infallible) -> BodyError {
    match impossible {}
}

/// A body without content.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// A body that is known whole.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

enum Part {
    Data(Bytes),
    End,
}

/// The sending side of a body made by [`channel`]. Dropping it without [`BodySender::finish`] aborts the message.
#[derive(Debug)]
pub struct BodySender(mpsc::Sender<Part>);

/// The reader of the body is gone: the peer hung up, or the connection died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer is gone")]
pub struct Closed;

impl BodySender {
    /// Sends bytes on, waiting while the peer is slow. Empty bytes are dropped.
    ///
    /// # Errors
    ///
    /// [`Closed`] if nobody reads any more.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Closed> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.send(Part::Data(bytes)).await.map_err(|_| Closed)
    }

    /// Ends the body properly.
    ///
    /// # Errors
    ///
    /// [`Closed`] if nobody reads any more.
    pub async fn finish(self) -> Result<(), Closed> {
        self.0.send(Part::End).await.map_err(|_| Closed)
    }

    /// Gives the body up, after what was sent before had its chance to reach the peer.
    pub async fn abort(self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        const FLUSH: Duration = Duration::from_millis(20);
        // All places free again: the connection has taken every piece. It flushes when it asks for more and there is none.
        let capacity = self.0.max_capacity();
        let _ = timeout(PATIENCE, self.0.reserve_many(capacity)).await;
        tokio::time::sleep(FLUSH).await;
    }

    /// Completes when nobody reads any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

struct ChannelBody {
    parts: mpsc::Receiver<Part>,
    ended: bool,
}

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.parts.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Part::Data(bytes))) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Poll::Ready(Some(Part::End)) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(Some(Err(BodyError)))
            }
        }
    }
}

/// A body that is produced while it is sent; `capacity` pieces wait at most.
#[must_use]
pub fn channel(capacity: usize) -> (BodySender, Body) {
    let (sender, parts) = mpsc::channel(capacity.max(1));
    let body = ChannelBody {
        parts,
        ended: false,
    };
    (BodySender(sender), body.boxed_unsync())
}

/// Gives the pieces of a body when they are asked for.
pub trait Pieces: Send + 'static {
    /// The next piece, `None` at the proper end. An error aborts the message.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;
}

/// A body that the connection draws from its source, without a task in between.
#[must_use]
pub fn pieces(source: impl Pieces + Unpin) -> Body {
    PiecesBody(source).boxed_unsync()
}

struct PiecesBody<P>(P);

impl<P: Pieces + Unpin> http_body::Body for PiecesBody<P> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = self.0.poll_piece(cx);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer was silent for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Idle(Duration),
    /// The body is larger than the reader takes.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// The connection broke, or the peer aborted.
    #[error("the body broke off: {0}")]
    Broken(String),
}

/// The next piece of a body, `None` at its proper end. Trailers are skipped.
///
/// # Errors
///
/// [`ReadError::Broken`] if it broke off.
pub fn poll_data(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, ReadError>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(Ok(None)),
            Some(Err(error)) => {
                return Poll::Ready(Err(ReadError::Broken(describe(&error))));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Poll::Ready(Ok(Some(data)));
                }
            }
        }
    }
}

/// The next piece of a body, `None` at its proper end. Trailers are skipped.
///
/// # Errors
///
/// [`ReadError::Idle`] after `idle` without a byte, [`ReadError::Broken`] if it broke off.
pub async fn next_data(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, ReadError> {
    next_data_by(body, Instant::now() + idle, idle).await
}

/// As [`next_data`], with a deadline that the caller keeps over several calls; `idle` is what the error then names.
///
/// # Errors
///
/// As [`next_data`].
pub async fn next_data_by(
    body: &mut Incoming,
    deadline: Instant,
    idle: Duration,
) -> Result<Option<Bytes>, ReadError> {
    let data = timeout_at(deadline, poll_fn(|cx| poll_data(body, cx)));
    data.await.unwrap_or(Err(ReadError::Idle(idle)))
}

/// A whole body of at most `limit` bytes.
///
/// # Errors
///
/// [`ReadError`].
pub async fn read_all(
    body: &mut Incoming,
    limit: usize,
    idle: Duration,
) -> Result<Bytes, ReadError> {
    let mut collected = BytesMut::new();
    while let Some(data) = next_data(body, idle).await? {
        if data.len() > limit.saturating_sub(collected.len()) {
            return Err(ReadError::TooLarge(limit));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

/// Reads and forgets what is left of a request's body in the background, within bounds, so that an early answer reaches a peer that is still sending.
pub fn discard(mut body: Incoming) {
    const LIMIT: usize = 4 * 1_024 * 1_024;
    const TIME: Duration = Duration::from_secs(2);
    tokio::spawn(async move {
        let end = Instant::now() + TIME;
        let mut left = LIMIT;
        while let Ok(Some(data)) =
            next_data(&mut body, end.saturating_duration_since(Instant::now())).await
        {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    });
}

/// An error and its causes, in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_finished_channel_is_whole() {
        let (sender, body) = channel(1);
        tokio::spawn(async move {
            sender.send(&b"ab"[..]).await.expect("read");
            sender.send(Bytes::new()).await.expect("read");
            sender.send(&b"c"[..]).await.expect("read");
            sender.finish().await.expect("read");
        });
        assert_eq!(body.collect().await.expect("whole").to_bytes(), "abc");
    }

    #[tokio::test]
    async fn a_dropped_sender_is_an_error_not_an_end() {
        let (sender, mut body) = channel(1);
        sender.send(&b"ab"[..]).await.expect("room");
        drop(sender);
        assert!(matches!(body.frame().await, Some(Ok(_))));
        assert!(matches!(body.frame().await, Some(Err(BodyError))));
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_dropped_body_is_seen() {
        let (sender, body) = channel(1);
        drop(body);
        sender.closed().await;
        assert_eq!(sender.send(&b"x"[..]).await, Err(Closed));
    }
}
