//! Certificates and CRLs of test roots.

use p256::ecdsa::signature::Signer;

use super::der::{bits, int, name, octets, oid, seq, time, tlv};

const YEAR: u64 = 365 * 86_400;

/// A key and its name. Its certificate, if it has one, is the caller's.
pub(super) struct Party {
    pub(super) name: &'static str,
    key: Key,
}

enum Key {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl Party {
    pub(super) fn p256(name: &'static str, seed: u8) -> Self {
        let key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]);
        Self {
            name,
            key: Key::P256(key.unwrap_or_else(|_| panic!("the seed is in range"))),
        }
    }

    pub(super) fn p384(name: &'static str, seed: u8) -> Self {
        let key = p384::ecdsa::SigningKey::from_slice(&[seed; 48]);
        Self {
            name,
            key: Key::P384(key.unwrap_or_else(|_| panic!("the seed is in range"))),
        }
    }

    /// The public key: 0x04 | x | y.
    pub(super) fn point(&self) -> Vec<u8> {
        match &self.key {
            Key::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Key::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// r | s, over SHA-256 or SHA-384.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Key::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
        }
    }

    fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
            Key::P384(key) => {
                let signature: p384::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
        }
    }

    fn algorithm(&self) -> Vec<u8> {
        seq(&[&oid(match &self.key {
            Key::P256(_) => "1.2.840.10045.4.3.2",
            Key::P384(_) => "1.2.840.10045.4.3.3",
        })])
    }

    fn spki(&self) -> Vec<u8> {
        let curve = oid(match &self.key {
            Key::P256(_) => "1.2.840.10045.3.1.7",
            Key::P384(_) => "1.3.132.0.34",
        });
        let algorithm = seq(&[&oid("1.2.840.10045.2.1"), &curve]);
        seq(&[&algorithm, &bits(&self.point())])
    }

    fn signed(&self, tbs: &[u8]) -> Vec<u8> {
        seq(&[tbs, &self.algorithm(), &bits(&self.sign_der(tbs))])
    }

    /// A certificate for `subject`, around `now`. `more` are further extensions, encoded.
    pub(super) fn issue(
        &self,
        subject: &Self,
        serial: u64,
        is_ca: bool,
        now: u64,
        more: &[u8],
    ) -> Vec<u8> {
        let extension =
            |dotted, content: &[u8]| seq(&[&oid(dotted), &tlv(0x01, &[0xff]), &octets(content)]);
        let constraints = if is_ca {
            seq(&[&tlv(0x01, &[0xff])])
        } else {
            seq(&[])
        };
        // keyCertSign and cRLSign, or digitalSignature.
        let usage = if is_ca {
            tlv(0x03, &[1, 0x06])
        } else {
            tlv(0x03, &[7, 0x80])
        };
        let extensions = [
            extension("2.5.29.19", &constraints),
            extension("2.5.29.15", &usage),
            more.to_vec(),
        ]
        .concat();
        let from = now.saturating_sub(YEAR).max(1_000_000_000);
        let tbs = seq(&[
            &tlv(0xa0, &int(2)),
            &int(serial),
            &self.algorithm(),
            &name(self.name),
            &seq(&[&time(from), &time(4_000_000_000)]),
            &name(subject.name),
            &subject.spki(),
            &tlv(0xa3, &tlv(0x30, &extensions)),
        ]);
        self.signed(&tbs)
    }

    /// A list of revoked serial numbers.
    pub(super) fn crl(&self, from: u64, until: u64, revoked: &[u64]) -> Vec<u8> {
        let entries: Vec<u8> = revoked
            .iter()
            .flat_map(|serial| seq(&[&int(*serial), &time(from)]))
            .collect();
        let revoked = if entries.is_empty() {
            Vec::new()
        } else {
            tlv(0x30, &entries)
        };
        let number = seq(&[&oid("2.5.29.20"), &octets(&int(1))]);
        let tbs = seq(&[
            &int(1),
            &self.algorithm(),
            &name(self.name),
            &time(from),
            &time(until),
            &revoked,
            &tlv(0xa0, &seq(&[&number])),
        ]);
        self.signed(&tbs)
    }
}
