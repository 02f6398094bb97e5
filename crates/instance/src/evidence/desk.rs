//! Hands evidence out: challenges within bounds, stapled evidence from a copy that is made anew from time to time.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use sealwire_attest::{GpuEvidence, Statement, native};
use sealwire_http::net::{lock, warn};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::chutes::{BoundCertificate, is_nonce};
use super::encoding::{Base64, hex};
use super::{ChutesEvidence, EvidenceConfig, EvidenceError, Quote, QuoteSource, file};

/// Age at which a file of evidence is read again.
const FILE_AGE: Duration = Duration::from_secs(2);

/// The configuration that a statement describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementFacts {
    /// The labels that are served.
    pub labels: Vec<String>,
    /// The least padding of answers.
    pub padding: String,
    /// The profiles that are spoken.
    pub profiles: Vec<String>,
    /// The model server.
    pub upstream: String,
}

impl StatementFacts {
    /// The statement's bytes beside this GPU evidence.
    fn statement(&self, gpus: &[GpuEvidence]) -> Result<Vec<u8>, EvidenceError> {
        let statement = Statement {
            labels: self.labels.clone(),
            upstream: self.upstream.clone(),
            profiles: self.profiles.clone(),
            padding: self.padding.clone(),
            gpu_evidence_sha256: native::gpu_evidence_sha256(gpus),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(statement.to_json()?)
    }
}

/// The evidence of a running instance.
#[derive(Debug)]
pub struct Evidence {
    config: EvidenceConfig,
    identity: [u8; 32],
    facts: StatementFacts,
    certificate: Option<BoundCertificate>,
    slots: Semaphore,
    pace: Mutex<Pace>,
    stapled: tokio::sync::Mutex<Stapled>,
}

/// Challenges that may still come, and when that was true.
#[derive(Debug)]
struct Pace {
    left: u32,
    since: Instant,
}

#[derive(Debug, Clone)]
struct Stapled {
    document: Bytes,
    made: Instant,
}

impl Evidence {
    /// Makes stapled evidence at once: an instance that cannot does not start.
    pub(crate) async fn start(
        config: EvidenceConfig,
        identity: [u8; 32],
        facts: StatementFacts,
    ) -> Result<Self, EvidenceError> {
        let certificate = config
            .certificate
            .as_deref()
            .map(BoundCertificate::new)
            .transpose()?;
        let now = Instant::now();
        let evidence = Self {
            slots: Semaphore::new(config.limits.concurrent),
            pace: Mutex::new(Pace {
                left: config.limits.burst,
                since: now,
            }),
            stapled: tokio::sync::Mutex::new(Stapled {
                document: Bytes::new(),
                made: now,
            }),
            config,
            identity,
            facts,
            certificate,
        };
        let document = evidence.make(None).await?;
        *evidence.stapled.lock().await = Stapled {
            document,
            made: Instant::now(),
        };
        Ok(evidence)
    }

    /// The evidence document, for a nonce of the verifier's or stapled.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`].
    pub async fn native(&self, nonce: Option<[u8; 32]>) -> Result<Bytes, EvidenceError> {
        if nonce.is_none() {
            return self.stapled().await;
        }
        if matches!(self.config.quotes, QuoteSource::File(_)) {
            return Err(EvidenceError::StapledOnly);
        }
        let _slot = self.admit()?;
        self.make(nonce).await
    }

    /// Evidence that binds a chutes-v1 key, for the nonce and the key as they stand in the platform's API.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`].
    pub async fn chutes_evidence(
        &self,
        nonce_hex: &str,
        e2e_pubkey_b64: &str,
        instance_id: &str,
    ) -> Result<ChutesEvidence, EvidenceError> {
        if !is_nonce(nonce_hex) {
            return Err(EvidenceError::ChutesNonce);
        }
        let QuoteSource::Provider(provider) = &self.config.quotes else {
            return Err(EvidenceError::StapledOnly);
        };
        let certificate = self
            .certificate
            .as_ref()
            .ok_or_else(|| EvidenceError::Certificate("none is configured".to_owned()))?;
        let data = certificate.report_data(nonce_hex, e2e_pubkey_b64);
        let mut nonce = [0; 32];
        nonce.copy_from_slice(data.split_at(32).0);
        let _slot = self.admit()?;
        self.in_time(async {
            let gpus = self.gpus(nonce).await?;
            let quote = checked(provider.quote(data).await?, &data)?;
            Ok(ChutesEvidence {
                quote: Base64(quote.quote),
                gpu_evidence: gpus.into_iter().map(Into::into).collect(),
                instance_id: instance_id.to_owned(),
                certificate: Base64(certificate.der.clone()),
            })
        })
        .await
    }

    /// One of the few places for challenges, if the pace allows it.
    fn admit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, EvidenceError> {
        let slot = self.slots.try_acquire().map_err(|_| EvidenceError::Busy)?;
        let limits = &self.config.limits;
        let mut pace = lock(&self.pace);
        if !pace.take(Instant::now(), limits.interval, limits.burst) {
            return Err(EvidenceError::Busy);
        }
        Ok(slot)
    }

    /// The copy; made anew if it is old. An old one is better than none.
    async fn stapled(&self) -> Result<Bytes, EvidenceError> {
        let age = match self.config.quotes {
            QuoteSource::File(_) => FILE_AGE,
            QuoteSource::Provider(_) => self.config.limits.stapled_age,
        };
        let mut stapled = self.stapled.lock().await;
        if stapled.made.elapsed() >= age {
            match self.make(None).await {
                Ok(document) => stapled.document = document,
                Err(error) => warn(&format!("stapled evidence was not renewed: {error}")),
            }
            stapled.made = Instant::now();
        }
        Ok(stapled.document.clone())
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, EvidenceError>>,
    ) -> Result<T, EvidenceError> {
        let time = self.config.limits.time;
        timeout(time, work)
            .await
            .unwrap_or(Err(EvidenceError::Time(time)))
    }

    async fn gpus(&self, nonce: [u8; 32]) -> Result<Vec<GpuEvidence>, EvidenceError> {
        let Some(provider) = &self.config.gpu else {
            return Ok(Vec::new());
        };
        let gpus = provider.gpus(nonce).await?;
        if gpus.is_empty() {
            return Err(EvidenceError::NoGpu);
        }
        Ok(gpus)
    }

    async fn make(&self, nonce: Option<[u8; 32]>) -> Result<Bytes, EvidenceError> {
        self.in_time(async {
            let (quote, gpus, statement) = self.material(nonce.as_ref()).await?;
            let collateral = match &self.config.collateral {
                Some(path) => Some(self.collateral(path.clone()).await?),
                None => quote.collateral,
            };
            let document = sealwire_attest::Evidence {
                tee: quote.tee,
                quote: quote.quote,
                certificates: quote.certificates,
                gpus,
                gpu_tokens: None,
                collateral: collateral.map(|value| value.to_string().into_bytes()),
                statement: Some(statement),
                claimed_identity: Some(self.identity),
                claimed_nonce: nonce,
            };
            let json = document.to_json()?;
            // A client reads within bounds: what it would not take is said here and not there.
            sealwire_attest::Evidence::from_json(&json)?;
            Ok(json.into())
        })
        .await
    }

    /// Quote, GPU evidence and statement for a nonce.
    async fn material(
        &self,
        nonce: Option<&[u8; 32]>,
    ) -> Result<(Quote, Vec<GpuEvidence>, Vec<u8>), EvidenceError> {
        match &self.config.quotes {
            QuoteSource::Provider(provider) => {
                let gpus = self.gpus(native::gpu_nonce(&self.identity, nonce)).await?;
                let statement = self.facts.statement(&gpus)?;
                let data = native::report_data(&self.identity, nonce, &statement);
                let quote = checked(provider.quote(data).await?, &data)?;
                Ok((quote, gpus, statement))
            }
            QuoteSource::File(path) => {
                let path = path.clone();
                let (quote, gpus) =
                    blocking(move || file::parse(&file::read(&path)?, &path)).await?;
                let statement = self.facts.statement(&gpus)?;
                let data = native::report_data(&self.identity, nonce, &statement);
                if !holds(&quote, &data) {
                    // It may be made and put there now that the identity is known.
                    warn(&format!(
                        "warning: the quote in the evidence file is not over this instance's report data {}; clients refuse it",
                        hex(&data)
                    ));
                }
                Ok((quote, gpus, statement))
            }
        }
    }

    async fn collateral(
        &self,
        path: std::path::PathBuf,
    ) -> Result<serde_json::Value, EvidenceError> {
        blocking(move || {
            serde_json::from_slice(&file::read(&path)?)
                .map_err(|error| EvidenceError::Content(path, error.to_string()))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EvidenceError> + Send + 'static,
) -> Result<T, EvidenceError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(EvidenceError::GivenUp))
}

/// Whether the report data stands in a quote. Whether the quote is a sound one is for verifiers to say.
fn holds(quote: &Quote, report_data: &[u8; 64]) -> bool {
    quote
        .quote
        .windows(report_data.len())
        .any(|window| window == report_data)
}

fn checked(quote: Quote, report_data: &[u8; 64]) -> Result<Quote, EvidenceError> {
    if holds(&quote, report_data) {
        Ok(quote)
    } else {
        Err(EvidenceError::OtherReportData)
    }
}

impl Pace {
    fn take(&mut self, now: Instant, interval: Duration, burst: u32) -> bool {
        let earned = now
            .saturating_duration_since(self.since)
            .as_nanos()
            .checked_div(interval.as_nanos())
            .map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX));
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(burst);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_allows_a_burst_and_then_one_each_interval() {
        let start = Instant::now();
        let interval = Duration::from_millis(100);
        let mut pace = Pace {
            left: 2,
            since: start,
        };
        let mut at = |milliseconds| {
            let now = start + Duration::from_millis(milliseconds);
            pace.take(now, interval, 2)
        };
        assert_eq!([at(0), at(1), at(2)], [true, true, false]);
        assert_eq!([at(101), at(102)], [true, false]);
        // A long pause earns no more than a burst.
        assert_eq!([at(9_000), at(9_001), at(9_002)], [true, true, false]);
    }
}
