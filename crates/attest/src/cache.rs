//! Results that are still good, so that one identity costs one verification and not one for each request.

use std::collections::BTreeMap;

use crate::verified::{Bound, Verified};

/// A bounded map from key or identity to what was verified about it. An entry goes when its time is over, and the one that ends first
/// goes when there is no room.
#[derive(Debug)]
pub struct Cache {
    entries: BTreeMap<Key, Verified>,
    capacity: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Identity([u8; 32]),
    Chutes(String),
}

impl Cache {
    /// An empty cache of at most `capacity` entries.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            capacity,
        }
    }

    /// Keeps a result until [`Verified::valid_until`].
    pub fn insert(&mut self, verified: Verified, now: u64) {
        self.entries.retain(|_, entry| entry.valid_until >= now);
        if self.capacity == 0 || verified.valid_until < now {
            return;
        }
        let key = match &verified.bound {
            Bound::Native { identity, .. } | Bound::Pinned { identity } => Key::Identity(*identity),
            Bound::ChutesV1(key) => Key::Chutes(key.as_base64().to_owned()),
        };
        if !self.entries.contains_key(&key) && self.entries.len() >= self.capacity {
            let first = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.valid_until)
                .map(|(key, _)| key.clone());
            if let Some(first) = first {
                self.entries.remove(&first);
            }
        }
        self.entries.insert(key, verified);
    }

    /// What is known about an identity, if it is still good.
    #[must_use]
    pub fn identity(&self, identity: &[u8; 32], now: u64) -> Option<&Verified> {
        self.get(&Key::Identity(*identity), now)
    }

    /// What is known about a chutes-v1 key, if it is still good.
    #[must_use]
    pub fn chutes_key(&self, e2e_pubkey_b64: &str, now: u64) -> Option<&Verified> {
        self.get(&Key::Chutes(e2e_pubkey_b64.to_owned()), now)
    }

    fn get(&self, key: &Key, now: u64) -> Option<&Verified> {
        self.entries
            .get(key)
            .filter(|entry| entry.valid_until >= now)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
