//! A valid bundle, context, H1 and H2 of each suite, from fixed coins.

use sealwire::client::{self, AwaitResponse, ClientConfig};
use sealwire::crypto::{Secret, Verification, VerifySignature};
use sealwire::server::{KeyRing, KeyRingConfig, Now};
use sealwire::testing::{COINS_PROVIDER, set_coins};
use sealwire::{
    Bundle, BundlePolicy, Context, CryptoError, CryptoProvider, IdentityKey, IdentityTrust, Sealer,
    Suite, VerifiedBundle, rustcrypto,
};

pub const PROVIDER: &CryptoProvider = &COINS_PROVIDER;
pub const LABEL: &str = "demo/model";
pub const NOW: Now = Now {
    unix: 1_800_000_000,
    monotonic: 5_000,
};

/// SHA-256 as it is, and every signature taken: what stands behind the signature check is reached too.
pub const TRUSTING: Verification = Verification {
    signatures: &AnySignature,
    ..rustcrypto::verification()
};

struct AnySignature;

impl VerifySignature for AnySignature {
    fn verify(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> Result<(), CryptoError> {
        Ok(())
    }
}

pub fn suite(x_wing: bool) -> Suite {
    if x_wing {
        Suite::XWing
    } else {
        Suite::MlKem768
    }
}

/// Enough coins for anything here; a run that starts with the same draws the same.
pub fn coins(seed: u8) {
    set_coins(&[seed; 1_024]);
}

pub fn identity() -> IdentityKey {
    IdentityKey::from_seed(PROVIDER, &Secret::new([0x31; 32]))
}

/// A ring that holds one key, the same at each call.
pub fn ring(suite: Suite, single_use: bool) -> (KeyRing, Bundle) {
    coins(1);
    let mut ring = KeyRing::new(PROVIDER, identity(), LABEL, KeyRingConfig::default()).unwrap();
    let bundle = if single_use {
        ring.single_use_bundle(suite, NOW)
    } else {
        ring.bundle(suite, NOW)
    };
    (ring, bundle.unwrap())
}

pub fn context() -> Context {
    Context::new(LABEL, [7; 16], 1)
        .unwrap()
        .with_billing(b"acct-1")
        .unwrap()
}

pub fn verified(bundle: &Bundle) -> VerifiedBundle {
    let trust = IdentityTrust::pinned(&[identity().public_key()]);
    bundle
        .clone()
        .verify(PROVIDER, &BundlePolicy::new(LABEL, trust), NOW.unix)
        .unwrap()
}

/// The client's start, the same at each call.
pub fn start(bundle: &VerifiedBundle) -> (Vec<u8>, Sealer, AwaitResponse) {
    coins(2);
    let mut h1 = Vec::new();
    let (sealer, wait) = client::start(
        PROVIDER,
        &ClientConfig::default(),
        bundle,
        &context(),
        &mut h1,
    )
    .unwrap();
    (h1, sealer, wait)
}

/// The KEM key inside a bundle's encoding.
pub fn kem_key(bundle: &Bundle) -> &[u8] {
    let start = 20 + 2 + bundle.label().len() + 2;
    &bundle.as_bytes()[start..start + bundle.suite().public_key_len()]
}
