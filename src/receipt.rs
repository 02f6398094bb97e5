//! Receipts: signed usage that the relay can read and nobody but the instance can make (spec/protocol.md section 7).

use alloc::vec::Vec;

use crate::codec::Reader;
use crate::crypto::Verification;
use crate::error::{Error, ReceiptFault};
use crate::handshake::Session;
use crate::identity::{self, IdentityKey, SIGN_RECEIPT};

/// Bytes of a receipt.
pub const RECEIPT_LEN: usize = 218;

const PUBLIC_RECEIPT: u8 = 0x01;
const FLAG_REQUEST_COMPLETE: u8 = 0x01;
const FLAG_USAGE_KNOWN: u8 = 0x02;
const INTERIM_ROUNDING: u64 = 256;
const SIGNATURE_LEN: usize = 64;

/// Interim receipts come on a fixed clock, the final one directly before FINAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Token counts are rounded up to a multiple of 256.
    Interim,
    /// Exact counts; exactly one for a stream.
    Final,
}

/// Token counts since the stream's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Part of `tokens_in` that came from a cache.
    pub tokens_cached: u64,
}

impl Usage {
    fn rounded_up(self) -> Self {
        let round = |n: u64| {
            n.checked_next_multiple_of(INTERIM_ROUNDING)
                .unwrap_or(u64::MAX)
        };
        Self {
            tokens_in: round(self.tokens_in),
            tokens_out: round(self.tokens_out),
            tokens_cached: round(self.tokens_cached),
        }
    }
}

/// A receipt's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Interim or final.
    pub kind: ReceiptKind,
    /// The request's FINAL was verified.
    pub request_complete: bool,
    /// The model server reported usage; without it the counts say nothing.
    pub usage_known: bool,
    /// HTTP status of the answer, 0 while unknown.
    pub status: u16,
    /// 0, 1, 2 .. within the stream.
    pub index: u32,
    /// Cumulative token counts.
    pub usage: Usage,
    /// Unix seconds on the instance's clock.
    pub time: u64,
    /// From the context.
    pub request_id: [u8; 16],
    /// From the context.
    pub attempt: u8,
    /// Names the stream.
    pub th2: [u8; 32],
    /// SHA-256 of the bundle.
    pub bundle_hash: [u8; 32],
    /// SHA-256 of the context.
    pub context_hash: [u8; 32],
}

/// What one receipt says beyond what the session knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptClaim {
    /// The request's FINAL was verified.
    pub request_complete: bool,
    /// HTTP status of the answer, 0 while unknown.
    pub status: u16,
    /// Cumulative counts, `None` if the model server reported none.
    pub usage: Option<Usage>,
    /// Unix seconds.
    pub time: u64,
}

impl Receipt {
    /// Encodes and signs.
    #[must_use]
    pub fn sign(&self, identity: &IdentityKey) -> [u8; RECEIPT_LEN] {
        let mut bytes = Vec::with_capacity(RECEIPT_LEN);
        bytes.push(PUBLIC_RECEIPT);
        bytes.push(match self.kind {
            ReceiptKind::Interim => 1,
            ReceiptKind::Final => 2,
        });
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        bytes.push(
            flag(self.request_complete, FLAG_REQUEST_COMPLETE)
                | flag(self.usage_known, FLAG_USAGE_KNOWN),
        );
        bytes.extend_from_slice(&self.status.to_be_bytes());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        for count in [
            self.usage.tokens_in,
            self.usage.tokens_out,
            self.usage.tokens_cached,
            self.time,
        ] {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&self.request_id);
        bytes.push(self.attempt);
        for hash in [&self.th2, &self.bundle_hash, &self.context_hash] {
            bytes.extend_from_slice(hash);
        }
        let signature = identity.sign(SIGN_RECEIPT, &bytes);
        bytes.extend_from_slice(&signature);
        // The fields above add up to RECEIPT_LEN; the vectors check it.
        bytes.try_into().unwrap_or([0; RECEIPT_LEN])
    }

    /// Parses a PUBLIC body and verifies its signature. Whose stream it belongs to is for the caller to compare, or for a [`ReceiptChecker`].
    ///
    /// # Errors
    /// `bad-receipt`, `receipt-signature`.
    pub fn verify(
        verification: &Verification,
        identity: &[u8; 32],
        bytes: &[u8],
    ) -> Result<Self, Error> {
        let receipt = Self::parse(bytes).ok_or(ReceiptFault::Encoding)?;
        let (signed, signature) = bytes
            .split_last_chunk::<SIGNATURE_LEN>()
            .ok_or(ReceiptFault::Encoding)?;
        identity::verify(verification, identity, SIGN_RECEIPT, signed, signature)
            .map_err(|_| ReceiptFault::Signature)?;
        Ok(receipt)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if bytes.len() != RECEIPT_LEN || reader.u8()? != PUBLIC_RECEIPT {
            return None;
        }
        let kind = match reader.u8()? {
            1 => ReceiptKind::Interim,
            2 => ReceiptKind::Final,
            _ => return None,
        };
        let flags = reader.u8()?;
        if flags & !(FLAG_REQUEST_COMPLETE | FLAG_USAGE_KNOWN) != 0 {
            return None;
        }
        Some(Self {
            kind,
            request_complete: flags & FLAG_REQUEST_COMPLETE != 0,
            usage_known: flags & FLAG_USAGE_KNOWN != 0,
            status: reader.u16()?,
            index: reader.u32()?,
            usage: Usage {
                tokens_in: reader.u64()?,
                tokens_out: reader.u64()?,
                tokens_cached: reader.u64()?,
            },
            time: reader.u64()?,
            request_id: reader.array()?,
            attempt: reader.u8()?,
            th2: reader.array()?,
            bundle_hash: reader.array()?,
            context_hash: reader.array()?,
        })
    }
}

/// Makes the receipts of one stream, on the instance.
pub struct ReceiptIssuer {
    next_index: u32,
}

impl ReceiptIssuer {
    /// Starts at index 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { next_index: 0 }
    }

    /// The next interim receipt: counts are rounded up to a multiple of 256.
    #[must_use]
    pub fn interim(
        &mut self,
        session: &Session,
        identity: &IdentityKey,
        claim: &ReceiptClaim,
    ) -> [u8; RECEIPT_LEN] {
        let receipt = self.next(session, claim, ReceiptKind::Interim);
        receipt.sign(identity)
    }

    /// The final receipt: exact counts, and nothing comes after it.
    #[must_use]
    pub fn last(
        mut self,
        session: &Session,
        identity: &IdentityKey,
        claim: &ReceiptClaim,
    ) -> [u8; RECEIPT_LEN] {
        self.next(session, claim, ReceiptKind::Final).sign(identity)
    }

    fn next(&mut self, session: &Session, claim: &ReceiptClaim, kind: ReceiptKind) -> Receipt {
        let usage = claim.usage.unwrap_or_default();
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        Receipt {
            kind,
            request_complete: claim.request_complete,
            usage_known: claim.usage.is_some(),
            status: claim.status,
            index,
            usage: match kind {
                ReceiptKind::Interim => usage.rounded_up(),
                ReceiptKind::Final => usage,
            },
            time: claim.time,
            request_id: session.context().request_id(),
            attempt: session.context().attempt(),
            th2: session.th2(),
            bundle_hash: session.bundle_hash(),
            context_hash: session.context_hash(),
        }
    }
}

impl Default for ReceiptIssuer {
    fn default() -> Self {
        Self::new()
    }
}

/// What the receipts of a stream must say, and how far they have come. Used by clients, and by relays with what they computed themselves.
#[derive(Clone, Debug)]
pub struct ReceiptChecker {
    identity: [u8; 32],
    th2: [u8; 32],
    bundle_hash: [u8; 32],
    context_hash: [u8; 32],
    request_id: [u8; 16],
    attempt: u8,
    /// Wider than the field: after its last value no receipt is the next.
    next_index: u64,
    ended: bool,
}

impl ReceiptChecker {
    /// For a client or instance, from its session.
    #[must_use]
    pub const fn for_session(session: &Session) -> Self {
        Self::new(
            session.identity(),
            session.th2(),
            session.bundle_hash(),
            session.context_hash(),
            session.context(),
        )
    }

    /// From values that a relay computes: the bundle's identity, th2, SHA-256 of bundle and context, and the parsed context.
    #[must_use]
    pub const fn new(
        identity: [u8; 32],
        th2: [u8; 32],
        bundle_hash: [u8; 32],
        context_hash: [u8; 32],
        context: &crate::Context,
    ) -> Self {
        Self {
            identity,
            th2,
            bundle_hash,
            context_hash,
            request_id: context.request_id(),
            attempt: context.attempt(),
            next_index: 0,
            ended: false,
        }
    }

    /// Checks the body of a PUBLIC frame.
    ///
    /// # Errors
    /// [`Error::Receipt`]; the checker does not move.
    pub fn check(&mut self, verification: &Verification, body: &[u8]) -> Result<Receipt, Error> {
        let receipt = Receipt::verify(verification, &self.identity, body)?;
        let same = receipt.th2 == self.th2
            && receipt.bundle_hash == self.bundle_hash
            && receipt.context_hash == self.context_hash
            && receipt.request_id == self.request_id
            && receipt.attempt == self.attempt;
        if !same {
            return Err(ReceiptFault::Mismatch.into());
        }
        if self.ended || u64::from(receipt.index) != self.next_index {
            return Err(ReceiptFault::Order.into());
        }
        self.moved_to(receipt.index, receipt.kind);
        Ok(receipt)
    }

    /// The last receipt taken was this one.
    pub(crate) fn moved_to(&mut self, index: u32, kind: ReceiptKind) {
        self.next_index = u64::from(index).saturating_add(1);
        self.ended = kind == ReceiptKind::Final;
    }
}
