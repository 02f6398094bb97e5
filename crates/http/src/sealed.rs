//! From frames to a message: opens one half and decodes the binary HTTP message inside it.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use sealwire::{Error, Event, Opener, StreamErrorCode};

use crate::message::{Decoder, Head, MessageError, MessageLimits, Piece};

/// What came out of a sealed half.
#[derive(Debug, PartialEq, Eq)]
pub enum SealedEvent<H> {
    /// The message's head; first and once.
    Head(H),
    /// Content, in order; never empty.
    Content(Bytes),
    /// The body of a PUBLIC frame.
    Public(Bytes),
    /// The half ended with FINAL and the message is whole.
    Finished,
    /// The half ended with ERROR: the message is not whole.
    Failed {
        /// Why.
        code: StreamErrorCode,
        /// For people.
        message: String,
    },
}

/// Why a sealed half cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The frames are not what the peer sealed, or break the protocol.
    #[error(transparent)]
    Frames(Error),
    /// The frames are sound, the message inside is not.
    #[error(transparent)]
    Message(MessageError),
}

/// Opens and decodes one half. After an error it stays dead.
pub struct SealedMessage<H> {
    opener: Opener,
    decoder: Decoder<H>,
    buffer: BytesMut,
    events: VecDeque<SealedEvent<H>>,
    failed: Option<SealedError>,
}

impl<H: Head> SealedMessage<H> {
    /// A reader of the half that `opener` opens.
    #[must_use]
    pub fn new(opener: Opener, limits: MessageLimits) -> Self {
        Self {
            opener,
            decoder: Decoder::new(limits),
            buffer: BytesMut::new(),
            events: VecDeque::new(),
            failed: None,
        }
    }

    /// Adds bytes from the transport. At most one incomplete frame is held over.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, or `None` if more bytes are needed. What was released before a fault comes before the fault.
    ///
    /// # Errors
    ///
    /// [`SealedError`], the same again on every later call.
    pub fn next_event(&mut self) -> Result<Option<SealedEvent<H>>, SealedError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            match self.open_one() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Tells that the transport has ended.
    ///
    /// # Errors
    ///
    /// [`SealedError`] with `truncated` unless the half has ended.
    pub fn end_of_input(&mut self) -> Result<(), SealedError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.opener.end_of_input().map_err(SealedError::Frames)
    }

    /// Opens one frame; false if none is whole.
    fn open_one(&mut self) -> Result<bool, SealedError> {
        let opened = self
            .opener
            .open(&mut self.buffer)
            .map_err(SealedError::Frames)?;
        let consumed = opened.consumed;
        let more = match opened.event {
            Event::NeedInput { .. } => false,
            Event::Data(content) => {
                decode(&mut self.decoder, content, &mut self.events)?;
                true
            }
            Event::Public(body) => {
                self.events
                    .push_back(SealedEvent::Public(Bytes::copy_from_slice(body)));
                true
            }
            Event::Final(content) => {
                decode(&mut self.decoder, content, &mut self.events)?;
                self.decoder.finish().map_err(SealedError::Message)?;
                self.events.push_back(SealedEvent::Finished);
                true
            }
            Event::Error { code, message } => {
                self.events.push_back(SealedEvent::Failed {
                    code,
                    message: message.to_owned(),
                });
                true
            }
            // Events of a later version of the core: nothing that this carriage could use.
            _ => true,
        };
        self.buffer.advance(consumed);
        Ok(more)
    }
}

fn decode<H: Head>(
    decoder: &mut Decoder<H>,
    mut content: &[u8],
    events: &mut VecDeque<SealedEvent<H>>,
) -> Result<(), SealedError> {
    loop {
        let (used, piece) = decoder.read(content).map_err(SealedError::Message)?;
        match piece {
            Piece::NeedInput => return Ok(()),
            Piece::Head(head) => events.push_back(SealedEvent::Head(head)),
            Piece::Content(piece) => {
                events.push_back(SealedEvent::Content(Bytes::copy_from_slice(piece)));
            }
            Piece::End => {}
        }
        content = content.get(used..).unwrap_or_default();
    }
}
