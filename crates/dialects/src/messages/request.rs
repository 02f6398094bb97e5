//! A request of Messages, and the Chat request that it becomes.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{thinking, tools, turns};
use crate::dialect::NO_THREADS;
use crate::{ApiError, Settings, clamp, estimate, members};

/// Members that ask for something a model server cannot give; others that are not known are left out without a word.
const MISSED: [&str; 3] = ["container", "inference_geo", "mcp_servers"];

/// The request of an application.
pub(super) struct Request {
    /// Its members.
    pub(super) members: Map<String, Value>,
}

/// The request for the model server.
pub(super) struct Chat {
    /// Its members.
    pub(super) body: Map<String, Value>,
    /// The model that the application named.
    pub(super) model: String,
    /// Whether the answer is streamed.
    pub(super) stream: bool,
    /// Estimate of the prompt's tokens.
    pub(super) prompt: u64,
    /// The application wants the prompt in the cache, and no answer.
    pub(super) prewarm: bool,
    /// As in [`crate::Translated`].
    pub(super) dropped: Vec<String>,
}

/// What a request is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An answer: what cannot be served is refused.
    Answer,
    /// Its size: nothing is refused that has one.
    Count,
}

impl Request {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let text: Option<&RawValue> = serde_json::from_slice(body).ok();
        match text.and_then(members::value) {
            Some(Value::Object(members)) => Ok(Self { members }),
            _ => Err(ApiError::invalid_request(
                400,
                "invalid_json",
                "the body must be a JSON object",
            )),
        }
    }

    /// The model, or the one for requests that name none.
    pub(super) fn model(&self, settings: &Settings) -> Result<String, ApiError> {
        match self.members.get("model") {
            Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
            None | Some(Value::Null) if settings.default_model.is_some() => {
                Ok(settings.default_model.clone().unwrap_or_default())
            }
            _ => Err(invalid("model", "model must be the name of a model")),
        }
    }

    /// Whether the answer is streamed.
    pub(super) fn stream(&self) -> bool {
        self.members.get("stream") == Some(&Value::Bool(true))
    }

    /// Most tokens of the answer. The API requires it; without it the model server decides.
    pub(super) fn max_tokens(&self) -> Result<Option<u64>, ApiError> {
        match self.members.get("max_tokens") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| invalid("max_tokens", "max_tokens must be an integer of 0 or more")),
        }
    }

    /// Names of members that are left out and may be missed.
    pub(super) fn missed(&self) -> impl Iterator<Item = String> {
        MISSED
            .into_iter()
            .filter(|name| match self.members.get(*name) {
                None | Some(Value::Null) => false,
                Some(Value::Array(list)) => !list.is_empty(),
                Some(_) => true,
            })
            .map(str::to_owned)
    }
}

/// A member is at fault.
pub(super) fn invalid(param: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid_request(400, "invalid_value", message).with_param(param)
}

/// The Chat request that gets the answer.
pub(super) fn translate(request: &Request, settings: &Settings) -> Result<Chat, ApiError> {
    let model = request.model(settings)?;
    let stream = request.stream();
    let asked = request.max_tokens()?;
    let (mut body, mut dropped) = prompt(request, settings, &model, Purpose::Answer)?;
    let members = &request.members;
    let prompt = estimate::prompt_members(&body);
    if let Some(asked) = asked {
        let tokens = clamp::clamp(settings, asked.max(1), prompt);
        body.insert("max_tokens".into(), tokens.into());
        body.insert("max_completion_tokens".into(), tokens.into());
    }
    for name in ["temperature", "top_p", "top_k"] {
        if let Some(value @ Value::Number(_)) = members.get(name) {
            body.insert(name.into(), value.clone());
        }
    }
    let stop: Vec<&Value> = list(members, "stop_sequences")
        .iter()
        .filter(|stop| stop.as_str().is_some_and(|stop| !stop.is_empty()))
        .collect();
    if !stop.is_empty() {
        body.insert("stop".into(), json!(stop));
    }
    if stream {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if let Some(salt) = &settings.cache_salt {
        body.insert("cache_salt".into(), salt.as_str().into());
    }
    dropped.extend(request.missed());
    Ok(Chat {
        body,
        model,
        stream,
        prompt,
        prewarm: asked == Some(0),
        dropped,
    })
}

/// The part of the Chat request that the prompt is made of, and the tools that were left out.
pub(super) fn prompt(
    request: &Request,
    settings: &Settings,
    model: &str,
    purpose: Purpose,
) -> Result<(Map<String, Value>, Vec<String>), ApiError> {
    let members = &request.members;
    refuse_thread(members)?;
    let tools = tools::Tools::read(members);
    if purpose == Purpose::Answer {
        tools.check(members)?;
    }
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let conversation = turns::messages(members, settings, purpose)?;
    body.insert("messages".into(), Value::Array(conversation.messages));
    if conversation.prefill {
        body.insert("add_generation_prompt".into(), false.into());
        body.insert("continue_final_message".into(), true.into());
    }
    tools.write(members, &mut body);
    thinking::write(members, &mut body);
    Ok((body, tools.left_out))
}

/// Refuses message threads, where the server keeps the conversation and each request brings the last turn alone: ignored, the model would answer that turn
/// without the rest. Anthropic's packages send everything after this refusal, if they may.
fn refuse_thread(members: &Map<String, Value>) -> Result<(), ApiError> {
    match members.get("thread") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ApiError::invalid_request(
            400,
            NO_THREADS,
            "no threads are kept here: send the whole conversation with each request",
        )
        .with_param("thread")
        .with_retry(false)),
    }
}

/// The elements of a member that is a list; none for any other.
pub(super) fn list<'a>(members: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    members
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A member that is text.
pub(super) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}
