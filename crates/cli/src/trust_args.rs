//! What instances must prove to a proxy, on the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sealwire_attest::{Policy, PolicyError, Verifier};
use sealwire_http::net::BaseUrl;
use sealwire_proxy::EvidenceTrust;
use sealwire_proxy::collateral::CollateralSource;

use crate::file;

/// Largest file that is read.
const MAX_FILE: u64 = 1_024 * 1_024;

/// Arguments about evidence.
#[derive(Args, Debug, Clone)]
pub struct TrustArgs {
    /// A policy (TOML): instances are trusted that prove by evidence what it asks for
    #[arg(long, value_name = "FILE", env = "SEALWIRE_POLICY")]
    policy: Option<PathBuf>,
    /// With --policy: a file with Intel's collateral for TDX quotes. Without this and --pccs the evidence must bring it; with --profile chutes-v1 Intel is asked
    #[arg(
        long,
        value_name = "FILE",
        requires = "policy",
        env = "SEALWIRE_COLLATERAL"
    )]
    collateral: Option<PathBuf>,
    /// With --policy: the address of Intel's PCS, or of a cache (PCCS), to fetch collateral for TDX quotes from
    #[arg(
        long,
        value_name = "URL",
        requires = "policy",
        conflicts_with = "collateral",
        env = "SEALWIRE_PCCS"
    )]
    pccs: Option<BaseUrl>,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustArgsError {
    /// Collateral, and no evidence to judge with it.
    #[error(
        "{0} does nothing without --policy: with --pin and --insecure-trust-relay no evidence is judged"
    )]
    WithoutPolicy(&'static str),
    /// The file cannot be read.
    #[error("cannot read the policy {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It is no policy.
    #[error("the policy {0} cannot be used: {1}")]
    Policy(PathBuf, PolicyError),
}

impl TrustArgs {
    /// What instances must prove, with collateral from there if no argument says otherwise; none if no policy is named.
    ///
    /// # Errors
    ///
    /// [`TrustArgsError`].
    pub fn read(
        &self,
        collateral: CollateralSource,
    ) -> Result<Option<EvidenceTrust>, TrustArgsError> {
        let Some(path) = &self.policy else {
            // The parser requires a policy too, but not beside an argument that excludes one.
            return match (&self.collateral, &self.pccs) {
                (Some(_), _) => Err(TrustArgsError::WithoutPolicy("--collateral")),
                (None, Some(_)) => Err(TrustArgsError::WithoutPolicy("--pccs")),
                (None, None) => Ok(None),
            };
        };
        let text = file::read_text(path, MAX_FILE)
            .map_err(|error| TrustArgsError::File(path.clone(), error))?;
        // Files that it names stand beside it.
        let folder = path.parent().unwrap_or(Path::new("."));
        let load = |name: &str| {
            file::read(&folder.join(name), MAX_FILE).map_err(|error| error.to_string())
        };
        let policy = Policy::from_toml_with(&text, load)
            .map_err(|error| TrustArgsError::Policy(path.clone(), error))?;
        let collateral = match (&self.collateral, &self.pccs) {
            (Some(path), _) => CollateralSource::File(path.clone()),
            (None, Some(base)) => CollateralSource::Service(base.clone()),
            (None, None) => collateral,
        };
        Ok(Some(EvidenceTrust {
            verifier: Arc::new(Verifier::new(policy)),
            collateral,
        }))
    }
}
