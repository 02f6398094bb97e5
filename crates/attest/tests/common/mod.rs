//! Captures of a deployed network, where there are some. They are not part of this repository.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealwire_attest::collateral::{Part, Response, assemble};
use sealwire_attest::evidence::ChutesEvidence;
use sealwire_attest::{Collateral, Evidence, GpuTokens, Jwks};
use serde_json::Value;

/// The folder, from `SEALWIRE_CAPTURES` or beside the repository; `None`, with the reason printed, if it is not there.
pub(crate) fn captures() -> Option<Vec<Capture>> {
    let folder = std::env::var_os("SEALWIRE_CAPTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/chutes-captures"),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!(
            "skipped: no captures in {} (SEALWIRE_CAPTURES)",
            folder.display()
        );
        return None;
    }
    let mut folders: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder can be read")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.json").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no capture", folder.display());
    Some(folders.iter().map(|folder| Capture::read(folder)).collect())
}

pub(crate) struct Capture {
    pub(crate) nonce: [u8; 32],
    pub(crate) now: u64,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) evidence: Vec<(String, Evidence)>,
    pub(crate) collateral: Collateral,
    pub(crate) tokens: GpuTokens,
    pub(crate) jwks: Jwks,
    pub(crate) urls: Vec<String>,
}

impl Capture {
    fn read(folder: &Path) -> Self {
        let named = |part: &str, end: &str| -> PathBuf {
            let mut found: Vec<PathBuf> = fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    name.contains(part) && name.ends_with(end)
                })
                .collect();
            found.sort();
            found
                .first()
                .unwrap_or_else(|| panic!("no {part} in {}", folder.display()))
                .clone()
        };
        let body = |part: &str| fs::read(named(part, ".body")).unwrap();
        let json =
            |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
        let manifest = json(folder.join("manifest.json"));
        let nonce = hex(manifest["nonce_hex"].as_str().unwrap())
            .try_into()
            .unwrap();
        // The last answer of Intel's came before this.
        let captured = manifest["captured_at"].as_str().unwrap();
        let now = unix(captured);
        let discovery: Value = serde_json::from_slice(&body("e2e_instances")).unwrap();
        let keys = discovery["instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|instance| {
                let text = |member: &str| instance[member].as_str().unwrap().to_owned();
                (text("instance_id"), text("e2e_pubkey"))
            })
            .collect();
        let evidence = ChutesEvidence::from_json(&body("_evidence"))
            .unwrap()
            .instances
            .into_iter()
            .map(|(id, evidence)| (id, evidence.unwrap()))
            .collect();
        let parts = [
            (Part::TcbInfo, "v4_tcb"),
            (Part::QeIdentity, "qe_identity"),
            (Part::PckCrl, "pckcrl"),
            (Part::RootCrl, "intelsgxrootca"),
        ];
        let answers: Vec<(Part, Vec<u8>, Option<String>)> = parts
            .iter()
            .map(|(part, name)| {
                let head = json(named(name, ".json"));
                let chain = part.chain_header().map(|wanted| {
                    let (_, values) = head["headers"]
                        .as_object()
                        .unwrap()
                        .iter()
                        .find(|(header, _)| header.eq_ignore_ascii_case(wanted))
                        .unwrap();
                    values[0].as_str().unwrap().to_owned()
                });
                (*part, body(name), chain)
            })
            .collect();
        let responses: Vec<Response<'_>> = answers
            .iter()
            .map(|(part, body, chain)| Response {
                part: *part,
                body,
                chain: chain.as_deref(),
            })
            .collect();
        Self {
            nonce,
            now,
            keys,
            evidence,
            collateral: assemble(&responses).unwrap(),
            tokens: GpuTokens::from_json(&body("attest_gpu")).unwrap(),
            jwks: Jwks::from_json(&body("jwks")).unwrap(),
            urls: parts
                .iter()
                .map(|(_, name)| {
                    json(named(name, ".json"))["url"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect(),
        }
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap())
        .collect()
}

/// `2026-05-20T02:18:19.07796Z` to unix seconds.
pub(crate) fn unix(text: &str) -> u64 {
    let whole = format!("{}Z", text.trim_end_matches('Z').split('.').next().unwrap());
    sealwire_attest::unix_from_rfc3339(&whole).unwrap()
}

/// The folder of a package in cargo's registry.
pub(crate) fn package(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let metadata: Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata gives JSON");
    let manifest = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == name)
        .and_then(|package| package["manifest_path"].as_str())
        .unwrap_or_else(|| panic!("{name} is a dependency"));
    Path::new(manifest).parent().unwrap().to_owned()
}
