//! The order of the checks, and what follows from them (`spec/evidence.md` section 5).

use sha2::{Digest, Sha256};

use crate::binding::{Binding, Freshness, Hints};
use crate::chain::{Certificate, Links};
use crate::collateral::Collateral;
use crate::encoding::{to_base64url, to_hex};
use crate::evidence::{Evidence, TeeKind};
use crate::gpu::{self, GpuView, Jwks};
use crate::native;
use crate::policy::{GpuRequirement, GpuWay, Policy};
use crate::report::{Measurements, Reason, Report};
use crate::statement::Statement;
use crate::verified::{AttestedChutesKey, Bound, Verified};
use crate::{snp, tdx};

/// How long a result may be used at most, seconds.
const MAX_USE: u64 = 3600;
/// How far ahead a clock may be when a nonce was sent, seconds.
const CLOCK: u64 = 5;

/// Verifies evidence under one policy.
#[derive(Clone, Debug)]
pub struct Verifier {
    policy: Policy,
    jwks: Option<Jwks>,
}

/// What a quote says, once it is parsed.
pub(crate) struct Quoted {
    pub(crate) report_data: [u8; 64],
    pub(crate) measurements: Measurements,
}

/// What evidence says, without any judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The measurements, if the quote can be parsed.
    pub measurements: Option<Measurements>,
    /// The 64 bytes that the quote binds.
    pub report_data: Option<[u8; 64]>,
    /// Intel's name of the platform's kind.
    pub fmspc: Option<[u8; 6]>,
    /// The GPUs whose reports can be parsed.
    pub gpus: Vec<GpuView>,
    /// The statement, if there is one that can be parsed.
    pub statement: Option<Statement>,
}

/// Reads evidence without verifying anything: all of it may be a lie.
#[must_use]
pub fn inspect(evidence: &Evidence) -> Inspection {
    let quoted = match evidence.tee {
        TeeKind::Tdx => tdx::view(&evidence.quote),
        TeeKind::SevSnp => snp::view(&evidence.quote),
        TeeKind::None => None,
    };
    Inspection {
        report_data: quoted.as_ref().map(|quoted| quoted.report_data),
        measurements: quoted.map(|quoted| quoted.measurements),
        fmspc: crate::collateral::quote_fmspc(&evidence.quote).ok(),
        gpus: evidence.gpus.iter().filter_map(gpu::view).collect(),
        statement: evidence
            .statement
            .as_ref()
            .and_then(|json| Statement::from_json(json).ok()),
    }
}

impl Verifier {
    /// A verifier without keys for tokens.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self { policy, jwks: None }
    }

    /// The same with the keys of NVIDIA's attestation service. They change daily.
    #[must_use]
    pub fn with_jwks(mut self, jwks: Jwks) -> Self {
        self.jwks = Some(jwks);
        self
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Runs every check that can run. `collateral` is the caller's own; without it the evidence's stapled one is taken. `now` is the
    /// caller's clock, unix seconds.
    #[must_use]
    pub fn verify(
        &self,
        evidence: &Evidence,
        binding: &Binding<'_>,
        collateral: Option<&Collateral>,
        freshness: Freshness,
        now: u64,
    ) -> Report {
        let mut report = Report::new(evidence.tee);
        let mut until = now.saturating_add(MAX_USE);
        for root in self.policy.roots.foreign() {
            report.noted(
                "trust root",
                format!("{}'s own", root.vendor),
                format!(
                    "the policy's `{}`, SHA-256 {}",
                    root.name,
                    to_hex(&Sha256::digest(&root.der))
                ),
            );
        }
        if let Binding::Pinned { identity } = binding {
            // Where the policy wants an enclave, a pin alone is a downgrade.
            let pins_only = self.policy.measurements.is_empty() && !self.policy.any_measurement;
            report.judge(
                "tee",
                pins_only,
                Reason::TeeNotAllowed,
                if pins_only {
                    "none: the policy lists pins only"
                } else {
                    "an enclave: the policy is about measurements"
                },
                "none",
            );
            self.check_pin(&mut report, identity, true);
            report.proven = Some(Verified {
                tee: TeeKind::None,
                bound: Bound::Pinned {
                    identity: **identity,
                },
                measured: None,
                valid_until: until,
            });
            return report;
        }
        report.judge(
            "tee",
            self.policy.tee.contains(&evidence.tee),
            Reason::TeeNotAllowed,
            self.policy
                .tee
                .iter()
                .map(|tee| tee.name())
                .collect::<Vec<_>>()
                .join(" or "),
            evidence.tee.name(),
        );
        let quoted = match evidence.tee {
            TeeKind::Tdx => tdx::check(&mut report, &self.policy, evidence, collateral, now),
            TeeKind::SevSnp => snp::check(&mut report, &self.policy, evidence, now),
            TeeKind::None => None,
        };
        if let Some(valid_until) = report.collateral_valid_until {
            until = until.min(valid_until);
        }
        let measured = self.check_measurements(&mut report, quoted.as_ref());
        let report_data = quoted.as_ref().map(|quoted| &quoted.report_data);
        let (bound, gpu_nonce) = match binding {
            Binding::ChutesV1 {
                nonce,
                e2e_pubkey_b64,
                hints,
            } => {
                self.check_no_pin(&mut report);
                check_chutes(
                    &mut report,
                    evidence,
                    nonce,
                    *e2e_pubkey_b64,
                    hints,
                    report_data,
                )
            }
            Binding::Native {
                identity,
                nonce,
                statement,
            } => self.check_native(
                &mut report,
                evidence,
                identity,
                *nonce,
                statement,
                report_data,
            ),
            Binding::Pinned { .. } => (None, None),
        };
        self.check_age(&mut report, binding, freshness, now, &mut until);
        self.check_gpus(&mut report, evidence, gpu_nonce.as_ref(), now, &mut until);
        report.measurements = quoted.map(|quoted| quoted.measurements);
        report.proven = bound.map(|bound| Verified {
            tee: evidence.tee,
            bound,
            measured,
            valid_until: until,
        });
        report
    }

    fn check_pin(&self, report: &mut Report, identity: &[u8; 32], required: bool) {
        let pins = &self.policy.pins;
        if !required && pins.is_empty() {
            return;
        }
        report.judge(
            "identity pin",
            pins.contains(identity),
            Reason::IdentityPin,
            pins.iter()
                .map(|pin| to_base64url(pin))
                .collect::<Vec<_>>()
                .join(" or "),
            to_base64url(identity),
        );
    }

    /// chutes-v1 has no identity that could be pinned: a policy that wants one is not met.
    fn check_no_pin(&self, report: &mut Report) {
        if !self.policy.pins.is_empty() {
            report.judge(
                "identity pin",
                false,
                Reason::IdentityPin,
                "a pinned identity",
                "none: chutes-v1 evidence binds a key, no identity",
            );
        }
    }

    fn check_measurements(&self, report: &mut Report, quoted: Option<&Quoted>) -> Option<String> {
        let name = "measurement";
        let policy = &self.policy;
        let expected = if policy.any_measurement {
            "any".to_owned()
        } else {
            policy
                .measurements
                .iter()
                .map(|listed| listed.name.as_str())
                .collect::<Vec<_>>()
                .join(" or ")
        };
        let Some(quoted) = quoted else {
            report.not_run(name, expected, "there is no quote");
            return None;
        };
        if policy.any_measurement {
            report.noted(
                name,
                expected,
                "not judged: the policy says any_measurement",
            );
            return None;
        }
        let differences: Vec<(&str, Vec<&str>)> = policy
            .measurements
            .iter()
            .map(|listed| (listed.name.as_str(), listed.differs(&quoted.measurements)))
            .collect();
        if let Some((listed, _)) = differences.iter().find(|(_, differs)| differs.is_empty()) {
            report.passed(name, expected, *listed);
            return Some((*listed).to_owned());
        }
        let got = differences
            .iter()
            .map(|(listed, differs)| format!("not {listed} ({} differ)", differs.join(", ")))
            .collect::<Vec<_>>()
            .join("; ");
        let got = if got.is_empty() {
            "the policy lists none".to_owned()
        } else {
            got
        };
        report.failed(name, Reason::MeasurementUnknown, expected, got);
        None
    }

    fn check_native(
        &self,
        report: &mut Report,
        evidence: &Evidence,
        identity: &[u8; 32],
        nonce: Option<&[u8; 32]>,
        statement: &[u8],
        report_data: Option<&[u8; 64]>,
    ) -> (Option<Bound>, Option<[u8; 32]>) {
        let expected = native::report_data(identity, nonce, statement);
        match report_data {
            None => report.not_run("report data", to_hex(&expected), "there is no quote"),
            Some(got) if *got == expected => {
                report.passed("report data", to_hex(&expected), to_hex(got))
            }
            Some(got) => {
                // What the evidence claims does not count as proof, but it can tell what differs.
                let claimed_identity = evidence.claimed_identity.unwrap_or(*identity);
                let claimed_nonce = evidence.claimed_nonce.as_ref();
                let (reason, why) =
                    if native::report_data(identity, claimed_nonce, statement) == *got {
                        (Reason::ReportDataNonce, "; the quote answers another nonce")
                    } else if native::report_data(&claimed_identity, nonce, statement) == *got {
                        (Reason::ReportDataKey, "; the quote is for another identity")
                    } else {
                        (Reason::ReportData, "; nonce, identity or statement differs")
                    };
                report.failed(
                    "report data",
                    reason,
                    to_hex(&expected),
                    format!("{}{why}", to_hex(got)),
                );
            }
        }
        self.check_pin(report, identity, false);
        let bound = match Statement::from_json(statement) {
            Ok(statement) => {
                let loopback = statement.upstream_is_loopback();
                let upstream: String = statement.upstream.chars().take(200).collect();
                if self.policy.allow_remote_upstream && !loopback {
                    report.noted(
                        "upstream",
                        "any: the policy says allow_remote_upstream",
                        upstream,
                    );
                } else {
                    report.judge(
                        "upstream",
                        loopback,
                        Reason::UpstreamNotLoopback,
                        "on the same machine",
                        upstream,
                    );
                }
                let got = native::gpu_evidence_sha256(&evidence.gpus);
                report.judge(
                    "gpu binding",
                    got == statement.gpu_evidence_sha256,
                    Reason::GpuBinding,
                    show_hash(statement.gpu_evidence_sha256),
                    show_hash(got),
                );
                Some(Bound::Native {
                    identity: *identity,
                    statement,
                })
            }
            Err(error) => {
                report.failed(
                    "statement",
                    Reason::StatementFormat,
                    "a statement of this version",
                    error.to_string(),
                );
                None
            }
        };
        (bound, Some(native::gpu_nonce(identity, nonce)))
    }

    fn check_age(
        &self,
        report: &mut Report,
        binding: &Binding<'_>,
        freshness: Freshness,
        now: u64,
        until: &mut u64,
    ) {
        let most = self.policy.max_evidence_age;
        let own_nonce = !matches!(binding, Binding::Native { nonce: None, .. });
        match freshness {
            Freshness::Challenged { sent } if own_nonce => {
                *until = (*until).min(sent.saturating_add(most));
                let expected = format!("at most {most} s since the nonce was sent");
                if sent > now.saturating_add(CLOCK) {
                    report.failed(
                        "age",
                        Reason::EvidenceFromFuture,
                        expected,
                        format!("{} s before it was sent", sent - now),
                    );
                } else {
                    let age = now.saturating_sub(sent);
                    report.judge(
                        "age",
                        age <= most,
                        Reason::EvidenceTooOld,
                        expected,
                        format!("{age} s"),
                    );
                }
            }
            _ => {
                let expected = format!("an answer to this verifier's nonce, at most {most} s old");
                let got = "stapled evidence, which has no age";
                if self.policy.allow_stapled {
                    report.noted(
                        "age",
                        expected,
                        format!("{got}; the policy says allow_stapled"),
                    );
                } else {
                    report.failed("age", Reason::StapledNotAllowed, expected, got);
                }
            }
        }
    }

    fn check_gpus(
        &self,
        report: &mut Report,
        evidence: &Evidence,
        nonce: Option<&[u8; 32]>,
        now: u64,
        until: &mut u64,
    ) {
        let policy = &self.policy;
        report.gpus = evidence.gpus.iter().filter_map(gpu::view).collect();
        let takes = |way| policy.gpu != GpuRequirement::Ignore && policy.gpu_ways.contains(&way);
        let mut ways = 0;
        if !evidence.gpus.is_empty() && takes(GpuWay::Spdm) {
            ways += 1;
            let mut links = Links::default();
            let mut devices: Vec<Vec<u8>> = Vec::new();
            for (index, gpu) in evidence.gpus.iter().enumerate() {
                let device =
                    gpu::check_spdm(report, index, gpu, nonce, &policy.roots, now, &mut links);
                let Some(device) = device else { continue };
                if devices.contains(&device) {
                    report.failed(
                        format!("gpu {index} device"),
                        Reason::GpuRepeated,
                        "another device for each report",
                        "one that was there before",
                    );
                }
                devices.push(device);
            }
        }
        if let Some(tokens) = &evidence.gpu_tokens
            && takes(GpuWay::Token)
        {
            ways += 1;
            let end = gpu::check_tokens(report, tokens, self.jwks.as_ref(), nonce, now);
            *until = (*until).min(end);
        }
        let there = !evidence.gpus.is_empty() || evidence.gpu_tokens.is_some();
        let got = match (there, ways) {
            (false, _) => "none".to_owned(),
            (true, 0) => "of a kind that the policy does not take".to_owned(),
            (true, _) => format!(
                "{} reports{}",
                evidence.gpus.len(),
                if evidence.gpu_tokens.is_some() {
                    ", tokens"
                } else {
                    ""
                }
            ),
        };
        match policy.gpu {
            GpuRequirement::Required => {
                report.judge("gpu", ways > 0, Reason::GpuMissing, "GPU evidence", got)
            }
            GpuRequirement::IfPresent => report.judge(
                "gpu",
                ways > 0 || !there,
                Reason::GpuMissing,
                "GPU evidence, if there are GPUs",
                got,
            ),
            GpuRequirement::Ignore => {
                report.noted("gpu", "anything: the policy says gpu = \"ignore\"", got)
            }
        }
    }
}

fn show_hash(hash: Option<[u8; 32]>) -> String {
    hash.map_or_else(|| "no GPU evidence".to_owned(), |hash| to_hex(&hash))
}

fn chutes_hash(nonce: &[u8; 32], key: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(to_hex(nonce))
        .chain_update(key)
        .finalize()
        .into()
}

fn check_chutes(
    report: &mut Report,
    evidence: &Evidence,
    nonce: &[u8; 32],
    key: Option<&str>,
    hints: &Hints<'_>,
    report_data: Option<&[u8; 64]>,
) -> (Option<Bound>, Option<[u8; 32]>) {
    let halves =
        report_data.and_then(|data| Some((data.first_chunk::<32>()?, data.last_chunk::<32>()?)));
    match (key, halves) {
        (None, _) => report.failed(
            "report data",
            Reason::NoKeyToBind,
            "a key that discovery lists for this instance",
            "no key to bind",
        ),
        (Some(_), None) => report.not_run(
            "report data",
            "SHA-256 of nonce and key",
            "there is no quote",
        ),
        (Some(key), Some((got, _))) => {
            let expected = chutes_hash(nonce, key);
            if *got == expected {
                report.passed("report data", to_hex(&expected), to_hex(got));
            } else {
                let (reason, why) = if hints
                    .other_keys
                    .iter()
                    .any(|other| chutes_hash(nonce, other) == *got)
                {
                    (
                        Reason::ReportDataKey,
                        "; the quote is for the key of another instance",
                    )
                } else if hints
                    .other_nonces
                    .iter()
                    .any(|other| chutes_hash(other, key) == *got)
                {
                    (
                        Reason::ReportDataNonce,
                        "; the quote answers an earlier nonce",
                    )
                } else {
                    (
                        Reason::ReportData,
                        "; nonce or key differs, and the hash does not show which",
                    )
                };
                report.failed(
                    "report data",
                    reason,
                    to_hex(&expected),
                    format!("{}{why}", to_hex(got)),
                );
            }
        }
    }
    let spki = evidence
        .certificates
        .first()
        .map(|der| Certificate::parse(der).and_then(|certificate| certificate.spki()));
    let expected = "SHA-256 of the certificate's key in the quote";
    match (spki, halves) {
        (None, _) => report.failed(
            "certificate",
            Reason::CertificateMissing,
            expected,
            "no certificate beside the quote",
        ),
        (Some(None), _) => report.failed(
            "certificate",
            Reason::CertificateMissing,
            expected,
            "a certificate that cannot be parsed",
        ),
        (Some(Some(_)), None) => report.not_run("certificate", expected, "there is no quote"),
        (Some(Some(spki)), Some((_, got))) => {
            let hash = Sha256::digest(&spki);
            report.judge(
                "certificate",
                hash.as_slice() == got,
                Reason::CertificateBinding,
                to_hex(&hash),
                to_hex(got),
            );
        }
    }
    let bound = key.map(|key| Bound::ChutesV1(AttestedChutesKey::new(key)));
    (bound, halves.map(|(first, _)| *first))
}
