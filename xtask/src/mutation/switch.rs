//! Which check is off: the environment variable says so, once for the process.

use std::string::String;
use std::sync::OnceLock;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

/// Whether this check is off.
pub fn off(check: &str) -> bool {
    static OFF: OnceLock<Option<String>> = OnceLock::new();
    OFF.get_or_init(|| std::env::var("SEALWIRE_CHECK_OFF").ok())
        .as_deref()
        == Some(check)
}

/// Ed25519 without the checks that are off: S reduced, R compared as a point, small order taken, the cofactored equation.
pub fn lax_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Option<()> {
    let (r_bytes, s_bytes) = signature.split_first_chunk::<32>()?;
    let s_bytes: [u8; 32] = s_bytes.try_into().ok()?;
    let s = if off("signature-s") {
        Scalar::from_bytes_mod_order(s_bytes)
    } else {
        Option::from(Scalar::from_canonical_bytes(s_bytes))?
    };
    let (key_point, key_canonical) = point(key)?;
    let (r, r_canonical) = point(r_bytes)?;
    let strict = |ok: bool, point: &EdwardsPoint, check: &str| {
        off(check) || (ok && !point.is_small_order())
    };
    if !strict(key_canonical, &key_point, "signature-key") || !strict(r_canonical, &r, "signature-r") {
        return None;
    }
    let mut hash = Sha512::new();
    hash.update(r_bytes);
    hash.update(key);
    hash.update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let difference = EdwardsPoint::mul_base(&s) - key_point * k - r;
    let equal = if off("signature-cofactor") {
        difference.mul_by_cofactor() == EdwardsPoint::default()
    } else {
        difference == EdwardsPoint::default()
    };
    equal.then_some(())
}

fn point(bytes: &[u8; 32]) -> Option<(EdwardsPoint, bool)> {
    let point = CompressedEdwardsY(*bytes).decompress()?;
    let canonical = point.compress().as_bytes() == bytes;
    Some((point, canonical))
}
