//! Follows a copy of a stream and verifies the receipts in it. It never holds up, changes or fails the stream itself.
//!
//! ```text
//!  H2 --whole--> HEADER --PUBLIC--> BODY --whole--> check, HEADER
//!                  |
//!                  +----SEALED----> SKIP --past it--> HEADER          a header that is none: BLIND, the client will fail on it
//! ```

use std::sync::Arc;

use bytes::Bytes;
use sealwire::frame::{FrameHeader, FrameType, HEADER_LEN, TAG_LEN};
use sealwire::handshake::{ParsedRequest, h2_len, transcript};
use sealwire::receipt::ReceiptChecker;
use sealwire::rustcrypto::verification;
use sealwire::{Context, Suite};

use crate::answer::Passage;
use crate::ledger::{Account, Bill, Ledger, StreamTotals};

/// What the relay knows of a bundle that it handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BundleFacts {
    pub(crate) id: [u8; 16],
    pub(crate) hash: [u8; 32],
    pub(crate) identity: [u8; 32],
    pub(crate) label: String,
    pub(crate) suite: Suite,
    pub(crate) not_after: u64,
}

/// Meters one stream; enters it into the ledger when dropped.
pub(crate) struct Meter {
    ledger: Arc<Ledger>,
    account: Account,
    checker: Option<ReceiptChecker>,
    state: State,
    totals: StreamTotals,
}

/// What th2 is made of, beside H2.
struct Handshake {
    request: ParsedRequest,
    context: Context,
    context_bytes: Vec<u8>,
    bundle: BundleFacts,
}

enum State {
    /// What comes before it is needed no longer than until it is whole.
    H2(Box<Handshake>, Vec<u8>),
    /// The first bytes of a frame, so many of them.
    Header([u8; HEADER_LEN], usize),
    Skip(usize),
    Body {
        bytes: Vec<u8>,
        length: usize,
    },
    Blind,
}

impl State {
    /// Before the next frame.
    const NEXT: Self = Self::Header([0; HEADER_LEN], 0);
}

impl Meter {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        account: Account,
        request: ParsedRequest,
        context: Context,
        context_bytes: Vec<u8>,
        bundle: BundleFacts,
    ) -> Self {
        let handshake = Handshake {
            request,
            context,
            context_bytes,
            bundle,
        };
        Self {
            ledger,
            account,
            checker: None,
            state: State::H2(Box::new(handshake), Vec::new()),
            totals: StreamTotals::default(),
        }
    }

    /// Looks at bytes of the answer.
    fn observe(&mut self, mut bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.totals.bytes_down = self.totals.bytes_down.saturating_add(length);
        while !bytes.is_empty() {
            match &mut self.state {
                State::Blind => return,
                State::H2(handshake, h2) => {
                    if take(&mut bytes, h2, h2_len(handshake.request.suite())) {
                        let (th2, checker) = handshake.finish(h2);
                        self.totals.th2 = Some(th2);
                        self.checker = Some(checker);
                        self.state = State::NEXT;
                    }
                }
                State::Header(header, have) => {
                    let room = header.get_mut(*have..).unwrap_or_default();
                    let step = room.len().min(bytes.len());
                    let (head, tail) = bytes.split_at_checked(step).unwrap_or((bytes, &[]));
                    room.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
                    bytes = tail;
                    *have += step;
                    if *have == HEADER_LEN {
                        self.state = after_header(*header);
                    }
                }
                State::Skip(left) => {
                    let step = (*left).min(bytes.len());
                    bytes = bytes.get(step..).unwrap_or_default();
                    *left -= step;
                    if *left == 0 {
                        self.state = State::NEXT;
                    }
                }
                State::Body {
                    bytes: body,
                    length,
                } => {
                    if take(&mut bytes, body, *length) {
                        let body = std::mem::take(body);
                        self.state = State::NEXT;
                        self.receipt(&body);
                    }
                }
            }
        }
    }

    fn receipt(&mut self, frame_body: &[u8]) {
        let body = frame_body
            .get(..frame_body.len().saturating_sub(TAG_LEN))
            .unwrap_or_default();
        let checked = self
            .checker
            .as_mut()
            .map(|checker| checker.check(&verification(), body));
        match checked {
            Some(Ok(receipt)) => {
                self.totals.receipts = self.totals.receipts.saturating_add(1);
                self.totals.bill = Bill::Receipt(receipt);
            }
            _ => self.totals.receipts_refused = self.totals.receipts_refused.saturating_add(1),
        }
    }
}

impl Passage for Meter {
    fn take(&mut self, piece: Bytes) -> Option<Bytes> {
        Some(piece)
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.observe(bytes);
    }

    fn count_up(&mut self, bytes: u64) {
        self.totals.bytes_up = self.totals.bytes_up.saturating_add(bytes);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // A stream without H2 was not accepted: nothing to bill.
        if self.totals.th2.is_some() {
            self.ledger.enter(&self.account, &self.totals);
        }
    }
}

impl Handshake {
    fn finish(&self, h2: &[u8]) -> ([u8; 32], ReceiptChecker) {
        let hash = verification().hash;
        let h1 = self.request.as_bytes();
        let th0 = transcript::th0(
            hash,
            self.bundle.suite,
            &self.bundle.hash,
            &self.context_bytes,
        );
        let th1 = transcript::th1(hash, &th0, h1);
        let th2 = transcript::th2(hash, &th1, h1, h2);
        let checker = ReceiptChecker::new(
            self.bundle.identity,
            th2,
            self.bundle.hash,
            hash.sha256(&[&self.context_bytes]),
            &self.context,
        );
        (th2, checker)
    }
}

/// Moves bytes from `from` to `to` until `to` has `length`; true if it has.
fn take(from: &mut &[u8], to: &mut Vec<u8>, length: usize) -> bool {
    let step = length.saturating_sub(to.len()).min(from.len());
    let (head, tail) = from.split_at_checked(step).unwrap_or((from, &[]));
    to.extend_from_slice(head);
    *from = tail;
    to.len() >= length
}

fn after_header(header: [u8; HEADER_LEN]) -> State {
    match FrameHeader::decode(header) {
        Err(_) => State::Blind,
        Ok(header) if header.frame_type == FrameType::Public => State::Body {
            bytes: Vec::new(),
            length: header.body_len,
        },
        Ok(header) => State::Skip(header.body_len),
    }
}
