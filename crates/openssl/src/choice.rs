//! Where OpenSSL is worth it.

use sealwire::crypto::Aead;

use crate::{AEAD, ByLength, aead};

/// Bytes from which OpenSSL is faster than AWS-LC on processors that [`is_fast`] is true for: `cargo bench -p sealwire-openssl --features openssl`.
pub const BORDER: usize = 2_048;

/// OpenSSL from [`BORDER`] bytes on, `short` below.
#[must_use]
pub const fn combined(short: &'static dyn Aead) -> ByLength {
    ByLength {
        short,
        long: AEAD,
        from: BORDER,
    }
}

/// The combination where [`is_fast`], else its `short` alone.
#[must_use]
pub fn fastest(combined: &'static ByLength) -> &'static dyn Aead {
    if is_fast() { combined } else { combined.short }
}

/// Whether OpenSSL has this cipher and the processor what makes it fast. Elsewhere others are faster.
#[must_use]
pub fn is_fast() -> bool {
    has_avx512() && aead::cipher().is_some()
}

/// IFMA is asked for as well because OpenSSL leaves AVX-512 unused on the processors before it (`crypto/x86_64cpuid.pl`), where it costs clock.
#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
const fn has_avx512() -> bool {
    false
}
