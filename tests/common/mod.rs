//! What the integration tests share: a handshake in one call.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test file uses a part"
)]

use sealwire::client::{self, ClientConfig, Connected, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server::{self, Accepted, KeyRing, KeyRingConfig, Now};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoProvider, Error, Event, IdentityKey, IdentityTrust,
    Limits, Opener, Sealer, Suite, VerifiedBundle,
};

pub const NOW: Now = Now {
    unix: 1_800_000_000,
    monotonic: 5_000,
};
pub const LABEL: &str = "demo/model";

/// Every provider runs through the same tests.
pub fn providers() -> Vec<CryptoProvider> {
    vec![sealwire::rustcrypto::provider()]
}

pub fn ring(provider: &CryptoProvider) -> KeyRing {
    ring_with(provider, KeyRingConfig::default())
}

pub fn ring_with(provider: &CryptoProvider, config: KeyRingConfig) -> KeyRing {
    let identity = IdentityKey::generate(provider).unwrap();
    KeyRing::new(provider, identity, LABEL, config).unwrap()
}

pub fn context() -> Context {
    Context::new(LABEL, [7; 16], 1)
        .unwrap()
        .with_billing(b"acct-1")
        .unwrap()
}

pub fn verify(provider: &CryptoProvider, bundle: Bundle) -> VerifiedBundle {
    let trust = IdentityTrust::pinned(&[bundle.identity()]);
    let parsed = Bundle::parse(&provider.verification, bundle.as_bytes()).unwrap();
    assert_eq!(parsed, bundle);
    parsed
        .verify(provider, &BundlePolicy::new(LABEL, trust), NOW.unix)
        .unwrap()
}

pub fn parse_h1(bytes: &[u8]) -> Result<ParsedRequest, Error> {
    match ParsedRequest::read(bytes)? {
        RequestProgress::Done { request, .. } => Ok(request),
        _ => Err(Error::Truncated),
    }
}

/// H1 of a client that asks [`context`] of `bundle`.
pub fn h1_for(provider: &CryptoProvider, bundle: &VerifiedBundle) -> Vec<u8> {
    let mut h1 = Vec::new();
    drop(
        client::start(
            provider,
            &ClientConfig::default(),
            bundle,
            &context(),
            &mut h1,
        )
        .unwrap(),
    );
    h1
}

/// What the instance of `ring` makes of H1 beside [`context`].
pub fn accept(
    ring: &mut KeyRing,
    request: ParsedRequest,
    h2: &mut Vec<u8>,
) -> Result<Accepted, Error> {
    server::accept(
        ring,
        request,
        &context().encode(),
        &Limits::default(),
        NOW,
        h2,
    )
}

/// Both ends after a handshake, and its messages.
pub struct Ends {
    pub client: Connected,
    pub client_sealer: Sealer,
    pub server: Accepted,
    pub h1: Vec<u8>,
    pub h2: Vec<u8>,
}

pub fn handshake(
    provider: &CryptoProvider,
    ring: &mut KeyRing,
    suite: Suite,
    config: &ClientConfig,
) -> Ends {
    let bundle = ring.bundle(suite, NOW).unwrap();
    let bundle = verify(provider, bundle);
    let (mut h1, mut h2) = (Vec::new(), Vec::new());
    let (client_sealer, wait) =
        client::start(provider, config, &bundle, &context(), &mut h1).unwrap();
    let request = parse_h1(&h1).unwrap();
    let server = accept(ring, request, &mut h2).unwrap();
    let ResponseProgress::Done {
        consumed,
        connected,
    } = wait.read(&h2).unwrap()
    else {
        panic!("H2 is whole");
    };
    assert_eq!(consumed, h2.len());
    Ends {
        client: connected,
        client_sealer,
        server,
        h1,
        h2,
    }
}

/// What a half released, in order. Adjacent data is joined, so that chunking does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    pub data: Vec<u8>,
    pub public: Vec<Vec<u8>>,
    pub end: Option<End>,
    pub error: Option<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Final,
    Error(sealwire::StreamErrorCode, String),
}

/// Feeds `wire` in the given chunks, then the end of input.
pub fn open_all(
    opener: &mut Opener,
    wire: &[u8],
    chunks: impl IntoIterator<Item = usize>,
) -> Released {
    let mut released = Released::default();
    let mut buffer = Vec::new();
    let mut rest = wire;
    let mut chunks = chunks.into_iter();
    loop {
        let size = chunks.next().unwrap_or(rest.len()).min(rest.len());
        let (chunk, tail) = rest.split_at(size);
        buffer.extend_from_slice(chunk);
        rest = tail;
        if let Err(error) = drain(opener, &mut buffer, &mut released) {
            released.error = Some(error);
            return released;
        }
        if rest.is_empty() {
            break;
        }
    }
    released.error = opener.end_of_input().err();
    released
}

fn drain(opener: &mut Opener, buffer: &mut Vec<u8>, released: &mut Released) -> Result<(), Error> {
    loop {
        let opened = opener.open(buffer)?;
        let consumed = opened.consumed;
        let more = match opened.event {
            Event::NeedInput { .. } => false,
            Event::Data(data) => {
                assert!(!data.is_empty());
                released.data.extend_from_slice(data);
                true
            }
            Event::Public(body) => {
                released.public.push(body.to_vec());
                true
            }
            Event::Final(data) => {
                released.data.extend_from_slice(data);
                released.end = Some(End::Final);
                true
            }
            Event::Error { code, message } => {
                released.end = Some(End::Error(code, message.to_owned()));
                true
            }
            other => panic!("unknown event {other:?}"),
        };
        buffer.drain(..consumed);
        if !more {
            return Ok(());
        }
    }
}
