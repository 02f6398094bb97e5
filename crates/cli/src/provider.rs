//! The crypto provider and the compressor of the binary, chosen here and nowhere else.

use sealwire::CryptoProvider;
use sealwire::compat::chutes::Codec;
use sealwire::crypto::Aead;
use sealwire_libdeflate::Libdeflate;

/// AWS-LC, for its speed (spec/adr/0010). The library's default is pure Rust.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        aead: aead(),
        ..sealwire_aws_lc_rs::provider()
    }
}

#[cfg(not(feature = "openssl"))]
fn aead() -> &'static dyn Aead {
    sealwire_aws_lc_rs::AEAD
}

/// Long frames by OpenSSL, where the processor has what that needs (spec/adr/0016).
#[cfg(feature = "openssl")]
fn aead() -> &'static dyn Aead {
    static AEAD: sealwire_openssl::ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);
    sealwire_openssl::fastest(&AEAD)
}

/// The profile chutes-v1 over it, with libdeflate (spec/adr/0012).
#[must_use]
pub fn codec() -> Codec {
    Codec {
        provider: provider(),
        compress: &Libdeflate::DEFAULT,
        extensions: true,
    }
}

#[cfg(test)]
mod tests {
    use sealwire::crypto::Secret;

    use super::*;

    #[test]
    fn messages_of_every_size_are_sealed_as_by_the_default_provider() {
        let secret = Secret::new([7; 32]);
        let ours = provider().aead.key(&secret);
        let theirs = sealwire::rustcrypto::provider().aead.key(&secret);
        for len in [0, 200, 2_047, 2_048, 16_384] {
            let (mut sealed, mut expected) = (vec![7; len], vec![7; len]);
            let tag = ours.seal_in_place(&[1; 12], b"aad", &mut sealed);
            assert_eq!(tag, theirs.seal_in_place(&[1; 12], b"aad", &mut expected));
            assert!(sealed == expected, "{len}");
        }
    }
}
