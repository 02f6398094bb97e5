//! A folder of captured exchanges: pairs of `NNNN_host_path.body` and `.json` (its head), and `manifest.json`.

use std::fs;
use std::path::{Path, PathBuf};

use sealwire_attest::Jwks;
use sealwire_attest::collateral::{Part, Response, assemble};
use serde_json::Value;

use super::input::{Bound, Case, Input, InputError, bytes, nonce};
use super::list::{self, keys, missing};

const PARTS: [(Part, &str); 4] = [
    (Part::TcbInfo, "tdx_certification_v4_tcb"),
    (Part::QeIdentity, "qe_identity"),
    (Part::PckCrl, "pckcrl"),
    (Part::RootCrl, "intelsgxrootca"),
];

pub(super) fn read(folder: &Path) -> Result<Input, InputError> {
    let manifest = json(&folder.join("manifest.json"))?;
    let member = |name| manifest.get(name).and_then(Value::as_str);
    let nonce = member("nonce_hex")
        .and_then(nonce)
        .ok_or(InputError::Capture(
            folder.to_owned(),
            "nonce_hex in its manifest",
        ))?;
    // Fractions of a second do not matter.
    let now = member("captured_at")
        .and_then(|text| text.trim_end_matches('Z').split('.').next())
        .and_then(|text| sealwire_attest::unix_from_rfc3339(&format!("{text}Z")));
    let path = find(folder, "_e2e_instances_", ".body").ok_or(InputError::Capture(
        folder.to_owned(),
        "answer of discovery",
    ))?;
    let keys = keys(&path, &bytes(&path)?)?;
    let path = find(folder, "_evidence", ".body").ok_or(InputError::Capture(
        folder.to_owned(),
        "answer with evidence",
    ))?;
    let list = list::read(&path, &bytes(&path)?)?;
    let cases: Vec<Case> = list
        .instances
        .into_iter()
        .map(|(id, evidence)| Case {
            bound: Bound::Chutes {
                nonce,
                key: keys.get(&id).cloned(),
            },
            id,
            evidence,
        })
        .collect();
    let jwks = match find(folder, "jwks", ".body") {
        Some(path) => Some(
            Jwks::from_json(&bytes(&path)?)
                .map_err(|error| InputError::Content(path.clone(), error.to_string()))?,
        ),
        None => None,
    };
    Ok(Input {
        missing: missing(&cases, keys.keys(), list.failed),
        cases,
        collateral: collateral(folder)?.into_iter().collect(),
        jwks,
        now,
    })
}

fn json(path: &Path) -> Result<Value, InputError> {
    serde_json::from_slice(&bytes(path)?)
        .map_err(|error| InputError::Content(path.to_owned(), error.to_string()))
}

fn find(folder: &Path, part: &str, end: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.contains(part) && name.ends_with(end)
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

/// The collateral, if all of it was captured.
fn collateral(folder: &Path) -> Result<Option<sealwire_attest::Collateral>, InputError> {
    let mut answers = Vec::new();
    for (part, name) in PARTS {
        let Some(path) = find(folder, name, ".body") else {
            return Ok(None);
        };
        let head = path.with_extension("json");
        let chain = match part.chain_header() {
            Some(header) => header_value(&json(&head)?, header),
            None => None,
        };
        answers.push((part, bytes(&path)?, chain));
    }
    let responses: Vec<Response<'_>> = answers
        .iter()
        .map(|(part, body, chain)| Response {
            part: *part,
            body,
            chain: chain.as_deref(),
        })
        .collect();
    assemble(&responses)
        .map(Some)
        .map_err(|error| InputError::Content(folder.to_owned(), error.to_string()))
}

fn header_value(head: &Value, wanted: &str) -> Option<String> {
    let headers = head.get("headers")?.as_object()?;
    let (_, values) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    values.get(0)?.as_str().map(str::to_owned)
}
