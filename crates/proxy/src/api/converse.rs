//! One question: which model is meant, how it is asked, asked again where the model server would have it otherwise, and the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use sealwire_dialects::clamp::{self, Overflow};
use sealwire_dialects::{Moment, Settings, upstream};
use sealwire_http::net::{Body, Incoming, channel, full, warn};
use sealwire_http::openai::ApiError;
use tokio::time::timeout;

use super::prepare::{self, Api, Form, Prepared};
use super::pump::{Outlet, Unfit};
use super::read::{Read, read};
use super::recent::Follow;
use super::service::Inner;
use crate::apps::{ApiMode, Named};
use crate::backend::{Answered, Backend, Next, Question, Source};
use crate::unix_now;

/// Pieces of a streamed answer that wait for the application.
const WAITING: usize = 8;
/// Statuses by which a model server says that it does not serve a path.
const NO_SUCH_PATH: [u16; 4] = [403, 404, 405, 501];

/// An answer whose form is known.
enum Answer<S> {
    Stream(Answered<S>, Form),
    Whole(Whole, Form),
}

struct Whole {
    status: StatusCode,
    fields: HeaderMap,
    content: Bytes,
}

/// A question with everything that asking it again needs.
struct Conversation {
    api: Api,
    /// With the model as the application names it.
    content: Bytes,
    headers: HeaderMap,
    key: Option<String>,
    /// The model as the relay knows it.
    model: String,
    moment: Moment,
}

impl<B: Backend> Inner<B> {
    /// Answers a request of an API that asks a model.
    ///
    /// # Errors
    /// What the application is told.
    pub(super) async fn converse(
        self: &Arc<Self>,
        api: Api,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let key = self.front.relay_key(request.headers());
        let read = read(request, self.limits.request_bytes, self.limits.request_idle).await?;
        let follow = self.recent.follow(api.name(), read.content.len());
        let result = self.answer(api, read, key, &follow).await;
        match result {
            Ok(Ready::Response(response)) => {
                follow.status(response.status().as_u16());
                Ok(response)
            }
            Ok(Ready::Stream(outlet)) => Ok(outlet(follow)),
            Err(error) => {
                follow.status(api.dialect().status(&error));
                follow.failed(&error.code);
                Err(error)
            }
        }
    }

    async fn answer(
        self: &Arc<Self>,
        api: Api,
        read: Read,
        key: Option<String>,
        follow: &Follow,
    ) -> Result<Ready, ApiError> {
        let conversation = self.conversation(api, read, key)?;
        follow.model(&conversation.model);
        let prepared = self.prepare(&conversation).await?;
        let keep_alive = self.apps.keep_alive;
        if !prepared.stream {
            let answer = self.ask(conversation, prepared).await?;
            return self.written(answer, follow).await;
        }
        let writer = prepared.form.writer();
        let this = Arc::clone(self);
        let mut asking = Box::pin(async move { this.ask(conversation, prepared).await });
        if let Ok(answer) = timeout(keep_alive, &mut asking).await {
            return self.written(answer?, follow).await;
        }
        // From here on the status is 200, and what goes wrong is said inside the stream.
        let (sender, body) = channel(WAITING);
        Ok(Ready::Stream(Box::new(move |follow: Follow| {
            follow.status(200);
            let mut outlet = Outlet::new(writer, sender, keep_alive, follow);
            tokio::spawn(async move {
                if outlet.begin().await.is_err() || outlet.show_life().await.is_err() {
                    return;
                }
                match outlet.wait(asking).await {
                    Err(_) => {}
                    Ok(Ok(Answer::Stream(answered, form))) => match outlet.adopt(&form).await {
                        Ok(()) => outlet.carry(answered.source).await,
                        Err(Unfit::Gone) => {}
                        Err(Unfit::Begun(error)) => outlet.fail(&error).await,
                    },
                    Ok(Ok(Answer::Whole(whole, _))) => outlet.fail(&whole.error()).await,
                    Ok(Err(error)) => outlet.fail(&error).await,
                }
            });
            event_stream(StatusCode::OK, HeaderMap::new(), body)
        })))
    }

    fn conversation(
        &self,
        api: Api,
        read: Read,
        key: Option<String>,
    ) -> Result<Conversation, ApiError> {
        let Named { asked, model } = self.apps.named(read.model)?;
        let mut seed = [0; 16];
        self.random
            .fill(&mut seed)
            .map_err(|_| ApiError::server_error(500, "local_crypto", "no random bytes"))?;
        Ok(Conversation {
            api,
            content: prepare::named(&read.content, &asked)?,
            headers: read.headers,
            key,
            model,
            moment: Moment {
                unix: unix_now(),
                seed,
            },
        })
    }

    async fn prepare(&self, of: &Conversation) -> Result<Prepared, ApiError> {
        if !of.api.is_translated() {
            let salt = self.apps.cache_salt.as_deref();
            return prepare::passed(of.api, &of.content, &of.model, salt);
        }
        let settings = self.settings(&of.model, of.key.as_deref()).await;
        let native = match self.apps.settings(&of.model).api_mode {
            ApiMode::Translate => false,
            ApiMode::Native => true,
            ApiMode::Auto => !self.refusals.holds(of.api, &of.model),
        };
        let prepared = if native {
            prepare::native(of.api, &of.content, &of.model, &settings)
        } else {
            prepare::translated(of.api, &of.content, &of.model, &settings, of.moment)
        }?;
        for name in &prepared.dropped {
            if self.warned.first(&of.model, name) {
                warn(&format!(
                    "{}: left out of requests for {:?}: {name}",
                    of.api.name(),
                    of.model
                ));
            }
        }
        Ok(prepared)
    }

    /// What a translation must know of a model.
    pub(super) async fn settings(&self, model: &str, key: Option<&str>) -> Settings {
        let of_model = self.apps.settings(model);
        let max_model_len = match of_model.max_model_len {
            Some(length) => Some(length),
            None => self.catalogs.get(&self.backend, key).await.length(model),
        };
        Settings {
            inline_system: of_model.inline_system,
            max_model_len,
            cache_salt: self.apps.cache_salt.clone(),
            split_think: of_model.split_think,
            default_model: self.apps.default_model.clone(),
        }
    }

    /// Asks until there is an answer to give: at most once more for each reason that a model server, or the relay, may have.
    async fn ask(
        &self,
        mut conversation: Conversation,
        mut prepared: Prepared,
    ) -> Result<Answer<B::Source>, ApiError> {
        let mut clamped = false;
        loop {
            let answered = self
                .backend
                .ask(&self.question(&conversation, &prepared))
                .await;
            let answered = match answered {
                Ok(answered) => answered,
                Err(error) => {
                    let default = self.apps.default_model.as_ref();
                    match default.filter(|default| **default != conversation.model) {
                        Some(default) if error.code == "model_not_found" => {
                            conversation.model.clone_from(default);
                            prepared = self.prepare(&conversation).await?;
                            continue;
                        }
                        _ => return Err(error),
                    }
                }
            };
            if is_event_stream(&answered) {
                return Ok(Answer::Stream(answered, prepared.form));
            }
            let whole = collect(answered, self.limits.answer_bytes).await?;
            let status = whole.status.as_u16();
            let (api, model) = (conversation.api, &conversation.model);
            if self.apps.settings(model).api_mode == ApiMode::Auto
                && prepared.path == api.path()
                && api.is_translated()
                && NO_SUCH_PATH.contains(&status)
            {
                self.refusals.note(api, model);
                prepared = self.prepare(&conversation).await?;
                continue;
            }
            if status == 400
                && !clamped
                && let Some(Overflow::Answer { room }) = clamp::overflow(&whole.error().message)
                && let Some(content) = prepare::with_room(&prepared.content, room)
            {
                clamped = true;
                prepared.content = content;
                continue;
            }
            return Ok(Answer::Whole(whole, prepared.form));
        }
    }

    /// The count of a model server that counts exactly; `None` if it cannot.
    pub(super) async fn exact_count(&self, question: &Question) -> Option<u64> {
        let answered = self.backend.ask(question).await.ok()?;
        let whole = collect(answered, self.limits.answer_bytes).await.ok()?;
        let value: serde_json::Value = serde_json::from_slice(&whole.content).ok()?;
        value.get("count").and_then(serde_json::Value::as_u64)
    }

    fn question(&self, conversation: &Conversation, prepared: &Prepared) -> Question {
        Question {
            path: prepared.path.to_owned(),
            headers: conversation.headers.clone(),
            content: prepared.content.clone(),
            model: conversation.model.clone(),
            key: conversation.key.clone(),
            padding: self.apps.settings(&conversation.model).padding,
        }
    }

    /// The response for an answer that came in time.
    async fn written(&self, answer: Answer<B::Source>, follow: &Follow) -> Result<Ready, ApiError> {
        match answer {
            Answer::Stream(answered, form) => {
                let (sender, body) = channel(WAITING);
                let keep_alive = self.apps.keep_alive;
                Ok(Ready::Stream(Box::new(move |follow: Follow| {
                    follow.status(answered.status.as_u16());
                    let mut outlet = Outlet::new(form.writer(), sender, keep_alive, follow);
                    tokio::spawn(async move {
                        if outlet.begin().await.is_ok() {
                            outlet.carry(answered.source).await;
                        }
                    });
                    event_stream(answered.status, answered.fields, body)
                })))
            }
            Answer::Whole(whole, form) => {
                if whole.status.as_u16() >= 400 {
                    return Err(whole.error());
                }
                let content = match &form {
                    Form::Passed { .. } => whole.content,
                    Form::Translated(answer) => answer.whole(&whole.content)?.into(),
                };
                follow.sent(content.len());
                let mut response = Response::new(full(content));
                *response.status_mut() = whole.status;
                *response.headers_mut() = whole.fields;
                let headers = response.headers_mut();
                if matches!(form, Form::Translated(_)) {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                }
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/octet-stream"));
                headers
                    .entry(CACHE_CONTROL)
                    .or_insert(HeaderValue::from_static("no-store"));
                Ok(Ready::Response(response))
            }
        }
    }
}

/// A response, or what becomes one together with the record of its request.
enum Ready {
    Response(Response<Body>),
    Stream(Box<dyn FnOnce(Follow) -> Response<Body> + Send>),
}

impl Whole {
    /// What went wrong, by the model server's words.
    fn error(&self) -> ApiError {
        let status = self.status.as_u16();
        if status < 400 {
            return ApiError::server_error(
                502,
                "not_streamed",
                "the model server gave a whole answer where a stream was asked for",
            );
        }
        let mut error = upstream::error(status, &self.content);
        error.retry_after = self
            .fields
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(Into::into);
        error
    }
}

fn is_event_stream<S>(answered: &Answered<S>) -> bool {
    answered.status == StatusCode::OK
        && answered.fields.get(CONTENT_TYPE).is_some_and(|value| {
            value
                .as_bytes()
                .to_ascii_lowercase()
                .starts_with(b"text/event-stream")
        })
}

async fn collect<S: Source>(answered: Answered<S>, most: usize) -> Result<Whole, ApiError> {
    let Answered {
        status,
        fields,
        mut source,
    } = answered;
    let mut content = BytesMut::new();
    while let Next::Content(piece) = source.next().await? {
        if piece.len() > most.saturating_sub(content.len()) {
            return Err(ApiError::server_error(
                502,
                "answer_too_large",
                format!("sealwire: the answer has more than {most} bytes"),
            ));
        }
        content.extend_from_slice(&piece);
    }
    Ok(Whole {
        status,
        fields,
        content: content.freeze(),
    })
}

fn event_stream(status: StatusCode, fields: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    let headers = response.headers_mut();
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

/// How long a model server's refusal of a path stands.
pub(super) const REFUSAL: Duration = Duration::from_secs(3_600);
