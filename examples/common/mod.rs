//! What the examples share: an instance's key ring, and a client that pins its identity.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each example uses a part"
)]

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use sealwire::server::{KeyRing, KeyRingConfig, Now};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoProvider, IdentityKey, IdentityTrust, Suite,
    VerifiedBundle, rustcrypto,
};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const LABEL: &str = "example/model";

pub fn now() -> Now {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    // A long-lived instance takes this from a clock that never steps.
    Now {
        unix,
        monotonic: unix,
    }
}

/// An instance: its keys, and the bundle that it publishes.
pub fn instance() -> Result<(CryptoProvider, KeyRing, Vec<u8>)> {
    let provider = rustcrypto::provider();
    let identity = IdentityKey::generate(&provider)?;
    let mut ring = KeyRing::new(&provider, identity, LABEL, KeyRingConfig::default())?;
    let bundle = ring.bundle(Suite::MlKem768, now())?;
    Ok((provider, ring, bundle.as_bytes().to_vec()))
}

/// A client: checks the bundle against its pin, and names what it asks for.
pub fn verified(
    provider: &CryptoProvider,
    bundle: &[u8],
    pin: [u8; 32],
) -> Result<(VerifiedBundle, Context)> {
    let policy = BundlePolicy::new(LABEL, IdentityTrust::pinned(&[pin]));
    let bundle =
        Bundle::parse(&provider.verification, bundle)?.verify(provider, &policy, now().unix)?;
    let mut request_id = [0; 16];
    provider.random.fill(&mut request_id)?;
    Ok((bundle, Context::new(LABEL, request_id, 1)?))
}
