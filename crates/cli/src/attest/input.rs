//! What the subcommands read: evidence and what belongs to it.

use std::path::{Path, PathBuf};

use sealwire_attest::{Collateral, Evidence, GpuTokens, Jwks, TeeKind};
use sealwire_http::carriage::from_base64url;
use serde_json::Value;

use super::{SourceArgs, VerifyArgs, capture, list, unused};
use crate::file;

/// Largest file that is read.
const MAX_FILE: u64 = 16 << 20;

/// A file or an argument that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A file holds something else.
    #[error("{0}: {1}")]
    Content(PathBuf, String),
    /// The policy.
    #[error("{0}: {1}")]
    Policy(PathBuf, #[source] Box<sealwire_attest::PolicyError>),
    /// An argument is missing or wrong.
    #[error("{0}")]
    Argument(&'static str),
    /// There is no such instance.
    #[error("the evidence has no instance {0}; `sealwire attest show` lists them")]
    NoInstance(String),
    /// A capture lacks a file.
    #[error("{0} has no {1}")]
    Capture(PathBuf, &'static str),
}

/// What one instance's evidence must be bound to.
pub(super) enum Bound {
    Chutes {
        nonce: [u8; 32],
        key: Option<String>,
    },
    Native {
        identity: [u8; 32],
        nonce: Option<[u8; 32]>,
        statement: Vec<u8>,
    },
    Pinned {
        identity: [u8; 32],
    },
}

pub(super) struct Case {
    pub(super) id: String,
    pub(super) evidence: Evidence,
    pub(super) bound: Bound,
}

pub(super) struct Input {
    pub(super) cases: Vec<Case>,
    /// Instances that were to give evidence and gave none: what discovery lists, what the relay says has failed.
    pub(super) missing: Vec<String>,
    pub(super) collateral: Vec<Collateral>,
    pub(super) jwks: Option<Jwks>,
    pub(super) now: Option<u64>,
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, InputError> {
    let read = |error| InputError::Read(path.to_owned(), error);
    file::read(path, MAX_FILE).map_err(read)
}

pub(super) fn text(path: &Path) -> Result<String, InputError> {
    String::from_utf8(bytes(path)?)
        .map_err(|_| InputError::Content(path.to_owned(), "not UTF-8".to_owned()))
}

pub(super) fn wrong(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> InputError {
    move |error| InputError::Content(path.to_owned(), error.to_string())
}

pub(super) fn time(text: &str) -> Result<u64, InputError> {
    text.parse()
        .ok()
        .or_else(|| sealwire_attest::unix_from_rfc3339(text))
        .ok_or(InputError::Argument(
            "--at and --sent take unix seconds or a time like 2026-05-20T02:18:19Z",
        ))
}

pub(super) fn nonce(hex: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut nonce = [0; 32];
    for (byte, [high, low]) in nonce.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(nonce)
}

/// Reads what the arguments name. Without `verify` nothing needs to be bound, because nothing is judged.
pub(super) fn read(source: &SourceArgs, verify: Option<&VerifyArgs>) -> Result<Input, InputError> {
    let mut input = match (&source.capture, &source.evidence) {
        (Some(folder), _) => capture::read(folder)?,
        (None, Some(path)) => read_evidence(path, verify)?,
        (None, None) => {
            return Err(InputError::Argument(
                "name the evidence with --evidence or --capture",
            ));
        }
    };
    for wanted in &source.instances {
        if !input.cases.iter().any(|case| case.id == *wanted) && !input.missing.contains(wanted) {
            return Err(InputError::NoInstance(wanted.clone()));
        }
    }
    if !source.instances.is_empty() {
        input
            .cases
            .retain(|case| source.instances.contains(&case.id));
        input.missing.retain(|id| source.instances.contains(id));
    }
    if input.cases.is_empty() && (verify.is_none() || input.missing.is_empty()) {
        return Err(InputError::Argument("there is no evidence in it"));
    }
    let Some(args) = verify else { return Ok(input) };
    for path in &args.collateral {
        let collateral =
            Collateral::from_json(&bytes(path)?).map_err(|error| wrong(path)(&error))?;
        input.collateral.push(collateral);
    }
    if let Some(path) = &args.jwks {
        input.jwks = Some(Jwks::from_json(&bytes(path)?).map_err(|error| wrong(path)(&error))?);
    }
    if let Some(path) = &args.gpu_token {
        let tokens = GpuTokens::from_json(&bytes(path)?).map_err(|error| wrong(path)(&error))?;
        let [case] = input.cases.as_mut_slice() else {
            return Err(InputError::Argument(
                "--gpu-token is about one instance; name it with --instance",
            ));
        };
        case.evidence.gpu_tokens = Some(tokens);
    }
    unused::check(args, &input.cases)?;
    Ok(input)
}

fn read_evidence(path: &Path, verify: Option<&VerifyArgs>) -> Result<Input, InputError> {
    let json = bytes(path)?;
    let value: Value = serde_json::from_slice(&json).map_err(|error| wrong(path)(&error))?;
    let (cases, missing) = if value.get("format").is_some() {
        let evidence = Evidence::from_json(&json).map_err(|error| wrong(path)(&error))?;
        (vec![native(evidence, verify)?], Vec::new())
    } else {
        list::cases(path, &json, verify)?
    };
    Ok(Input {
        cases,
        missing,
        collateral: Vec::new(),
        jwks: None,
        now: None,
    })
}

fn native(evidence: Evidence, verify: Option<&VerifyArgs>) -> Result<Case, InputError> {
    let identity = match verify {
        None => evidence.claimed_identity,
        Some(args) => args
            .identity
            .as_deref()
            .and_then(|text| from_base64url(text)?.try_into().ok()),
    };
    let identity = identity.ok_or(InputError::Argument(
        "native evidence needs --identity: the identity that the bundle names, 32 bytes as base64url",
    ))?;
    let nonce = given_nonce(verify)?;
    let bound = if evidence.tee == TeeKind::None {
        Bound::Pinned { identity }
    } else {
        Bound::Native {
            identity,
            nonce,
            statement: evidence.statement.clone().unwrap_or_default(),
        }
    };
    let id = evidence
        .claimed_identity
        .map_or_else(String::new, |identity| {
            sealwire_http::carriage::to_base64url(&identity)
        });
    Ok(Case {
        id,
        evidence,
        bound,
    })
}

pub(super) fn given_nonce(verify: Option<&VerifyArgs>) -> Result<Option<[u8; 32]>, InputError> {
    verify
        .and_then(|args| args.nonce.as_deref())
        .map(|hex| nonce(hex).ok_or(InputError::Argument("--nonce takes 64 hex digits")))
        .transpose()
}
