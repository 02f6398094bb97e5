//! The crypto provider of the binary, chosen here and nowhere else.

use sealwire::CryptoProvider;

/// AWS-LC, for its speed (spec/adr/0010). The library's default is pure Rust.
#[must_use]
pub const fn provider() -> CryptoProvider {
    sealwire_aws_lc_rs::provider()
}
