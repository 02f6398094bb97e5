//! The HTTP side of an instance: discovery, health, and the door of sealed requests.

use std::sync::Arc;

use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode};
use sealwire::handshake::{ParsedRequest, RequestProgress};
use sealwire::{Context, CryptoProvider, Error, Limits, RelayCode};
use sealwire_http::carriage::{
    BUNDLES_PATH, EVIDENCE_PATH, HEALTH_PATH, INSTANCE_PATH, REQUEST_MEDIA_TYPE, REQUESTS_PATH,
    check_media_type, context_bytes, response_headers, to_base64url,
};
use sealwire_http::chutes::Uuid;
use sealwire_http::discovery::{BundleQuery, InstanceInfo, bundles_to_json};
use sealwire_http::evidence::EvidenceQuery;
use sealwire_http::net::{
    Body, HttpClient, Incoming, ReadError, channel, detail, discard, json, next_data_by, problem,
    problem_with_status, text, warn,
};
use sealwire_http::problem::Problem;
use sealwire_http::profile::Profile;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::chutes::Chutes;
use crate::evidence::Evidence;
use crate::keys::Keys;
use crate::stream::{self, Stream};
use crate::{InstanceConfig, StartError};

/// Pieces of an answer that wait for the relay at most.
pub(crate) const ANSWER_BACKLOG: usize = 4;

pub(crate) struct Handler {
    config: Arc<InstanceConfig>,
    keys: Arc<Keys>,
    client: HttpClient,
    streams: Arc<Semaphore>,
    evidence: Option<Arc<Evidence>>,
    native: bool,
    chutes: Option<Chutes>,
}

impl sealwire_http::net::Handler for Handler {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, HEALTH_PATH) => text(StatusCode::OK, "ok\n"),
            (&Method::POST, REQUESTS_PATH) if self.native => self.sealed(request).await,
            (&Method::GET, BUNDLES_PATH) if self.native => {
                self.bundles(request.uri().query().unwrap_or(""))
            }
            (&Method::GET, INSTANCE_PATH) if self.native => self.describe(),
            (&Method::GET, EVIDENCE_PATH) if self.native => {
                self.evidence(request.uri().query().unwrap_or("")).await
            }
            _ => self.other(request).await,
        }
    }
}

impl Handler {
    pub(crate) fn new(
        config: InstanceConfig,
        provider: CryptoProvider,
        keys: Arc<Keys>,
        client: HttpClient,
        evidence: Option<Arc<Evidence>>,
    ) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let streams = config.limits.streams.min(Semaphore::MAX_PERMITS);
        let streams = Arc::new(Semaphore::new(streams));
        let chutes = if config.profiles.contains(&Profile::ChutesV1) {
            Some(Chutes::new(
                Arc::clone(&config),
                provider,
                client.clone(),
                Arc::clone(&streams),
                evidence.clone(),
            )?)
        } else {
            None
        };
        Ok(Self {
            native: config.profiles.contains(&Profile::Native),
            chutes,
            evidence,
            streams,
            config,
            keys,
            client,
        })
    }

    pub(crate) fn instance_id(&self) -> Option<Uuid> {
        self.chutes.as_ref().map(Chutes::id)
    }

    /// What is not of the native profile.
    async fn other(&self, request: Request<Incoming>) -> Response<Body> {
        let request = match &self.chutes {
            Some(chutes) => match chutes.answer(request).await {
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
            "an instance serves sealed requests and discovery only",
        );
        problem_with_status(&unknown, StatusCode::NOT_FOUND)
    }

    fn describe(&self) -> Response<Body> {
        let info = InstanceInfo {
            identity: to_base64url(&self.keys.identity().public_key()),
            labels: self.keys.labels().map(str::to_owned).collect(),
            suites: self
                .keys
                .suites()
                .iter()
                .map(|suite| suite.to_u16())
                .collect(),
        };
        // Strings and numbers: serialising them cannot fail.
        json(
            StatusCode::OK,
            serde_json::to_vec(&info).unwrap_or_default(),
        )
    }

    fn bundles(&self, query: &str) -> Response<Body> {
        let Some(query) = BundleQuery::from_query(query) else {
            return problem(&Problem::new(
                RelayCode::Refused,
                "expected ?label=NAME[&single_use=true][&suite=N]",
            ));
        };
        match self.keys.bundles(&query) {
            None => problem_with_status(
                &Problem::new(RelayCode::KeyUnknown, "this label is not served here"),
                StatusCode::NOT_FOUND,
            ),
            Some(Err(error)) => problem(&Problem::new(error.relay_code(), error.to_string())),
            Some(Ok(bundles)) => json(
                StatusCode::OK,
                bundles_to_json(bundles.iter().map(sealwire::Bundle::as_bytes)),
            ),
        }
    }

    async fn evidence(&self, query: &str) -> Response<Body> {
        let Some(evidence) = &self.evidence else {
            let none = Problem::new(
                RelayCode::Refused,
                "this instance has no evidence; clients must pin its identity",
            );
            return problem_with_status(&none, StatusCode::NOT_FOUND);
        };
        let Some(query) = EvidenceQuery::from_query(query) else {
            return problem(&Problem::new(
                RelayCode::Refused,
                "expected [?identity=32 BYTES][&nonce=32 BYTES], base64url",
            ));
        };
        let own = self.keys.identity().public_key();
        if query.identity.is_some_and(|wanted| wanted != own) {
            return problem_with_status(
                &Problem::new(RelayCode::KeyUnknown, "this identity is not held here"),
                StatusCode::NOT_FOUND,
            );
        }
        match evidence.native(query.nonce).await {
            Ok(document) => json(StatusCode::OK, document.into()),
            Err(error) => {
                let refusal = error.to_problem();
                if refusal.code == RelayCode::Internal {
                    warn(&format!("no evidence: {error}"));
                }
                problem(&refusal)
            }
        }
    }

    async fn sealed(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        match self.admit(&parts.headers, &mut body).await {
            Ok((stream, permit)) => {
                let (sender, answer) = channel(ANSWER_BACKLOG);
                tokio::spawn(async move {
                    stream::run(stream, body, sender).await;
                    drop(permit);
                });
                let mut response = Response::new(answer);
                *response.headers_mut() = response_headers();
                response
            }
            Err(refusal) => {
                discard(body);
                problem(&refusal)
            }
        }
    }

    /// Everything before H2, in the order of protocol.md section 5.4.
    async fn admit(
        &self,
        headers: &http::HeaderMap,
        body: &mut Incoming,
    ) -> Result<(Stream, tokio::sync::OwnedSemaphorePermit), Problem> {
        let refused = |why: String| Problem::new(RelayCode::Refused, why);
        check_media_type(headers, REQUEST_MEDIA_TYPE)
            .map_err(|error| refused(error.to_string()))?;
        let context = context_bytes(headers).map_err(|error| refused(error.to_string()))?;

        let mut buffer = BytesMut::new();
        let time = self.config.limits.handshake_time;
        let deadline = Instant::now() + time;
        let request = loop {
            match ParsedRequest::read(&buffer) {
                Ok(RequestProgress::Done { consumed, request }) => {
                    let _ = buffer.split_to(consumed);
                    break request;
                }
                Ok(_) => {}
                Err(error) => return Err(uniform(error)),
            }
            match next_data_by(body, deadline, time).await {
                Ok(Some(data)) => buffer.extend_from_slice(&data),
                Ok(None) | Err(ReadError::Broken(_)) => return Err(uniform(Error::Truncated)),
                Err(error) => return Err(refused(error.to_string())),
            }
        };

        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            return Err(Problem::new(
                RelayCode::Busy,
                "all streams of this instance are taken; try again later",
            ));
        };
        let suite = request.suite();
        // Padding may multiply small pieces; what counts is the content, which the message's bound holds.
        let limits = Limits::DEFAULT.with_max_bytes(
            u64::try_from(self.config.limits.request_bytes)
                .unwrap_or(u64::MAX)
                .saturating_mul(4)
                .saturating_add(1 << 20),
        );
        let mut h2 = Vec::new();
        match self.keys.accept(request, &context, &limits, &mut h2) {
            Ok(accepted) => Ok((
                Stream {
                    config: Arc::clone(&self.config),
                    keys: Arc::clone(&self.keys),
                    client: self.client.clone(),
                    accepted,
                    h2,
                    rest: buffer,
                },
                permit,
            )),
            Err(error) => {
                let fresh = (error.relay_code() == RelayCode::KeyUnknown)
                    .then(|| self.fresh_bundle(&context, suite.to_u16()))
                    .flatten();
                Err(uniform(error).with_bundle(fresh))
            }
        }
    }

    /// The multi-use bundle that goes with `key-unknown`, if the label is served.
    fn fresh_bundle(&self, context: &[u8], suite: u16) -> Option<Vec<u8>> {
        let query = BundleQuery {
            label: Context::parse(context).ok()?.label().to_owned(),
            single_use: false,
            suite: Some(suite),
        };
        let bundles = self.keys.bundles(&query)?.ok()?;
        bundles.first().map(|bundle| bundle.as_bytes().to_vec())
    }
}

/// What a handshake's fault looks like from outside: causes that share a code share the text too.
fn uniform(error: Error) -> Problem {
    let code = error.relay_code();
    let detail = match code {
        RelayCode::KeyUnknown => {
            "the key of this bundle is not held any more; use the fresh bundle"
        }
        RelayCode::Replayed => "this handshake was accepted before",
        RelayCode::Refused => "the handshake was refused",
        RelayCode::Busy => "no capacity; try again later",
        _ => "the instance failed",
    };
    Problem::new(code, detail)
}
