//! `sealwire proxy`: the arguments that both profiles share, and the native one. The other is in [`crate::chutes_proxy`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use sealwire::client::EarlyData;
use sealwire::{IdentityTrust, Suite};
use sealwire_http::carriage::from_base64url;
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{
    BaseUrl, BaseUrlError, ClientConfig, SecretArgument, SecretError, Server, announce,
};
use sealwire_http::profile::Profile;
use sealwire_proxy::collateral::CollateralSource;
use sealwire_proxy::{ProxyConfig, ProxyLimits, StartError, Trust, start};
use sealwire_tls::{Settings, SettingsError};

use crate::chutes_proxy::{self, ChutesArgs};
use crate::instance::at_least_one;
use crate::provider::provider;
use crate::suites;
use crate::trust_args::{TrustArgs, TrustArgsError};

/// How long a connection to the relay is kept for the next request; shorter than relays wait for one.
const KEEP: Duration = Duration::from_secs(10);
/// Milliseconds for discovery and handshake, unless told otherwise.
const HANDSHAKE_TIMEOUT: u64 = 4_000;

/// Whether requests leave before the instance has answered the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EarlyDataArg {
    /// They do: no extra round trip; a request may then run once for each attempt.
    Allow,
    /// They wait: one round trip more; nothing runs before the instance has proven itself.
    Never,
}

/// Arguments of a proxy.
#[derive(Args, Clone)]
#[command(group = ArgGroup::new("trust").required(true).args(["policy", "pins", "insecure_trust_relay"]))]
pub struct ProxyArgs {
    /// The profile that it speaks with the relay: native, chutes-v1
    #[arg(long, value_name = "NAME", default_value_t = Profile::Native)]
    profile: Profile,
    /// Where applications reach it; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Allows an address that is not loopback: whoever reaches the port can use it, unencrypted
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// The key that applications must show, or @FILE; needed with --allow-remote
    #[arg(long, value_name = "KEY")]
    pub(crate) app_key: Option<SecretArgument>,
    /// The relay, with --profile native
    #[arg(long, value_name = "URL")]
    relay: Option<BaseUrl>,
    /// A PEM file with certificate authorities to trust beside the machine's own, for https; repeat for more. HTTP proxies are taken from
    /// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY
    #[arg(long = "ca", value_name = "FILE")]
    pub(crate) authorities: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) chutes: ChutesArgs,
    /// The identity of an instance to trust, with --profile native, as `sealwire instance` prints it; repeat for more
    #[arg(long = "pin", value_name = "IDENTITY", value_parser = parse_identity, allow_hyphen_values = true)]
    pins: Vec<[u8; 32]>,
    #[command(flatten)]
    pub(crate) evidence: TrustArgs,
    /// Trusts whatever identity or key the relay names: the relay can then read everything. For development only
    #[arg(long)]
    pub(crate) insecure_trust_relay: bool,
    /// The key that the relay asks for, or @FILE
    #[arg(long, value_name = "KEY")]
    pub(crate) relay_key: Option<SecretArgument>,
    /// Without --relay-key: hands the application's own API key to the relay
    #[arg(long, conflicts_with = "relay_key")]
    pub(crate) forward_key: bool,
    /// Whether requests leave before the instance has answered the handshake. With `allow` a request may be tried again after an error
    /// and so run more than once: choosing it, also by default, declares that requests are safe to run again
    #[arg(long, value_enum, default_value = "allow")]
    early_data: EarlyDataArg,
    /// Takes single-use bundles only
    #[arg(long)]
    single_use: bool,
    /// A suite that it accepts, 1 or 2, the preferred one first; repeat for more [default: both]
    #[arg(long = "suite", value_name = "N", value_parser = suites::parse)]
    suites: Vec<Suite>,
    /// Padding of requests, and the wish for answers: none, padme, buckets, constant
    #[arg(long, value_name = "POLICY", default_value_t = PaddingWish::None)]
    padding: PaddingWish,
    /// A billing handle for the relay, in clear
    #[arg(long, value_name = "TEXT")]
    billing: Option<String>,
    /// Most bytes of one request
    #[arg(long, value_name = "BYTES", default_value_t = ProxyLimits::default().request_bytes, value_parser = at_least_one())]
    pub(crate) max_request_bytes: usize,
    /// Time for discovery and handshake, over all attempts, milliseconds
    #[arg(long, value_name = "MS", default_value_t = HANDSHAKE_TIMEOUT, value_parser = clap::value_parser!(u64).range(100..=30_000))]
    handshake_timeout: u64,
}

fn parse_identity(text: &str) -> Result<[u8; 32], String> {
    from_base64url(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "an identity is 32 bytes as base64url without padding".to_owned())
}

/// Why a proxy does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// An argument that the profile needs.
    #[error("{0} is needed with --profile {1}")]
    Missing(&'static str, Profile),
    /// An argument of the other profile.
    #[error("{0} does not go with --profile {1}")]
    OtherProfile(&'static str, Profile),
    /// A key.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// Certificate authorities, or the HTTP proxies of the environment.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The policy.
    #[error(transparent)]
    Trust(#[from] TrustArgsError),
    /// An address of the program's own.
    #[error(transparent)]
    Address(#[from] BaseUrlError),
    /// The proxy itself.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs a proxy until it is told to stop, and prints where it listens.
///
/// # Errors
///
/// [`ProxyError`].
pub async fn run(args: ProxyArgs, stop: impl Future<Output = ()>) -> Result<(), ProxyError> {
    args.check()?;
    if args.insecure_trust_relay {
        eprintln!("sealwire: warning: --insecure-trust-relay lets the relay read everything");
    }
    let proxy = match args.profile {
        Profile::Native => start_native(args).await?,
        Profile::ChutesV1 => chutes_proxy::start(args).await?,
    };
    announce(proxy.address());
    stop.await;
    proxy.shut_down(Duration::from_secs(10)).await;
    Ok(())
}

impl ProxyArgs {
    /// Arguments that say nothing to the chosen profile are a mistake.
    fn check(&self) -> Result<(), ProxyError> {
        let native = [
            ("--relay", self.relay.is_some()),
            ("--pin", !self.pins.is_empty()),
            ("--single-use", self.single_use),
            ("--suite", !self.suites.is_empty()),
            ("--padding", self.padding != PaddingWish::None),
            ("--billing", self.billing.is_some()),
            // There is nothing to wait for: an attempt that failed may have run.
            ("--early-data", self.early_data != EarlyDataArg::Allow),
            (
                "--handshake-timeout",
                self.handshake_timeout != HANDSHAKE_TIMEOUT,
            ),
        ];
        let foreign = match self.profile {
            Profile::Native => self.chutes.given(),
            Profile::ChutesV1 => native.to_vec(),
        };
        match foreign.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(ProxyError::OtherProfile(name, self.profile)),
            None => Ok(()),
        }
    }
}

async fn start_native(args: ProxyArgs) -> Result<Server, ProxyError> {
    let trust = match args.evidence.read(CollateralSource::Stapled)? {
        Some(evidence) => Trust::Evidence(evidence),
        None if args.insecure_trust_relay => IdentityTrust::insecure_trust_relay().into(),
        None => IdentityTrust::pinned(&args.pins).into(),
    };
    let relay = args
        .relay
        .ok_or(ProxyError::Missing("--relay", Profile::Native))?;
    let mut config = ProxyConfig::new(relay, trust);
    config.listen = args.listen;
    config.allow_remote = args.allow_remote;
    config.app_key = args.app_key.map(|key| key.read()).transpose()?;
    config.relay_key = args.relay_key.map(|key| key.read()).transpose()?;
    config.forward_key = args.forward_key;
    config.early_data = match args.early_data {
        EarlyDataArg::Allow => EarlyData::Allow,
        EarlyDataArg::Never => EarlyData::Never,
    };
    config.single_use = args.single_use;
    config.suites = suites::or_all(&args.suites);
    config.padding = args.padding;
    config.billing = args.billing.map(String::into_bytes);
    config.limits.request_bytes = args.max_request_bytes;
    config.limits.handshake_time = Duration::from_millis(args.handshake_timeout);
    // A request on a connection that the relay has just closed is lost; the next attempt is another, with a handshake of its own.
    let client_config = ClientConfig {
        pool_idle: KEEP,
        ..ClientConfig::default()
    };
    let client = sealwire_tls::client(&client_config, &Settings::from_env(args.authorities))?;
    Ok(start(config, provider(), client).await?)
}
