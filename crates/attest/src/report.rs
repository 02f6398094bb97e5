//! What a verifier found: every check with its name, what was expected and what was got.

use std::borrow::Cow;
use std::fmt;

use crate::evidence::TeeKind;
use crate::gpu::GpuView;
use crate::verified::Verified;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// Why evidence is refused. The codes are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

reasons! {
    /// The policy does not take this kind of enclave, or the evidence has none.
    TeeNotAllowed = "tee-not-allowed",
    /// The quote or report cannot be parsed.
    QuoteFormat = "quote-format",
    /// The quote's key did not sign the quote: its body or signature was changed.
    QuoteSignature = "quote-signature",
    /// The quoting enclave, or the chip, does not vouch for the quote's key.
    QuoteKey = "quote-key",
    /// The certificates of the quote do not lead to the root, or are not valid now.
    QuoteChain = "quote-chain",
    /// A certificate of the quote was revoked.
    QuoteRevoked = "quote-revoked",
    /// The quote fails a rule of its vendor that has no code of its own here.
    QuoteRejected = "quote-rejected",
    /// There is no collateral.
    CollateralMissing = "collateral-missing",
    /// The collateral cannot be parsed.
    CollateralFormat = "collateral-format",
    /// The collateral is for another platform.
    CollateralOtherPlatform = "collateral-other-platform",
    /// The collateral is not signed by who should have signed it.
    CollateralSignature = "collateral-signature",
    /// The collateral's time is over.
    CollateralExpired = "collateral-expired",
    /// The collateral's time has not come.
    CollateralNotYetValid = "collateral-not-yet-valid",
    /// The platform's TCB has a status that the policy does not take.
    TcbStatus = "tcb-status",
    /// No TCB level of the collateral covers the platform, or its status is unknown.
    TcbUnknown = "tcb-unknown",
    /// The chip's firmware is older than the policy's minimum.
    TcbVersion = "tcb-version",
    /// The enclave runs in debug mode: its memory can be read from outside.
    DebugEnabled = "debug-enabled",
    /// The report's VMPL, policy or signing key is not what it must be.
    SnpReport = "snp-report",
    /// The chip's certificate is for another chip or another firmware than the report says.
    SnpCertificate = "snp-certificate",
    /// The measurements are on no list of the policy.
    MeasurementUnknown = "measurement-unknown",
    /// The report data is not what nonce and key give; it does not show which of them differs.
    ReportData = "report-data",
    /// The quote was made for another nonce.
    ReportDataNonce = "report-data-nonce",
    /// The quote was made for another key or identity.
    ReportDataKey = "report-data-key",
    /// There is no key that the quote could be bound to.
    NoKeyToBind = "no-key-to-bind",
    /// The certificate that the quote must bind is missing or cannot be parsed.
    CertificateMissing = "certificate-missing",
    /// The quote does not bind the certificate beside it.
    CertificateBinding = "certificate-binding",
    /// The statement cannot be parsed.
    StatementFormat = "statement-format",
    /// The instance sends opened requests off its machine.
    UpstreamNotLoopback = "upstream-not-loopback",
    /// The statement does not cover the GPU evidence beside it.
    GpuBinding = "gpu-binding",
    /// The identity is not on the policy's list of pins.
    IdentityPin = "identity-pin",
    /// The nonce was sent too long ago.
    EvidenceTooOld = "evidence-too-old",
    /// The nonce was sent in the future: a clock is wrong.
    EvidenceFromFuture = "evidence-from-future",
    /// The policy takes no evidence without an age.
    StapledNotAllowed = "stapled-not-allowed",
    /// There is no GPU evidence of a kind that the policy takes.
    GpuMissing = "gpu-missing",
    /// GPU evidence cannot be parsed.
    GpuFormat = "gpu-format",
    /// GPU evidence answers another nonce.
    GpuNonce = "gpu-nonce",
    /// The GPU's certificate did not sign the evidence.
    GpuSignature = "gpu-signature",
    /// The GPU's certificates do not lead to the root, or are not valid now.
    GpuChain = "gpu-chain",
    /// The same GPU stands twice in the list.
    GpuRepeated = "gpu-repeated",
    /// A token cannot be parsed.
    TokenFormat = "token-format",
    /// A token is signed by a key that is not among those that are known.
    TokenKey = "token-key",
    /// A token's signature is wrong.
    TokenSignature = "token-signature",
    /// A token says that the GPU did not pass.
    TokenResult = "token-result",
    /// A token's time is over.
    TokenExpired = "token-expired",
    /// A token's time has not come.
    TokenNotYetValid = "token-not-yet-valid",
    /// A token is of another issuer.
    TokenIssuer = "token-issuer",
    /// A token is for another nonce.
    TokenNonce = "token-nonce",
    /// The token over all GPUs does not cover the tokens of each.
    TokenBinding = "token-binding",
    /// A check that is needed did not run.
    Incomplete = "incomplete",
    /// The instance gave no evidence.
    EvidenceMissing = "evidence-missing",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed(Reason),
    /// It could not run, because of something else in this report. It never counts as passed.
    NotRun,
    /// Shown, not judged.
    Noted,
}

impl Outcome {
    /// One word: `pass`, `FAIL`, `not run`, `note`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Failed(_) => "FAIL",
            Self::NotRun => "not run",
            Self::Noted => "note",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: String,
    /// What was got; for a check that did not run, why.
    pub got: String,
}

/// Measurements as a report shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there is one in a report")]
pub enum Measurements {
    /// Intel TDX.
    Tdx {
        /// The TDX module.
        mrseam: [u8; 48],
        /// The initial contents of the VM, its firmware.
        mrtd: [u8; 48],
        /// Configuration that the host gave.
        mrconfigid: [u8; 48],
        /// Run-time registers.
        rtmr: [[u8; 48]; 4],
        /// Attributes of the VM.
        td_attributes: [u8; 8],
        /// The processor features that it may use.
        xfam: [u8; 8],
    },
    /// AMD SEV-SNP.
    Snp {
        /// The initial contents of the VM.
        measurement: [u8; 48],
        /// Configuration that the host gave.
        host_data: [u8; 32],
        /// The guest's policy bits.
        policy: u64,
        /// The privilege level that asked.
        vmpl: u32,
    },
}

/// The platform's patch level.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcbView {
    /// Intel's status, or AMD's reported version.
    pub status: String,
    /// Advisories that apply to it.
    pub advisories: Vec<String>,
    /// Intel's name of the platform's kind.
    pub fmspc: Option<[u8; 6]>,
}

/// Everything that one verification found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What made the quote.
    pub tee: TeeKind,
    /// All checks, in the order of `spec/evidence.md` section 5.
    pub checks: Vec<Check>,
    /// The measurements, if the quote could be parsed.
    pub measurements: Option<Measurements>,
    /// The patch level, if it could be found.
    pub tcb: Option<TcbView>,
    /// The GPUs, by their own evidence.
    pub gpus: Vec<GpuView>,
    /// Until when the collateral is valid, unix seconds.
    pub collateral_valid_until: Option<u64>,
    pub(crate) proven: Option<Verified>,
}

impl Report {
    pub(crate) fn new(tee: TeeKind) -> Self {
        Self {
            tee,
            checks: Vec::new(),
            measurements: None,
            tcb: None,
            gpus: Vec::new(),
            collateral_valid_until: None,
            proven: None,
        }
    }

    /// The report of an instance that gave no evidence: it is not verified.
    #[must_use]
    pub fn without_evidence() -> Self {
        let mut report = Self::new(TeeKind::None);
        report.failed(
            "evidence",
            Reason::EvidenceMissing,
            "evidence of this instance",
            "none",
        );
        report
    }

    /// What the evidence proves.
    ///
    /// # Errors
    /// [`Rejected`] with every reason, in the order of the checks.
    pub fn verdict(&self) -> Result<Verified, Rejected> {
        let mut reasons: Vec<Reason> = Vec::new();
        for check in &self.checks {
            if let Outcome::Failed(reason) = check.outcome
                && !reasons.contains(&reason)
            {
                reasons.push(reason);
            }
        }
        let not_run = self
            .checks
            .iter()
            .any(|check| check.outcome == Outcome::NotRun);
        match &self.proven {
            Some(verified) if reasons.is_empty() && !not_run => Ok(verified.clone()),
            _ => {
                if reasons.is_empty() {
                    reasons.push(Reason::Incomplete);
                }
                let first = self
                    .checks
                    .iter()
                    .find(|check| matches!(check.outcome, Outcome::Failed(_)))
                    .cloned();
                Err(Rejected { reasons, first })
            }
        }
    }

    /// The outcome of the check of this name.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Option<Outcome> {
        self.checks
            .iter()
            .find(|check| check.name == name)
            .map(|check| check.outcome)
    }

    pub(crate) fn passed(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.push(name, Outcome::Passed, expected, got);
    }

    pub(crate) fn failed(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        reason: Reason,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.push(name, Outcome::Failed(reason), expected, got);
    }

    pub(crate) fn not_run(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        expected: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.push(name, Outcome::NotRun, expected, why);
    }

    pub(crate) fn noted(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.push(name, Outcome::Noted, expected, got);
    }

    /// Passed if `ok`, else failed for `reason`.
    pub(crate) fn judge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        ok: bool,
        reason: Reason,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        let outcome = if ok {
            Outcome::Passed
        } else {
            Outcome::Failed(reason)
        };
        self.push(name, outcome, expected, got);
    }

    fn push(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        outcome: Outcome,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        self.checks.push(Check {
            name: name.into(),
            outcome,
            expected: expected.into(),
            got: got.into(),
        });
    }
}

/// Evidence that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Rejected {
    /// Each reason once, in the order of the checks.
    pub reasons: Vec<Reason>,
    /// The first check that failed.
    pub first: Option<Check>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the evidence was refused: ")?;
        for (index, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if index == 0 { "" } else { ", " })?;
        }
        if let Some(first) = &self.first {
            write!(
                f,
                " ({}: expected {}, got {})",
                first.name, first.expected, first.got
            )?;
        }
        Ok(())
    }
}
