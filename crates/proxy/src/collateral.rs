//! Intel's collateral for TDX quotes: fetched from Intel or a cache of it, kept while it is good. It is public and says nothing of any request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use sealwire_attest::Collateral;
use sealwire_attest::collateral::{INTEL_PCS, Part, Response, assemble, requests};
use sealwire_attest::evidence::MAX_COLLATERAL;
use sealwire_http::net::{BaseUrl, HttpClient, empty, read_all};
use tokio::time::timeout;

/// Longest time that collateral is kept though it would be good for longer: patch levels change.
const KEPT: u64 = 24 * 3_600;
/// Time for one document.
const TIME: Duration = Duration::from_secs(15);
/// Kinds of platform that collateral is kept for.
const MAX_KINDS: usize = 64;

/// Why there is no collateral.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralFault {
    /// The quote does not say what platform it is of.
    #[error("the quote names no platform: {0}")]
    Quote(String),
    /// A document cannot be had.
    #[error("{url} gives no collateral: {why}")]
    Fetch {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// What came is no collateral.
    #[error("what came is no collateral: {0}")]
    Content(String),
}

struct Kept {
    collateral: Arc<Collateral>,
    fetched: u64,
}

/// Where collateral comes from.
pub struct CollateralStore {
    client: HttpClient,
    base: String,
    kept: tokio::sync::Mutex<HashMap<String, Kept>>,
}

impl CollateralStore {
    /// Asks Intel, or the service at `base`.
    #[must_use]
    pub fn new(client: HttpClient, base: Option<&BaseUrl>) -> Self {
        Self {
            client,
            base: base.map_or_else(|| INTEL_PCS.to_owned(), BaseUrl::to_string),
            kept: tokio::sync::Mutex::new(HashMap::new()),
        }
    }

    /// The collateral for a quote's platform; `now` is unix seconds. What is kept serves on while it is valid if no other can be had.
    ///
    /// # Errors
    ///
    /// [`CollateralFault`].
    pub async fn for_quote(
        &self,
        quote: &[u8],
        now: u64,
    ) -> Result<Arc<Collateral>, CollateralFault> {
        let requests = requests(quote, &self.base)
            .map_err(|error| CollateralFault::Quote(error.to_string()))?;
        let name: String = requests
            .iter()
            .map(|request| request.url.as_str())
            .collect();
        // Held while it is fetched: a platform's instances share it.
        let mut kept = self.kept.lock().await;
        let valid = |kept: &&Kept| kept.collateral.valid_until() > now;
        if let Some(kept) = kept.get(&name).filter(valid)
            && kept.fetched.saturating_add(KEPT) > now
        {
            return Ok(Arc::clone(&kept.collateral));
        }
        let mut answers = Vec::new();
        for request in &requests {
            match self.get(request.part, &request.url).await {
                Ok(answer) => answers.push(answer),
                Err(fault) => {
                    return kept
                        .get(&name)
                        .filter(valid)
                        .map(|kept| Arc::clone(&kept.collateral))
                        .ok_or(fault);
                }
            }
        }
        let responses: Vec<Response<'_>> = answers
            .iter()
            .map(|answer| Response {
                part: answer.part,
                body: &answer.body,
                chain: answer.chain.as_deref(),
            })
            .collect();
        let collateral =
            assemble(&responses).map_err(|error| CollateralFault::Content(error.to_string()))?;
        let collateral = Arc::new(collateral);
        if kept.len() >= MAX_KINDS {
            kept.clear();
        }
        kept.insert(
            name,
            Kept {
                collateral: Arc::clone(&collateral),
                fetched: now,
            },
        );
        Ok(collateral)
    }

    async fn get(&self, part: Part, url: &str) -> Result<Answer, CollateralFault> {
        let fault = |why: String| CollateralFault::Fetch {
            url: url.to_owned(),
            why,
        };
        let mut request = Request::new(empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.parse().map_err(|_| fault("no address".to_owned()))?;
        let fetched = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|error| fault(error.to_string()))?;
            if response.status() != StatusCode::OK {
                return Err(fault(format!("status {}", response.status().as_u16())));
            }
            let chain = part
                .chain_header()
                .and_then(|name| response.headers().get(name))
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            let mut body = response.into_body();
            let body = read_all(&mut body, MAX_COLLATERAL, TIME)
                .await
                .map_err(|error| fault(error.to_string()))?;
            Ok(Answer { part, body, chain })
        };
        timeout(TIME, fetched)
            .await
            .unwrap_or_else(|_| Err(fault(format!("no answer within {} s", TIME.as_secs()))))
    }
}

struct Answer {
    part: Part,
    body: Bytes,
    chain: Option<String>,
}
