//! For conformance tools and tests: requests of raw JSON, and halves from keys that were made elsewhere.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::{AwaitResponse, InstanceKey};
use super::error::ChutesError;
use super::keys::{KeyRing, KeyRingConfig, RequestKey};
use super::schedule::{Label, derive, seal_blob};
use super::server::{Request, Responder, Unadmitted, open_request};
use super::{Codec, gzip};
use crate::crypto::{CryptoProvider, DecapsulationKey, Secret};

/// A request whose content is this JSON, whatever it is.
///
/// # Errors
/// As the provider's.
pub fn seal_raw(codec: &Codec, key: &InstanceKey, json: &[u8]) -> Result<Vec<u8>, ChutesError> {
    let packed = gzip::gzip(codec.compress, json, None);
    seal_blob(&codec.provider, key.bytes(), Label::Request, &packed)
}

/// A request or a response (by `info`) whose plaintext is `packed`, gzip or not.
///
/// # Errors
/// As the provider's; [`ChutesError::KeyRing`] for an unknown label.
pub fn seal_packed(
    codec: &Codec,
    key: &InstanceKey,
    info: &str,
    packed: &[u8],
) -> Result<Vec<u8>, ChutesError> {
    let label = label(info).ok_or(ChutesError::KeyRing)?;
    seal_blob(&codec.provider, key.bytes(), label, packed)
}

fn label(info: &str) -> Option<Label> {
    match info {
        "e2e-req-v1" => Some(Label::Request),
        "e2e-resp-v1" => Some(Label::Response),
        "e2e-stream-v1" => Some(Label::Stream),
        _ => None,
    }
}

/// A request, opened without a key ring.
///
/// # Errors
/// As [`open_request`].
pub fn open(
    codec: &Codec,
    candidates: &[Arc<RequestKey>],
    blob: &[u8],
    path: &str,
    limit: usize,
) -> Result<Request, ChutesError> {
    open_request(codec, candidates, blob, path, limit).map(Unadmitted::forget_replays)
}

/// A request key that was made elsewhere.
#[must_use]
pub fn request_key(public_base64: &str, secret: Box<dyn DecapsulationKey>) -> Arc<RequestKey> {
    Arc::new(RequestKey::new(String::from(public_base64), secret))
}

/// A key ring that holds these keys, the youngest first.
///
/// # Errors
/// As [`KeyRing::new`].
pub fn key_ring(
    provider: &CryptoProvider,
    keys: &[Arc<RequestKey>],
) -> Result<KeyRing, ChutesError> {
    let mut ring = KeyRing::new(provider, KeyRingConfig::default())?;
    for key in keys.iter().rev() {
        ring.hold(Arc::clone(key));
    }
    Ok(ring)
}

/// Answers to this client's key.
///
/// # Errors
/// [`ChutesError::ResponseKey`].
pub fn responder(codec: &Codec, client_key: &str) -> Result<Responder, ChutesError> {
    Responder::new(codec, Some(client_key))
}

/// The encapsulation key itself.
#[must_use]
pub fn key_bytes(key: &InstanceKey) -> &[u8] {
    key.bytes()
}

/// An encapsulation key as discovery has it.
#[must_use]
pub fn to_base64(public_key: &[u8]) -> String {
    STANDARD.encode(public_key)
}

/// Which of these keys opened a request.
#[must_use]
pub fn opened_under(request: &Unadmitted, keys: &[Arc<RequestKey>]) -> Option<usize> {
    keys.iter().position(|key| request.is_under(key))
}

/// The client's key that a request brought.
#[must_use]
pub fn client_key(responder: &Responder) -> &[u8] {
    responder.client_key()
}

/// Content of a gzip stream, and our subfield.
///
/// # Errors
/// As [`gunzip`](super::gunzip).
pub fn unpack(packed: &[u8], limit: usize) -> Result<(Vec<u8>, Option<&[u8]>), ChutesError> {
    gzip::unpack(packed, limit).map(|unpacked| (unpacked.plain, unpacked.extra))
}

/// A client's key for one answer that was made elsewhere.
#[must_use]
pub fn await_response(codec: &Codec, secret: Box<dyn DecapsulationKey>) -> AwaitResponse {
    AwaitResponse::from_key(codec, secret)
}

/// Opens with the key that a direction derives: shows the key schedule without the KEM.
///
/// # Errors
/// [`ChutesError::Decrypt`], [`ChutesError::KeyRing`] for an unknown label.
pub fn open_with(
    provider: &CryptoProvider,
    shared: [u8; 32],
    ciphertext: &[u8],
    info: &str,
    sealed: &[u8],
) -> Result<Vec<u8>, ChutesError> {
    let label = label(info).ok_or(ChutesError::KeyRing)?;
    let keys = derive(provider, &Secret::new(shared), ciphertext, label)?;
    let short = ChutesError::TooShort;
    let (nonce, rest) = sealed.split_first_chunk().ok_or(short)?;
    let (content, tag) = rest.split_last_chunk().ok_or(short)?;
    let mut content = content.to_vec();
    super::schedule::open_in_place(&*keys.aead, nonce, &mut content, tag)?;
    Ok(content)
}
