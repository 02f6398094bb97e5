//! Bundles: what an instance publishes so that clients can encrypt to it (spec/protocol.md section 3).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{self, Reader};
use crate::crypto::{CryptoProvider, Suite, Verification};
use crate::error::{BundleFault, Error, PolicyFault};
use crate::handshake::message::VERSION;
use crate::identity::{self, IdentityKey, SIGN_BUNDLE};
use crate::limits::{MAX_WINDOW, SKEW};

const FLAG_SINGLE_USE: u8 = 0x01;
const SIGNATURE_LEN: usize = 64;

/// A bundle whose encoding and signature are right. Whether its identity deserves trust is what [`Bundle::verify`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    bytes: Vec<u8>,
    hash: [u8; 32],
    suite: Suite,
    single_use: bool,
    not_before: u64,
    not_after: u64,
    label: String,
    kem_key: Vec<u8>,
    identity: [u8; 32],
}

/// What an instance states about a KEM key, before it signs.
#[derive(Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) suite: Suite,
    pub(crate) single_use: bool,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) label: &'a str,
    pub(crate) kem_key: &'a [u8],
}

impl Bundle {
    /// Signs a statement. The caller has checked its fields.
    pub(crate) fn sign(
        verification: &Verification,
        identity: &IdentityKey,
        statement: Statement<'_>,
    ) -> Self {
        let mut bytes = Vec::new();
        bytes.push(VERSION);
        bytes.extend_from_slice(&statement.suite.to_u16().to_be_bytes());
        bytes.push(if statement.single_use {
            FLAG_SINGLE_USE
        } else {
            0
        });
        bytes.extend_from_slice(&statement.not_before.to_be_bytes());
        bytes.extend_from_slice(&statement.not_after.to_be_bytes());
        for field in [statement.label.as_bytes(), statement.kem_key] {
            bytes.extend_from_slice(&codec::lp_len(field));
            bytes.extend_from_slice(field);
        }
        bytes.extend_from_slice(&identity.public_key());
        let signature = identity.sign(SIGN_BUNDLE, &bytes);
        bytes.extend_from_slice(&signature);
        Self {
            hash: verification.hash.sha256(&[&bytes]),
            bytes,
            suite: statement.suite,
            single_use: statement.single_use,
            not_before: statement.not_before,
            not_after: statement.not_after,
            label: statement.label.to_owned(),
            kem_key: statement.kem_key.to_vec(),
            identity: identity.public_key(),
        }
    }

    /// Parses a bundle and verifies its signature, in the order of section 3.1. The KEM key is checked by [`Bundle::verify`].
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub fn parse(verification: &Verification, bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let length = BundleFault::Length;
        if reader.u8().ok_or(length)? != VERSION {
            return Err(BundleFault::Version.into());
        }
        let suite = Suite::from_u16(reader.u16().ok_or(length)?).ok_or(BundleFault::Suite)?;
        let flags = reader.u8().ok_or(length)?;
        if flags & !FLAG_SINGLE_USE != 0 {
            return Err(BundleFault::Flags.into());
        }
        let not_before = reader.u64().ok_or(length)?;
        let not_after = reader.u64().ok_or(length)?;
        let label = reader.lp().ok_or(length)?;
        let kem_key = reader.lp().ok_or(length)?;
        let identity = reader.array::<32>().ok_or(length)?;
        let signature = reader.array::<SIGNATURE_LEN>().ok_or(length)?;
        if !reader.is_empty() || kem_key.len() != suite.public_key_len() {
            return Err(length.into());
        }
        let window = not_after.saturating_sub(not_before);
        if !(1..=MAX_WINDOW).contains(&window) {
            return Err(BundleFault::Window.into());
        }
        let label = codec::label(label).ok_or(BundleFault::Label)?;
        let signed = bytes
            .get(..bytes.len().saturating_sub(SIGNATURE_LEN))
            .unwrap_or_default();
        identity::verify(verification, &identity, SIGN_BUNDLE, signed, &signature)
            .map_err(|_| BundleFault::Signature)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            hash: verification.hash.sha256(&[bytes]),
            suite,
            single_use: flags & FLAG_SINGLE_USE != 0,
            not_before,
            not_after,
            label: label.to_owned(),
            kem_key: kem_key.to_vec(),
            identity,
        })
    }

    /// Checks the KEM key, then the policy, in the order of section 3.2. `now` is the client's clock in unix seconds.
    ///
    /// # Errors
    /// [`BundleFault::KemKey`], [`Error::Policy`], [`Error::ClockSkew`]; `ApiMisuse` if the provider lacks the suite.
    pub fn verify(
        self,
        provider: &CryptoProvider,
        policy: &BundlePolicy,
        now: u64,
    ) -> Result<VerifiedBundle, Error> {
        if let Some(kem) = provider.kem(self.suite) {
            kem.check_public_key(&self.kem_key)
                .map_err(|_| BundleFault::KemKey)?;
        }
        if !policy.suites.contains(&self.suite) || provider.kem(self.suite).is_none() {
            return Err(Error::Policy(PolicyFault::Suite));
        }
        if policy.label != self.label {
            return Err(Error::Policy(PolicyFault::Label));
        }
        if policy.require_single_use && !self.single_use {
            return Err(Error::Policy(PolicyFault::SingleUse));
        }
        if now.saturating_add(SKEW) < self.not_before || now > self.not_after.saturating_add(SKEW) {
            return Err(Error::ClockSkew {
                now,
                not_before: self.not_before,
                not_after: self.not_after,
            });
        }
        if !policy.trust.covers(&self.identity) {
            return Err(Error::Policy(PolicyFault::Identity));
        }
        Ok(VerifiedBundle(self))
    }

    /// The encoding, signature included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// First 16 bytes of SHA-256 of the encoding.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.hash.first_chunk().copied().unwrap_or_default()
    }

    /// SHA-256 of the encoding.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The suite of the KEM key.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether the key serves one handshake only.
    #[must_use]
    pub const fn is_single_use(&self) -> bool {
        self.single_use
    }

    /// Start and end of the window, unix seconds.
    #[must_use]
    pub const fn window(&self) -> (u64, u64) {
        (self.not_before, self.not_after)
    }

    /// What is served.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The instance's Ed25519 public key.
    #[must_use]
    pub const fn identity(&self) -> [u8; 32] {
        self.identity
    }

    pub(crate) fn kem_key(&self) -> &[u8] {
        &self.kem_key
    }
}

/// What a client wants of a bundle (section 3.2). Nothing falls back by itself.
#[derive(Clone, Debug)]
pub struct BundlePolicy {
    suites: Vec<Suite>,
    label: String,
    require_single_use: bool,
    trust: IdentityTrust,
}

impl BundlePolicy {
    /// Any suite of this version, for `label`, from an identity that `trust` covers.
    #[must_use]
    pub fn new(label: &str, trust: IdentityTrust) -> Self {
        Self {
            suites: Suite::ALL.to_vec(),
            label: label.to_owned(),
            require_single_use: false,
            trust,
        }
    }

    /// Accepts these suites only.
    #[must_use]
    pub fn suites(mut self, suites: &[Suite]) -> Self {
        self.suites = suites.to_vec();
        self
    }

    /// Requires a single-use key: early data then has forward secrecy as soon as the instance has accepted it.
    #[must_use]
    pub const fn require_single_use(mut self, required: bool) -> Self {
        self.require_single_use = required;
        self
    }
}

/// Which identities a client trusts.
#[derive(Clone, Debug)]
pub struct IdentityTrust(Trusted);

#[derive(Clone, Debug)]
enum Trusted {
    Listed(Vec<[u8; 32]>),
    Anyone,
}

impl IdentityTrust {
    /// Identities that the user pinned.
    #[must_use]
    pub fn pinned(identities: &[[u8; 32]]) -> Self {
        Self(Trusted::Listed(identities.to_vec()))
    }

    /// An identity that an evidence verifier has just proven under its policy. Verifiers call this, nobody else.
    #[must_use]
    pub fn attested(identity: [u8; 32]) -> Self {
        Self(Trusted::Listed(alloc::vec![identity]))
    }

    /// Whoever the relay names: it can then read everything. For development only.
    #[must_use]
    pub const fn insecure_trust_relay() -> Self {
        Self(Trusted::Anyone)
    }

    /// The identities, for display; `None` where anyone's is trusted.
    #[must_use]
    pub fn identities(&self) -> Option<&[[u8; 32]]> {
        match &self.0 {
            Trusted::Listed(identities) => Some(identities),
            Trusted::Anyone => None,
        }
    }

    fn covers(&self, identity: &[u8; 32]) -> bool {
        match &self.0 {
            Trusted::Listed(identities) => identities.contains(identity),
            Trusted::Anyone => true,
        }
    }
}

/// A bundle that passed every check; only [`Bundle::verify`] makes one, and handshakes start from nothing else.
#[derive(Clone, Debug)]
pub struct VerifiedBundle(Bundle);

impl VerifiedBundle {
    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.0
    }
}
