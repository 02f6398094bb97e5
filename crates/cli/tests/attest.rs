//! `sealwire attest`, as people run it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealwire_attest::testing::{
    CollateralOptions, GpuRig, QuoteOptions, TdxRig, native_evidence, spki,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const NOW: u64 = 1_800_000_000;
const IDENTITY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

/// A folder with evidence, collateral, roots and a policy.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("sealwire-attest-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let rig = TdxRig::new(NOW);
        let evidence = native_evidence(
            &rig,
            &[7; 32],
            Some(&[9; 32]),
            "model",
            &QuoteOptions::default(),
        );
        let write = |name: &str, bytes: Vec<u8>| fs::write(folder.join(name), bytes).unwrap();
        write("evidence.json", evidence.to_json().unwrap());
        write(
            "collateral.json",
            rig.collateral_json(&CollateralOptions::default()),
        );
        write("intel.der", rig.root());
        write("nvidia.der", GpuRig::new().root());
        write(
            "policy.toml",
            Self::policy("any_measurement = true").into_bytes(),
        );
        Self(folder)
    }

    fn policy(first: &str) -> String {
        format!(
            "{first}\n[roots]\nintel = {{ name = \"rig\", file = \"intel.der\" }}\nnvidia = {{ name = \"rig\", file = \"nvidia.der\" }}\n"
        )
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn verify(&self, more: &[&str]) -> Output {
        let paths = [
            self.path("evidence.json"),
            self.path("collateral.json"),
            self.path("policy.toml"),
        ];
        let now = NOW.to_string();
        let mut arguments = vec![
            "verify",
            "--evidence",
            &paths[0],
            "--collateral",
            &paths[1],
            "--policy",
            &paths[2],
            "--at",
            &now,
        ];
        arguments.extend(more);
        attest(&arguments)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn attest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .arg("attest")
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn good_evidence_passes_and_a_wrong_nonce_does_not() {
    let folder = Folder::new("verify");
    let nonce = "09".repeat(32);
    let good = folder.verify(&["--identity", IDENTITY, "--nonce", &nonce]);
    assert!(good.status.success(), "{}", stdout(&good));
    assert!(stdout(&good).contains("1 of 1 instances pass"));
    assert!(stdout(&good).contains("`rig`"), "the foreign root is shown");
    let other = folder.verify(&[
        "--identity",
        IDENTITY,
        "--nonce",
        &"08".repeat(32),
        "--json",
    ]);
    assert!(!other.status.success());
    let json: serde_json::Value = serde_json::from_str(&stdout(&other)).unwrap();
    assert_eq!(
        json["instances"][0]["reasons"],
        serde_json::json!(["report-data-nonce", "gpu-nonce"])
    );
    let late = folder.verify(&[
        "--identity",
        IDENTITY,
        "--nonce",
        &nonce,
        "--sent",
        "1799990000",
    ]);
    assert!(stdout(&late).contains("REFUSED: evidence-too-old"));
}

#[test]
fn what_is_missing_is_named() {
    let folder = Folder::new("missing");
    let output = folder.verify(&[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--identity"));
    fs::write(folder.path("policy.toml"), "any_measurment = true").unwrap();
    let output = folder.verify(&["--identity", IDENTITY]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("any_measurment"));
}

#[test]
fn a_policy_from_evidence_takes_that_evidence() {
    let folder = Folder::new("policy");
    let made = attest(&[
        "policy-from-evidence",
        "--evidence",
        &folder.path("evidence.json"),
    ]);
    assert!(made.status.success());
    fs::write(folder.path("policy.toml"), Folder::policy(&stdout(&made))).unwrap();
    let output = folder.verify(&["--identity", IDENTITY, "--nonce", &"09".repeat(32)]);
    assert!(output.status.success(), "{}", stdout(&output));
    let shown = stdout(&attest(&[
        "show",
        "--evidence",
        &folder.path("evidence.json"),
    ]));
    assert!(shown.contains(&"a1".repeat(48)) && shown.contains("nothing here was verified"));
}

/// Good evidence of instance `a` under a relay's list, which says that these have failed.
fn chutes_list(folder: &Folder, failed: &[&str]) {
    let rig = TdxRig::new(NOW);
    let certificate = rig.root();
    let bound: [u8; 32] = Sha256::digest(format!("{}{KEY}", "09".repeat(32))).into();
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&bound);
    report_data[32..].copy_from_slice(&Sha256::digest(spki(&certificate).unwrap()));
    let gpu = GpuRig::new().report(0, &bound);
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    let list = json!({
        "evidence": [{
            "instance_id": "a",
            "quote": base64(&rig.quote(&report_data, &QuoteOptions::default())),
            "certificate": base64(&certificate),
            "gpu_evidence": [{
                "certificate": base64(&gpu.certificate), "evidence": base64(&gpu.evidence), "arch": gpu.arch,
            }],
        }],
        "failed_instance_ids": failed,
    });
    fs::write(folder.path("evidence.json"), list.to_string()).unwrap();
}

const KEY: &str = "the key of a";

/// Verifies the list against a discovery of these instances.
fn verify_discovered(folder: &Folder, discovered: &[&str], more: &[&str]) -> Output {
    let instances: Vec<Value> = discovered
        .iter()
        .map(|id| json!({"instance_id": id, "e2e_pubkey": format!("the key of {id}")}))
        .collect();
    let discovery = json!({ "instances": instances });
    fs::write(folder.path("discovery.json"), discovery.to_string()).unwrap();
    let path = folder.path("discovery.json");
    let nonce = "09".repeat(32);
    let mut arguments = vec!["--nonce", &nonce, "--discovery", &path];
    arguments.extend(more);
    folder.verify(&arguments)
}

#[test]
fn a_discovered_instance_without_evidence_did_not_pass() {
    let folder = Folder::new("undiscovered");
    chutes_list(&folder, &[]);
    let alone = verify_discovered(&folder, &["a"], &[]);
    assert!(alone.status.success(), "{}", stdout(&alone));
    let output = verify_discovered(&folder, &["a", "b"], &[]);
    assert!(!output.status.success());
    let text = stdout(&output);
    assert!(
        text.contains("\nb (none): REFUSED: evidence-missing\n"),
        "{text}"
    );
    assert!(text.contains("1 of 2 instances pass"), "{text}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("1 of 2 instances did not pass"), "{stderr}");
    let output = verify_discovered(&folder, &["a", "b"], &["--json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let missing = &json["instances"][1];
    assert_eq!(
        (
            &missing["instance"],
            &missing["passed"],
            &missing["reasons"]
        ),
        (&json!("b"), &json!(false), &json!(["evidence-missing"]))
    );
    // Who asks about one instance is told about that one.
    let output = verify_discovered(&folder, &["a", "b"], &["--instance", "a"]);
    assert!(output.status.success(), "{}", stdout(&output));
    let output = verify_discovered(&folder, &["a", "b"], &["--instance", "b"]);
    assert!(!output.status.success());
    assert!(stdout(&output).contains("0 of 1 instances pass"));
}

#[test]
fn an_instance_that_is_discovered_with_two_keys_is_an_error() {
    let folder = Folder::new("two-keys");
    chutes_list(&folder, &[]);
    let nonce = "09".repeat(32);
    let path = folder.path("discovery.json");
    // The good one last, first, and alone.
    for (keys, judged) in [
        (["another key", KEY], false),
        ([KEY, "another key"], false),
        ([KEY, KEY], true),
    ] {
        let instances = keys.map(|key| json!({"instance_id": "a", "e2e_pubkey": key}));
        fs::write(&path, json!({ "instances": instances }).to_string()).unwrap();
        let output = folder.verify(&["--nonce", &nonce, "--discovery", &path]);
        assert_eq!(output.status.success(), judged, "{}", stdout(&output));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said = stderr.contains("instance a is listed with two different keys");
        assert_eq!(said, !judged, "{stderr}");
    }
}

#[test]
fn an_instance_that_the_relay_names_as_failed_did_not_pass() {
    let folder = Folder::new("failed");
    chutes_list(&folder, &["c"]);
    let output = verify_discovered(&folder, &["a"], &[]);
    assert!(!output.status.success());
    let text = stdout(&output);
    assert!(
        text.contains("\nc (none): REFUSED: evidence-missing\n"),
        "{text}"
    );
    assert!(text.contains("1 of 2 instances pass"), "{text}");
}

/// The arguments are refused with these words, and nothing is judged.
fn unused(output: &Output, expected: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn arguments_that_do_nothing_for_native_evidence_are_named() {
    let folder = Folder::new("unused-native");
    let identity = ["--identity", IDENTITY];
    let nonce = "09".repeat(32);
    let jwks = folder.path("jwks.json");
    let coordinate = "A".repeat(64);
    let key = json!({"kty": "EC", "crv": "P-384", "kid": "k", "x": coordinate, "y": coordinate});
    fs::write(&jwks, json!({ "keys": [key] }).to_string()).unwrap();
    for (more, expected) in [
        (&["--sent", "1"][..], "--sent does nothing without --nonce"),
        (&["--nonce", &nonce, "--jwks", &jwks], "--jwks does nothing"),
    ] {
        unused(&folder.verify(&[&identity[..], more].concat()), expected);
    }
}

#[test]
fn arguments_that_do_nothing_for_pins_are_named() {
    let folder = Folder::new("unused-pins");
    let mut evidence: Value =
        serde_json::from_slice(&fs::read(folder.path("evidence.json")).unwrap()).unwrap();
    let evidence = evidence.as_object_mut().unwrap();
    evidence.insert("tee".to_owned(), json!("none"));
    evidence.remove("quote");
    let text = Value::from(evidence.clone()).to_string();
    fs::write(folder.path("evidence.json"), text).unwrap();
    let identity = ["--identity", IDENTITY];
    unused(&folder.verify(&identity), "--collateral is about Intel TDX");
    let nonce = "09".repeat(32);
    let more = [&identity[..], &["--nonce", &nonce]].concat();
    unused(&folder.verify(&more), "--nonce does nothing");
}

/// Over captures as they are, where there are some.
#[test]
fn captures() {
    let folder = std::env::var_os("SEALWIRE_CAPTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/chutes-captures"),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!(
            "skipped: no captures in {} (SEALWIRE_CAPTURES)",
            folder.display()
        );
        return;
    }
    let own = Folder::new("captures");
    fs::write(own.path("policy.toml"), "any_measurement = true").unwrap();
    let mut summaries = Vec::new();
    let mut captures: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    captures.sort();
    for capture in captures {
        let output = attest(&[
            "verify",
            "--capture",
            capture.to_str().unwrap(),
            "--policy",
            &own.path("policy.toml"),
        ]);
        assert!(!output.status.success());
        summaries.push(stdout(&output).lines().last().unwrap().to_owned());
    }
    assert_eq!(
        summaries,
        [
            "2 of 4 instances pass",
            "4 of 7 instances pass",
            "1 of 2 instances pass"
        ]
    );
}
