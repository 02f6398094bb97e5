//! The statement: what an instance says about its configuration, bound by its quote (`spec/evidence.md` section 3.2).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::encoding::{array_from_hex, to_hex};
use crate::evidence::MAX_STATEMENT;

/// What an instance says about its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The models that it serves.
    pub labels: Vec<String>,
    /// Where it sends opened requests.
    pub upstream: String,
    /// The protocols that it speaks, such as `sealwire/1` and `chutes-v1`.
    pub profiles: Vec<String>,
    /// How it pads answers when the client does not ask for more.
    pub padding: String,
    /// The hash of its GPUs' evidence, [`crate::native::gpu_evidence_sha256`].
    pub gpu_evidence_sha256: Option<[u8; 32]>,
    /// The version of its package.
    pub version: String,
}

/// A statement that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Too long.
    #[error("the statement is longer than {MAX_STATEMENT} bytes")]
    TooLong,
    /// Not JSON, a member missing, or one that is not known.
    #[error("the statement is not JSON of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
    /// Not a hash.
    #[error("the statement's gpu_evidence_sha256 must be 64 hex digits or null")]
    GpuHash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementJson {
    labels: Vec<String>,
    upstream: String,
    profiles: Vec<String>,
    padding: String,
    // Named, so that a member that is missing is an error.
    #[serde(deserialize_with = "Option::deserialize")]
    gpu_evidence_sha256: Option<String>,
    version: String,
}

impl Statement {
    /// Parses a statement. Members that are not known are refused: a verifier that does not understand one cannot judge it.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn from_json(json: &[u8]) -> Result<Self, StatementError> {
        if json.len() > MAX_STATEMENT {
            return Err(StatementError::TooLong);
        }
        let statement: StatementJson = serde_json::from_slice(json)?;
        let gpu_evidence_sha256 = statement
            .gpu_evidence_sha256
            .map(|text| array_from_hex(&text).ok_or(StatementError::GpuHash))
            .transpose()?;
        Ok(Self {
            labels: statement.labels,
            upstream: statement.upstream,
            profiles: statement.profiles,
            padding: statement.padding,
            gpu_evidence_sha256,
            version: statement.version,
        })
    }

    /// The bytes that the quote binds. They travel as they are; nobody encodes a statement again to check it.
    ///
    /// # Errors
    /// [`StatementError::TooLong`].
    pub fn to_json(&self) -> Result<Vec<u8>, StatementError> {
        let json = serde_json::to_vec(&StatementJson {
            labels: self.labels.clone(),
            upstream: self.upstream.clone(),
            profiles: self.profiles.clone(),
            padding: self.padding.clone(),
            gpu_evidence_sha256: self.gpu_evidence_sha256.map(|hash| to_hex(&hash)),
            version: self.version.clone(),
        })?;
        if json.len() > MAX_STATEMENT {
            return Err(StatementError::TooLong);
        }
        Ok(json)
    }

    /// Whether opened requests stay inside the machine: a loopback address, `localhost`, or a Unix socket.
    #[must_use]
    pub fn upstream_is_loopback(&self) -> bool {
        let Some((scheme, rest)) = self.upstream.split_once("://") else {
            return false;
        };
        if scheme == "unix" {
            return true;
        }
        if scheme != "http" && scheme != "https" {
            return false;
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A user part is refused: it is how one host is made to look like another.
        if authority.contains(['@', '\\']) {
            return false;
        }
        let host = match authority.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, port)) if port.is_empty() || port.starts_with(':') => host,
                _ => return false,
            },
            None => authority.split(':').next().unwrap_or_default(),
        };
        host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}
