//! The list of a chutes-v1 relay: which instances there are, what they show, and which of them show nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealwire_attest::Evidence;
use sealwire_attest::evidence::ChutesEvidence;
use serde_json::Value;

use super::VerifyArgs;
use super::input::{Bound, Case, InputError, bytes, given_nonce, wrong};

/// A relay's answer.
pub(super) struct List {
    pub(super) instances: Vec<(String, Evidence)>,
    /// By the relay's word.
    pub(super) failed: Vec<String>,
}

/// The keys of a discovery's answer, by instance; one key each.
pub(super) fn keys(path: &Path, json: &[u8]) -> Result<BTreeMap<String, String>, InputError> {
    let shape = || {
        InputError::Content(
            path.to_owned(),
            "not an answer of /e2e/instances".to_owned(),
        )
    };
    let value: Value = serde_json::from_slice(json).map_err(|_| shape())?;
    let instances = value
        .get("instances")
        .and_then(Value::as_array)
        .ok_or_else(shape)?;
    let mut keys = BTreeMap::new();
    for instance in instances {
        let member = |name| instance.get(name).and_then(Value::as_str);
        let (Some(id), Some(key)) = (member("instance_id"), member("e2e_pubkey")) else {
            continue;
        };
        let before = keys.insert(id.to_owned(), key.to_owned());
        // Evidence is for one key; whether clients seal to that one or to the other, nobody can say.
        if before.is_some_and(|before| before != key) {
            return Err(InputError::Content(
                path.to_owned(),
                format!(
                    "instance {id} is listed with two different keys, of which evidence can prove one; suspect the relay, or ask discovery again"
                ),
            ));
        }
    }
    Ok(keys)
}

/// Reads a list; an instance that cannot be read is an error, because a verdict over the others would hide it.
pub(super) fn read(path: &Path, json: &[u8]) -> Result<List, InputError> {
    let list = ChutesEvidence::from_json(json).map_err(|error| wrong(path)(&error))?;
    let instances = list
        .instances
        .into_iter()
        .map(|(id, evidence)| match evidence {
            Ok(evidence) => Ok((id, evidence)),
            Err(error) => Err(InputError::Content(
                path.to_owned(),
                format!("instance {id}: {error}"),
            )),
        })
        .collect::<Result<_, _>>()?;
    Ok(List {
        instances,
        failed: list.failed,
    })
}

/// The instances without evidence among those that were discovered, and those that failed; each once.
pub(super) fn missing<'a>(
    cases: &[Case],
    discovered: impl IntoIterator<Item = &'a String>,
    failed: Vec<String>,
) -> Vec<String> {
    let all: BTreeSet<String> = discovered.into_iter().cloned().chain(failed).collect();
    all.into_iter()
        .filter(|id| !cases.iter().any(|case| case.id == *id))
        .collect()
}

/// The cases of a list in a file, and the instances that gave none.
pub(super) fn cases(
    path: &Path,
    json: &[u8],
    verify: Option<&VerifyArgs>,
) -> Result<(Vec<Case>, Vec<String>), InputError> {
    let keys = match verify.and_then(|args| args.discovery.as_ref()) {
        Some(path) => Some(keys(path, &bytes(path)?)?),
        None => None,
    };
    let one_key = verify.and_then(|args| args.e2e_pubkey.clone());
    if verify.is_some() && keys.is_none() && one_key.is_none() {
        return Err(InputError::Argument(
            "chutes-v1 evidence needs --discovery FILE or --e2e-pubkey KEY",
        ));
    }
    let nonce = match (given_nonce(verify)?, verify) {
        (Some(nonce), _) => nonce,
        (None, None) => [0; 32],
        (None, Some(_)) => {
            return Err(InputError::Argument(
                "chutes-v1 evidence needs --nonce: the one that was sent for it",
            ));
        }
    };
    let list = read(path, json)?;
    let cases: Vec<Case> = list
        .instances
        .into_iter()
        .map(|(id, evidence)| {
            let key = match &keys {
                Some(keys) => keys.get(&id).cloned(),
                None => one_key.clone(),
            };
            Case {
                id,
                evidence,
                bound: Bound::Chutes { nonce, key },
            }
        })
        .collect();
    let discovered = keys.iter().flat_map(BTreeMap::keys);
    let missing = missing(&cases, discovered, list.failed);
    Ok((cases, missing))
}
