//! Which identities have proven themselves: evidence is asked for with a nonce of this proxy's own, judged once for all requests, and remembered for at
//! most an hour.
//!
//! ```text
//! unknown --check--> accepted --near its end: check in the background--> accepted
//!            |           +--its end--> unknown
//!            +-----> refused --half a minute--> unknown
//! ```
//!
//! A check that could not be made (the relay is away, the instance is busy) is not remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use sealwire::{Bundle, BundlePolicy, CryptoProvider, RelayCode, VerifiedBundle};
use sealwire_attest::{
    Binding, Bound, Evidence, Freshness, GpuRequirement, Report, TeeKind, Verified, Verifier,
};
use sealwire_http::carriage::{EVIDENCE_PATH, check_media_type, to_base64url};
use sealwire_http::evidence::{EvidenceQuery, MAX_EVIDENCE_BYTES};
use sealwire_http::net::{BaseUrl, HttpClient, empty, lock, read_all};
use sealwire_http::problem::Problem;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::error::ProxyError;
use crate::attestation::{Finding, Outcome, failed, judged};
use crate::collateral::Collaterals;
use crate::relay::authorize;
use crate::unix_now;

/// How long a refusal stands, seconds.
const REFUSED: u64 = 30;
/// Longest time for one check.
const TIME: Duration = Duration::from_secs(40);
/// Longest time for evidence to come; the instance may have to make a quote.
const FETCH_TIME: Duration = Duration::from_secs(30);
/// Longest silence within it.
const IDLE: Duration = Duration::from_secs(20);
/// Tries at a busy instance, and the pause between them, times the try's number.
const TRIES: u32 = 4;
const BUSY_PAUSE: Duration = Duration::from_millis(300);
/// Identities that are remembered.
const MAX_IDENTITIES: usize = 1_024;
/// Checks at a time.
const MAX_CHECKS: usize = 8;

type Judged = Result<Arc<Judgement>, ProxyError>;

/// What was found about an identity.
pub(crate) struct Judgement {
    verified: Option<Verified>,
    findings: Vec<Finding>,
    at: u64,
    until: u64,
}

#[derive(Default)]
struct Known {
    last: Option<Arc<Judgement>>,
    running: Option<watch::Receiver<Option<Judged>>>,
}

impl Known {
    fn current(&self, now: u64) -> Option<&Arc<Judgement>> {
        self.last.as_ref().filter(|last| last.until > now)
    }

    /// The check that is under way, if its task has not died.
    fn running(&self) -> Option<&watch::Receiver<Option<Judged>>> {
        self.running
            .as_ref()
            .filter(|running| running.has_changed().is_ok())
    }
}

/// The identities that this proxy has met.
pub(crate) struct Identities {
    verifier: Arc<Verifier>,
    collaterals: Arc<Collaterals>,
    provider: CryptoProvider,
    client: HttpClient,
    relay: BaseUrl,
    checks: Semaphore,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

impl Identities {
    pub(crate) fn new(
        verifier: Arc<Verifier>,
        collaterals: Arc<Collaterals>,
        provider: CryptoProvider,
        client: HttpClient,
        relay: BaseUrl,
    ) -> Self {
        Self {
            verifier,
            collaterals,
            provider,
            client,
            relay,
            checks: Semaphore::new(MAX_CHECKS),
            known: Mutex::default(),
        }
    }

    /// A bundle of an identity that is accepted now. Near the end of that, a check begins in the background.
    pub(crate) fn verified(
        self: &Arc<Self>,
        bundle: &Bundle,
        policy: impl FnOnce(sealwire::IdentityTrust) -> BundlePolicy,
        key: Option<&str>,
    ) -> Option<VerifiedBundle> {
        let now = unix_now();
        let identity = bundle.identity();
        let judgement = {
            let mut known = self.lock();
            let entry = known.get_mut(&identity)?;
            let current = Arc::clone(entry.current(now)?);
            let fifth = current.until.saturating_sub(current.at) / 5;
            if current.until.saturating_sub(now) < fifth && entry.running().is_none() {
                self.start(identity, key, entry);
            }
            current
        };
        let verified = judgement.verified.as_ref()?;
        if !serves(verified, bundle.label()) {
            return None;
        }
        let trust = verified.trust(now).ok()?;
        bundle
            .clone()
            .verify(&self.provider, &policy(trust), now)
            .ok()
    }

    /// Begins a check of an identity that nothing is known of.
    pub(crate) fn prepare(self: &Arc<Self>, identity: [u8; 32], key: Option<&str>) {
        let mut known = self.lock();
        make_room(&mut known);
        let entry = known.entry(identity).or_default();
        if entry.current(unix_now()).is_none() && entry.running().is_none() {
            self.start(identity, key, entry);
        }
    }

    /// What is found about an identity, now or by the check that is under way.
    pub(crate) async fn judge(self: &Arc<Self>, identity: [u8; 32], key: Option<&str>) -> Judged {
        let mut own = false;
        loop {
            let mut running = {
                let mut known = self.lock();
                make_room(&mut known);
                let entry = known.entry(identity).or_default();
                if let Some(current) = entry.current(unix_now()) {
                    return Ok(Arc::clone(current));
                }
                match entry.running() {
                    Some(running) => running.clone(),
                    None => {
                        own = true;
                        self.start(identity, key, entry)
                    }
                }
            };
            let result = match running.wait_for(Option::is_some).await {
                Ok(result) => result.clone(),
                Err(_) => None,
            };
            match result {
                Some(Ok(judgement)) => return Ok(judgement),
                // It may have failed for another request's key.
                Some(Err(ProxyError::Relay(problem))) if !own && is_about_key(&problem) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(ProxyError::EvidenceTime(TIME.as_secs())),
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        identity: [u8; 32],
        key: Option<&str>,
        entry: &mut Known,
    ) -> watch::Receiver<Option<Judged>> {
        let (sender, receiver) = watch::channel(None);
        entry.running = Some(receiver.clone());
        let this = Arc::clone(self);
        let key = key.map(str::to_owned);
        tokio::spawn(async move {
            let check = async {
                // It is never closed.
                let _slot = this.checks.acquire().await;
                this.check(identity, key.as_deref()).await
            };
            let judged = timeout(TIME, check)
                .await
                .unwrap_or(Err(ProxyError::EvidenceTime(TIME.as_secs())))
                .map(Arc::new);
            if let Some(entry) = this.lock().get_mut(&identity) {
                entry.running = None;
                if let Ok(judgement) = &judged {
                    entry.last = Some(Arc::clone(judgement));
                }
            }
            let _ = sender.send(Some(judged));
        });
        receiver
    }

    async fn check(&self, identity: [u8; 32], key: Option<&str>) -> Result<Judgement, ProxyError> {
        if let Some(judgement) = self.pinned(&identity) {
            return Ok(judgement);
        }
        let mut nonce = [0; 32];
        self.provider
            .random
            .fill(&mut nonce)
            .map_err(|error| ProxyError::Local(error.into()))?;
        let sent = unix_now();
        let mut answered = Some(nonce);
        let mut fetched = self.fetch(identity, answered, key).await?;
        if fetched.is_err() && self.verifier.policy().allows_stapled() {
            answered = None;
            fetched = self.fetch(identity, answered, key).await?;
        }
        let document = match fetched {
            Ok(document) => document,
            Err(none) => {
                let expected = match answered {
                    Some(_) => "an answer to this proxy's nonce",
                    None => "stapled evidence",
                };
                return Ok(refused("no-evidence", expected, none.detail));
            }
        };
        let evidence = match Evidence::from_json(&document) {
            Ok(evidence) => evidence,
            Err(error) => {
                return Ok(refused(
                    "evidence-format",
                    "a document that can be read",
                    error.to_string(),
                ));
            }
        };
        let collateral = match evidence.tee {
            TeeKind::Tdx => self
                .collaterals
                .for_quote(&evidence.quote)
                .await
                .map_err(ProxyError::Collateral)?,
            _ => None,
        };
        let verifier = Arc::clone(&self.verifier);
        let verification = move || {
            let statement = evidence.statement.clone().unwrap_or_default();
            let binding = Binding::Native {
                identity: &identity,
                nonce: answered.as_ref(),
                statement: &statement,
            };
            let freshness = match answered {
                Some(_) => Freshness::Challenged { sent },
                None => Freshness::Stapled,
            };
            verifier.verify(
                &evidence,
                &binding,
                collateral.as_deref(),
                freshness,
                unix_now(),
            )
        };
        // A few milliseconds of signatures: not on the threads that carry streams.
        let report = tokio::task::spawn_blocking(verification)
            .await
            .map_err(|_| ProxyError::EvidenceTime(TIME.as_secs()))?;
        Ok(Judgement::new(&report))
    }

    /// The judgement where the policy is about pins and no enclave is asked for.
    fn pinned(&self, identity: &[u8; 32]) -> Option<Judgement> {
        if self.verifier.policy().pins().is_empty() {
            return None;
        }
        let none = Evidence {
            tee: TeeKind::None,
            quote: Vec::new(),
            certificates: Vec::new(),
            gpus: Vec::new(),
            gpu_tokens: None,
            collateral: None,
            statement: None,
            claimed_identity: None,
            claimed_nonce: None,
        };
        let binding = Binding::Pinned { identity };
        let report = self
            .verifier
            .verify(&none, &binding, None, Freshness::Stapled, unix_now());
        // It fails where the policy is about measurements.
        let pins_only = report.outcome("tee") == Some(sealwire_attest::Outcome::Passed);
        pins_only.then(|| Judgement::new(&report))
    }

    /// An evidence document, or the refusal of an instance that has none of this kind.
    async fn fetch(
        &self,
        identity: [u8; 32],
        nonce: Option<[u8; 32]>,
        key: Option<&str>,
    ) -> Result<Result<Bytes, Problem>, ProxyError> {
        let mut tries = 1;
        loop {
            let answer = timeout(FETCH_TIME, self.ask(identity, nonce, key))
                .await
                .unwrap_or(Err(ProxyError::EvidenceTime(FETCH_TIME.as_secs())));
            match answer {
                Err(ProxyError::Relay(problem)) => match problem.code {
                    RelayCode::Refused => return Ok(Err(problem)),
                    RelayCode::Busy if tries < TRIES => {
                        sleep(BUSY_PAUSE * tries).await;
                        tries += 1;
                    }
                    _ => return Err(ProxyError::Relay(problem)),
                },
                answer => return answer.map(Ok),
            }
        }
    }

    async fn ask(
        &self,
        identity: [u8; 32],
        nonce: Option<[u8; 32]>,
        key: Option<&str>,
    ) -> Result<Bytes, ProxyError> {
        let query = EvidenceQuery {
            identity: Some(identity),
            nonce,
        };
        let unreachable = |error: String| ProxyError::RelayUnreachable(error);
        let mut request = Request::new(empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self
            .relay
            .join(&format!("{EVIDENCE_PATH}?{}", query.to_query()))
            .map_err(|error| unreachable(error.to_string()))?;
        authorize(request.headers_mut(), key);
        let response = self
            .client
            .send(request)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let status = response.status();
        let not_relay = |why: String| ProxyError::NotRelay {
            status: status.as_u16(),
            why,
        };
        let kind = check_media_type(response.headers(), "application/json");
        let mut body = response.into_body();
        let body = read_all(&mut body, MAX_EVIDENCE_BYTES, IDLE)
            .await
            .map_err(|error| not_relay(error.to_string()))?;
        if status != StatusCode::OK {
            return Err(match Problem::from_json(&body) {
                Some(problem) => ProxyError::Relay(problem),
                None => not_relay("no problem document".to_owned()),
            });
        }
        kind.map_err(|error| not_relay(error.to_string()))?;
        Ok(body)
    }

    /// The policy and every identity, for `GET /attestation`.
    pub(crate) fn document(&self) -> (Value, Vec<Value>) {
        let policy = self.verifier.policy();
        let policy = json!({
            "trust": "evidence",
            "max_evidence_age": policy.max_evidence_age(),
            "allow_stapled": policy.allows_stapled(),
            "gpu": match policy.gpu() {
                GpuRequirement::Required => "required",
                GpuRequirement::IfPresent => "if-present",
                _ => "ignore",
            },
            "identity_pins": policy.pins().iter().map(|pin| to_base64url(pin)).collect::<Vec<_>>(),
            "collateral": self.collaterals.describe(),
        });
        let known = self.lock();
        let mut identities: Vec<(String, Value)> = known
            .iter()
            .filter_map(|(identity, known)| {
                let name = to_base64url(identity);
                let shown = known.last.as_ref()?.to_json(&name);
                Some((name, shown))
            })
            .collect();
        identities.sort_by(|a, b| a.0.cmp(&b.0));
        (
            policy,
            identities.into_iter().map(|(_, shown)| shown).collect(),
        )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        // Nothing panics while it is held; if it did, the map would still be sound.
        lock(&self.known)
    }
}

impl Judgement {
    fn new(report: &Report) -> Self {
        let at = unix_now();
        let verified = report.verdict().ok();
        Self {
            until: match &verified {
                Some(verified) => verified.valid_until(),
                None => at.saturating_add(REFUSED),
            },
            verified,
            findings: Finding::of(report),
            at,
        }
    }

    /// Why a bundle of this identity for this label is not taken.
    pub(crate) fn refusal(&self, identity: &[u8; 32], label: &str) -> String {
        let name = to_base64url(identity);
        match &self.verified {
            Some(verified) if !serves(verified, label) => {
                format!("{name} has not stated that it serves {label:?}")
            }
            Some(_) => format!("the bundle of {name} is not acceptable"),
            None => format!("{name} failed {}", failed(&self.findings)),
        }
    }

    fn to_json(&self, identity: &str) -> Value {
        let mut shown = judged(self.verified.is_some(), self.at, self.until, &self.findings);
        if let Some(object) = shown.as_object_mut() {
            object.insert("identity".to_owned(), identity.into());
            if let Some(verified) = &self.verified {
                object.insert("tee".to_owned(), verified.tee().name().into());
                object.insert("measured".to_owned(), verified.measured().into());
                if let Bound::Native { statement, .. } = verified.bound() {
                    object.insert(
                        "statement".to_owned(),
                        json!({
                            "labels": statement.labels,
                            "upstream": statement.upstream,
                            "profiles": statement.profiles,
                            "padding": statement.padding,
                            "version": statement.version,
                        }),
                    );
                }
            }
        }
        shown
    }
}

/// A judgement without a verification: there was nothing to verify.
fn refused(reason: &'static str, expected: &str, got: String) -> Judgement {
    let at = unix_now();
    Judgement {
        verified: None,
        findings: vec![Finding {
            name: "evidence".to_owned(),
            outcome: Outcome::Failed(reason),
            expected: expected.to_owned(),
            got,
        }],
        at,
        until: at.saturating_add(REFUSED),
    }
}

/// Whether an attested statement lists a label, where there is one.
fn serves(verified: &Verified, label: &str) -> bool {
    match verified.bound() {
        Bound::Native { statement, .. } => statement.labels.iter().any(|listed| listed == label),
        // A pin states nothing.
        Bound::Pinned { .. } => true,
        _ => false,
    }
}

fn is_about_key(problem: &Problem) -> bool {
    matches!(problem.code, RelayCode::Auth | RelayCode::Quota)
}

fn make_room(known: &mut HashMap<[u8; 32], Known>) {
    if known.len() < MAX_IDENTITIES {
        return;
    }
    let now = unix_now();
    known.retain(|_, known| known.running().is_some() || known.current(now).is_some());
    if known.len() >= MAX_IDENTITIES {
        known.retain(|_, known| known.running().is_some());
    }
}
