//! Keys of one half: sequence numbers, epochs, and the ratchet between them (spec/protocol.md section 6.4).

use alloc::boxed::Box;

use crate::crypto::{Aead, AeadKey, CryptoProvider, Kdf, Secret};
use crate::error::Error;
use crate::handshake::schedule;
use crate::limits::Schedule;

/// The two algorithms that a half needs.
#[derive(Clone, Copy)]
pub(crate) struct RecordCrypto {
    kdf: &'static dyn Kdf,
    aead: &'static dyn Aead,
}

impl From<&CryptoProvider> for RecordCrypto {
    fn from(provider: &CryptoProvider) -> Self {
        Self {
            kdf: provider.kdf,
            aead: provider.aead,
        }
    }
}

/// What a frame does to the epoch.
pub(crate) enum Step {
    /// Nothing beyond being counted.
    Count,
    /// KEY_UPDATE: the next secret follows from this one.
    Update,
    /// SWITCH: the next secret is the late one.
    Switch(Secret<32>),
}

/// The live keys of a half. Dropping it erases them.
pub(crate) struct HalfKeys {
    crypto: RecordCrypto,
    schedule: Schedule,
    ts: Secret<32>,
    key: Box<dyn AeadKey>,
    iv: Secret<12>,
    seq: u64,
    frames: u32,
}

impl HalfKeys {
    pub(crate) fn new(
        crypto: RecordCrypto,
        schedule: Schedule,
        ts: Secret<32>,
    ) -> Result<Self, Error> {
        let (key, iv) = schedule::epoch_keys(crypto.kdf, &ts)?;
        Ok(Self {
            crypto,
            schedule,
            key: crypto.aead.key(&key),
            iv,
            ts,
            seq: 0,
            frames: 0,
        })
    }

    /// The AEAD key and the nonce of the next frame.
    pub(crate) fn next(&self) -> Result<(&dyn AeadKey, [u8; 12]), Error> {
        if self.seq >= self.schedule.max_frames {
            return Err(Error::Exhausted);
        }
        Ok((&*self.key, nonce(&self.iv, self.seq)))
    }

    /// Counts a frame that was sealed or opened, and advances the epoch if it is over: once, whatever the reasons.
    pub(crate) fn advance(&mut self, step: Step) -> Result<(), Error> {
        self.seq = self.seq.saturating_add(1);
        self.frames = self.frames.saturating_add(1);
        let ts = match step {
            Step::Switch(late) => late,
            Step::Update => self.next_secret()?,
            Step::Count if self.frames >= self.schedule.epoch_frames => self.next_secret()?,
            Step::Count => return Ok(()),
        };
        let (key, iv) = schedule::epoch_keys(self.crypto.kdf, &ts)?;
        self.key = self.crypto.aead.key(&key);
        self.iv = iv;
        self.ts = ts;
        self.frames = 0;
        Ok(())
    }

    /// How many frames from the next one on are under the live key, as far as their number decides that.
    #[cfg(feature = "parallel")]
    pub(crate) fn left(&self) -> u64 {
        let epoch = self.schedule.epoch_frames.saturating_sub(self.frames);
        let half = self.schedule.max_frames.saturating_sub(self.seq);
        half.min(epoch.into())
    }

    /// The AEAD key and the nonce of a frame `index` frames behind the next one. Only for an index below [`HalfKeys::left`].
    #[cfg(feature = "parallel")]
    pub(crate) fn ahead(&self, index: u64) -> (&dyn AeadKey, [u8; 12]) {
        let seq = self.seq.saturating_add(index);
        (&*self.key, nonce(&self.iv, seq))
    }

    /// Counts 1 to [`HalfKeys::left`] frames at once.
    #[cfg(feature = "parallel")]
    pub(crate) fn advance_by(&mut self, frames: u64) -> Result<(), Error> {
        let before = frames.saturating_sub(1);
        self.seq = self.seq.saturating_add(before);
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        self.frames = self.frames.saturating_add(before);
        self.advance(Step::Count)
    }

    fn next_secret(&self) -> Result<Secret<32>, Error> {
        schedule::next_secret(self.crypto.kdf, &self.ts)
    }
}

/// iv XOR (0^32 | seq), section 6.1.
pub(crate) fn nonce(iv: &Secret<12>, seq: u64) -> [u8; 12] {
    let mut nonce = *iv.expose();
    for (byte, seq) in nonce.iter_mut().skip(4).zip(seq.to_be_bytes()) {
        *byte ^= seq;
    }
    nonce
}
