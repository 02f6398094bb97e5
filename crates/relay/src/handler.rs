//! The HTTP side of a relay.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::rustcrypto::verification;
use sealwire::{Context, RelayCode};
use sealwire_http::access::Access;
use sealwire_http::carriage::{
    BUNDLES_PATH, EVIDENCE_PATH, HEALTH_PATH, REQUEST_MEDIA_TYPE, REQUESTS_PATH,
    RESPONSE_MEDIA_TYPE, USAGE_PATH, check_media_type, context_bytes, request_headers,
    response_headers, to_base64url,
};
use sealwire_http::discovery::{BundleQuery, bundles_to_json};
use sealwire_http::net::{
    Body, ClientError, HttpClient, Incoming, channel, detail, discard, json, next_data_by, problem,
    problem_with_status, read_all, text,
};
use sealwire_http::openai::model_list;
use sealwire_http::problem::{PROBLEM_MEDIA_TYPE, Problem};
use sealwire_http::profile::Profile;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::answer::Answer;
use crate::chutes::{self, Chutes};
use crate::evidence::Evidence;
use crate::forward::{self, Faults};
use crate::ledger::{Account, Ledger};
use crate::meter::Meter;
use crate::registry::{Registry, Route};
use crate::{RelayConfig, cors};

/// The list of labels in the shape of the OpenAI API.
pub(crate) const MODELS_PATH: &str = "/v1/models";
/// Pieces of a request that wait for a slow instance at most.
pub(crate) const BACKLOG: usize = 4;
/// Largest problem document of an instance.
const MAX_PROBLEM: usize = 64 * 1_024;

pub(crate) struct Handler {
    config: RelayConfig,
    access: Access,
    registry: Arc<Registry>,
    ledger: Arc<Ledger>,
    client: HttpClient,
    streams: Arc<Semaphore>,
    evidence: Evidence,
    native: bool,
    chutes: Option<Chutes>,
}

/// A request whose H1 is read and whose instance is known.
struct Routed {
    request: ParsedRequest,
    context: Context,
    context_bytes: Vec<u8>,
    route: Route,
    /// H1 and what came behind it.
    first: BytesMut,
}

impl sealwire_http::net::Handler for Handler {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let allowed = &self.config.cors_origins;
        let verdict = cors::judge(allowed, request.uri().path(), request.headers());
        let answer = match verdict.preflight(request.method(), request.headers()) {
            Some(answer) => {
                discard(request.into_body());
                answer
            }
            None => self.answer(request).await,
        };
        verdict.mark(answer)
    }
}

impl Handler {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if request.method() == Method::GET && path == HEALTH_PATH {
            return text(StatusCode::OK, "ok\n");
        }
        let key = match self.access.check(request.headers()) {
            Ok(key) => key,
            Err(denied) => {
                let chutes = !self.native || chutes::serves(path);
                discard(request.into_body());
                return if self.chutes.is_some() && chutes {
                    detail(StatusCode::UNAUTHORIZED, denied.to_string())
                } else {
                    problem(&Problem::new(RelayCode::Auth, denied.to_string()))
                };
            }
        };
        match (request.method(), path) {
            (&Method::POST, REQUESTS_PATH) if self.native => self.sealed(request, key).await,
            (&Method::GET, BUNDLES_PATH) if self.native => self.bundles(&query_of(request)).await,
            (&Method::GET, EVIDENCE_PATH) if self.native => self.evidence(&query_of(request)).await,
            (&Method::GET, MODELS_PATH) => {
                let labels = self.registry.labels();
                let list = match &self.chutes {
                    Some(chutes) => chutes.models(&labels),
                    None => model_list(labels.iter().map(String::as_str)),
                };
                json(StatusCode::OK, list.to_string().into_bytes())
            }
            (&Method::GET, USAGE_PATH) => json(
                StatusCode::OK,
                self.ledger.to_json(&key).to_string().into_bytes(),
            ),
            _ => {
                let request = match &self.chutes {
                    Some(chutes) => match chutes.answer(request, &key).await {
                        Ok(answer) => return answer,
                        Err(request) => request,
                    },
                    None => request,
                };
                discard(request.into_body());
                if !self.native {
                    return detail(StatusCode::NOT_FOUND, "Not Found");
                }
                let unknown = Problem::new(
                    RelayCode::Refused,
                    "a relay takes sealed requests only; applications speak to a sealwire proxy or SDK",
                );
                problem_with_status(&unknown, StatusCode::NOT_FOUND)
            }
        }
    }

    pub(crate) fn new(config: RelayConfig, registry: Arc<Registry>, client: HttpClient) -> Self {
        let streams = config.limits.streams.min(Semaphore::MAX_PERMITS);
        let streams = Arc::new(Semaphore::new(streams));
        let ledger = Arc::new(Ledger::default());
        let chutes = config.profiles.contains(&Profile::ChutesV1).then(|| {
            Chutes::new(
                &config,
                Arc::clone(&registry),
                Arc::clone(&ledger),
                client.clone(),
                Arc::clone(&streams),
            )
        });
        Self {
            access: Access::new(verification(), config.api_keys.iter().map(String::as_str)),
            evidence: Evidence::new(client.clone()),
            native: config.profiles.contains(&Profile::Native),
            chutes,
            streams,
            config,
            registry,
            ledger,
            client,
        }
    }

    async fn bundles(&self, query: &str) -> Response<Body> {
        let Some(query) = BundleQuery::from_query(query) else {
            return problem(&Problem::new(
                RelayCode::Refused,
                "expected ?label=NAME[&single_use=true][&suite=N]",
            ));
        };
        match self.registry.bundles(&query).await {
            Ok(bundles) => json(
                StatusCode::OK,
                bundles_to_json(bundles.iter().map(Vec::as_slice)),
            ),
            Err(unknown) if unknown.code == RelayCode::KeyUnknown => {
                problem_with_status(&unknown, StatusCode::NOT_FOUND)
            }
            Err(error) => problem(&error),
        }
    }

    async fn evidence(&self, query: &str) -> Response<Body> {
        match self.evidence.fetch(&self.registry, query).await {
            Ok(answer) => answer,
            Err(unknown) if unknown.code == RelayCode::KeyUnknown => {
                problem_with_status(&unknown, StatusCode::NOT_FOUND)
            }
            Err(refusal) => problem(&refusal),
        }
    }

    async fn sealed(&self, request: Request<Incoming>, key: String) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            discard(body);
            return problem(&Problem::new(
                RelayCode::Busy,
                "all streams of this relay are taken; try again later",
            ));
        };
        match self.read_h1(&parts.headers, &mut body).await {
            Ok(routed) => self.forward(routed, body, key, permit).await,
            Err(refusal) => {
                discard(body);
                problem(&refusal)
            }
        }
    }

    async fn read_h1(&self, headers: &HeaderMap, body: &mut Incoming) -> Result<Routed, Problem> {
        let refused = |why: String| Problem::new(RelayCode::Refused, why);
        let limits = &self.config.limits;
        check_media_type(headers, REQUEST_MEDIA_TYPE)
            .map_err(|error| refused(error.to_string()))?;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limits.request_bytes) {
            return Err(self.too_large());
        }
        let context_bytes = context_bytes(headers).map_err(|error| refused(error.to_string()))?;
        let context = Context::parse(&context_bytes).map_err(|error| refused(error.to_string()))?;

        let mut first = BytesMut::new();
        let deadline = Instant::now() + limits.handshake_time;
        let request = loop {
            match ParsedRequest::read(&first) {
                Ok(RequestProgress::Done { request, .. }) => break request,
                Ok(_) => {}
                Err(error) => return Err(refused(error.to_string())),
            }
            match next_data_by(body, deadline, limits.handshake_time).await {
                Ok(Some(data)) => first.extend_from_slice(&data),
                Ok(None) => return Err(refused("the handshake is not whole".to_owned())),
                Err(error) => return Err(refused(error.to_string())),
            }
        };
        let Some(route) = self.registry.route(&request.bundle_id()) else {
            let query = BundleQuery {
                label: context.label().to_owned(),
                single_use: false,
                suite: Some(request.suite().to_u16()),
            };
            let fresh = match self.registry.bundles(&query).await {
                Ok(fresh) => fresh,
                // Not reached yet, or not any more: a new attempt may find it.
                Err(problem) if problem.code == RelayCode::Gone => return Err(problem),
                Err(_) => Vec::new(),
            };
            return Err(Problem::new(
                RelayCode::KeyUnknown,
                "the bundle of this handshake is not known; use the fresh one",
            )
            .with_bundle(fresh.into_iter().next()));
        };
        if route.bundle.label != context.label() || route.bundle.suite != request.suite() {
            return Err(refused("the handshake does not fit its bundle".to_owned()));
        }
        Ok(Routed {
            request,
            context,
            context_bytes,
            route,
            first,
        })
    }

    async fn forward(
        &self,
        routed: Routed,
        body: Incoming,
        key: String,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let limits = self.config.limits;
        let instance = routed.route.instance;
        let Some(uri) = self
            .registry
            .url(instance)
            .and_then(|url| url.join(REQUESTS_PATH).ok())
        else {
            discard(body);
            return problem(&Problem::new(RelayCode::Internal, "no address"));
        };
        let (to_instance, request_body) = channel(BACKLOG);
        let sent = Arc::new(AtomicU64::new(0));
        let (too_large_said, mut too_large) = watch::channel(false);
        tokio::spawn(forward::up(
            body,
            to_instance,
            routed.first.freeze(),
            limits.request_bytes,
            limits.idle,
            Arc::clone(&sent),
            Faults {
                too_large: too_large_said,
                cut: None,
            },
        ));
        let mut request = Request::new(request_body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = request_headers(&routed.context_bytes);
        let answered = tokio::select! {
            answered = timeout(limits.instance_time, self.client.send(request)) => answered,
            () = forward::said(&mut too_large) => return problem(&self.too_large()),
        };
        let response = match answered {
            Ok(Ok(response)) => response,
            failed => {
                match failed {
                    // A broken exchange says little about the instance; whether it is away is for it to show.
                    Ok(Err(ClientError::Broken(_))) => self.registry.look_again(instance),
                    _ => self.registry.mark_down(instance),
                }
                return problem(&Problem::new(
                    RelayCode::Gone,
                    "the instance is not reachable",
                ));
            }
        };
        let sealed = response.status() == StatusCode::OK
            && check_media_type(response.headers(), RESPONSE_MEDIA_TYPE).is_ok();
        if !sealed {
            return problem(&self.refusal(instance, response).await);
        }
        let account = Account {
            key,
            billing: routed
                .context
                .billing()
                .map_or_else(String::new, billing_text),
            label: routed.context.label().to_owned(),
        };
        let meter = Meter::new(
            Arc::clone(&self.ledger),
            account,
            routed.request,
            routed.context,
            routed.context_bytes,
            routed.route.bundle,
        );
        let answer = Answer {
            from: response.into_body(),
            passage: meter,
            sent,
            _permit: permit,
        };
        let mut response = Response::new(answer.into_body(limits.idle, too_large));
        *response.headers_mut() = response_headers();
        response
    }

    fn too_large(&self) -> Problem {
        Problem::new(
            RelayCode::TooLarge,
            format!(
                "this relay takes at most {} bytes",
                self.config.limits.request_bytes
            ),
        )
    }

    /// An instance's refusal, read and said again in the relay's own words where it is not of the closed list.
    async fn refusal(&self, instance: usize, response: Response<Incoming>) -> Problem {
        let is_problem = check_media_type(response.headers(), PROBLEM_MEDIA_TYPE).is_ok();
        let mut body = response.into_body();
        let document = read_all(&mut body, MAX_PROBLEM, self.config.limits.instance_time).await;
        let refusal = document
            .ok()
            .filter(|_| is_problem)
            .and_then(|document| Problem::from_json(&document));
        match refusal {
            Some(refusal) => {
                if let Some(bundle) = &refusal.bundle {
                    self.registry.learn(instance, bundle);
                }
                refusal
            }
            None => Problem::new(
                RelayCode::Internal,
                "the instance answered with something that is not of this protocol",
            ),
        }
    }
}

/// The query of a request without a body; one that came is not kept while others are asked.
fn query_of(request: Request<Incoming>) -> String {
    let query = request.uri().query().unwrap_or("").to_owned();
    discard(request.into_body());
    query
}

/// A billing handle in a report: as it is if it is printable, else base64url.
fn billing_text(handle: &[u8]) -> String {
    match std::str::from_utf8(handle) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => to_base64url(handle),
    }
}
