//! What a finished handshake leaves beside its two halves: identifiers, and the exporter.

use super::schedule;
use crate::context::Context;
use crate::crypto::{CryptoProvider, Secret};
use crate::error::Error;

/// Identifies one stream, the same on both sides, and exports keys from it.
pub struct Session {
    provider: CryptoProvider,
    exporter: Secret<32>,
    th2: [u8; 32],
    bundle_hash: [u8; 32],
    context_hash: [u8; 32],
    identity: [u8; 32],
    context: Context,
}

impl Session {
    pub(crate) const fn new(
        provider: CryptoProvider,
        exporter: Secret<32>,
        th2: [u8; 32],
        hashes: Hashes,
        identity: [u8; 32],
        context: Context,
    ) -> Self {
        Self {
            provider,
            exporter,
            th2,
            bundle_hash: hashes.bundle,
            context_hash: hashes.context,
            identity,
            context,
        }
    }

    /// Fills `out` (1 to 8,160 bytes) with key material bound to this stream, `label` and `context` (spec/protocol.md section 5.6).
    /// It says nothing about which frames arrived.
    ///
    /// # Errors
    /// `ApiMisuse` if a length is out of range.
    pub fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        schedule::export(
            self.provider.kdf,
            self.provider.verification.hash,
            &self.exporter,
            label,
            context,
            out,
        )
    }

    /// The transcript hash that names this stream; a relay computes it too.
    #[must_use]
    pub const fn th2(&self) -> [u8; 32] {
        self.th2
    }

    /// SHA-256 of the bundle.
    #[must_use]
    pub const fn bundle_hash(&self) -> [u8; 32] {
        self.bundle_hash
    }

    /// SHA-256 of the context's bytes.
    #[must_use]
    pub const fn context_hash(&self) -> [u8; 32] {
        self.context_hash
    }

    /// The instance's Ed25519 public key.
    #[must_use]
    pub const fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// The context of this attempt.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }
}

/// SHA-256 of the two byte strings that both sides agreed on before the handshake.
#[derive(Clone, Copy)]
pub(crate) struct Hashes {
    pub(crate) bundle: [u8; 32],
    pub(crate) context: [u8; 32],
}
