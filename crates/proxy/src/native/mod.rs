//! The native profile (spec/http.md): discovery of bundles, a handshake for each attempt, a sealed request, a sealed answer.

mod answer;
mod attempt;
mod bundles;
mod error;
mod identities;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use sealwire::{Context, CryptoProvider, RelayCode};
use sealwire_http::carriage::to_base64url;
use sealwire_http::inner::{PADDING_FIELD, REQUEST_FIELDS, TIME_FIELD};
use sealwire_http::message::{Fields, RequestHead, encode_content, encode_end};
use sealwire_http::net::HttpClient;
use sealwire_http::openai::ApiError;
use sealwire_http::problem::Problem;
use sealwire_http::profile::Profile;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::attempt::Established;
use self::bundles::Bundles;
use self::error::ProxyError;
pub(crate) use self::identities::Identities;
use crate::api::MODELS;
use crate::backend::{About, Answered, Backend, Question, Usable};
use crate::{ProxyConfig, unix_now};

/// Largest model list of a relay.
const MAX_MODELS: usize = 1_024 * 1_024;
/// Pause before another attempt at a busy instance, times the attempt's number.
const BUSY_PAUSE: Duration = Duration::from_millis(150);

pub(crate) struct Native {
    config: ProxyConfig,
    provider: CryptoProvider,
    client: HttpClient,
    bundles: Arc<Bundles>,
}

impl Backend for Native {
    type Source = answer::Reader;

    async fn ask(&self, question: &Question) -> Result<Answered<answer::Reader>, ApiError> {
        self.answer(question).await.map_err(|error| error.to_api())
    }

    async fn models(&self, key: Option<&str>) -> Result<Value, ApiError> {
        self.model_list(key).await.map_err(|error| error.to_api())
    }

    async fn verify(&self, model: &str, key: Option<&str>) -> Result<Usable, ApiError> {
        let bundle = self.bundles.get(&self.config, model, key, &[]);
        let limit = self.config.limits.handshake_time;
        match timeout(limit, bundle).await {
            Ok(Ok(bundle)) => Ok(Usable::Trusted(to_base64url(&bundle.bundle().identity()))),
            Ok(Err(error)) => Err(error.to_api()),
            Err(_) => Err(ProxyError::HandshakeTimeout(limit.as_secs()).to_api()),
        }
    }

    fn document(&self) -> Value {
        self.bundles.document(&self.config)
    }

    fn about(&self) -> About {
        About {
            profile: Profile::Native,
            relay: vec![self.config.relay.clone()],
        }
    }
}

impl Native {
    /// `identities` judges where the configuration's trust is evidence.
    pub(crate) fn new(
        config: ProxyConfig,
        provider: CryptoProvider,
        client: HttpClient,
        identities: Option<Arc<Identities>>,
    ) -> Self {
        let bundles = Arc::new(Bundles::new(provider, client.clone(), identities));
        tokio::spawn(Bundles::tend(Arc::downgrade(&bundles), config.clone()));
        Self {
            bundles,
            config,
            provider,
            client,
        }
    }

    async fn model_list(&self, key: Option<&str>) -> Result<Value, ProxyError> {
        let deadline = self.config.limits.handshake_time;
        let (status, body) = timeout(
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
        serde_json::from_slice(&body).map_err(|_| ProxyError::NotRelay {
            status: status.as_u16(),
            why: "no model list".to_owned(),
        })
    }

    async fn answer(&self, question: &Question) -> Result<Answered<answer::Reader>, ProxyError> {
        let limits = &self.config.limits;
        let message = self.message(question);
        let deadline = Instant::now() + limits.handshake_time;
        let establish = self.establish(&question.model, question, &message);
        let established =
            timeout_at(deadline, establish)
                .await
                .unwrap_or(Err(ProxyError::HandshakeTimeout(
                    limits.handshake_time.as_secs(),
                )))?;
        answer::begin(established, self.provider.verification, limits.answer_idle).await
    }

    /// Attempts until H2 is verified, each with a handshake of its own.
    async fn establish(
        &self,
        label: &str,
        question: &Question,
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
            let result = self.attempt(label, question, message, request_id, number, &mut tried);
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
        question: &Question,
        message: &Bytes,
        request_id: [u8; 16],
        number: u8,
        tried: &mut Vec<[u8; 16]>,
    ) -> Result<Established, ProxyError> {
        let key = question.key.as_deref();
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
            question.padding.unwrap_or(self.config.padding),
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
        let _ = fields.push(
            PADDING_FIELD,
            question
                .padding
                .unwrap_or(self.config.padding)
                .as_str()
                .as_bytes(),
        );
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
