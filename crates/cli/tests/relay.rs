//! What a relay does on its own: keys, routing, metering, bounds.

mod common;

use std::sync::{Arc, Mutex};

use common::{
    MODEL, ask, code, get, instance, model, post, proxy, question, relay, server, url, usage, whole,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::receipt::{ReceiptClaim, ReceiptIssuer, Usage};
use sealwire::server::{KeyRing, Now, accept};
use sealwire::{IdentityKey, IdentityTrust, Limits, Suite, rustcrypto};
use sealwire_http::carriage::{
    BUNDLES_PATH, INSTANCE_PATH, REQUESTS_PATH, context_bytes, request_headers, response_headers,
    to_base64url,
};
use sealwire_http::discovery::bundles_to_json;
use sealwire_http::message::{Fields, ResponseHead, encode_content, encode_end};
use sealwire_http::net::{Body, Incoming, Server, full, json, read_all};
use sealwire_instance::InstanceConfig;
use sealwire_proxy::ProxyConfig;
use sealwire_relay::RelayConfig;

fn now() -> Now {
    let unix = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    Now { unix, monotonic: 0 }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    AnotherIdentity,
    AnotherStream,
    TwiceTheSame,
    NoReceipt,
    Incomplete,
}

/// An instance made of the core alone, which answers "{}" and lies in its receipts.
async fn lying_instance(lie: Lie) -> (Server, [u8; 32]) {
    let provider = rustcrypto::provider();
    let identity = IdentityKey::from_seed(&provider, &common::seed(5));
    let public = identity.public_key();
    let signer = match lie {
        Lie::AnotherIdentity => IdentityKey::from_seed(&provider, &common::seed(6)),
        _ => IdentityKey::from_seed(&provider, &common::seed(5)),
    };
    let signer = Arc::new(signer);
    let ring = KeyRing::new(&provider, identity, MODEL, Default::default()).expect("a ring");
    let ring = Arc::new(Mutex::new(ring));
    let old = Arc::new(Mutex::new(None));
    let server = server(move |request: Request<Incoming>| {
        let (ring, signer, old) = (Arc::clone(&ring), Arc::clone(&signer), Arc::clone(&old));
        async move {
            match request.uri().path() {
                INSTANCE_PATH => {
                    let info = serde_json::json!({"identity": to_base64url(&public), "labels": [MODEL], "suites": [1]});
                    json(StatusCode::OK, info.to_string().into_bytes())
                }
                BUNDLES_PATH => {
                    let mut ring = ring.lock().expect("no panic");
                    let bundle = ring.bundle(Suite::MlKem768, now()).expect("a bundle");
                    json(StatusCode::OK, bundles_to_json([bundle.as_bytes()]))
                }
                _ => lying_answer(lie, request, &ring, &signer, &old).await,
            }
        }
    })
    .await;
    (server, public)
}

async fn lying_answer(
    lie: Lie,
    request: Request<Incoming>,
    ring: &Mutex<KeyRing>,
    signer: &IdentityKey,
    old: &Mutex<Option<Vec<u8>>>,
) -> Response<Body> {
    let context = context_bytes(request.headers()).expect("a context");
    let mut body = request.into_body();
    let body = read_all(&mut body, 1 << 20, common::IDLE)
        .await
        .expect("a body");
    let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(&body) else {
        panic!("no H1");
    };
    let mut out = Vec::new();
    let mut accepted = accept(
        &mut ring.lock().expect("no panic"),
        request,
        &context,
        &Limits::default(),
        now(),
        &mut out,
    )
    .expect("accepted");
    let claim = ReceiptClaim {
        request_complete: lie != Lie::Incomplete,
        status: 200,
        usage: Some(Usage {
            tokens_in: 1_000,
            tokens_out: 1_000,
            tokens_cached: 0,
        }),
        time: now().unix,
    };
    let receipt = ReceiptIssuer::new().last(&accepted.session, signer, &claim);
    let first = old
        .lock()
        .expect("no panic")
        .get_or_insert(receipt.to_vec())
        .clone();
    match lie {
        Lie::None | Lie::AnotherIdentity | Lie::Incomplete => {
            accepted.sealer.public(&receipt, &mut out).expect("room");
        }
        Lie::AnotherStream => accepted.sealer.public(&first, &mut out).expect("room"),
        Lie::TwiceTheSame => {
            accepted.sealer.public(&receipt, &mut out).expect("room");
            accepted.sealer.public(&receipt, &mut out).expect("room");
        }
        Lie::NoReceipt => {}
    }
    let mut message = Vec::new();
    let mut fields = Fields::new();
    fields
        .push("content-type", b"application/json")
        .expect("valid");
    ResponseHead {
        status: 200,
        fields,
    }
    .encode(&mut message)
    .expect("valid");
    encode_content(b"{}", &mut message);
    encode_end(&mut message);
    accepted.sealer.finish(&message, &mut out).expect("room");
    let mut response = Response::new(full(out));
    *response.headers_mut() = response_headers();
    response
}

async fn before(instance: &Server, identity: [u8; 32]) -> (sealwire_relay::Relay, Server) {
    let relay = relay(RelayConfig::new(vec![url(instance.address())])).await;
    common::found(&url(relay.address())).await;
    let config = ProxyConfig::new(url(relay.address()), IdentityTrust::pinned(&[identity]));
    let proxy = proxy(config).await;
    (relay, proxy)
}

#[tokio::test]
async fn receipts_that_do_not_verify_are_not_billed_and_fail_at_the_client() {
    for (lie, refused, billed, client_code) in [
        (Lie::None, 0, 1_000, None),
        (Lie::AnotherIdentity, 1, 0, Some("receipt_signature")),
        (Lie::TwiceTheSame, 1, 1_000, Some("receipt_order")),
        (Lie::NoReceipt, 0, 0, None),
        // A success from before the request was complete.
        (Lie::Incomplete, 0, 1_000, Some("early_response")),
    ] {
        let (instance, identity) = lying_instance(lie).await;
        let (relay, proxy) = before(&instance, identity).await;
        let (status, answer) = ask(&url(proxy.address())).await;
        match client_code {
            None => assert_eq!(status, 200, "{answer}"),
            Some(expected) => assert_eq!((status.as_u16(), code(&answer)), (502, expected)),
        }
        let row = usage(&url(relay.address()), 1).await;
        assert_eq!(row["receipts_refused"], refused, "{row}");
        assert_eq!(row["tokens_in"], billed, "{row}");
    }
    // A receipt of another stream of the same instance.
    let (instance, identity) = lying_instance(Lie::AnotherStream).await;
    let (relay, proxy) = before(&instance, identity).await;
    assert_eq!(ask(&url(proxy.address())).await.0, 200);
    let (status, error) = ask(&url(proxy.address())).await;
    assert_eq!((status.as_u16(), code(&error)), (502, "receipt_mismatch"));
    let row = usage(&url(relay.address()), 2).await;
    assert_eq!(
        (&row["tokens_in"], &row["receipts_refused"]),
        (&1_000.into(), &1.into())
    );
}

#[tokio::test]
async fn a_relay_with_keys_asks_for_one_and_meters_by_it() {
    let upstream = model().await;
    let instance = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.api_keys = vec!["alpha".to_owned(), "beta".to_owned()];
    let relay = relay(config).await;
    let relay_url = url(relay.address());
    for path in ["/v1/models", "/usage", "/sealwire/v1/bundles?label=demo"] {
        let (status, problem) = get(&relay_url, path).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (401, Some("auth"))
        );
    }
    assert_eq!(get(&relay_url, "/healthz").await.0, 200);
    let mut config = ProxyConfig::new(
        relay_url.clone(),
        IdentityTrust::pinned(&[instance.identity()]),
    );
    let without = proxy(config.clone()).await;
    let (status, error) = ask(&url(without.address())).await;
    assert_eq!((status.as_u16(), code(&error)), (401, "relay_auth"));
    config.front.relay_key = Some("beta".to_owned());
    config.billing = Some(b"team 7".to_vec());
    let with = proxy(config).await;
    let with_url = url(with.address());
    for _ in 0..200 {
        if ask(&with_url).await.0 == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let report = |key: &'static str| {
        let relay_url = relay_url.clone();
        async move {
            let mut headers = HeaderMap::new();
            headers.insert(
                "authorization",
                format!("Bearer {key}").parse().expect("ASCII"),
            );
            let response = common::send(
                Method::GET,
                &relay_url,
                "/usage",
                headers,
                sealwire_http::net::empty(),
            )
            .await;
            whole(response).await.1
        }
    };
    for _ in 0..200 {
        if report("beta").await["usage"][0]["requests"] == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let beta = report("beta").await;
    assert_eq!(beta["usage"][0]["billing"], "team 7", "{beta}");
    assert!(!beta.to_string().contains("beta"), "{beta}");
    assert_eq!(report("alpha").await["usage"], serde_json::json!([]));
}

#[tokio::test]
async fn bad_sealed_requests_are_refused_with_a_problem() {
    let upstream = model().await;
    let system = common::system(upstream.address()).await;
    let context = sealwire::Context::new(MODEL, [1; 16], 1)
        .expect("a context")
        .encode();
    let other = sealwire::Context::new("other", [1; 16], 1)
        .expect("a context")
        .encode();
    let unknown_bundle = {
        let mut h1 = vec![0; 2_326];
        h1[..6].copy_from_slice(b"SW\x01\x00\x01\x00");
        h1
    };
    let mut no_type = request_headers(&context);
    no_type.remove("content-type");
    let mut no_context = request_headers(&context);
    no_context.remove("sealwire-context");
    for (headers, body, status, expected) in [
        (no_type, vec![], 400, "refused"),
        (no_context, vec![], 400, "refused"),
        (request_headers(&context), b"HELLO".to_vec(), 400, "refused"),
        (
            request_headers(&context),
            b"SW\x01".to_vec(),
            400,
            "refused",
        ),
        (
            request_headers(&[9, 9]),
            unknown_bundle.clone(),
            400,
            "refused",
        ),
        (
            request_headers(&context),
            unknown_bundle.clone(),
            409,
            "key-unknown",
        ),
        (
            request_headers(&other),
            unknown_bundle.clone(),
            409,
            "key-unknown",
        ),
    ] {
        let direct = url(system.instance.as_ref().expect("running").address());
        // An instance looks for the key before it reads the context.
        let relay_only = headers
            .get("sealwire-context")
            .is_some_and(|value| value == "CQk");
        for server in [&system.relay_url, &direct] {
            if relay_only && server == &direct {
                continue;
            }
            let response = common::send(
                Method::POST,
                server,
                REQUESTS_PATH,
                headers.clone(),
                full(body.clone()),
            )
            .await;
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
            let (seen, problem) = whole(response).await;
            assert_eq!(
                (seen.as_u16(), problem["code"].as_str()),
                (status, Some(expected)),
                "{problem}"
            );
            let fresh = problem.get("bundle").is_some();
            let served = headers.get("sealwire-context")
                == request_headers(&context).get("sealwire-context");
            assert_eq!(fresh, expected == "key-unknown" && served, "{problem}");
        }
    }
}

#[tokio::test]
async fn too_large_is_said_at_once() {
    let upstream = model().await;
    let instance = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.limits.request_bytes = 10_000;
    let relay = relay(config).await;
    common::found(&url(relay.address())).await;
    let proxy = proxy(ProxyConfig::new(
        url(relay.address()),
        IdentityTrust::pinned(&[instance.identity()]),
    ))
    .await;
    let base = url(proxy.address());
    let mut large = question(false);
    large["padding"] = "x".repeat(20_000).into();
    let (status, error) = whole(post(&base, "/v1/chat/completions", &large).await).await;
    assert_eq!((status.as_u16(), code(&error)), (413, "relay_too_large"));
    assert_eq!(ask(&base).await.0, 200);
}

#[tokio::test]
async fn discovery_of_unknown_labels_and_bad_queries() {
    let upstream = model().await;
    let system = common::system(upstream.address()).await;
    let direct = url(system.instance.as_ref().expect("running").address());
    for server in [&system.relay_url, &direct] {
        let ask = |query: &str| {
            let path = format!("{BUNDLES_PATH}?{query}");
            async move { get(server, &path).await }
        };
        let (status, problem) = ask("label=other").await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (404, Some("key-unknown"))
        );
        for bad in ["", "label=a&label=b", "label=demo&suite=x"] {
            let (status, problem) = ask(bad).await;
            assert_eq!(
                (status.as_u16(), problem["code"].as_str()),
                (400, Some("refused"))
            );
        }
        let (_, first) = ask("label=demo&single_use=true&suite=1").await;
        let (_, second) = ask("label=demo&single_use=true&suite=1").await;
        assert!(first["bundles"][0]["bundle"].is_string());
        assert_ne!(first, second);
        let (_, both) = ask("label=demo").await;
        assert_eq!(both["bundles"].as_array().map(Vec::len), Some(2));
        assert_eq!(get(server, "/nothing").await.0, 404);
    }
}

#[tokio::test]
async fn an_instance_that_is_none_is_not_used() {
    // Bundles whose identity is not the one that the instance states.
    let (other, _) = lying_instance(Lie::None).await;
    let target = url(other.address());
    let stated = server(move |request: Request<Incoming>| {
        let target = target.clone();
        async move {
            if request.uri().path() == INSTANCE_PATH {
                let info = serde_json::json!({"identity": to_base64url(&[7; 32]), "labels": [MODEL], "suites": [1]});
                return json(StatusCode::OK, info.to_string().into_bytes());
            }
            common::pass(common::forward(&target, request).await).await
        }
    })
    .await;
    let relay = relay(RelayConfig::new(vec![url(stated.address())])).await;
    common::found(&url(relay.address())).await;
    let (_, bundles) = get(
        &url(relay.address()),
        &format!("{BUNDLES_PATH}?label={MODEL}"),
    )
    .await;
    assert_eq!(bundles["bundles"], serde_json::json!([]));
}

/// The fields of an answer that speak to browsers.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut told: Vec<(String, String)> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("access-control-") || *name == "vary")
        .map(|(name, value)| {
            let value = value.to_str().expect("ASCII");
            (name.to_string(), value.to_owned())
        })
        .collect();
    told.sort();
    told
}

/// A request as a browser sends it for a page of this origin, or without one.
async fn from_page(
    method: Method,
    base: &sealwire_http::net::BaseUrl,
    path: &str,
    origins: &[&str],
) -> Response<Incoming> {
    let mut headers = HeaderMap::new();
    for origin in origins {
        headers.append("origin", origin.parse().expect("ASCII"));
    }
    if method == Method::OPTIONS {
        headers.insert(
            "access-control-request-method",
            "POST".parse().expect("ASCII"),
        );
        headers.insert(
            "access-control-request-headers",
            "cache-control,content-type,sealwire-context"
                .parse()
                .expect("ASCII"),
        );
        headers.insert(
            "access-control-request-private-network",
            "true".parse().expect("ASCII"),
        );
    }
    common::send(method, base, path, headers, sealwire_http::net::empty()).await
}

const PAGE: &str = "https://chat.example.com";

#[tokio::test]
async fn web_pages_of_named_origins_may_use_a_relay_and_no_others() {
    let upstream = model().await;
    let instance = instance(InstanceConfig::new(url(upstream.address()), MODEL), 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.cors_origins = vec![
        "http://localhost:5173".parse().expect("an origin"),
        PAGE.parse().expect("an origin"),
    ];
    let open = relay(config.clone()).await;
    config.api_keys = vec!["alpha".to_owned()];
    let keyed = relay(config).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let vary = pair("vary", "Origin");
    let resources = [REQUESTS_PATH, BUNDLES_PATH, "/v1/models", "/healthz"];
    for relay in [&open, &keyed] {
        let base = url(relay.address());
        for origin in [PAGE, "http://localhost:5173"] {
            let allowed = pair("access-control-allow-origin", origin);
            for path in resources {
                // A preflight has no key.
                let answer = from_page(Method::OPTIONS, &base, path, &[origin]).await;
                assert_eq!(answer.status(), 204, "{path}");
                assert_eq!(
                    told(answer.headers()),
                    [
                        pair(
                            "access-control-allow-headers",
                            "content-type, sealwire-context, cache-control, authorization"
                        ),
                        pair("access-control-allow-methods", "GET, POST"),
                        allowed.clone(),
                        pair("access-control-max-age", "600"),
                        vary.clone(),
                    ]
                );
                // An answer, be it an error.
                for method in [Method::GET, Method::POST] {
                    let answer = from_page(method, &base, path, &[origin]).await;
                    assert_eq!(told(answer.headers()), [allowed.clone(), vary.clone()]);
                }
            }
        }
        let others: [&[&str]; 8] = [
            &[],
            &["https://other.example.com"],
            &["https://chat.example.com.evil.example"],
            &["https://chat.example.com:8443"],
            &["http://chat.example.com"],
            &["https://CHAT.example.com"],
            &["null"],
            &[PAGE, PAGE],
        ];
        for origins in others {
            for path in resources {
                for method in [Method::OPTIONS, Method::GET, Method::POST] {
                    let answer = from_page(method.clone(), &base, path, origins).await;
                    assert_eq!(
                        told(answer.headers()),
                        std::slice::from_ref(&vary),
                        "{origins:?}"
                    );
                    assert_ne!(answer.status(), 204, "{origins:?}");
                }
            }
        }
        // Not for pages: what was metered, and what is not there.
        for path in ["/usage", "/nothing"] {
            for method in [Method::OPTIONS, Method::GET] {
                let answer = from_page(method, &base, path, &[PAGE]).await;
                assert_eq!(told(answer.headers()), []);
            }
        }
    }
    // OPTIONS that is no preflight is a method like any other.
    let mut headers = HeaderMap::new();
    headers.insert("origin", PAGE.parse().expect("ASCII"));
    let base = url(open.address());
    let none = sealwire_http::net::empty();
    let answer = common::send(Method::OPTIONS, &base, REQUESTS_PATH, headers, none).await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn without_a_list_no_web_page_is_told_anything() {
    let upstream = model().await;
    let system = common::system(upstream.address()).await;
    let direct = url(system.instance.as_ref().expect("running").address());
    for server in [&system.relay_url, &direct] {
        for path in [REQUESTS_PATH, BUNDLES_PATH, "/v1/models", "/healthz"] {
            for method in [Method::OPTIONS, Method::GET, Method::POST] {
                let answer = from_page(method.clone(), server, path, &[PAGE]).await;
                assert_eq!(told(answer.headers()), [], "{method} {path}");
                if method == Method::OPTIONS {
                    let (status, problem) = whole(answer).await;
                    assert_eq!(
                        (status.as_u16(), problem["code"].as_str()),
                        (404, Some("refused"))
                    );
                }
            }
        }
    }
}
