//! HKDF-SHA256.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign_to_buffer};
use sealwire::CryptoError;
use sealwire::crypto::{Kdf, Secret};

pub(super) struct HkdfSha256;

/// A length of output.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Kdf for HkdfSha256 {
    /// HKDF-Extract is HMAC under the salt. The library's own keeps its result to itself.
    fn extract(&self, salt: &[u8; 32], ikm: &Secret<32>) -> Secret<32> {
        let mut prk = Secret::new([0; 32]);
        sign_to_buffer(
            &Key::new(HMAC_SHA256, salt),
            ikm.expose(),
            prk.expose_mut().as_mut_slice(),
        )
        .expect("HMAC-SHA256 fails only without memory, and 32 bytes hold its tag");
        prk
    }

    fn expand(&self, prk: &Secret<32>, info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        Prk::new_less_safe(HKDF_SHA256, prk.expose())
            .expand(info, Length(out.len()))
            .map_err(|_| CryptoError::Invalid)?
            .fill(out)
            .map_err(|_| CryptoError::Backend)
    }
}
