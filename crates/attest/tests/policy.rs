//! The policy's schema.
#![allow(clippy::unwrap_used)]

use sealwire_attest::{Policy, PolicyError};

fn error(toml: &str) -> String {
    Policy::from_toml(toml).unwrap_err().to_string()
}

#[test]
fn a_policy_that_would_take_anything_must_say_so() {
    assert!(matches!(
        Policy::from_toml(""),
        Err(PolicyError::NoMeasurements)
    ));
    Policy::from_toml("any_measurement = true").unwrap();
    // Pins are for places without an enclave.
    Policy::from_toml("identity_pins = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]").unwrap();
}

#[test]
fn unknown_keys_are_named() {
    for (toml, key) in [
        ("any_measurment = true", "any_measurment"),
        ("any_measurement = true\n[tdx]\ntcbs = []", "tcbs"),
        (
            "any_measurement = true\n[roots]\nintl = { name = \"x\", file = \"y\" }",
            "intl",
        ),
        (
            "any_measurement = true\n[snp]\nmin_tcb = { microcod = 3 }",
            "microcod",
        ),
        ("[[measurements]]\nname = \"x\"\nmrdt = \"00\"", "mrdt"),
    ] {
        let error = error(toml);
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn wrong_values_are_errors() {
    let register = "00".repeat(48);
    for (toml, part) in [
        ("[[measurements]]\nname = \"x\"", "`x`: it lists nothing"),
        (
            "[[measurements]]\nname = \"x\"\nmrtd = \"00\"",
            "96 hex digits",
        ),
        (
            &format!(
                "[[measurements]]\nname = \"x\"\nmrtd = \"{register}\"\nmeasurement = \"{register}\""
            ),
            "mixes",
        ),
        (
            &format!(
                "any_measurement = true\n[[measurements]]\nname = \"x\"\nmrtd = \"{register}\""
            ),
            "remove one",
        ),
        ("any_measurement = true\ntee = []", "`tee`"),
        ("any_measurement = true\ntee = [\"none\"]", "`tee`"),
        ("any_measurement = true\ntee = [\"sgx\"]", "sgx"),
        ("any_measurement = true\ngpu = \"maybe\"", "maybe"),
        ("any_measurement = true\ngpu_ways = []", "`gpu_ways`"),
        (
            "any_measurement = true\nmax_evidence_age = 0",
            "max_evidence_age",
        ),
        (
            "any_measurement = true\n[tdx]\ntcb = [\"Revoked\"]",
            "Revoked",
        ),
        ("identity_pins = [\"x\"]", "identity_pins"),
        (
            "any_measurement = true\n[roots]\nintel = { name = \"rig\", file = \"root.der\" }",
            "root.der",
        ),
    ] {
        let error = error(toml);
        assert!(error.contains(part), "{toml}: {error}");
    }
}

#[test]
fn a_root_must_be_one_certificate() {
    let toml = "any_measurement = true\n[roots]\nintel = { name = \"rig\", file = \"root.der\" }";
    let error = Policy::from_toml_with(toml, |_| Ok(b"no certificate".to_vec())).unwrap_err();
    assert!(error.to_string().contains("one certificate"), "{error}");
    let root = sealwire_attest::testing::TdxRig::new(0).root();
    Policy::from_toml_with(toml, |_| Ok(root.clone())).unwrap();
}
