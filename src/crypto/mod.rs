//! What the protocol needs of a crypto library, as data: a [`CryptoProvider`] is a value that is passed in, there is no global one.
//!
//! A provider implements small object-safe traits over byte slices, so that no type of a crypto crate shows in the protocol's API.

mod secret;

#[cfg(feature = "verify")]
pub mod rustcrypto;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use self::secret::Secret;
use crate::error::CryptoError;

/// A cipher suite (spec/protocol.md section 2.4). HKDF-SHA256, ChaCha20-Poly1305 and Ed25519 are common to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Suite {
    /// 0x0001: ML-KEM-768 (FIPS 203).
    MlKem768,
    /// 0x0002: X-Wing, ML-KEM-768 with X25519 (draft-connolly-cfrg-xwing-kem-10).
    XWing,
}

impl Suite {
    /// Every suite of this version.
    pub const ALL: [Self; 2] = [Self::MlKem768, Self::XWing];

    /// The suite's number on the wire.
    #[must_use]
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::MlKem768 => 0x0001,
            Self::XWing => 0x0002,
        }
    }

    /// From the wire; `None` if unknown.
    #[must_use]
    pub const fn from_u16(number: u16) -> Option<Self> {
        match number {
            0x0001 => Some(Self::MlKem768),
            0x0002 => Some(Self::XWing),
            _ => None,
        }
    }

    /// Bytes of an encapsulation key.
    #[must_use]
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::MlKem768 => 1_184,
            Self::XWing => 1_216,
        }
    }

    /// Bytes of a ciphertext.
    #[must_use]
    pub const fn ciphertext_len(self) -> usize {
        match self {
            Self::MlKem768 => 1_088,
            Self::XWing => 1_120,
        }
    }
}

/// Hashing and signature verification: all that a relay or an auditor needs.
#[derive(Clone, Copy)]
pub struct Verification {
    /// SHA-256.
    pub hash: &'static dyn Hash,
    /// Ed25519 verification.
    pub signatures: &'static dyn VerifySignature,
}

/// Everything that client and instance need.
#[derive(Clone, Copy)]
pub struct CryptoProvider {
    /// SHA-256 and Ed25519 verification.
    pub verification: Verification,
    /// HKDF-SHA256.
    pub kdf: &'static dyn Kdf,
    /// ChaCha20-Poly1305.
    pub aead: &'static dyn Aead,
    /// The KEM of each suite that the provider implements.
    pub kems: &'static [&'static dyn Kem],
    /// Ed25519 signing.
    pub signing: &'static dyn Signing,
    /// A cryptographically secure random generator.
    pub random: &'static dyn SecureRandom,
}

impl CryptoProvider {
    /// The KEM of a suite, if the provider implements it.
    #[must_use]
    pub fn kem(&self, suite: Suite) -> Option<&'static dyn Kem> {
        self.kems.iter().copied().find(|kem| kem.suite() == suite)
    }
}

/// SHA-256 (FIPS 180-4).
pub trait Hash: Send + Sync {
    /// The digest of the concatenation of `parts`.
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32];
}

/// Ed25519 verification as spec/protocol.md section 2.5 wants it: RFC 8032, cofactorless, S < L, canonical and
/// not small-order public key and R.
pub trait VerifySignature: Send + Sync {
    /// Verifies `signature` of `message` under `public_key`.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] for every reason to refuse.
    fn verify(
        &self,
        public_key: &[u8; 32],
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), CryptoError>;
}

/// Ed25519 signing (RFC 8032).
pub trait Signing: Send + Sync {
    /// The signing key of a 32-byte seed.
    fn signing_key(&self, seed: &Secret<32>) -> Box<dyn SigningKey>;
}

/// An Ed25519 signing key. Implementations erase it on drop.
pub trait SigningKey: Send + Sync {
    /// The 32-byte public key.
    fn public_key(&self) -> [u8; 32];
    /// The signature of `message`.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// HKDF-SHA256 (RFC 5869).
pub trait Kdf: Send + Sync {
    /// HKDF-Extract.
    fn extract(&self, salt: &[u8; 32], ikm: &Secret<32>) -> Secret<32>;
    /// HKDF-Expand over the concatenation of `info` (at most eight parts) into `out` (at most 8,160 bytes).
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if `out` is too long.
    fn expand(&self, prk: &Secret<32>, info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError>;
}

/// ChaCha20-Poly1305 (RFC 8439).
pub trait Aead: Send + Sync {
    /// Prepares a key; called once per epoch, so this may allocate.
    fn key(&self, key: &Secret<32>) -> Box<dyn AeadKey>;
}

/// A prepared AEAD key. Implementations erase it on drop and do not allocate per call.
pub trait AeadKey: Send + Sync {
    /// Encrypts `buffer` in place and returns the tag.
    ///
    /// # Errors
    /// [`CryptoError::Backend`]; the buffer's content is then unspecified.
    fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; 16], CryptoError>;

    /// Decrypts `buffer` in place, if the tag verifies.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if it does not; the buffer's content is then unspecified and must not be released.
    fn open_in_place(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), CryptoError>;

    /// Encrypts `plaintext` followed by `suffix` into `out`, whose length is that of both.
    /// Backends that encrypt from one buffer to another in one pass override this.
    ///
    /// # Errors
    /// [`CryptoError::Backend`], also if the lengths do not fit.
    fn seal_scatter(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        suffix: &[u8],
        out: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        let (head, tail) = out
            .split_at_mut_checked(plaintext.len())
            .ok_or(CryptoError::Backend)?;
        if tail.len() != suffix.len() {
            return Err(CryptoError::Backend);
        }
        head.copy_from_slice(plaintext);
        tail.copy_from_slice(suffix);
        self.seal_in_place(nonce, aad, out)
    }
}

/// The KEM of one suite. Coins come from the provider's own generator: some backends take none from outside.
pub trait Kem: Send + Sync {
    /// Which suite this is.
    fn suite(&self) -> Suite;

    /// A fresh key pair.
    ///
    /// # Errors
    /// [`CryptoError::Random`], [`CryptoError::Backend`].
    fn generate(&self) -> Result<KemKeyPair, CryptoError>;

    /// Checks a received encapsulation key: length, FIPS 203's modulus check, and for X-Wing that X25519 with it is not all-zero.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`].
    fn check_public_key(&self, public_key: &[u8]) -> Result<(), CryptoError>;

    /// Encapsulates to a key: (ciphertext, shared secret). Performs the check of [`Kem::check_public_key`] too.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] for a bad key, [`CryptoError::Random`], [`CryptoError::Backend`].
    fn encapsulate(&self, public_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError>;
}

/// A fresh KEM key pair.
pub struct KemKeyPair {
    /// The encapsulation key, in the suite's encoding.
    pub public_key: Vec<u8>,
    /// The decapsulation key.
    pub secret_key: Box<dyn DecapsulationKey>,
}

/// A KEM decapsulation key. Implementations erase it on drop.
pub trait DecapsulationKey: Send + Sync {
    /// The shared secret of a ciphertext.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] for a wrong length or, in X-Wing, an all-zero X25519 output. ML-KEM itself rejects implicitly.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError>;
}

/// A cryptographically secure random generator.
pub trait SecureRandom: Send + Sync {
    /// Fills `out`.
    ///
    /// # Errors
    /// [`CryptoError::Random`].
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError>;
}
