//! Discovery: asks the relay for instances and nonces, one question at a time for each user and deployment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sealwire::CryptoProvider;
use sealwire::compat::chutes::InstanceKey;
use sealwire_http::chutes::INSTANCES_PREFIX;
use sealwire_http::net::lock;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::api::{Api, User};
use super::error::Fault;
use super::nonces::{MARGIN, Offer, Pool, Seen, Ticket};
use crate::unix_now;

/// Largest answer.
const MAX_ANSWER: usize = 4 * 1_024 * 1_024;
/// Instances that are read of an answer, and nonces of each.
const MAX_INSTANCES: usize = 64;
const MAX_OFFERED: usize = 64;
/// Longest name of an instance, and longest nonce.
const MAX_TOKEN: usize = 128;
/// Life of nonces if the relay does not say, and the longest that is believed, in seconds.
const DEFAULT_LIFE: f64 = 55.0;
const MAX_LIFE: f64 = 300.0;
/// Pools that are kept.
const MAX_POOLS: usize = 1_024;

#[derive(Deserialize)]
struct Answer {
    /// Each read by itself: one of another form does not hide the others.
    instances: Vec<Value>,
    nonce_expires_in: Option<f64>,
    nonce_expires_at: Option<f64>,
}

#[derive(Deserialize)]
struct Listed {
    instance_id: String,
    e2e_pubkey: String,
    nonces: Vec<Value>,
}

/// What an answer holds that can be used.
struct Discovered {
    offers: Vec<Offer>,
    life: Duration,
}

impl Answer {
    /// Reads an answer. An instance that cannot be used does not hide the others.
    fn read(self, provider: &CryptoProvider, unix_now: u64) -> Result<Discovered, Fault> {
        // No clock gets past 2^53 seconds.
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of a clock, far below 2^53"
        )]
        let now = unix_now as f64;
        let told = self.nonce_expires_in;
        let by_clock = self.nonce_expires_at.map(|at| at - now);
        let life = match (told, by_clock) {
            (Some(told), Some(by_clock)) => told.min(by_clock),
            (Some(life), None) | (None, Some(life)) => life,
            (None, None) => DEFAULT_LIFE,
        };
        let margin = MARGIN.as_secs_f64();
        if life.is_nan() || life <= margin {
            let difference = told.unwrap_or(DEFAULT_LIFE) - life;
            let difference = Duration::try_from_secs_f64(difference).map_or(0, |d| d.as_secs());
            return Err(Fault::Clock(difference));
        }
        let offers = self
            .instances
            .into_iter()
            .take(MAX_INSTANCES)
            .filter_map(|listed| serde_json::from_value::<Listed>(listed).ok())
            .filter(|listed| is_token(&listed.instance_id))
            .filter_map(|listed| {
                let key = InstanceKey::from_base64(provider, &listed.e2e_pubkey).ok()?;
                Some(Offer {
                    instance: listed.instance_id,
                    key,
                    nonces: listed
                        .nonces
                        .into_iter()
                        .take(MAX_OFFERED)
                        .filter_map(|nonce| match nonce {
                            Value::String(nonce) if is_token(&nonce) => Some(nonce),
                            _ => None,
                        })
                        .collect(),
                })
            })
            .collect();
        Ok(Discovered {
            offers,
            life: Duration::try_from_secs_f64(life.min(MAX_LIFE)).unwrap_or_default(),
        })
    }
}

/// Printable, without blanks: it goes into a header.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TOKEN
        && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// The pool of one user and one deployment.
pub(super) struct Entry {
    chute: String,
    pool: Mutex<Pool>,
    /// Held by who asks the relay; when and why the last question failed.
    asking: tokio::sync::Mutex<Option<(Instant, Fault)>>,
}

impl Entry {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing panics while it is held.
        lock(&self.pool)
    }

    /// The instances that a nonce is left for.
    pub(super) fn instances(&self) -> Vec<(String, InstanceKey)> {
        self.pool().instances(Instant::now())
    }

    /// Whether the last discovery brought a nonce for such an instance.
    pub(super) fn brought(&self, of: impl Fn(&str, &InstanceKey) -> bool) -> bool {
        self.pool().brought(of)
    }

    pub(super) fn drop_batch(&self, batch: u64) {
        self.pool().drop_batch(batch);
    }

    pub(super) fn drop_instance(&self, instance: &str) {
        self.pool().drop_instance(instance);
    }
}

/// All pools.
pub(super) struct Instances {
    api: Arc<Api>,
    provider: CryptoProvider,
    entries: Mutex<HashMap<(User, String), Arc<Entry>>>,
    seen: Mutex<Seen>,
}

impl Instances {
    pub(super) fn new(api: Arc<Api>, provider: CryptoProvider) -> Self {
        Self {
            api,
            provider,
            entries: Mutex::new(HashMap::new()),
            seen: Mutex::new(Seen::default()),
        }
    }

    /// The pool of a user and a deployment.
    pub(super) fn entry(&self, user: User, chute: &str) -> Arc<Entry> {
        let mut entries = lock(&self.entries);
        if entries.len() >= MAX_POOLS {
            let now = Instant::now();
            entries.retain(|_, entry| !entry.pool().instances(now).is_empty());
            if entries.len() >= MAX_POOLS {
                entries.clear();
            }
        }
        let entry = entries.entry((user, chute.to_owned())).or_insert_with(|| {
            Arc::new(Entry {
                chute: chute.to_owned(),
                pool: Mutex::new(Pool::default()),
                asking: tokio::sync::Mutex::new(None),
            })
        });
        Arc::clone(entry)
    }

    /// A nonce that is left, of an accepted instance. Asks for more in the background when few are.
    pub(super) fn take(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        key: Option<&str>,
        accept: impl Fn(&str, &InstanceKey) -> bool,
    ) -> Option<Ticket> {
        let now = Instant::now();
        let (ticket, is_low) = {
            let mut pool = entry.pool();
            (pool.take(now, &accept), pool.is_low(now, &accept))
        };
        if is_low && ticket.is_some() {
            self.refill(entry, key);
        }
        ticket
    }

    /// Asks the relay, unless somebody else has since `batch`.
    pub(super) async fn ask(
        &self,
        entry: &Entry,
        key: Option<&str>,
        batch: u64,
    ) -> Result<(), Fault> {
        let came = Instant::now();
        let mut failed = entry.asking.lock().await;
        if entry.pool().batch() != batch {
            return Ok(());
        }
        // Who waited while it failed fails with it.
        if let Some((at, fault)) = &*failed
            && *at >= came
        {
            return Err(fault.clone());
        }
        let result = self.fetch(entry, key).await;
        *failed = result.clone().err().map(|fault| (Instant::now(), fault));
        result
    }

    /// The count of discoveries so far.
    pub(super) fn batch(&self, entry: &Entry) -> u64 {
        entry.pool().batch()
    }

    fn refill(self: &Arc<Self>, entry: &Arc<Entry>, key: Option<&str>) {
        let (this, entry) = (Arc::clone(self), Arc::clone(entry));
        let key = key.map(str::to_owned);
        tokio::spawn(async move {
            // One at a time; who is there already brings what is needed.
            if let Ok(_asking) = entry.asking.try_lock() {
                let _ = this.fetch(&entry, key.as_deref()).await;
            }
        });
    }

    async fn fetch(&self, entry: &Entry, key: Option<&str>) -> Result<(), Fault> {
        // The life of nonces runs from before the question.
        let asked = Instant::now();
        let path = format!("{INSTANCES_PREFIX}{}", entry.chute);
        let answer: Answer = self
            .api
            .get(&self.api.e2e_base, &path, key, MAX_ANSWER)
            .await?;
        let Discovered { offers, life } = answer.read(&self.provider, unix_now())?;
        let mut start = [0];
        // Without chance the turns begin at the first instance.
        let _ = self.provider.random.fill(&mut start);
        let mut seen = lock(&self.seen);
        entry.pool().merge(
            offers,
            asked + life,
            usize::from(start[0]),
            &mut seen,
            Instant::now(),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sealwire::compat::chutes::{KeyRing, KeyRingConfig};
    use sealwire::rustcrypto;
    use serde_json::json;

    use super::*;

    fn read(answer: Value) -> Result<Discovered, Fault> {
        let answer: Answer = serde_json::from_value(answer).expect("an answer");
        answer.read(&rustcrypto::provider(), 1_000)
    }

    #[test]
    fn the_shorter_of_two_lives_counts() {
        for (answer, seconds) in [
            (json!({"instances": [], "nonce_expires_in": 60}), 60),
            (json!({"instances": [], "nonce_expires_at": 1_040.0}), 40),
            (
                json!({"instances": [], "nonce_expires_in": 60, "nonce_expires_at": 1_030}),
                30,
            ),
            (
                json!({"instances": [], "nonce_expires_in": 20, "nonce_expires_at": 9_000}),
                20,
            ),
            (json!({"instances": []}), 55),
            (json!({"instances": [], "nonce_expires_in": 1e9}), 300),
        ] {
            let life = read(answer.clone()).map(|discovered| discovered.life);
            assert_eq!(life.ok(), Some(Duration::from_secs(seconds)), "{answer}");
        }
    }

    #[test]
    fn nonces_that_have_expired_by_this_clock_are_a_fault_of_the_clock() {
        let answer = json!({"instances": [], "nonce_expires_in": 60, "nonce_expires_at": 960});
        assert_eq!(read(answer).err(), Some(Fault::Clock(100)));
        let answer = json!({"instances": [], "nonce_expires_in": 5});
        assert_eq!(read(answer).err(), Some(Fault::Clock(0)));
    }

    #[test]
    fn what_cannot_be_used_is_left_out_and_the_rest_stays() {
        let provider = rustcrypto::provider();
        let mut ring = KeyRing::new(&provider, KeyRingConfig::default()).expect("sound");
        let key = ring.public_key(0).expect("a key");
        let instance = |id: &str, key: &str, nonces: Value| json!({"instance_id": id, "e2e_pubkey": key, "nonces": nonces, "x": 1});
        let long = "n".repeat(200);
        let answer = json!({"instances": [
            instance("a", "AAAA", json!(["n1"])),
            instance("b c", &key, json!(["n2"])),
            instance("d", &key, json!(["n3", "", "n 4", "n\r\n5", long])),
        ]});
        let discovered = read(answer).expect("an answer");
        let [offer] = discovered.offers.as_slice() else {
            panic!("one instance");
        };
        assert_eq!(offer.instance, "d");
        assert_eq!(offer.nonces, ["n3"]);
    }

    #[test]
    fn an_entry_of_an_odd_type_does_not_hide_the_others() {
        let provider = rustcrypto::provider();
        let mut ring = KeyRing::new(&provider, KeyRingConfig::default()).expect("sound");
        let key = ring.public_key(0).expect("a key");
        let good = json!({"instance_id": "a", "e2e_pubkey": key, "nonces": ["n1"]});
        for odd in [
            json!(7),
            json!(null),
            json!([]),
            json!({}),
            json!({"instance_id": 7, "e2e_pubkey": key, "nonces": ["n2"]}),
            json!({"instance_id": "b", "e2e_pubkey": null, "nonces": ["n2"]}),
            json!({"instance_id": "b", "e2e_pubkey": key, "nonces": "n2"}),
        ] {
            let answer = json!({"instances": [odd, good]});
            let discovered = read(answer.clone()).expect("an answer");
            let usable: Vec<&str> = discovered
                .offers
                .iter()
                .map(|offer| offer.instance.as_str())
                .collect();
            assert_eq!(usable, ["a"], "{answer}");
        }
    }

    #[test]
    fn a_nonce_of_an_odd_type_does_not_hide_the_others() {
        let provider = rustcrypto::provider();
        let mut ring = KeyRing::new(&provider, KeyRingConfig::default()).expect("sound");
        let key = ring.public_key(0).expect("a key");
        let entry = json!({"instance_id": "a", "e2e_pubkey": key, "nonces": [7, "n1", null]});
        let discovered = read(json!({"instances": [entry]})).expect("an answer");
        let nonces: Vec<&[String]> = discovered
            .offers
            .iter()
            .map(|offer| offer.nonces.as_slice())
            .collect();
        assert_eq!(nonces, [["n1"]]);
    }
}
