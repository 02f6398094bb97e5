//! A relay of chutes-v1 before an instance made in the test: every status, in the documented order, and what it carries, bills and leaves out.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{MODEL, forward, get, pass, relay, server, url, whole};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire_http::chutes::{
    DESCRIPTION_PATH, INSTANCE_EVIDENCE_PATH, INSTANCE_INVOKE_PATH, INVOKE_PATH, Uuid,
};
use sealwire_http::net::{
    BaseUrl, Body, BodySender, Incoming, ReadError, Server, channel, detail, empty, full, json,
    next_data, read_all,
};
use sealwire_http::profile::Profile;
use sealwire_relay::{Relay, RelayConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const CHUTE: &str = "0b2c1a5e-0000-8000-8000-000000000001";
const OTHER_CHUTE: &str = "0b2c1a5e-0000-8000-8000-000000000002";
const USAGE: &str =
    r#"{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}"#;

/// Tells that a request did not come whole, also where it is dropped with its connection.
struct Reading<'a>(Option<&'a Notify>);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(cut) = self.0 {
            cut.notify_one();
        }
    }
}

/// What an instance made in a test does.
type Invoked = Box<dyn Fn(&HeaderMap, &[u8]) -> Response<Body> + Send + Sync>;

/// An instance that the relay can only see from outside.
struct Fake {
    description: Mutex<Option<Value>>,
    looks: AtomicUsize,
    invoked: Mutex<Invoked>,
    /// Requests that came whole: fields and body.
    seen: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
    /// One began to come.
    begun: Notify,
    /// One broke off.
    cut: Notify,
    /// `None` answers 404.
    evidence: Mutex<Option<String>>,
}

fn key(byte: u8) -> String {
    // Four characters for three bytes, and padding: 1,184 bytes.
    let letter = char::from(b'A' + byte);
    format!("{}{letter}AA=", "AAAA".repeat(394))
}

fn described(id: Uuid) -> Value {
    json!({
        "instance_id": id,
        "chutes": [{"chute_id": CHUTE, "model": MODEL}],
        "e2e_pubkey": key(1),
        "confidential_compute": true,
        "supported_features": ["json_mode", "tools"],
        "later": {"unknown": true},
    })
}

fn blob(body: impl Into<bytes::Bytes>) -> Response<Body> {
    typed("application/octet-stream", full(body))
}

fn typed(media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

impl Fake {
    async fn start(id: Uuid) -> (Arc<Self>, Server) {
        let fake = Arc::new(Self {
            description: Mutex::new(Some(described(id))),
            looks: AtomicUsize::new(0),
            invoked: Mutex::new(Box::new(|_, _| blob("sealed answer"))),
            seen: Mutex::default(),
            begun: Notify::new(),
            cut: Notify::new(),
            evidence: Mutex::default(),
        });
        let state = Arc::clone(&fake);
        let server = server(move |request| Arc::clone(&state).answer(request)).await;
        (fake, server)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            DESCRIPTION_PATH => {
                self.looks.fetch_add(1, Ordering::Relaxed);
                match &*self.description.lock().expect("no panic") {
                    Some(description) => json_reply(description),
                    None => detail(StatusCode::NOT_FOUND, "not here"),
                }
            }
            INSTANCE_EVIDENCE_PATH => {
                let query = request.uri().query().unwrap_or("").to_owned();
                match &*self.evidence.lock().expect("no panic") {
                    Some(evidence) => {
                        let text = evidence.replace("QUERY", &query);
                        json(StatusCode::OK, text.into_bytes())
                    }
                    None => detail(StatusCode::NOT_FOUND, "no evidence"),
                }
            }
            INSTANCE_INVOKE_PATH => {
                let (parts, mut body) = request.into_parts();
                self.begun.notify_one();
                let mut reading = Reading(Some(&self.cut));
                let Ok(body) = read_all(&mut body, 1 << 24, common::IDLE).await else {
                    return detail(StatusCode::BAD_REQUEST, "the request broke off");
                };
                reading.0 = None;
                let body = body.to_vec();
                let answer = self.invoked.lock().expect("no panic")(&parts.headers, &body);
                self.seen
                    .lock()
                    .expect("no panic")
                    .push((parts.headers, body));
                answer
            }
            _ => detail(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn on_invoke(
        &self,
        answer: impl Fn(&HeaderMap, &[u8]) -> Response<Body> + Send + Sync + 'static,
    ) {
        *self.invoked.lock().expect("no panic") = Box::new(answer);
    }

    fn describe(&self, description: Option<Value>) {
        *self.description.lock().expect("no panic") = description;
    }

    fn invocations(&self) -> usize {
        self.seen.lock().expect("no panic").len()
    }
}

fn json_reply(value: &Value) -> Response<Body> {
    json(StatusCode::OK, value.to_string().into_bytes())
}

/// One instance and a relay that speaks chutes-v1 only.
struct Rig {
    fake: Arc<Fake>,
    id: Uuid,
    server: Server,
    relay: Relay,
    base: BaseUrl,
}

async fn rig() -> Rig {
    rig_with(|_| {}).await
}

async fn rig_with(change: impl FnOnce(&mut RelayConfig)) -> Rig {
    let id = Uuid::from_u128(0x0b2c_1a5e_0000_4000_8000_0000_0000_0010);
    let (fake, server) = Fake::start(id).await;
    let mut config = RelayConfig::new(vec![url(server.address())]);
    config.profiles = vec![Profile::ChutesV1];
    config.limits.poll_interval = Duration::from_millis(50);
    config.limits.retry_interval = Duration::from_millis(50);
    change(&mut config);
    let keyed = !config.api_keys.is_empty();
    let relay = relay(config).await;
    let base = url(relay.address());
    if !keyed {
        common::found(&base).await;
    }
    Rig {
        fake,
        id,
        server,
        relay,
        base,
    }
}

/// Polls until a condition holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

async fn discover(base: &BaseUrl) -> Value {
    let (status, answer) = get(base, &format!("/e2e/instances/{CHUTE}")).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

impl Rig {
    async fn nonce(&self) -> String {
        let answer = discover(&self.base).await;
        let nonce = &answer["instances"][0]["nonces"][0];
        nonce.as_str().expect("a nonce").to_owned()
    }

    fn headers(&self, nonce: &str, stream: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("x-chute-id", CHUTE),
            ("x-instance-id", &self.id.to_string()),
            ("x-e2e-nonce", nonce),
            ("x-e2e-stream", if stream { "true" } else { "false" }),
            ("x-e2e-path", "/v1/chat/completions"),
        ] {
            let name: HeaderName = name.parse().expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        headers
    }

    async fn post(&self, headers: HeaderMap, body: Body) -> Response<Incoming> {
        common::send(Method::POST, &self.base, INVOKE_PATH, headers, body).await
    }

    /// Invokes with a fresh nonce.
    async fn invoke(&self, stream: bool, body: &'static str) -> Response<Incoming> {
        let nonce = self.nonce().await;
        self.post(self.headers(&nonce, stream), full(body)).await
    }

    async fn row(&self, requests: u64) -> Value {
        common::usage(&self.base, requests).await
    }
}

async fn refused(response: Response<Incoming>, status: u16, what: &str) {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let (seen, body) = whole(response).await;
    assert_eq!((seen.as_u16(), &body), (status, &json!({"detail": what})));
}

async fn body_text(response: Response<Incoming>) -> String {
    let mut body = response.into_body();
    let body = read_all(&mut body, 1 << 24, common::IDLE).await;
    String::from_utf8(body.expect("whole").to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn models_and_aliases_have_the_platforms_shape() {
    let rig = rig_with(|config| {
        config.aliases = vec![
            format!("fast={CHUTE}").parse().expect("an alias"),
            format!("both={CHUTE}").parse().expect("an alias"),
            format!("both={OTHER_CHUTE}").parse().expect("an alias"),
        ];
    })
    .await;
    let (_, models) = get(&rig.base, "/v1/models").await;
    assert_eq!(
        models,
        json!({"object": "list", "data": [{
            "id": MODEL, "object": "model", "created": 0, "owned_by": "sealwire", "root": MODEL,
            "chute_id": CHUTE, "confidential_compute": true, "supported_features": ["json_mode", "tools"],
        }]})
    );
    let (status, aliases) = get(&rig.base, "/model_aliases/").await;
    assert_eq!(status, 200);
    assert_eq!(
        aliases,
        json!([
            {"alias": "both", "chute_ids": [CHUTE, OTHER_CHUTE]},
            {"alias": "fast", "chute_ids": [CHUTE]},
        ])
    );
}

#[tokio::test]
async fn a_model_is_as_confidential_and_able_as_the_least_of_its_instances() {
    let (first, first_server) = Fake::start(Uuid::from_u128(1)).await;
    let (second, second_server) = Fake::start(Uuid::from_u128(2)).await;
    let mut weaker = described(Uuid::from_u128(2));
    weaker["confidential_compute"] = false.into();
    weaker["supported_features"] = json!(["tools", "vision"]);
    second.describe(Some(weaker));
    let mut config = RelayConfig::new(vec![
        url(first_server.address()),
        url(second_server.address()),
    ]);
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let base = url(relay.address());
    until("both are seen", async || {
        first.looks.load(Ordering::Relaxed) > 0
            && get(&base, "/v1/models").await.1["data"][0]["confidential_compute"] == false
    })
    .await;
    let (_, models) = get(&base, "/v1/models").await;
    assert_eq!(models["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(models["data"][0]["supported_features"], json!(["tools"]));
}

#[tokio::test]
async fn a_chute_is_confidential_only_if_all_its_instances_are_whatever_they_call_it() {
    let (_first, first_server) = Fake::start(Uuid::from_u128(1)).await;
    let (second, second_server) = Fake::start(Uuid::from_u128(2)).await;
    let mut weaker = described(Uuid::from_u128(2));
    weaker["confidential_compute"] = false.into();
    weaker["chutes"] = json!([{"chute_id": CHUTE, "model": "another/name"}]);
    second.describe(Some(weaker));
    let mut config = RelayConfig::new(vec![
        url(first_server.address()),
        url(second_server.address()),
    ]);
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let base = url(relay.address());
    until("both are seen", async || {
        get(&base, "/v1/models").await.1["data"]
            .as_array()
            .map(Vec::len)
            == Some(2)
    })
    .await;
    let (_, models) = get(&base, "/v1/models").await;
    let confidential = |index: usize| &models["data"][index]["confidential_compute"];
    assert_eq!(
        (confidential(0), confidential(1)),
        (&false.into(), &false.into()),
        "{models}"
    );
}

#[tokio::test]
async fn discovery_gives_keys_and_ten_nonces_for_each_of_at_most_five_instances() {
    let mut servers = Vec::new();
    for number in 0..7 {
        servers.push(Fake::start(Uuid::from_u128(number)).await);
    }
    let urls = servers.iter().map(|(_, server)| url(server.address()));
    let mut config = RelayConfig::new(urls.collect());
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let base = url(relay.address());
    until("five are up", async || {
        let (_, answer) = get(&base, &format!("/e2e/instances/{CHUTE}")).await;
        answer["instances"].as_array().map(Vec::len) == Some(5)
    })
    .await;
    let answer = discover(&base).await;
    assert_eq!(answer["nonce_expires_in"], 60);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let expires = answer["nonce_expires_at"].as_u64().expect("a time");
    assert!(expires.abs_diff(now + 60) < 30);
    let mut nonces = std::collections::HashSet::new();
    for instance in answer["instances"].as_array().expect("a list") {
        let instance = instance.as_object().expect("an object");
        assert_eq!(instance.len(), 3);
        assert_eq!(instance["e2e_pubkey"], key(1));
        let ten = instance["nonces"].as_array().expect("a list");
        assert_eq!(ten.len(), 10);
        for nonce in ten {
            let nonce = nonce.as_str().expect("text");
            assert_eq!(nonce.len(), 32);
            assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(nonces.insert(nonce.to_owned()));
        }
    }
    // Every instance has its turn.
    let mut seen = std::collections::HashSet::new();
    for _ in 0..7 {
        let answer = discover(&base).await;
        for instance in answer["instances"].as_array().expect("a list") {
            seen.insert(instance["instance_id"].to_string());
        }
    }
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn of_two_instances_with_one_id_the_first_that_is_up_is_used() {
    let id = Uuid::from_u128(0x0b2c_1a5e_0000_4000_8000_0000_0000_0010);
    let (second, second_server) = Fake::start(id).await;
    let mut other_key = described(id);
    other_key["e2e_pubkey"] = key(2).into();
    second.describe(Some(other_key));
    let address = second_server.address();
    let rig = rig_with(move |config| config.instances.push(url(address))).await;
    until("both are seen", async || {
        second.looks.load(Ordering::Relaxed) > 1 && rig.fake.looks.load(Ordering::Relaxed) > 1
    })
    .await;
    for _ in 0..4 {
        let answer = discover(&rig.base).await;
        let listed = answer["instances"].as_array().expect("a list");
        assert_eq!(listed.len(), 1, "{answer}");
        assert_eq!(listed[0]["e2e_pubkey"], key(1));
        assert_eq!(rig.invoke(false, "blob").await.status(), 200);
    }
    assert_eq!((rig.fake.invocations(), second.invocations()), (4, 0));
    // It takes over when the first one goes.
    rig.fake.describe(None);
    until("the second one is offered", async || {
        let (_, answer) = get(&rig.base, &format!("/e2e/instances/{CHUTE}")).await;
        answer["instances"][0]["e2e_pubkey"] == key(2)
    })
    .await;
    assert_eq!(rig.invoke(false, "blob").await.status(), 200);
    assert_eq!((rig.fake.invocations(), second.invocations()), (4, 1));
}

#[tokio::test]
async fn the_operator_is_told_of_two_instances_with_one_id() {
    let id = Uuid::from_u128(1);
    let (_first, first_server) = Fake::start(id).await;
    let (_second, second_server) = Fake::start(id).await;
    let [first, second] = [&first_server, &second_server].map(|server| url(server.address()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealwire"))
        .args(["relay", "--profile", "chutes-v1"])
        .args(["--instance", &first.to_string()])
        .args(["--instance", &second.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let told = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        log.read_line(&mut line).map(|_| line)
    });
    let line = timeout(common::IDLE, told).await;
    child.kill().expect("running");
    child.wait().expect("killed");
    let line = line.expect("told").expect("no panic").expect("text");
    let expected = format!("sealwire: {second} has the instance_id of {first}, {id}: ");
    assert!(line.starts_with(&expected), "{line}");
}

#[tokio::test]
async fn discovery_says_what_is_missing() {
    let rig = rig().await;
    let ask = async |chute: &str| {
        let (status, body) = get(&rig.base, &format!("/e2e/instances/{chute}")).await;
        (
            status.as_u16(),
            body["detail"].as_str().unwrap_or("").to_owned(),
        )
    };
    for unknown in [OTHER_CHUTE, "demo", "", "e51e818efa63570d9f6849d7d1b4d12f"] {
        assert_eq!(
            ask(unknown).await,
            (404, "Chute not found".to_owned()),
            "{unknown}"
        );
    }
    // Up, but with no key, or with one that is none.
    for key in [Value::Null, "AAAA".into(), key(1).replace('=', "").into()] {
        let mut without = described(rig.id);
        without["e2e_pubkey"] = key;
        rig.fake.describe(Some(without));
        until("the key is gone", async || {
            ask(CHUTE).await == (404, "No E2E-capable instances available".to_owned())
        })
        .await;
        rig.fake.describe(Some(described(rig.id)));
        until("the key is back", async || ask(CHUTE).await.0 == 200).await;
    }
    rig.fake.describe(None);
    until("the instance is away", async || {
        ask(CHUTE).await == (404, "No active instances found for this chute".to_owned())
    })
    .await;
    // It stays in the model list.
    let (_, models) = get(&rig.base, "/v1/models").await;
    assert_eq!(models["data"][0]["chute_id"], CHUTE);
}

#[tokio::test]
async fn a_blob_goes_through_as_it_is_with_what_the_instance_needs_and_no_more() {
    let rig = rig().await;
    rig.fake.on_invoke(|_, _| {
        let mut response = blob("sealed answer");
        let headers = response.headers_mut();
        headers.insert("x-e2e-usage", HeaderValue::from_static(USAGE));
        headers.insert("x-inner", HeaderValue::from_static("secret"));
        response
    });
    let nonce = rig.nonce().await;
    let mut headers = rig.headers(&nonce, false);
    headers.insert("authorization", "Bearer cpk_secret".parse().expect("ASCII"));
    headers.insert("x-custom", "secret".parse().expect("ASCII"));
    let response = rig.post(headers, full("not even a blob")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/octet-stream");
    for stripped in ["x-e2e-usage", "x-inner"] {
        assert!(!response.headers().contains_key(stripped));
    }
    assert_eq!(body_text(response).await, "sealed answer");
    {
        let seen = rig.fake.seen.lock().expect("no panic");
        let (headers, body) = &seen[0];
        assert_eq!(body, b"not even a blob");
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("x-chute-id", CHUTE),
            ("x-e2e-stream", "false"),
            ("x-e2e-path", "/v1/chat/completions"),
        ] {
            assert_eq!(headers[name], value);
        }
        for absent in ["authorization", "x-custom", "x-e2e-nonce", "x-instance-id"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }
    }
    let row = rig.row(1).await;
    assert_eq!(
        (&row["tokens_in"], &row["tokens_out"], &row["tokens_cached"]),
        (&7.into(), &3.into(), &2.into())
    );
    assert_eq!(
        (&row["label"], &row["unsigned"]),
        (&MODEL.into(), &1.into())
    );
    assert_eq!(
        (&row["bytes_up"], &row["bytes_down"]),
        (&15.into(), &13.into())
    );
}

const EVENTS: &str = "data: {\"e2e_init\":\"AAAA\"}\n\n\
    data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n\
    data: {\"e2e\":\"BBBB\"}\n\n\
    data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n\
    data: {\"e2e\":\"CCCC\"}\n\n";

#[tokio::test]
async fn usage_events_are_metered_and_left_out_unless_asked_for() {
    let rig = rig().await;
    rig.fake
        .on_invoke(|_, _| typed("text/event-stream", full(EVENTS)));
    let without =
        "data: {\"e2e_init\":\"AAAA\"}\n\ndata: {\"e2e\":\"BBBB\"}\n\ndata: {\"e2e\":\"CCCC\"}\n\n";
    for (number, (asked, expected)) in [
        (None, without),
        (Some("false"), without),
        (Some("true"), EVENTS),
        (Some("True"), EVENTS),
    ]
    .into_iter()
    .enumerate()
    {
        let nonce = rig.nonce().await;
        let mut headers = rig.headers(&nonce, true);
        if let Some(asked) = asked {
            headers.insert("x-e2ee-usage-passthrough", asked.parse().expect("ASCII"));
        }
        let response = rig.post(headers, full("blob")).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        assert_eq!(body_text(response).await, expected);
        let requests = u64::try_from(number).expect("small") + 1;
        let row = rig.row(requests).await;
        // The last word counts, once for each stream.
        assert_eq!(row["tokens_in"], 7 * requests);
        assert_eq!(row["tokens_out"], 2 * requests);
    }
}

/// A streamed answer that the test writes itself.
fn by_hand(rig: &Rig) -> (Arc<Mutex<Option<BodySender>>>, Arc<Notify>) {
    let sender = Arc::new(Mutex::new(None));
    let invoked = Arc::new(Notify::new());
    let (slot, notify) = (Arc::clone(&sender), Arc::clone(&invoked));
    rig.fake.on_invoke(move |_, _| {
        let (to_relay, body) = channel(1);
        *slot.lock().expect("no panic") = Some(to_relay);
        notify.notify_one();
        typed("text/event-stream", body)
    });
    (sender, invoked)
}

fn taken(slot: &Mutex<Option<BodySender>>) -> BodySender {
    slot.lock().expect("no panic").take().expect("invoked")
}

#[tokio::test]
async fn a_request_goes_on_as_it_comes_and_unchanged() {
    // An instance that tells of each piece of a request.
    let (pieces, mut came) = tokio::sync::mpsc::unbounded_channel();
    let id = Uuid::from_u128(1);
    let instance = server(move |request: Request<Incoming>| {
        let pieces = pieces.clone();
        async move {
            if request.uri().path() == DESCRIPTION_PATH {
                return json_reply(&described(id));
            }
            let mut body = request.into_body();
            while let Ok(Some(piece)) = next_data(&mut body, common::IDLE).await {
                let _ = pieces.send(piece);
            }
            blob("sealed answer")
        }
    })
    .await;
    let address = instance.address();
    let mut rig = rig_with(move |config| config.instances = vec![url(address)]).await;
    rig.id = id;
    let nonce = rig.nonce().await;
    let (sender, body) = channel(1);
    let headers = rig.headers(&nonce, false);
    let base = rig.base.clone();
    let answer =
        tokio::spawn(
            async move { common::send(Method::POST, &base, INVOKE_PATH, headers, body).await },
        );
    // Each piece arrives while the next is not even there.
    for piece in ["one piece", "and another", "and the last"] {
        sender.send(piece).await.expect("open");
        let mut got = Vec::new();
        while got.len() < piece.len() {
            let more = timeout(common::IDLE, came.recv()).await.expect("forwarded");
            got.extend_from_slice(&more.expect("open"));
        }
        assert_eq!(got, piece.as_bytes());
    }
    sender.finish().await.expect("open");
    assert_eq!(answer.await.expect("no panic").status(), 200);
}

#[tokio::test]
async fn a_line_goes_on_when_it_is_whole_not_when_the_answer_is() {
    let rig = rig().await;
    let (slot, _) = by_hand(&rig);
    let response = rig.invoke(true, "blob").await;
    let sender = taken(&slot);
    let mut body = response.into_body();
    for line in [
        "data: {\"e2e_init\":\"AAAA\"}\n\n",
        "data: {\"e2e\":\"BBBB\"}\n\n",
    ] {
        sender.send(line).await.expect("open");
        let mut got = Vec::new();
        while got.len() < line.len() {
            let piece = next_data(&mut body, common::IDLE).await.expect("open");
            got.extend_from_slice(&piece.expect("more"));
        }
        assert_eq!(got, line.as_bytes());
    }
    sender.finish().await.expect("open");
    assert_eq!(next_data(&mut body, common::IDLE).await, Ok(None));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_billed_once_and_does_not_look_whole() {
    let rig = rig().await;
    let (slot, _) = by_hand(&rig);
    let response = rig.invoke(true, "blob").await;
    let sender = taken(&slot);
    sender
        .send("data: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\ndata: {\"e2e\":\"BB")
        .await
        .expect("open");
    sender.abort().await;
    let mut body = response.into_body();
    let end = loop {
        match next_data(&mut body, common::IDLE).await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(ReadError::Broken(_))), "{end:?}");
    let row = rig.row(1).await;
    assert_eq!(
        (&row["requests"], &row["tokens_in"]),
        (&1.into(), &7.into())
    );
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_at_the_instance() {
    let rig = rig().await;
    // Within an answer.
    let (slot, _) = by_hand(&rig);
    let response = rig.invoke(true, "blob").await;
    let sender = taken(&slot);
    sender
        .send("data: {\"usage\":{\"prompt_tokens\":5}}\n\ndata: {\"e2e_init\":\"AAAA\"}\n\n")
        .await
        .expect("open");
    let mut body = response.into_body();
    next_data(&mut body, common::IDLE).await.expect("a line");
    drop(body);
    timeout(common::IDLE, sender.closed())
        .await
        .expect("cancelled");
    let row = rig.row(1).await;
    assert_eq!(row["tokens_in"], 5);

    // Before an answer's head: an instance that never answers.
    let stuck = TcpListener::bind(common::LOOPBACK)
        .await
        .expect("a free port");
    let behind = url(stuck.local_addr().expect("bound"));
    let target = url(rig.server.address());
    let front = server(move |request: Request<Incoming>| {
        let (target, behind) = (target.clone(), behind.clone());
        async move {
            let to = if request.uri().path() == INSTANCE_INVOKE_PATH {
                behind
            } else {
                target
            };
            pass(forward(&to, request).await).await
        }
    })
    .await;
    let mut config = RelayConfig::new(vec![url(front.address())]);
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let base = url(relay.address());
    common::found(&base).await;
    let answer = discover(&base).await;
    let nonce = answer["instances"][0]["nonces"][0].as_str().expect("text");
    let headers = rig.headers(nonce, false);
    let asking = tokio::spawn(async move {
        common::send(Method::POST, &base, INVOKE_PATH, headers, full("blob")).await
    });
    let (mut connection, _) = timeout(common::IDLE, stuck.accept())
        .await
        .expect("asked")
        .expect("a connection");
    asking.abort();
    let gone = async {
        let mut buffer = [0; 1_024];
        while matches!(connection.read(&mut buffer).await, Ok(n) if n > 0) {}
    };
    timeout(common::IDLE, gone).await.expect("cancelled");
}

#[tokio::test]
async fn header_fields_are_checked_before_the_nonce_is_spent() {
    let rig = rig().await;
    let nonce = rig.nonce().await;
    let with = |name: &'static str, value: Option<&str>| {
        let mut headers = rig.headers(&nonce, false);
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value.parse().expect("a value"));
        }
        headers
    };
    let mut cases = vec![
        ("x-e2e-stream", with("x-e2e-stream", Some("True"))),
        ("x-e2e-stream", with("x-e2e-stream", Some("1"))),
        ("x-chute-id", with("x-chute-id", Some(MODEL))),
        ("x-instance-id", with("x-instance-id", Some("0"))),
        ("x-e2e-path", with("x-e2e-path", Some("v1/models"))),
        ("x-e2e-path", with("x-e2e-path", Some("/v1/models?a"))),
        ("x-e2e-path", with("x-e2e-path", Some("/v1/ models"))),
    ];
    for name in [
        "x-chute-id",
        "x-instance-id",
        "x-e2e-nonce",
        "x-e2e-stream",
        "x-e2e-path",
    ] {
        cases.push((name, with(name, None)));
        let mut twice = rig.headers(&nonce, false);
        let value = twice[name].clone();
        twice.append(name, value);
        cases.push((name, twice));
    }
    for (name, headers) in cases {
        let (status, body) = whole(rig.post(headers, full("blob")).await).await;
        assert_eq!(status, 422, "{body}");
        let faults = body["detail"].as_array().expect("a list");
        assert_eq!(faults.len(), 1, "{body}");
        assert_eq!(faults[0]["loc"], json!(["header", name]));
    }
    assert_eq!(rig.fake.invocations(), 0);
    let response = rig.post(rig.headers(&nonce, false), full("blob")).await;
    assert_eq!(response.status(), 200);
}

const BAD_NONCE: &str = "Invalid, expired, or already-used nonce";

#[tokio::test]
async fn a_nonce_serves_once() {
    let rig = rig().await;
    let nonce = rig.nonce().await;
    let first = rig.post(rig.headers(&nonce, false), full("blob")).await;
    assert_eq!(first.status(), 200);
    for wrong in [
        nonce.as_str(),
        "",
        "short",
        &"a".repeat(32),
        &"a".repeat(4_000),
    ] {
        let again = rig.post(rig.headers(wrong, false), full("blob")).await;
        refused(again, 403, BAD_NONCE).await;
    }
    assert_eq!(rig.fake.invocations(), 1);
}

#[tokio::test]
async fn of_many_who_spend_a_nonce_at_the_same_time_one_is_served() {
    let rig = rig().await;
    for round in 1..=5 {
        let nonce = rig.nonce().await;
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (base, headers) = (rig.base.clone(), rig.headers(&nonce, false));
            asking.spawn(async move {
                let answer =
                    common::send(Method::POST, &base, INVOKE_PATH, headers, full("blob")).await;
                answer.status().as_u16()
            });
        }
        let mut statuses = asking.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403, 403, 403, 403, 403, 403, 403]);
        assert_eq!(rig.fake.invocations(), round);
    }
}

#[tokio::test]
async fn a_nonce_is_good_for_its_chute_and_its_instance_only() {
    let id = Uuid::from_u128(0x0b2c_1a5e_0000_4000_8000_0000_0000_0011);
    let (second, second_server) = Fake::start(id).await;
    let mut two = described(id);
    two["chutes"] = json!([
        {"chute_id": CHUTE, "model": MODEL},
        {"chute_id": OTHER_CHUTE, "model": "other"},
    ]);
    second.describe(Some(two));
    let address = second_server.address();
    let rig = rig_with(move |config| config.instances.push(url(address))).await;
    until("both are up", async || {
        discover(&rig.base).await["instances"]
            .as_array()
            .map(Vec::len)
            == Some(2)
    })
    .await;
    let answer = discover(&rig.base).await;
    let of = |id: Uuid| {
        let instances = answer["instances"].as_array().expect("a list");
        let instance = instances
            .iter()
            .find(|instance| instance["instance_id"] == id.to_string());
        let nonce = &instance.expect("listed")["nonces"][0];
        nonce.as_str().expect("text").to_owned()
    };
    // The first instance's nonce at the second one, and the second one's under its other chute.
    let mut wrong_instance = rig.headers(&of(rig.id), false);
    wrong_instance.insert("x-instance-id", id.to_string().parse().expect("ASCII"));
    let mut wrong_chute = rig.headers(&of(id), false);
    wrong_chute.insert("x-instance-id", id.to_string().parse().expect("ASCII"));
    wrong_chute.insert("x-chute-id", OTHER_CHUTE.parse().expect("ASCII"));
    for headers in [wrong_instance, wrong_chute.clone()] {
        refused(rig.post(headers, full("blob")).await, 403, BAD_NONCE).await;
    }
    assert_eq!((rig.fake.invocations(), second.invocations()), (0, 0));
    wrong_chute.insert("x-chute-id", CHUTE.parse().expect("ASCII"));
    assert_eq!(rig.post(wrong_chute, full("blob")).await.status(), 200);
    assert_eq!((rig.fake.invocations(), second.invocations()), (0, 1));
}

#[tokio::test]
async fn a_nonce_is_good_for_its_user_only_and_a_key_comes_first() {
    let rig =
        rig_with(|config| config.api_keys = vec!["alpha".to_owned(), "beta".to_owned()]).await;
    let keyed = |key: &str, mut headers: HeaderMap| {
        let value = format!("Bearer {key}");
        headers.insert("authorization", value.parse().expect("ASCII"));
        headers
    };
    let ask = async |key: &str, path: &str| {
        let headers = keyed(key, HeaderMap::new());
        whole(common::send(Method::GET, &rig.base, path, headers, empty()).await).await
    };
    let instances = format!("/e2e/instances/{CHUTE}");
    until("the instance is seen", async || {
        ask("alpha", &instances).await.0 == 200
    })
    .await;
    let evidence = format!("/chutes/{CHUTE}/evidence?nonce={}", "0".repeat(64));
    for path in [
        "/v1/models",
        "/model_aliases/",
        &instances,
        &evidence,
        "/usage",
        "/nothing",
    ] {
        for headers in [HeaderMap::new(), keyed("gamma", HeaderMap::new())] {
            let response = common::send(Method::GET, &rig.base, path, headers, empty()).await;
            let (status, body) = whole(response).await;
            assert_eq!(status, 401, "{path}");
            assert!(body["detail"].is_string(), "{body}");
        }
    }
    // Before the fields, which are all missing here.
    let response = rig.post(HeaderMap::new(), full("blob")).await;
    assert_eq!(response.status(), 401);
    let (_, answer) = ask("alpha", &instances).await;
    let nonce = answer["instances"][0]["nonces"][0].as_str().expect("text");
    let headers = rig.headers(nonce, false);
    let stolen = rig.post(keyed("beta", headers.clone()), full("blob")).await;
    refused(stolen, 403, BAD_NONCE).await;
    assert_eq!(rig.fake.invocations(), 0);
    // It still serves its owner, who pays.
    let response = rig.post(keyed("alpha", headers), full("blob")).await;
    assert_eq!(response.status(), 200);
    body_text(response).await;
    until("it is metered", async || {
        ask("alpha", "/usage").await.1["usage"][0]["requests"] == 1
    })
    .await;
    assert_eq!(ask("beta", "/usage").await.1["usage"], json!([]));
}

#[tokio::test]
async fn an_expired_nonce_is_refused() {
    let rig = rig_with(|config| config.limits.chutes.nonce_store = Duration::ZERO).await;
    refused(rig.invoke(false, "blob").await, 403, BAD_NONCE).await;
    assert_eq!(rig.fake.invocations(), 0);
}

#[tokio::test]
async fn a_nonce_is_spent_by_whatever_comes_after_it() {
    let rig = rig().await;
    let nonce = rig.nonce().await;
    let empty_body = rig.post(rig.headers(&nonce, false), empty()).await;
    refused(empty_body, 400, "Empty request body").await;
    let again = rig.post(rig.headers(&nonce, false), full("blob")).await;
    refused(again, 403, BAD_NONCE).await;
    assert_eq!(rig.fake.invocations(), 0);
}

#[tokio::test]
async fn an_instance_that_changed_since_discovery_is_refused_before_the_body_is_read() {
    let rig = rig().await;
    let mut other_chute = described(rig.id);
    other_chute["chutes"] = json!([{"chute_id": OTHER_CHUTE, "model": "other"}]);
    let restarted = described(Uuid::from_u128(77));
    for (description, status, what) in [
        (None, 410, "Instance is not active any more"),
        (Some(restarted), 404, "Instance not found"),
        (Some(other_chute), 400, "Instance does not serve this chute"),
    ] {
        let nonce = rig.nonce().await;
        rig.fake.describe(description);
        let looks = rig.fake.looks.load(Ordering::Relaxed);
        until("the relay has looked again", async || {
            rig.fake.looks.load(Ordering::Relaxed) > looks + 1
        })
        .await;
        // An empty body would be refused later.
        refused(
            rig.post(rig.headers(&nonce, false), empty()).await,
            status,
            what,
        )
        .await;
        rig.fake.describe(Some(described(rig.id)));
        until("the instance is back", async || {
            let (_, answer) = get(&rig.base, &format!("/e2e/instances/{CHUTE}")).await;
            answer["instances"][0]["instance_id"] == rig.id.to_string()
        })
        .await;
    }
    assert_eq!(rig.fake.invocations(), 0);
}

const CAPACITY: &str = "Instance is at maximum capacity, try again later";

#[tokio::test]
async fn a_relay_without_a_free_place_says_so_after_it_has_seen_a_body() {
    let rig = rig_with(|config| config.limits.streams = 1).await;
    let (slot, _) = by_hand(&rig);
    let first = rig.invoke(true, "blob").await;
    refused(rig.invoke(false, "").await, 400, "Empty request body").await;
    refused(rig.invoke(false, "blob").await, 429, CAPACITY).await;
    assert_eq!(rig.fake.invocations(), 1);
    taken(&slot).finish().await.expect("open");
    body_text(first).await;
    rig.fake.on_invoke(|_, _| blob("sealed answer"));
    until("the place is free again", async || {
        rig.invoke(false, "blob").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn what_an_instance_says_becomes_what_a_relay_says() {
    let rig = rig().await;
    for (said, detail_said, status, expected) in [
        (
            400,
            "the blob cannot be opened",
            400,
            "the blob cannot be opened",
        ),
        (400, "line\nbreak", 400, "The instance refused the request"),
        (409, "x", 409, "This request was sent before"),
        (
            413,
            "x",
            413,
            "The instance does not take requests of this size",
        ),
        (
            426,
            "x",
            502,
            "The instance's key has changed, discover it again",
        ),
        (503, "x", 429, CAPACITY),
        (500, "secret", 502, "Instance failed"),
        (404, "secret", 502, "Instance failed"),
        (401, "secret", 502, "Instance failed"),
        (302, "secret", 502, "Instance failed"),
        (206, "secret", 502, "Instance failed"),
    ] {
        let said = StatusCode::from_u16(said).expect("a status");
        rig.fake.on_invoke(move |_, _| detail(said, detail_said));
        refused(rig.invoke(false, "blob").await, status, expected).await;
    }
    rig.fake.on_invoke(|_, _| {
        let mut response = typed("text/html", full("<html>400</html>"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    });
    let response = rig.invoke(false, "blob").await;
    refused(response, 400, "The instance refused the request").await;
    // Nothing of this is billed.
    let (_, usage) = get(&rig.base, "/usage").await;
    assert_eq!(usage, json!({"usage": []}));
}

#[tokio::test]
async fn when_to_try_again_goes_to_the_client_where_it_makes_sense() {
    let rig = rig().await;
    for (said, expected) in [("7", Some("7")), ("soon", None)] {
        rig.fake.on_invoke(move |_, _| {
            let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, "full");
            let value = HeaderValue::from_static(said);
            response.headers_mut().insert("retry-after", value);
            response
        });
        let response = rig.invoke(false, "blob").await;
        let passed = response.headers().get("retry-after").cloned();
        let passed = passed.as_ref().map(|value| value.to_str().expect("ASCII"));
        assert_eq!(passed, expected, "{said}");
        refused(response, 429, CAPACITY).await;
    }
}

#[tokio::test]
async fn a_changed_key_makes_the_relay_look_at_once() {
    let rig = rig_with(|config| config.limits.poll_interval = Duration::from_secs(3_600)).await;
    let mut rotated = described(rig.id);
    rotated["e2e_pubkey"] = key(2).into();
    rig.fake.describe(Some(rotated));
    rig.fake
        .on_invoke(|_, _| detail(StatusCode::UPGRADE_REQUIRED, "the key is gone"));
    assert_eq!(rig.invoke(false, "blob").await.status(), 502);
    until("discovery has the new key", async || {
        discover(&rig.base).await["instances"][0]["e2e_pubkey"] == key(2)
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_none_of_the_protocol_does_not_pass() {
    let rig = rig().await;
    for media_type in ["text/html", "application/json", "application/octet-streams"] {
        rig.fake
            .on_invoke(move |_, _| typed(media_type, full("<html>injected</html>")));
        refused(
            rig.invoke(true, "blob").await,
            502,
            "Instance answered with something that is not of this protocol",
        )
        .await;
    }
    rig.fake.on_invoke(|_, _| Response::new(full("no type")));
    assert_eq!(rig.invoke(false, "blob").await.status(), 502);
}

#[tokio::test]
async fn a_line_that_does_not_end_ends_the_answer() {
    let rig = rig_with(|config| config.limits.chutes.line_bytes = 1_000).await;
    rig.fake.on_invoke(|_, _| {
        let (sender, body) = channel(1);
        tokio::spawn(async move {
            let _ = sender.send("data: {\"e2e_init\":\"AAAA\"}\n\n").await;
            while sender.send("x".repeat(500)).await.is_ok() {}
        });
        typed("text/event-stream", body)
    });
    let mut body = rig.invoke(true, "blob").await.into_body();
    let error = loop {
        match next_data(&mut body, common::IDLE).await {
            Ok(Some(data)) => assert!(!data.contains(&b'x')),
            Ok(None) => panic!("it looks whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Broken(_)), "{error:?}");
}

/// An instance that describes itself properly and answers sealed requests with these bytes, then closes.
async fn raw_instance(id: Uuid, answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind(common::LOOPBACK).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let description = described(id).to_string();
    let length = description.len();
    let description = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{description}"
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut buffer = [0; 4_096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let bytes = if head.starts_with(b"GET") {
                description.as_bytes()
            } else {
                answer
            };
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            // What is still unread would reset the connection.
            let _ = timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
        }
    });
    address
}

#[tokio::test]
async fn an_instance_that_closes_early_or_sends_garbage_is_502_or_an_answer_that_breaks_off() {
    let id = Uuid::from_u128(0x0b2c_1a5e_0000_4000_8000_0000_0000_0010);
    let unreachable = json!({"detail": "Instance is not reachable, try another one"});
    for (bytes, begins) in [
        (&b""[..], false),
        (b"SSH-2.0-OpenSSH_9.9\r\n", false),
        (b"HTTP/1.1 200 OK\r\ncontent-ty", false),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 100\r\n\r\nhalf",
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:",
            true,
        ),
    ] {
        let address = raw_instance(id, bytes).await;
        let rig = rig_with(move |config| config.instances = vec![url(address)]).await;
        let response = rig.invoke(true, "blob").await;
        if begins {
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let broken = read_all(&mut body, 1 << 20, common::IDLE).await;
            assert!(matches!(broken, Err(ReadError::Broken(_))), "{broken:?}");
        } else {
            let (status, body) = whole(response).await;
            assert_eq!((status.as_u16(), body), (502, unreachable.clone()));
        }
    }
}

#[tokio::test]
async fn an_instance_that_is_gone_is_502_and_then_not_offered() {
    let rig = rig_with(|config| {
        config.limits.poll_interval = Duration::from_secs(3_600);
        config.limits.retry_interval = Duration::from_secs(3_600);
    })
    .await;
    let answer = discover(&rig.base).await;
    let nonces = answer["instances"][0]["nonces"].as_array().expect("a list");
    let [first, second] =
        [0, 1].map(|index| rig.headers(nonces[index].as_str().expect("text"), false));
    rig.server.shut_down(Duration::ZERO).await;
    for (headers, status, what) in [
        (first, 502, "Instance is not reachable, try another one"),
        (second, 410, "Instance is not active any more"),
    ] {
        let response =
            common::send(Method::POST, &rig.base, INVOKE_PATH, headers, full("blob")).await;
        refused(response, status, what).await;
    }
    let (_, answer) = get(&rig.base, &format!("/e2e/instances/{CHUTE}")).await;
    assert_eq!(answer["detail"], "No active instances found for this chute");
    drop(rig.relay);
}

#[tokio::test]
async fn too_much_is_said_at_once() {
    let rig = rig_with(|config| config.limits.request_bytes = 1_000).await;
    let expected = "The request body has more than 1000 bytes";
    let nonce = rig.nonce().await;
    let announced = rig
        .post(rig.headers(&nonce, false), full(vec![b'x'; 1_001]))
        .await;
    refused(announced, 413, expected).await;
    // Without a length.
    let nonce = rig.nonce().await;
    let (sender, body) = channel(1);
    let sending = tokio::spawn(async move {
        for _ in 0..11 {
            if sender.send(vec![b'x'; 100]).await.is_err() {
                return;
            }
        }
        sender.closed().await;
    });
    refused(
        rig.post(rig.headers(&nonce, false), body).await,
        413,
        expected,
    )
    .await;
    sending.await.expect("no panic");
    let nonce = rig.nonce().await;
    let fits = rig
        .post(rig.headers(&nonce, false), full(vec![b'x'; 1_000]))
        .await;
    assert_eq!(fits.status(), 200);
}

#[tokio::test]
async fn a_slow_instance_and_a_slow_body_have_their_time() {
    let rig = rig_with(|config| {
        config.limits.chutes.answer_time = Duration::from_millis(300);
        config.limits.handshake_time = Duration::from_millis(300);
    })
    .await;
    let nonce = rig.nonce().await;
    let (_sender, body) = channel(1);
    let response = rig.post(rig.headers(&nonce, false), body).await;
    refused(response, 408, "The request body did not come in time").await;
    // A body that begins and never ends: the instance waits for it.
    let nonce = rig.nonce().await;
    let (sender, body) = channel(1);
    sender.send("blob").await.expect("room");
    let response = rig.post(rig.headers(&nonce, false), body).await;
    refused(response, 504, "Instance did not answer within 0 s").await;
}

/// Sends a request whose body goes on as `behind` says, after a first piece of 4 bytes, and keeps its own direction open.
async fn by_wire(rig: &Rig, behind: &[u8]) -> (TcpStream, String) {
    let nonce = rig.nonce().await;
    let mut head = format!("POST {INVOKE_PATH} HTTP/1.1\r\nhost: relay\r\n");
    for (name, value) in &rig.headers(&nonce, true) {
        let value = value.to_str().expect("ASCII");
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("transfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
    let mut stream = TcpStream::connect(rig.relay.address())
        .await
        .expect("a relay");
    stream.write_all(head.as_bytes()).await.expect("open");
    timeout(common::IDLE, rig.fake.begun.notified())
        .await
        .expect("forwarded");
    stream.write_all(behind).await.expect("open");
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while !answer.ends_with(b"}") {
        let read = timeout(common::IDLE, stream.read(&mut buffer)).await;
        match read.expect("an answer").expect("open") {
            0 => break,
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
    (stream, String::from_utf8(answer).expect("ASCII"))
}

#[tokio::test]
async fn a_request_that_breaks_off_is_the_clients_fault_and_breaks_off_at_the_instance() {
    let rig = rig_with(|config| config.limits.idle = Duration::from_millis(300)).await;
    for (behind, status, what) in [
        (&b"no chunk\r\n"[..], "400", "The request body broke off"),
        (b"", "408", "The request body did not come in time"),
    ] {
        let (_open, answer) = by_wire(&rig, behind).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains(what), "{answer}");
        timeout(common::IDLE, rig.fake.cut.notified())
            .await
            .expect("broken off at the instance");
    }
    assert_eq!(rig.fake.invocations(), 0);
    // The instance is as good as before.
    assert_eq!(rig.invoke(false, "blob").await.status(), 200);
}

#[tokio::test]
async fn evidence_is_gathered_from_every_instance_and_failures_are_named() {
    let ids: Vec<Uuid> = (1..=5).map(Uuid::from_u128).collect();
    let mut fakes = Vec::new();
    for id in &ids {
        fakes.push(Fake::start(*id).await);
    }
    let evidence = |id: Uuid| format!("{{\"quote\": \"QUERY\",\"instance_id\":\"{id}\" }}");
    let set = |index: usize, text: String| {
        *fakes[index].0.evidence.lock().expect("no panic") = Some(text);
    };
    set(0, evidence(ids[0]));
    set(1, evidence(ids[1]));
    // None at all; another instance's; none of JSON.
    set(3, evidence(ids[0]));
    set(4, "<html></html>".to_owned());
    let mut config = RelayConfig::new(
        fakes
            .iter()
            .map(|(_, server)| url(server.address()))
            .collect(),
    );
    config.profiles = vec![Profile::ChutesV1];
    let relay = relay(config).await;
    let base = url(relay.address());
    let nonce = "0123456789abcdef".repeat(4);
    let path = format!("/chutes/{CHUTE}/evidence?nonce={nonce}");
    until("all are up", async || discover_len(&base).await == 5).await;
    let (status, answer) = get(&base, &path).await;
    assert_eq!(status, 200);
    let mut shown: Vec<Value> = answer["evidence"].as_array().expect("a list").clone();
    shown.sort_by_key(ToString::to_string);
    assert_eq!(
        shown,
        [ids[0], ids[1]].map(|id| json!({"quote": format!("nonce={nonce}"), "instance_id": id}))
    );
    let mut failed: Vec<String> = answer["failed_instance_ids"]
        .as_array()
        .expect("a list")
        .iter()
        .map(ToString::to_string)
        .collect();
    failed.sort();
    let mut expected: Vec<String> = ids[2..].iter().map(|id| json!(id).to_string()).collect();
    expected.sort();
    assert_eq!(failed, expected);
    for bad in [
        "",
        "?nonce=",
        "?nonce=00",
        &format!("?nonce={nonce}&nonce={nonce}"),
    ] {
        let (status, body) = get(&base, &format!("/chutes/{CHUTE}/evidence{bad}")).await;
        assert_eq!(status, 422, "{bad}");
        assert_eq!(body["detail"][0]["loc"], json!(["query", "nonce"]));
    }
    let (status, body) = get(
        &base,
        &format!("/chutes/{OTHER_CHUTE}/evidence?nonce={nonce}"),
    )
    .await;
    assert_eq!(
        (status.as_u16(), &body["detail"]),
        (404, &"Chute not found".into())
    );
}

async fn discover_len(base: &BaseUrl) -> usize {
    let (_, answer) = get(base, &format!("/e2e/instances/{CHUTE}")).await;
    answer["instances"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn evidence_that_does_not_come_in_time_or_is_too_large_is_a_failure() {
    let rig = rig_with(|config| {
        config.limits.chutes.evidence_time = Duration::from_millis(300);
        config.limits.chutes.evidence_bytes = 1_000;
    })
    .await;
    let path = format!("/chutes/{CHUTE}/evidence?nonce={}", "0".repeat(64));
    let whole_of = |length: usize| {
        let frame = format!("{{\"instance_id\":\"{}\",\"quote\":\"\"}}", rig.id);
        frame.replace("\"\"", &format!("\"{}\"", "A".repeat(length - frame.len())))
    };
    for (length, passes) in [(1_000, true), (1_001, false)] {
        *rig.fake.evidence.lock().expect("no panic") = Some(whole_of(length));
        let (status, answer) = get(&rig.base, &path).await;
        assert_eq!(status, 200);
        let count = answer["evidence"].as_array().map(Vec::len);
        assert_eq!(count, Some(usize::from(passes)), "{length}");
        let failed = answer["failed_instance_ids"].as_array().map(Vec::len);
        assert_eq!(failed, Some(usize::from(!passes)), "{length}");
    }
    // An instance that hangs over its evidence.
    let target = url(rig.server.address());
    let hanging = server(move |request: Request<Incoming>| {
        let target = target.clone();
        async move {
            if request.uri().path() == INSTANCE_EVIDENCE_PATH {
                std::future::pending::<()>().await;
            }
            pass(forward(&target, request).await).await
        }
    })
    .await;
    let mut config = RelayConfig::new(vec![url(hanging.address())]);
    config.profiles = vec![Profile::ChutesV1];
    config.limits.chutes.evidence_time = Duration::from_millis(200);
    let relay = relay(config).await;
    let base = url(relay.address());
    common::found(&base).await;
    let (_, answer) = get(&base, &path).await;
    assert_eq!(
        answer,
        json!({"evidence": [], "failed_instance_ids": [rig.id]})
    );
}

#[tokio::test]
async fn questions_for_evidence_are_bounded() {
    let rig = rig_with(|config| config.limits.chutes.evidence_asks = 0).await;
    let path = format!("/chutes/{CHUTE}/evidence?nonce={}", "0".repeat(64));
    let (status, body) = get(&rig.base, &path).await;
    assert_eq!(status, 429);
    assert_eq!(
        body["detail"],
        "Too many questions for evidence at a time, try again later"
    );
}

#[tokio::test]
async fn a_relay_serves_the_profiles_that_it_was_given_and_no_others() {
    let rig = rig().await;
    for path in ["/sealwire/v1/bundles?label=demo", "/nothing"] {
        let (status, body) = get(&rig.base, path).await;
        assert_eq!(
            (status.as_u16(), body),
            (404, json!({"detail": "Not Found"}))
        );
    }
    for (method, path) in [
        (Method::GET, INVOKE_PATH.to_owned()),
        (Method::POST, "/model_aliases/".to_owned()),
        (Method::POST, format!("/e2e/instances/{CHUTE}")),
    ] {
        let response = common::send(method, &rig.base, &path, HeaderMap::new(), empty()).await;
        refused(response, 405, "Method Not Allowed").await;
    }
    // A native relay before the same instance: it finds nothing, and knows none of these paths.
    let native = relay(RelayConfig::new(vec![url(rig.server.address())])).await;
    let base = url(native.address());
    for path in ["/model_aliases/", &format!("/e2e/instances/{CHUTE}")] {
        let (status, body) = get(&base, path).await;
        assert_eq!(
            (status.as_u16(), body["code"].as_str()),
            (404, Some("refused"))
        );
    }
    let mut config = RelayConfig::new(vec![url(rig.server.address())]);
    config.profiles = Vec::new();
    let error = sealwire_relay::start(config, common::client()).await.err();
    assert!(matches!(error, Some(sealwire_relay::StartError::NoProfile)));
}

/// A relay behind a server that writes down what it is asked for.
async fn watched(to: BaseUrl) -> (Server, Arc<Mutex<Vec<String>>>) {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paths);
    let front = server(move |request: Request<Incoming>| {
        let path = request.uri().path().to_owned();
        seen.lock().expect("no panic").push(path);
        let to = to.clone();
        async move { pass(forward(&to, request).await).await }
    })
    .await;
    (front, paths)
}

#[tokio::test]
async fn a_client_of_one_profile_does_not_use_the_other() {
    // A client of chutes-v1 before a native relay that works.
    let upstream = common::model().await;
    let config = sealwire_instance::InstanceConfig::new(url(upstream.address()), MODEL);
    let instance = common::instance(config, 1).await;
    let native = relay(RelayConfig::new(vec![url(instance.address())])).await;
    common::found(&url(native.address())).await;
    let (front, paths) = watched(url(native.address())).await;
    let proxy = sealwire_proxy::chutes::start(
        sealwire_proxy::chutes::ChutesConfig::new(url(front.address())),
        sealwire::compat::chutes::Codec::new(&sealwire::rustcrypto::provider()),
        common::client(),
        Arc::new(sealwire_proxy::chutes::TrustRelay),
    )
    .await
    .expect("a free port");
    let (status, answer) = common::ask(&url(proxy.address())).await;
    assert!(status.is_client_error() || status.is_server_error());
    assert!(answer["error"]["code"].is_string(), "{answer}");
    let asked = paths.lock().expect("no panic").clone();
    assert!(!asked.is_empty());
    assert!(
        asked.iter().all(|path| !path.starts_with("/sealwire/")),
        "{asked:?}"
    );

    // A native client before a relay of chutes-v1 that works.
    let rig = rig().await;
    let (front, paths) = watched(rig.base.clone()).await;
    let proxy = common::proxy(sealwire_proxy::ProxyConfig::new(
        url(front.address()),
        sealwire::IdentityTrust::pinned(&[instance.identity()]),
    ))
    .await;
    let (status, answer) = common::ask(&url(proxy.address())).await;
    assert!(status.is_client_error() || status.is_server_error());
    assert!(answer["error"]["code"].is_string(), "{answer}");
    let asked = paths.lock().expect("no panic").clone();
    assert!(!asked.is_empty());
    assert!(
        asked.iter().all(|path| path.starts_with("/sealwire/")),
        "{asked:?}"
    );
    assert_eq!(rig.fake.invocations(), 0);
}

#[tokio::test]
async fn one_relay_speaks_both_profiles_to_instances_of_either() {
    let upstream = common::model().await;
    let mut native = sealwire_instance::InstanceConfig::new(url(upstream.address()), MODEL);
    native.models.push("native/only".to_owned());
    let native = common::instance(native, 1).await;
    let native_url = url(native.address());
    let rig = rig_with(move |config| {
        config.instances.push(native_url);
        config.profiles = vec![Profile::Native, Profile::ChutesV1];
    })
    .await;
    until("both are seen", async || {
        get(&rig.base, "/v1/models").await.1["data"]
            .as_array()
            .map(Vec::len)
            == Some(2)
    })
    .await;
    let (_, models) = get(&rig.base, "/v1/models").await;
    assert_eq!(models["data"][0]["chute_id"], CHUTE);
    assert_eq!(
        models["data"][1],
        json!({"id": "native/only", "object": "model", "created": 0, "owned_by": "sealwire"})
    );
    let proxy = common::proxy(sealwire_proxy::ProxyConfig::new(
        rig.base.clone(),
        sealwire::IdentityTrust::pinned(&[native.identity()]),
    ))
    .await;
    assert_eq!(common::ask(&url(proxy.address())).await.0, 200);
    assert_eq!(
        body_text(rig.invoke(false, "blob").await).await,
        "sealed answer"
    );
    let row = rig.row(2).await;
    assert_eq!((&row["unsigned"], &row["receipts"]), (&1.into(), &1.into()));
}
