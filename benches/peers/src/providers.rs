//! The providers of sealwire that are compiled in.

use sealwire::CryptoProvider;

/// A provider and what it stands on.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// The library behind its AEAD, by its name in `raw`.
    raw: &'static str,
    /// Another one from a length on.
    long: Option<(usize, &'static str)>,
    pub(crate) provider: CryptoProvider,
}

impl Named {
    /// The library that seals messages of a length, by its name in `raw`.
    pub(crate) fn raw(&self, bytes: usize) -> &'static str {
        match self.long {
            Some((from, long)) if bytes >= from => long,
            _ => self.raw,
        }
    }
}

pub(crate) const DEFAULT: &str = "default";
pub(crate) const AWS_LC: &str = "aws-lc-rs";

/// One line per provider. The fastest of them is found by measuring.
pub(crate) fn all() -> Vec<Named> {
    let named = |name, raw, provider| Named {
        name,
        raw,
        long: None,
        provider,
    };
    vec![
        named(
            DEFAULT,
            "chacha20poly1305",
            sealwire::rustcrypto::provider(),
        ),
        named(AWS_LC, "aws-lc-rs", sealwire_aws_lc_rs::provider()),
        #[cfg(feature = "openssl")]
        Named {
            long: sealwire_openssl::is_fast().then_some((sealwire_openssl::BORDER, "openssl")),
            ..named("aws-lc-rs + openssl", "aws-lc-rs", combined())
        },
    ]
}

/// AWS-LC, and OpenSSL for long messages where that is faster.
#[cfg(feature = "openssl")]
pub fn combined() -> CryptoProvider {
    static AEAD: sealwire_openssl::ByLength = sealwire_openssl::combined(sealwire_aws_lc_rs::AEAD);
    CryptoProvider {
        aead: sealwire_openssl::fastest(&AEAD),
        ..sealwire_aws_lc_rs::provider()
    }
}
