//! Evidence end to end: quotes of a test rig, an instance, a relay that may lie, and a proxy with a policy. What does not prove itself gets no byte of a
//! request.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{
    ANSWER, IDLE, MODEL, ask, ask_streamed, code, forward, found, get, instance, model, pass,
    proxy, relay, server, url,
};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use sealwire::RelayCode;
use sealwire_attest::testing::{
    CollateralOptions, GpuRig, QuoteOptions, TdxRig, native_evidence, policy,
};
use sealwire_attest::{Evidence, GpuEvidence, TeeKind, Verifier, native};
use sealwire_http::carriage::{EVIDENCE_PATH, REQUESTS_PATH, to_base64url};
use sealwire_http::evidence::EvidenceQuery;
use sealwire_http::net::{BaseUrl, Body, Incoming, Server, full, json, problem, read_all};
use sealwire_http::problem::Problem;
use sealwire_instance::evidence::{
    EvidenceConfig, GpuProvider, Making, Quote, QuoteProvider, QuoteSource,
};
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_proxy::collateral::CollateralSource;
use sealwire_proxy::{EvidenceTrust, ProxyConfig};
use sealwire_relay::{Relay, RelayConfig};
use serde_json::Value;

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// A policy that takes what the rig makes.
fn strict() -> String {
    format!(
        "gpu = \"ignore\"\n[[measurements]]\nname = \"rig\"\nmrtd = \"{}\"\n",
        "a1".repeat(48)
    )
}

/// An enclave of the rig's.
#[derive(Debug, Clone, Default)]
struct Enclave {
    options: QuoteOptions,
    /// What it staples; nothing if `None`.
    collateral: Option<CollateralOptions>,
    asked: Arc<AtomicUsize>,
    /// Challenges after the start never end.
    stuck: bool,
}

impl Enclave {
    fn new() -> Self {
        Self {
            collateral: Some(CollateralOptions::default()),
            ..Self::default()
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn config(&self) -> EvidenceConfig {
        EvidenceConfig::new(QuoteSource::Provider(Arc::new(self.clone())))
    }
}

impl QuoteProvider for Enclave {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.stuck && before > 0 {
                std::future::pending::<()>().await;
            }
            let rig = TdxRig::new(unix_now());
            Ok(Quote {
                tee: TeeKind::Tdx,
                quote: rig.quote(&report_data, &self.options),
                certificates: Vec::new(),
                collateral: self.collateral.as_ref().map(|options| {
                    serde_json::from_slice(&rig.collateral_json(options)).expect("JSON")
                }),
            })
        })
    }
}

/// GPUs of the rig's.
#[derive(Debug)]
struct Gpus;

impl GpuProvider for Gpus {
    fn gpus(&self, nonce: [u8; 32]) -> Making<'_, Vec<GpuEvidence>> {
        Box::pin(async move { Ok(vec![GpuRig::new().report(0, &nonce)]) })
    }
}

/// What a relay that may lie does with a question for evidence.
enum Reply {
    /// Honest.
    Pass,
    /// Asks the honest relay something else.
    Ask(EvidenceQuery),
    /// Answers itself.
    Say(Response<Body>),
}

type Lie = Box<dyn Fn(EvidenceQuery) -> Reply + Send + Sync>;

/// Instances, an honest relay, one before it that may lie, and a proxy before that.
struct System {
    instances: Vec<Instance>,
    _model: Server,
    _relay: Relay,
    _liar: Server,
    _proxy: Server,
    base: BaseUrl,
    /// Sealed requests that have passed.
    sealed: Arc<AtomicUsize>,
}

struct Setup {
    evidence: Vec<Option<EvidenceConfig>>,
    policy: String,
    collateral: CollateralSource,
    lie: Lie,
}

impl Setup {
    fn new(evidence: EvidenceConfig) -> Self {
        Self {
            evidence: vec![Some(evidence)],
            policy: strict(),
            collateral: CollateralSource::Stapled,
            lie: Box::new(|_| Reply::Pass),
        }
    }

    async fn run(self) -> System {
        let model = model().await;
        let upstream = url(model.address());
        let mut instances = Vec::new();
        for (evidence, seed) in self.evidence.into_iter().zip(1..) {
            let mut config = InstanceConfig::new(upstream.clone(), MODEL);
            config.evidence = evidence;
            instances.push(instance(config, seed).await);
        }
        let bases = instances.iter().map(|one| url(one.address())).collect();
        let relay = relay(RelayConfig::new(bases)).await;
        let honest = url(relay.address());
        found(&honest).await;
        for instance in &instances {
            reached(&honest, instance).await;
        }
        let sealed = Arc::new(AtomicUsize::new(0));
        let (seen, lie) = (Arc::clone(&sealed), Arc::new(self.lie));
        let liar = server(move |request| {
            let (honest, seen, lie) = (honest.clone(), Arc::clone(&seen), Arc::clone(&lie));
            async move { meddle(&honest, &seen, &lie, request).await }
        })
        .await;
        let mut config = ProxyConfig::new(
            url(liar.address()),
            EvidenceTrust {
                verifier: Arc::new(Verifier::new(policy(&self.policy).expect("a policy"))),
                collateral: self.collateral,
            },
        );
        // Signatures are slow where nothing is optimised, and other tests run.
        config.limits.handshake_time = Duration::from_secs(30);
        let proxy = proxy(config).await;
        System {
            instances,
            _model: model,
            _relay: relay,
            _liar: liar,
            base: url(proxy.address()),
            _proxy: proxy,
            sealed,
        }
    }
}

/// Waits until a relay knows an instance.
async fn reached(relay: &BaseUrl, instance: &Instance) {
    let query = EvidenceQuery {
        identity: Some(instance.identity()),
        nonce: None,
    };
    let path = format!("{EVIDENCE_PATH}?{}", query.to_query());
    loop {
        let (_, answer) = get(relay, &path).await;
        if !["gone", "key-unknown"].contains(&answer["code"].as_str().unwrap_or_default()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn meddle(
    honest: &BaseUrl,
    sealed: &AtomicUsize,
    lie: &Lie,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if request.uri().path() == REQUESTS_PATH {
        sealed.fetch_add(1, Ordering::SeqCst);
    }
    if request.uri().path() == EVIDENCE_PATH {
        let query = EvidenceQuery::from_query(request.uri().query().unwrap_or_default());
        match lie(query.expect("a query")) {
            Reply::Pass => {}
            Reply::Ask(query) => {
                let path = format!("{EVIDENCE_PATH}?{}", query.to_query());
                *request.uri_mut() = path.parse().expect("a path");
            }
            Reply::Say(answer) => return answer,
        }
    }
    pass(forward(honest, request).await).await
}

impl System {
    /// The application gets an error of this code, whose message names the reason, and nothing was sent.
    async fn refuses(&self, expected: &str, reason: &str) -> Value {
        let (status, answer) = ask(&self.base).await;
        assert_eq!(code(&answer), expected, "{answer}");
        assert!(status.is_client_error() || status.is_server_error());
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(reason), "{message}");
        assert_eq!(self.sealed.load(Ordering::SeqCst), 0);
        answer
    }

    async fn rejects(&self, reason: &str) {
        self.refuses("evidence_rejected", &format!("({reason})"))
            .await;
        let (_, document) = get(&self.base, "/attestation").await;
        let shown = &document["identities"][0];
        assert_eq!(shown["accepted"], false, "{document}");
        let failed = shown["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .find(|check| check["reason"] == reason)
            .expect("the failed check");
        assert_eq!(failed["outcome"], "failed");
        assert!(!failed["expected"].as_str().expect("text").is_empty());
        assert!(!failed["got"].as_str().expect("text").is_empty());
    }

    async fn answers(&self) {
        let (status, answer) = ask(&self.base).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let text = answer.pointer("/choices/0/message/content");
        assert_eq!(text.and_then(Value::as_str), Some(ANSWER));
    }
}

#[tokio::test]
async fn an_instance_that_proves_itself_is_used_and_judged_once() {
    let enclave = Enclave::new();
    let mut evidence = enclave.config();
    evidence.gpu = Some(Arc::new(Gpus));
    let mut setup = Setup::new(evidence);
    setup.policy = strict().replace("ignore", "required");
    let system = setup.run().await;
    let questions: Vec<_> = (0..5)
        .map(|_| {
            let base = system.base.clone();
            tokio::spawn(async move { ask(&base).await })
        })
        .collect();
    for question in questions {
        let (status, answer) = question.await.expect("no panic");
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let streamed = ask_streamed(&system.base).await;
    assert!(streamed.done && streamed.text == ANSWER);
    // One for what is stapled at the start, one for all of the questions.
    assert_eq!(enclave.asked(), 2);

    let (_, document) = get(&system.base, "/attestation").await;
    assert_eq!(document["profile"], "native");
    assert_eq!(document["policy"]["trust"], "evidence");
    let shown = &document["identities"][0];
    let identity = to_base64url(&system.instances[0].identity());
    assert_eq!(shown["identity"], identity);
    assert_eq!(shown["accepted"], true);
    assert_eq!(
        (&shown["tee"], &shown["measured"]),
        (&"tdx".into(), &"rig".into())
    );
    assert_eq!(shown["statement"]["labels"][0], MODEL);
    let (at, until) = (shown["verified_at"].as_u64(), shown["expires"].as_u64());
    assert!(at <= until && until <= at.map(|at| at + 3_600), "{shown}");
    let checks = shown["checks"].as_array().expect("checks");
    assert!(
        checks
            .iter()
            .any(|check| check["name"] == "report data" && check["outcome"] == "passed")
    );
    assert_eq!(document["models"][0]["identity"], identity);
}

#[tokio::test]
async fn evidence_that_a_policy_does_not_take_is_refused_by_its_reason() {
    let other = QuoteOptions {
        mrtd: [0xee; 48],
        ..QuoteOptions::default()
    };
    let mut debug = QuoteOptions::default();
    debug.td_attributes[0] = 1;
    let outdated = CollateralOptions {
        status: "OutOfDate".to_owned(),
        ..CollateralOptions::default()
    };
    let expired = CollateralOptions {
        from: Some(unix_now() - 7_200),
        until: Some(unix_now() - 3_600),
        ..CollateralOptions::default()
    };
    let elsewhere = CollateralOptions {
        fmspc: [9; 6],
        ..CollateralOptions::default()
    };
    let good = Enclave::new;
    for (enclave, reason) in [
        (
            Enclave {
                options: other,
                ..good()
            },
            "measurement-unknown",
        ),
        (
            Enclave {
                options: debug,
                ..good()
            },
            "debug-enabled",
        ),
        (
            Enclave {
                collateral: Some(outdated),
                ..good()
            },
            "tcb-status",
        ),
        (
            Enclave {
                collateral: Some(expired),
                ..good()
            },
            "collateral-expired",
        ),
        (
            Enclave {
                collateral: Some(elsewhere),
                ..good()
            },
            "collateral-other-platform",
        ),
        (
            Enclave {
                collateral: None,
                ..good()
            },
            "collateral-missing",
        ),
    ] {
        let system = Setup::new(enclave.config()).run().await;
        system.rejects(reason).await;
    }
    // A GPU is wanted and there is none.
    let mut setup = Setup::new(good().config());
    setup.policy = strict().replace("ignore", "required");
    setup.run().await.rejects("gpu-missing").await;
}

#[tokio::test]
async fn a_refusal_is_remembered_and_named_again() {
    let enclave = Enclave {
        collateral: None,
        ..Enclave::new()
    };
    let system = Setup::new(enclave.config()).run().await;
    let first = system
        .refuses("evidence_rejected", "collateral-missing")
        .await;
    let again = system
        .refuses("evidence_rejected", "collateral-missing")
        .await;
    assert_eq!(first, again);
    assert_eq!(enclave.asked(), 2);
}

#[tokio::test]
async fn an_instance_without_evidence_gets_nothing() {
    let mut setup = Setup::new(Enclave::new().config());
    setup.evidence = vec![None];
    setup.run().await.rejects("no-evidence").await;
}

#[tokio::test]
async fn a_policy_of_pins_asks_for_no_enclave_and_one_of_measurements_does() {
    let pin = |seed| {
        format!(
            "identity_pins = [\"{}\"]\n",
            to_base64url(&identity_of(seed))
        )
    };
    let without = |policy| {
        let mut setup = Setup::new(Enclave::new().config());
        setup.evidence = vec![None];
        setup.policy = policy;
        setup
    };
    without(pin(1)).run().await.answers().await;
    without(pin(2)).run().await.rejects("identity-pin").await;
    without(pin(1) + &strict())
        .run()
        .await
        .rejects("no-evidence")
        .await;
    // With measurements a pin is one more condition.
    let mut setup = Setup::new(Enclave::new().config());
    setup.policy = pin(1) + &strict();
    setup.run().await.answers().await;
    let mut setup = Setup::new(Enclave::new().config());
    setup.policy = pin(2) + &strict();
    setup.run().await.rejects("identity-pin").await;
}

#[tokio::test]
async fn a_relay_that_asks_for_another_nonce_is_seen() {
    let mut setup = Setup::new(Enclave::new().config());
    setup.lie = Box::new(|query| {
        Reply::Ask(EvidenceQuery {
            nonce: Some([7; 32]),
            ..query
        })
    });
    setup.run().await.rejects("report-data-nonce").await;
}

#[tokio::test]
async fn stapled_evidence_is_no_answer_to_a_nonce() {
    let mut setup = Setup::new(Enclave::new().config());
    setup.lie = Box::new(|query| {
        Reply::Ask(EvidenceQuery {
            nonce: None,
            ..query
        })
    });
    setup.run().await.rejects("report-data-nonce").await;
}

#[tokio::test]
async fn a_relay_that_shows_the_evidence_of_another_instance_is_seen() {
    // The first is an impostor's: it has no evidence of its own, and the relay shows that of the second, which is sound.
    let sound = Enclave::new();
    let mut setup = Setup::new(sound.config());
    setup.evidence = vec![None, Some(sound.config())];
    let second = identity_of(2);
    setup.lie = Box::new(move |query| {
        Reply::Ask(EvidenceQuery {
            identity: Some(second),
            ..query
        })
    });
    let system = setup.run().await;
    // The sound one is used, the other is not.
    system.answers().await;
    let impostor = to_base64url(&system.instances[0].identity());
    let shown = loop {
        let (_, document) = get(&system.base, "/attestation").await;
        let identities = document["identities"].as_array().expect("a list").clone();
        let shown = identities
            .into_iter()
            .find(|one| one["identity"] == impostor);
        if let Some(shown) = shown {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(shown["accepted"], false);
    let checks = shown["checks"].as_array().expect("checks");
    assert!(
        checks
            .iter()
            .any(|check| check["reason"] == "report-data-key"),
        "{shown}"
    );
    let (_, document) = get(&system.base, "/attestation").await;
    assert_eq!(document["models"][0]["identity"], to_base64url(&second));
}

/// The identity of the instance that is started under this seed.
fn identity_of(seed: u8) -> [u8; 32] {
    let provider = sealwire_cli::provider::provider();
    sealwire::IdentityKey::from_seed(&provider, &common::seed(seed)).public_key()
}

#[tokio::test]
async fn a_relay_that_changes_a_byte_of_the_statement_is_seen() {
    // What the relay shows is the instance's answer to the very nonce, with one fact changed.
    let system = Setup::new(Enclave::new().config()).run().await;
    let direct = url(system.instances[0].address());
    let changed = Arc::new(Mutex::new(None));
    let shown = Arc::clone(&changed);
    let liar = server(move |request: Request<Incoming>| {
        let (direct, shown) = (direct.clone(), Arc::clone(&shown));
        async move {
            let evidence = request.uri().path() == EVIDENCE_PATH;
            let response = forward(&direct, request).await;
            if !evidence {
                return pass(response).await;
            }
            let mut body = response.into_body();
            let body = read_all(&mut body, 1 << 23, IDLE).await.expect("a body");
            let mut evidence = Evidence::from_json(&body).expect("evidence");
            let statement = evidence.statement.take().expect("one");
            let text = String::from_utf8(statement).expect("text");
            let other = text.replace("127.0.0.1", "127.0.0.2");
            assert_ne!(text, other);
            *shown.lock().expect("no panic") = Some(other.clone());
            evidence.statement = Some(other.into_bytes());
            json(StatusCode::OK, evidence.to_json().expect("whole"))
        }
    })
    .await;
    let mut config = ProxyConfig::new(
        url(liar.address()),
        EvidenceTrust {
            verifier: Arc::new(Verifier::new(policy(&strict()).expect("a policy"))),
            collateral: CollateralSource::Stapled,
        },
    );
    config.limits.handshake_time = Duration::from_secs(30);
    let proxy = proxy(config).await;
    let (_, answer) = ask(&url(proxy.address())).await;
    assert_eq!(code(&answer), "evidence_rejected", "{answer}");
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains("(report-data)"), "{message}");
    assert!(changed.lock().expect("no panic").is_some());
}

#[tokio::test]
async fn a_bundle_for_a_label_that_is_not_stated_is_not_taken() {
    let mut setup = Setup::new(Enclave::new().config());
    setup.lie = Box::new(|query| {
        // Sound in every part, of an instance that states another label.
        let rig = TdxRig::new(unix_now());
        let identity = query.identity.expect("one");
        let options = QuoteOptions::default();
        let nonce = query.nonce.as_ref();
        let mut evidence = native_evidence(&rig, &identity, nonce, "other/model", &options);
        evidence.collateral = Some(rig.collateral_json(&CollateralOptions::default()));
        Reply::Say(json(StatusCode::OK, evidence.to_json().expect("whole")))
    });
    let system = setup.run().await;
    system
        .refuses("evidence_rejected", "has not stated that it serves")
        .await;
    let (_, document) = get(&system.base, "/attestation").await;
    assert_eq!(document["identities"][0]["accepted"], true);
    assert_eq!(
        document["identities"][0]["statement"]["labels"][0],
        "other/model"
    );
}

fn say(status: u16, kind: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[tokio::test]
async fn what_is_no_evidence_is_named_and_nothing_is_sent() {
    for (status, body, why) in [
        (200, "<html>all is well</html>", "expected application/json"),
        (200, r#"{"accepted":true}"#, "expected application/json"),
        (500, "<html>", "no problem document"),
    ] {
        let mut setup = Setup::new(Enclave::new().config());
        setup.lie = Box::new(move |_| Reply::Say(say(status, "text/html", body)));
        setup.run().await.refuses("relay_not_sealwire", why).await;
    }
    for body in ["<html>", "{}", r#"{"accepted":true}"#] {
        let mut setup = Setup::new(Enclave::new().config());
        setup.lie = Box::new(move |_| Reply::Say(say(200, "application/json", body)));
        setup.run().await.rejects("evidence-format").await;
    }
}

#[tokio::test]
async fn what_hinders_a_check_is_no_refusal_and_not_remembered() {
    // Busy twice, then not: one request lives through it.
    let asked = AtomicUsize::new(0);
    let mut setup = Setup::new(Enclave::new().config());
    setup.lie = Box::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Reply::Say(problem(&Problem::new(RelayCode::Busy, "later"))),
        _ => Reply::Pass,
    });
    setup.run().await.answers().await;
    // A fault of the relay's: the next request asks again.
    let asked = AtomicUsize::new(0);
    let mut setup = Setup::new(Enclave::new().config());
    setup.lie = Box::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Say(problem(&Problem::new(RelayCode::Internal, "a fault"))),
        _ => Reply::Pass,
    });
    let system = setup.run().await;
    system.refuses("relay_internal", "a fault").await;
    system.answers().await;
}

#[tokio::test]
async fn evidence_that_does_not_come_is_an_error_in_time() {
    let enclave = Enclave {
        stuck: true,
        ..Enclave::new()
    };
    let system = Setup::new(enclave.config()).run().await;
    let mut config = ProxyConfig::new(
        url(system._liar.address()),
        EvidenceTrust {
            verifier: Arc::new(Verifier::new(policy(&strict()).expect("a policy"))),
            collateral: CollateralSource::Stapled,
        },
    );
    config.limits.handshake_time = Duration::from_millis(400);
    let proxy = proxy(config).await;
    let (status, answer) = ask(&url(proxy.address())).await;
    assert_eq!((status.as_u16(), code(&answer)), (503, "evidence_timeout"));
    assert_eq!(system.sealed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn evidence_is_asked_for_again_when_its_time_is_over() {
    let enclave = Enclave::new();
    let mut setup = Setup::new(enclave.config());
    setup.policy = format!("max_evidence_age = 1\n{}", strict());
    let system = setup.run().await;
    let mut answered = 0;
    // A check that itself takes more than the second is too old; the machine may be slow.
    while enclave.asked() < 4 || answered < 2 {
        let (status, answer) = ask(&system.base).await;
        if status == StatusCode::OK {
            answered += 1;
        } else {
            assert_eq!(code(&answer), "evidence_rejected", "{answer}");
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn stapled_evidence_needs_a_policy_that_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("evidence.json");
    let rig = TdxRig::new(unix_now());
    let write = |quote: Vec<u8>| {
        let evidence = Evidence {
            tee: TeeKind::Tdx,
            quote,
            certificates: Vec::new(),
            gpus: Vec::new(),
            gpu_tokens: None,
            collateral: Some(rig.collateral_json(&CollateralOptions::default())),
            statement: Some(Vec::new()),
            claimed_identity: Some([0; 32]),
            claimed_nonce: None,
        };
        let new = folder.path().join("new");
        std::fs::write(&new, evidence.to_json().expect("whole")).expect("a file");
        std::fs::rename(&new, &file).expect("a file");
    };
    write(b"none yet".to_vec());
    for (allowed, policy) in [
        (false, strict()),
        (true, format!("allow_stapled = true\n{}", strict())),
    ] {
        let mut setup = Setup::new(EvidenceConfig::new(QuoteSource::File(file.clone())));
        setup.policy = policy;
        let system = setup.run().await;
        // The identity is known now: something else makes the quote.
        let direct = url(system.instances[0].address());
        let stapled = async || {
            let path = format!("{EVIDENCE_PATH}?");
            let response = common::send(
                http::Method::GET,
                &direct,
                &path,
                http::HeaderMap::new(),
                sealwire_http::net::empty(),
            )
            .await;
            let mut body = response.into_body();
            let body = read_all(&mut body, 1 << 23, IDLE).await.expect("a body");
            Evidence::from_json(&body).expect("evidence")
        };
        let statement = stapled().await.statement.expect("one");
        let identity = system.instances[0].identity();
        let data = native::report_data(&identity, None, &statement);
        let quote = rig.quote(&data, &QuoteOptions::default());
        write(quote.clone());
        while stapled().await.quote != quote {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if allowed {
            system.answers().await;
        } else {
            system.rejects("no-evidence").await;
        }
    }
}

/// A service of collateral: the documents of the rig's, and how often each was asked for.
async fn service(status: u16, options: CollateralOptions) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let server = server(move |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        seen.lock().expect("no panic").push(path.clone());
        let made = TdxRig::new(unix_now()).collateral_json(&options);
        let made: Value = serde_json::from_slice(&made).expect("JSON");
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        let signed = |member: &str, document: &str| {
            let signature = text(&format!("{document}_signature"));
            format!(
                r#"{{"{member}":{},"signature":"{signature}"}}"#,
                text(document)
            )
        };
        let (body, chain) = match path.as_str() {
            "/tdx/certification/v4/tcb" => (
                signed("tcbInfo", "tcb_info"),
                Some(("tcb-info-issuer-chain", text("tcb_info_issuer_chain"))),
            ),
            "/tdx/certification/v4/qe/identity" => (
                signed("enclaveIdentity", "qe_identity"),
                Some((
                    "sgx-enclave-identity-issuer-chain",
                    text("qe_identity_issuer_chain"),
                )),
            ),
            "/sgx/certification/v4/pckcrl" => (
                text("pck_crl"),
                Some(("sgx-pck-crl-issuer-chain", text("pck_crl_issuer_chain"))),
            ),
            _ => (text("root_ca_crl"), None),
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        if let Some((name, chain)) = chain {
            let chain = sealwire_http::discovery::percent_encode(&chain);
            let chain = HeaderValue::from_str(&chain).expect("ASCII");
            response.headers_mut().insert(name, chain);
        }
        async move { response }
    })
    .await;
    (server, asked)
}

#[tokio::test]
async fn collateral_of_a_service_is_fetched_once_and_takes_the_place_of_what_is_stapled() {
    let expired = CollateralOptions {
        until: Some(unix_now() - 1_800),
        ..CollateralOptions::default()
    };
    let week = CollateralOptions {
        until: Some(unix_now() + 7 * 86_400),
        ..CollateralOptions::default()
    };
    let (pccs, asked) = service(200, week).await;
    let enclave = Enclave {
        collateral: Some(expired),
        ..Enclave::new()
    };
    let mut setup = Setup::new(enclave.config());
    setup.evidence.push(Some(enclave.config()));
    setup.collateral = CollateralSource::Service(url(pccs.address()));
    let system = setup.run().await;
    system.answers().await;
    let accepted = async || {
        let (_, document) = get(&system.base, "/attestation").await;
        let identities = document["identities"].as_array().expect("a list");
        identities
            .iter()
            .filter(|one| one["accepted"] == true)
            .count()
    };
    while accepted().await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut asked = asked.lock().expect("no panic").clone();
    asked.sort();
    assert_eq!(
        asked,
        [
            "/sgx/certification/v4/pckcrl",
            "/sgx/certification/v4/rootcacrl",
            "/tdx/certification/v4/qe/identity",
            "/tdx/certification/v4/tcb",
        ]
    );
}

#[tokio::test]
async fn collateral_near_its_end_is_used_and_renewed() {
    let hour = CollateralOptions {
        until: Some(unix_now() + 3_600),
        ..CollateralOptions::default()
    };
    let (pccs, asked) = service(200, hour).await;
    let enclave = Enclave::new();
    let mut setup = Setup::new(enclave.config());
    // Each check looks at the collateral again.
    setup.policy = format!("max_evidence_age = 1\n{}", strict());
    setup.collateral = CollateralSource::Service(url(pccs.address()));
    let system = setup.run().await;
    let checks = async |wanted: usize| {
        while enclave.asked() < wanted {
            ask(&system.base).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    checks(3).await;
    while asked.lock().expect("no panic").len() < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What came is no better: it is left at that for a while.
    checks(5).await;
    assert_eq!(asked.lock().expect("no panic").len(), 8);
}

#[tokio::test]
async fn a_service_without_collateral_is_named_and_nothing_is_sent() {
    let (pccs, asked) = service(404, CollateralOptions::default()).await;
    let mut setup = Setup::new(Enclave::new().config());
    setup.collateral = CollateralSource::Service(url(pccs.address()));
    let system = setup.run().await;
    system.refuses("no_collateral", "it answered 404").await;
    // What is stapled is not taken instead, and the service is left alone for a while.
    system.refuses("no_collateral", "it answered 404").await;
    assert_eq!(asked.lock().expect("no panic").len(), 1);

    let expired = CollateralOptions {
        until: Some(unix_now() - 1_800),
        ..CollateralOptions::default()
    };
    let (pccs, _) = service(200, expired).await;
    let mut setup = Setup::new(Enclave::new().config());
    setup.collateral = CollateralSource::Service(url(pccs.address()));
    setup.run().await.rejects("collateral-expired").await;
}

#[tokio::test]
async fn collateral_of_a_file_is_read_again_when_it_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("collateral.json");
    let rig = TdxRig::new(unix_now());
    let expired = CollateralOptions {
        until: Some(unix_now() - 1_800),
        ..CollateralOptions::default()
    };
    std::fs::write(&file, rig.collateral_json(&expired)).expect("a file");
    let enclave = Enclave {
        collateral: None,
        ..Enclave::new()
    };
    for good in [false, true] {
        let mut setup = Setup::new(enclave.config());
        setup.collateral = CollateralSource::File(file.clone());
        let system = setup.run().await;
        if good {
            // The proxy has started with what has ended.
            let sound = rig.collateral_json(&CollateralOptions::default());
            std::fs::write(&file, sound).expect("a file");
            system.answers().await;
        } else {
            system.rejects("collateral-expired").await;
        }
    }
}
