//! `sealwire vectors` as a user calls it, with adapters that are right, wrong and broken.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_sealwire");

fn vectors(args: &[&str]) -> Output {
    Command::new(BINARY)
        .arg("vectors")
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An adapter that is this binary's, with its output through a filter of the shell.
fn filtered(filter: &str) -> String {
    format!("sh -c \"{BINARY} vectors adapter | {filter}\"")
}

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_library_holds_with_every_provider() {
    let output = vectors(&["verify", "--accumulate", "100"]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(out.contains(" 0 failed, 0 skipped\n"), "{out}");
    assert!(out.contains("accumulated: 100 rounds, 1 milestones agree"));
}

#[test]
fn an_adapter_gives_the_same_table() {
    let output = vectors(&[
        "verify",
        "--no-skips",
        "--adapter",
        &format!("{BINARY} vectors adapter"),
    ]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(out.contains("passed: "), "{out}");
}

#[test]
fn one_wrong_code_fails_with_the_case_and_the_reason() {
    let junit = scratch("junit.xml");
    let json = scratch("report.json");
    let output = vectors(&[
        "verify",
        "--kind",
        "open",
        "--junit",
        junit.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
        "--adapter",
        &filtered("sed -u s/bad-padding/decrypt/"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    assert!(
        out.lines().any(|line| line.starts_with("FAILED  frames-")
            && line.contains("failed with decrypt; expected the error bad-padding")),
        "{out}"
    );
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("<failure message=\"failed with decrypt;"));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report[0]["success"], false);
    let failed = report[0]["failed"].as_u64().unwrap();
    let listed = report[0]["results"].as_array().unwrap().iter();
    let listed = listed.filter(|result| result["verdict"] == "failed");
    assert_eq!(u64::try_from(listed.count()).unwrap(), failed);
}

#[test]
fn a_skip_is_counted_by_capability_and_can_be_forbidden() {
    let adapter = filtered("sed -u s/,.suite-2.//");
    let output = vectors(&["verify", "--adapter", &adapter]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(out.contains("skipped for want of suite-2: "), "{out}");
    let output = vectors(&["verify", "--no-skips", "--adapter", &adapter]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn broken_adapters_are_failures_and_end() {
    for (adapter, what) in [
        ("false", "does not speak the protocol"),
        ("cat", "does not speak the protocol"),
        ("echo", "does not speak the protocol"),
        ("no-such-program-anywhere", "does not start"),
        ("'", "command line"),
    ] {
        let output = vectors(&["verify", "--timeout", "2", "--adapter", adapter]);
        assert_eq!(output.status.code(), Some(1), "{adapter}");
        let err = text(&output.stderr);
        assert!(err.contains(what), "{adapter}: {err}");
    }
    for (filter, what) in [
        ("sed -u 3q", "the adapter has ended"),
        ("sed -u '4,\\$d'", "no answer within 1 s"),
        ("sed -u s/frames-data-final/other/", "an answer to"),
    ] {
        let output = vectors(&[
            "verify",
            "--kind",
            "open",
            "--timeout",
            "1",
            "--adapter",
            &filtered(filter),
        ]);
        assert_eq!(output.status.code(), Some(1), "{filter}");
        let out = text(&output.stdout);
        assert!(out.contains(what), "{filter}: {out}");
    }
}

#[test]
fn an_adapter_that_does_not_read_is_stopped_in_time() {
    let dir = scratch("large");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let long = "00".repeat(200_000);
    let case = format!(
        r#"{{"version":1,"cases":[{{"id":"long","kind":"context","spec":"4","comment":"","flags":["context-size"],
        "in":{{"context":"{long}"}},"expect":{{"error":"bad-context","released":0,"released_sha256":""}}}}]}}"#
    );
    fs::write(dir.join("large.json"), case).unwrap();
    let hello = r#"{"name":"n","version":"1","kinds":["context"],"capabilities":[]}"#;
    let script = dir.join("adapter.sh");
    fs::write(&script, format!("echo '{hello}'\nexec sleep 60\n")).unwrap();
    let output = vectors(&[
        "verify",
        "--timeout",
        "1",
        "--accumulate",
        "100",
        "--dir",
        dir.to_str().unwrap(),
        "--adapter",
        &format!("sh {}", script.display()),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    assert!(out.contains("no answer within 1 s"), "{out}");
    assert!(out.contains("accumulated: skipped"), "{out}");
}

#[test]
fn one_case_that_an_adapter_dies_of_is_one_failure() {
    // Ends where it reads this id, and is started again.
    let adapter = filtered("sed -u /frames-padding-first/q");
    let output = vectors(&["verify", "--id", "frames-padding", "--adapter", &adapter]);
    assert_eq!(output.status.code(), Some(1));
    let out = text(&output.stdout);
    let failed = out
        .lines()
        .filter(|line| line.starts_with("FAILED  "))
        .count();
    assert_eq!(failed, 1, "{out}");
}

#[test]
fn a_case_is_explained_with_its_section() {
    let output = vectors(&["explain", "frames-padding-first"]);
    let out = text(&output.stdout);
    assert!(out.contains("it fails with bad-padding"), "{out}");
    assert!(out.contains("### 6.3 Receiving"), "{out}");
    let unknown = vectors(&["explain", "no-such-case"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no case no-such-case"));
}

#[test]
fn other_folders_can_be_read() {
    let dir = scratch("vectors");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let with = |content: &str| {
        fs::write(dir.join("own.json"), content).unwrap();
        vectors(&["verify", "--dir", dir.to_str().unwrap()])
    };
    let case = |padded: u64| {
        format!(
            r#"{{"version":1,"cases":[{{"id":"own-1","kind":"padding","spec":"6.5","comment":"mine","flags":[],
            "in":{{"policy":"buckets","length":65}},"expect":{{"padded":{padded}}}}}]}}"#
        )
    };
    assert!(with(&case(128)).status.success());
    let wrong = with(&case(129));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stdout).contains("FAILED  own-1 (section 6.5): padded: expected 129, got 128")
    );
    let malformed = with("{");
    assert_eq!(malformed.status.code(), Some(1));
    assert!(text(&malformed.stderr).contains("own.json"));
}
