//! The gate of a policy, before a relay that hands out evidence made in the test and a service with collateral for it.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{CHUTE, LOOPBACK, client, instance_id, raw, refuse, reply, url};
use http::{Request, Response};
use sealwire::rustcrypto;
use sealwire_attest::Verifier;
use sealwire_attest::testing::{CollateralOptions, GpuRig, QuoteOptions, TdxRig, policy, spki};
use sealwire_http::net::{Body, Handler, Incoming, Server, ServerLimits};
use sealwire_proxy::EvidenceTrust;
use sealwire_proxy::chutes::{Asked, Candidate, EvidenceGate, Gate, GateError, Outcome, Verdict};
use sealwire_proxy::collateral::CollateralSource;
use serde_json::{Value, json};

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    rustcrypto::provider().verification.hash.sha256(parts)
}

/// What the relay does with a question for evidence.
type Answering = Box<dyn Fn(&Platform, &str) -> Response<Body> + Send + Sync>;

/// A platform, its collateral service and the relay before it.
struct Platform {
    rig: TdxRig,
    nonces: Mutex<Vec<String>>,
    collateral_asked: AtomicUsize,
    collateral_is_there: bool,
    answering: Answering,
}

impl Platform {
    /// The evidence of an instance that answers `nonce` and holds `key`.
    fn evidence(&self, instance: usize, key: &str, nonce: &str, options: &QuoteOptions) -> Value {
        let certificate = self.rig.root();
        let bound = hash(&[nonce.as_bytes(), key.as_bytes()]);
        let spki = hash(&[&spki(&certificate).expect("a certificate")]);
        let mut report_data = [0; 64];
        report_data[..32].copy_from_slice(&bound);
        report_data[32..].copy_from_slice(&spki);
        let gpu = GpuRig::new().report(0, &bound);
        json!({
            "instance_id": instance_id(instance),
            "quote": STANDARD.encode(self.rig.quote(&report_data, options)),
            "certificate": STANDARD.encode(certificate),
            "gpu_evidence": [{
                "arch": gpu.arch,
                "certificate": STANDARD.encode(&gpu.certificate),
                "evidence": STANDARD.encode(&gpu.evidence),
            }],
        })
    }

    fn collateral(&self, path: &str) -> Response<Body> {
        self.collateral_asked.fetch_add(1, Ordering::SeqCst);
        if !self.collateral_is_there {
            return refuse(503, "closed");
        }
        let options = CollateralOptions {
            // Long enough not to be renewed.
            until: Some(now() + 30 * 86_400),
            ..CollateralOptions::default()
        };
        let documents = self.rig.collateral_json(&options);
        let documents: HashMap<String, Value> =
            serde_json::from_slice(&documents).expect("an object");
        let text = |name: &str| documents[name].as_str().expect("text").to_owned();
        let signed = |member: &str, document: &str| {
            format!(
                r#"{{"{member}":{},"signature":"{}"}}"#,
                text(document),
                text(&format!("{document}_signature"))
            )
        };
        let (body, chain) = match path {
            "/tdx/certification/v4/tcb" => (
                signed("tcbInfo", "tcb_info"),
                Some(("tcb-info-issuer-chain", "tcb_info_issuer_chain")),
            ),
            "/tdx/certification/v4/qe/identity" => (
                signed("enclaveIdentity", "qe_identity"),
                Some((
                    "sgx-enclave-identity-issuer-chain",
                    "qe_identity_issuer_chain",
                )),
            ),
            "/sgx/certification/v4/pckcrl" => (
                text("pck_crl"),
                Some(("sgx-pck-crl-issuer-chain", "pck_crl_issuer_chain")),
            ),
            "/sgx/certification/v4/rootcacrl" => (text("root_ca_crl"), None),
            path => panic!("{path} of the collateral service"),
        };
        let mut response = raw(200, "application/json", body);
        if let Some((header, document)) = chain {
            let encoded = text(document).replace('%', "%25").replace('\n', "%0A");
            response
                .headers_mut()
                .insert(header, encoded.parse().expect("ASCII"));
        }
        response
    }
}

struct Serving(Arc<Platform>);

impl Handler for Serving {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if path != format!("/chutes/{CHUTE}/evidence") {
            return self.0.collateral(path);
        }
        let query = request.uri().query().unwrap_or_default();
        let nonce = query.strip_prefix("nonce=").expect("a nonce").to_owned();
        assert_eq!(request.headers()["authorization"], "Bearer key");
        self.0.nonces.lock().expect("no panic").push(nonce.clone());
        (self.0.answering)(&self.0, &nonce)
    }
}

struct Rig {
    platform: Arc<Platform>,
    gate: EvidenceGate,
    _server: Server,
}

fn key(instance: usize) -> String {
    format!("key-{instance}")
}

impl Rig {
    async fn new(
        collateral_is_there: bool,
        answering: impl Fn(&Platform, &str) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let platform = Arc::new(Platform {
            rig: TdxRig::new(now()),
            nonces: Mutex::new(Vec::new()),
            collateral_asked: AtomicUsize::new(0),
            collateral_is_there,
            answering: Box::new(answering),
        });
        let handler = Arc::new(Serving(Arc::clone(&platform)));
        let server = Server::start(LOOPBACK, ServerLimits::default(), handler)
            .await
            .expect("a free port");
        let base = url(server.address());
        let listed = format!(
            "[[measurements]]\nname = \"rig\"\nmrtd = \"{}\"\n",
            "a1".repeat(48)
        );
        let gate = EvidenceGate::new(
            client(),
            base.clone(),
            rustcrypto::provider(),
            EvidenceTrust {
                verifier: Arc::new(Verifier::new(policy(&listed).expect("a policy"))),
                collateral: CollateralSource::Service(base.clone()),
            },
        )
        .expect("no file to read");
        Self {
            platform,
            gate,
            _server: server,
        }
    }

    async fn judge(&self, instances: usize) -> Result<Vec<Verdict>, GateError> {
        let candidates: Vec<Candidate> = (0..instances)
            .map(|instance| Candidate {
                instance: instance_id(instance),
                e2e_pubkey: key(instance),
            })
            .collect();
        let asked = Asked {
            chute: CHUTE,
            key: Some("key"),
            instances: &candidates,
        };
        self.gate.judge(asked).await
    }

    /// The reasons for which the only instance is refused.
    async fn reasons(&self) -> Vec<&'static str> {
        let verdicts = self.judge(1).await.expect("judged");
        assert!(!verdicts[0].accepted, "{verdicts:?}");
        verdicts[0]
            .findings
            .iter()
            .filter_map(|finding| match finding.outcome {
                Outcome::Failed(reason) => Some(reason),
                _ => None,
            })
            .collect()
    }
}

fn list(evidence: Vec<Value>) -> Response<Body> {
    reply(
        200,
        &json!({"evidence": evidence, "failed_instance_ids": []}),
    )
}

fn honest(platform: &Platform, nonce: &str) -> Response<Body> {
    let evidence = (0..2).map(|instance| {
        platform.evidence(instance, &key(instance), nonce, &QuoteOptions::default())
    });
    list(evidence.collect())
}

#[tokio::test]
async fn sound_evidence_opens_the_gate_for_an_hour_at_most() {
    let rig = Rig::new(true, honest).await;
    for _ in 0..2 {
        let verdicts = rig.judge(2).await.expect("judged");
        for verdict in &verdicts {
            assert!(verdict.accepted, "{:#?}", verdict.findings);
            assert!(verdict.valid_until > now() && verdict.valid_until <= now() + 3_600);
            assert!(verdict.findings.len() > 5);
        }
    }
    // Each question has a nonce of its own; the platform's collateral is fetched once.
    let nonces = rig.platform.nonces.lock().expect("no panic").clone();
    assert_eq!(nonces.len(), 2);
    assert_ne!(nonces[0], nonces[1]);
    assert_eq!(rig.platform.collateral_asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_key_that_the_relay_has_exchanged_is_refused() {
    let rig = Rig::new(true, |platform, nonce| {
        list(vec![platform.evidence(
            0,
            "the instance's own key",
            nonce,
            &QuoteOptions::default(),
        )])
    })
    .await;
    assert_eq!(rig.reasons().await, ["report-data"]);
}

#[tokio::test]
async fn evidence_of_another_instance_is_refused() {
    let rig = Rig::new(true, |platform, nonce| {
        let mut evidence = platform.evidence(1, &key(1), nonce, &QuoteOptions::default());
        evidence["instance_id"] = instance_id(0).into();
        list(vec![evidence])
    })
    .await;
    let verdicts = rig.judge(2).await.expect("judged");
    assert!(verdicts.iter().all(|verdict| !verdict.accepted));
    let reasons: Vec<Outcome> = verdicts
        .iter()
        .filter_map(|verdict| {
            verdict
                .findings
                .iter()
                .map(|finding| finding.outcome)
                .find(|outcome| matches!(outcome, Outcome::Failed(_)))
        })
        .collect();
    assert_eq!(
        reasons,
        [
            Outcome::Failed("report-data-key"),
            Outcome::Failed("evidence-missing")
        ]
    );
}

#[tokio::test]
async fn evidence_for_another_nonce_is_refused() {
    let rig = Rig::new(true, |platform, _| {
        let replayed = "00".repeat(32);
        list(vec![platform.evidence(
            0,
            &key(0),
            &replayed,
            &QuoteOptions::default(),
        )])
    })
    .await;
    assert_eq!(rig.reasons().await, ["report-data"]);
}

#[tokio::test]
async fn what_the_policy_does_not_take_is_refused() {
    let rig = Rig::new(true, |platform, nonce| {
        let options = QuoteOptions {
            mrtd: [0xa2; 48],
            ..QuoteOptions::default()
        };
        list(vec![platform.evidence(0, &key(0), nonce, &options)])
    })
    .await;
    assert_eq!(rig.reasons().await, ["measurement-unknown"]);
}

#[tokio::test]
async fn an_instance_without_evidence_is_refused() {
    let none = Rig::new(true, |_, _| list(Vec::new())).await;
    assert_eq!(none.reasons().await, ["evidence-missing"]);
    let failed = Rig::new(true, |_, _| {
        reply(
            200,
            &json!({"evidence": [], "failed_instance_ids": [instance_id(0)]}),
        )
    })
    .await;
    assert_eq!(failed.reasons().await, ["evidence-failed"]);
    let unreadable = Rig::new(true, |_, _| {
        list(vec![json!({"instance_id": instance_id(0), "quote": 7})])
    })
    .await;
    assert_eq!(unreadable.reasons().await, ["evidence-format"]);
}

#[tokio::test]
async fn without_collateral_no_quote_passes() {
    let rig = Rig::new(false, honest).await;
    let reasons = rig.reasons().await;
    assert!(reasons.contains(&"collateral-unavailable"), "{reasons:?}");
    let verdicts = rig.judge(1).await.expect("judged");
    let source = &verdicts[0].findings[0];
    assert!(source.got.contains("503"), "{source:?}");
}

#[tokio::test]
async fn a_relay_that_gives_no_list_is_named() {
    let refusing = Rig::new(true, |_, _| refuse(404, "Chute not found")).await;
    assert_eq!(
        refusing.judge(1).await.err(),
        Some(GateError::Refused {
            source_name: "the relay",
            status: 404,
            detail: "Chute not found".to_owned()
        })
    );
    for page in ["<html>", "[]", "{}"] {
        let rig = Rig::new(true, move |_, _| raw(200, "application/json", page)).await;
        let error = rig.judge(1).await.err();
        assert!(matches!(error, Some(GateError::Malformed { .. })), "{page}");
    }
}
