//! Evidence in the profile chutes-v1: it binds the verifier's nonce and the key that the description lists.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use sealwire::crypto::Secret;
use sealwire::rustcrypto;
use sealwire_attest::TeeKind;
use sealwire_http::chutes::{DESCRIPTION_PATH, INSTANCE_EVIDENCE_PATH};
use sealwire_http::net::{BaseUrl, ClientConfig, HttpClient, empty, read_all};
use sealwire_http::profile::Profile;
use sealwire_instance::evidence::{EvidenceConfig, Making, Quote, QuoteProvider, QuoteSource};
use sealwire_instance::{Instance, InstanceConfig, start};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A self-signed certificate on P-256 that OpenSSL made.
const CERTIFICATE: &str = "MIIBcjCCARegAwIBAgIUflGZkohEb/slwI6eip/N3VpdpNAwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCdm0wIBcNMjYxMTIyMjE1OTE1WhgPMjEyNjEwMjkyMTU5MTVaMA0xCzAJBgNVBAMMAnZtMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9isRFSSCyt9HxB/MbW37KcuQCnfcCHlf3m6+3hrg7WvEmSBszA4qFyc5AkQZH+Qgpdz4/DKkc4JXe/jgFWtokKNTMFEwHQYDVR0OBBYEFDdMJMVZ8Y8TmR3sYt1hhviMUj7AMB8GA1UdIwQYMBaAFDdMJMVZ8Y8TmR3sYt1hhviMUj7AMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAIZNmSUfrefUo7+YhR14nSDd9hEx3rMLDoMIylBinuS0AiEA1gLyJQ2UdaYMavqzN9GWWCqzml273kUTBsD7KQBVnUw=";

/// Its "quote" is the report data itself.
#[derive(Debug)]
struct Echo;

impl QuoteProvider for Echo {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        Box::pin(async move {
            Ok(Quote {
                tee: TeeKind::Tdx,
                quote: report_data.to_vec(),
                certificates: Vec::new(),
                collateral: None,
            })
        })
    }
}

fn decode(text: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text.as_str().expect("text"))
        .expect("base64")
}

async fn get(base: &BaseUrl, path: &str) -> (StatusCode, Value) {
    let mut request = Request::new(empty());
    *request.uri_mut() = base.join(path).expect("a path");
    let client = HttpClient::new(&ClientConfig::default());
    let response = client.send(request).await.expect("an answer");
    let status = response.status();
    let mut body = response.into_body();
    let body = read_all(&mut body, 1 << 20, Duration::from_secs(20)).await;
    let body = serde_json::from_slice(&body.expect("a body")).expect("JSON");
    (status, body)
}

async fn instance(change: impl FnOnce(&mut EvidenceConfig)) -> (Instance, BaseUrl) {
    let mut evidence = EvidenceConfig::new(QuoteSource::Provider(Arc::new(Echo)));
    evidence.certificate = Some(decode(&CERTIFICATE.into()));
    change(&mut evidence);
    let upstream = "http://127.0.0.1:1".parse().expect("an address");
    let mut config = InstanceConfig::new(upstream, "m");
    config.profiles = vec![Profile::ChutesV1];
    config.evidence = Some(evidence);
    let client = HttpClient::new(&ClientConfig::default());
    let seed = Secret::new([1; 32]);
    let instance = start(config, rustcrypto::provider(), &seed, client)
        .await
        .expect("evidence and a free port");
    let base = format!("http://{}", instance.address());
    (instance, base.parse().expect("an address"))
}

#[tokio::test]
async fn evidence_binds_nonce_and_key_and_the_instance_calls_itself_confidential() {
    let (instance, base) = instance(|_| {}).await;
    let (_, description) = get(&base, DESCRIPTION_PATH).await;
    assert_eq!(description["confidential_compute"], true);
    let nonce = "0123456789abcdef".repeat(4);
    let path = format!("{INSTANCE_EVIDENCE_PATH}?nonce={nonce}");
    let (status, evidence) = get(&base, &path).await;
    assert_eq!(status, 200, "{evidence}");
    let id = instance.instance_id().expect("chutes-v1").to_string();
    assert_eq!(evidence["instance_id"], id);
    assert_eq!(evidence["certificate"], CERTIFICATE);
    assert_eq!(evidence["gpu_evidence"], json!([]));
    let key = description["e2e_pubkey"].as_str().expect("a key");
    let bound = Sha256::digest(format!("{nonce}{key}"));
    assert_eq!(decode(&evidence["quote"]).get(..32), Some(&bound[..]));
}

#[tokio::test]
async fn questions_for_evidence_that_cannot_be_answered() {
    let nonce = "0".repeat(64);
    let (_instance, base) = instance(|_| {}).await;
    for bad in ["", "?nonce=00", &format!("?nonce={nonce}&nonce={nonce}")] {
        let (status, body) = get(&base, &format!("{INSTANCE_EVIDENCE_PATH}{bad}")).await;
        assert_eq!(
            (status.as_u16(), body),
            (
                400,
                json!({"detail": "the query needs one nonce of 64 hexadecimal digits"})
            )
        );
    }
    let path = format!("{INSTANCE_EVIDENCE_PATH}?nonce={nonce}");
    // A burst of one, and a long wait for the next.
    let (_paced, base) = instance(|evidence| {
        evidence.limits.burst = 1;
        evidence.limits.interval = Duration::from_secs(3_600);
    })
    .await;
    assert_eq!(get(&base, &path).await.0, 200);
    let (status, body) = get(&base, &path).await;
    assert_eq!(
        (status.as_u16(), body),
        (503, json!({"detail": "too many challenges now"}))
    );
    // Nothing to bind.
    let (_bare, base) = instance(|evidence| evidence.certificate = None).await;
    let (status, body) = get(&base, &path).await;
    assert_eq!(
        (status.as_u16(), body),
        (
            500,
            json!({"detail": "the instance cannot make evidence now"})
        )
    );
}
