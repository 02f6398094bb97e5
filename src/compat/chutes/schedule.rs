//! Keys of the profile (spec/compat-chutes.md section 2): HKDF-SHA256 over the KEM's secret, salted with the ciphertext's first 16 bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::error::ChutesError;
use crate::crypto::{AeadKey, CryptoProvider, DecapsulationKey, Kem, Secret, Suite};
use crate::error::CryptoError;

/// Bytes of an ML-KEM-768 ciphertext.
pub(super) const CIPHERTEXT: usize = 1_088;
/// Bytes of an AEAD nonce.
pub(super) const NONCE: usize = 12;
/// Bytes of an AEAD tag.
pub(super) const TAG: usize = 16;

/// The labels: HKDF's info, ASCII without a NUL.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Request,
    Response,
    Stream,
}

impl Label {
    const fn info(self) -> &'static [u8] {
        match self {
            Self::Request => b"e2e-req-v1",
            Self::Response => b"e2e-resp-v1",
            Self::Stream => b"e2e-stream-v1",
        }
    }
}

/// Info of the nonce prefix that marks a stream whose chunks are numbered (section 6.3).
const SEQUENCE_INFO: &[u8] = b"sealwire chutes-v1 sequence";

/// The keys of one direction.
pub(super) struct Keys {
    pub(super) aead: Box<dyn AeadKey>,
    /// First eight bytes of every nonce in a numbered stream.
    pub(super) prefix: [u8; 8],
}

pub(super) fn kem(provider: &CryptoProvider) -> Result<&'static dyn Kem, ChutesError> {
    // A provider without ML-KEM-768 cannot speak this profile.
    provider
        .kem(Suite::MlKem768)
        .ok_or(ChutesError::Crypto(CryptoError::Backend))
}

/// The keys of a direction from the KEM's secret and ciphertext.
pub(super) fn derive(
    provider: &CryptoProvider,
    secret: &Secret<32>,
    ciphertext: &[u8],
    label: Label,
) -> Result<Keys, ChutesError> {
    // HMAC pads a short key with zeros: a salt of 16 bytes and one of 32 that ends in zeros are the same.
    let mut salt = [0; 32];
    if let (Some(half), Some(head)) = (salt.first_chunk_mut::<16>(), ciphertext.first_chunk::<16>())
    {
        *half = *head;
    }
    let prk = provider.kdf.extract(&salt, secret);
    let mut key = Secret::zero();
    provider
        .kdf
        .expand(&prk, &[label.info()], key.expose_mut())?;
    let mut prefix = [0; 8];
    if matches!(label, Label::Stream) {
        provider.kdf.expand(&prk, &[SEQUENCE_INFO], &mut prefix)?;
    }
    Ok(Keys {
        aead: provider.aead.key(&key),
        prefix,
    })
}

/// ct | nonce | ciphertext | tag, to a public key.
pub(super) fn seal_blob(
    provider: &CryptoProvider,
    public_key: &[u8],
    label: Label,
    plaintext: &[u8],
) -> Result<Vec<u8>, ChutesError> {
    let (ciphertext, secret) = kem(provider)?.encapsulate(public_key)?;
    let keys = derive(provider, &secret, &ciphertext, label)?;
    let mut nonce = [0; NONCE];
    provider.random.fill(&mut nonce)?;
    let head = CIPHERTEXT.saturating_add(NONCE);
    let mut out = Vec::with_capacity(head.saturating_add(plaintext.len()).saturating_add(TAG));
    out.extend_from_slice(&ciphertext);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let body = out.get_mut(head..).unwrap_or_default();
    let tag = keys.aead.seal_in_place(&nonce, &[], body)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// The parts of a blob.
pub(super) struct Blob<'a> {
    pub(super) ciphertext: &'a [u8; CIPHERTEXT],
    nonce: &'a [u8; NONCE],
    sealed: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Blob<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ChutesError> {
        let short = ChutesError::TooShort;
        let (ciphertext, rest) = bytes.split_first_chunk().ok_or(short)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(short)?;
        let (sealed, tag) = rest.split_last_chunk().ok_or(short)?;
        Ok(Self {
            ciphertext,
            nonce,
            sealed,
            tag,
        })
    }

    pub(super) fn open(
        &self,
        provider: &CryptoProvider,
        secret_key: &dyn DecapsulationKey,
        label: Label,
    ) -> Result<Vec<u8>, ChutesError> {
        let secret = secret_key.decapsulate(self.ciphertext)?;
        let keys = derive(provider, &secret, self.ciphertext, label)?;
        let mut plaintext = self.sealed.to_vec();
        open_in_place(&*keys.aead, self.nonce, &mut plaintext, self.tag)?;
        Ok(plaintext)
    }
}

pub(super) fn open_in_place(
    key: &dyn AeadKey,
    nonce: &[u8; NONCE],
    buffer: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(), ChutesError> {
    key.open_in_place(nonce, &[], buffer, tag)
        .map_err(|error| match error {
            CryptoError::Invalid => ChutesError::Decrypt,
            other => ChutesError::Crypto(other),
        })
}
