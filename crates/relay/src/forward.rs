//! Carries the bytes of one stream in both directions, with back-pressure, through what meters it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sealwire_http::net::{BodySender, Incoming, ReadError, discard, next_data};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// What an answer goes through on its way to the client. It never waits, and what it holds is bounded.
pub(crate) trait Passage: Send {
    /// What goes on of a piece that came; `None` gives the answer up.
    fn take(&mut self, piece: Bytes) -> Option<Bytes>;

    /// What else goes on at the answer's proper end.
    fn rest(&mut self) -> Bytes {
        Bytes::new()
    }

    /// Tells of bytes that went on.
    fn passed(&mut self, bytes: &[u8]);

    /// Tells how many bytes the request had.
    fn count_up(&mut self, bytes: u64);
}

/// Who hears of a client's faults.
pub(crate) struct Faults {
    /// The request is too large; the stream is given up.
    pub(crate) too_large: watch::Sender<bool>,
    /// The client broke the request off or is silent; it breaks off towards the instance too. Nobody: it ends there, and the instance, which sees that
    /// FINAL is missing, says so in its sealed answer (spec/http.md section 2).
    pub(crate) cut: Option<oneshot::Sender<ReadError>>,
}

/// Client to instance, until either side ends.
pub(crate) async fn up(
    mut from: Incoming,
    to: BodySender,
    first: Bytes,
    limit: u64,
    idle: Duration,
    count: Arc<AtomicU64>,
    faults: Faults,
) {
    let Faults { too_large, cut } = faults;
    let mut total: u64 = 0;
    let mut data = Some(first);
    while let Some(bytes) = data {
        total = total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if total > limit {
            let _ = too_large.send(true);
            discard(from);
            // What is open towards the instance ends with the stream, not before it: the order tells whose fault it was.
            too_large.closed().await;
            return;
        }
        count.store(total, Ordering::Relaxed);
        if !matches!(timeout(idle, to.send(bytes)).await, Ok(Ok(()))) {
            // The instance needs no more of it: it has refused, or is gone. The answer's side says which.
            discard(from);
            return;
        }
        let next = tokio::select! {
            next = next_data(&mut from, idle) => next,
            () = to.closed() => {
                discard(from);
                return;
            }
        };
        match next {
            Ok(next) => data = next,
            Err(fault) => {
                if let Some(told) = cut {
                    // Told before the sender is dropped: what the instance makes of it is no news.
                    let _ = told.send(fault);
                    return;
                }
                break;
            }
        }
    }
    let _ = to.finish().await;
}

/// Instance to client, until either side ends. Dropping `from` tells the instance that the client is gone.
pub(crate) async fn down<P: Passage>(
    mut from: Incoming,
    to: BodySender,
    idle: Duration,
    mut passage: P,
    count: Arc<AtomicU64>,
    mut too_large: watch::Receiver<bool>,
) {
    loop {
        let next = tokio::select! {
            next = next_data(&mut from, idle) => next,
            () = to.closed() => break,
            // Dropping both sides aborts both.
            () = said(&mut too_large) => break,
        };
        let (bytes, ended) = match next {
            Ok(Some(bytes)) => (passage.take(bytes), false),
            Ok(None) => (Some(passage.rest()), true),
            Err(_) => (None, false),
        };
        // Given up or broken off: the sender is dropped without an end, and the client's connection is aborted too.
        let Some(bytes) = bytes else { break };
        let copy = bytes.clone();
        if !matches!(timeout(idle, to.send(bytes)).await, Ok(Ok(()))) {
            break;
        }
        passage.passed(&copy);
        if ended {
            let _ = to.finish().await;
            break;
        }
    }
    passage.count_up(count.load(Ordering::Relaxed));
}

/// Completes with why the request broke off; never if it did not.
pub(crate) async fn broken(cut: oneshot::Receiver<ReadError>) -> ReadError {
    match cut.await {
        Ok(fault) => fault,
        Err(_) => std::future::pending().await,
    }
}

/// Completes when it is said that the request is too large; never if the request ended without that.
pub(crate) async fn said(too_large: &mut watch::Receiver<bool>) {
    if too_large.wait_for(|said| *said).await.is_err() {
        std::future::pending::<()>().await;
    }
}
