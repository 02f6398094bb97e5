//! Both roles of the handshake in one place.

use sealwire::client::{self, AwaitResponse, ClientConfig, Connected, ResponseProgress};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::server::{self, Accepted, KeyRing, KeyRingConfig, Now};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoProvider, IdentityKey, IdentityTrust, Limits, Suite,
    VerifiedBundle,
};

const NOW: Now = Now {
    unix: 1_800_000_000,
    monotonic: 5_000,
};
const LABEL: &str = "demo/model";

/// A client that holds a verified bundle, and the instance that published it.
pub struct Handshakes {
    provider: CryptoProvider,
    ring: KeyRing,
    bundle: VerifiedBundle,
    context: Context,
    context_bytes: Vec<u8>,
}

fn verify(provider: &CryptoProvider, bytes: &[u8]) -> VerifiedBundle {
    let bundle = Bundle::parse(&provider.verification, bytes).expect("a bundle");
    let trust = IdentityTrust::pinned(&[bundle.identity()]);
    bundle
        .verify(provider, &BundlePolicy::new(LABEL, trust), NOW.unix)
        .expect("a valid bundle")
}

impl Handshakes {
    /// New keys.
    pub fn new(provider: CryptoProvider, suite: Suite) -> Self {
        let identity = IdentityKey::generate(&provider).expect("an identity");
        let mut config = KeyRingConfig::default();
        config.filter_capacity = usize::MAX;
        let mut ring = KeyRing::new(&provider, identity, LABEL, config).expect("a key ring");
        let published = ring.bundle(suite, NOW).expect("a bundle");
        let context = Context::new(LABEL, [7; 16], 1).expect("a context");
        Self {
            provider,
            bundle: verify(&provider, published.as_bytes()),
            ring,
            context_bytes: context.encode(),
            context,
        }
    }

    pub(crate) fn verify(&mut self) -> VerifiedBundle {
        verify(&self.provider, self.bundle.bundle().as_bytes())
    }

    pub(crate) fn start(&self) -> (Vec<u8>, AwaitResponse) {
        let mut h1 = Vec::new();
        let config = ClientConfig::default();
        let (_, wait) = client::start(
            &self.provider,
            &config,
            &self.bundle,
            &self.context,
            &mut h1,
        )
        .expect("starts");
        (h1, wait)
    }

    fn accept_whole(&mut self, h1: &[u8]) -> (Vec<u8>, Accepted) {
        let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(h1) else {
            panic!("a whole H1");
        };
        let mut h2 = Vec::new();
        let context = &self.context_bytes;
        let limits = Limits::default();
        let accepted = server::accept(&mut self.ring, request, context, &limits, NOW, &mut h2)
            .expect("accepts");
        (h2, accepted)
    }

    pub(crate) fn accept(&mut self, h1: &[u8]) -> Vec<u8> {
        self.accept_whole(h1).0
    }

    pub(crate) fn finish(wait: AwaitResponse, h2: &[u8]) -> Connected {
        match wait.read(h2) {
            Ok(ResponseProgress::Done { connected, .. }) => connected,
            _ => panic!("a valid H2"),
        }
    }

    /// Both sides.
    pub fn both(&mut self) -> (Accepted, Connected) {
        let (h1, wait) = self.start();
        let (h2, accepted) = self.accept_whole(&h1);
        (accepted, Self::finish(wait, &h2))
    }
}
