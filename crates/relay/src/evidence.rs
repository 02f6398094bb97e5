//! Evidence on its way from an instance to a client (spec/http.md, section 5.1): routed by identity, passed on blindly, within bounds.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use sealwire::RelayCode;
use sealwire_http::carriage::{EVIDENCE_PATH, check_media_type};
use sealwire_http::evidence::{EvidenceQuery, MAX_EVIDENCE_BYTES};
use sealwire_http::net::{
    Body, BodySender, ClientError, HttpClient, Incoming, channel, empty, next_data_by, read_all,
};
use sealwire_http::problem::{PROBLEM_MEDIA_TYPE, Problem};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::registry::Registry;

/// Exchanges at a time: evidence is large and rare.
const CONCURRENT: usize = 64;
/// Longest time for an instance's answer to begin: it may have to make a quote.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// Longest time for the whole of it.
const TIME: Duration = Duration::from_secs(30);
/// Pieces that wait for a slow client at most.
const BACKLOG: usize = 4;
/// Largest problem document of an instance.
const MAX_PROBLEM: usize = 64 * 1_024;
const JSON: &str = "application/json";

/// Fetches evidence for clients.
pub(crate) struct Evidence {
    client: HttpClient,
    slots: Arc<Semaphore>,
}

impl Evidence {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self {
            client,
            slots: Arc::new(Semaphore::new(CONCURRENT)),
        }
    }

    /// The answer of the instance that a query names.
    pub(crate) async fn fetch(
        &self,
        registry: &Registry,
        query: &str,
    ) -> Result<Response<Body>, Problem> {
        let query = EvidenceQuery::from_query(query).ok_or_else(malformed)?;
        let identity = query.identity.ok_or_else(malformed)?;
        let index = registry.by_identity(&identity)?;
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            Problem::new(
                RelayCode::Busy,
                "this relay fetches much evidence now; try again later",
            )
        })?;
        let path = format!("{EVIDENCE_PATH}?{}", query.to_query());
        let uri = registry
            .url(index)
            .and_then(|url| url.join(&path).ok())
            .ok_or_else(|| Problem::new(RelayCode::Internal, "no address"))?;
        let mut request = Request::new(empty());
        *request.uri_mut() = uri;
        let response = match timeout(HEAD_TIME, self.client.send(request)).await {
            Ok(Ok(response)) => response,
            failed => {
                if matches!(failed, Ok(Err(ClientError::Connect(_)))) {
                    registry.mark_down(index);
                }
                return Err(Problem::new(
                    RelayCode::Gone,
                    "the instance is not reachable",
                ));
            }
        };
        if response.status() != StatusCode::OK
            || check_media_type(response.headers(), JSON).is_err()
        {
            let refusal = refusal(response).await;
            if refusal.code == RelayCode::KeyUnknown {
                // It has started again, under another identity.
                registry.look_again(index);
            }
            return Err(refusal);
        }
        let (to_client, answer) = channel(BACKLOG);
        tokio::spawn(async move {
            pass(response.into_body(), to_client).await;
            drop(slot);
        });
        let mut response = Response::new(answer);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

fn malformed() -> Problem {
    Problem::new(
        RelayCode::Refused,
        "expected ?identity=32 BYTES[&nonce=32 BYTES], base64url",
    )
}

/// Passes a body on as it comes. One that breaks off, is too large or takes too long is given up, which the client sees.
async fn pass(mut from: Incoming, to: BodySender) {
    let deadline = Instant::now() + TIME;
    let mut left = MAX_EVIDENCE_BYTES;
    loop {
        let next = tokio::select! {
            next = next_data_by(&mut from, deadline, TIME) => next,
            () = to.closed() => return,
        };
        match next {
            Ok(Some(bytes)) => {
                if bytes.len() > left {
                    return;
                }
                left -= bytes.len();
                if !matches!(timeout_at(deadline, to.send(bytes)).await, Ok(Ok(()))) {
                    return;
                }
            }
            Ok(None) => {
                let _ = to.finish().await;
                return;
            }
            Err(_) => return,
        }
    }
}

/// An instance's refusal, without a bundle, which has no place here.
async fn refusal(response: Response<Incoming>) -> Problem {
    let is_problem = check_media_type(response.headers(), PROBLEM_MEDIA_TYPE).is_ok();
    let not_found = response.status() == StatusCode::NOT_FOUND;
    let mut body = response.into_body();
    let document = read_all(&mut body, MAX_PROBLEM, Duration::from_secs(3)).await;
    let refusal = document
        .ok()
        .filter(|_| is_problem)
        .and_then(|document| Problem::from_json(&document));
    match refusal {
        // The instance has no such resource: it has no evidence.
        Some(refusal) if refusal.code == RelayCode::Refused && not_found => {
            Problem::new(RelayCode::Refused, "the instance has no evidence")
        }
        Some(refusal) => refusal.with_bundle(None),
        None => Problem::new(
            RelayCode::Internal,
            "the instance answered with something that is not of this protocol",
        ),
    }
}
