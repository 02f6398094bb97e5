//! `sealwire proxy --profile chutes-v1`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use sealwire_attest::collateral::INTEL_PCS;
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, Server, warn};
use sealwire_http::profile::Profile;
use sealwire_proxy::StartError;
use sealwire_proxy::chutes::{self, ChutesConfig, EvidenceGate, Gate, TrustRelay};
use sealwire_proxy::collateral::CollateralSource;
use sealwire_tls::Settings;

use crate::provider::{codec, provider};
use crate::proxy::{ProxyArgs, ProxyError, Purpose};

/// Time for a connection to a relay on the internet.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next request.
const KEEP: Duration = Duration::from_secs(20);

/// Arguments of the profile chutes-v1.
#[derive(Args, Clone)]
#[command(next_help_heading = "With --profile chutes-v1")]
pub struct ChutesArgs {
    /// The API that lists the models
    #[arg(long, value_name = "URL", env = "SEALWIRE_API_BASE")]
    api_base: Option<BaseUrl>,
    /// The API that finds and invokes instances [default: that of --api-base]
    #[arg(long, value_name = "URL", env = "SEALWIRE_E2E_BASE")]
    e2e_base: Option<BaseUrl>,
    /// A model that is used although the relay does not list it as confidential, by the very name (or chute id, or alias) that applications ask for.
    /// The relay alone says whether it is listed, so it can have all evidence for this name skipped: take it that the operator reads what you send
    /// under it. Repeat for more
    #[arg(
        long = "allow-non-confidential",
        value_name = "MODEL",
        env = "SEALWIRE_ALLOW_NON_CONFIDENTIAL",
        value_delimiter = ','
    )]
    allow_non_confidential: Vec<String>,
    /// Asks the relay for its usage events even if the application did not ask for usage
    #[arg(long, env = "SEALWIRE_USAGE_PASSTHROUGH")]
    usage_passthrough: bool,
    /// The model servers are known to count every token in a chunk of its own: a jump of the counter ends the answer
    #[arg(long, env = "SEALWIRE_EVERY_TOKEN")]
    every_token: bool,
}

impl ChutesArgs {
    /// Which of them were given.
    pub(crate) fn given(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("--api-base", self.api_base.is_some()),
            ("--e2e-base", self.e2e_base.is_some()),
            (
                "--allow-non-confidential",
                !self.allow_non_confidential.is_empty(),
            ),
            ("--usage-passthrough", self.usage_passthrough),
            ("--every-token", self.every_token),
        ]
    }
}

/// What a proxy of this profile is started with.
pub(crate) struct ReadyChutes {
    pub(crate) config: ChutesConfig,
    pub(crate) client: HttpClient,
    pub(crate) gate: Arc<dyn Gate>,
}

impl ReadyChutes {
    pub(crate) async fn start(self) -> Result<Server, StartError> {
        chutes::start(self.config, codec(), self.client, self.gate).await
    }
}

/// Reads the arguments.
pub(crate) fn prepare(args: ProxyArgs, purpose: Purpose) -> Result<ReadyChutes, ProxyError> {
    let given = args.chutes.clone();
    let api_base = given
        .api_base
        .ok_or(ProxyError::Missing("--api-base", Profile::ChutesV1))?;
    let mut config = ChutesConfig::new(api_base);
    if let Some(e2e_base) = given.e2e_base {
        config.e2e_base = e2e_base;
    }
    config.front = args.front(purpose)?;
    config.allow_non_confidential = given.allow_non_confidential;
    config.usage_passthrough = given.usage_passthrough;
    config.every_token = given.every_token;
    config.limits.request_bytes = args.max_request_bytes;
    if purpose == Purpose::Serve {
        warn_of(&config);
    }
    let client_config = ClientConfig {
        connect_timeout: CONNECT,
        pool_idle: KEEP,
        http2: args.http2_servers([&config.api_base, &config.e2e_base]),
    };
    let client = sealwire_tls::client(&client_config, &Settings::from_env(args.authorities))?;
    let intel = CollateralSource::Service(INTEL_PCS.parse()?);
    let gate: Arc<dyn Gate> = match args.evidence.read(intel)? {
        Some(trust) => Arc::new(
            EvidenceGate::new(client.clone(), config.e2e_base.clone(), provider(), trust)
                .map_err(StartError::Collateral)?,
        ),
        // The arguments' group has seen to it that this was asked for by name.
        None => Arc::new(TrustRelay),
    };
    Ok(ReadyChutes {
        config,
        client,
        gate,
    })
}

fn warn_of(config: &ChutesConfig) {
    for model in &config.allow_non_confidential {
        warn(&format!(
            "warning: --allow-non-confidential lets the operator of {model:?} read what you send to it"
        ));
    }
    for base in [&config.api_base, &config.e2e_base] {
        if !base.is_loopback() && !base.to_string().starts_with("https:") {
            warn(&format!(
                "warning: {base} is not https, so your API key goes there unencrypted"
            ));
        }
    }
}
