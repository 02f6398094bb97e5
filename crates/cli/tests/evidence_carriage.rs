//! Evidence on its way: what an instance makes of its providers, and what a relay passes on.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{MODEL, client, found, get, instance, model, relay, seed, send, server, url};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use sealwire_attest::{Evidence, GpuEvidence, Statement, TeeKind, native};
use sealwire_cli::provider::provider;
use sealwire_cli::vm_certificate;
use sealwire_http::carriage::{EVIDENCE_PATH, INSTANCE_PATH, to_base64url};
use sealwire_http::evidence::{EvidenceQuery, MAX_EVIDENCE_BYTES};
use sealwire_http::net::{BaseUrl, channel, empty, full, json, read_all};
use sealwire_instance::evidence::{
    EvidenceConfig, EvidenceError, GpuProvider, Making, Quote, QuoteProvider, QuoteSource,
};
use sealwire_instance::{Instance, InstanceConfig, StartError};
use sealwire_relay::{Relay, RelayConfig};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

const NONCE: [u8; 32] = [9; 32];

/// Makes quotes that nobody would believe, and counts them.
#[derive(Debug, Clone)]
struct Maker {
    asked: Arc<AtomicUsize>,
    /// One permit is a quote.
    allowed: Arc<Semaphore>,
    /// What it is made over; the report data if there is none.
    over: Option<Vec<u8>>,
}

impl Maker {
    fn new() -> Self {
        Self {
            asked: Arc::default(),
            allowed: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            over: None,
        }
    }

    fn config(&self) -> EvidenceConfig {
        EvidenceConfig::new(QuoteSource::Provider(Arc::new(self.clone())))
    }
}

impl QuoteProvider for Maker {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if let Ok(permit) = self.allowed.acquire().await {
                permit.forget();
            }
            let over = self.over.clone().unwrap_or_else(|| report_data.to_vec());
            Ok(Quote {
                tee: TeeKind::Tdx,
                quote: [b"a quote over ".to_vec(), over].concat(),
                certificates: Vec::new(),
                collateral: None,
            })
        })
    }
}

/// GPUs whose evidence is the nonce that they were asked with.
#[derive(Debug, Default)]
struct Gpus(Mutex<usize>);

impl GpuProvider for Gpus {
    fn gpus(&self, nonce: [u8; 32]) -> Making<'_, Vec<GpuEvidence>> {
        let count = *self.0.lock().expect("no panic");
        Box::pin(async move {
            Ok((0..count)
                .map(|number| GpuEvidence {
                    arch: "HOPPER".to_owned(),
                    certificate: vec![1],
                    evidence: [&nonce[..], &[number as u8]].concat(),
                })
                .collect())
        })
    }
}

async fn instance_with(evidence: EvidenceConfig) -> Instance {
    let mut config = InstanceConfig::new(url(model().await.address()), MODEL);
    config.evidence = Some(evidence);
    instance(config, 1).await
}

async fn starting(config: InstanceConfig) -> Result<Instance, StartError> {
    sealwire_instance::start(config, provider(), &seed(1), client()).await
}

fn path(identity: Option<[u8; 32]>, nonce: Option<[u8; 32]>) -> String {
    let query = EvidenceQuery { identity, nonce };
    format!("{EVIDENCE_PATH}?{}", query.to_query())
}

/// The bytes of a document that is there.
async fn document(base: &BaseUrl, path: &str) -> Vec<u8> {
    let response = send(Method::GET, base, path, HeaderMap::new(), empty()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let body = read_all(&mut body, MAX_EVIDENCE_BYTES, common::IDLE).await;
    body.expect("a body").to_vec()
}

async fn refusal(base: &BaseUrl, path: &str) -> (u16, String) {
    let (status, problem) = get(base, path).await;
    let code = problem["code"].as_str().unwrap_or("no code").to_owned();
    (status.as_u16(), code)
}

async fn relay_before(instances: Vec<BaseUrl>) -> (Relay, BaseUrl) {
    let relay = relay(RelayConfig::new(instances)).await;
    let address = url(relay.address());
    found(&address).await;
    (relay, address)
}

#[tokio::test]
async fn evidence_binds_identity_nonce_statement_and_gpus() {
    let maker = Maker::new();
    let mut config = maker.config();
    config.gpu = Some(Arc::new(Gpus(Mutex::new(2))));
    let folder = tempfile::tempdir().expect("a folder");
    let collateral = folder.path().join("collateral");
    std::fs::write(&collateral, r#"{"tcb":"info"}"#).expect("a file");
    config.collateral = Some(collateral);
    let instance = instance_with(config).await;
    let (base, identity) = (url(instance.address()), instance.identity());

    for nonce in [Some(NONCE), Some([8; 32]), None] {
        let bytes = document(&base, &path(Some(identity), nonce)).await;
        let evidence = Evidence::from_json(&bytes).expect("the native shape");
        assert_eq!(evidence.claimed_identity, Some(identity));
        assert_eq!(evidence.claimed_nonce, nonce);
        assert_eq!(evidence.tee, TeeKind::Tdx);
        let statement = evidence.statement.expect("a statement");
        let data = native::report_data(&identity, nonce.as_ref(), &statement);
        assert!(evidence.quote.ends_with(&data));
        let gpu_nonce = native::gpu_nonce(&identity, nonce.as_ref());
        assert_eq!(evidence.gpus.len(), 2);
        assert!(
            evidence
                .gpus
                .iter()
                .all(|gpu| gpu.evidence.starts_with(&gpu_nonce))
        );
        let statement = Statement::from_json(&statement).expect("a statement");
        assert_eq!(
            statement.gpu_evidence_sha256,
            native::gpu_evidence_sha256(&evidence.gpus)
        );
        assert_eq!(statement.labels, [MODEL]);
        assert!(statement.upstream_is_loopback());
        assert_eq!(
            evidence.collateral.as_deref(),
            Some(&br#"{"tcb":"info"}"#[..])
        );
    }
    // One for the start, one for each challenge; what is stapled is not made again.
    assert_eq!(maker.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn queries_that_cannot_be_answered_are_refused() {
    let instance = instance_with(Maker::new().config()).await;
    let base = url(instance.address());
    let (relay, relay_base) = relay_before(vec![base.clone()]).await;
    let nonce = to_base64url(&NONCE);
    let own = to_base64url(&instance.identity());
    for query in [
        "nonce=AA".to_owned(),
        format!("identity={own}&nonce={nonce}="),
        format!("identity={own}&nonce={nonce}&nonce={nonce}"),
        format!("identity={own}&identity={own}"),
    ] {
        let path = format!("{EVIDENCE_PATH}?{query}");
        for base in [&base, &relay_base] {
            assert_eq!(
                refusal(base, &path).await,
                (400, "refused".into()),
                "{query}"
            );
        }
    }
    // A relay cannot route without an identity.
    let unrouted = path(None, Some(NONCE));
    assert_eq!(
        refusal(&relay_base, &unrouted).await,
        (400, "refused".into())
    );
    document(&base, &unrouted).await;
    // Another's identity.
    for base in [&base, &relay_base] {
        let other = path(Some([7; 32]), Some(NONCE));
        assert_eq!(refusal(base, &other).await, (404, "key-unknown".into()));
    }
    drop(relay);
}

#[tokio::test]
async fn an_instance_without_evidence_has_no_such_resource() {
    let plain = instance(InstanceConfig::new(url(model().await.address()), MODEL), 1).await;
    let base = url(plain.address());
    let wanted = path(Some(plain.identity()), Some(NONCE));
    assert_eq!(refusal(&base, &wanted).await, (404, "refused".into()));
    let (_relay, relay_base) = relay_before(vec![base]).await;
    assert_eq!(refusal(&relay_base, &wanted).await, (400, "refused".into()));
}

#[tokio::test]
async fn a_relay_passes_evidence_of_the_named_instance_unchanged() {
    let first = instance_with(Maker::new().config()).await;
    let mut config = InstanceConfig::new(url(model().await.address()), MODEL);
    config.evidence = Some(Maker::new().config());
    let second = instance(config, 2).await;
    let bases = [url(first.address()), url(second.address())];
    let (_relay, relay_base) = relay_before(bases.to_vec()).await;
    for (base, identity) in bases.iter().zip([first.identity(), second.identity()]) {
        let path = path(Some(identity), Some(NONCE));
        // The second instance may be reached a moment later.
        for _ in 0..200 {
            if get(&relay_base, &path).await.0 == StatusCode::OK {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(
            document(&relay_base, &path).await,
            document(base, &path).await
        );
    }
    // An instance that went away.
    let identity = first.identity();
    first.shut_down(Duration::ZERO).await;
    assert_eq!(
        refusal(&relay_base, &path(Some(identity), Some(NONCE))).await,
        (502, "gone".into())
    );
}

/// A relay before something that describes itself as an instance and answers a question for evidence as `answer` says.
async fn relay_before_fake<F>(answer: F) -> (sealwire_http::net::Server, Relay, BaseUrl)
where
    F: Fn() -> Response<sealwire_http::net::Body> + Send + Sync + 'static,
{
    let fake = server(move |request| {
        let response = match request.uri().path() {
            INSTANCE_PATH => json(
                StatusCode::OK,
                json!({"identity": to_base64url(&[3; 32]), "labels": [MODEL], "suites": [1]})
                    .to_string()
                    .into_bytes(),
            ),
            EVIDENCE_PATH => answer(),
            _ => json(StatusCode::OK, br#"{"bundles":[]}"#.to_vec()),
        };
        async move { response }
    })
    .await;
    let (relay, base) = relay_before(vec![url(fake.address())]).await;
    (fake, relay, base)
}

#[tokio::test]
async fn what_is_no_evidence_document_does_not_pass_a_relay() {
    let wanted = path(Some([3; 32]), None);
    let (_fake, _relay, base) = relay_before_fake(|| {
        let mut html = Response::new(full("<html>"));
        let kind = HeaderValue::from_static("text/html");
        html.headers_mut().insert(CONTENT_TYPE, kind);
        html
    })
    .await;
    assert_eq!(refusal(&base, &wanted).await, (500, "internal".into()));

    let (_fake, _relay, base) = relay_before_fake(|| {
        let (sender, body) = channel(1);
        tokio::spawn(async move {
            // Without an end.
            while sender.send(vec![b' '; 1 << 20]).await.is_ok() {}
        });
        let mut endless = Response::new(body);
        let kind = HeaderValue::from_static("application/json");
        endless.headers_mut().insert(CONTENT_TYPE, kind);
        endless
    })
    .await;
    let response = send(Method::GET, &base, &wanted, HeaderMap::new(), empty()).await;
    let mut body = response.into_body();
    let mut total = 0;
    // The relay gives it up at its bound, and the client sees that.
    while let Some(data) = sealwire_http::net::next_data(&mut body, common::IDLE)
        .await
        .transpose()
    {
        match data {
            Ok(data) => total += data.len(),
            Err(_) => {
                assert!(total <= MAX_EVIDENCE_BYTES, "{total}");
                return;
            }
        }
    }
    panic!("it ended as if it were whole");
}

#[tokio::test]
async fn challenges_beyond_the_bounds_are_busy() {
    let maker = Maker::new();
    let mut config = maker.config();
    config.limits.concurrent = 1;
    config.limits.burst = 3;
    config.limits.interval = Duration::from_secs(3_600);
    let instance = instance_with(config).await;
    let base = url(instance.address());
    let wanted = path(None, Some(NONCE));
    // One is at work.
    maker.allowed.forget_permits(Semaphore::MAX_PERMITS);
    let slow = tokio::spawn({
        let (base, wanted) = (base.clone(), wanted.clone());
        async move { document(&base, &wanted).await }
    });
    while maker.asked.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(refusal(&base, &wanted).await, (503, "busy".into()));
    // What is stapled costs nothing and goes on.
    document(&base, &path(None, None)).await;
    maker.allowed.add_permits(100);
    slow.await.expect("a document");
    // Two of three are left in an hour.
    document(&base, &wanted).await;
    document(&base, &wanted).await;
    assert_eq!(refusal(&base, &wanted).await, (503, "busy".into()));
    assert_eq!(maker.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_challenge_that_its_client_gives_up_makes_room() {
    let maker = Maker::new();
    let mut config = maker.config();
    config.limits.concurrent = 1;
    let instance = instance_with(config).await;
    let base = url(instance.address());
    let wanted = path(None, Some(NONCE));
    maker.allowed.forget_permits(Semaphore::MAX_PERMITS);
    let given_up = tokio::spawn({
        let (base, wanted) = (base.clone(), wanted.clone());
        async move { get(&base, &wanted).await }
    });
    while maker.asked.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    given_up.abort();
    maker.allowed.add_permits(100);
    while refusal(&base, &wanted).await.1 == "busy" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    document(&base, &wanted).await;
}

#[tokio::test]
async fn an_instance_that_cannot_make_evidence_does_not_start() {
    let upstream = url(model().await.address());
    let with = |evidence: EvidenceConfig| {
        let mut config = InstanceConfig::new(upstream.clone(), MODEL);
        config.evidence = Some(evidence);
        config
    };
    // The provider signs something else.
    let mut maker = Maker::new();
    maker.over = Some(vec![0; 64]);
    let error = starting(with(maker.config())).await.expect_err("another");
    assert!(
        matches!(error, StartError::Evidence(EvidenceError::OtherReportData)),
        "{error}"
    );
    // The provider never ends.
    let maker = Maker::new();
    maker.allowed.forget_permits(Semaphore::MAX_PERMITS);
    let mut config = maker.config();
    config.limits.time = Duration::from_millis(20);
    let error = starting(with(config)).await.expect_err("too long");
    assert!(
        matches!(error, StartError::Evidence(EvidenceError::Time(_))),
        "{error}"
    );
    // GPU evidence is asked for and there is no GPU.
    let mut config = Maker::new().config();
    config.gpu = Some(Arc::new(Gpus::default()));
    let error = starting(with(config)).await.expect_err("no GPU");
    assert!(
        matches!(error, StartError::Evidence(EvidenceError::NoGpu)),
        "{error}"
    );
    // More than clients read.
    let mut maker = Maker::new();
    maker.over = None;
    let mut config = maker.config();
    config.gpu = Some(Arc::new(Gpus(Mutex::new(33))));
    let error = starting(with(config)).await.expect_err("too many GPUs");
    assert!(
        matches!(error, StartError::Evidence(EvidenceError::Unreadable(_))),
        "{error}"
    );
    // What is stapled is no JSON.
    let folder = tempfile::tempdir().expect("a folder");
    let collateral = folder.path().join("collateral");
    std::fs::write(&collateral, "<html>").expect("a file");
    let mut config = Maker::new().config();
    config.collateral = Some(collateral.clone());
    let error = starting(with(config)).await.expect_err("no JSON");
    assert!(
        matches!(&error, StartError::Evidence(EvidenceError::Content(path, _)) if *path == collateral),
        "{error}"
    );
}

#[tokio::test]
async fn with_evidence_the_model_server_must_be_on_loopback() {
    let remote: BaseUrl = "http://192.0.2.1:8000".parse().expect("an address");
    let mut config = InstanceConfig::new(remote.clone(), MODEL);
    config.evidence = Some(Maker::new().config());
    let error = starting(config).await.expect_err("remote");
    assert!(matches!(error, StartError::RemoteUpstream(_)), "{error}");
    starting(InstanceConfig::new(remote, MODEL))
        .await
        .expect("it claims nothing");
}

#[tokio::test]
async fn a_file_is_stapled_evidence_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("evidence.json");
    let write = |quote: &[u8], name: &str| {
        let evidence = Evidence {
            tee: TeeKind::SevSnp,
            quote: quote.to_vec(),
            certificates: vec![vec![5]],
            gpus: Vec::new(),
            gpu_tokens: None,
            collateral: None,
            statement: Some(b"of another time".to_vec()),
            claimed_identity: Some([0; 32]),
            claimed_nonce: Some([0; 32]),
        };
        let new = folder.path().join(name);
        std::fs::write(&new, evidence.to_json().expect("whole")).expect("a file");
        std::fs::rename(&new, &file).expect("a file");
    };
    let missing = EvidenceConfig::new(QuoteSource::File(file.clone()));
    let mut config = InstanceConfig::new(url(model().await.address()), MODEL);
    config.evidence = Some(missing.clone());
    let error = starting(config).await.expect_err("no file");
    assert!(
        matches!(&error, StartError::Evidence(EvidenceError::File(path, _)) if *path == file),
        "{error}"
    );

    write(b"old", "old");
    let instance = instance_with(missing).await;
    let base = url(instance.address());
    assert_eq!(
        refusal(&base, &path(None, Some(NONCE))).await,
        (400, "refused".into())
    );
    let stapled = document(&base, &path(None, None)).await;
    let evidence = Evidence::from_json(&stapled).expect("the native shape");
    assert_eq!(
        (evidence.tee, evidence.quote),
        (TeeKind::SevSnp, b"old".to_vec())
    );
    // Who it is and what it states, the instance says itself.
    assert_eq!(evidence.claimed_identity, Some(instance.identity()));
    assert_eq!(evidence.claimed_nonce, None);
    Statement::from_json(&evidence.statement.expect("one")).expect("its own");
    // A file that was replaced is seen.
    write(b"new", "new");
    while Evidence::from_json(&document(&base, &path(None, None)).await)
        .expect("the native shape")
        .quote
        != b"new"
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_same_providers_serve_chutes_v1() {
    use sha2::{Digest, Sha256};

    let maker = Maker::new();
    let mut config = maker.config();
    config.gpu = Some(Arc::new(Gpus(Mutex::new(1))));
    let der = vm_certificate::fresh().expect("a certificate");
    config.certificate = Some(der.clone());
    let instance = instance_with(config).await;
    let evidence = instance.evidence().expect("configured");
    let (nonce, key) = ("0f".repeat(32), "AAEC");
    let made = evidence
        .chutes_evidence(&nonce, key, "an-id")
        .await
        .expect("evidence");
    let value = serde_json::to_value(&made).expect("strings");
    assert_eq!(value["instance_id"], "an-id");
    assert_eq!(made.certificate.0, der);
    let data = made
        .quote
        .0
        .strip_prefix(b"a quote over ")
        .expect("a quote");
    assert_eq!(data[..32], Sha256::digest(format!("{nonce}{key}"))[..]);
    // The list that a relay makes of it is readable, and the GPU was asked with the first half.
    let list = json!({"evidence": [value], "failed_instance_ids": []}).to_string();
    let list = sealwire_attest::evidence::ChutesEvidence::from_json(list.as_bytes());
    let (id, read) = list.expect("a list").instances.remove(0);
    assert_eq!(id, "an-id");
    let read = read.expect("evidence");
    assert_eq!(read.quote, made.quote.0);
    assert_eq!(read.certificates, [der]);
    assert_eq!(read.gpus[0].evidence[..32], data[..32]);

    for bad in ["", "0f", &"0g".repeat(32)] {
        let error = evidence.chutes_evidence(bad, key, "an-id").await;
        assert!(matches!(error, Err(EvidenceError::ChutesNonce)), "{bad}");
    }
    let plain = instance_with(Maker::new().config()).await;
    let evidence = plain.evidence().expect("configured");
    let error = evidence.chutes_evidence(&nonce, key, "an-id").await;
    assert!(matches!(error, Err(EvidenceError::Certificate(_))));
}

#[tokio::test]
async fn why_there_is_no_evidence_stays_inside() {
    let maker = Maker::new();
    let mut config = maker.config();
    config.limits.time = Duration::from_millis(200);
    let instance = instance_with(config).await;
    maker.allowed.forget_permits(Semaphore::MAX_PERMITS);
    let (status, problem) = get(&url(instance.address()), &path(None, Some(NONCE))).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (500, &Value::from("internal"))
    );
    assert_eq!(problem["detail"], "the instance cannot make evidence now");
}
