//! A streamed answer on its way to the application: whole events only, and its end only when the answer is known to be whole.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use sealwire_http::net::{BodySender, Closed};
use sealwire_http::openai::ApiError;
use sealwire_http::sse::{self, Splitter};

use crate::error::ProxyError;

/// Largest single event of a streamed answer, and most bytes behind its `[DONE]`.
const MAX_EVENT: usize = 8 * 1_024 * 1_024;

/// What is left of an answer after its head.
pub(crate) enum Next {
    Content(Bytes),
    /// The answer is whole.
    End,
}

/// An answer that is read piece by piece.
pub(crate) trait Source: Send + 'static {
    /// The next piece. Cancelling it loses nothing but the answer.
    fn next(&mut self) -> impl Future<Output = Result<Next, ApiError>> + Send;
}

/// Holds the end of an event stream back: `[DONE]` and all behind it, until it is known that the answer is whole.
pub(crate) struct Tail {
    splitter: Splitter,
    held: BytesMut,
    done: bool,
    leave_out: Option<fn(&str) -> bool>,
}

impl Tail {
    pub(crate) fn new() -> Self {
        Self {
            splitter: Splitter::new(MAX_EVENT),
            held: BytesMut::new(),
            done: false,
            leave_out: None,
        }
    }

    /// A tail that leaves some events out, by their data.
    pub(crate) fn without(leave_out: fn(&str) -> bool) -> Self {
        Self {
            leave_out: Some(leave_out),
            ..Self::new()
        }
    }

    /// Takes content; gives the events that are whole and may go.
    fn push(&mut self, content: &[u8]) -> Result<Bytes, ApiError> {
        let too_large = || ProxyError::TooLarge(MAX_EVENT).to_api();
        let mut ready = BytesMut::new();
        self.splitter.push(content);
        while let Some(event) = self.splitter.next_event().map_err(|_| too_large())? {
            if let Some(data) = sse::data(&event) {
                if self.leave_out.is_some_and(|leave_out| leave_out(&data)) {
                    continue;
                }
                // Clients stop reading at whatever begins so.
                self.done |= data.trim_start().starts_with("[DONE]");
            }
            if self.done {
                self.held.extend_from_slice(&event);
            } else {
                ready.extend_from_slice(&event);
            }
        }
        if self.held.len() > MAX_EVENT {
            return Err(too_large());
        }
        Ok(ready.freeze())
    }

    /// All that was held, once the answer is known to be whole.
    fn release(mut self) -> Bytes {
        self.held.extend_from_slice(&self.splitter.into_rest());
        self.held.freeze()
    }
}

/// Passes whole events on as they come, the end of the stream only when FINAL is verified. A fault becomes an error event, and the connection is
/// aborted instead of ended. A client that is gone ends it: dropping the source closes the connection to the relay.
pub(crate) async fn pass_on(mut source: impl Source, mut tail: Tail, sender: BodySender) {
    loop {
        let next = tokio::select! {
            next = source.next() => next,
            () = sender.closed() => return,
        };
        let step = match next {
            Ok(Next::Content(content)) => tail.push(&content),
            Ok(Next::End) => {
                if sender.send(tail.release()).await.is_ok() {
                    let _ = sender.finish().await;
                }
                return;
            }
            Err(error) => Err(error),
        };
        let sent: Result<(), Closed> = match step {
            Ok(events) => sender.send(events).await,
            Err(error) => {
                if sender.send(error.to_sse()).await.is_ok() {
                    sender.abort().await;
                }
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
