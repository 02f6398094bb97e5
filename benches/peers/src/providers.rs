//! The providers of sealwire that are compiled in.

use sealwire::CryptoProvider;

/// A provider and what it stands on.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// The library behind its AEAD, by its name in `raw`.
    pub(crate) raw: &'static str,
    pub(crate) provider: CryptoProvider,
}

pub(crate) const DEFAULT: &str = "default";
pub(crate) const AWS_LC: &str = "aws-lc-rs";

/// One line per provider. The fastest of them is found by measuring.
pub(crate) fn all() -> Vec<Named> {
    let named = |name, raw, provider| Named {
        name,
        raw,
        provider,
    };
    vec![
        named(
            DEFAULT,
            "chacha20poly1305",
            sealwire::rustcrypto::provider(),
        ),
        named(AWS_LC, "aws-lc-rs", sealwire_aws_lc_rs::provider()),
    ]
}
