//! Attempts of chutes-v1 through proxy, relay and instance: nothing of one attempt serves another.

mod common;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{ANSWER, MODEL, code, forward, model, pass, relay, server, url};
use http::{Request, Response, StatusCode};
use sealwire::compat::chutes::Codec;
use sealwire_cli::provider::provider;
use sealwire_http::chutes::INVOKE_PATH;
use sealwire_http::net::{Body, Incoming, Server, detail, full, read_all};
use sealwire_http::profile::Profile;
use sealwire_instance::{Instance, InstanceConfig};
use sealwire_proxy::chutes::{ChutesConfig, TrustRelay};
use sealwire_relay::{Relay, RelayConfig};

/// What stands between proxy and relay.
#[derive(Default)]
struct Between {
    /// The sealed answers so far; the first attempt is told that it failed.
    answers: Mutex<Vec<Bytes>>,
    /// Nonces and bodies of attempts.
    attempts: Mutex<Vec<(String, Bytes)>>,
}

/// A relay and an instance, and a proxy that reaches them through `Between`.
struct System {
    between: Arc<Between>,
    proxy: Server,
    _front: Server,
    _relay: Relay,
    _instance: Instance,
    _model: Server,
}

/// The second attempt is answered with the answer to that attempt.
async fn system(answer_of: usize) -> System {
    let model = model().await;
    let mut config = InstanceConfig::new(url(model.address()), MODEL);
    config.profiles = vec![Profile::ChutesV1];
    let instance = common::instance(config, 1).await;
    let mut config = RelayConfig::new(vec![url(instance.address())]);
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let behind = url(relay.address());
    common::found(&behind).await;
    let between = Arc::new(Between::default());
    let shared = Arc::clone(&between);
    let front = server(move |request: Request<Incoming>| {
        let (behind, shared) = (behind.clone(), Arc::clone(&shared));
        async move {
            if request.uri().path() != INVOKE_PATH {
                return pass(forward(&behind, request).await).await;
            }
            let (parts, mut body) = request.into_parts();
            let body = read_all(&mut body, 1 << 20, common::IDLE).await;
            let body = body.expect("a body");
            let nonce = parts.headers["x-e2e-nonce"].to_str().expect("ASCII");
            let attempt = (nonce.to_owned(), body.clone());
            shared.attempts.lock().expect("no panic").push(attempt);
            let sent = common::send(
                parts.method,
                &behind,
                INVOKE_PATH,
                parts.headers,
                full(body),
            );
            shared.answer(sent.await, answer_of).await
        }
    })
    .await;
    let mut config = ChutesConfig::new(url(front.address()));
    config.allow_non_confidential = vec![MODEL.to_owned()];
    let proxy = sealwire_proxy::chutes::start(
        config,
        Codec::new(&provider()),
        common::client(),
        Arc::new(TrustRelay),
    )
    .await
    .expect("a free port");
    System {
        between,
        proxy,
        _front: front,
        _relay: relay,
        _instance: instance,
        _model: model,
    }
}

impl Between {
    async fn answer(&self, response: Response<Incoming>, answer_of: usize) -> Response<Body> {
        assert_eq!(response.status(), 200);
        let (mut parts, mut body) = response.into_parts();
        // The other answer may have another length.
        parts.headers.remove(http::header::CONTENT_LENGTH);
        let body = read_all(&mut body, 1 << 20, common::IDLE).await;
        let mut answers = self.answers.lock().expect("no panic");
        answers.push(body.expect("whole"));
        if answers.len() == 1 {
            return detail(
                StatusCode::FORBIDDEN,
                "Invalid, expired, or already-used nonce",
            );
        }
        Response::from_parts(parts, full(answers[answer_of].clone()))
    }
}

#[tokio::test]
async fn an_attempt_that_is_made_again_is_answered() {
    let system = system(1).await;
    let (status, answer) = common::ask(&url(system.proxy.address())).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["message"]["content"], ANSWER);
    // Nothing that was sent was sent before.
    let attempts = system.between.attempts.lock().expect("no panic");
    let [(first_nonce, first), (second_nonce, second)] = attempts.as_slice() else {
        panic!("two attempts");
    };
    assert_ne!(first_nonce, second_nonce);
    assert_ne!(first, second);
}

#[tokio::test]
async fn the_answer_to_one_attempt_opens_no_other() {
    let system = system(0).await;
    let (status, answer) = common::ask(&url(system.proxy.address())).await;
    assert_eq!(
        (status.as_u16(), code(&answer)),
        (502, "decrypt"),
        "{answer}"
    );
    assert_eq!(system.between.attempts.lock().expect("no panic").len(), 2);
}
