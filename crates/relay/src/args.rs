//! The relay's command line, shared by `sealwire relay` and `sealwire-relay`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use sealwire_http::chutes::{MAX_INSTANCES, NONCES_PER_INSTANCE};
use sealwire_http::net::{
    BaseUrl, ClientConfig, HttpClient, SecretArgument, SecretError, announce, provide_files,
};
use sealwire_http::profile::Profile;

use crate::{Alias, ChutesLimits, Origin, RelayConfig, RelayLimits, StartError, start};

/// Routes and meters sealed requests that it cannot read.
#[derive(Args, Clone)]
pub struct RelayArgs {
    /// Where clients reach it; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// An instance; repeat for more
    #[arg(long = "instance", value_name = "URL", required = true)]
    instances: Vec<BaseUrl>,
    /// A profile that it speaks: native, chutes-v1; repeat for both
    #[arg(long = "profile", value_name = "NAME", default_values_t = [Profile::Native])]
    profiles: Vec<Profile>,
    /// A further name for a chute (chutes-v1); repeat for more
    #[arg(long = "alias", value_name = "NAME=CHUTE_ID")]
    aliases: Vec<Alias>,
    /// A key that it accepts, or @FILE with one key in it; repeat for more. Without any, no key is asked for
    #[arg(long = "api-key", value_name = "KEY")]
    api_keys: Vec<SecretArgument>,
    /// Lets web pages of an origin, such as `https://chat.example.com`, use it from a browser; repeat for more. Exact origins only
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    cors_origins: Vec<Origin>,
    /// Most bytes of one sealed request
    #[arg(long, value_name = "BYTES", default_value_t = RelayLimits::default().request_bytes, value_parser = clap::value_parser!(u64).range(1..))]
    max_request_bytes: u64,
    /// Most streams at a time
    #[arg(long, value_name = "N", default_value_t = RelayLimits::default().streams, value_parser = at_least_one())]
    max_streams: usize,
    /// Speaks HTTP/2 to the instances, many streams on one connection; they must take it without TLS, as `sealwire instance` does
    #[arg(long)]
    http2: bool,
    /// Longest silence in either direction, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = RelayLimits::default().idle.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    idle_timeout: u64,
    /// Longest time for an instance's answer to begin (chutes-v1), seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ChutesLimits::default().answer_time.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    answer_timeout: u64,
    /// Most bytes of one line of a streamed answer (chutes-v1)
    #[arg(long, value_name = "BYTES", default_value_t = ChutesLimits::default().line_bytes, value_parser = at_least_one())]
    max_line_bytes: usize,
    /// Most nonces that are out at a time (chutes-v1); one key holds at most a quarter of them
    #[arg(long, value_name = "N", default_value_t = ChutesLimits::default().nonces, value_parser = nonces)]
    max_nonces: usize,
    /// Longest time for an instance's evidence (chutes-v1), seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ChutesLimits::default().evidence_time.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    evidence_timeout: u64,
    /// Most questions for evidence at a time (chutes-v1)
    #[arg(long, value_name = "N", default_value_t = ChutesLimits::default().evidence_asks, value_parser = at_least_one())]
    max_evidence_asks: usize,
}

/// A bound that lets something through.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn nonces(text: &str) -> Result<usize, String> {
    // A quarter of all must hold what one answer of discovery brings.
    const ANSWER: usize = MAX_INSTANCES * NONCES_PER_INSTANCE;
    text.parse()
        .ok()
        .filter(|nonces| *nonces >= 4 * ANSWER)
        .ok_or_else(|| {
            format!(
                "at least {}: one key holds at most a quarter, and discovery brings up to {ANSWER} at once",
                4 * ANSWER
            )
        })
}

/// Why a relay does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// An argument of a profile that the relay does not speak.
    #[error("{0} does nothing without --profile {1}")]
    NeedsProfile(&'static str, Profile),
    /// The same instance again.
    #[error("--instance {0} is named twice; name each instance once")]
    Twice(BaseUrl),
    /// A key.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// The relay itself.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs a relay until it is told to stop, and prints where it listens.
///
/// # Errors
///
/// [`RelayError`].
pub async fn run(args: RelayArgs, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
    args.check()?;
    let client_config = ClientConfig {
        http2: if args.http2 {
            args.instances.clone()
        } else {
            Vec::new()
        },
        ..ClientConfig::default()
    };
    // Unless HTTP/2 puts many on one.
    let to_instances = if args.http2 { 0 } else { args.max_streams };
    let acceptable = provide_files(args.max_streams, to_instances, "--max-streams");
    let defaults = RelayLimits::default();
    let config = RelayConfig {
        listen: args.listen,
        instances: args.instances,
        profiles: args.profiles,
        aliases: args.aliases,
        api_keys: args
            .api_keys
            .iter()
            .map(SecretArgument::read)
            .collect::<Result<_, _>>()?,
        cors_origins: args.cors_origins,
        limits: RelayLimits {
            request_bytes: args.max_request_bytes,
            streams: args.max_streams,
            connections: defaults.connections.max(args.max_streams).min(acceptable),
            idle: Duration::from_secs(args.idle_timeout),
            chutes: ChutesLimits {
                answer_time: Duration::from_secs(args.answer_timeout),
                line_bytes: args.max_line_bytes,
                nonces: args.max_nonces,
                evidence_time: Duration::from_secs(args.evidence_timeout),
                evidence_asks: args.max_evidence_asks,
                ..ChutesLimits::default()
            },
            ..defaults
        },
    };
    let relay = start(config, HttpClient::new(&client_config)).await?;
    announce(relay.address());
    stop.await;
    relay.shut_down(Duration::from_secs(10)).await;
    Ok(())
}

impl RelayArgs {
    /// Arguments that would do nothing are a mistake.
    fn check(&self) -> Result<(), RelayError> {
        let mut before = Vec::new();
        for url in &self.instances {
            if before.contains(&url) {
                return Err(RelayError::Twice(url.clone()));
            }
            before.push(url);
        }
        let defaults = ChutesLimits::default();
        let chutes = [
            ("--alias", !self.aliases.is_empty()),
            (
                "--answer-timeout",
                self.answer_timeout != defaults.answer_time.as_secs(),
            ),
            (
                "--max-line-bytes",
                self.max_line_bytes != defaults.line_bytes,
            ),
            ("--max-nonces", self.max_nonces != defaults.nonces),
            (
                "--evidence-timeout",
                self.evidence_timeout != defaults.evidence_time.as_secs(),
            ),
            (
                "--max-evidence-asks",
                self.max_evidence_asks != defaults.evidence_asks,
            ),
        ];
        if self.profiles.contains(&Profile::ChutesV1) {
            return Ok(());
        }
        match chutes.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(RelayError::NeedsProfile(name, Profile::ChutesV1)),
            None => Ok(()),
        }
    }
}
