//! An instance's bundle keys: making, rotating, single use, replay filters, erasure (spec/protocol.md section 3.3).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::bundle::{Bundle, Statement};
use crate::codec;
use crate::crypto::{CryptoProvider, DecapsulationKey, Suite};
use crate::error::{ApiMisuse, Error, HandshakeFault};
use crate::identity::IdentityKey;
use crate::limits::MAX_WINDOW;

/// The time, handed in: the core reads no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Seconds since the unix epoch, for windows in bundles.
    pub unix: u64,
    /// Seconds on a clock that never steps, for the age of keys.
    pub monotonic: u64,
}

/// How a key ring makes and drops keys.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct KeyRingConfig {
    /// Age at which a multi-use key is replaced, seconds. At most `lifetime`.
    pub rotation: u64,
    /// Age at which any key is erased, seconds. At most 1,200.
    pub lifetime: u64,
    /// Handshakes accepted under one multi-use key; then it is erased.
    pub filter_capacity: usize,
    /// Single-use keys held at one time.
    pub single_use_capacity: usize,
}

impl Default for KeyRingConfig {
    fn default() -> Self {
        Self {
            rotation: 600,
            lifetime: MAX_WINDOW,
            filter_capacity: 65_536,
            single_use_capacity: 1_024,
        }
    }
}

/// A bundle and its secret key. Erased when the ring and the handshakes in progress have dropped it.
pub struct BundleKey {
    bundle: Bundle,
    secret: Box<dyn DecapsulationKey>,
}

impl BundleKey {
    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub(super) fn secret(&self) -> &dyn DecapsulationKey {
        &*self.secret
    }
}

struct Held {
    key: Arc<BundleKey>,
    made: u64,
    /// H1 accepted under a multi-use key; `None` for single use.
    accepted: Option<BTreeSet<[u8; 16]>>,
}

/// The keys of one label. Not shared between processes, not stored, erased with the process.
pub struct KeyRing {
    provider: CryptoProvider,
    identity: IdentityKey,
    label: String,
    config: KeyRingConfig,
    keys: Vec<Held>,
}

impl KeyRing {
    /// A ring for `label` under `identity`.
    ///
    /// # Errors
    /// `ApiMisuse` for a label or configuration out of the limits of section 2.3.
    pub fn new(
        provider: &CryptoProvider,
        identity: IdentityKey,
        label: &str,
        config: KeyRingConfig,
    ) -> Result<Self, Error> {
        let sound = codec::label(label.as_bytes()).is_some()
            && (1..=MAX_WINDOW).contains(&config.lifetime)
            && (1..=config.lifetime).contains(&config.rotation)
            && config.filter_capacity > 0;
        if !sound {
            return Err(ApiMisuse::KeyRing.into());
        }
        Ok(Self {
            provider: *provider,
            identity,
            label: label.to_owned(),
            config,
            keys: Vec::new(),
        })
    }

    /// What signs the bundles, and the receipts of streams accepted under them.
    #[must_use]
    pub const fn identity(&self) -> &IdentityKey {
        &self.identity
    }

    /// What is served.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(super) const fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// The current multi-use bundle of a suite, made anew when the last one is due for rotation.
    ///
    /// # Errors
    /// `ApiMisuse` if the provider lacks the suite, `Crypto` if it fails.
    pub fn bundle(&mut self, suite: Suite, now: Now) -> Result<Bundle, Error> {
        self.erase_expired(now);
        let rotation = self.config.rotation;
        let current = self.keys.iter().find(|held| {
            held.accepted.is_some()
                && held.key.bundle.suite() == suite
                && now.monotonic.saturating_sub(held.made) < rotation
        });
        match current {
            Some(held) => Ok(held.key.bundle.clone()),
            None => self.make(suite, false, now),
        }
    }

    /// A fresh single-use bundle: its key serves one handshake.
    ///
    /// # Errors
    /// `busy` while as many as configured are out, otherwise as [`KeyRing::bundle`].
    pub fn single_use_bundle(&mut self, suite: Suite, now: Now) -> Result<Bundle, Error> {
        self.erase_expired(now);
        let out = self
            .keys
            .iter()
            .filter(|held| held.accepted.is_none())
            .count();
        if out >= self.config.single_use_capacity {
            return Err(HandshakeFault::Busy.into());
        }
        self.make(suite, true, now)
    }

    /// The key behind a bundle id, if it is still held.
    pub fn key(&mut self, bundle_id: &[u8; 16], now: Now) -> Option<Arc<BundleKey>> {
        self.erase_expired(now);
        self.keys
            .iter()
            .find(|held| held.key.bundle.id() == *bundle_id)
            .map(|held| Arc::clone(&held.key))
    }

    /// Erases keys that have reached their lifetime. Every other call does it too; an idle instance calls it on a timer.
    pub fn erase_expired(&mut self, now: Now) {
        let lifetime = self.config.lifetime;
        self.keys
            .retain(|held| now.monotonic.saturating_sub(held.made) < lifetime);
    }

    /// Step 6 of section 5.4: once for each H1, and for a single-use key once at all.
    pub(super) fn admit(
        &mut self,
        key: &Arc<BundleKey>,
        digest: [u8; 16],
        now: Now,
    ) -> Result<(), Error> {
        self.erase_expired(now);
        let position = self
            .keys
            .iter()
            .position(|held| Arc::ptr_eq(&held.key, key));
        let held = position.and_then(|index| Some((index, self.keys.get_mut(index)?)));
        let Some((index, held)) = held else {
            // Somebody else took a single-use key, or a multi-use key has gone, since this handshake looked it up.
            return Err(if key.bundle.is_single_use() {
                HandshakeFault::Replayed.into()
            } else {
                HandshakeFault::KeyUnknown.into()
            });
        };
        let spent = match &mut held.accepted {
            None => true,
            Some(accepted) => {
                if !accepted.insert(digest) {
                    return Err(HandshakeFault::Replayed.into());
                }
                accepted.len() >= self.config.filter_capacity
            }
        };
        if spent {
            self.keys.swap_remove(index);
        }
        Ok(())
    }

    fn make(&mut self, suite: Suite, single_use: bool, now: Now) -> Result<Bundle, Error> {
        let kem = self
            .provider
            .kem(suite)
            .ok_or(ApiMisuse::SuiteUnsupported)?;
        let pair = kem.generate()?;
        let bundle = Bundle::sign(
            &self.provider.verification,
            &self.identity,
            Statement {
                suite,
                single_use,
                not_before: now.unix,
                not_after: now.unix.saturating_add(self.config.lifetime),
                label: &self.label,
                kem_key: &pair.public_key,
            },
        );
        self.keys.push(Held {
            key: Arc::new(BundleKey {
                bundle: bundle.clone(),
                secret: pair.secret_key,
            }),
            made: now.monotonic,
            accepted: (!single_use).then(BTreeSet::new),
        });
        Ok(bundle)
    }
}
