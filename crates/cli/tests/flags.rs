//! Arguments that would do nothing are errors that say so.
#![allow(missing_docs, reason = "tests")]

use std::process::Command;

/// Runs the binary, which must refuse its arguments with these words.
fn refused(args: &[&str], expected: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .args(args)
        // Away from the settings of whoever runs the tests.
        .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the binary");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{args:?}");
    assert!(text.contains(expected), "{args:?}: {text}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

const URL: &str = "http://127.0.0.1:1";
const PIN: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
const ID: &str = "e51e818e-fa63-570d-9f68-49d7d1b4d12f";

#[test]
fn a_proxy_takes_collateral_only_where_evidence_is_judged() {
    for trust in [&["--pin", PIN][..], &["--insecure-trust-relay"]] {
        for name in ["--pccs", "--collateral"] {
            refused(
                &[&["proxy", "--relay", URL], trust, &[name, URL]].concat(),
                &format!("{name} does nothing without --policy"),
            );
        }
    }
    let chutes = ["proxy", "--profile", "chutes-v1", "--api-base", URL];
    refused(
        &[&chutes[..], &["--insecure-trust-relay", "--pccs", URL]].concat(),
        "--pccs does nothing without --policy",
    );
}

#[test]
fn a_proxy_takes_one_source_of_keys_and_no_wait_that_it_never_makes() {
    let trust = "--insecure-trust-relay";
    refused(
        &[
            "proxy",
            "--relay",
            URL,
            trust,
            "--relay-key",
            "k",
            "--forward-key",
        ],
        "'--relay-key <KEY>' cannot be used with '--forward-key",
    );
    let chutes = ["proxy", "--profile", "chutes-v1", "--api-base", URL, trust];
    refused(
        &[&chutes[..], &["--handshake-timeout", "5000"]].concat(),
        "--handshake-timeout does not go with --profile chutes-v1",
    );
    refused(
        &["proxy", "--relay", URL, trust, "--max-request-bytes", "0"],
        "--max-request-bytes",
    );
}

#[test]
fn a_relay_takes_the_arguments_of_its_profiles_only() {
    let alias = format!("fast={ID}");
    for (name, value) in [
        ("--alias", alias.as_str()),
        ("--answer-timeout", "5"),
        ("--max-line-bytes", "5"),
        ("--max-nonces", "500"),
        ("--evidence-timeout", "5"),
        ("--max-evidence-asks", "5"),
    ] {
        refused(
            &["relay", "--instance", URL, name, value],
            &format!("{name} does nothing without --profile chutes-v1"),
        );
    }
}

#[test]
fn a_relay_takes_no_bound_that_lets_nothing_through() {
    let relay = ["relay", "--instance", URL, "--profile", "chutes-v1"];
    for name in [
        "--max-request-bytes",
        "--max-streams",
        "--idle-timeout",
        "--answer-timeout",
        "--max-line-bytes",
        "--max-nonces",
        "--evidence-timeout",
        "--max-evidence-asks",
    ] {
        refused(&[&relay[..], &[name, "0"]].concat(), name);
    }
    refused(
        &[&relay[..], &["--max-nonces", "199"]].concat(),
        "at least 200",
    );
}

#[test]
fn a_relay_takes_each_instance_once() {
    refused(
        &["relay", "--instance", URL, "--instance", URL],
        "named twice",
    );
}

#[test]
fn an_instance_takes_the_arguments_of_its_profiles_only() {
    let base = ["instance", "--upstream", URL, "--model", "m", "--evidence"];
    let chute = format!("m={ID}");
    for (evidence, name, value) in [
        ("none", "--chute-id", chute.as_str()),
        ("none", "--instance-id", ID),
        ("none", "--feature", "tools"),
        ("none", "--key-rotation", "5"),
        ("none", "--key-lifetime", "5"),
        ("none", "--key-requests", "5"),
        ("none", "--max-answer-bytes", "5"),
        ("command=true", "--vm-certificate", "certificate.pem"),
    ] {
        refused(
            &[&base[..], &[evidence, name, value]].concat(),
            &format!("{name} does nothing without --profile chutes-v1"),
        );
    }
    for (name, value) in [
        ("--identity-key", "no-such-folder/key"),
        ("--suite", "1"),
        ("--max-fields", "5"),
    ] {
        refused(
            &[&base[..], &["none", "--profile", "chutes-v1", name, value]].concat(),
            &format!("{name} does nothing without --profile native"),
        );
    }
}

#[test]
fn an_instance_takes_no_bound_that_lets_nothing_through() {
    let base = [
        "instance",
        "--upstream",
        URL,
        "--model",
        "m",
        "--evidence",
        "none",
    ];
    for name in [
        "--max-request-bytes",
        "--max-answer-bytes",
        "--request-timeout",
        "--send-idle",
        "--max-streams",
        "--max-fields",
        "--request-idle",
        "--upstream-timeout",
        "--upstream-idle",
    ] {
        refused(&[&base[..], &[name, "0"]].concat(), name);
    }
}
