//! Evidence of our own making: each fault alone, and the reason that it is refused for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use sealwire::{Context, IdentityKey, Limits, Suite, rustcrypto, server};
use sealwire_attest::testing::{
    CollateralOptions, GpuRig, QuoteOptions, TdxRig, TokenOptions, TokenRig, native_evidence,
    policy, statement,
};
use sealwire_attest::{
    Binding, Cache, Collateral, Evidence, Freshness, Hints, Outcome, Reason, Report, Verified,
    VerifiedError, Verifier, native,
};

const NOW: u64 = 1_800_000_000;
const IDENTITY: [u8; 32] = [7; 32];
const NONCE: [u8; 32] = [9; 32];
const LABEL: &str = "my/model";

/// A policy that takes what the rig makes, and nothing else.
fn strict() -> String {
    format!(
        "[[measurements]]\nname = \"rig\"\nmrtd = \"{}\"\nrtmr3 = \"{}\"\n",
        "a1".repeat(48),
        "b3".repeat(48)
    )
}

struct Case {
    policy: String,
    evidence: Evidence,
    collateral: Option<Collateral>,
    identity: [u8; 32],
    nonce: Option<[u8; 32]>,
    freshness: Freshness,
    now: u64,
    tokens: bool,
}

impl Case {
    fn good() -> Self {
        Self::with(&QuoteOptions::default())
    }

    fn with(options: &QuoteOptions) -> Self {
        let rig = TdxRig::new(NOW);
        Self {
            policy: strict(),
            evidence: native_evidence(&rig, &IDENTITY, Some(&NONCE), LABEL, options),
            collateral: Some(rig.collateral(&CollateralOptions::default())),
            identity: IDENTITY,
            nonce: Some(NONCE),
            freshness: Freshness::Challenged { sent: NOW - 2 },
            now: NOW,
            tokens: true,
        }
    }

    fn collateral(options: &CollateralOptions) -> Self {
        let mut case = Self::good();
        case.collateral = Some(TdxRig::new(NOW).collateral(options));
        case
    }

    fn verify(&self) -> Report {
        let mut verifier = Verifier::new(policy(&self.policy).unwrap());
        if self.tokens {
            verifier = verifier.with_jwks(TokenRig::new().jwks());
        }
        let binding = Binding::Native {
            identity: &self.identity,
            nonce: self.nonce.as_ref(),
            statement: self.evidence.statement.as_ref().unwrap(),
        };
        verifier.verify(
            &self.evidence,
            &binding,
            self.collateral.as_ref(),
            self.freshness,
            self.now,
        )
    }

    fn verified(&self) -> Verified {
        let report = self.verify();
        report
            .verdict()
            .unwrap_or_else(|rejected| panic!("{rejected}: {:#?}", report.checks))
    }

    fn reasons(&self) -> Vec<Reason> {
        self.verify().verdict().unwrap_err().reasons
    }
}

#[test]
fn good_evidence_gives_trust_in_its_identity_only() {
    let provider = rustcrypto::provider();
    let identity = IdentityKey::generate(&provider).unwrap();
    let other = IdentityKey::generate(&provider).unwrap();
    let rig = TdxRig::new(NOW);
    let public = identity.public_key();
    let evidence = native_evidence(&rig, &public, Some(&NONCE), LABEL, &QuoteOptions::default());
    let case = Case {
        evidence,
        identity: public,
        ..Case::good()
    };
    let verified = case.verified();
    assert_eq!(verified.measured(), Some("rig"));
    assert_eq!(verified.identity(), Some(&public));

    let now = server::Now {
        unix: NOW,
        monotonic: 0,
    };
    let bundle = |identity, label| {
        let mut ring =
            server::KeyRing::new(&provider, identity, label, Default::default()).unwrap();
        let published = ring.bundle(Suite::MlKem768, now).unwrap();
        sealwire::Bundle::parse(&provider.verification, published.as_bytes()).unwrap()
    };
    let own = bundle(identity, LABEL);
    let bundle_of_other = bundle(other, LABEL);
    let refused = verified
        .verify_bundle(bundle_of_other, &provider, LABEL, NOW)
        .unwrap_err();
    assert!(matches!(
        refused,
        VerifiedError::Bundle(sealwire::Error::Policy(sealwire::PolicyFault::Identity))
    ));
    let label = verified
        .verify_bundle(own.clone(), &provider, "other/model", NOW)
        .unwrap_err();
    assert!(matches!(label, VerifiedError::Label { .. }));
    let late = verified
        .verify_bundle(own.clone(), &provider, LABEL, verified.valid_until() + 1)
        .unwrap_err();
    assert!(matches!(late, VerifiedError::Expired { .. }));

    let trusted = verified.verify_bundle(own, &provider, LABEL, NOW).unwrap();
    let context = Context::new(LABEL, [1; 16], 1).unwrap();
    let mut wire = Vec::new();
    let _ = Limits::default();
    sealwire::client::start(
        &provider,
        &Default::default(),
        &trusted,
        &context,
        &mut wire,
    )
    .unwrap();
    assert!(!wire.is_empty());
}

#[test]
fn evidence_survives_its_json() {
    let mut evidence = Case::good().evidence;
    let nonce = native::gpu_nonce(&IDENTITY, Some(&NONCE));
    evidence.gpu_tokens = Some(TokenRig::new().tokens(&nonce, &TokenOptions::good(NOW)));
    evidence.collateral = Some(
        TdxRig::new(NOW)
            .collateral(&CollateralOptions::default())
            .to_json()
            .unwrap(),
    );
    let mut again = Evidence::from_json(&evidence.to_json().unwrap()).unwrap();
    let collateral = Collateral::from_json(&again.collateral.take().unwrap()).unwrap();
    assert_eq!(
        collateral,
        Collateral::from_json(&evidence.collateral.take().unwrap()).unwrap()
    );
    assert_eq!(again, evidence);
}

#[test]
fn the_quote_and_its_parts() {
    let flipped = |at: usize| {
        let mut case = Case::good();
        case.evidence.quote[at] ^= 1;
        case.reasons()
    };
    // MRSEAM, which no list of the policy names.
    assert_eq!(flipped(48 + 20), [Reason::QuoteSignature]);
    // MRTD: the signature covers it, and the list names it.
    assert_eq!(
        flipped(48 + 140),
        [Reason::QuoteSignature, Reason::MeasurementUnknown]
    );
    // Report data.
    assert_eq!(
        flipped(48 + 530),
        [Reason::QuoteSignature, Reason::ReportData]
    );
    // The signature itself.
    assert_eq!(flipped(632 + 4 + 10), [Reason::QuoteSignature]);
    // The enclave's report: its own measurement, which only Intel's signature covers.
    assert_eq!(flipped(632 + 4 + 128 + 6 + 70), [Reason::QuoteKey]);
    // The signature over it.
    assert_eq!(flipped(632 + 4 + 128 + 6 + 384 + 10), [Reason::QuoteKey]);
    // The signature of the platform's certificate.
    let mut case = Case::good();
    let end = b"\n-----END CERTIFICATE-----";
    let at = case
        .evidence
        .quote
        .windows(end.len())
        .position(|window| window == end)
        .unwrap()
        - 8;
    case.evidence.quote[at] = if case.evidence.quote[at] == b'A' {
        b'B'
    } else {
        b'A'
    };
    assert_eq!(case.reasons(), [Reason::QuoteChain]);
    // Not a quote.
    let mut case = Case::good();
    case.evidence.quote.truncate(600);
    assert_eq!(case.reasons(), [Reason::QuoteFormat]);
}

#[test]
fn a_quote_of_another_root() {
    let case = Case::good();
    let toml = "any_measurement = true\n[roots]\nnvidia = { name = \"rig\", file = \"n\" }\n";
    let policy =
        sealwire_attest::Policy::from_toml_with(toml, |_| Ok(GpuRig::new().root())).unwrap();
    let binding = Binding::Native {
        identity: &IDENTITY,
        nonce: Some(&NONCE),
        statement: case.evidence.statement.as_ref().unwrap(),
    };
    let report = Verifier::new(policy).verify(
        &case.evidence,
        &binding,
        case.collateral.as_ref(),
        case.freshness,
        NOW,
    );
    assert_eq!(
        report.verdict().unwrap_err().reasons,
        [Reason::QuoteChain, Reason::CollateralSignature]
    );
    assert_eq!(report.outcome("quote signature"), Some(Outcome::Passed));
}

#[test]
fn foreign_roots_are_shown_by_name() {
    let report = Case::good().verify();
    let roots: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.name == "trust root")
        .map(|check| check.got.as_str())
        .collect();
    assert_eq!(roots.len(), 2);
    assert!(
        roots.iter().all(|root| root.contains("`test rig`")),
        "{roots:?}"
    );
}

#[test]
fn collateral_faults() {
    let reasons = |change: fn(&mut CollateralOptions)| {
        let mut options = CollateralOptions::default();
        change(&mut options);
        Case::collateral(&options).reasons()
    };
    assert_eq!(
        reasons(|options| options.fmspc = [1; 6]),
        [Reason::CollateralOtherPlatform]
    );
    assert_eq!(
        reasons(|options| options.until = Some(NOW - 1)),
        [Reason::CollateralExpired]
    );
    assert_eq!(
        reasons(|options| options.from = Some(NOW + 1)),
        [Reason::CollateralNotYetValid]
    );
    assert_eq!(
        reasons(|options| options.status = "OutOfDate".to_owned()),
        [Reason::TcbStatus]
    );
    assert_eq!(
        reasons(|options| options.status = "Revoked".to_owned()),
        [Reason::TcbStatus]
    );
    assert_eq!(
        reasons(|options| options.status = "Excellent".to_owned()),
        [Reason::TcbUnknown]
    );
    assert_eq!(reasons(|options| options.svn = 6), [Reason::TcbUnknown]);
    assert_eq!(
        reasons(|options| options.revoked = true),
        [Reason::QuoteRevoked]
    );

    let mut none = Case::good();
    none.collateral = None;
    assert_eq!(none.reasons(), [Reason::CollateralMissing]);
    none.evidence.collateral = Some(b"{}".to_vec());
    assert_eq!(none.reasons(), [Reason::CollateralFormat]);
}

#[test]
fn collateral_that_was_changed() {
    let json = TdxRig::new(NOW).collateral_json(&CollateralOptions::default());
    let changed = |member: &str, change: &dyn Fn(&str) -> String| {
        let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let text = change(value[member].as_str().unwrap());
        value[member] = text.into();
        let mut case = Case::good();
        case.collateral = Some(Collateral::from_json(value.to_string().as_bytes()).unwrap());
        case.reasons()
    };
    let newer = |text: &str| {
        text.replace(
            "\"tcbEvaluationDataNumber\":19",
            "\"tcbEvaluationDataNumber\":20",
        )
    };
    assert_eq!(changed("tcb_info", &newer), [Reason::CollateralSignature]);
    assert_eq!(
        changed("qe_identity", &newer),
        [Reason::CollateralSignature]
    );
    // The last digit of the signature, which comes last in the DER of a CRL.
    let last = |text: &str| {
        let (head, tail) = text.split_at(text.len() - 1);
        format!("{head}{}", if tail == "0" { "1" } else { "0" })
    };
    assert_eq!(changed("pck_crl", &last), [Reason::CollateralSignature]);
    assert_eq!(changed("root_ca_crl", &last), [Reason::CollateralSignature]);
}

#[test]
fn expired_collateral_hides_nothing_else() {
    let mut case = Case::collateral(&CollateralOptions {
        until: Some(NOW - 1),
        status: "OutOfDate".to_owned(),
        advisories: vec!["INTEL-SA-00001".to_owned()],
        ..CollateralOptions::default()
    });
    case.policy = format!("gpu = \"if-present\"\n{}", strict());
    let report = case.verify();
    assert_eq!(
        report.verdict().unwrap_err().reasons,
        [Reason::CollateralExpired, Reason::TcbStatus]
    );
    assert_eq!(report.outcome("quote signature"), Some(Outcome::Passed));
    assert_eq!(report.tcb.as_ref().unwrap().advisories, ["INTEL-SA-00001"]);
    assert_eq!(report.outcome("gpu 0 signature"), Some(Outcome::Passed));
}

#[test]
fn a_status_that_the_policy_lists_is_taken() {
    let mut case = Case::collateral(&CollateralOptions {
        status: "SWHardeningNeeded".to_owned(),
        ..CollateralOptions::default()
    });
    assert_eq!(case.reasons(), [Reason::TcbStatus]);
    case.policy = format!(
        "[tdx]\ntcb = [\"UpToDate\", \"SWHardeningNeeded\"]\n{}",
        strict()
    );
    case.verified();
}

#[test]
fn stapled_collateral_is_used_when_the_caller_has_none() {
    let mut case = Case::good();
    case.evidence.collateral = case
        .collateral
        .take()
        .map(|collateral| collateral.to_json().unwrap());
    case.verified();
}

#[test]
fn debug_and_profiling() {
    for bit in [0, 4, 5, 6] {
        let mut options = QuoteOptions::default();
        options.td_attributes[0] |= 1 << bit;
        let mut case = Case::with(&options);
        assert_eq!(case.reasons(), [Reason::DebugEnabled], "bit {bit}");
        case.policy = format!("allow_debug = true\n{}", strict());
        let report = case.verify();
        assert!(report.verdict().is_ok());
        assert_eq!(report.outcome("debug"), Some(Outcome::Noted));
    }
}

#[test]
fn other_rules_of_intel() {
    let mut options = QuoteOptions::default();
    // Bit 29: the VM may be migrated.
    options.td_attributes[3] |= 0x20;
    assert_eq!(Case::with(&options).reasons(), [Reason::QuoteRejected]);
}

#[test]
fn measurements() {
    let mut options = QuoteOptions::default();
    options.rtmr[3] = [0; 48];
    let case = Case::with(&options);
    assert_eq!(case.reasons(), [Reason::MeasurementUnknown]);
    let report = case.verify();
    let check = report
        .checks
        .iter()
        .find(|check| check.name == "measurement")
        .unwrap();
    assert_eq!(check.got, "not rig (rtmr3 differ)");
    // A register that is not listed is not compared.
    let mut options = QuoteOptions::default();
    options.rtmr[0] = [0; 48];
    Case::with(&options).verified();
}

#[test]
fn the_binding_says_what_differs() {
    let case = Case {
        nonce: Some([8; 32]),
        ..Case::good()
    };
    assert_eq!(case.reasons(), [Reason::ReportDataNonce, Reason::GpuNonce]);
    let case = Case {
        identity: [8; 32],
        ..Case::good()
    };
    assert_eq!(case.reasons(), [Reason::ReportDataKey, Reason::GpuNonce]);
    // A lie about what it is for does not help it.
    let mut case = Case {
        nonce: Some([8; 32]),
        ..Case::good()
    };
    case.evidence.claimed_nonce = Some([8; 32]);
    assert_eq!(case.reasons(), [Reason::ReportData, Reason::GpuNonce]);
}

#[test]
fn the_statement() {
    let rig = TdxRig::new(NOW);
    let with = |change: &dyn Fn(&mut String)| {
        let mut case = Case::good();
        let mut text =
            String::from_utf8(statement(LABEL, &case.evidence.gpus).to_json().unwrap()).unwrap();
        change(&mut text);
        let report_data = native::report_data(&IDENTITY, Some(&NONCE), text.as_bytes());
        case.evidence.quote = rig.quote(&report_data, &QuoteOptions::default());
        case.evidence.statement = Some(text.into_bytes());
        case
    };
    with(&|_| ()).verified();
    for upstream in [
        "http://10.0.0.1:8000",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "evil.example",
        "ftp://127.0.0.1",
        "http://[::1].evil.example",
        "http://127.0.0.1.evil.example/",
        "http://2130706433/",
    ] {
        let mut case = with(&|text| *text = text.replace("http://127.0.0.1:8000", upstream));
        assert_eq!(case.reasons(), [Reason::UpstreamNotLoopback], "{upstream}");
        case.policy = format!("allow_remote_upstream = true\n{}", strict());
        case.verified();
    }
    for upstream in [
        "http://[::1]:8000/v1",
        "http://localhost",
        "https://127.8.8.8",
        "unix:///run/model.sock",
    ] {
        with(&|text| *text = text.replace("http://127.0.0.1:8000", upstream)).verified();
    }
    assert_eq!(
        with(&|text| *text = text.replacen('{', "{\"more\":1,", 1)).reasons(),
        [Reason::StatementFormat]
    );
    assert_eq!(
        with(&|text| *text =
            text.replace("\"gpu_evidence_sha256\":\"", "\"gpu_evidence_sha256\":\"x"))
        .reasons(),
        [Reason::StatementFormat]
    );
    assert_eq!(
        with(&|text| *text = text.replace("\"padding\":\"buckets\",", "")).reasons(),
        [Reason::StatementFormat]
    );
    assert_eq!(
        with(&|text| *text = text.replace("\"gpu_evidence_sha256\"", "\"gpu\"")).reasons(),
        [Reason::StatementFormat]
    );
    assert_eq!(
        with(&|text| text.truncate(20)).reasons(),
        [Reason::StatementFormat]
    );
    // Changed after the quote was made.
    let mut case = Case::good();
    let text = String::from_utf8(case.evidence.statement.take().unwrap()).unwrap();
    case.evidence.statement = Some(text.replace("my/model", "my/modem").into_bytes());
    assert_eq!(case.reasons(), [Reason::ReportData]);
}

#[test]
fn age() {
    let mut case = Case {
        freshness: Freshness::Challenged { sent: NOW - 3600 },
        ..Case::good()
    };
    case.verified();
    case.freshness = Freshness::Challenged { sent: NOW - 3601 };
    assert_eq!(case.reasons(), [Reason::EvidenceTooOld]);
    case.freshness = Freshness::Challenged { sent: NOW + 6 };
    assert_eq!(case.reasons(), [Reason::EvidenceFromFuture]);
    case.freshness = Freshness::Challenged { sent: NOW - 30 };
    case.policy = format!("max_evidence_age = 29\n{}", strict());
    assert_eq!(case.reasons(), [Reason::EvidenceTooOld]);
    case.policy = format!("max_evidence_age = 30\n{}", strict());
    assert_eq!(case.verified().valid_until(), NOW);
}

#[test]
fn stapled_evidence_has_no_age_and_must_be_allowed() {
    let rig = TdxRig::new(NOW);
    let mut case = Case {
        evidence: native_evidence(&rig, &IDENTITY, None, LABEL, &QuoteOptions::default()),
        nonce: None,
        freshness: Freshness::Stapled,
        ..Case::good()
    };
    assert_eq!(case.reasons(), [Reason::StapledNotAllowed]);
    // Saying that it was asked for does not make it so.
    case.freshness = Freshness::Challenged { sent: NOW };
    assert_eq!(case.reasons(), [Reason::StapledNotAllowed]);
    case.freshness = Freshness::Stapled;
    case.policy = format!("allow_stapled = true\n{}", strict());
    assert_eq!(case.verified().valid_until(), NOW + 3600);
    case.collateral = Some(rig.collateral(&CollateralOptions {
        until: Some(NOW + 60),
        ..CollateralOptions::default()
    }));
    // CRLs end a second before their next update.
    assert_eq!(case.verified().valid_until(), NOW + 59);
    case.now = NOW + 59;
    case.verified();
    case.now = NOW + 60;
    assert_eq!(case.reasons(), [Reason::CollateralExpired]);
}

#[test]
fn gpu_reports() {
    let nonce = native::gpu_nonce(&IDENTITY, Some(&NONCE));
    let rig = TdxRig::new(NOW);
    let with = |gpus: Vec<sealwire_attest::GpuEvidence>| {
        let mut case = Case::good();
        let text = statement(LABEL, &gpus).to_json().unwrap();
        case.evidence.quote = rig.quote(
            &native::report_data(&IDENTITY, Some(&NONCE), &text),
            &QuoteOptions::default(),
        );
        case.evidence.statement = Some(text);
        case.evidence.gpus = gpus;
        case
    };
    let gpu = GpuRig::new();
    let two = || vec![gpu.report(0, &nonce), gpu.report(1, &nonce)];
    assert_eq!(with(two()).verify().gpus.len(), 2);
    with(two()).verified();
    assert_eq!(
        with(vec![gpu.report(0, &nonce), gpu.report(0, &nonce)]).reasons(),
        [Reason::GpuRepeated]
    );
    assert_eq!(
        with(vec![gpu.report(0, &[1; 32])]).reasons(),
        [Reason::GpuNonce]
    );

    let changed = |change: &dyn Fn(&mut sealwire_attest::GpuEvidence)| {
        let mut gpus = two();
        change(&mut gpus[1]);
        with(gpus).reasons()
    };
    let length = two()[0].evidence.len();
    // A measurement, the signature, the nonce.
    assert_eq!(
        changed(&|gpu| gpu.evidence[60] ^= 1),
        [Reason::GpuSignature]
    );
    assert_eq!(
        changed(&|gpu| gpu.evidence[length - 1] ^= 1),
        [Reason::GpuSignature]
    );
    assert_eq!(
        changed(&|gpu| gpu.evidence[5] ^= 1),
        [Reason::GpuSignature, Reason::GpuNonce]
    );
    assert_eq!(
        changed(&|gpu| gpu.evidence.truncate(90)),
        [Reason::GpuFormat]
    );
    assert_eq!(
        changed(&|gpu| gpu.certificate.truncate(10)),
        [Reason::GpuChain]
    );
    // Another GPU's certificate: sound in itself.
    let other = gpu.report(2, &nonce).certificate;
    assert_eq!(
        changed(&|gpu| gpu.certificate.clone_from(&other)),
        [Reason::GpuSignature]
    );
    // Without its root.
    let alone = String::from_utf8(two()[1].certificate.clone()).unwrap();
    let alone = alone
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap()
        .as_bytes()
        .to_vec();
    assert_eq!(
        changed(&|gpu| gpu.certificate.clone_from(&alone)),
        [Reason::GpuChain]
    );

    // Added or taken away behind the quote's back.
    let mut case = with(two());
    case.evidence.gpus.pop();
    assert_eq!(case.reasons(), [Reason::GpuBinding]);
    let mut case = with(Vec::new());
    assert_eq!(case.reasons(), [Reason::GpuMissing]);
    case.policy = format!("gpu = \"if-present\"\n{}", strict());
    case.verified();
    case.policy = format!("gpu = \"ignore\"\n{}", strict());
    assert_eq!(case.verify().outcome("gpu"), Some(Outcome::Noted));
    let mut case = with(two());
    case.policy = format!("gpu_ways = [\"token\"]\n{}", strict());
    assert_eq!(case.reasons(), [Reason::GpuMissing]);
}

#[test]
fn gpu_tokens() {
    let nonce = native::gpu_nonce(&IDENTITY, Some(&NONCE));
    let rig = TokenRig::new();
    let with = |change: &dyn Fn(&mut TokenOptions)| {
        let mut options = TokenOptions::good(NOW);
        change(&mut options);
        let mut case = Case::good();
        case.evidence.gpu_tokens = Some(rig.tokens(&nonce, &options));
        case
    };
    assert_eq!(with(&|_| ()).verified().valid_until(), NOW + 600);
    assert_eq!(
        with(&|token| token.result = false).reasons(),
        [Reason::TokenResult]
    );
    assert_eq!(
        with(&|token| token.until = NOW - 1).reasons(),
        [Reason::TokenExpired]
    );
    assert_eq!(
        with(&|token| token.from = NOW + 61).reasons(),
        [Reason::TokenNotYetValid]
    );
    assert_eq!(
        with(&|token| token.issuer = "https://nras.example".to_owned()).reasons(),
        [Reason::TokenIssuer]
    );
    let mut case = with(&|_| ());
    case.evidence.gpu_tokens = Some(rig.tokens(&[1; 32], &TokenOptions::good(NOW)));
    assert_eq!(case.reasons(), [Reason::TokenNonce]);
    let mut case = with(&|_| ());
    case.tokens = false;
    assert_eq!(case.reasons(), [Reason::TokenKey]);
    // The last character of a signature carries two of its bits.
    let mut case = with(&|_| ());
    let tokens = case.evidence.gpu_tokens.as_mut().unwrap();
    let at = tokens.overall.len() - 5;
    let other = if &tokens.overall[at..=at] == "A" {
        "B"
    } else {
        "A"
    };
    tokens.overall.replace_range(at..=at, other);
    assert_eq!(case.reasons(), [Reason::TokenSignature]);
    // A GPU's token of another answer.
    let mut case = with(&|_| ());
    case.evidence.gpu_tokens.as_mut().unwrap().gpus[0].1 =
        rig.tokens(&nonce, &TokenOptions::good(NOW - 1)).gpus[0]
            .1
            .clone();
    assert_eq!(case.reasons(), [Reason::TokenBinding]);
    let mut case = with(&|_| ());
    case.evidence.gpu_tokens.as_mut().unwrap().overall = "not.a.token".to_owned();
    assert_eq!(case.reasons(), [Reason::TokenFormat]);
    // A policy that takes reports only does not look at tokens.
    let mut case = with(&|token| token.result = false);
    case.policy = format!("gpu_ways = [\"spdm\"]\n{}", strict());
    case.verified();
}

#[test]
fn chutes_v1_binding() {
    use sha2::{Digest, Sha256};
    let rig = TdxRig::new(NOW);
    let certificate = rig.root();
    let spki = sealwire_attest::testing::spki(&certificate).unwrap();
    let evidence = |nonce: &[u8; 32], key: &str| {
        let hex: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let first: [u8; 32] = Sha256::digest(format!("{hex}{key}")).into();
        let mut report_data = [0; 64];
        report_data[..32].copy_from_slice(&first);
        report_data[32..].copy_from_slice(&Sha256::digest(&spki));
        Evidence {
            quote: rig.quote(&report_data, &QuoteOptions::default()),
            certificates: vec![certificate.clone()],
            gpus: vec![GpuRig::new().report(0, &first)],
            statement: None,
            claimed_identity: None,
            claimed_nonce: None,
            ..Case::good().evidence
        }
    };
    let collateral = rig.collateral(&CollateralOptions::default());
    let verify_by = |toml: &str, evidence: &Evidence, key: Option<&str>, hints: Hints<'_>| {
        let binding = Binding::ChutesV1 {
            nonce: &NONCE,
            e2e_pubkey_b64: key,
            hints,
        };
        Verifier::new(policy(toml).unwrap())
            .verify(
                evidence,
                &binding,
                Some(&collateral),
                Freshness::Challenged { sent: NOW },
                NOW,
            )
            .verdict()
    };
    let verify = |evidence: &Evidence, key: Option<&str>, hints: Hints<'_>| {
        verify_by(&strict(), evidence, key, hints)
    };
    let none = Hints::default();
    // There is no identity that could be the pinned one.
    let pinned = format!(
        "identity_pins = [\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"]\n{}",
        strict()
    );
    let refused = verify_by(
        &pinned,
        &evidence(&NONCE, "key"),
        Some("key"),
        Hints::default(),
    );
    assert_eq!(refused.unwrap_err().reasons, [Reason::IdentityPin]);
    let good = evidence(&NONCE, "key");
    assert_eq!(
        verify(&good, Some("key"), none)
            .unwrap()
            .chutes_key()
            .unwrap()
            .as_base64(),
        "key"
    );
    assert!(
        verify(&good, Some("key"), none)
            .unwrap()
            .trust(NOW)
            .is_err()
    );
    let reasons =
        |evidence: &Evidence, key, hints| verify(evidence, key, hints).unwrap_err().reasons;
    assert_eq!(reasons(&good, None, none), [Reason::NoKeyToBind]);
    assert_eq!(reasons(&good, Some("other"), none), [Reason::ReportData]);
    let keys = Hints {
        other_keys: &["key"],
        other_nonces: &[],
    };
    assert_eq!(reasons(&good, Some("other"), keys), [Reason::ReportDataKey]);
    let old = evidence(&[3; 32], "key");
    assert_eq!(reasons(&old, Some("key"), none), [Reason::ReportData]);
    let nonces = Hints {
        other_keys: &[],
        other_nonces: &[[3; 32]],
    };
    assert_eq!(
        reasons(&old, Some("key"), nonces),
        [Reason::ReportDataNonce]
    );
    let mut case = good.clone();
    case.certificates = vec![TdxRig::new(NOW).quote(&[0; 64], &QuoteOptions::default())];
    assert_eq!(
        reasons(&case, Some("key"), none),
        [Reason::CertificateMissing]
    );
    case.certificates.clear();
    assert_eq!(
        reasons(&case, Some("key"), none),
        [Reason::CertificateMissing]
    );
    case.certificates = vec![GpuRig::new().root()];
    assert_eq!(
        reasons(&case, Some("key"), none),
        [Reason::CertificateBinding]
    );
}

#[test]
fn pins() {
    let pin = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let toml = format!("identity_pins = [\"{pin}\"]\n");
    let verifier = Verifier::new(policy(&toml).unwrap());
    let evidence = Evidence {
        tee: sealwire_attest::TeeKind::None,
        quote: Vec::new(),
        ..Case::good().evidence
    };
    let verify = |identity: &[u8; 32]| {
        verifier
            .verify(
                &evidence,
                &Binding::Pinned { identity },
                None,
                Freshness::Stapled,
                NOW,
            )
            .verdict()
    };
    assert_eq!(
        verify(&IDENTITY).unwrap().tee(),
        sealwire_attest::TeeKind::None
    );
    assert_eq!(verify(&[8; 32]).unwrap_err().reasons, [Reason::IdentityPin]);
    // Where the policy wants an enclave, a pin is not enough.
    let downgraded = Verifier::new(policy(&format!("{toml}{}", strict())).unwrap())
        .verify(
            &evidence,
            &Binding::Pinned {
                identity: &IDENTITY,
            },
            None,
            Freshness::Stapled,
            NOW,
        )
        .verdict();
    assert_eq!(downgraded.unwrap_err().reasons, [Reason::TeeNotAllowed]);
    // With evidence a list of pins narrows.
    let mut case = Case {
        policy: format!("{toml}{}", strict()),
        ..Case::good()
    };
    case.verified();
    case.policy = format!(
        "identity_pins = [\"{}\"]\n{}",
        pin.replace('B', "C"),
        strict()
    );
    assert_eq!(case.reasons(), [Reason::IdentityPin]);
}

#[test]
fn a_kind_of_enclave_that_the_policy_does_not_take() {
    let mut case = Case {
        policy: format!("tee = [\"sev-snp\"]\n{}", strict()),
        ..Case::good()
    };
    assert_eq!(case.reasons(), [Reason::TeeNotAllowed]);
    case.policy = strict();
    case.evidence.tee = sealwire_attest::TeeKind::None;
    assert_eq!(case.reasons()[0], Reason::TeeNotAllowed);
}

#[test]
fn results_are_kept_while_they_are_good() {
    let verified = Case::good().verified();
    let mut cache = Cache::new(1);
    cache.insert(verified.clone(), NOW);
    assert_eq!(
        cache.identity(&IDENTITY, verified.valid_until()),
        Some(&verified)
    );
    assert_eq!(cache.identity(&IDENTITY, verified.valid_until() + 1), None);
    assert_eq!(cache.identity(&[8; 32], NOW), None);
    // Another one takes its place.
    let rig = TdxRig::new(NOW);
    let other = Case {
        evidence: native_evidence(
            &rig,
            &[8; 32],
            Some(&NONCE),
            LABEL,
            &QuoteOptions::default(),
        ),
        identity: [8; 32],
        ..Case::good()
    };
    cache.insert(other.verified(), NOW);
    assert_eq!((cache.len(), cache.identity(&IDENTITY, NOW)), (1, None));
    assert!(cache.identity(&[8; 32], NOW).is_some());
}

#[test]
fn codes_are_distinct() {
    let mut codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let all = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all);
}
