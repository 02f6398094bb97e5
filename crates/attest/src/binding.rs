//! What a quote must be bound to.

/// What a quote must be bound to, and so what a [`crate::Verified`] vouches for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Binding<'a> {
    /// The deployed protocol: `SHA-256(hex of the nonce | key)` and the hash of the VM's certificate key.
    ChutesV1 {
        /// The nonce that this verifier sent.
        nonce: &'a [u8; 32],
        /// The instance's key as discovery lists it; `None` if discovery does not list the instance.
        e2e_pubkey_b64: Option<&'a str>,
        /// What helps to say which of the two is wrong.
        hints: Hints<'a>,
    },
    /// sealwire/1: identity, nonce and statement.
    Native {
        /// The identity in the bundle.
        identity: &'a [u8; 32],
        /// The nonce that this verifier sent; `None` for stapled evidence.
        nonce: Option<&'a [u8; 32]>,
        /// The statement's exact bytes.
        statement: &'a [u8],
    },
    /// No enclave: the identity is on the policy's list of pins.
    Pinned {
        /// The identity in the bundle.
        identity: &'a [u8; 32],
    },
}

/// The hash in a chutes-v1 quote covers nonce and key at once, so a mismatch alone does not say which of them differs. Other values that
/// a verifier knows can tell. They never make evidence pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Keys of other instances, as discovery lists them.
    pub other_keys: &'a [&'a str],
    /// Nonces that this verifier sent before.
    pub other_nonces: &'a [[u8; 32]],
}

/// How old evidence can be. A quote has no time in it; only a verifier's own nonce shows that it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// It answers a nonce that this verifier sent at this time, unix seconds.
    Challenged {
        /// When the nonce left, unix seconds.
        sent: u64,
    },
    /// It answers nobody's nonce, or another verifier's: it has no age, and the policy must allow that.
    Stapled,
}
