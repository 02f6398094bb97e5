//! Quotes and reports that other packages carry, read from cargo's registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{hex, package};
use sealwire_attest::{
    Binding, Collateral, Evidence, Freshness, Measurements, Outcome, Policy, Reason, Report,
    TeeKind, Verifier,
};

const NOW_SNP: u64 = 1_700_000_000;

fn evidence(tee: TeeKind, quote: Vec<u8>, certificates: Vec<Vec<u8>>) -> Evidence {
    Evidence {
        tee,
        quote,
        certificates,
        gpus: Vec::new(),
        gpu_tokens: None,
        collateral: None,
        statement: None,
        claimed_identity: None,
        claimed_nonce: None,
    }
}

fn verify(evidence: &Evidence, policy: &str, collateral: Option<&Collateral>, now: u64) -> Report {
    let binding = Binding::Native {
        identity: &[1; 32],
        nonce: Some(&[2; 32]),
        statement: br#"{"labels":[],"upstream":"http://127.0.0.1:1","profiles":[],"padding":"none","gpu_evidence_sha256":null,"version":"0"}"#,
    };
    let policy = Policy::from_toml(policy).unwrap();
    Verifier::new(policy).verify(
        evidence,
        &binding,
        collateral,
        Freshness::Challenged { sent: now },
        now,
    )
}

fn tdx(name: &str) -> (Evidence, Collateral) {
    let samples = package("dcap-qvl").join("sample");
    let quote = fs::read(samples.join(name)).unwrap();
    let collateral = fs::read(samples.join(format!("{name}_collateral.json"))).unwrap();
    (
        evidence(TeeKind::Tdx, quote, Vec::new()),
        Collateral::from_json(&collateral).unwrap(),
    )
}

const POLICY: &str = "any_measurement = true\ngpu = \"ignore\"";

/// The samples are bound to other data than ours. The second one's platform is older than every TCB level of its collateral.
#[test]
fn tdx_quotes() {
    for (name, tcb) in [
        ("tdx_quote", None),
        ("tdx_quote_outdated", Some(Reason::TcbUnknown)),
    ] {
        let (evidence, collateral) = tdx(name);
        let report = verify(
            &evidence,
            POLICY,
            Some(&collateral),
            collateral.valid_until(),
        );
        for check in [
            "quote signature",
            "quote key",
            "quote certificates",
            "collateral platform",
            "collateral signature",
            "debug",
        ] {
            assert_eq!(
                report.outcome(check),
                Some(Outcome::Passed),
                "{name}: {check}"
            );
        }
        let expected: Vec<Reason> = tcb.into_iter().chain([Reason::ReportData]).collect();
        assert_eq!(report.verdict().unwrap_err().reasons, expected, "{name}");
    }
}

#[test]
fn a_quote_with_the_collateral_of_another() {
    let (evidence, _) = tdx("tdx_quote");
    let (_, collateral) = tdx("tdx_quote_outdated");
    let report = verify(
        &evidence,
        POLICY,
        Some(&collateral),
        collateral.valid_until(),
    );
    assert_eq!(
        report.outcome("collateral platform"),
        Some(Outcome::Failed(Reason::CollateralOtherPlatform))
    );
    assert_eq!(report.outcome("quote signature"), Some(Outcome::Passed));
    assert_eq!(report.outcome("tcb"), Some(Outcome::NotRun));
}

fn milan() -> Evidence {
    let data = package("sev").join("tests/certs_data");
    let report = hex(fs::read_to_string(data.join("report_milan.hex"))
        .unwrap()
        .trim());
    let vcek = fs::read(data.join("vcek_milan.der")).unwrap();
    evidence(TeeKind::SevSnp, report, vec![vcek])
}

#[test]
fn an_snp_report() {
    let report = verify(&milan(), POLICY, None, NOW_SNP);
    for check in [
        "quote",
        "quote certificates",
        "quote signature",
        "quote key",
        "report",
        "tcb",
        "debug",
    ] {
        assert_eq!(report.outcome(check), Some(Outcome::Passed), "{check}");
    }
    let certificates = report
        .checks
        .iter()
        .find(|check| check.name == "quote certificates")
        .unwrap();
    assert_eq!(certificates.got, "Milan");
    assert!(matches!(
        report.measurements,
        Some(Measurements::Snp { .. })
    ));
}

#[test]
fn an_snp_report_that_was_changed() {
    let changed = |at: usize| {
        let mut evidence = milan();
        evidence.quote[at] ^= 1;
        verify(&evidence, POLICY, None, NOW_SNP)
    };
    let signature = Some(Outcome::Failed(Reason::QuoteSignature));
    // The measurement, report data, the signature.
    for at in [0x90, 0x50, 0x2a0] {
        assert_eq!(changed(at).outcome("quote signature"), signature, "{at:x}");
    }
    // Bit 19 of the policy: debug.
    let mut evidence = milan();
    evidence.quote[8 + 2] ^= 0x08;
    let report = verify(&evidence, POLICY, None, NOW_SNP);
    assert_eq!(
        report.outcome("debug"),
        Some(Outcome::Failed(Reason::DebugEnabled))
    );
    // VMPL.
    let report = changed(0x30);
    assert_eq!(
        report.outcome("report"),
        Some(Outcome::Failed(Reason::SnpReport))
    );
    // The chip's id, and its firmware.
    for at in [0x1a0, 0x180] {
        let report = changed(at);
        assert_eq!(
            report.outcome("quote key"),
            Some(Outcome::Failed(Reason::SnpCertificate)),
            "{at:x}"
        );
    }
}

#[test]
fn an_snp_certificate() {
    let chain = |change: &dyn Fn(&mut Vec<u8>), now| {
        let mut evidence = milan();
        change(&mut evidence.certificates[0]);
        verify(&evidence, POLICY, None, now).outcome("quote certificates")
    };
    let failed = Some(Outcome::Failed(Reason::QuoteChain));
    assert_eq!(chain(&|_| (), NOW_SNP), Some(Outcome::Passed));
    let length = milan().certificates[0].len();
    assert_eq!(chain(&|der| der[length - 1] ^= 1, NOW_SNP), failed);
    assert_eq!(chain(&|_| (), 2_000_000_000), failed);
    let mut none = milan();
    none.certificates.clear();
    assert_eq!(
        verify(&none, POLICY, None, NOW_SNP).outcome("quote certificates"),
        failed
    );
}

#[test]
fn least_versions_of_an_snp_chip() {
    let with = |minimum: &str| {
        let policy = format!("{POLICY}\n[snp]\nmin_tcb = {{ {minimum} }}");
        verify(&milan(), &policy, None, NOW_SNP).outcome("tcb")
    };
    assert_eq!(with("microcode = 115"), Some(Outcome::Passed));
    assert_eq!(
        with("microcode = 116"),
        Some(Outcome::Failed(Reason::TcbVersion))
    );
}
