//! `sealwire attest`: verifies, shows, and writes policies from evidence in files.

mod capture;
mod cells;
mod input;
mod list;
mod output;
mod unused;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use sealwire_attest::{Binding, Freshness, Hints, Policy, Report, Verifier, inspect};

use crate::file;
pub use input::InputError;
use input::{Bound, Case};

/// Largest root certificate that a policy names.
const MAX_ROOT: u64 = 1_024 * 1_024;

/// Evidence of enclaves and GPUs, in files.
#[derive(Args)]
pub struct AttestArgs {
    #[command(subcommand)]
    command: AttestCommand,
}

#[derive(Subcommand)]
enum AttestCommand {
    /// Checks evidence against a policy; succeeds only if every instance passes
    Verify(Box<VerifyArgs>),
    /// Shows measurements, platform and GPUs, without judging any of it
    Show(ShowArgs),
    /// Writes a policy that lists what the evidence measured. Look at where the evidence came from before you use it
    PolicyFromEvidence(SourceArgs),
}

#[derive(Args)]
struct SourceArgs {
    /// Evidence in the native shape, or the list of a chutes-v1 relay
    #[arg(long, value_name = "FILE", required_unless_present = "capture")]
    evidence: Option<PathBuf>,
    /// A folder of captured exchanges: discovery, evidence, collateral and a manifest with nonce and time
    #[arg(long, value_name = "DIR", conflicts_with = "evidence")]
    capture: Option<PathBuf>,
    /// Only this instance; repeat for more
    #[arg(long = "instance", value_name = "ID")]
    instances: Vec<String>,
}

#[derive(Args)]
struct ShowArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct VerifyArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// What counts as proof (spec/evidence.md section 4)
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The nonce that was sent, 64 hex digits; without it native evidence is stapled
    #[arg(long, value_name = "HEX", conflicts_with = "capture")]
    nonce: Option<String>,
    /// chutes-v1: the instance's key, as discovery lists it
    #[arg(long, value_name = "BASE64", conflicts_with_all = ["capture", "discovery"])]
    e2e_pubkey: Option<String>,
    /// chutes-v1: the answer of discovery, which lists the keys
    #[arg(long, value_name = "FILE", conflicts_with = "capture")]
    discovery: Option<PathBuf>,
    /// Native: the identity that the bundle names, base64url
    #[arg(long, value_name = "IDENTITY", conflicts_with_all = ["capture", "discovery", "e2e_pubkey"])]
    identity: Option<String>,
    /// When the nonce was sent; without it evidence that answers the nonce counts as new
    #[arg(long, value_name = "TIME")]
    sent: Option<String>,
    /// Intel's collateral as JSON; repeat for other platforms
    #[arg(long, value_name = "FILE")]
    collateral: Vec<PathBuf>,
    /// The answer of NVIDIA's attestation service for this one instance
    #[arg(long, value_name = "FILE", requires = "jwks")]
    gpu_token: Option<PathBuf>,
    /// The keys of NVIDIA's attestation service
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The time to check for, unix seconds or like 2026-05-20T02:18:19Z; now, or when the capture was made
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As JSON, nothing shortened
    #[arg(long)]
    json: bool,
}

/// Why `sealwire attest` fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// A file or an argument.
    #[error(transparent)]
    Input(Box<InputError>),
    /// The evidence was judged, and not all of it passed.
    #[error("{refused} of {total} instances did not pass")]
    Refused {
        /// How many did not.
        refused: usize,
        /// Of how many.
        total: usize,
    },
    /// The evidence has nothing to list.
    #[error("none of the evidence has measurements that can be read")]
    NothingMeasured,
}

impl From<InputError> for AttestError {
    fn from(error: InputError) -> Self {
        Self::Input(Box::new(error))
    }
}

/// Runs a subcommand; the output goes to stdout.
///
/// # Errors
///
/// [`AttestError`].
pub fn run(args: AttestArgs) -> Result<(), AttestError> {
    match args.command {
        AttestCommand::Verify(args) => verify(&args),
        AttestCommand::Show(args) => show(&args),
        AttestCommand::PolicyFromEvidence(args) => policy_from_evidence(&args),
    }
}

fn verify(args: &VerifyArgs) -> Result<(), AttestError> {
    let text = input::text(&args.policy)?;
    let folder = args.policy.parent().map(PathBuf::from).unwrap_or_default();
    let policy = Policy::from_toml_with(&text, |name| {
        file::read(&folder.join(name), MAX_ROOT).map_err(|error| error.to_string())
    })
    .map_err(|error| InputError::Policy(args.policy.clone(), Box::new(error)))?;
    let mut input = input::read(&args.source, Some(args))?;
    let now = match (&args.at, input.now) {
        (Some(text), _) => input::time(text)?,
        (None, Some(captured)) => captured,
        (None, None) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    };
    let sent = args
        .sent
        .as_deref()
        .map(input::time)
        .transpose()?
        .unwrap_or(now);
    let mut verifier = Verifier::new(policy);
    if let Some(jwks) = input.jwks.take() {
        verifier = verifier.with_jwks(jwks);
    }
    let keys: Vec<String> = input
        .cases
        .iter()
        .filter_map(|case| match &case.bound {
            Bound::Chutes { key: Some(key), .. } => Some(key.clone()),
            _ => None,
        })
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let judged = input.cases.iter().map(|case| {
        let report = verify_one(&verifier, case, &input, &keys, sent, now);
        (case.id.as_str(), report)
    });
    let missing = input
        .missing
        .iter()
        .map(|id| (id.as_str(), Report::without_evidence()));
    let reports: Vec<(&str, Report)> = judged.chain(missing).collect();
    let refused = reports
        .iter()
        .filter(|(_, report)| report.verdict().is_err())
        .count();
    if args.json {
        println!("{}", output::json(&reports, now));
    } else {
        print!("{}", output::text(&reports, now));
    }
    if refused > 0 {
        return Err(AttestError::Refused {
            refused,
            total: reports.len(),
        });
    }
    Ok(())
}

fn verify_one(
    verifier: &Verifier,
    case: &Case,
    input: &input::Input,
    keys: &[&str],
    sent: u64,
    now: u64,
) -> Report {
    let fmspc = sealwire_attest::collateral::quote_fmspc(&case.evidence.quote).ok();
    // The right one if it is there; else any, which the report then says is another platform's.
    let collateral = input
        .collateral
        .iter()
        .find(|collateral| Some(collateral.fmspc()) == fmspc)
        .or(input.collateral.first());
    let (binding, fresh) = match &case.bound {
        Bound::Chutes { nonce, key } => (
            Binding::ChutesV1 {
                nonce,
                e2e_pubkey_b64: key.as_deref(),
                hints: Hints {
                    other_keys: keys,
                    other_nonces: &[],
                },
            },
            true,
        ),
        Bound::Native {
            identity,
            nonce,
            statement,
        } => (
            Binding::Native {
                identity,
                nonce: nonce.as_ref(),
                statement,
            },
            nonce.is_some(),
        ),
        Bound::Pinned { identity } => (Binding::Pinned { identity }, false),
    };
    let freshness = if fresh {
        Freshness::Challenged { sent }
    } else {
        Freshness::Stapled
    };
    verifier.verify(&case.evidence, &binding, collateral, freshness, now)
}

fn show(args: &ShowArgs) -> Result<(), AttestError> {
    let input = input::read(&args.source, None)?;
    let shown: Vec<_> = input
        .cases
        .iter()
        .map(|case| (case.id.as_str(), case.evidence.tee, inspect(&case.evidence)))
        .collect();
    if args.json {
        println!("{}", output::show_json(&shown));
    } else {
        print!("{}", output::show(&shown));
    }
    Ok(())
}

fn policy_from_evidence(args: &SourceArgs) -> Result<(), AttestError> {
    let input = input::read(args, None)?;
    let mut seen = Vec::new();
    for case in &input.cases {
        if let Some(measurements) = inspect(&case.evidence).measurements
            && !seen.contains(&measurements)
        {
            seen.push(measurements);
        }
    }
    if seen.is_empty() {
        return Err(AttestError::NothingMeasured);
    }
    print!(
        "{}",
        output::policy(
            &seen,
            input
                .cases
                .iter()
                .any(|case| !case.evidence.gpus.is_empty())
        )
    );
    Ok(())
}
