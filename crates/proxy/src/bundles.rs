//! Discovery: fetches bundles from the relay, verifies them, keeps one for each label until it nears its end.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, StatusCode};
use sealwire::{Bundle, BundlePolicy, CryptoProvider, Error, VerifiedBundle};
use sealwire_http::carriage::{BUNDLES_PATH, to_base64url};
use sealwire_http::discovery::{BundleQuery, MAX_DISCOVERY_BYTES, bundles_from_json};
use sealwire_http::net::{HttpClient, empty, read_all};
use sealwire_http::problem::Problem;
use serde_json::{Value, json};

use crate::error::ProxyError;
use crate::{ProxyConfig, unix_now};

/// A bundle is not used in its last seconds: the request has to arrive too.
const MARGIN: u64 = 60;
/// Labels that bundles are kept for.
const MAX_LABELS: usize = 256;
/// Longest silence within a discovery answer.
const IDLE: Duration = Duration::from_secs(4);

/// Verified bundles, by label.
pub(crate) struct Bundles {
    provider: CryptoProvider,
    client: HttpClient,
    kept: Mutex<HashMap<String, VerifiedBundle>>,
}

impl Bundles {
    pub(crate) fn new(provider: CryptoProvider, client: HttpClient) -> Self {
        Self {
            provider,
            client,
            kept: Mutex::new(HashMap::new()),
        }
    }

    /// A bundle for `label`: the kept one, else a fresh one, preferably none of `tried`.
    pub(crate) async fn get(
        &self,
        config: &ProxyConfig,
        label: &str,
        key: Option<&str>,
        tried: &[[u8; 16]],
    ) -> Result<VerifiedBundle, ProxyError> {
        if !config.single_use {
            let kept = self.lock().get(label).cloned();
            if let Some(kept) = kept
                && kept.bundle().window().1 > unix_now().saturating_add(MARGIN)
                && !tried.contains(&kept.bundle().id())
            {
                return Ok(kept);
            }
        }
        let mut acceptable = self.fetch(config, label, key).await?;
        let fresh = acceptable
            .iter()
            .position(|bundle| !tried.contains(&bundle.bundle().id()))
            .unwrap_or(0);
        let bundle = acceptable.swap_remove(fresh);
        self.keep(&bundle);
        Ok(bundle)
    }

    /// Takes a bundle that came inside an error; it passes the same checks as any other.
    pub(crate) fn offer(
        &self,
        config: &ProxyConfig,
        label: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let bundle = self.verify(config, label, bytes)?;
        self.keep(&bundle);
        Ok(())
    }

    /// Drops a kept bundle that did not work.
    pub(crate) fn forget(&self, bundle: &VerifiedBundle) {
        let mut kept = self.lock();
        let label = bundle.bundle().label();
        if kept
            .get(label)
            .is_some_and(|have| have.bundle().id() == bundle.bundle().id())
        {
            kept.remove(label);
        }
    }

    /// What is trusted and which bundles are kept, for `GET /attestation`.
    pub(crate) fn document(&self, config: &ProxyConfig) -> Value {
        let kept = self.lock();
        let mut models: Vec<&VerifiedBundle> = kept.values().collect();
        models.sort_by_key(|verified| verified.bundle().label().to_owned());
        let models: Vec<Value> = models
            .into_iter()
            .map(|verified| {
                let bundle = verified.bundle();
                let (from, until) = bundle.window();
                json!({
                    "model": bundle.label(),
                    "identity": to_base64url(&bundle.identity()),
                    "bundle": to_base64url(&bundle.id()),
                    "valid_from": from,
                    "valid_until": until,
                })
            })
            .collect();
        json!({
            "profile": "native",
            "policy": match config.trust.identities() {
                Some(identities) => json!({
                    "trust": "identities",
                    "identities": identities
                        .iter()
                        .map(|identity| to_base64url(identity))
                        .collect::<Vec<_>>(),
                }),
                None => json!({"trust": "insecure: whatever identity the relay names"}),
            },
            "models": models,
        })
    }

    fn keep(&self, bundle: &VerifiedBundle) {
        if bundle.bundle().is_single_use() {
            return;
        }
        let mut kept = self.lock();
        if kept.len() >= MAX_LABELS {
            kept.clear();
        }
        kept.insert(bundle.bundle().label().to_owned(), bundle.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, VerifiedBundle>> {
        // Nothing panics while it is held; if it did, the map would still be sound.
        self.kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn verify(
        &self,
        config: &ProxyConfig,
        label: &str,
        bytes: &[u8],
    ) -> Result<VerifiedBundle, Error> {
        let policy = BundlePolicy::new(label, config.trust.clone())
            .suites(&config.suites)
            .require_single_use(config.single_use);
        Bundle::parse(&self.provider.verification, bytes)?.verify(
            &self.provider,
            &policy,
            unix_now(),
        )
    }

    async fn fetch(
        &self,
        config: &ProxyConfig,
        label: &str,
        key: Option<&str>,
    ) -> Result<Vec<VerifiedBundle>, ProxyError> {
        let query = BundleQuery {
            label: label.to_owned(),
            single_use: config.single_use,
            suite: match config.suites.as_slice() {
                [only] => Some(only.to_u16()),
                _ => None,
            },
        };
        let path = format!("{BUNDLES_PATH}?{}", query.to_query());
        let (status, body) = get(&self.client, config, &path, key, MAX_DISCOVERY_BYTES).await?;
        if status == StatusCode::NOT_FOUND {
            return Err(match Problem::from_json(&body) {
                Some(_) => ProxyError::UnknownModel(label.to_owned()),
                None => not_relay(status, "no problem document"),
            });
        }
        if status != StatusCode::OK {
            return Err(match Problem::from_json(&body) {
                Some(problem) => ProxyError::Relay(problem),
                None => not_relay(status, "no problem document"),
            });
        }
        let offered =
            bundles_from_json(&body).ok_or_else(|| not_relay(status, "no bundle list"))?;
        let mut refused = None;
        let mut acceptable = Vec::new();
        for bytes in &offered {
            match self.verify(config, label, bytes) {
                Ok(bundle) => acceptable.push(bundle),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if acceptable.is_empty() {
            return Err(match refused {
                Some(error) => ProxyError::Bundle(error),
                None => ProxyError::NoInstance(label.to_owned()),
            });
        }
        let preference = |bundle: &VerifiedBundle| {
            config
                .suites
                .iter()
                .position(|suite| *suite == bundle.bundle().suite())
        };
        acceptable.sort_by_key(preference);
        Ok(acceptable)
    }
}

fn not_relay(status: StatusCode, why: &str) -> ProxyError {
    ProxyError::NotRelay {
        status: status.as_u16(),
        why: why.to_owned(),
    }
}

/// A GET at the relay: the status and a body of at most `limit` bytes.
pub(crate) async fn get(
    client: &HttpClient,
    config: &ProxyConfig,
    path: &str,
    key: Option<&str>,
    limit: usize,
) -> Result<(StatusCode, bytes::Bytes), ProxyError> {
    let uri = config
        .relay
        .join(path)
        .map_err(|error| ProxyError::RelayUnreachable(error.to_string()))?;
    let mut request = Request::new(empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    authorize(request.headers_mut(), key);
    let response = client
        .send(request)
        .await
        .map_err(|error| ProxyError::RelayUnreachable(error.to_string()))?;
    let status = response.status();
    let mut body = response.into_body();
    let body = read_all(&mut body, limit, IDLE)
        .await
        .map_err(|error| ProxyError::NotRelay {
            status: status.as_u16(),
            why: error.to_string(),
        })?;
    Ok((status, body))
}

/// Sets the relay's key, marked so that it is not logged.
pub(crate) fn authorize(headers: &mut http::HeaderMap, key: Option<&str>) {
    if let Some(key) = key
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}"))
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}
