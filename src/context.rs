//! The context: what the relay must know, readable and authenticated (spec/protocol.md section 4).

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{self, Reader};
use crate::error::Error;
use crate::limits::{MAX_ATTEMPTS, MAX_BILLING, MAX_CONTEXT};

const LABEL: u8 = 0x01;
const REQUEST_ID: u8 = 0x02;
const ATTEMPT: u8 = 0x03;
const BILLING: u8 = 0x04;

/// A parsed context. Its bytes are canonical, so encoding gives back what was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    label: String,
    request_id: [u8; 16],
    attempt: u8,
    billing: Option<Vec<u8>>,
}

impl Context {
    /// A context for `label` (1 to 255 bytes), a random request id that is the same over attempts, and the attempt (1 to 8).
    ///
    /// # Errors
    /// [`Error::BadContext`].
    pub fn new(label: &str, request_id: [u8; 16], attempt: u8) -> Result<Self, Error> {
        codec::label(label.as_bytes()).ok_or(Error::BadContext)?;
        if !(1..=MAX_ATTEMPTS).contains(&attempt) {
            return Err(Error::BadContext);
        }
        Ok(Self {
            label: label.into(),
            request_id,
            attempt,
            billing: None,
        })
    }

    /// The same context with a billing handle of 1 to 128 opaque bytes, which the relay reads.
    ///
    /// # Errors
    /// [`Error::BadContext`].
    pub fn with_billing(mut self, handle: &[u8]) -> Result<Self, Error> {
        if !(1..=MAX_BILLING).contains(&handle.len()) {
            return Err(Error::BadContext);
        }
        self.billing = Some(handle.into());
        Ok(self)
    }

    /// Parses canonical bytes.
    ///
    /// # Errors
    /// [`Error::BadContext`] for anything that section 4 refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_items(bytes).ok_or(Error::BadContext)
    }

    fn parse_items(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_CONTEXT {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let (mut label, mut request_id, mut attempt, mut billing) = (None, None, None, None);
        let mut last = 0;
        while !reader.is_empty() {
            let item = reader.u8()?;
            let value = reader.lp()?;
            if item <= last {
                return None;
            }
            last = item;
            match item {
                LABEL => label = Some(codec::label(value)?),
                REQUEST_ID => request_id = Some(value.try_into().ok()?),
                ATTEMPT => {
                    let [number] = *value else { return None };
                    attempt = (1..=MAX_ATTEMPTS).contains(&number).then_some(number);
                }
                BILLING => {
                    billing = Some(value.to_vec());
                    if !(1..=MAX_BILLING).contains(&value.len()) {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        Some(Self {
            label: label?.into(),
            request_id: request_id?,
            attempt: attempt?,
            billing,
        })
    }

    /// The canonical bytes, at most 1,024.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut item = |kind: u8, value: &[u8]| {
            out.push(kind);
            out.extend_from_slice(&codec::lp_len(value));
            out.extend_from_slice(value);
        };
        item(LABEL, self.label.as_bytes());
        item(REQUEST_ID, &self.request_id);
        item(ATTEMPT, &[self.attempt]);
        if let Some(billing) = &self.billing {
            item(BILLING, billing);
        }
        out
    }

    /// The model or deployment that is asked.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The same for all attempts of a request.
    #[must_use]
    pub const fn request_id(&self) -> [u8; 16] {
        self.request_id
    }

    /// 1 to 8.
    #[must_use]
    pub const fn attempt(&self) -> u8 {
        self.attempt
    }

    /// What the relay bills to, if given.
    #[must_use]
    pub fn billing(&self) -> Option<&[u8]> {
        self.billing.as_deref()
    }
}
