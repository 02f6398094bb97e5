//! What evidence has proven, and the trust that follows from it.

use sealwire::{Bundle, BundlePolicy, CryptoProvider, IdentityTrust, VerifiedBundle};

use crate::evidence::TeeKind;
use crate::statement::Statement;

/// What the quote vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// A chutes-v1 key.
    ChutesV1(AttestedChutesKey),
    /// A sealwire/1 identity, and what the instance states about itself.
    Native {
        /// The identity.
        identity: [u8; 32],
        /// The statement.
        statement: Statement,
    },
    /// An identity that the user pinned. No enclave vouches for it.
    Pinned {
        /// The identity.
        identity: [u8; 32],
    },
}

/// A chutes-v1 key that a quote vouches for; only a [`Verified`] has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedChutesKey(String);

impl AttestedChutesKey {
    pub(crate) fn new(e2e_pubkey_b64: &str) -> Self {
        Self(e2e_pubkey_b64.to_owned())
    }

    /// The key, in the base64 that the quote binds.
    #[must_use]
    pub fn as_base64(&self) -> &str {
        &self.0
    }
}

/// Evidence that passed every check; only [`crate::Report::verdict`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub(crate) tee: TeeKind,
    pub(crate) bound: Bound,
    pub(crate) measured: Option<String>,
    pub(crate) valid_until: u64,
}

/// Why a [`Verified`] does not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifiedError {
    /// The evidence is about something else.
    #[error(
        "the evidence vouches for a chutes-v1 key, not for an identity; verify it with the native binding"
    )]
    NotAnIdentity,
    /// It was good once.
    #[error(
        "the verification was good until {valid_until} and it is {now}; fetch new evidence and verify again"
    )]
    Expired {
        /// Until when, unix seconds.
        valid_until: u64,
        /// The caller's clock, unix seconds.
        now: u64,
    },
    /// The bundle is another identity's, or the bundle itself is refused.
    #[error("the bundle was refused: {0}")]
    Bundle(#[source] sealwire::Error),
    /// The attested statement does not list the label.
    #[error(
        "the attested instance serves {listed}, not `{label}`; ask for one of these, or look for another instance"
    )]
    Label {
        /// What was wanted.
        label: String,
        /// What the statement lists.
        listed: String,
    },
}

impl Verified {
    /// What made the quote; [`TeeKind::None`] for a pin.
    #[must_use]
    pub const fn tee(&self) -> TeeKind {
        self.tee
    }

    /// What the quote vouches for.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// The policy's name of the measurements, if it lists them.
    #[must_use]
    pub fn measured(&self) -> Option<&str> {
        self.measured.as_deref()
    }

    /// Until when the result may be used, unix seconds: at most one hour, the policy's age from when the nonce was sent, and the
    /// validity of collateral and tokens.
    #[must_use]
    pub const fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// The attested key of a chutes-v1 instance.
    #[must_use]
    pub const fn chutes_key(&self) -> Option<&AttestedChutesKey> {
        match &self.bound {
            Bound::ChutesV1(key) => Some(key),
            _ => None,
        }
    }

    /// The attested or pinned identity of a sealwire/1 instance.
    #[must_use]
    pub const fn identity(&self) -> Option<&[u8; 32]> {
        match &self.bound {
            Bound::Native { identity, .. } | Bound::Pinned { identity } => Some(identity),
            Bound::ChutesV1(_) => None,
        }
    }

    /// The trust that a [`BundlePolicy`] takes.
    ///
    /// # Errors
    /// [`VerifiedError`].
    pub fn trust(&self, now: u64) -> Result<IdentityTrust, VerifiedError> {
        if now > self.valid_until {
            return Err(VerifiedError::Expired {
                valid_until: self.valid_until,
                now,
            });
        }
        match &self.bound {
            Bound::Native { identity, .. } => Ok(IdentityTrust::attested(*identity)),
            Bound::Pinned { identity } => Ok(IdentityTrust::pinned(&[*identity])),
            Bound::ChutesV1(_) => Err(VerifiedError::NotAnIdentity),
        }
    }

    /// Verifies a bundle of this identity for `label`. For other wishes take [`Verified::trust`] into a policy of your own.
    ///
    /// # Errors
    /// [`VerifiedError`].
    pub fn verify_bundle(
        &self,
        bundle: Bundle,
        provider: &CryptoProvider,
        label: &str,
        now: u64,
    ) -> Result<VerifiedBundle, VerifiedError> {
        let trust = self.trust(now)?;
        if let Bound::Native { statement, .. } = &self.bound
            && !statement.labels.iter().any(|listed| listed == label)
        {
            return Err(VerifiedError::Label {
                label: label.to_owned(),
                listed: statement.labels.join(", "),
            });
        }
        let policy = BundlePolicy::new(label, trust);
        bundle
            .verify(provider, &policy, now)
            .map_err(VerifiedError::Bundle)
    }
}
