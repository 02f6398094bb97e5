//! What applications may ask of the proxy, and the attempts behind one question.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use sealwire::{Context, CryptoProvider, RelayCode};
use sealwire_http::access::{Access, bearer};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::inner::{PADDING_FIELD, REQUEST_FIELDS, TIME_FIELD};
use sealwire_http::json_body::JsonBody;
use sealwire_http::message::{Fields, RequestHead, encode_content, encode_end};
use sealwire_http::net::{
    Body, Handler, HttpClient, Incoming, ReadError, discard, json, read_all, text,
};
use sealwire_http::openai::ApiError;
use sealwire_http::problem::Problem;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer;
use crate::attempt::{self, Established};
use crate::bundles::{self, Bundles};
use crate::error::ProxyError;
use crate::{ProxyConfig, unix_now};

/// What the proxy takes of the OpenAI API, beside the model list.
const POSTS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];
const MODELS: &str = "/v1/models";
/// Largest model list of a relay.
const MAX_MODELS: usize = 1_024 * 1_024;
/// Longest label of a context, in bytes.
const MAX_LABEL: usize = 255;
/// Pause before another attempt at a busy instance, times the attempt's number.
const BUSY_PAUSE: Duration = Duration::from_millis(150);

pub(crate) struct Proxy {
    config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
    bundles: Bundles,
    access: Access,
}

impl Handler for Proxy {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match self.route(request).await {
            Ok(response) => response,
            Err(error) => {
                let status =
                    StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                json(status, error.to_json())
            }
        }
    }
}

impl Proxy {
    pub(crate) fn new(config: ProxyConfig, provider: CryptoProvider, client: HttpClient) -> Self {
        Self {
            bundles: Bundles::new(provider, client.clone()),
            access: Access::new(provider.verification, config.app_key.as_deref()),
            config,
            provider,
            client,
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
        if !self.config.allow_remote && !host_is_local(&request) {
            discard(request.into_body());
            return Err(ApiError::invalid_request(
                403,
                "bad_host",
                "the Host field does not name this machine; a web page may be trying to use the proxy",
            ));
        }
        let path = request.uri().path().to_owned();
        if let Err(denied) = self.access.check(request.headers()) {
            discard(request.into_body());
            return Err(ApiError::invalid_request(
                401,
                "invalid_api_key",
                denied.to_string(),
            ));
        }
        match (request.method(), path.as_str()) {
            (&Method::GET, HEALTH_PATH) => Ok(text(StatusCode::OK, "ok\n")),
            (&Method::GET, MODELS) => {
                let key = self.relay_key(request.headers());
                self.models(key.as_deref())
                    .await
                    .map_err(|error| error.to_api())
            }
            (&Method::POST, post) if POSTS.contains(&post) => self.ask(request, path).await,
            (_, path) => {
                let message = format!(
                    "{} {path} is not served by this proxy; it takes POST {} and GET {MODELS}",
                    request.method(),
                    POSTS.join(", "),
                );
                discard(request.into_body());
                Err(ApiError::invalid_request(404, "unknown_url", message))
            }
        }
    }

    async fn models(&self, key: Option<&str>) -> Result<Response<Body>, ProxyError> {
        let deadline = self.config.limits.handshake_time;
        let (status, body) = tokio::time::timeout(
            deadline,
            bundles::get(&self.client, &self.config, MODELS, key, MAX_MODELS),
        )
        .await
        .map_err(|_| ProxyError::HandshakeTimeout(deadline.as_secs()))??;
        if status != StatusCode::OK {
            return Err(match Problem::from_json(&body) {
                Some(problem) => ProxyError::Relay(problem),
                None => ProxyError::NotRelay {
                    status: status.as_u16(),
                    why: "no problem document".to_owned(),
                },
            });
        }
        let list: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| ProxyError::NotRelay {
                status: status.as_u16(),
                why: "no model list".to_owned(),
            })?;
        Ok(json(status, list.to_string().into_bytes()))
    }

    async fn ask(
        &self,
        request: Request<Incoming>,
        path: String,
    ) -> Result<Response<Body>, ApiError> {
        let (parts, mut body) = request.into_parts();
        // A web page can send other types to this port without asking; this one it cannot.
        if !is_json(&parts.headers) {
            discard(body);
            return Err(ApiError::invalid_request(
                415,
                "bad_content_type",
                "the request's Content-Type must be application/json",
            ));
        }
        let limits = &self.config.limits;
        let content = match read_all(&mut body, limits.request_bytes, limits.request_idle).await {
            Ok(content) => content,
            Err(error) => {
                discard(body);
                let status = match error {
                    ReadError::TooLarge(_) => 413,
                    ReadError::Idle(_) => 408,
                    _ => 400,
                };
                return Err(ApiError::invalid_request(
                    status,
                    "bad_body",
                    error.to_string(),
                ));
            }
        };
        let label = JsonBody::parse(&content)
            .map_err(|error| ApiError::invalid_request(400, "bad_json", error.to_string()))?
            .model()
            .ok_or_else(|| {
                ApiError::invalid_request(400, "no_model", "the request names no model")
            })?;
        if label.is_empty()
            || label.len() > MAX_LABEL
            || label.bytes().any(|b| b.is_ascii_control())
        {
            return Err(ApiError::invalid_request(
                400,
                "bad_model",
                "the request's model must have 1 to 255 bytes and no control characters",
            ));
        }
        let message = self.message(&path, &parts.headers, &content);
        let key = self.relay_key(&parts.headers);
        let deadline = Instant::now() + limits.handshake_time;
        let established = timeout_at(deadline, self.establish(&label, key.as_deref(), &message))
            .await
            .unwrap_or(Err(ProxyError::HandshakeTimeout(
                limits.handshake_time.as_secs(),
            )))
            .map_err(|error| error.to_api())?;
        answer::respond(
            established,
            self.provider.verification,
            limits.answer_idle,
            limits.answer_bytes,
        )
        .await
        .map_err(|error| error.to_api())
    }

    /// Attempts until H2 is verified, each with a handshake of its own.
    async fn establish(
        &self,
        label: &str,
        key: Option<&str>,
        message: &Bytes,
    ) -> Result<Established, ProxyError> {
        let mut request_id = [0; 16];
        self.provider
            .random
            .fill(&mut request_id)
            .map_err(|error| ProxyError::Local(error.into()))?;
        let mut tried = Vec::new();
        let mut number = 1;
        loop {
            let result = self.attempt(label, key, message, request_id, number, &mut tried);
            let error = match result.await {
                Ok(established) => return Ok(established),
                Err(error) => error,
            };
            if number >= self.config.limits.attempts || !error.allows_fresh_attempt() {
                return Err(error);
            }
            let busy = matches!(
                &error,
                ProxyError::Relay(problem) if problem.code == RelayCode::Busy
            );
            if busy {
                sleep(BUSY_PAUSE * u32::from(number)).await;
            }
            number += 1;
        }
    }

    async fn attempt(
        &self,
        label: &str,
        key: Option<&str>,
        message: &Bytes,
        request_id: [u8; 16],
        number: u8,
        tried: &mut Vec<[u8; 16]>,
    ) -> Result<Established, ProxyError> {
        let bundle = self.bundles.get(&self.config, label, key, tried).await?;
        let mut context = Context::new(label, request_id, number).map_err(ProxyError::Handshake)?;
        if let Some(billing) = &self.config.billing {
            context = context
                .with_billing(billing)
                .map_err(ProxyError::Handshake)?;
        }
        let result = attempt::run(
            &self.config,
            &self.provider,
            &self.client,
            &bundle,
            &context,
            key,
            message,
        )
        .await;
        if let Err(error) = &result {
            tried.push(bundle.bundle().id());
            self.bundles.forget(&bundle);
            if let ProxyError::Relay(problem) = error
                && problem.code == RelayCode::KeyUnknown
                && let Some(bytes) = &problem.bundle
            {
                // One that is not acceptable is dropped; the next attempt asks discovery.
                let _ = self.bundles.offer(&self.config, label, bytes);
            }
        }
        result
    }

    /// The whole inner message: head, content, end. Nothing of the application's headers passes but a few.
    fn message(&self, path: &str, headers: &HeaderMap, content: &Bytes) -> Bytes {
        let mut fields = Fields::new();
        for name in REQUEST_FIELDS {
            for value in headers.get_all(name) {
                // A field that the inner message cannot carry is left out.
                let _ = fields.push(name, value.as_bytes());
            }
        }
        // Names and values of the proxy's own are well formed.
        let _ = fields.push(TIME_FIELD, unix_now().to_string().as_bytes());
        let _ = fields.push(PADDING_FIELD, self.config.padding.as_str().as_bytes());
        let head = RequestHead {
            method: Method::POST.as_str().to_owned(),
            path: path.to_owned(),
            fields,
        };
        let mut message = Vec::with_capacity(content.len() + 1_024);
        // The path is one of three constants.
        let _ = head.encode(&mut message);
        encode_content(content, &mut message);
        encode_end(&mut message);
        message.into()
    }

    fn relay_key(&self, headers: &HeaderMap) -> Option<String> {
        if let Some(key) = &self.config.relay_key {
            return Some(key.clone());
        }
        if !self.config.forward_key {
            return None;
        }
        bearer(headers).map(str::to_owned)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let only = values.next().filter(|_| values.next().is_none());
    only.and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Against DNS rebinding: every name that the client used must be this machine's, and there must be only one.
fn host_is_local(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => match host.to_str() {
            Ok(host) => Some(host),
            Err(_) => return false,
        },
        (Some(_), Some(_)) => return false,
    };
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    match (host, target) {
        (Some(host), Some(target)) => host.eq_ignore_ascii_case(target) && authority_is_local(host),
        (Some(only), None) | (None, Some(only)) => authority_is_local(only),
        (None, None) => false,
    }
}

/// `localhost` or a loopback address, with or without a port, and nothing else.
fn authority_is_local(authority: &str) -> bool {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((name, rest)) if name.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()) => {
                ("localhost", rest)
            }
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_sound = match rest.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => rest.is_empty(),
    };
    port_is_sound
        && (name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_this_machine_are_local() {
        for good in [
            "localhost",
            "LocalHost:8000",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(authority_is_local(good), "{good}");
        }
        for bad in [
            "",
            "evil@localhost",
            "localhost:evil.example",
            "localhost:",
            "localhost:+1",
            "localhost:65536",
            "localhost.",
            "evil.example",
            "127.0.0.1.evil.example",
            "[::1]evil",
            "[::1",
            "[::2]",
            "10.0.0.1",
            "::1",
        ] {
            assert!(!authority_is_local(bad), "{bad}");
        }
    }

    #[test]
    fn two_content_types_are_none() {
        let mut headers = HeaderMap::new();
        assert!(!is_json(&headers));
        headers.insert(
            CONTENT_TYPE,
            "Application/JSON; charset=utf-8".parse().expect("ASCII"),
        );
        assert!(is_json(&headers));
        headers.append(CONTENT_TYPE, "text/plain".parse().expect("ASCII"));
        assert!(!is_json(&headers));
    }
}
