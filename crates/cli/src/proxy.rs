//! `sealwire proxy`: the arguments that both profiles share, and the native one. The other is in [`crate::chutes_proxy`]. [`crate::settings`] reads them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use sealwire::client::EarlyData;
use sealwire::{IdentityTrust, Suite};
use sealwire_http::carriage::from_base64url;
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{
    BaseUrl, BaseUrlError, ClientConfig, HttpClient, SecretArgument, Server, announce,
    provide_files, warn,
};
use sealwire_http::profile::Profile;
use sealwire_proxy::apps::Applications;
use sealwire_proxy::collateral::CollateralSource;
use sealwire_proxy::{FrontSettings, ProxyConfig, ProxyLimits, StartError, Trust, start};
use sealwire_tls::{Settings, SettingsError};

use crate::apps_args::{AppsArgs, AppsError};
use crate::chutes_proxy::{self, ChutesArgs, ReadyChutes};
use crate::client_settings::{self, AppAccess};
use crate::instance::at_least_one;
use crate::key_args::{self, KeyCommand, KeyError};
use crate::provider::provider;
use crate::settings::FileTables;
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

/// Arguments of a proxy. Each has a variable of the environment, and all but the first a key in the file of settings.
#[derive(Args, Clone)]
#[command(group = ArgGroup::new("trust").required(true).args(["policy", "pins", "insecure_trust_relay"]))]
pub struct ProxyArgs {
    /// A file of settings (TOML); the command line and the environment go before it [default: sealwire/proxy.toml in your folder of settings, if it is there]
    #[arg(long, value_name = "FILE", env = "SEALWIRE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The profile that it speaks with the relay: native, chutes-v1
    #[arg(long, value_name = "NAME", default_value_t = Profile::Native, env = "SEALWIRE_PROFILE")]
    pub(crate) profile: Profile,
    /// Where applications reach it; port 0 picks one. On loopback their requests must name this machine as the host
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8790",
        env = "SEALWIRE_LISTEN"
    )]
    pub(crate) listen: SocketAddr,
    /// Allows an address that is not loopback: whoever reaches the port and has the key can use it, unencrypted. Needs a key for applications
    #[arg(long, env = "SEALWIRE_ALLOW_REMOTE")]
    pub(crate) allow_remote: bool,
    /// The key that applications must show, or @FILE; needed with --allow-remote
    #[arg(long, value_name = "KEY", env = "SEALWIRE_APP_KEY")]
    pub(crate) app_key: Option<SecretArgument>,
    /// The same key from a program, such as a keyring's tool: command=PROGRAM [ARGUMENTS]
    #[arg(
        long,
        value_name = "SOURCE",
        conflicts_with = "app_key",
        env = "SEALWIRE_APP_KEY_FROM"
    )]
    pub(crate) app_key_from: Option<KeyCommand>,
    /// The relay, with --profile native
    #[arg(long, value_name = "URL", env = "SEALWIRE_RELAY")]
    relay: Option<BaseUrl>,
    /// A PEM file with certificate authorities to trust beside the machine's own, for https; repeat for more. HTTP proxies are taken from
    /// HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY
    #[arg(
        long = "ca",
        value_name = "FILE",
        env = "SEALWIRE_CA",
        value_delimiter = ','
    )]
    pub(crate) authorities: Vec<PathBuf>,
    /// The identity of an instance to trust, with --profile native, as `sealwire instance` prints it; repeat for more
    #[arg(long = "pin", value_name = "IDENTITY", value_parser = parse_identity, allow_hyphen_values = true, env = "SEALWIRE_PIN", value_delimiter = ',')]
    pins: Vec<[u8; 32]>,
    #[command(flatten)]
    pub(crate) evidence: TrustArgs,
    /// Trusts whatever identity or key the relay names: the relay can then read everything. For development only
    #[arg(long, env = "SEALWIRE_INSECURE_TRUST_RELAY")]
    pub(crate) insecure_trust_relay: bool,
    /// The key that the relay asks for, or @FILE
    #[arg(long, value_name = "KEY", env = "SEALWIRE_RELAY_KEY")]
    pub(crate) relay_key: Option<SecretArgument>,
    /// The same key from a program, such as a keyring's tool: command=PROGRAM [ARGUMENTS]
    #[arg(
        long,
        value_name = "SOURCE",
        conflicts_with = "relay_key",
        env = "SEALWIRE_RELAY_KEY_FROM"
    )]
    pub(crate) relay_key_from: Option<KeyCommand>,
    /// Without a key of its own for the relay: hands it the application's API key
    #[arg(long, env = "SEALWIRE_FORWARD_KEY", conflicts_with_all = ["relay_key", "relay_key_from"])]
    pub(crate) forward_key: bool,
    /// Whether requests leave before the instance has answered the handshake. With `allow` a request may be tried again after an error
    /// and so run more than once: choosing it, also by default, declares that requests are safe to run again
    #[arg(long, value_enum, default_value = "allow", env = "SEALWIRE_EARLY_DATA")]
    early_data: EarlyDataArg,
    /// Takes single-use bundles only
    #[arg(long, env = "SEALWIRE_SINGLE_USE")]
    single_use: bool,
    /// A suite that it accepts, 1 or 2, the preferred one first; repeat for more [default: both]
    #[arg(long = "suite", value_name = "N", value_parser = suites::parse, env = "SEALWIRE_SUITE", value_delimiter = ',')]
    suites: Vec<Suite>,
    /// Padding of requests, and the wish for answers: none, padme, buckets, constant
    #[arg(long, value_name = "POLICY", default_value_t = PaddingWish::None, env = "SEALWIRE_PADDING")]
    padding: PaddingWish,
    /// A billing handle for the relay, in clear
    #[arg(long, value_name = "TEXT", env = "SEALWIRE_BILLING")]
    billing: Option<String>,
    /// Most bytes of one request
    #[arg(long, value_name = "BYTES", default_value_t = ProxyLimits::default().request_bytes, value_parser = at_least_one(), env = "SEALWIRE_MAX_REQUEST_BYTES")]
    pub(crate) max_request_bytes: usize,
    /// Most connections of applications at a time; more wait
    #[arg(long, value_name = "N", default_value_t = FrontSettings::default().connections, value_parser = at_least_one(), env = "SEALWIRE_MAX_CONNECTIONS")]
    pub(crate) max_connections: usize,
    /// Speaks HTTP/2 to the relay, many requests on one connection: over https if the relay offers it, over http without asking
    #[arg(long, env = "SEALWIRE_HTTP2")]
    pub(crate) http2: bool,
    /// Time for discovery and handshake, over all attempts, milliseconds
    #[arg(long, value_name = "MS", default_value_t = HANDSHAKE_TIMEOUT, value_parser = clap::value_parser!(u64).range(100..=30_000), env = "SEALWIRE_HANDSHAKE_TIMEOUT")]
    handshake_timeout: u64,
    #[command(flatten)]
    pub(crate) apps: AppsArgs,
    #[command(flatten)]
    pub(crate) chutes: ChutesArgs,
    /// What the file of settings says that no argument can.
    #[arg(skip)]
    pub tables: FileTables,
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
    Key(#[from] KeyError),
    /// What applications get.
    #[error(transparent)]
    Apps(#[from] AppsError),
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

/// Runs a proxy until it is told to stop, and prints where it listens and how applications are told.
///
/// # Errors
///
/// [`ProxyError`].
pub async fn run(mut args: ProxyArgs, stop: impl Future<Output = ()>) -> Result<(), ProxyError> {
    let access = AppAccess::of(&args);
    // Unless HTTP/2 puts many on one.
    let to_relay = if args.http2 { 0 } else { args.max_connections };
    let acceptable = provide_files(args.max_connections, to_relay, "--max-connections");
    args.max_connections = args.max_connections.min(acceptable);
    let proxy = match args.prepare(Purpose::Serve)? {
        Ready::Native(ready) => ready.start().await?,
        Ready::Chutes(ready) => ready.start().await?,
    };
    announce(proxy.address());
    client_settings::print_hints(proxy.address(), access);
    stop.await;
    proxy.shut_down(Duration::from_secs(10)).await;
    Ok(())
}

/// What arguments are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Serve,
    /// Nothing is written, and nothing is said on stderr.
    Examine,
}

/// What a proxy is started with.
pub(crate) enum Ready {
    Native(Box<ReadyNative>),
    Chutes(Box<ReadyChutes>),
}

pub(crate) struct ReadyNative {
    pub(crate) config: ProxyConfig,
    pub(crate) client: HttpClient,
}

impl ReadyNative {
    async fn start(self) -> Result<Server, StartError> {
        start(self.config, provider(), self.client).await
    }
}

impl ProxyArgs {
    /// Everything that a proxy is started with.
    pub(crate) fn prepare(self, purpose: Purpose) -> Result<Ready, ProxyError> {
        self.check()?;
        if self.insecure_trust_relay && purpose == Purpose::Serve {
            warn("warning: --insecure-trust-relay lets the relay read everything");
        }
        if self.tables.is_exposed && purpose == Purpose::Serve {
            warn("warning: a key stands in the file of settings, which others can read: chmod 600");
        }
        Ok(match self.profile {
            Profile::Native => Ready::Native(Box::new(self.native(purpose)?)),
            Profile::ChutesV1 => Ready::Chutes(Box::new(chutes_proxy::prepare(self, purpose)?)),
        })
    }

    /// Those of these servers that are spoken to in HTTP/2.
    pub(crate) fn http2_servers<'a>(
        &self,
        servers: impl IntoIterator<Item = &'a BaseUrl>,
    ) -> Vec<BaseUrl> {
        let wanted = servers.into_iter().filter(|_| self.http2);
        wanted.cloned().collect()
    }

    /// The key of applications.
    fn key_of_apps(&self) -> Result<Option<String>, KeyError> {
        key_args::read(self.app_key.as_ref(), self.app_key_from.as_ref())
    }

    /// The key for the relay.
    fn key_of_relay(&self) -> Result<Option<String>, KeyError> {
        key_args::read(self.relay_key.as_ref(), self.relay_key_from.as_ref())
    }

    /// The applications' side.
    pub(crate) fn front(&self, purpose: Purpose) -> Result<FrontSettings, ProxyError> {
        Ok(FrontSettings {
            listen: self.listen,
            allow_remote: self.allow_remote,
            app_key: self.key_of_apps()?,
            relay_key: self.key_of_relay()?,
            forward_key: self.forward_key,
            connections: self.max_connections,
            apps: self.applications(purpose)?,
        })
    }

    fn applications(&self, purpose: Purpose) -> Result<Applications, AppsError> {
        match purpose {
            Purpose::Serve => self
                .apps
                .read(&self.tables, self.profile, provider().random),
            Purpose::Examine => self.apps.without_salt(&self.tables, self.profile),
        }
    }

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

    fn native(self, purpose: Purpose) -> Result<ReadyNative, ProxyError> {
        let trust = match self.evidence.read(CollateralSource::Stapled)? {
            Some(evidence) => Trust::Evidence(evidence),
            None if self.insecure_trust_relay => IdentityTrust::insecure_trust_relay().into(),
            None => IdentityTrust::pinned(&self.pins).into(),
        };
        let relay = self
            .relay
            .clone()
            .ok_or(ProxyError::Missing("--relay", Profile::Native))?;
        let http2 = self.http2_servers([&relay]);
        let mut config = ProxyConfig::new(relay, trust);
        config.front = self.front(purpose)?;
        config.early_data = match self.early_data {
            EarlyDataArg::Allow => EarlyData::Allow,
            EarlyDataArg::Never => EarlyData::Never,
        };
        config.single_use = self.single_use;
        config.suites = suites::or_all(&self.suites);
        config.padding = self.padding;
        config.billing = self.billing.map(String::into_bytes);
        config.limits.request_bytes = self.max_request_bytes;
        config.limits.handshake_time = Duration::from_millis(self.handshake_timeout);
        // A request on a connection that the relay has just closed is lost; the next attempt is another, with a handshake of its own.
        let client_config = ClientConfig {
            pool_idle: KEEP,
            http2,
            ..ClientConfig::default()
        };
        let client = sealwire_tls::client(&client_config, &Settings::from_env(self.authorities))?;
        Ok(ReadyNative { config, client })
    }
}
