//! The instance's side of the handshake (spec/protocol.md section 5.4).
//!
//! ```text
//!  ParsedRequest::read --> AwaitKey --decapsulate--> Confirmed --admit--> Admitted --respond--> Accepted { opener, sealer, session }
//!                             |                          |                    |
//!                             +- key-unknown, refused    +- replayed          +- refused (client's key)
//! ```
//!
//! Each arrow takes the state before it, so the checks cannot run in another order. [`accept`] is all of them in one call; the single steps
//! let a program decapsulate outside of the lock that guards its [`KeyRing`].

mod keyring;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use self::keyring::{BundleKey, KeyRing, KeyRingConfig, Now};
use crate::context::Context;
use crate::crypto::{CryptoProvider, Kem};
use crate::error::{ApiMisuse, CryptoError, Error, HandshakeFault};
use crate::handshake::message::{self, ParsedRequest};
use crate::handshake::schedule::{EarlySecrets, LateSecrets};
use crate::handshake::{Hashes, Session, transcript};
use crate::limits::Limits;
use crate::record::{Half, Opener, RecordCrypto, Sealer};

/// A finished handshake, on the instance. H2 has been written: send it before reading any frame.
pub struct Accepted {
    /// Opens the request.
    pub opener: Opener,
    /// Seals the answer.
    pub sealer: Sealer,
    /// Identifiers and exporter.
    pub session: Session,
}

/// Accepts H1: all steps of section 5.4 but capacity, which is the caller's. Appends H2 to `out`.
///
/// `context` are the bytes that came beside H1, exactly. `limits` bound the request.
///
/// # Errors
/// [`Error::Handshake`], [`Error::BadContext`], [`Error::Crypto`]. `out` is unchanged. What goes on the wire is [`Error::relay_code`].
pub fn accept(
    ring: &mut KeyRing,
    request: ParsedRequest,
    context: &[u8],
    limits: &Limits,
    now: Now,
    out: &mut Vec<u8>,
) -> Result<Accepted, Error> {
    let provider = *ring.provider();
    let key = ring
        .key(&request.bundle_id(), now)
        .ok_or(HandshakeFault::KeyUnknown)?;
    decapsulate(&provider, request, key, context)?
        .admit(ring, now)?
        .respond(limits, out)
}

/// Steps 3 and 5: suite and context fit the bundle, and confirm1 proves that the client holds the bundle's public key and these bytes.
///
/// # Errors
/// `suite-mismatch`, `bad-context`, `label-mismatch`, `confirm-failed`.
pub fn decapsulate(
    provider: &CryptoProvider,
    request: ParsedRequest,
    key: Arc<BundleKey>,
    context: &[u8],
) -> Result<Confirmed, Error> {
    let bundle = key.bundle();
    if bundle.suite() != request.suite() {
        return Err(HandshakeFault::SuiteMismatch.into());
    }
    let parsed = Context::parse(context)?;
    if parsed.label() != bundle.label() {
        return Err(HandshakeFault::LabelMismatch.into());
    }
    let kem = provider
        .kem(request.suite())
        .ok_or(ApiMisuse::SuiteUnsupported)?;
    let hash = provider.verification.hash;
    let shared = key
        .secret()
        .decapsulate(request.ciphertext())
        .map_err(|_| HandshakeFault::Confirm)?;
    let th0 = transcript::th0(hash, request.suite(), &bundle.hash(), context);
    let th1 = transcript::th1(hash, &th0, request.as_bytes());
    let secrets = EarlySecrets::derive(provider.kdf, &th0, &th1, &shared)?;
    if !secrets.confirm1.ct_eq(&request.confirm()) {
        return Err(HandshakeFault::Confirm.into());
    }
    Ok(Confirmed {
        provider: *provider,
        kem,
        hashes: Hashes {
            bundle: bundle.hash(),
            context: hash.sha256(&[context]),
        },
        request,
        key,
        context: parsed,
        th1,
        secrets,
    })
}

/// H1 is authentic; whether it is new is not known yet.
pub struct Confirmed {
    provider: CryptoProvider,
    kem: &'static dyn Kem,
    request: ParsedRequest,
    key: Arc<BundleKey>,
    context: Context,
    hashes: Hashes,
    th1: [u8; 32],
    secrets: EarlySecrets,
}

impl Confirmed {
    /// Step 6: enters H1 into the key's replay filter, or takes the single-use key.
    ///
    /// # Errors
    /// `replayed`; `key-unknown` if the key was erased meanwhile.
    pub fn admit(self, ring: &mut KeyRing, now: Now) -> Result<Admitted, Error> {
        let digest = self
            .provider
            .verification
            .hash
            .sha256(&[self.request.as_bytes()]);
        ring.admit(
            &self.key,
            digest.first_chunk().copied().unwrap_or_default(),
            now,
        )?;
        Ok(Admitted(self))
    }

    /// The parsed context.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }
}

/// H1 is accepted, once.
pub struct Admitted(Confirmed);

impl Admitted {
    /// Steps 7 and 8: checks the client's key, encapsulates to it, appends H2 to `out`.
    ///
    /// # Errors
    /// `bad-client-key`; `Crypto` if the provider fails. `out` is unchanged.
    pub fn respond(self, limits: &Limits, out: &mut Vec<u8>) -> Result<Accepted, Error> {
        let Confirmed {
            provider,
            kem,
            request,
            key,
            context,
            hashes,
            th1,
            secrets,
        } = self.0;
        let (ciphertext, shared) =
            kem.encapsulate(request.client_key())
                .map_err(|error| match error {
                    CryptoError::Invalid => HandshakeFault::ClientKey.into(),
                    other => Error::Crypto(other),
                })?;
        let mut h2 = Vec::with_capacity(message::h2_len(request.suite()));
        message::write_h2(&mut h2, &ciphertext);
        let hash = provider.verification.hash;
        let th2 = hash.sha256(&[&th1, &request.confirm(), &h2]);
        let late = LateSecrets::derive(provider.kdf, &secrets.derived, &th2, &shared)?;
        h2.extend_from_slice(late.confirm2.expose());

        let crypto = RecordCrypto::from(&provider);
        let opener = Opener::new(
            crypto,
            limits,
            Half::C2s,
            secrets.c2s_early,
            Some(late.c2s_late),
        )?;
        let sealer = Sealer::s2c(crypto, limits, late.s2c)?;
        out.extend_from_slice(&h2);
        Ok(Accepted {
            opener,
            sealer,
            session: Session::new(
                provider,
                late.exporter,
                th2,
                hashes,
                key.bundle().identity(),
                context,
            ),
        })
    }
}
