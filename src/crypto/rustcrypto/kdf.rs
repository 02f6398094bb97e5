//! HKDF-SHA256.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::crypto::{Kdf, Secret};
use crate::error::CryptoError;

pub(super) struct HkdfSha256;

impl Kdf for HkdfSha256 {
    fn extract(&self, salt: &[u8; 32], ikm: &Secret<32>) -> Secret<32> {
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), ikm.expose());
        let secret = Secret::new(prk.into());
        zeroize::Zeroize::zeroize(prk.as_mut_slice());
        secret
    }

    fn expand(&self, prk: &Secret<32>, info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        Hkdf::<Sha256>::from_prk(prk.expose())
            .map_err(|_| CryptoError::Backend)?
            .expand_multi_info(info, out)
            .map_err(|_| CryptoError::Invalid)
    }
}

/// The hash states that HMAC derives from a key are erased: does not compile without the feature that makes it so.
const _: () = {
    const fn erased<T: zeroize::ZeroizeOnDrop>() {}
    erased::<Sha256>();
};
