//! A relay and instance of the deployed kind in one: chutes-v1 as its wire format has it, without what this project adds.
//!
//! One key for the whole life, chunks without numbers, no replay filter, path and stream flag believed. It is built from the core's codecs, so
//! that what differs from our own instance is only that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use sealwire::compat::chutes::{
    Codec, Head, KeyRing, KeyRingConfig, Usage, open_request, usage_event,
};
use sealwire_http::net::{
    BaseUrl, Body, Handler, HttpClient, Incoming, full, json, lock, read_all, text,
};
use serde_json::{Value, json};

use super::{CHUTE, INSTANCE, MODEL};

const MAX: usize = 16 * 1_024 * 1_024;
const IDLE: Duration = Duration::from_secs(30);

/// Makes evidence for a key: nonce as hex, key as base64 in, one entry of the list out.
pub(super) type MakeEvidence = Arc<dyn Fn(&str, &str) -> Value + Send + Sync>;

pub(super) struct Deployed {
    codec: Codec,
    ring: Mutex<KeyRing>,
    upstream: BaseUrl,
    client: HttpClient,
    evidence: MakeEvidence,
}

impl Deployed {
    pub(super) fn new(
        codec: &Codec,
        upstream: BaseUrl,
        client: HttpClient,
        evidence: MakeEvidence,
    ) -> Result<Self, sealwire::compat::chutes::ChutesError> {
        let config = KeyRingConfig {
            rotation: u64::MAX,
            lifetime: u64::MAX,
            filter_capacity: usize::MAX,
        };
        Ok(Self {
            codec: Codec {
                extensions: false,
                ..*codec
            },
            ring: Mutex::new(KeyRing::new(&codec.provider, config)?),
            upstream,
            client,
            evidence,
        })
    }

    fn key(&self) -> String {
        let mut ring = lock(&self.ring);
        ring.public_key(0).unwrap_or_default()
    }

    async fn invoke(&self, request: Request<Incoming>) -> Result<Response<Body>, StatusCode> {
        let (parts, mut body) = request.into_parts();
        let field = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (path, streamed) = (field("x-e2e-path"), field("x-e2e-stream") == "true");
        let blob = read_all(&mut body, MAX, IDLE)
            .await
            .map_err(|_| StatusCode::BAD_REQUEST)?;
        let keys = {
            let mut ring = lock(&self.ring);
            ring.candidates(0)
        };
        let request = open_request(&self.codec, &keys, &blob, &path, MAX)
            .map_err(|_| StatusCode::BAD_REQUEST)?
            .forget_replays();
        let mut inner: Value =
            serde_json::from_slice(&request.body).map_err(|_| StatusCode::BAD_REQUEST)?;
        if let Some(members) = inner.as_object_mut() {
            members.insert("stream".to_owned(), json!(streamed));
            if streamed {
                members.insert(
                    "stream_options".to_owned(),
                    json!({"include_usage": true, "continuous_usage_stats": true}),
                );
            }
        }
        let (status, answer) = self.ask(&path, inner.to_string()).await?;
        let head = Head::new(status, "application/json").ok_or(StatusCode::BAD_GATEWAY)?;
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        if !streamed {
            let sealed = request.responder.seal(&head, &answer).map_err(failed)?;
            return Ok(typed("application/octet-stream", sealed));
        }
        let mut out = Vec::new();
        let mut sealer = request
            .responder
            .into_stream(&head, &mut out)
            .map_err(failed)?;
        for line in answer.split_inclusive(|byte| *byte == b'\n') {
            sealer.seal(line, &mut out).map_err(failed)?;
            if let Some(usage) = usage_of(line) {
                out.extend_from_slice(usage_event(&usage).as_bytes());
            }
        }
        Ok(typed("text/event-stream", out))
    }

    async fn ask(&self, path: &str, body: String) -> Result<(u16, Bytes), StatusCode> {
        let mut request = Request::new(full(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self
            .upstream
            .join(path)
            .map_err(|_| StatusCode::BAD_REQUEST)?;
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self
            .client
            .send(request)
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let body = read_all(&mut body, MAX, IDLE)
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        Ok((status, body))
    }
}

/// Each is another; none is refused: what a nonce is for is not at stake here.
fn fresh_nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:032}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn usage_of(line: &[u8]) -> Option<Usage> {
    let data: Value = serde_json::from_slice(line.strip_prefix(b"data:")?).ok()?;
    Usage::from_json(&data.get("usage")?.to_string()).ok()
}

fn typed(media_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(body));
    let value = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

impl Handler for Deployed {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let ok = |value: Value| json(StatusCode::OK, value.to_string().into_bytes());
        match (request.method(), path.as_str()) {
            (&Method::GET, "/v1/models") => ok(json!({"object": "list", "data": [{
                "id": MODEL,
                "object": "model",
                "root": MODEL,
                "chute_id": CHUTE,
                "confidential_compute": true,
            }]})),
            (&Method::GET, "/model_aliases/") => ok(json!([])),
            (&Method::GET, path) if path.starts_with("/e2e/instances/") => {
                let nonces: Vec<String> = (0..10).map(|_| fresh_nonce()).collect();
                ok(json!({
                    "instances": [{"instance_id": INSTANCE, "e2e_pubkey": self.key(), "nonces": nonces}],
                    "nonce_expires_in": 60,
                    "nonce_expires_at": crate::attack::unix_now() + 60,
                }))
            }
            (&Method::GET, path) if path.ends_with("/evidence") => {
                let query = request.uri().query().unwrap_or_default();
                let nonce = query.strip_prefix("nonce=").unwrap_or_default();
                let mut entry = (self.evidence)(nonce, &self.key());
                entry["instance_id"] = json!(INSTANCE);
                ok(json!({"evidence": [entry], "failed_instance_ids": []}))
            }
            (&Method::POST, "/e2e/invoke") => match self.invoke(request).await {
                Ok(response) => response,
                Err(status) => json(status, br#"{"detail":"refused"}"#.to_vec()),
            },
            _ => text(StatusCode::NOT_FOUND, "not here\n"),
        }
    }
}
