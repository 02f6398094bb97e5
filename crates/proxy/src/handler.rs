//! What applications may ask of the proxy, and the attempts behind one question.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use sealwire::{Context, CryptoProvider, RelayCode};
use sealwire_http::carriage::HEALTH_PATH;
use sealwire_http::inner::{PADDING_FIELD, REQUEST_FIELDS, TIME_FIELD};
use sealwire_http::message::{Fields, RequestHead, encode_content, encode_end};
use sealwire_http::net::{Body, Handler, HttpClient, Incoming, json, text};
use sealwire_http::openai::ApiError;
use sealwire_http::problem::Problem;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer;
use crate::attempt::{self, Established};
use crate::bundles::{self, Bundles};
use crate::error::ProxyError;
use crate::front::{
    ATTESTATION, Front, MODELS, POSTS, Question, read_question, refusal, unknown_url,
};
use crate::identities::Identities;
use crate::{ProxyConfig, unix_now};

/// Largest model list of a relay.
const MAX_MODELS: usize = 1_024 * 1_024;
/// Pause before another attempt at a busy instance, times the attempt's number.
const BUSY_PAUSE: Duration = Duration::from_millis(150);

pub(crate) struct Proxy {
    config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
    bundles: Bundles,
    front: Front,
}

impl Handler for Proxy {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        match self.route(request).await {
            Ok(response) => response,
            Err(error) => refusal(&error),
        }
    }
}

impl Proxy {
    pub(crate) fn new(
        config: ProxyConfig,
        provider: CryptoProvider,
        client: HttpClient,
        identities: Option<Arc<Identities>>,
    ) -> Self {
        Self {
            bundles: Bundles::new(provider, client.clone(), identities),
            front: Front::new(
                provider.verification,
                config.app_key.as_deref(),
                config.allow_remote,
                config.relay_key.clone(),
                config.forward_key,
            ),
            config,
            provider,
            client,
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
        let request = self.front.admit(request)?;
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, HEALTH_PATH) => Ok(text(StatusCode::OK, "ok\n")),
            (&Method::GET, MODELS) => {
                let key = self.front.relay_key(request.headers());
                self.models(key.as_deref())
                    .await
                    .map_err(|error| error.to_api())
            }
            (&Method::GET, ATTESTATION) => Ok(json(
                StatusCode::OK,
                self.bundles.document(&self.config).to_string().into_bytes(),
            )),
            (&Method::POST, post) if POSTS.contains(&post) => self.ask(request).await,
            _ => Err(unknown_url(request)),
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

    async fn ask(&self, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
        let limits = &self.config.limits;
        let question = read_question(request, limits.request_bytes, limits.request_idle).await?;
        let label = question.model.clone();
        let key = self.front.relay_key(&question.headers);
        let message = self.message(&question);
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
                self.bundles.offer(&self.config, label, key, bytes);
            }
        }
        result
    }

    /// The whole inner message: head, content, end. Nothing of the application's headers passes but a few.
    fn message(&self, question: &Question) -> Bytes {
        let Question {
            path,
            headers,
            content,
            ..
        } = question;
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
            path: path.clone(),
            fields,
        };
        let mut message = Vec::with_capacity(content.len() + 1_024);
        // The path is one of three constants.
        let _ = head.encode(&mut message);
        encode_content(content, &mut message);
        encode_end(&mut message);
        message.into()
    }
}
