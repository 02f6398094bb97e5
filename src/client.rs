//! The client's side of the handshake (spec/protocol.md section 5.3).
//!
//! ```text
//!  start(verified bundle, context) --H1--> AwaitResponse --H2--> Connected { opener, switch_key, session }
//!        \
//!         +--> Sealer (c2s): early data at once, or nothing before switch() under EarlyData::Never
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::bundle::VerifiedBundle;
use crate::context::Context;
use crate::crypto::{CryptoProvider, DecapsulationKey, Suite};
use crate::error::{
    ApiMisuse, BundleFault, CryptoError, Error, HandshakeFault, PeerMisbehaved, PolicyFault,
};
use crate::handshake::message::{self, ResponseParts};
use crate::handshake::schedule::{EarlySecrets, LateSecrets};
use crate::handshake::{Hashes, Session, transcript};
use crate::limits::Limits;
use crate::record::{Half, Opener, RecordCrypto, Sealer, SwitchKey};

/// Whether a client sends content before it has verified H2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyData {
    /// At once. Until the bundle key is erased (20 minutes, or acceptance with a single-use bundle) its thief can read it.
    #[default]
    Allow,
    /// Nothing before H2: costs a round trip and a carriage that is full duplex.
    Never,
}

/// A client's choices.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientConfig {
    /// Early data or not.
    pub early_data: EarlyData,
    /// What the client is willing to receive.
    pub limits: Limits,
}

/// Appends H1 to `out`, and returns the sealer of the request and the state that waits for H2.
///
/// # Errors
/// `label-mismatch` if the context's label is not the bundle's, `bundle-kem-key` if the provider refuses the bundle's key after all, `Crypto` if the provider fails. Nothing was sent.
pub fn start(
    provider: &CryptoProvider,
    config: &ClientConfig,
    bundle: &VerifiedBundle,
    context: &Context,
    out: &mut Vec<u8>,
) -> Result<(Sealer, AwaitResponse), Error> {
    let bundle = bundle.bundle();
    let suite = bundle.suite();
    let kem = provider.kem(suite).ok_or(ApiMisuse::SuiteUnsupported)?;
    let hash = provider.verification.hash;
    if context.label() != bundle.label() {
        return Err(Error::Policy(PolicyFault::Label));
    }

    let ephemeral = kem.generate()?;
    let (ciphertext, shared) = kem
        .encapsulate(bundle.kem_key())
        .map_err(|error| match error {
            CryptoError::Invalid => Error::Bundle(BundleFault::KemKey),
            other => Error::Crypto(other),
        })?;

    let mut h1 = Vec::with_capacity(message::h1_len(suite));
    message::write_h1(
        &mut h1,
        suite,
        &bundle.id(),
        &ciphertext,
        &ephemeral.public_key,
    );
    let context_bytes = context.encode();
    let th0 = transcript::th0(hash, suite, &bundle.hash(), &context_bytes);
    let th1 = hash.sha256(&[&th0, &h1]);
    let secrets = EarlySecrets::derive(provider.kdf, &th0, &th1, &shared)?;
    h1.extend_from_slice(secrets.confirm1.expose());

    let sealer = Sealer::c2s(
        RecordCrypto::from(provider),
        &config.limits,
        secrets.c2s_early,
        config.early_data == EarlyData::Allow,
    )?;
    out.extend_from_slice(&h1);
    Ok((
        sealer,
        AwaitResponse {
            provider: *provider,
            limits: config.limits,
            suite,
            ephemeral: ephemeral.secret_key,
            derived: secrets.derived,
            confirm1: *secrets.confirm1.expose(),
            th1,
            hashes: Hashes {
                bundle: bundle.hash(),
                context: hash.sha256(&[&context_bytes]),
            },
            identity: bundle.identity(),
            context: context.clone(),
        },
    ))
}

/// Waits for H2. Drop it at the deadline (at most 30 s): that erases the ephemeral key.
pub struct AwaitResponse {
    provider: CryptoProvider,
    limits: Limits,
    suite: Suite,
    ephemeral: Box<dyn DecapsulationKey>,
    derived: crate::crypto::Secret<32>,
    confirm1: [u8; 32],
    th1: [u8; 32],
    hashes: Hashes,
    identity: [u8; 32],
    context: Context,
}

/// How far H2 has come.
#[non_exhaustive]
pub enum ResponseProgress {
    /// Call again with at least `needed` bytes in total, from the same start. Nothing was consumed.
    NeedInput {
        /// The state to go on with.
        next: AwaitResponse,
        /// Bytes from the start of H2.
        needed: usize,
    },
    /// H2 is verified.
    Done {
        /// Bytes of H2; what follows are s2c frames.
        consumed: usize,
        /// What the handshake gave.
        connected: Connected,
    },
}

/// A verified handshake, on the client.
pub struct Connected {
    /// Opens the answer.
    pub opener: Opener,
    /// For [`Sealer::switch`]: the first call after this, unless the request is already finished.
    pub switch_key: SwitchKey,
    /// Identifiers and exporter.
    pub session: Session,
}

impl AwaitResponse {
    /// Reads H2 from a message that must be exactly H2, as in carriages that keep boundaries (section 9).
    ///
    /// # Errors
    /// As [`AwaitResponse::read`]; `truncated` for a message that is too short, `trailing-data` for one that is too long.
    pub fn read_message(self, message: &[u8]) -> Result<Connected, Error> {
        if let ResponseParts::Whole { message: h2, .. } = message::read_h2(self.suite, message)?
            && h2.len() < message.len()
        {
            return Err(PeerMisbehaved::TrailingData.into());
        }
        match self.read(message)? {
            ResponseProgress::NeedInput { .. } => Err(Error::Truncated),
            ResponseProgress::Done { connected, .. } => Ok(connected),
        }
    }

    /// Reads H2 from the start of `input`.
    ///
    /// # Errors
    /// `bad-version`, `bad-flags`, and `confirm-failed` for everything else. The handshake is over and its secrets are erased.
    pub fn read(self, input: &[u8]) -> Result<ResponseProgress, Error> {
        let (h2, ciphertext, confirm) = match message::read_h2(self.suite, input)? {
            ResponseParts::NeedInput(needed) => {
                return Ok(ResponseProgress::NeedInput { next: self, needed });
            }
            ResponseParts::Whole {
                message,
                ciphertext,
                confirm,
            } => (message, ciphertext, confirm),
        };
        let shared = self
            .ephemeral
            .decapsulate(ciphertext)
            .map_err(|_| HandshakeFault::Confirm)?;
        let without_confirm = h2
            .get(..h2.len().saturating_sub(message::CONFIRM_LEN))
            .unwrap_or_default();
        let hash = self.provider.verification.hash;
        let th2 = hash.sha256(&[&self.th1, &self.confirm1, without_confirm]);
        let secrets = LateSecrets::derive(self.provider.kdf, &self.derived, &th2, &shared)?;
        if !secrets.confirm2.ct_eq(&confirm) {
            return Err(HandshakeFault::Confirm.into());
        }
        let opener = Opener::new(
            RecordCrypto::from(&self.provider),
            &self.limits,
            Half::S2c,
            secrets.s2c,
            None,
        )?;
        Ok(ResponseProgress::Done {
            consumed: h2.len(),
            connected: Connected {
                opener,
                switch_key: SwitchKey(secrets.c2s_late),
                session: Session::new(
                    self.provider,
                    secrets.exporter,
                    th2,
                    self.hashes,
                    self.identity,
                    self.context,
                ),
            },
        })
    }
}
