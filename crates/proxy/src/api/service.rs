//! The routes of the applications' side.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use sealwire::CryptoProvider;
use sealwire::crypto::SecureRandom;
use sealwire_dialects::{Count, Dialect};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::net::{Body, Handler, Incoming, discard, json, lock, text};
use sealwire_http::openai::ApiError;
use serde_json::json;
use tokio::time::Instant;

use super::converse::REFUSAL;
use super::list::{self, Catalogs};
use super::page::Page;
use super::prepare::{self, Api};
use super::read::read;
use super::recent::Recent;
use super::{ApiLimits, Front, MODELS};
use crate::apps::{Applications, Named};
use crate::backend::{Backend, Question};
use crate::unix_now;

/// What was verified, for people and programs.
const ATTESTATION: &str = "/attestation";
/// Models and the last requests, for the page at `/`.
const STATUS: &str = "/status";
const READY: &str = "/readyz";
const TOKENIZE: &str = "/tokenize";
/// Names that a warning is remembered for.
const MAX_WARNED: usize = 1_024;

const REQUEST_ID: [HeaderName; 2] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
];
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Every client of Anthropic's API sends it, and no other does.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// The applications' side over one profile.
pub(crate) struct Service<B>(pub(super) Arc<Inner<B>>);

pub(super) struct Inner<B> {
    pub(super) backend: B,
    pub(super) front: Front,
    pub(super) apps: Applications,
    pub(super) limits: ApiLimits,
    pub(super) random: &'static dyn SecureRandom,
    pub(super) catalogs: Catalogs,
    pub(super) recent: Arc<Recent>,
    pub(super) refusals: Refusals,
    pub(super) warned: Warned,
    page: Page,
    started: (u64, Instant),
}

impl<B: Backend> Service<B> {
    pub(crate) fn new(
        backend: B,
        front: Front,
        apps: Applications,
        limits: ApiLimits,
        provider: CryptoProvider,
    ) -> Self {
        // The first bytes seed the generator, which takes tens of milliseconds: before the first request, not within it. A fault shows when bytes are needed.
        let _ = provider.random.fill(&mut [0]);
        Self(Arc::new(Inner {
            backend,
            front,
            apps,
            limits,
            random: provider.random,
            catalogs: Catalogs::default(),
            recent: Arc::default(),
            refusals: Refusals::default(),
            warned: Warned::default(),
            page: Page::new(provider.verification),
            started: (unix_now(), Instant::now()),
        }))
    }
}

impl<B: Backend> Handler for Service<B> {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let dialect = dialect(&request);
        let mut response = match self.0.route(request).await {
            Ok(response) => response,
            Err(error) => refusal(dialect, &error, self.0.id()),
        };
        self.0.name(response.headers_mut());
        response
    }
}

impl<B: Backend> Inner<B> {
    async fn route(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let path = request.uri().path().to_owned();
        // Says nothing about anything, and is asked for by probes without a key.
        if request.method() == Method::GET && path == HEALTH_PATH {
            discard(request.into_body());
            return Ok(text(StatusCode::OK, "ok\n"));
        }
        if let Err(error) = self.front.admit_host(&request) {
            discard(request.into_body());
            return Err(error);
        }
        let asks = |method: Method| *request.method() == method;
        // The page itself says nothing, and browsers and Claude Code's probe ask for it without a key; what it shows it asks for with one.
        if path == "/" && (asks(Method::GET) || asks(Method::HEAD)) {
            discard(request.into_body());
            return Ok(self.page.response());
        }
        if let Err(error) = self.front.admit_key(&request) {
            discard(request.into_body());
            return Err(error);
        }
        if let Some(api) = Api::ALL.into_iter().find(|api| api.path() == path) {
            if asks(Method::POST) {
                return self.converse(api, request).await;
            }
            if asks(Method::GET) && request.headers().contains_key(UPGRADE) {
                discard(request.into_body());
                // Codex tries once and goes on with POST; any other status makes it try again.
                return Err(ApiError::invalid_request(
                    426,
                    "no_websocket",
                    "this proxy serves POST, not WebSocket",
                ));
            }
        }
        if let Some(count) = Count::of_path(&path).filter(|_| asks(Method::POST)) {
            return self.count_tokens(count, request).await;
        }
        let key = self.front.relay_key(request.headers());
        let reads = asks(Method::GET) || asks(Method::HEAD);
        let response = match path.as_str() {
            MODELS if reads => {
                let list = self.models(key.as_deref()).await?;
                Some(reply(&list::merged(&list)))
            }
            ATTESTATION if reads => Some(reply(&self.backend.document())),
            STATUS if reads => Some(reply(&self.status())),
            READY if reads => {
                let list = self.models(key.as_deref()).await?;
                let models = list
                    .get("data")
                    .and_then(|data| data.as_array())
                    .map_or(0, Vec::len);
                if models == 0 {
                    return Err(ApiError::server_error(
                        503,
                        "no_models",
                        "the relay lists no model that can be used",
                    ));
                }
                Some(text(StatusCode::OK, "ready\n"))
            }
            _ => match path.strip_prefix("/v1/models/") {
                Some(id) if reads => {
                    let list = self.models(key.as_deref()).await?;
                    Some(reply(&list::one(&list, &decoded(id))?))
                }
                _ => None,
            },
        };
        match response {
            Some(response) => {
                discard(request.into_body());
                Ok(response)
            }
            None => Err(unknown(request)),
        }
    }

    /// What the status page shows, beside what was verified: names, sizes and times.
    fn status(&self) -> serde_json::Value {
        let about = self.backend.about();
        let relay: Vec<String> = about.relay.iter().map(ToString::to_string).collect();
        let mut status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "profile": about.profile.as_str(),
            "relay": relay,
            "now": unix_now(),
            "started_at": self.started.0,
            "uptime": self.started.1.elapsed().as_secs(),
            "models": self.catalogs.last(),
            "aliases": self.apps.aliases,
            "default_model": self.apps.default_model,
        });
        if let (Some(status), serde_json::Value::Object(requests)) =
            (status.as_object_mut(), self.recent.to_json())
        {
            status.extend(requests);
        }
        status
    }

    async fn models(&self, key: Option<&str>) -> Result<serde_json::Value, ApiError> {
        let list = self.backend.models(key).await?;
        self.catalogs.keep(key, &list);
        Ok(list)
    }

    async fn count_tokens(
        &self,
        count: Count,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let key = self.front.relay_key(request.headers());
        let read = read(request, self.limits.request_bytes, self.limits.request_idle).await?;
        let Named { asked, model } = self.apps.named(read.model)?;
        let settings = self.settings(&model, key.as_deref()).await;
        let content = prepare::named(&read.content, &asked)?;
        let exact = if self.apps.exact_counts {
            let body = count.tokenize(&content, &settings)?;
            let question = Question {
                path: TOKENIZE.to_owned(),
                headers: read.headers,
                content: prepare::named(&body.into(), &model)?,
                model,
                key,
                padding: None,
            };
            self.exact_count(&question).await
        } else {
            None
        };
        let tokens = match exact {
            Some(tokens) => tokens,
            None => count.estimate(&content, &settings)?,
        };
        Ok(reply(&count.answer(tokens)))
    }

    /// An identifier of this proxy's own.
    fn id(&self) -> Option<HeaderValue> {
        let mut id = [0; 12];
        self.random.fill(&mut id).ok()?;
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::from_str(&format!("req_{hex}")).ok()
    }

    /// Ids by which an application's request can be told from others.
    fn name(&self, headers: &mut HeaderMap) {
        let [openai, anthropic] = REQUEST_ID;
        if let Some(id) = headers.get(&openai).cloned().or_else(|| self.id()) {
            headers.entry(openai).or_insert_with(|| id.clone());
            headers.insert(anthropic, id);
        }
    }
}

/// The API in which a request is answered. Models, and what is not served, are asked for by clients of each.
fn dialect<T>(request: &Request<T>) -> Dialect {
    let path = request.uri().path();
    let of_path = Dialect::of_path(path);
    let is_told = of_path != Dialect::OpenAi || Api::ALL.iter().any(|api| api.path() == path);
    if !is_told && path.starts_with("/v1/") && request.headers().contains_key(ANTHROPIC_VERSION) {
        Dialect::Messages
    } else {
        of_path
    }
}

/// An error as the application sees it.
fn refusal(dialect: Dialect, error: &ApiError, id: Option<HeaderValue>) -> Response<Body> {
    let status = StatusCode::from_u16(dialect.status(error));
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = id.as_ref().and_then(|id| id.to_str().ok());
    let mut response = json(status, dialect.error_body(error, text));
    let headers = response.headers_mut();
    if let Some(id) = id {
        let [name, _] = REQUEST_ID;
        headers.insert(name, id);
    }
    if let Some(retry) = error.retry {
        let value = if retry { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(value));
    }
    if let Some(after) = &error.retry_after
        && let Ok(value) = HeaderValue::from_str(after)
    {
        headers.insert(RETRY_AFTER, value);
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110, section 15.5.22: what would be understood instead.
        headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
    }
    response
}

fn unknown(request: Request<Incoming>) -> ApiError {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    discard(request.into_body());
    if path.starts_with("/v1/responses/") {
        return ApiError::invalid_request(
            404,
            "not_found",
            "this proxy keeps no responses: send the whole conversation with each request",
        );
    }
    let posts = Api::ALL.map(Api::path).into_iter();
    let posts = posts.chain(Count::ALL.map(Count::path));
    let posts = posts.collect::<Vec<_>>().join(", ");
    ApiError::invalid_request(
        404,
        "unknown_url",
        format!(
            "{method} {path} is not served by this proxy; it takes POST {posts} and GET {MODELS}, {ATTESTATION}, {STATUS}"
        ),
    )
}

fn reply(value: &serde_json::Value) -> Response<Body> {
    json(StatusCode::OK, value.to_string().into_bytes())
}

/// A path's part with its percent-encoding undone; names of models have slashes.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let escaped = (*byte == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Paths that model servers have refused.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<(&'static str, String), Instant>>);

impl Refusals {
    pub(super) fn holds(&self, api: Api, model: &str) -> bool {
        lock(&self.0)
            .get(&(api.name(), model.to_owned()))
            .is_some_and(|at| at.elapsed() < REFUSAL)
    }

    pub(super) fn note(&self, api: Api, model: &str) {
        let mut refused = lock(&self.0);
        refused.retain(|_, at| at.elapsed() < REFUSAL);
        refused.insert((api.name(), model.to_owned()), Instant::now());
    }
}

/// Warnings that were given.
#[derive(Default)]
pub(super) struct Warned(Mutex<HashSet<(String, String)>>);

impl Warned {
    /// Whether this is the first of its kind.
    pub(super) fn first(&self, model: &str, name: &str) -> bool {
        let mut given = lock(&self.0);
        given.len() < MAX_WARNED && given.insert((model.to_owned(), name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_anthropics_api_is_known_where_the_path_does_not_tell() {
        let of = |path: &str, version: bool| {
            let mut request = Request::builder().uri(path);
            if version {
                request = request.header(ANTHROPIC_VERSION, "2023-06-01");
            }
            dialect(&request.body(()).expect("a request"))
        };
        for (path, version, expected) in [
            ("/v1/models/x", true, Dialect::Messages),
            ("/v1/models", true, Dialect::Messages),
            ("/v1/complete", true, Dialect::Messages),
            ("/v1/models/x", false, Dialect::OpenAi),
            ("/v1/chat/completions", true, Dialect::OpenAi),
            ("/v1/responses", true, Dialect::Responses),
            ("/v1/messages", false, Dialect::Messages),
            ("/readyz", true, Dialect::OpenAi),
        ] {
            assert_eq!(of(path, version), expected, "{path}");
        }
    }

    #[test]
    fn escapes_in_a_path_are_undone() {
        for (part, name) in [
            ("org%2Fmodel", "org/model"),
            ("org/model", "org/model"),
            ("a%zz%2", "a%zz%2"),
            ("%C3%A9", "é"),
        ] {
            assert_eq!(decoded(part), name);
        }
    }
}
