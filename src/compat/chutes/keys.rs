//! An instance's request keys: rotation, replay filters, erasure (section 7 of spec/compat-chutes.md).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ChutesError;
use super::schedule::kem;
use crate::crypto::{CryptoProvider, DecapsulationKey};

/// How keys are made and dropped. Times are seconds on a clock that never steps.
#[derive(Clone, Copy, Debug)]
pub struct KeyRingConfig {
    /// Age at which a key is replaced in discovery.
    pub rotation: u64,
    /// Age at which a key is erased; the difference to `rotation` is the time in which clients may still use what discovery told them.
    pub lifetime: u64,
    /// Requests accepted under one key; then it is erased.
    pub filter_capacity: usize,
}

impl Default for KeyRingConfig {
    fn default() -> Self {
        Self {
            rotation: 600,
            lifetime: 900,
            filter_capacity: 65_536,
        }
    }
}

/// One request key. Erased when the ring and the requests in progress have dropped it.
pub struct RequestKey {
    public_base64: String,
    secret: Box<dyn DecapsulationKey>,
}

impl RequestKey {
    #[cfg(feature = "conformance")]
    pub(super) fn new(public_base64: String, secret: Box<dyn DecapsulationKey>) -> Self {
        Self {
            public_base64,
            secret,
        }
    }

    pub(super) fn secret(&self) -> &dyn DecapsulationKey {
        &*self.secret
    }
}

struct Held {
    key: Arc<RequestKey>,
    made: u64,
    accepted: BTreeSet<[u8; 32]>,
}

/// The request keys of one process: at most the current one and those that it replaced and that are not yet too old. Never stored, never shared.
pub struct KeyRing {
    provider: CryptoProvider,
    config: KeyRingConfig,
    /// The youngest last.
    keys: Vec<Held>,
}

impl KeyRing {
    /// An empty ring; the first key is made when it is first asked for.
    ///
    /// # Errors
    /// [`ChutesError::KeyRing`].
    pub fn new(provider: &CryptoProvider, config: KeyRingConfig) -> Result<Self, ChutesError> {
        let sound =
            config.rotation > 0 && config.rotation <= config.lifetime && config.filter_capacity > 0;
        if !sound {
            return Err(ChutesError::KeyRing);
        }
        Ok(Self {
            provider: *provider,
            config,
            keys: Vec::new(),
        })
    }

    /// `e2e_pubkey` for discovery and evidence; made anew when the last one is due.
    ///
    /// # Errors
    /// [`ChutesError::Crypto`].
    pub fn public_key(&mut self, now: u64) -> Result<String, ChutesError> {
        self.erase_expired(now);
        if let Some(held) = self.keys.last()
            && now.saturating_sub(held.made) < self.config.rotation
        {
            return Ok(held.key.public_base64.clone());
        }
        let pair = kem(&self.provider)?.generate()?;
        let public_base64 = STANDARD.encode(&pair.public_key);
        self.keys.push(Held {
            key: Arc::new(RequestKey {
                public_base64: public_base64.clone(),
                secret: pair.secret_key,
            }),
            made: now,
            accepted: BTreeSet::new(),
        });
        Ok(public_base64)
    }

    #[cfg(feature = "conformance")]
    pub(super) fn hold(&mut self, key: Arc<RequestKey>) {
        self.keys.push(Held {
            key,
            made: 0,
            accepted: BTreeSet::new(),
        });
    }

    /// The keys that a request may be for, the youngest first. A request does not name its key, so each is tried.
    pub fn candidates(&mut self, now: u64) -> Vec<Arc<RequestKey>> {
        self.erase_expired(now);
        self.keys
            .iter()
            .rev()
            .map(|held| Arc::clone(&held.key))
            .collect()
    }

    /// Erases keys at the end of their life.
    pub fn erase_expired(&mut self, now: u64) {
        let lifetime = self.config.lifetime;
        self.keys
            .retain(|held| now.saturating_sub(held.made) < lifetime);
    }

    /// Accepts a request once. A key whose filter is full is erased with it.
    pub(super) fn admit(
        &mut self,
        key: &Arc<RequestKey>,
        request: [u8; 32],
        now: u64,
    ) -> Result<(), ChutesError> {
        self.erase_expired(now);
        // Erased while the request was being opened: without its filter a replay could not be told.
        let at = self
            .keys
            .iter()
            .position(|held| Arc::ptr_eq(&held.key, key))
            .ok_or(ChutesError::Decrypt)?;
        let Some(held) = self.keys.get_mut(at) else {
            return Err(ChutesError::Decrypt);
        };
        if !held.accepted.insert(request) {
            return Err(ChutesError::Replayed);
        }
        if held.accepted.len() >= self.config.filter_capacity {
            self.keys.remove(at);
        }
        Ok(())
    }
}
