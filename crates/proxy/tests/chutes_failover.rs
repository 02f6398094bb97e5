//! chutes-v1: what the proxy does when the relay refuses, and when it stops.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    ANSWER, Plan, TestGate, answering, ask, ask_streamed, broken, code, content, raw, refuse,
    system, system_with,
};
use http::Response;
use sealwire_http::net::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_refused_nonce_is_replaced_by_a_fresh_one() {
    const REFUSED: &str = "Invalid, expired, or already-used nonce";
    let plan =
        Plan::new(answering).refusing(|number, _| (number == 0).then(|| refuse(403, REFUSED)));
    let system = system(plan).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, content(&answer)), (200, ANSWER));
    let log = system.relay.log();
    assert_eq!(log.discoveries, 2);
    // All that came with the refused one is worthless.
    assert!(log.invocations[0].nonce.starts_with("nonce-1-"));
    assert!(log.invocations[1].nonce.starts_with("nonce-2-"));
}

#[tokio::test]
async fn a_relay_that_refuses_every_nonce_is_not_asked_for_ever() {
    let plan = Plan::new(answering).refusing(|_, _| Some(refuse(403, "already-used nonce")));
    let system = system(plan).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (403, "relay_403"));
    assert_eq!(system.relay.log().invocations.len(), 4);
}

/// What instance a request ends at, if the first attempt meets this.
async fn after(first: impl Fn() -> Response<Body> + Send + Sync + 'static) -> (u16, Vec<usize>) {
    let plan = Plan::new(answering).refusing(move |number, _| (number == 0).then(&first));
    let system = system(plan).await;
    let (status, _) = ask(&system.url).await;
    let log = system.relay.log();
    (
        status,
        log.invocations.iter().map(|seen| seen.instance).collect(),
    )
}

#[tokio::test]
async fn another_instance_is_tried_where_one_fails() {
    for (status, detail) in [
        (500, "Internal error"),
        (502, "Instance upstream error"),
        (503, "Chute is unavailable"),
        (404, "Instance not found"),
        (410, "Instance is gone"),
        (400, "Instance is not E2E-capable"),
        (429, "Instance is at maximum capacity, try again later"),
    ] {
        let (got, instances) = after(move || refuse(status, detail)).await;
        assert_eq!(got, 200, "{status}");
        assert_eq!(instances.len(), 2, "{status}");
        assert_ne!(instances[0], instances[1], "{status}");
    }
}

#[tokio::test]
async fn an_instance_that_is_gone_is_not_asked_again() {
    let plan = Plan::new(answering)
        .refusing(|_, instance| (instance == 0).then(|| refuse(410, "Instance is gone")));
    let system = system(plan).await;
    for _ in 0..4 {
        assert_eq!(ask(&system.url).await.0, 200);
    }
    let log = system.relay.log();
    let gone = log.invocations.iter().filter(|seen| seen.instance == 0);
    assert!(gone.count() <= 1);
}

#[tokio::test]
async fn where_every_instance_fails_the_relays_error_is_told() {
    let plan = Plan::new(answering).refusing(|_, _| Some(refuse(500, "out of order")));
    let system = system(plan).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "relay_500"));
    let text = answer.to_string();
    assert!(
        text.contains("the relay says 500: out of order") && text.contains("sealwire_relay_error"),
        "{text}"
    );
    // Each instance once.
    assert_eq!(system.relay.log().invocations.len(), 2);
}

#[tokio::test]
async fn where_every_instance_is_full_the_application_is_told_in_the_end() {
    let plan = Plan::new(answering).refusing(|_, _| {
        Some(refuse(
            429,
            "Instance is at maximum capacity, try again later",
        ))
    });
    let system = system_with(plan, TestGate::refusing(&[]), |config| {
        config.limits.attempts = 3;
    })
    .await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (429, "relay_429"));
    assert_eq!(system.relay.log().invocations.len(), 3);
}

#[tokio::test]
async fn what_another_attempt_cannot_mend_goes_to_the_application() {
    for (status, detail, shown) in [
        (401, "Invalid API key", 401),
        (402, "Account balance is too low", 402),
        (403, "Forbidden", 403),
        (404, "Chute not found", 502),
        (413, "Too large", 413),
        (422, "Missing header", 502),
        (429, "Rate limit exceeded", 429),
    ] {
        let plan = Plan::new(answering).refusing(move |_, _| Some(refuse(status, detail)));
        let system = system(plan).await;
        let (got, answer) = ask(&system.url).await;
        assert_eq!(got, shown, "{status}");
        assert_eq!(code(&answer), format!("relay_{status}"));
        assert!(answer.to_string().contains(detail), "{answer}");
        assert_eq!(system.relay.log().invocations.len(), 1, "{status}");
    }
}

/// A way to `to` on which the first invocation is swallowed: its connection closes without an answer.
async fn swallowing(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(common::LOOPBACK)
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let first = Arc::new(AtomicBool::new(true));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = Arc::clone(&first);
            tokio::spawn(async move {
                let mut start = [0; 16];
                stream.read_exact(&mut start).await.expect("a request");
                if start.starts_with(b"POST /e2e/invoke") && first.swap(false, Ordering::SeqCst) {
                    return;
                }
                let mut inner = TcpStream::connect(to).await.expect("the relay");
                inner.write_all(&start).await.expect("open");
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_leads_to_another_instance() {
    let behind = system(Plan::new(answering)).await;
    let way = swallowing(behind.relay_address()).await;
    let proxy = behind
        .another_proxy(|config| config.e2e_base = common::url(way))
        .await;
    let (status, answer) = ask(&proxy.1).await;
    assert_eq!((status, content(&answer)), (200, ANSWER));
    assert_eq!(
        behind.relay.log().invocations.len(),
        1,
        "the second attempt"
    );
}

#[tokio::test]
async fn a_web_page_with_an_errors_status_is_no_relays_error() {
    let page = || raw(502, "text/html", "<html>bad gateway</html>");
    let (status, instances) = after(page).await;
    assert_eq!((status, instances.len()), (200, 2), "it may pass");
    let plan = Plan::new(answering).refusing(move |_, _| Some(page()));
    let system = system(plan).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "relay_not_chutes"));
    assert!(!answer.to_string().contains("html"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let plan = Plan::new(|_| broken(200, "application/octet-stream", vec![0; 100]));
    let system = system(plan).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "truncated"));
    assert_eq!(system.relay.log().invocations.len(), 1);
    let plan = Plan::new(|_| broken(200, "text/event-stream", b": hello\n\n".to_vec()));
    let system = self::system(plan).await;
    let streamed = ask_streamed(&system.url).await;
    assert_eq!((streamed.status, streamed.code()), (502, "truncated"));
    assert_eq!(system.relay.log().invocations.len(), 1);
}

#[tokio::test]
async fn without_instances_there_is_no_answer() {
    let system = system(Plan::new(answering).instances(0)).await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (503, "no_instance"));
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named_as_such() {
    let system = system_with(Plan::new(answering), TestGate::refusing(&[]), |config| {
        config.api_base = "http://127.0.0.1:1".parse().expect("an address");
    })
    .await;
    let (status, answer) = ask(&system.url).await;
    assert_eq!((status, code(&answer)), (502, "relay_unreachable"));
}

#[tokio::test]
async fn as_many_requests_as_come_at_once_find_a_nonce_each() {
    let system = system(Plan::new(answering).instances(1)).await;
    let asked: Vec<_> = (0..150)
        .map(|_| {
            let url = system.url.clone();
            tokio::spawn(async move { ask(&url).await })
        })
        .collect();
    for answer in asked {
        let (status, answer) = answer.await.expect("no panic");
        assert_eq!((status, content(&answer)), (200, ANSWER));
    }
    let log = system.relay.log();
    let mut nonces: Vec<&str> = log.invocations.iter().map(|seen| &*seen.nonce).collect();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 150, "each nonce once");
}
