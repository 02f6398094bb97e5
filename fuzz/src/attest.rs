//! Good evidence of the test rigs, made once, and what must hold of whatever becomes of it.

use std::sync::LazyLock;

use sealwire_attest::evidence::{
    MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_GPU_EVIDENCE, MAX_GPUS, MAX_QUOTE, MAX_STATEMENT,
    MAX_TOKEN,
};
use sealwire_attest::testing::{
    CollateralOptions, QuoteOptions, TdxRig, TokenOptions, TokenRig, native_evidence, policy,
};
use sealwire_attest::{
    Binding, Collateral, Evidence, Freshness, GpuTokens, Hints, Report, Verifier, native,
};

/// The verifier's clock.
pub const NOW: u64 = 1_800_000_000;
/// Whose evidence it is.
pub const IDENTITY: [u8; 32] = [7; 32];
/// What it answers.
pub const NONCE: [u8; 32] = [9; 32];

/// Evidence that passes, and what belongs to it.
pub struct Fixture {
    /// TDX with one GPU, by its report and by a token.
    pub evidence: Evidence,
    /// As JSON, for changes to it.
    pub collateral_json: Vec<u8>,
    /// Intel's, of the rig.
    pub collateral: Collateral,
    /// The statement that the quote binds.
    pub statement: Vec<u8>,
}

/// Made once: it takes some signatures.
pub static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let rig = TdxRig::new(NOW);
    let mut evidence = native_evidence(
        &rig,
        &IDENTITY,
        Some(&NONCE),
        "model",
        &QuoteOptions::default(),
    );
    let nonce = native::gpu_nonce(&IDENTITY, Some(&NONCE));
    evidence.gpu_tokens = Some(TokenRig::new().tokens(&nonce, &TokenOptions::good(NOW)));
    let collateral_json = rig.collateral_json(&CollateralOptions::default());
    Fixture {
        statement: evidence.statement.clone().unwrap(),
        evidence,
        collateral: Collateral::from_json(&collateral_json).unwrap(),
        collateral_json,
    }
});

fn verifier(toml: &str) -> Verifier {
    Verifier::new(policy(toml).unwrap()).with_jwks(TokenRig::new().jwks())
}

static QUOTES: LazyLock<Verifier> =
    LazyLock::new(|| verifier("any_measurement = true\ngpu = \"ignore\""));
static ALL: LazyLock<Verifier> = LazyLock::new(|| verifier("any_measurement = true"));

/// Judges the quote, and no GPU, as native evidence of the fixture's identity, nonce and this statement.
pub fn verify_quote(
    evidence: &Evidence,
    collateral: Option<&Collateral>,
    statement: &[u8],
) -> Report {
    verify_native(&QUOTES, evidence, collateral, statement)
}

/// The same with GPUs.
pub fn verify_all(
    evidence: &Evidence,
    collateral: Option<&Collateral>,
    statement: &[u8],
) -> Report {
    verify_native(&ALL, evidence, collateral, statement)
}

fn verify_native(
    verifier: &Verifier,
    evidence: &Evidence,
    collateral: Option<&Collateral>,
    statement: &[u8],
) -> Report {
    let binding = Binding::Native {
        identity: &IDENTITY,
        nonce: Some(&NONCE),
        statement,
    };
    let freshness = Freshness::Challenged { sent: NOW };
    verifier.verify(evidence, &binding, collateral, freshness, NOW)
}

/// Judges the quote as evidence of chutes-v1 for some key, which none of the fixture's is for.
pub fn verify_chutes(evidence: &Evidence, collateral: Option<&Collateral>) -> Report {
    let binding = Binding::ChutesV1 {
        nonce: &NONCE,
        e2e_pubkey_b64: Some("key"),
        hints: Hints::default(),
    };
    let freshness = Freshness::Challenged { sent: NOW };
    QUOTES.verify(evidence, &binding, collateral, freshness, NOW)
}

/// Section 2.3 of evidence.md, of whatever was read.
pub fn assert_bounded(evidence: &Evidence) {
    assert!(evidence.quote.len() <= MAX_QUOTE);
    assert!(evidence.certificates.len() <= MAX_CERTIFICATES);
    let certificates = evidence.certificates.iter();
    assert!(certificates.map(Vec::len).all(|len| len <= MAX_CERTIFICATE));
    assert!(evidence.gpus.len() <= MAX_GPUS);
    for gpu in &evidence.gpus {
        assert!(gpu.certificate.len() <= MAX_CERTIFICATE);
        assert!(gpu.evidence.len() <= MAX_GPU_EVIDENCE);
    }
    let statement = evidence.statement.as_ref();
    assert!(statement.is_none_or(|statement| statement.len() <= MAX_STATEMENT));
    if let Some(tokens) = &evidence.gpu_tokens {
        assert_tokens_bounded(tokens);
    }
}

/// The same of tokens.
pub fn assert_tokens_bounded(tokens: &GpuTokens) {
    assert!(tokens.overall.len() <= MAX_TOKEN && tokens.gpus.len() <= MAX_GPUS);
    assert!(
        tokens
            .gpus
            .iter()
            .all(|(_, token)| token.len() <= MAX_TOKEN)
    );
}
