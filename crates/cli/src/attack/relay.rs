//! The relay that attacks: it stands before an honest one, holds no key of any instance, and changes what passes.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use sealwire::compat::chutes::{Codec, KeyRing, KeyRingConfig, open_request};
use sealwire::handshake::{ParsedRequest, RequestProgress, h2_len};
use sealwire::{CryptoProvider, IdentityKey, RelayCode, server};
use sealwire_http::carriage::{BUNDLES_PATH, REQUESTS_PATH};
use sealwire_http::discovery::{BundleQuery, bundles_to_json};
use sealwire_http::net::{
    BaseUrl, Body, Handler, HttpClient, Incoming, full, json, lock, problem, read_all, text,
};
use sealwire_http::problem::Problem;
use serde_json::{Value, json};

use super::deployed::MakeEvidence;
use super::list::Attack;
use super::pieces::Pieces;
use super::{FORGED, MODEL, unix_now};

const MAX: usize = 64 * 1_024 * 1_024;
const IDLE: Duration = Duration::from_secs(30);

/// What the attacker got, beside what the application was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Loot {
    /// It opened the request.
    pub(super) read: bool,
    /// How its second run of the request was answered: `Ok` if the model ran it.
    pub(super) replay: Option<Result<(), String>>,
}

pub(super) struct AttackRelay {
    attack: Option<Attack>,
    honest: BaseUrl,
    client: HttpClient,
    codec: Codec,
    /// Keys of the attacker's own.
    own: Mutex<KeyRing>,
    /// A sound enclave that the attacker may ask for evidence of a key of its own.
    evidence: MakeEvidence,
    loot: Mutex<Loot>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl AttackRelay {
    pub(super) fn new(
        attack: Option<Attack>,
        honest: BaseUrl,
        client: HttpClient,
        codec: &Codec,
        evidence: MakeEvidence,
    ) -> Result<Self, sealwire::compat::chutes::ChutesError> {
        Ok(Self {
            attack,
            honest,
            client,
            codec: *codec,
            own: Mutex::new(KeyRing::new(&codec.provider, KeyRingConfig::default())?),
            evidence,
            loot: Mutex::new(Loot::default()),
        })
    }

    pub(super) fn loot(&self) -> Loot {
        lock(&self.loot).clone()
    }

    fn own_key(&self) -> String {
        lock(&self.own).public_key(0).unwrap_or_default()
    }

    /// One exchange with the honest relay.
    async fn pass(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::new(full(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.honest.join(path).map_err(|error| error.to_string())?;
        *request.headers_mut() = headers.clone();
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().remove(http::header::HOST);
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, mut body) = answer.into_parts();
        let body = read_all(&mut body, MAX, IDLE)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn attack(&self, request: Request<Incoming>) -> Result<Response<Body>, String> {
        let (parts, mut body) = request.into_parts();
        let body = read_all(&mut body, MAX, IDLE)
            .await
            .map_err(|error| error.to_string())?;
        let path = parts.uri.path().to_owned();
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
            .to_owned();
        let (method, headers) = (parts.method, parts.headers);
        let query = parts.uri.query().unwrap_or_default();
        match (&method, path.as_str()) {
            (&Method::POST, "/e2e/invoke") => self.invoke(&headers, body).await,
            (&Method::POST, REQUESTS_PATH) => self.sealed(&headers, body).await,
            (&Method::GET, BUNDLES_PATH) if self.attack == Some(Attack::SwapKey) => {
                self.own_bundle(query)
            }
            (&Method::GET, path) if path.ends_with("/evidence") => {
                self.evidence(&target, query, &headers).await
            }
            (&Method::GET, path) if path.starts_with("/e2e/instances/") => {
                let answer = self.pass(&method, &target, &headers, body).await?;
                let swapped = self.swapped(&answer.body);
                Ok(answer.replaced(swapped))
            }
            _ => {
                let answer = self.pass(&method, &target, &headers, body).await?;
                Ok(answer.replaced(None))
            }
        }
    }

    /// Discovery with the attacker's key.
    fn swapped(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.attack != Some(Attack::SwapKey) {
            return None;
        }
        let mut list: Value = serde_json::from_slice(body).ok()?;
        for instance in list.get_mut("instances")?.as_array_mut()? {
            instance["e2e_pubkey"] = json!(self.own_key());
        }
        Some(list.to_string().into_bytes())
    }

    async fn evidence(
        &self,
        target: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, String> {
        let native = target.starts_with("/sealwire/");
        match self.attack {
            Some(Attack::StaleEvidence) => {
                let old = if native {
                    "A".repeat(43)
                } else {
                    "0".repeat(64)
                };
                let query: Vec<String> = query
                    .split('&')
                    .map(|pair| match pair.split_once('=') {
                        Some(("nonce", _)) => format!("nonce={old}"),
                        _ => pair.to_owned(),
                    })
                    .collect();
                let path = target.split('?').next().unwrap_or(target);
                let stale = format!("{path}?{}", query.join("&"));
                let answer = self
                    .pass(&Method::GET, &stale, headers, Bytes::new())
                    .await?;
                // The nonce that was asked for, so that only the quote itself can tell.
                let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                if native && let Some(nonce) = nonce_of(target) {
                    body["nonce"] = json!(nonce);
                }
                Ok(answer.replaced(Some(body.to_string().into_bytes())))
            }
            Some(Attack::OtherEvidence) => {
                let answer = self
                    .pass(&Method::GET, target, headers, Bytes::new())
                    .await?;
                let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let nonce = nonce_of(target).unwrap_or_default();
                let other = (self.evidence)(nonce, &self.own_key());
                let entry = if native {
                    Some(&mut body)
                } else {
                    body.pointer_mut("/evidence/0")
                };
                if let Some(entry) = entry {
                    entry["quote"] = other["quote"].clone();
                }
                Ok(answer.replaced(Some(body.to_string().into_bytes())))
            }
            Some(Attack::NoEvidence) if native => Ok(text(StatusCode::NOT_FOUND, "none\n")),
            Some(Attack::NoEvidence) => Ok(json(
                StatusCode::OK,
                br#"{"evidence":[],"failed_instance_ids":[]}"#.to_vec(),
            )),
            _ => {
                let answer = self
                    .pass(&Method::GET, target, headers, Bytes::new())
                    .await?;
                Ok(answer.replaced(None))
            }
        }
    }

    /// chutes-v1.
    async fn invoke(&self, headers: &HeaderMap, blob: Bytes) -> Result<Response<Body>, String> {
        let path = "/e2e/invoke";
        let mut sent = headers.clone();
        match self.attack {
            Some(Attack::Html) => return Ok(html()),
            Some(Attack::SwapKey) => {
                let keys = lock(&self.own).candidates(0);
                let asked = headers
                    .get("x-e2e-path")
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default();
                lock(&self.loot).read |=
                    open_request(&self.codec, &keys, &blob, asked, MAX).is_ok();
            }
            Some(Attack::ChangePath) => {
                sent.insert("x-e2e-path", HeaderValue::from_static("/v1/completions"));
            }
            Some(Attack::ChangeMode) => {
                sent.insert("x-e2e-stream", HeaderValue::from_static("false"));
            }
            _ => {}
        }
        let answer = self.pass(&Method::POST, path, &sent, blob.clone()).await?;
        if self.attack == Some(Attack::ReplayRequest) {
            let again = self.replay(headers, blob).await?;
            lock(&self.loot).replay = Some(again);
        }
        let streamed = answer
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let changed = streamed.then(|| Pieces::events(&answer.body).after(self.attack));
        Ok(answer.replaced(changed))
    }

    /// The same blob again, with a nonce of its own asking.
    async fn replay(&self, headers: &HeaderMap, blob: Bytes) -> Result<Result<(), String>, String> {
        let field = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let path = format!("/e2e/instances/{}", field("x-chute-id"));
        let list = self
            .pass(&Method::GET, &path, headers, Bytes::new())
            .await?;
        let list: Value = serde_json::from_slice(&list.body).unwrap_or_default();
        let nonce = list["instances"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|instance| instance["instance_id"] == field("x-instance-id"))
            .and_then(|instance| instance["nonces"][0].as_str())
            .ok_or("no fresh nonce")?;
        let mut headers = headers.clone();
        let nonce = HeaderValue::from_str(nonce).map_err(|error| error.to_string())?;
        headers.insert("x-e2e-nonce", nonce);
        let again = self
            .pass(&Method::POST, "/e2e/invoke", &headers, blob)
            .await?;
        Ok(again.outcome())
    }

    /// sealwire/1.
    async fn sealed(&self, headers: &HeaderMap, body: Bytes) -> Result<Response<Body>, String> {
        let mut sent = body.to_vec();
        match self.attack {
            Some(Attack::Html) => return Ok(html()),
            Some(Attack::ForgeError) => {
                return Ok(problem(&Problem::new(RelayCode::Internal, FORGED)));
            }
            // Path and mode are inside the first frame.
            Some(Attack::ChangePath) | Some(Attack::ChangeMode) => {
                if let Ok(RequestProgress::Done { consumed, .. }) = ParsedRequest::read(&body)
                    && let Some(byte) = sent.get_mut(consumed + 20)
                {
                    *byte ^= 1;
                }
            }
            _ => {}
        }
        let answer = self
            .pass(&Method::POST, REQUESTS_PATH, headers, sent.into())
            .await?;
        if self.attack == Some(Attack::ReplayRequest) {
            let again = self
                .pass(&Method::POST, REQUESTS_PATH, headers, body.clone())
                .await?;
            lock(&self.loot).replay = Some(again.outcome());
        }
        if answer.status != StatusCode::OK {
            return Ok(answer.replaced(None));
        }
        let Ok(RequestProgress::Done { request, .. }) = ParsedRequest::read(&body) else {
            return Ok(answer.replaced(None));
        };
        let changed = answer
            .body
            .split_at_checked(h2_len(request.suite()))
            .map(|(h2, rest)| Pieces::frames(h2, rest).after(self.attack));
        Ok(answer.replaced(changed))
    }

    /// A bundle under an identity of the attacker's own.
    fn own_bundle(&self, query: &str) -> Result<Response<Body>, String> {
        let query = BundleQuery::from_query(query).ok_or("no query")?;
        let provider: CryptoProvider = self.codec.provider;
        let made = IdentityKey::generate(&provider).and_then(|identity| {
            let mut ring =
                server::KeyRing::new(&provider, identity, MODEL, server::KeyRingConfig::default())?;
            let suite = query
                .suite
                .and_then(sealwire::Suite::from_u16)
                .unwrap_or(sealwire::Suite::MlKem768);
            ring.bundle(
                suite,
                server::Now {
                    unix: unix_now(),
                    monotonic: 0,
                },
            )
        });
        let bundle = made.map_err(|error| error.to_string())?;
        Ok(json(StatusCode::OK, bundles_to_json([bundle.as_bytes()])))
    }
}

fn nonce_of(target: &str) -> Option<&str> {
    let (_, query) = target.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("nonce="))
}

fn html() -> Response<Body> {
    let mut response = text(StatusCode::OK, "<html>Welcome</html>");
    let value = HeaderValue::from_static("text/html");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

impl Answer {
    /// What a second run of a request came to.
    fn outcome(&self) -> Result<(), String> {
        if self.status == StatusCode::OK {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body.get("code").and_then(Value::as_str);
        Err(code.map_or_else(|| format!("relay_{}", self.status.as_u16()), str::to_owned))
    }

    /// The answer, with another body if there is one.
    fn replaced(self, body: Option<Vec<u8>>) -> Response<Body> {
        let mut headers = self.headers;
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let body = body.map_or(self.body, Bytes::from);
        let mut response = Response::new(full(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl Handler for AttackRelay {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        self.attack(request)
            .await
            .unwrap_or_else(|why| text(StatusCode::BAD_GATEWAY, &why))
    }
}
