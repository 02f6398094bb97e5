//! `sealwire proxy --profile chutes-v1`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sealwire_attest::{Policy, PolicyError, Verifier};
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, Server};
use sealwire_http::profile::Profile;
use sealwire_proxy::chutes::{self, ChutesConfig, EvidenceGate, Gate, TrustRelay};
use sealwire_proxy::collateral::CollateralStore;
use sealwire_tls::Settings;

use crate::provider::{codec, provider};
use crate::proxy::{ProxyArgs, ProxyError};

/// Time for a connection to a relay on the internet.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request.
const KEEP: Duration = Duration::from_secs(20);

/// Arguments of the profile chutes-v1.
#[derive(Args, Clone)]
#[command(next_help_heading = "With --profile chutes-v1")]
pub struct ChutesArgs {
    /// The API that lists the models
    #[arg(long, value_name = "URL")]
    api_base: Option<BaseUrl>,
    /// The API that finds and invokes instances [default: that of --api-base]
    #[arg(long, value_name = "URL")]
    e2e_base: Option<BaseUrl>,
    /// A policy in TOML: which evidence instances must give before anything is sent to them
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A cache of Intel's collateral service to ask instead of Intel
    #[arg(long, value_name = "URL")]
    collateral_service: Option<BaseUrl>,
    /// A model that is used although the relay does not list it as confidential, by name or chute id; its operator can read what you send. Repeat for more
    #[arg(long = "allow-non-confidential", value_name = "MODEL")]
    allow_non_confidential: Vec<String>,
    /// Asks the relay for its usage events even if the application did not ask for usage
    #[arg(long)]
    usage_passthrough: bool,
    /// The model servers are known to count every token in a chunk of its own: a jump of the counter ends the answer
    #[arg(long)]
    every_token: bool,
}

impl ChutesArgs {
    /// Which of them were given.
    pub(crate) fn given(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("--api-base", self.api_base.is_some()),
            ("--e2e-base", self.e2e_base.is_some()),
            ("--policy", self.policy.is_some()),
            ("--collateral-service", self.collateral_service.is_some()),
            (
                "--allow-non-confidential",
                !self.allow_non_confidential.is_empty(),
            ),
            ("--usage-passthrough", self.usage_passthrough),
            ("--every-token", self.every_token),
        ]
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("cannot read the policy {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It is no policy.
    #[error("{0}: {1}")]
    Content(PathBuf, PolicyError),
}

/// Starts the proxy.
pub(crate) async fn start(args: ProxyArgs) -> Result<Server, ProxyError> {
    let given = args.chutes;
    let api_base = given
        .api_base
        .ok_or(ProxyError::Missing("--api-base", Profile::ChutesV1))?;
    let mut config = ChutesConfig::new(api_base);
    if let Some(e2e_base) = given.e2e_base {
        config.e2e_base = e2e_base;
    }
    config.listen = args.listen;
    config.allow_remote = args.allow_remote;
    config.app_key = args.app_key.map(|key| key.read()).transpose()?;
    config.relay_key = args.relay_key.map(|key| key.read()).transpose()?;
    config.forward_key = args.forward_key;
    config.allow_non_confidential = given.allow_non_confidential;
    config.usage_passthrough = given.usage_passthrough;
    config.every_token = given.every_token;
    config.limits.request_bytes = args.max_request_bytes;
    for model in &config.allow_non_confidential {
        eprintln!(
            "sealwire: warning: --allow-non-confidential lets the operator of {model:?} read what you send to it"
        );
    }
    for base in [&config.api_base, &config.e2e_base] {
        if !base.is_loopback() && !base.to_string().starts_with("https:") {
            eprintln!(
                "sealwire: warning: {base} is not https, so your API key goes there unencrypted"
            );
        }
    }
    let client_config = ClientConfig {
        connect_timeout: CONNECT,
        pool_idle: KEEP,
        ..ClientConfig::default()
    };
    let client = sealwire_tls::client(&client_config, &Settings::from_env(args.authorities))?;
    let gate: Arc<dyn Gate> = match &given.policy {
        Some(file) => Arc::new(gate(
            file,
            &client,
            &config.e2e_base,
            given.collateral_service.as_ref(),
        )?),
        // The arguments' group has seen to it that this was asked for by name.
        None => Arc::new(TrustRelay),
    };
    Ok(chutes::start(config, codec(), client, gate).await?)
}

fn gate(
    file: &Path,
    client: &HttpClient,
    e2e_base: &BaseUrl,
    service: Option<&BaseUrl>,
) -> Result<EvidenceGate, PolicyFileError> {
    let text =
        fs::read_to_string(file).map_err(|error| PolicyFileError::File(file.to_owned(), error))?;
    // Files that a policy names lie beside it.
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let policy = Policy::from_toml_with(&text, |name| {
        fs::read(folder.join(name)).map_err(|error| error.to_string())
    })
    .map_err(|error| PolicyFileError::Content(file.to_owned(), error))?;
    Ok(EvidenceGate::new(
        client.clone(),
        e2e_base.clone(),
        provider(),
        Verifier::new(policy),
        CollateralStore::new(client.clone(), service),
    ))
}
