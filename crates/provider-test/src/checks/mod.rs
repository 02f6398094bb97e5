//! The checks.

mod aead;
mod hash;
mod kdf;
mod kem;
mod ml_kem;
mod protocol;
mod random;
mod signature;
mod threads;
mod x_wing;

use crate::Check;

/// Every check in the order of the report.
pub(crate) const ALL: &[Check] = &[
    ("hash.parts", hash::parts),
    ("kdf.default-provider", kdf::default_provider),
    ("kdf.limits", kdf::limits),
    ("kdf.wycheproof", kdf::wycheproof),
    ("aead.in-place", aead::in_place),
    ("aead.scatter", aead::scatter),
    ("aead.tamper", aead::tamper),
    ("aead.wycheproof", aead::wycheproof),
    ("kem.round-trip", kem::round_trip),
    ("kem.lengths", kem::lengths),
    ("kem.modulus", kem::modulus),
    ("kem.implicit-rejection", kem::implicit_rejection),
    ("kem.known-keys", kem::known_keys),
    ("ml-kem.wycheproof", ml_kem::decapsulation),
    ("ml-kem.wycheproof-keygen", ml_kem::key_generation),
    ("ml-kem.wycheproof-encaps", ml_kem::encapsulation),
    ("ml-kem.wycheproof-expanded", ml_kem::expanded_keys),
    ("x-wing.vectors", x_wing::vectors),
    ("x-wing.x25519-zero", x_wing::all_zero),
    ("x-wing.wycheproof-x25519", x_wing::wycheproof),
    ("signature.default-provider", signature::default_provider),
    ("signature.strict", signature::strict),
    ("signature.wycheproof", signature::wycheproof),
    ("random.fill", random::fill),
    ("threads", threads::shared),
    ("protocol.default-provider", protocol::handshakes),
];

/// Bytes that look random and are the same each time.
pub(crate) fn bytes(label: &str, len: usize) -> Vec<u8> {
    use shake::{ExtendableOutput, Shake256, Update, XofReader};

    let mut out = vec![0; len];
    Shake256::default()
        .chain(label)
        .finalize_xof()
        .read(&mut out);
    out
}

/// As [`bytes`], of a known length.
pub(crate) fn array<const N: usize>(label: &str) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes(label, N));
    out
}
