//! Carries the bytes of one request to its instance, with back-pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sealwire_http::net::{BodySender, Incoming, ReadError, discard, next_data};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// Who hears of a client's faults.
pub(crate) struct Faults {
    /// The request is too large; the stream is given up. Who listens is the answer's side, as long as there is one.
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
        let sent = tokio::select! {
            sent = timeout(idle, to.send(bytes)) => matches!(sent, Ok(Ok(()))),
            () = too_large.closed() => false,
        };
        if !sent {
            // Nobody needs more of it: the instance has refused or is gone, or the answer has ended. The answer's side says which.
            discard(from);
            return;
        }
        let next = tokio::select! {
            next = next_data(&mut from, idle) => next,
            () = to.closed() => {
                discard(from);
                return;
            }
            // An open request would keep the stream to the instance open, whose answer nobody takes.
            () = too_large.closed() => {
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
