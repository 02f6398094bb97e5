//! Discovery: fetches bundles from the relay, verifies them, keeps a few for each label until they near their end. Those of labels in use are renewed in the
//! background, so that no request waits for discovery or evidence; those of other instances stand in when one is gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use sealwire::{Bundle, BundlePolicy, CryptoProvider, Error, IdentityTrust, VerifiedBundle};
use sealwire_http::carriage::{BUNDLES_PATH, to_base64url};
use sealwire_http::discovery::{BundleQuery, MAX_DISCOVERY_BYTES, bundles_from_json};
use sealwire_http::net::{HttpClient, empty, lock, read_all};
use sealwire_http::problem::Problem;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::error::ProxyError;
use super::identities::Identities;
use crate::relay::authorize;
use crate::{ProxyConfig, Trust, unix_now};

/// A bundle is not used in its last seconds: the request has to arrive too.
const MARGIN: u64 = 60;
/// A bundle of a label in use is renewed when it has less than this left.
const RENEW: u64 = 240;
/// How long a label is in use after its last request.
const IN_USE: Duration = Duration::from_secs(900);
/// How often what is kept is looked at.
const ROUND: Duration = Duration::from_secs(20);
/// Labels that bundles are kept for.
const MAX_LABELS: usize = 256;
/// Bundles that are kept for one label, each of another identity.
const MAX_KEPT: usize = 4;
/// Identities that one request waits for evidence of.
const MAX_ASKED: usize = 4;
/// Longest silence within a discovery answer.
const IDLE: Duration = Duration::from_secs(4);

/// Verified bundles, by label.
pub(crate) struct Bundles {
    provider: CryptoProvider,
    client: HttpClient,
    identities: Option<Arc<Identities>>,
    kept: Mutex<HashMap<String, Pool>>,
}

/// The bundles of one label, the preferred one first.
struct Pool {
    bundles: Vec<VerifiedBundle>,
    used: Instant,
    /// What the relay was asked with.
    key: Option<String>,
}

impl Pool {
    fn new(key: Option<&str>) -> Self {
        Self {
            bundles: Vec::new(),
            used: Instant::now(),
            key: key.map(str::to_owned),
        }
    }

    /// Puts a bundle in the place of what its identity had, or behind the others.
    fn put(&mut self, bundle: VerifiedBundle) {
        let identity = bundle.bundle().identity();
        let same = |have: &&mut VerifiedBundle| have.bundle().identity() == identity;
        match self.bundles.iter_mut().find(same) {
            Some(have) => *have = bundle,
            None => {
                self.bundles.truncate(MAX_KEPT - 1);
                self.bundles.push(bundle);
            }
        }
    }

    /// Whether one of the bundles will last.
    fn is_fresh(&self) -> bool {
        self.bundles.iter().any(|bundle| lasts(bundle, RENEW))
    }
}

fn lasts(bundle: &VerifiedBundle, seconds: u64) -> bool {
    bundle.bundle().window().1 > unix_now().saturating_add(seconds)
}

impl Bundles {
    /// `identities` judges where the configuration's trust is evidence.
    pub(crate) fn new(
        provider: CryptoProvider,
        client: HttpClient,
        identities: Option<Arc<Identities>>,
    ) -> Self {
        Self {
            provider,
            client,
            identities,
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
        // After two that did not work, what is kept is no better than a guess.
        if !config.single_use
            && tried.len() < 2
            && let Some(kept) = self.kept_one(config, label, key, tried)
        {
            return Ok(kept);
        }
        self.renew(config, label, key, tried).await
    }

    fn kept_one(
        &self,
        config: &ProxyConfig,
        label: &str,
        key: Option<&str>,
        tried: &[[u8; 16]],
    ) -> Option<VerifiedBundle> {
        let bundles = {
            let mut kept = self.lock();
            let pool = kept.get_mut(label)?;
            pool.used = Instant::now();
            pool.key = key.map(str::to_owned);
            pool.bundles.clone()
        };
        bundles.into_iter().find(|bundle| {
            lasts(bundle, MARGIN)
                && !tried.contains(&bundle.bundle().id())
                && self.still_trusted(config, bundle, key)
        })
    }

    /// Asks discovery, keeps what is verified, and gives the first of it, preferably none of `tried`.
    async fn renew(
        &self,
        config: &ProxyConfig,
        label: &str,
        key: Option<&str>,
        tried: &[[u8; 16]],
    ) -> Result<VerifiedBundle, ProxyError> {
        let mut acceptable = self.fetch(config, label, key).await?;
        // Those that were tried come last; else the order stays.
        acceptable.sort_by_key(|bundle| tried.contains(&bundle.id()));
        let first = match &self.identities {
            None => {
                let first = acceptable.first().cloned();
                let first = first.ok_or_else(|| ProxyError::NoInstance(label.to_owned()))?;
                self.verify(config, first).map_err(ProxyError::Bundle)?
            }
            Some(identities) => proven(identities, config, &acceptable, label, key).await?,
        };
        if !first.bundle().is_single_use() {
            let others = acceptable.iter().filter(|other| {
                other.identity() != first.bundle().identity() && !tried.contains(&other.id())
            });
            let others: Vec<VerifiedBundle> = others
                .filter_map(|other| self.verified(config, other, label, key))
                .take(MAX_KEPT - 1)
                .collect();
            let mut pool = Pool::new(key);
            pool.put(first.clone());
            others.into_iter().for_each(|other| pool.put(other));
            self.keep(label, pool);
        }
        Ok(first)
    }

    /// A bundle whose identity is trusted already; nothing is asked.
    fn verified(
        &self,
        config: &ProxyConfig,
        bundle: &Bundle,
        label: &str,
        key: Option<&str>,
    ) -> Option<VerifiedBundle> {
        match &self.identities {
            None => self.verify(config, bundle.clone()).ok(),
            Some(identities) => {
                identities.verified(bundle, |trust| policy(config, label, trust), key)
            }
        }
    }

    /// Renews what nears its end, for labels in use and for the default model, as long as the proxy lives.
    pub(crate) async fn tend(bundles: Weak<Self>, config: ProxyConfig) {
        if config.single_use {
            return;
        }
        loop {
            {
                let Some(bundles) = bundles.upgrade() else {
                    return;
                };
                for (label, key) in bundles.due(&config) {
                    // One that fails is tried again in the next round, and by the next request.
                    let _ = bundles.renew(&config, &label, key.as_deref(), &[]).await;
                }
            }
            sleep(ROUND).await;
        }
    }

    fn due(&self, config: &ProxyConfig) -> Vec<(String, Option<String>)> {
        let mut kept = self.lock();
        kept.retain(|_, pool| pool.used.elapsed() < IN_USE);
        let mut due: Vec<(String, Option<String>)> = kept
            .iter()
            .filter(|(_, pool)| !pool.is_fresh())
            .map(|(label, pool)| (label.clone(), pool.key.clone()))
            .collect();
        // With a key of the application's there is none to ask with.
        if let Some(model) = &config.front.apps.default_model
            && !config.front.forward_key
            && !kept.contains_key(model)
        {
            due.push((model.clone(), config.front.relay_key.clone()));
        }
        due
    }

    /// Whether the identity of a kept bundle is one that would be trusted now.
    fn still_trusted(
        &self,
        config: &ProxyConfig,
        kept: &VerifiedBundle,
        key: Option<&str>,
    ) -> bool {
        let bundle = kept.bundle();
        match &self.identities {
            None => true,
            Some(identities) => identities
                .verified(bundle, |trust| policy(config, bundle.label(), trust), key)
                .is_some(),
        }
    }

    /// Takes a bundle that came inside an error if it passes the same checks as any other. One whose identity has not proven itself yet does not: the next
    /// attempt asks discovery.
    pub(crate) fn offer(&self, config: &ProxyConfig, label: &str, key: Option<&str>, bytes: &[u8]) {
        let Ok(bundle) = self.acceptable(config, label, bytes) else {
            return;
        };
        if let Some(bundle) = self.verified(config, &bundle, label, key)
            && !bundle.bundle().is_single_use()
        {
            let mut kept = self.lock();
            if let Some(pool) = kept.get_mut(label) {
                pool.put(bundle);
            } else {
                drop(kept);
                let mut pool = Pool::new(key);
                pool.put(bundle);
                self.keep(label, pool);
            }
        }
    }

    /// Drops a kept bundle that did not work.
    pub(crate) fn forget(&self, bundle: &VerifiedBundle) {
        if let Some(pool) = self.lock().get_mut(bundle.bundle().label()) {
            pool.bundles
                .retain(|have| have.bundle().id() != bundle.bundle().id());
        }
    }

    /// What is trusted and which bundles are kept, for `GET /attestation`.
    pub(crate) fn document(&self, config: &ProxyConfig) -> Value {
        let kept = self.lock();
        let mut models: Vec<&VerifiedBundle> =
            kept.values().flat_map(|pool| &pool.bundles).collect();
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
        let (policy, identities) = match (&config.trust, &self.identities) {
            (_, Some(identities)) => {
                let (policy, identities) = identities.document();
                (policy, identities)
            }
            (Trust::Identities(trust), None) => match trust.identities() {
                Some(identities) => {
                    let identities: Vec<String> = identities
                        .iter()
                        .map(|identity| to_base64url(identity))
                        .collect();
                    (
                        json!({"trust": "identities", "identities": identities}),
                        Vec::new(),
                    )
                }
                None => (
                    json!({"trust": "insecure: whatever identity the relay names"}),
                    Vec::new(),
                ),
            },
            // Such a proxy does not start.
            (Trust::Evidence(_), None) => (Value::Null, Vec::new()),
        };
        json!({
            "profile": "native",
            "policy": policy,
            "models": models,
            "identities": identities,
        })
    }

    fn keep(&self, label: &str, pool: Pool) {
        let mut kept = self.lock();
        if kept.len() >= MAX_LABELS && !kept.contains_key(label) {
            kept.clear();
        }
        kept.insert(label.to_owned(), pool);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pool>> {
        // Nothing panics while it is held; if it did, the map would still be sound.
        lock(&self.kept)
    }

    /// A bundle that passes every check but the one of its identity.
    fn acceptable(&self, config: &ProxyConfig, label: &str, bytes: &[u8]) -> Result<Bundle, Error> {
        let bundle = Bundle::parse(&self.provider.verification, bytes)?;
        let own = IdentityTrust::pinned(&[bundle.identity()]);
        let policy = policy(config, label, own);
        bundle.clone().verify(&self.provider, &policy, unix_now())?;
        Ok(bundle)
    }

    /// The check of its identity, where identities are listed.
    fn verify(&self, config: &ProxyConfig, bundle: Bundle) -> Result<VerifiedBundle, Error> {
        let trust = match &config.trust {
            Trust::Identities(trust) => trust.clone(),
            // Evidence decides, and not this.
            Trust::Evidence(_) => IdentityTrust::pinned(&[]),
        };
        let policy = policy(config, bundle.label(), trust);
        bundle.verify(&self.provider, &policy, unix_now())
    }

    async fn fetch(
        &self,
        config: &ProxyConfig,
        label: &str,
        key: Option<&str>,
    ) -> Result<Vec<Bundle>, ProxyError> {
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
            let bundle = self.acceptable(config, label, bytes).and_then(|bundle| {
                if self.identities.is_none() {
                    self.verify(config, bundle.clone())?;
                }
                Ok(bundle)
            });
            match bundle {
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
        let preference = |bundle: &Bundle| {
            config
                .suites
                .iter()
                .position(|suite| *suite == bundle.suite())
        };
        acceptable.sort_by_key(preference);
        Ok(acceptable)
    }
}

fn policy(config: &ProxyConfig, label: &str, trust: IdentityTrust) -> BundlePolicy {
    BundlePolicy::new(label, trust)
        .suites(&config.suites)
        .require_single_use(config.single_use)
}

/// The first bundle whose identity has proven itself, or does so now.
async fn proven(
    identities: &Arc<Identities>,
    config: &ProxyConfig,
    acceptable: &[Bundle],
    label: &str,
    key: Option<&str>,
) -> Result<VerifiedBundle, ProxyError> {
    let now_verified =
        |bundle: &Bundle| identities.verified(bundle, |trust| policy(config, label, trust), key);
    let mut asked: Vec<[u8; 32]> = Vec::new();
    for bundle in acceptable {
        if !asked.contains(&bundle.identity()) && asked.len() < MAX_ASKED {
            asked.push(bundle.identity());
        }
    }
    let known = acceptable.iter().find_map(now_verified);
    // The others are looked at all the same: they stand in when one is gone.
    for identity in &asked {
        identities.prepare(*identity, key);
    }
    if let Some(known) = known {
        return Ok(known);
    }
    let (mut refusals, mut fault) = (Vec::new(), None);
    // The check goes on when this request gives up; the next one finds it.
    let end = Instant::now() + config.limits.handshake_time * 3 / 4;
    for identity in asked {
        let judged = timeout_at(end, identities.judge(identity, key)).await;
        match judged.unwrap_or(Err(ProxyError::EvidenceSlow)) {
            Ok(judgement) => {
                let own = acceptable
                    .iter()
                    .filter(|bundle| bundle.identity() == identity);
                match own.into_iter().find_map(now_verified) {
                    Some(verified) => return Ok(verified),
                    None => refusals.push(judgement.refusal(&identity, label)),
                }
            }
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    Err(match fault {
        Some(fault) if refusals.is_empty() => fault,
        _ => ProxyError::EvidenceRejected {
            model: label.to_owned(),
            why: refusals.join("; "),
        },
    })
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
