//! The buffers of the adapters, without any I/O: ciphertext in and plaintext out, and the other way round.

use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::{Buf, Bytes, BytesMut};

use super::AdapterError;
use crate::error::{ApiMisuse, Error};
use crate::record::{Found, Opener, Sealer, SwitchKey, error_parts};

/// Ciphertext waiting for the transport beyond which no more plaintext is taken.
const HIGH_WATER: usize = 64 * 1024;
/// PUBLIC bodies kept for a reader that does not fetch them; older ones are dropped.
const MAX_PUBLIC_KEPT: usize = 64;

/// Reading: from ciphertext to plaintext.
pub(super) struct ReadPump {
    opener: Opener,
    input: BytesMut,
    public: VecDeque<Bytes>,
    failed: Option<AdapterError>,
}

/// What the reader gets next.
pub(super) enum Pulled {
    /// Plaintext, never empty.
    Data(Bytes),
    /// The half has ended well.
    End,
    /// More ciphertext is needed.
    NeedInput,
}

impl ReadPump {
    pub(super) fn new(opener: Opener) -> Self {
        Self {
            opener,
            input: BytesMut::new(),
            public: VecDeque::new(),
            failed: None,
        }
    }

    /// Adds ciphertext. A chunk that nobody else holds is opened in place, without a copy.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.input.is_empty() {
            self.input = chunk
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&*shared));
        } else {
            self.input.extend_from_slice(&chunk);
        }
    }

    pub(super) fn push_slice(&mut self, chunk: &[u8]) {
        self.input.extend_from_slice(chunk);
    }

    pub(super) fn pull(&mut self) -> Result<Pulled, AdapterError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            if self.opener.is_ended() && self.input.is_empty() {
                return Ok(Pulled::End);
            }
            let located = match self.opener.open_located(&mut self.input) {
                Ok(located) => located,
                Err(error) => return Err(self.fail(error.into())),
            };
            let frames = self.input.split_to(located.consumed).freeze();
            let content = || frames.slice(located.content.clone());
            match located.found {
                Found::NeedInput { .. } => return Ok(Pulled::NeedInput),
                Found::Data => return Ok(Pulled::Data(content())),
                Found::Final if located.content.is_empty() => {}
                Found::Final => return Ok(Pulled::Data(content())),
                Found::Quiet => {}
                Found::Public => {
                    if self.public.len() >= MAX_PUBLIC_KEPT {
                        self.public.pop_front();
                    }
                    self.public.push_back(Bytes::copy_from_slice(&content()));
                }
                Found::Error => {
                    let content = content();
                    let (code, message) = error_parts(&content);
                    let message = message.to_string();
                    return Err(self.fail(AdapterError::Peer { code, message }));
                }
            }
        }
    }

    /// Tells that the transport ended; an error if the half had not.
    pub(super) fn end_of_input(&mut self) -> Result<(), AdapterError> {
        self.opener
            .end_of_input()
            .map_err(|error| self.fail(error.into()))
    }

    pub(super) fn fail(&mut self, error: AdapterError) -> AdapterError {
        self.failed = Some(error.clone());
        error
    }

    pub(super) fn take_public(&mut self) -> Option<Bytes> {
        self.public.pop_front()
    }
}

/// Writing: from plaintext to ciphertext.
pub(super) struct WritePump {
    /// Gone after FINAL.
    sealer: Option<Sealer>,
    /// Plaintext not yet sealed, less than one frame.
    pending: Vec<u8>,
    /// Ciphertext; the transport has taken the first `sent` bytes.
    out: Vec<u8>,
    sent: usize,
    failed: Option<AdapterError>,
}

impl WritePump {
    pub(super) fn new(sealer: Sealer, first: &[u8]) -> Self {
        Self {
            sealer: Some(sealer),
            pending: Vec::new(),
            out: first.to_vec(),
            sent: 0,
            failed: None,
        }
    }

    /// Whether the transport should drain before more plaintext comes.
    pub(super) fn is_full(&self) -> bool {
        self.outgoing().len() >= HIGH_WATER
    }

    /// Takes a part of `plaintext`, and seals once a whole frame is there. At least one byte of a non-empty slice is taken.
    pub(super) fn write(&mut self, plaintext: &[u8]) -> Result<usize, AdapterError> {
        let frame = self.alive()?.max_content();
        if let (true, Some(whole)) = (self.pending.is_empty(), plaintext.get(..frame)) {
            self.with_sealer(|sealer, out| sealer.seal_vec(whole, out))?;
            return Ok(frame);
        }
        let room = frame.saturating_sub(self.pending.len());
        let taken = plaintext.get(..room).unwrap_or(plaintext);
        self.pending.extend_from_slice(taken);
        if self.pending.len() >= frame {
            self.seal_pending()?;
        }
        Ok(taken.len())
    }

    /// Seals all of `plaintext` now, behind what was pending.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Result<(), AdapterError> {
        self.seal_pending()?;
        self.with_sealer(|sealer, out| sealer.seal_vec(plaintext, out))
    }

    pub(super) fn seal_pending(&mut self) -> Result<(), AdapterError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = core::mem::take(&mut self.pending);
        let result = self.with_sealer(|sealer, out| sealer.seal_vec(&pending, out));
        self.pending = pending;
        if result.is_ok() {
            self.pending.clear();
        }
        result
    }

    /// SWITCH, if the half is still open.
    pub(super) fn switch(&mut self, key: SwitchKey) -> Result<(), AdapterError> {
        if self.sealer.is_none() {
            return Ok(());
        }
        self.with_sealer(|sealer, out| sealer.switch(key, out))
    }

    /// Runs an operation of the sealer that appends frames.
    pub(super) fn with_sealer(
        &mut self,
        seal: impl FnOnce(&mut Sealer, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), AdapterError> {
        self.alive()?;
        let Some(sealer) = &mut self.sealer else {
            return Ok(());
        };
        let result = seal(sealer, &mut self.out);
        result.map_err(|error| self.fail_unless_misuse(error))
    }

    /// FINAL, with what was pending. Once; later calls do nothing.
    pub(super) fn finish(&mut self) -> Result<(), AdapterError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Some(sealer) = self.sealer.take() else {
            return Ok(());
        };
        let result = sealer.finish(&self.pending, &mut self.out);
        self.pending.clear();
        result.map_err(|error| self.fail(error.into()))
    }

    /// Ciphertext for the transport.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// The transport has taken `len` bytes of [`WritePump::outgoing`].
    pub(super) fn mark_sent(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len);
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// All of [`WritePump::outgoing`], for a transport that takes whole chunks.
    pub(super) fn take_outgoing(&mut self) -> Bytes {
        let mut taken = Bytes::from(core::mem::take(&mut self.out));
        taken.advance(core::mem::take(&mut self.sent));
        taken
    }

    pub(super) fn fail(&mut self, error: AdapterError) -> AdapterError {
        self.failed = Some(error.clone());
        error
    }

    fn fail_unless_misuse(&mut self, error: Error) -> AdapterError {
        match error {
            Error::ApiMisuse(_) => error.into(),
            _ => self.fail(error.into()),
        }
    }

    /// The error of the half, if it has one.
    pub(super) fn check(&self) -> Result<(), AdapterError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn alive(&self) -> Result<&Sealer, AdapterError> {
        self.check()?;
        self.sealer
            .as_ref()
            .ok_or(AdapterError::Protocol(Error::ApiMisuse(ApiMisuse::Ended)))
    }

    pub(super) const fn sealer_mut(&mut self) -> Option<&mut Sealer> {
        self.sealer.as_mut()
    }
}
