//! The one error of all adapters.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use std::io;

use crate::error::{Error, StreamErrorCode};

/// Why a sealed stream ended badly. Every later poll returns it again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AdapterError {
    /// The protocol: the peer or the path broke it.
    Protocol(Error),
    /// The peer gave up and said why, in an authenticated ERROR frame. What came before is a prefix.
    Peer {
        /// Why.
        code: StreamErrorCode,
        /// For people.
        message: String,
    },
    /// The transport failed.
    Transport(Arc<dyn core::error::Error + Send + Sync>),
}

impl AdapterError {
    pub(super) fn transport(
        error: impl Into<alloc::boxed::Box<dyn core::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Transport(Arc::from(error.into()))
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Peer { code, message } => write!(f, "the peer gave up ({code:?}): {message}"),
            Self::Transport(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

impl core::error::Error for AdapterError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Peer { .. } => None,
            Self::Transport(error) => Some(&**error),
        }
    }
}

impl From<Error> for AdapterError {
    fn from(error: Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<AdapterError> for io::Error {
    fn from(error: AdapterError) -> Self {
        let kind = match &error {
            AdapterError::Protocol(Error::Truncated) => io::ErrorKind::UnexpectedEof,
            AdapterError::Protocol(Error::ApiMisuse(_)) => io::ErrorKind::InvalidInput,
            AdapterError::Protocol(_) => io::ErrorKind::InvalidData,
            AdapterError::Peer { .. } => io::ErrorKind::ConnectionAborted,
            AdapterError::Transport(source) => source
                .downcast_ref::<io::Error>()
                .map_or(io::ErrorKind::Other, io::Error::kind),
        };
        Self::new(kind, error)
    }
}
