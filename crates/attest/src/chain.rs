//! Chains of ECDSA certificates up to a pinned root: P-256 with SHA-256 and P-384 with SHA-384, which is all that Intel and NVIDIA use
//! for devices. Revocation is not judged here.

use const_oid::db::rfc5912::{ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384};
use p256::ecdsa::signature::Verifier as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::time::Window;

/// Most certificates of one chain.
pub(crate) const MAX_CHAIN: usize = 8;

/// A parsed certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) parsed: x509_cert::Certificate,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainFault {
    /// Empty or too long.
    Length,
    /// The last certificate is not the root.
    Root,
    /// This certificate is not signed by the next one.
    Signature(usize),
    /// This certificate may not sign others, or has an extension that must be understood and is not.
    Constraint(usize),
    /// This certificate is not valid at this time.
    Time(usize),
}

impl std::fmt::Display for ChainFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length => write!(f, "no certificates, or more than {MAX_CHAIN}"),
            Self::Root => f.write_str("a chain that does not end in the root"),
            Self::Signature(index) => {
                write!(f, "certificate {index} is not signed by the next one")
            }
            Self::Constraint(index) => write!(
                f,
                "certificate {index} may not sign, or has an unknown critical extension"
            ),
            Self::Time(index) => write!(f, "certificate {index} is not valid at this time"),
        }
    }
}

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = x509_cert::Certificate::from_der(der).ok()?;
        Some(Self {
            der: der.to_vec(),
            parsed,
        })
    }

    pub(crate) fn window(&self) -> Window {
        Window::of(self.parsed.tbs_certificate().validity())
    }

    /// The key with its algorithm, DER.
    pub(crate) fn spki(&self) -> Option<Vec<u8>> {
        self.parsed
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .ok()
    }

    pub(crate) fn subject(&self) -> String {
        self.parsed.tbs_certificate().subject().to_string()
    }

    /// The point of an EC key.
    pub(crate) fn point(&self) -> &[u8] {
        self.parsed
            .tbs_certificate()
            .subject_public_key_info()
            .subject_public_key
            .raw_bytes()
    }

    /// The value of an extension.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.parsed
            .tbs_certificate()
            .extensions()?
            .iter()
            .find(|extension| extension.extn_id == oid)
            .map(|extension| extension.extn_value.as_bytes())
    }

    /// Whether `issuer`'s key signed this certificate, and the names fit.
    fn is_signed_by(&self, issuer: &Self) -> bool {
        let tbs = self.parsed.tbs_certificate();
        if tbs.issuer() != issuer.parsed.tbs_certificate().subject() {
            return false;
        }
        let Ok(message) = tbs.to_der() else {
            return false;
        };
        let algorithm = self.parsed.signature_algorithm().oid;
        if tbs.signature().oid != algorithm {
            return false;
        }
        let Some(signature) = self.parsed.signature().as_bytes() else {
            return false;
        };
        if algorithm == ECDSA_WITH_SHA_384 {
            p384::ecdsa::DerSignature::from_bytes(signature)
                .is_ok_and(|signature| verify_p384_with(issuer.point(), &message, &signature))
        } else if algorithm == ECDSA_WITH_SHA_256 {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(issuer.point());
            let signature = p256::ecdsa::DerSignature::from_bytes(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(&message, &signature).is_ok())
        } else {
            false
        }
    }

    fn may_sign(&self) -> bool {
        let constraints = self
            .extension(const_oid::db::rfc5912::ID_CE_BASIC_CONSTRAINTS)
            .and_then(|value| BasicConstraints::from_der(value).ok());
        let usage = self
            .extension(const_oid::db::rfc5912::ID_CE_KEY_USAGE)
            .map(|value| KeyUsage::from_der(value).is_ok_and(|usage| usage.key_cert_sign()));
        constraints.is_some_and(|constraints| constraints.ca) && usage != Some(false)
    }

    fn is_understood(&self) -> bool {
        let known = [
            const_oid::db::rfc5912::ID_CE_BASIC_CONSTRAINTS,
            const_oid::db::rfc5912::ID_CE_KEY_USAGE,
            const_oid::db::rfc5912::ID_CE_EXT_KEY_USAGE,
        ];
        self.parsed
            .tbs_certificate()
            .extensions()
            .into_iter()
            .flatten()
            .all(|extension| !extension.critical || known.contains(&extension.extn_id))
    }
}

fn verify_p384_with(point: &[u8], message: &[u8], signature: &p384::ecdsa::DerSignature) -> bool {
    p384::ecdsa::VerifyingKey::from_sec1_bytes(point)
        .is_ok_and(|key| key.verify(message, signature).is_ok())
}

/// ECDSA P-384 with SHA-384; the signature is r | s.
pub(crate) fn verify_p384(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let signature = p384::ecdsa::Signature::from_slice(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
}

/// ECDSA P-256 with SHA-256; the signature is r | s.
pub(crate) fn verify_p256(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let signature = p256::ecdsa::Signature::from_slice(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
}

/// Links that were found good in this verification, so that many chains under one root cost one root.
#[derive(Default)]
pub(crate) struct Links(Vec<(Vec<u8>, Vec<u8>)>);

impl Links {
    fn holds(&mut self, child: &Certificate, issuer: &Certificate) -> bool {
        if self
            .0
            .iter()
            .any(|(a, b)| *a == child.der && *b == issuer.der)
        {
            return true;
        }
        let good = child.is_signed_by(issuer);
        if good {
            self.0.push((child.der.clone(), issuer.der.clone()));
        }
        good
    }
}

/// Verifies a chain, leaf first, whose last certificate is the root. Without `now` time is not judged.
pub(crate) fn verify(
    chain: &[Certificate],
    is_root: impl Fn(&[u8]) -> bool,
    now: Option<u64>,
    links: &mut Links,
) -> Result<(), ChainFault> {
    if chain.len() > MAX_CHAIN {
        return Err(ChainFault::Length);
    }
    let root = chain.last().ok_or(ChainFault::Length)?;
    if !is_root(&root.der) {
        return Err(ChainFault::Root);
    }
    for (index, certificate) in chain.iter().enumerate() {
        if !certificate.is_understood() || (index > 0 && !certificate.may_sign()) {
            return Err(ChainFault::Constraint(index));
        }
    }
    for (index, pair) in chain.windows(2).enumerate() {
        if let [child, issuer] = pair
            && !links.holds(child, issuer)
        {
            return Err(ChainFault::Signature(index));
        }
    }
    if let Some(now) = now
        && let Some(index) = chain
            .iter()
            .position(|certificate| !certificate.window().contains(now))
    {
        return Err(ChainFault::Time(index));
    }
    Ok(())
}

/// The DER of each certificate in a PEM file; `None` if there is anything else in it, none, or too many.
pub(crate) fn from_pem(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = pem
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let text = std::str::from_utf8(pem.get(..end)?).ok()?;
    let mut certificates = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let (body, after) = rest.strip_prefix(BEGIN)?.split_once(END)?;
        let compact: String = body.split_ascii_whitespace().collect();
        certificates.push(crate::encoding::from_base64(&compact)?);
        if certificates.len() > MAX_CHAIN {
            return None;
        }
        rest = after.trim_start();
    }
    (!certificates.is_empty()).then_some(certificates)
}

/// Parses a PEM file of certificates.
pub(crate) fn parse_pem(pem: &[u8]) -> Option<Vec<Certificate>> {
    from_pem(pem)?
        .iter()
        .map(|der| Certificate::parse(der))
        .collect()
}
