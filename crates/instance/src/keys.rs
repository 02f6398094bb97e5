//! The key rings of the labels that an instance serves, on the machine's clocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealwire::crypto::Secret;
use sealwire::handshake::ParsedRequest;
use sealwire::server::{Accepted, KeyRing, Now, decapsulate};
use sealwire::{Bundle, CryptoProvider, Error, HandshakeFault, IdentityKey, Limits, Suite};
use sealwire_http::discovery::BundleQuery;
use sealwire_http::net::lock;
use tokio::time::sleep;

use crate::{InstanceConfig, StartError, unix_now};

/// How often an idle instance looks for keys to erase.
const ERASE_INTERVAL: Duration = Duration::from_secs(10);

/// All bundle keys of a process, and its identity.
pub(crate) struct Keys {
    provider: CryptoProvider,
    identity: IdentityKey,
    suites: Vec<Suite>,
    rings: BTreeMap<String, Mutex<KeyRing>>,
    start: Instant,
}

impl Keys {
    pub(crate) fn new(
        config: &InstanceConfig,
        provider: CryptoProvider,
        seed: &Secret<32>,
    ) -> Result<Self, StartError> {
        let mut rings = BTreeMap::new();
        for model in &config.models {
            let identity = IdentityKey::from_seed(&provider, seed);
            let ring = KeyRing::new(&provider, identity, model, config.keys)
                .map_err(|error| StartError::Keys(model.clone(), error))?;
            rings.insert(model.clone(), Mutex::new(ring));
        }
        Ok(Self {
            provider,
            identity: IdentityKey::from_seed(&provider, seed),
            suites: config.suites.clone(),
            rings,
            start: Instant::now(),
        })
    }

    pub(crate) const fn identity(&self) -> &IdentityKey {
        &self.identity
    }

    pub(crate) fn suites(&self) -> &[Suite] {
        &self.suites
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.rings.keys().map(String::as_str)
    }

    fn now(&self) -> Now {
        Now {
            unix: unix_now(),
            monotonic: self.start.elapsed().as_secs(),
        }
    }

    /// The bundles that answer a query, one for each suite; `None` if the label is not served.
    pub(crate) fn bundles(&self, query: &BundleQuery) -> Option<Result<Vec<Bundle>, Error>> {
        let ring = self.rings.get(&query.label)?;
        let now = self.now();
        let mut ring = lock(ring);
        let bundles = self
            .suites
            .iter()
            .filter(|suite| query.suite.is_none_or(|wanted| wanted == suite.to_u16()))
            .map(|suite| {
                if query.single_use {
                    ring.single_use_bundle(*suite, now)
                } else {
                    ring.bundle(*suite, now)
                }
            })
            .collect();
        Some(bundles)
    }

    /// Accepts H1; appends H2 to `out`. The decapsulation runs outside of the lock.
    pub(crate) fn accept(
        &self,
        request: ParsedRequest,
        context: &[u8],
        limits: &Limits,
        out: &mut Vec<u8>,
    ) -> Result<Accepted, Error> {
        let id = request.bundle_id();
        let now = self.now();
        let (ring, key) = self
            .rings
            .values()
            .find_map(|ring| Some((ring, lock(ring).key(&id, now)?)))
            .ok_or(HandshakeFault::KeyUnknown)?;
        decapsulate(&self.provider, request, key, context)?
            .admit(&mut lock(ring), self.now())?
            .respond(limits, out)
    }
}

/// Erases keys at the end of their life also when nobody asks, until the instance is gone.
pub(crate) fn erase_in_time(keys: &Arc<Keys>) {
    let keys = Arc::downgrade(keys);
    tokio::spawn(async move {
        loop {
            sleep(ERASE_INTERVAL).await;
            let Some(keys) = keys.upgrade() else { return };
            let now = keys.now();
            for ring in keys.rings.values() {
                lock(ring).erase_expired(now);
            }
        }
    });
}
