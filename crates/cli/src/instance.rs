//! `sealwire instance`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use sealwire::Suite;
use sealwire_http::carriage::to_base64url;
use sealwire_http::inner::PaddingWish;
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, announce, provide_files, say};
use sealwire_http::profile::Profile;
use sealwire_instance::{InstanceConfig, InstanceLimits, StartError, start};

use crate::chutes_args::{ChutesArgs, ChutesArgsError};
use crate::evidence_args::{EvidenceArgs, EvidenceArgsError};
use crate::identity_file::{self, IdentityFileError};
use crate::provider::{codec, provider};
use crate::suites;

/// Arguments of an instance.
#[derive(Args, Debug, Clone)]
pub struct InstanceArgs {
    /// Where the relay reaches it; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The model server
    #[arg(long, value_name = "URL")]
    upstream: BaseUrl,
    /// A model that it serves; repeat for more
    #[arg(long = "model", value_name = "NAME", required = true)]
    models: Vec<String>,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// Keeps the identity key in a file (made if missing, mode 0600); only with --evidence none
    #[arg(long, value_name = "FILE")]
    identity_key: Option<PathBuf>,
    #[command(flatten)]
    chutes: ChutesArgs,
    /// A suite that it offers, 1 or 2; repeat for more [default: both]
    #[arg(long = "suite", value_name = "N", value_parser = suites::parse)]
    suites: Vec<Suite>,
    /// The least padding of its answers: none, padme, buckets, constant
    #[arg(long, value_name = "POLICY", default_value_t = PaddingWish::None)]
    padding: PaddingWish,
    /// Most bytes of one request
    #[arg(long, value_name = "BYTES", default_value_t = InstanceLimits::default().request_bytes, value_parser = at_least_one())]
    max_request_bytes: usize,
    /// Most bytes of an answer that is sealed whole (chutes-v1)
    #[arg(long, value_name = "BYTES", default_value_t = InstanceLimits::default().answer_bytes, value_parser = at_least_one())]
    max_answer_bytes: usize,
    /// Longest time for a whole request to arrive, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = InstanceLimits::default().request_time.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout: u64,
    /// Longest time that the relay may take no bytes, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = InstanceLimits::default().send_idle.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    send_idle: u64,
    /// Most streams at a time
    #[arg(long, value_name = "N", default_value_t = InstanceLimits::default().streams, value_parser = at_least_one())]
    max_streams: usize,
    /// Most header fields of a sealed request
    #[arg(long, value_name = "N", default_value_t = InstanceLimits::default().head_fields, value_parser = at_least_one())]
    max_fields: usize,
    /// Longest silence within a request, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = InstanceLimits::default().request_idle.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    request_idle: u64,
    /// Longest time for the model server to begin its answer, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = InstanceLimits::default().upstream_head_time.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    upstream_timeout: u64,
    /// Longest silence of the model server within an answer, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = InstanceLimits::default().upstream_idle.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    upstream_idle: u64,
}

/// A bound that lets something through.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Why an instance does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The evidence's settings.
    #[error(transparent)]
    Evidence(#[from] EvidenceArgsError),
    /// A key that evidence vouches for must not leave the enclave's memory.
    #[error(
        "--identity-key is for --evidence none only: with evidence the key is made at start and never stored"
    )]
    StoredKey,
    /// An argument of a profile that the instance does not speak.
    #[error("{0} does nothing without --profile {1}")]
    NeedsProfile(&'static str, Profile),
    /// The settings of chutes-v1.
    #[error(transparent)]
    Chutes(#[from] ChutesArgsError),
    /// The identity key.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// The instance itself.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs an instance until it is told to stop; prints its identity and where it listens.
///
/// # Errors
///
/// [`InstanceError`].
pub async fn run(args: InstanceArgs, stop: impl Future<Output = ()>) -> Result<(), InstanceError> {
    let given = args.given();
    let (profiles, chutes) = args.chutes.read(&args.models, codec().compress)?;
    let idle = |(_, profile, given): &(_, _, bool)| *given && !profiles.contains(profile);
    if let Some((name, profile, _)) = given.into_iter().find(idle) {
        return Err(InstanceError::NeedsProfile(name, profile));
    }
    let evidence = args.evidence.read(profiles.contains(&Profile::ChutesV1))?;
    if evidence.is_some() && args.identity_key.is_some() {
        return Err(InstanceError::StoredKey);
    }
    let provider = provider();
    let seed = match &args.identity_key {
        Some(path) => identity_file::load_or_make(path, &provider)?,
        None => identity_file::fresh(&provider)?,
    };
    let mut config = InstanceConfig::new(args.upstream, "");
    config.listen = args.listen;
    config.models = args.models;
    config.suites = suites::or_all(&args.suites);
    config.least_padding = args.padding;
    config.evidence = evidence;
    (config.profiles, config.chutes) = (profiles, chutes);
    // A stream is a connection of the relay and one to the model server.
    let acceptable = provide_files(args.max_streams, args.max_streams, "--max-streams");
    let defaults = InstanceLimits::default();
    config.limits = InstanceLimits {
        streams: args.max_streams,
        connections: defaults.connections.max(args.max_streams).min(acceptable),
        request_bytes: args.max_request_bytes,
        answer_bytes: args.max_answer_bytes,
        request_time: Duration::from_secs(args.request_timeout),
        send_idle: Duration::from_secs(args.send_idle),
        head_fields: args.max_fields,
        request_idle: Duration::from_secs(args.request_idle),
        upstream_head_time: Duration::from_secs(args.upstream_timeout),
        upstream_idle: Duration::from_secs(args.upstream_idle),
        ..defaults
    };
    let client = HttpClient::new(&ClientConfig::default());
    let instance = start(config, provider, &seed, client).await?;
    say(&format!("identity {}", to_base64url(&instance.identity())));
    if let Some(id) = instance.instance_id() {
        say(&format!("instance {id}"));
    }
    announce(instance.address());
    stop.await;
    instance.shut_down(Duration::from_secs(10)).await;
    Ok(())
}

impl InstanceArgs {
    /// The arguments that mean something in one profile only, and whether they were given.
    fn given(&self) -> Vec<(&'static str, Profile, bool)> {
        let defaults = InstanceLimits::default();
        let native = [
            ("--identity-key", self.identity_key.is_some()),
            ("--suite", !self.suites.is_empty()),
            ("--max-fields", self.max_fields != defaults.head_fields),
        ];
        let mut chutes = self.chutes.given();
        chutes.push(("--vm-certificate", self.evidence.has_certificate()));
        chutes.push((
            "--max-answer-bytes",
            self.max_answer_bytes != defaults.answer_bytes,
        ));
        let native = native.map(|(name, given)| (name, Profile::Native, given));
        let chutes = chutes
            .into_iter()
            .map(|(name, given)| (name, Profile::ChutesV1, given));
        native.into_iter().chain(chutes).collect()
    }
}
