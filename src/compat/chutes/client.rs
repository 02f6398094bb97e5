//! The client's side: a request is sealed, its answer opened.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ChutesError;
use super::opener::{StreamLimits, StreamOpener};
use super::schedule::{Blob, Label, kem, seal_blob};
use super::{Codec, Head, gzip, json};
use crate::crypto::{CryptoProvider, DecapsulationKey, Suite};

/// The member that carries the client's public key.
pub(super) const RESPONSE_KEY: &str = "e2e_response_pk";
/// Longest path.
const MAX_PATH: usize = 255;

/// An instance's encapsulation key that passed FIPS 203's checks. Whose it is, evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceKey(Vec<u8>);

impl InstanceKey {
    /// From `e2e_pubkey`: standard base64 with padding.
    ///
    /// # Errors
    /// [`ChutesError::InstanceKey`].
    pub fn from_base64(provider: &CryptoProvider, text: &str) -> Result<Self, ChutesError> {
        let invalid = ChutesError::InstanceKey;
        let key = STANDARD.decode(text).map_err(|_| invalid)?;
        if key.len() != Suite::MlKem768.public_key_len() {
            return Err(invalid);
        }
        kem(provider)?.check_public_key(&key).map_err(|_| invalid)?;
        Ok(Self(key))
    }

    #[cfg(feature = "conformance")]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Standard base64 with padding, as in discovery and evidence.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

pub(super) fn path_is_sound(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= MAX_PATH
        && path
            .bytes()
            .all(|byte| (0x21..0x7F).contains(&byte) && byte != b'?' && byte != b'#')
}

/// Seals `body`, one JSON object, to an instance's key (section 3). `path` is that of `X-E2E-Path`.
///
/// # Errors
/// [`ChutesError::NotAnObject`], [`ChutesError::ReservedMember`], [`ChutesError::Path`], [`ChutesError::Crypto`]. Nothing was sent.
pub fn seal_request(
    codec: &Codec,
    key: &InstanceKey,
    path: &str,
    body: &[u8],
) -> Result<(Vec<u8>, AwaitResponse), ChutesError> {
    if !path_is_sound(path) {
        return Err(ChutesError::Path);
    }
    let object = json::Object::parse(body)?;
    if object.get(RESPONSE_KEY).is_some() {
        return Err(ChutesError::ReservedMember);
    }
    let pair = kem(&codec.provider)?.generate()?;
    // Everything up to the closing brace as it came, then the key.
    let open = body.trim_ascii_end();
    let open = open.strip_suffix(b"}").unwrap_or(open);
    let comma = if object.is_empty() { "" } else { "," };
    let mut plain = Vec::with_capacity(open.len().saturating_add(1_700));
    plain.extend_from_slice(open);
    for part in [comma, "\"", RESPONSE_KEY, "\":\""] {
        plain.extend_from_slice(part.as_bytes());
    }
    plain.extend_from_slice(STANDARD.encode(&pair.public_key).as_bytes());
    plain.extend_from_slice(b"\"}");
    let extra = codec.extensions.then_some(path.as_bytes());
    let packed = gzip::gzip(codec.compress, &plain, extra);
    let blob = seal_blob(&codec.provider, &key.0, Label::Request, &packed)?;
    Ok((
        blob,
        AwaitResponse {
            codec: *codec,
            secret_key: pair.secret_key,
        },
    ))
}

/// The client's key for one answer; erased when it is used or dropped.
pub struct AwaitResponse {
    codec: Codec,
    secret_key: Box<dyn DecapsulationKey>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status and media type, if the instance carries them.
    pub head: Option<Head>,
    /// The inner server's body.
    pub body: Vec<u8>,
}

impl AwaitResponse {
    #[cfg(feature = "conformance")]
    pub(super) fn from_key(codec: &Codec, secret_key: Box<dyn DecapsulationKey>) -> Self {
        Self {
            codec: *codec,
            secret_key,
        }
    }

    /// Opens an answer that is not streamed, and unpacks it to at most `limit` bytes (section 4).
    ///
    /// # Errors
    /// [`ChutesError::TooShort`], [`ChutesError::Decrypt`], [`ChutesError::Gzip`], [`ChutesError::TooLarge`].
    pub fn open(self, blob: &[u8], limit: usize) -> Result<Reply, ChutesError> {
        let packed =
            Blob::parse(blob)?.open(&self.codec.provider, &*self.secret_key, Label::Response)?;
        let unpacked = gzip::unpack(&packed, limit)?;
        Ok(Reply {
            head: unpacked.extra.and_then(Head::decode),
            body: unpacked.plain,
        })
    }

    /// Opens an answer that is streamed (section 5).
    #[must_use]
    pub fn into_stream(self, limits: StreamLimits) -> StreamOpener {
        StreamOpener::new(self.codec.provider, self.secret_key, limits)
    }
}
