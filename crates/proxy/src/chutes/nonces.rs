//! A user's unused nonces for one deployment, spread over its instances. No I/O, no clock: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use sealwire::compat::chutes::InstanceKey;
use tokio::time::Instant;

/// A nonce is not used in its last seconds: the request has to arrive too.
pub(super) const MARGIN: Duration = Duration::from_secs(5);
/// How long a nonce that came is remembered, so that it never comes in again: longer than any relay keeps it.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Nonces that are remembered.
const MAX_REMEMBERED: usize = 262_144;
/// Nonces of one instance.
const MAX_NONCES: usize = 128;

/// One instance as discovery lists it.
pub(super) struct Offer {
    pub(super) instance: String,
    pub(super) key: InstanceKey,
    pub(super) nonces: Vec<String>,
}

/// Leave to send one request to one instance. It is not cloned and used up by sending.
pub(super) struct Ticket {
    pub(super) instance: String,
    pub(super) key: InstanceKey,
    pub(super) nonce: String,
    /// Which discovery it came with.
    pub(super) batch: u64,
}

struct Nonce {
    token: String,
    unusable_from: Instant,
    batch: u64,
}

struct Slot {
    instance: String,
    key: InstanceKey,
    nonces: VecDeque<Nonce>,
    /// How many the last discovery brought.
    brought: usize,
}

/// The nonces of one user and one deployment.
#[derive(Default)]
pub(super) struct Pool {
    slots: Vec<Slot>,
    /// Whose turn it is.
    turn: usize,
    batch: u64,
}

impl Pool {
    /// Takes a discovery's answer: its instances replace the ones before, what is left of their nonces stays. `start` says where the turns
    /// begin, so that not every client begins at the first.
    pub(super) fn merge(
        &mut self,
        offers: Vec<Offer>,
        expires: Instant,
        start: usize,
        seen: &mut Seen,
        now: Instant,
    ) {
        self.batch += 1;
        let unusable_from = expires.checked_sub(MARGIN).unwrap_or(now);
        let mut before = std::mem::take(&mut self.slots);
        for offer in offers {
            if self
                .slots
                .iter()
                .any(|slot| slot.instance == offer.instance)
            {
                continue;
            }
            let mut nonces = before
                .iter_mut()
                .find(|slot| slot.instance == offer.instance)
                .map(|slot| std::mem::take(&mut slot.nonces))
                .unwrap_or_default();
            nonces.retain(|nonce| nonce.unusable_from > now);
            let mut brought = 0;
            for token in offer.nonces {
                if nonces.len() < MAX_NONCES && seen.is_new(&token, now) {
                    brought += 1;
                    nonces.push_back(Nonce {
                        token,
                        unusable_from,
                        batch: self.batch,
                    });
                }
            }
            self.slots.push(Slot {
                instance: offer.instance,
                key: offer.key,
                nonces,
                brought,
            });
        }
        self.turn = start;
    }

    /// A nonce of the next instance in turn that has one and is accepted.
    pub(super) fn take(
        &mut self,
        now: Instant,
        accept: impl Fn(&str, &InstanceKey) -> bool,
    ) -> Option<Ticket> {
        let count = self.slots.len();
        for step in 0..count {
            let at = self.turn.wrapping_add(step) % count;
            let slot = self.slots.get_mut(at)?;
            if !accept(&slot.instance, &slot.key) {
                continue;
            }
            slot.nonces.retain(|nonce| nonce.unusable_from > now);
            if let Some(nonce) = slot.nonces.pop_front() {
                self.turn = at + 1;
                return Some(Ticket {
                    instance: slot.instance.clone(),
                    key: slot.key.clone(),
                    nonce: nonce.token,
                    batch: nonce.batch,
                });
            }
        }
        None
    }

    /// The instances that a nonce is left for.
    pub(super) fn instances(&self, now: Instant) -> Vec<(String, InstanceKey)> {
        self.slots
            .iter()
            .filter(|slot| slot.nonces.iter().any(|nonce| nonce.unusable_from > now))
            .map(|slot| (slot.instance.clone(), slot.key.clone()))
            .collect()
    }

    /// Whether the last discovery brought a nonce for such an instance, be it left or not.
    pub(super) fn brought(&self, of: impl Fn(&str, &InstanceKey) -> bool) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.brought > 0 && of(&slot.instance, &slot.key))
    }

    /// Whether accepted instances have so few nonces left that it is time for another discovery.
    pub(super) fn is_low(&self, now: Instant, accept: impl Fn(&str, &InstanceKey) -> bool) -> bool {
        let (mut left, mut brought) = (0_usize, 0_usize);
        for slot in &self.slots {
            if accept(&slot.instance, &slot.key) {
                brought += slot.brought;
                let usable = slot.nonces.iter().filter(|nonce| nonce.unusable_from > now);
                left += usable.count();
            }
        }
        left < brought.div_ceil(4)
    }

    /// Drops what came with one discovery.
    pub(super) fn drop_batch(&mut self, batch: u64) {
        for slot in &mut self.slots {
            slot.nonces.retain(|nonce| nonce.batch != batch);
        }
    }

    /// Drops an instance that does not work; the next discovery may bring it back.
    pub(super) fn drop_instance(&mut self, instance: &str) {
        self.slots.retain(|slot| slot.instance != instance);
    }

    pub(super) const fn batch(&self) -> u64 {
        self.batch
    }
}

/// Every nonce that came lately, for whichever user: one that comes again is not taken in.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, Instant>);

impl Seen {
    fn is_new(&mut self, token: &str, now: Instant) -> bool {
        if self.0.len() >= MAX_REMEMBERED {
            self.0
                .retain(|_, came| now.saturating_duration_since(*came) < REMEMBERED);
        }
        if self.0.len() >= MAX_REMEMBERED || self.0.contains_key(token) {
            return false;
        }
        self.0.insert(token.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sealwire::compat::chutes::{KeyRing, KeyRingConfig};
    use sealwire::rustcrypto;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key() -> InstanceKey {
        let provider = rustcrypto::provider();
        let mut ring = KeyRing::new(&provider, KeyRingConfig::default()).expect("sound");
        InstanceKey::from_base64(&provider, &ring.public_key(0).expect("a key")).expect("sound")
    }

    fn offers(key: &InstanceKey, instances: &[&str], each: usize, label: &str) -> Vec<Offer> {
        instances
            .iter()
            .map(|instance| Offer {
                instance: (*instance).to_owned(),
                key: key.clone(),
                nonces: (0..each)
                    .map(|n| format!("{label}-{instance}-{n}"))
                    .collect(),
            })
            .collect()
    }

    fn all(_: &str, _: &InstanceKey) -> bool {
        true
    }

    struct Rig {
        pool: Pool,
        seen: Seen,
        now: Instant,
        key: InstanceKey,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                pool: Pool::default(),
                seen: Seen::default(),
                now: Instant::now(),
                key: key(),
            }
        }

        fn merge(&mut self, instances: &[&str], each: usize, label: &str) {
            let offers = offers(&self.key, instances, each, label);
            let expires = self.now + MINUTE;
            self.pool
                .merge(offers, expires, 0, &mut self.seen, self.now);
        }

        fn take(&mut self) -> Option<Ticket> {
            self.pool.take(self.now, all)
        }
    }

    #[test]
    fn nonces_are_spread_over_instances_and_used_once() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b", "c"], 2, "x");
        let taken: Vec<Ticket> = std::iter::from_fn(|| rig.take()).collect();
        let order: Vec<&str> = taken.iter().map(|ticket| &*ticket.instance).collect();
        assert_eq!(order, ["a", "b", "c", "a", "b", "c"]);
        let different: HashSet<&str> = taken.iter().map(|ticket| &*ticket.nonce).collect();
        assert_eq!(different.len(), 6);
        for ticket in &taken {
            assert!(ticket.nonce.contains(&format!("-{}-", ticket.instance)));
        }
    }

    #[test]
    fn turns_begin_where_they_are_told() {
        let mut rig = Rig::new();
        let (offers, expires) = (offers(&rig.key, &["a", "b"], 1, "x"), rig.now + MINUTE);
        rig.pool.merge(offers, expires, 7, &mut rig.seen, rig.now);
        assert_eq!(rig.take().map(|ticket| ticket.instance), Some("b".into()));
    }

    #[test]
    fn no_nonce_is_used_in_its_last_seconds() {
        let mut rig = Rig::new();
        rig.merge(&["a"], 2, "x");
        rig.now += MINUTE - MARGIN - Duration::from_secs(1);
        assert!(rig.take().is_some());
        rig.now += Duration::from_secs(1);
        assert!(rig.take().is_none());
        assert!(rig.pool.instances(rig.now).is_empty());
    }

    #[test]
    fn a_nonce_that_comes_again_is_not_taken_in() {
        let mut rig = Rig::new();
        rig.merge(&["a"], 1, "x");
        assert!(rig.take().is_some());
        rig.merge(&["a"], 1, "x");
        assert!(rig.take().is_none());
    }

    #[test]
    fn a_nonce_of_another_user_is_not_taken_in() {
        let mut rig = Rig::new();
        rig.merge(&["a"], 1, "x");
        let mut other = Pool::default();
        let (offers, expires) = (offers(&rig.key, &["a"], 1, "x"), rig.now + MINUTE);
        other.merge(offers, expires, 0, &mut rig.seen, rig.now);
        assert!(other.take(rig.now, all).is_none());
        assert!(rig.take().is_some());
    }

    #[test]
    fn a_refused_discovery_goes_with_all_its_nonces_and_no_others() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b"], 2, "x");
        rig.merge(&["a", "b"], 1, "y");
        let ticket = rig.take().expect("there");
        assert!(ticket.nonce.starts_with("x-"));
        rig.pool.drop_batch(ticket.batch);
        let left: Vec<String> = std::iter::from_fn(|| rig.take())
            .map(|ticket| ticket.nonce)
            .collect();
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|nonce| nonce.starts_with("y-")), "{left:?}");
    }

    #[test]
    fn an_instance_that_is_gone_gives_no_nonce() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b"], 2, "x");
        rig.pool.drop_instance("a");
        assert_eq!(rig.take().map(|ticket| ticket.instance), Some("b".into()));
        // Not listed any more.
        rig.merge(&["c"], 1, "y");
        let left: Vec<String> = std::iter::from_fn(|| rig.take())
            .map(|ticket| ticket.instance)
            .collect();
        assert_eq!(left, ["c"]);
    }

    #[test]
    fn only_accepted_instances_are_used() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b"], 3, "x");
        for _ in 0..3 {
            let ticket = rig.pool.take(rig.now, |instance, _| instance == "b");
            assert_eq!(ticket.map(|ticket| ticket.instance), Some("b".into()));
        }
        assert!(
            rig.pool
                .take(rig.now, |instance, _| instance == "b")
                .is_none()
        );
    }

    #[test]
    fn an_instance_listed_twice_is_one() {
        let mut rig = Rig::new();
        rig.merge(&["a", "a"], 1, "x");
        assert_eq!(rig.pool.instances(rig.now).len(), 1);
    }

    #[test]
    fn it_is_low_when_less_than_a_quarter_is_left() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b"], 4, "x");
        for _ in 0..6 {
            assert!(!rig.pool.is_low(rig.now, all));
            assert!(rig.take().is_some());
        }
        assert!(!rig.pool.is_low(rig.now, all));
        assert!(rig.take().is_some());
        assert!(rig.pool.is_low(rig.now, all));
    }

    #[test]
    fn nonces_of_instances_that_are_not_accepted_do_not_count() {
        let mut rig = Rig::new();
        rig.merge(&["a", "b"], 4, "x");
        let only_b = |instance: &str, _: &InstanceKey| instance == "b";
        assert!(!rig.pool.is_low(rig.now, only_b));
        for _ in 0..4 {
            assert!(rig.pool.take(rig.now, only_b).is_some());
        }
        assert!(rig.pool.is_low(rig.now, only_b));
        assert!(!rig.pool.is_low(rig.now, all));
    }
}
