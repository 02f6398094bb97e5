//! Evidence for the instance's identity: who makes it, what it binds, how it is handed out.
//!
//! ```text
//! nonce --> GPU evidence --> statement --> report data --> quote --> document
//!           GpuProvider                    (P3.4)          QuoteProvider
//! ```
//!
//! The statement names the hash of the GPU evidence and the report data that of the statement, hence the order.

mod cert_table;
mod chutes;
mod command;
mod configfs;
mod desk;
mod encoding;
mod file;

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sealwire::RelayCode;
use sealwire_attest::{GpuEvidence, StatementError, TeeKind};
use sealwire_http::problem::Problem;
use serde_json::Value;

pub use chutes::ChutesEvidence;
pub use command::{GpuCommand, QuoteCommand};
pub use configfs::{CONFIGFS_ROOT, ConfigfsTsm};
pub use desk::{Evidence, StatementFacts};
pub use encoding::Base64;
pub use file::Gpu;

/// A quote and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// What made it.
    pub tee: TeeKind,
    /// Its bytes.
    pub quote: Vec<u8>,
    /// Certificates that it does not hold itself, DER, the leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// What the TEE's maker says of the platform, if the provider knows.
    pub collateral: Option<Value>,
}

/// What a provider is at work on.
pub type Making<'a, T> = Pin<Box<dyn Future<Output = Result<T, EvidenceError>> + Send + 'a>>;

/// Makes quotes. Dropping what it returns gives the work up.
pub trait QuoteProvider: Debug + Send + Sync {
    /// A quote over this report data.
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote>;
}

/// Makes evidence of GPUs. Dropping what it returns gives the work up.
pub trait GpuProvider: Debug + Send + Sync {
    /// The evidence of every GPU, each for this nonce.
    fn gpus(&self, nonce: [u8; 32]) -> Making<'_, Vec<GpuEvidence>>;
}

/// Where quotes come from.
#[derive(Debug, Clone)]
pub enum QuoteSource {
    /// Made when they are asked for.
    Provider(Arc<dyn QuoteProvider>),
    /// A file that something else makes; it is served as stapled evidence only.
    File(PathBuf),
}

/// Settings of an instance's evidence.
#[derive(Debug, Clone)]
pub struct EvidenceConfig {
    /// Where quotes come from.
    pub quotes: QuoteSource,
    /// Where GPU evidence comes from. A file of quotes brings its own.
    pub gpu: Option<Arc<dyn GpuProvider>>,
    /// A file with collateral that goes out with the evidence, read again from time to time.
    pub collateral: Option<PathBuf>,
    /// The certificate, DER, that chutes-v1 evidence is bound to.
    pub certificate: Option<Vec<u8>>,
    /// Bounds.
    pub limits: EvidenceLimits,
}

/// Bounds of an instance's evidence. A challenge costs a quote, and whoever reaches the instance can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceLimits {
    /// Challenges at a time; more are answered `busy`.
    pub concurrent: usize,
    /// Challenges that may come at once after a pause.
    pub burst: u32,
    /// Time that earns one more challenge.
    pub interval: Duration,
    /// Longest time for one piece of evidence.
    pub time: Duration,
    /// Age at which stapled evidence is made anew.
    pub stapled_age: Duration,
}

impl Default for EvidenceLimits {
    fn default() -> Self {
        Self {
            concurrent: 4,
            burst: 32,
            interval: Duration::from_millis(250),
            time: Duration::from_secs(15),
            stapled_age: Duration::from_secs(3_600),
        }
    }
}

impl EvidenceConfig {
    /// Defaults for quotes from this source.
    #[must_use]
    pub fn new(quotes: QuoteSource) -> Self {
        Self {
            quotes,
            gpu: None,
            collateral: None,
            certificate: None,
            limits: EvidenceLimits::default(),
        }
    }
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The kernel offers no reports.
    #[error(
        "there is no {0}: this machine offers no TSM reports; needed are Linux 6.7 or later in a TDX or SEV-SNP guest, its guest driver, and configfs mounted"
    )]
    NoConfigfs(PathBuf),
    /// A step at the kernel's report failed.
    #[error("the kernel made no report: {0}: {1}")]
    Configfs(String, io::Error),
    /// The kernel's provider is none that is known here.
    #[error("the kernel's reports come from {0:?}, expected tdx_guest or sev_guest")]
    OtherProvider(String),
    /// Somebody else wrote to the report between request and answer.
    #[error(
        "the report's generation went from {before} to {after}, expected one step: another process uses the same entry"
    )]
    Generation {
        /// Before the report data was written.
        before: u64,
        /// After the report was read.
        after: u64,
    },
    /// The certificates that came with a report cannot be read.
    #[error("the certificate table of the report cannot be read: {0}")]
    CertificateTable(&'static str),
    /// A command cannot be started.
    #[error("cannot run the evidence command {0}: {1}")]
    CommandStart(PathBuf, io::Error),
    /// A command failed.
    #[error("the evidence command {0} failed with {1}")]
    CommandFailed(PathBuf, std::process::ExitStatus),
    /// A command's output is more than is taken.
    #[error("the evidence command {0} wrote more than {1} bytes")]
    CommandOutput(PathBuf, usize),
    /// A file cannot be read.
    #[error("cannot read the evidence file {0}: {1}")]
    File(PathBuf, io::Error),
    /// Command or file gave something else.
    #[error("{0} holds no evidence: {1}")]
    Content(PathBuf, String),
    /// The quote is over something else.
    #[error(
        "the quote does not hold the report data that it was made for; does the provider pass all 64 bytes on?"
    )]
    OtherReportData,
    /// The GPU provider found no GPU.
    #[error(
        "the provider of GPU evidence gave none; leave --gpu-evidence out where there is no GPU"
    )]
    NoGpu,
    /// The configuration does not fit into a statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Clients would not read it.
    #[error("no client would take this evidence: {0}")]
    Unreadable(#[from] sealwire_attest::EvidenceError),
    /// It took too long.
    #[error("no evidence within {} s", .0.as_secs())]
    Time(Duration),
    /// The task that made it is gone.
    #[error("the work on the evidence was given up")]
    GivenUp,
    /// Too many challenges.
    #[error("too many challenges; try again later")]
    Busy,
    /// Only stapled evidence is to be had.
    #[error("this instance has stapled evidence only; ask without a nonce")]
    StapledOnly,
    /// The nonce of a chutes-v1 request is none.
    #[error("the nonce must have 64 hexadecimal digits")]
    ChutesNonce,
    /// There is no certificate, or it is none.
    #[error("chutes-v1 evidence needs a certificate in DER: {0}")]
    Certificate(String),
}

impl EvidenceError {
    /// What whoever asked is told: paths and causes stay here.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        match self {
            Self::Busy => Problem::new(RelayCode::Busy, self.to_string()),
            Self::StapledOnly | Self::ChutesNonce => {
                Problem::new(RelayCode::Refused, self.to_string())
            }
            _ => Problem::new(RelayCode::Internal, "the instance cannot make evidence now"),
        }
    }
}
