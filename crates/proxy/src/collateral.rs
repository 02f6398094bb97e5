//! Intel's collateral for TDX quotes: from a file or from a service, kept until shortly before it ends.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, StatusCode, Uri};
use sealwire_attest::Collateral;
use sealwire_attest::collateral::{Part, Response, assemble, requests};
use sealwire_http::net::{BaseUrl, HttpClient, empty, lock, read_all};
use tokio::time::{Instant, timeout};

use crate::unix_now;

/// Kinds of platforms that collateral is kept for.
const MAX_KINDS: usize = 64;
/// Largest document of a service, and largest file.
const MAX_DOCUMENT: usize = 1_024 * 1_024;
/// Longest time for one document.
const TIME: Duration = Duration::from_secs(10);
/// What is nearer to its end is renewed in the background, seconds.
const RENEW: u64 = 24 * 3_600;
/// Time between two tries to renew what is still valid.
const RENEW_PAUSE: Duration = Duration::from_secs(600);
/// Time for which a failure stands.
const PAUSE: Duration = Duration::from_secs(15);

/// Where collateral comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollateralSource {
    /// The evidence itself brings it.
    Stapled,
    /// A file with the JSON of `sealwire attest`, read again when what it held has ended.
    File(PathBuf),
    /// Intel's service, or a cache that speaks its API.
    Service(BaseUrl),
}

/// Why there is no collateral.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralFault {
    /// The file cannot be used.
    #[error("the collateral file {0} cannot be used: {1}")]
    File(PathBuf, String),
    /// The quote does not say what platform it is of.
    #[error("the quote does not say which collateral it needs: {0}")]
    Quote(String),
    /// The service does not answer as it should.
    #[error("the collateral service gave no {part:?}: {why}")]
    Service {
        /// Which document.
        part: Part,
        /// Why not.
        why: String,
    },
    /// The documents do not go together.
    #[error("the collateral service's documents cannot be used: {0}")]
    Documents(String),
}

/// Collateral by kind of platform.
pub struct Collaterals {
    source: CollateralSource,
    client: HttpClient,
    kept: Mutex<HashMap<String, Arc<Kept>>>,
}

/// One kind of platform. Whoever fetches holds `last`.
#[derive(Default)]
struct Kept {
    collateral: Mutex<Option<Arc<Collateral>>>,
    /// When the last try to renew it began.
    renewal: Mutex<Option<Instant>>,
    last: tokio::sync::Mutex<Option<(Instant, CollateralFault)>>,
}

impl Kept {
    /// Whether it is time for a try to renew it.
    fn may_renew(&self) -> bool {
        let mut renewal = lock(&self.renewal);
        let due = renewal.is_none_or(|at| at.elapsed() >= RENEW_PAUSE);
        if due {
            *renewal = Some(Instant::now());
        }
        due
    }

    fn get(&self) -> Option<Arc<Collateral>> {
        lock(&self.collateral).clone()
    }
}

impl Collaterals {
    /// Reads the file, if that is the source.
    ///
    /// # Errors
    ///
    /// [`CollateralFault::File`].
    pub fn new(source: CollateralSource, client: HttpClient) -> Result<Self, CollateralFault> {
        let this = Self {
            source,
            client,
            kept: Mutex::default(),
        };
        if let CollateralSource::File(path) = &this.source {
            let first = this.kind(String::new());
            *lock(&first.collateral) = Some(Arc::new(read(path)?));
        }
        Ok(this)
    }

    /// Where it comes from, in a word.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.source {
            CollateralSource::Stapled => "stapled".to_owned(),
            CollateralSource::File(path) => format!("file {}", path.display()),
            CollateralSource::Service(base) => base.to_string(),
        }
    }

    /// Collateral for a TDX quote; none if the evidence is to bring it. What has ended is fetched again; if that fails, it is given all the same: the
    /// verification then says that it has ended.
    ///
    /// # Errors
    ///
    /// [`CollateralFault`].
    pub async fn for_quote(
        self: &Arc<Self>,
        quote: &[u8],
    ) -> Result<Option<Arc<Collateral>>, CollateralFault> {
        let name = match &self.source {
            CollateralSource::Stapled => return Ok(None),
            CollateralSource::File(_) => String::new(),
            CollateralSource::Service(base) => wanted(quote, base)?
                .iter()
                .map(|(_, uri)| uri.to_string())
                .collect::<Vec<_>>()
                .join(" "),
        };
        let kind = self.kind(name);
        if let Some(collateral) = kind.get() {
            let end = collateral.valid_until();
            if end > unix_now() {
                let renewable = matches!(self.source, CollateralSource::Service(_));
                if renewable && end.saturating_sub(unix_now()) < RENEW && kind.may_renew() {
                    let (this, quote) = (Arc::clone(self), quote.to_vec());
                    tokio::spawn(async move {
                        let _ = this.renew(&kind, &quote, end).await;
                    });
                }
                return Ok(Some(collateral));
            }
            return match self.renew(&kind, quote, end).await {
                Ok(renewed) => Ok(Some(renewed)),
                Err(_) => Ok(Some(collateral)),
            };
        }
        self.renew(&kind, quote, 0).await.map(Some)
    }

    fn kind(&self, name: String) -> Arc<Kept> {
        let mut kept = lock(&self.kept);
        if kept.len() >= MAX_KINDS && !kept.contains_key(&name) {
            kept.clear();
        }
        Arc::clone(kept.entry(name).or_default())
    }

    /// Fetches what is to take the place of collateral that ends at `end`, unless somebody else just did, or just failed.
    async fn renew(
        &self,
        kind: &Kept,
        quote: &[u8],
        end: u64,
    ) -> Result<Arc<Collateral>, CollateralFault> {
        let mut last = kind.last.lock().await;
        if let Some(collateral) = kind.get()
            && collateral.valid_until() > end
        {
            return Ok(collateral);
        }
        if let Some((at, fault)) = &*last
            && at.elapsed() < PAUSE
        {
            return Err(fault.clone());
        }
        let result = match &self.source {
            CollateralSource::Service(base) => self.fetch(quote, base).await,
            CollateralSource::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read(&path))
                    .await
                    .unwrap_or_else(|error| Err(CollateralFault::Documents(error.to_string())))
            }
            CollateralSource::Stapled => {
                Err(CollateralFault::Quote("the evidence brings it".to_owned()))
            }
        };
        match result {
            Ok(collateral) => {
                let collateral = Arc::new(collateral);
                *lock(&kind.collateral) = Some(Arc::clone(&collateral));
                *last = None;
                Ok(collateral)
            }
            Err(fault) => {
                *last = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }

    async fn fetch(&self, quote: &[u8], base: &BaseUrl) -> Result<Collateral, CollateralFault> {
        let mut came = Vec::new();
        for (part, uri) in wanted(quote, base)? {
            let (body, chain) = self
                .document(part, uri)
                .await
                .map_err(|why| CollateralFault::Service { part, why })?;
            came.push((part, body, chain));
        }
        let responses: Vec<Response<'_>> = came
            .iter()
            .map(|(part, body, chain)| Response {
                part: *part,
                body,
                chain: chain.as_deref(),
            })
            .collect();
        assemble(&responses).map_err(|error| CollateralFault::Documents(error.to_string()))
    }

    /// A document, and the header with its certificates.
    async fn document(
        &self,
        part: Part,
        uri: Uri,
    ) -> Result<(bytes::Bytes, Option<String>), String> {
        let mut request = Request::new(empty());
        *request.uri_mut() = uri;
        let exchange = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|error| error.to_string())?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answered {}", response.status().as_u16()));
            }
            let chain = part
                .chain_header()
                .and_then(|name| response.headers().get(name)?.to_str().ok())
                .map(str::to_owned);
            let mut body = response.into_body();
            let body = read_all(&mut body, MAX_DOCUMENT, TIME)
                .await
                .map_err(|error| error.to_string())?;
            Ok((body, chain))
        };
        timeout(TIME, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", TIME.as_secs())))
    }
}

/// What a quote needs, and where it is.
fn wanted(quote: &[u8], base: &BaseUrl) -> Result<Vec<(Part, Uri)>, CollateralFault> {
    let bad = |why: String| CollateralFault::Quote(why);
    requests(quote, &base.to_string())
        .map_err(|error| bad(error.to_string()))?
        .into_iter()
        .map(|request| {
            let uri = request.url.parse().map_err(|_| bad(request.url.clone()))?;
            Ok((request.part, uri))
        })
        .collect()
}

/// A file of collateral. It blocks.
fn read(path: &PathBuf) -> Result<Collateral, CollateralFault> {
    let bad = |why: String| CollateralFault::File(path.clone(), why);
    let bytes = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    Collateral::from_json(&bytes).map_err(|error| bad(error.to_string()))
}
