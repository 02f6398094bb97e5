//! Transcript hashes: SHA-256 only, so that a relay can compute them too (spec/protocol.md sections 5.2 and 7).

use super::message::CONFIRM_LEN;
use crate::codec::lp_len;
use crate::crypto::{Hash, Suite};

/// Label of th0, section 2.2.
const TH0: &[u8] = b"sealwire/1";

/// SHA-256("sealwire/1" | suite | SHA-256(bundle) | lp(context)).
#[must_use]
pub fn th0(hash: &dyn Hash, suite: Suite, bundle_hash: &[u8; 32], context: &[u8]) -> [u8; 32] {
    hash.sha256(&[
        TH0,
        &suite.to_u16().to_be_bytes(),
        bundle_hash,
        &lp_len(context),
        context,
    ])
}

/// SHA-256(th0 | H1 without confirm1), from the whole H1.
#[must_use]
pub fn th1(hash: &dyn Hash, th0: &[u8; 32], h1: &[u8]) -> [u8; 32] {
    hash.sha256(&[th0, split_confirm(h1).0])
}

/// SHA-256(th1 | confirm1 | H2 without confirm2), from the whole H1 and H2.
#[must_use]
pub fn th2(hash: &dyn Hash, th1: &[u8; 32], h1: &[u8], h2: &[u8]) -> [u8; 32] {
    hash.sha256(&[th1, split_confirm(h1).1, split_confirm(h2).0])
}

/// What stands before the confirmation value of a handshake message, and the value itself.
fn split_confirm(message: &[u8]) -> (&[u8], &[u8]) {
    message
        .split_at_checked(message.len().saturating_sub(CONFIRM_LEN))
        .unwrap_or((message, &[]))
}
