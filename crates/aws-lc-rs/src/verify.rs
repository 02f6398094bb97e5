//! Strict Ed25519 verification.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use sealwire::CryptoError;
use sealwire::crypto::VerifySignature;

pub(super) struct Ed25519;

impl VerifySignature for Ed25519 {
    /// AWS-LC refuses S >= L and compares the encoding of the R that it computes, without the cofactor, so a non-canonical R fails.
    /// It takes points of small order, which are refused first. That the encodings are canonical is checked beside, because AWS-LC,
    /// which does so too (as of 0.47 of aws-lc-sys), promises it nowhere.
    fn verify(
        &self,
        public_key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), CryptoError> {
        let (r, _) = signature
            .split_first_chunk::<32>()
            .ok_or(CryptoError::Invalid)?;
        if !passes(public_key) || !passes(r) {
            return Err(CryptoError::Invalid);
        }
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(message, signature)
            .map_err(|_| CryptoError::Invalid)
    }
}

/// y of the points whose order divides 8, in little-endian order: 0 (order 4), 1 and p - 1 (orders 1 and 2), and the two of order 8.
/// The eight points are those of `ge25519_has_small_order` in libsodium's `ed25519_ref10.c` and of `EIGHT_TORSION` in curve25519-dalek.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = P;
        minus_one[0] = 0xEC;
        minus_one
    },
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
        0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
        0xFC, 0x05,
    ],
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
        0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
        0x03, 0x7A,
    ],
];

/// p = 2^255 - 19 in little-endian order.
const P: [u8; 32] = {
    let mut p = [0xFF; 32];
    p[0] = 0xED;
    p[31] = 0x7F;
    p
};

/// Whether an encoding has y < p and no y of small order. The one other kind of encoding that is not canonical, x = 0 with
/// the sign bit set, has y = 1 or y = p - 1. Whether there is a point at all is left to AWS-LC.
fn passes(encoding: &[u8; 32]) -> bool {
    let mut y = *encoding;
    y[31] &= 0x7F;
    let below_p = y.iter().rev().lt(P.iter().rev());
    below_p && !SMALL_ORDER_Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;

    use super::*;

    #[test]
    fn the_eight_points_of_small_order_are_refused_and_no_other_y_is_listed() {
        let mut seen = Vec::new();
        for point in EIGHT_TORSION {
            let mut encoding = point.compress().to_bytes();
            assert!(!passes(&encoding));
            encoding[31] ^= 0x80;
            assert!(!passes(&encoding), "with the other sign");
            encoding[31] &= 0x7F;
            seen.push(encoding);
        }
        assert!(SMALL_ORDER_Y.iter().all(|y| seen.contains(y)));
    }

    #[test]
    fn y_is_below_p() {
        for (first, passing) in [(0xEB, true), (0xED, false), (0xEE, false), (0xFF, false)] {
            for sign in [0, 0x80] {
                let mut encoding = P;
                encoding[0] = first;
                encoding[31] |= sign;
                assert_eq!(passes(&encoding), passing, "{first:x} {sign:x}");
            }
        }
        let mut two = [0; 32];
        two[0] = 2;
        assert!(passes(&two));
    }
}
