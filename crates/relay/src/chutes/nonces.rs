//! Single-use nonces between clients and the relay.
//!
//! A nonce is kept as the hash of itself and of all that it is bound to, so that finding one says nothing through time about those that exist, and
//! one that is shown by another user, for another chute or for another instance is simply not there.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, ready};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sealwire::crypto::Hash;
use sealwire::rustcrypto::verification;
use sealwire_http::chutes::{NONCE_LEN, Uuid};
use sealwire_http::net::lock;
use tokio::time::Instant;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Bytes from here on would make some characters likelier than others.
const FAIR: u8 = 248;

/// No more nonces can be kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Why there are no nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IssueError {
    Full,
    Random,
}

/// Keeps the hashes of nonces until they are taken or their time is over. Several relays may share one.
pub(crate) trait NonceStore: Send + Sync {
    /// Keeps hashes of a user until `until`; bounded, for each user and in all.
    fn put(
        &self,
        user: &str,
        hashes: &[[u8; 32]],
        now: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<(), Full>> + Send;

    /// Takes a hash out. True for exactly one call after each `put`, and only in its time.
    fn take(&self, hash: &[u8; 32], now: Instant) -> impl Future<Output = bool> + Send;
}

/// What a nonce is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) user: &'a str,
    pub(crate) chute: Uuid,
    pub(crate) instance: Uuid,
}

impl Binding<'_> {
    fn hash(&self, nonce: &[u8]) -> [u8; 32] {
        let hash: &dyn Hash = verification().hash;
        // All parts but the last have one length.
        hash.sha256(&[
            self.chute.as_bytes(),
            self.instance.as_bytes(),
            nonce,
            self.user.as_bytes(),
        ])
    }
}

/// Makes and redeems nonces.
pub(crate) struct Nonces<S> {
    store: S,
    life: Duration,
}

impl<S: NonceStore> Nonces<S> {
    pub(crate) const fn new(store: S, life: Duration) -> Self {
        Self { store, life }
    }

    /// As many fresh nonces as asked for.
    pub(crate) async fn issue(
        &self,
        binding: &Binding<'_>,
        count: usize,
    ) -> Result<Vec<String>, IssueError> {
        let nonces: Vec<String> = (0..count)
            .map(|_| fresh())
            .collect::<Option<_>>()
            .ok_or(IssueError::Random)?;
        let hashes: Vec<[u8; 32]> = nonces
            .iter()
            .map(|nonce| binding.hash(nonce.as_bytes()))
            .collect();
        let now = Instant::now();
        self.store
            .put(binding.user, &hashes, now, now + self.life)
            .await
            .map_err(|Full| IssueError::Full)?;
        Ok(nonces)
    }

    /// Whether a nonce was out under this binding; it is not any more.
    pub(crate) async fn redeem(&self, binding: &Binding<'_>, nonce: &[u8]) -> bool {
        let sound = nonce.len() == NONCE_LEN && nonce.iter().all(u8::is_ascii_alphanumeric);
        sound && self.store.take(&binding.hash(nonce), Instant::now()).await
    }
}

/// A nonce from the operating system's generator; `None` if that fails.
fn fresh() -> Option<String> {
    let mut nonce = String::with_capacity(NONCE_LEN);
    let mut random = [0; 2 * NONCE_LEN];
    while nonce.len() < NONCE_LEN {
        getrandom::fill(&mut random).ok()?;
        nonce.extend(
            random
                .iter()
                .filter(|byte| **byte < FAIR)
                .filter_map(|byte| ALPHABET.get(usize::from(byte % 62)))
                .map(|byte| char::from(*byte))
                .take(NONCE_LEN - nonce.len()),
        );
    }
    Some(nonce)
}

/// A store in memory.
pub(crate) struct MemoryNonces {
    most: usize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    live: HashMap<[u8; 32], Instant>,
    /// What each user was given, oldest first; what was taken stays until its time is over, and counts.
    given: HashMap<String, VecDeque<([u8; 32], Instant)>>,
    held: usize,
}

impl MemoryNonces {
    /// A store of at most so many nonces; a user holds at most a quarter, and then loses the oldest.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            book: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Nothing panics while it is held.
        lock(&self.book)
    }
}

impl Book {
    /// Forgets what a user was given and whose time is over, and more of it, oldest first, while there is more than `keep`.
    fn trim(&mut self, user: &str, keep: usize, now: Instant) {
        let Some(given) = self.given.get_mut(user) else {
            return;
        };
        while let Some((hash, until)) = given.front() {
            if *until > now && given.len() <= keep {
                break;
            }
            self.live.remove(hash);
            self.held = self.held.saturating_sub(1);
            given.pop_front();
        }
    }
}

impl NonceStore for MemoryNonces {
    fn put(
        &self,
        user: &str,
        hashes: &[[u8; 32]],
        now: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<(), Full>> + Send {
        let mut book = self.lock();
        let keep = (self.most / 4).saturating_sub(hashes.len());
        book.trim(user, keep, now);
        if book.held.saturating_add(hashes.len()) > self.most {
            let users: Vec<String> = book.given.keys().cloned().collect();
            for user in users {
                book.trim(&user, usize::MAX, now);
            }
            book.given.retain(|_, given| !given.is_empty());
        }
        if book.held.saturating_add(hashes.len()) > self.most {
            return ready(Err(Full));
        }
        book.held += hashes.len();
        for hash in hashes {
            book.live.insert(*hash, until);
        }
        let given = book.given.entry(user.to_owned()).or_default();
        given.extend(hashes.iter().map(|hash| (*hash, until)));
        ready(Ok(()))
    }

    fn take(&self, hash: &[u8; 32], now: Instant) -> impl Future<Output = bool> + Send {
        ready(
            self.lock()
                .live
                .remove(hash)
                .is_some_and(|until| now < until),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUTE: Uuid = Uuid::from_u128(1);
    const INSTANCE: Uuid = Uuid::from_u128(2);
    const BINDING: Binding<'static> = Binding {
        user: "u",
        chute: CHUTE,
        instance: INSTANCE,
    };

    fn nonces(most: usize, life: u64) -> Nonces<MemoryNonces> {
        Nonces::new(MemoryNonces::new(most), Duration::from_secs(life))
    }

    #[tokio::test]
    async fn a_nonce_is_good_once() {
        let nonces = nonces(1_000, 75);
        let issued = nonces.issue(&BINDING, 10).await.expect("room");
        assert_eq!(issued.len(), 10);
        for nonce in &issued {
            assert_eq!(nonce.len(), NONCE_LEN);
            assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(nonces.redeem(&BINDING, nonce.as_bytes()).await);
            assert!(!nonces.redeem(&BINDING, nonce.as_bytes()).await);
        }
    }

    #[tokio::test]
    async fn a_nonce_under_another_binding_is_not_there_and_stays_its_owners() {
        let nonces = nonces(1_000, 75);
        let issued = nonces.issue(&BINDING, 1).await.expect("room");
        let nonce = issued[0].as_bytes();
        for other in [
            Binding {
                user: "v",
                ..BINDING
            },
            Binding {
                chute: INSTANCE,
                ..BINDING
            },
            Binding {
                instance: CHUTE,
                ..BINDING
            },
        ] {
            assert!(!nonces.redeem(&other, nonce).await);
        }
        // A character of the nonce moved to the user.
        let moved = Binding {
            user: "xu",
            ..BINDING
        };
        assert!(!nonces.redeem(&moved, &nonce[..31]).await);
        assert!(nonces.redeem(&BINDING, nonce).await);
    }

    #[tokio::test]
    async fn only_hashes_over_the_binding_are_kept() {
        let nonces = nonces(1_000, 75);
        let issued = nonces.issue(&BINDING, 2).await.expect("room");
        let book = nonces.store.lock();
        for nonce in &issued {
            let hash = verification().hash.sha256(&[
                CHUTE.as_bytes(),
                INSTANCE.as_bytes(),
                nonce.as_bytes(),
                b"u",
            ]);
            assert!(book.live.contains_key(&hash));
        }
        assert_eq!(book.live.len(), 2);
    }

    #[tokio::test]
    async fn what_is_no_nonce_is_refused() {
        let nonces = nonces(1_000, 75);
        for bad in [&b""[..], &[b'a'; 31], &[b'a'; 33], &[b'-'; 32], &[0xff; 32]] {
            assert!(!nonces.redeem(&BINDING, bad).await);
        }
    }

    #[tokio::test]
    async fn a_nonce_ends_with_its_time() {
        let store = MemoryNonces::new(1_000);
        let now = Instant::now();
        let until = now + Duration::from_secs(75);
        let just_before = until - Duration::from_nanos(1);
        store
            .put("u", &[[1; 32], [2; 32]], now, until)
            .await
            .expect("room");
        assert!(store.take(&[1; 32], just_before).await);
        assert!(!store.take(&[2; 32], until).await);
    }

    #[tokio::test]
    async fn a_user_holds_a_quarter_and_loses_the_oldest() {
        let store = MemoryNonces::new(16);
        let now = Instant::now();
        let until = now + Duration::from_secs(75);
        for number in 0..6 {
            store
                .put("u", &[[number; 32]], now, until)
                .await
                .expect("room");
        }
        assert_eq!(store.lock().held, 4);
        for number in 0..6 {
            assert_eq!(store.take(&[number; 32], now).await, number > 1, "{number}");
        }
    }

    #[tokio::test]
    async fn a_full_store_refuses_until_times_are_over() {
        let store = MemoryNonces::new(8);
        let now = Instant::now();
        let until = now + Duration::from_secs(75);
        for (number, user) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let number = u8::try_from(number).expect("small");
            let hashes = [[number; 32], [number + 100; 32]];
            store.put(user, &hashes, now, until).await.expect("room");
        }
        assert_eq!(store.put("e", &[[9; 32]], now, until).await, Err(Full));
        assert!(!store.take(&[9; 32], now).await);
        assert!(store.take(&[3; 32], now).await);
        // Taking one makes no room: who takes many has been given many.
        assert_eq!(store.put("e", &[[9; 32]], now, until).await, Err(Full));
        let later = until + Duration::from_secs(75);
        assert_eq!(store.put("e", &[[9; 32]], until, later).await, Ok(()));
        let book = store.lock();
        assert_eq!((book.held, book.live.len()), (1, 1));
    }

    #[test]
    fn one_of_many_who_redeem_at_the_same_time_wins() {
        let store = MemoryNonces::new(1_000);
        let now = Instant::now();
        let until = now + Duration::from_secs(75);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        for round in 0..50 {
            runtime
                .block_on(store.put("u", &[[round; 32]], now, until))
                .expect("room");
            let won: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let runtime = tokio::runtime::Builder::new_current_thread()
                                .build()
                                .expect("a runtime");
                            usize::from(runtime.block_on(store.take(&[round; 32], now)))
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("no panic"))
                    .sum()
            });
            assert_eq!(won, 1);
        }
    }
}
