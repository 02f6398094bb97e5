//! The crypto provider and the compressor of the binary, chosen here and nowhere else.

use sealwire::CryptoProvider;
use sealwire::compat::chutes::Codec;
use sealwire_libdeflate::Libdeflate;

/// AWS-LC, for its speed (spec/adr/0010). The library's default is pure Rust.
#[must_use]
pub const fn provider() -> CryptoProvider {
    sealwire_aws_lc_rs::provider()
}

/// The profile chutes-v1 over it, with libdeflate (spec/adr/0012).
#[must_use]
pub const fn codec() -> Codec {
    Codec {
        provider: provider(),
        compress: &Libdeflate::DEFAULT,
        extensions: true,
    }
}
