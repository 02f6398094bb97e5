//! The request keys of this process, on the machine's monotonic clock.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sealwire::CryptoProvider;
use sealwire::compat::chutes::{
    ChutesError, KeyRing, KeyRingConfig, Request, RequestKey, Unadmitted,
};
use sealwire_http::net::lock;
use tokio::time::sleep;

/// How often an idle instance looks for keys to erase.
const ERASE_INTERVAL: Duration = Duration::from_secs(10);

/// One key at a time for all chutes, and those that it replaced.
pub(super) struct Keys {
    ring: Mutex<KeyRing>,
    start: Instant,
}

impl Keys {
    pub(super) fn new(
        provider: &CryptoProvider,
        config: KeyRingConfig,
    ) -> Result<Self, ChutesError> {
        Ok(Self {
            ring: Mutex::new(KeyRing::new(provider, config)?),
            start: Instant::now(),
        })
    }

    /// The key of discovery and evidence.
    pub(super) fn public_key(&self) -> Result<String, ChutesError> {
        self.lock().public_key(self.now())
    }

    /// What a request may be sealed to.
    pub(super) fn candidates(&self) -> Vec<Arc<RequestKey>> {
        self.lock().candidates(self.now())
    }

    /// Accepts a request, once.
    pub(super) fn admit(&self, request: Unadmitted) -> Result<Request, ChutesError> {
        request.admit(&mut self.lock(), self.now())
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, KeyRing> {
        // The ring is sound after each of its calls, also one that did not return.
        lock(&self.ring)
    }
}

/// Erases keys at the end of their life also when nobody asks, until the instance is gone.
pub(super) fn erase_in_time(keys: &Arc<Keys>) {
    let keys = Arc::downgrade(keys);
    tokio::spawn(async move {
        loop {
            sleep(ERASE_INTERVAL).await;
            let Some(keys) = keys.upgrade() else { return };
            keys.lock().erase_expired(keys.now());
        }
    });
}
