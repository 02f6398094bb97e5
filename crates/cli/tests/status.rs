//! The proxy's status: the page at `/` and what it reads. What Chromium makes of it is in `tests/browser`.

mod common;

use common::{MODEL, ask, get, model, post, question, send, system_with, whole};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use sealwire_http::net::{empty, read_all};
use serde_json::json;

#[tokio::test]
async fn the_page_is_served_to_probes_without_a_key_and_its_facts_are_not() {
    let model = model().await;
    let key =
        |proxy: &mut sealwire_proxy::ProxyConfig| proxy.front.app_key = Some("sk-app".to_owned());
    let system = system_with(model.address(), |_| {}, key).await;
    let base = &system.proxy_url;
    let head = send(Method::HEAD, base, "/", HeaderMap::new(), empty()).await;
    assert_eq!(head.status(), StatusCode::OK);
    let page = send(Method::GET, base, "/", HeaderMap::new(), empty()).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(page.headers().contains_key(CONTENT_SECURITY_POLICY));
    assert!(!page.headers().contains_key("access-control-allow-origin"));
    let mut body = page.into_body();
    let html = read_all(&mut body, 1 << 20, common::IDLE).await;
    let html = String::from_utf8(html.expect("a body").to_vec()).expect("UTF-8");
    assert!(!html.contains(MODEL) && !html.contains(&system.relay_url.to_string()));
    for path in ["/status", "/attestation", "/v1/models", "/readyz"] {
        assert_eq!(get(base, path).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_static("sk-app"));
    let (status, _) = whole(send(Method::GET, base, "/status", headers, empty()).await).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_page_that_has_rebound_a_name_gets_nothing() {
    let model = model().await;
    let system = system_with(model.address(), |_| {}, |_| {}).await;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("evil.example"));
    for path in ["/", "/status"] {
        let answer = send(
            Method::GET,
            &system.proxy_url,
            path,
            headers.clone(),
            empty(),
        )
        .await;
        let (status, answer) = whole(answer).await;
        assert_eq!(
            (status, common::code(&answer)),
            (StatusCode::FORBIDDEN, "bad_host"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn status_has_names_sizes_and_times_and_nothing_that_was_said() {
    let model = model().await;
    let own_names = |proxy: &mut sealwire_proxy::ProxyConfig| {
        proxy
            .front
            .apps
            .aliases
            .insert("haiku".to_owned(), MODEL.to_owned());
        proxy.front.apps.cache_salt = Some("the-salt".to_owned());
    };
    let system = system_with(model.address(), |_| {}, own_names).await;
    let base = &system.proxy_url;
    let (_, before) = get(base, "/status").await;
    assert_eq!(
        (&before["models"], &before["requests"]),
        (&json!(null), &json!([]))
    );
    assert_eq!(before["profile"], "native");
    assert_eq!(before["relay"], json!([system.relay_url.to_string()]));
    assert_eq!(before["aliases"], json!({"haiku": MODEL}));
    let (status, _) = ask(base).await;
    assert_eq!(status, StatusCode::OK);
    let mut unknown = question(false);
    unknown["model"] = json!("no-such-model");
    let (status, _) = whole(post(base, "/v1/chat/completions", &unknown).await).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, models) = get(base, "/v1/models").await;
    assert_eq!(models["data"][0]["id"], MODEL);
    let (_, after) = get(base, "/status").await;
    assert_eq!(after["models"][0]["id"], MODEL);
    assert_eq!(
        (&after["running"], &after["in_flight"]),
        (&json!(0), &json!([]))
    );
    let [refused, answered] = [&after["requests"][0], &after["requests"][1]];
    assert_eq!(
        (&refused["status"], &refused["error"], &refused["model"]),
        (
            &json!(404),
            &json!("model_not_found"),
            &json!("no-such-model")
        )
    );
    assert_eq!(
        (&answered["status"], &answered["error"]),
        (&json!(200), &json!(null))
    );
    assert_eq!(answered["bytes_in"], question(false).to_string().len());
    let text = after.to_string();
    for said in ["France", "Paris", "the-salt"] {
        assert!(!text.contains(said), "{said}: {text}");
    }
}
