//! The instance's side: a request is opened, admitted once, and answered.

use alloc::sync::Arc;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::RESPONSE_KEY;
use super::error::ChutesError;
use super::keys::{KeyRing, RequestKey};
use super::schedule::{Blob, Label, kem, seal_blob};
use super::sealer::StreamSealer;
use super::{Codec, Head, gzip, json};
use crate::crypto::Suite;

/// An opened request that the key ring has not seen yet. Nothing of it may be acted on.
pub struct Unadmitted {
    key: Arc<RequestKey>,
    id: [u8; 32],
    request: Request,
}

/// A request that was accepted.
pub struct Request {
    /// The application's body, without the protocol's own member.
    pub body: Vec<u8>,
    /// The client is of this library: its request carries data of section 6.
    pub extended: bool,
    /// Answers it.
    pub responder: Responder,
}

/// Opens a request under whichever key fits, unpacks it to at most `limit` bytes, and checks the path that it came with (section 3).
///
/// # Errors
/// [`ChutesError::TooShort`]; [`ChutesError::Decrypt`] if no key fits; [`ChutesError::Gzip`], [`ChutesError::TooLarge`], [`ChutesError::NotAnObject`],
/// [`ChutesError::ResponseKey`], [`ChutesError::PathMismatch`].
pub fn open_request(
    codec: &Codec,
    candidates: &[Arc<RequestKey>],
    blob: &[u8],
    path: &str,
    limit: usize,
) -> Result<Unadmitted, ChutesError> {
    let provider = &codec.provider;
    let parts = Blob::parse(blob)?;
    let mut opened = Err(ChutesError::Decrypt);
    for key in candidates {
        opened = parts
            .open(provider, key.secret(), Label::Request)
            .map(|packed| (Arc::clone(key), packed));
        if !matches!(opened, Err(ChutesError::Decrypt)) {
            break;
        }
    }
    let (key, packed) = opened?;
    let unpacked = gzip::unpack(&packed, limit)?;
    if codec.extensions
        && unpacked
            .extra
            .is_some_and(|sealed| sealed != path.as_bytes())
    {
        return Err(ChutesError::PathMismatch);
    }
    let object = json::Object::parse(&unpacked.plain)?;
    let client_key = object.get(RESPONSE_KEY).and_then(json::string);
    let responder = Responder::new(codec, client_key.as_deref())?;
    Ok(Unadmitted {
        key,
        id: provider.verification.hash.sha256(&[parts.ciphertext]),
        request: Request {
            body: object.without(RESPONSE_KEY),
            extended: codec.extensions && unpacked.extra.is_some(),
            responder,
        },
    })
}

impl Unadmitted {
    /// The request, accepted as often as it comes: what a deployed instance does. For tests and demonstrations.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub fn forget_replays(self) -> Request {
        self.request
    }

    #[cfg(feature = "conformance")]
    pub(super) fn is_under(&self, key: &Arc<RequestKey>) -> bool {
        Arc::ptr_eq(&self.key, key)
    }

    /// Accepts the request, once.
    ///
    /// # Errors
    /// [`ChutesError::Replayed`]; [`ChutesError::Decrypt`] if its key has ended meanwhile.
    pub fn admit(self, ring: &mut KeyRing, now: u64) -> Result<Request, ChutesError> {
        ring.admit(&self.key, self.id, now)?;
        Ok(self.request)
    }
}

/// Seals the answer to the client's own key.
pub struct Responder {
    codec: Codec,
    client_key: Vec<u8>,
}

impl Responder {
    /// For the client's key in base64, if it sent one.
    pub(super) fn new(codec: &Codec, client_key: Option<&str>) -> Result<Self, ChutesError> {
        let client_key = client_key
            .and_then(|text| STANDARD.decode(text).ok())
            .filter(|key| key.len() == Suite::MlKem768.public_key_len())
            .filter(|key| kem(&codec.provider).is_ok_and(|kem| kem.check_public_key(key).is_ok()))
            .ok_or(ChutesError::ResponseKey)?;
        Ok(Self {
            codec: *codec,
            client_key,
        })
    }

    #[cfg(feature = "conformance")]
    pub(super) fn client_key(&self) -> &[u8] {
        &self.client_key
    }

    /// A whole answer (section 4).
    ///
    /// # Errors
    /// [`ChutesError::Crypto`].
    pub fn seal(self, head: &Head, body: &[u8]) -> Result<Vec<u8>, ChutesError> {
        let extra = self.codec.extensions.then(|| head.encode());
        let packed = gzip::gzip(self.codec.compress, body, extra.as_deref());
        seal_blob(
            &self.codec.provider,
            &self.client_key,
            Label::Response,
            &packed,
        )
    }

    /// A streamed answer (section 5); appends its first event to `out`, and the sealed head where extensions are on.
    ///
    /// # Errors
    /// [`ChutesError::Crypto`].
    pub fn into_stream(self, head: &Head, out: &mut Vec<u8>) -> Result<StreamSealer, ChutesError> {
        StreamSealer::new(&self.codec, &self.client_key, head, out)
    }
}
