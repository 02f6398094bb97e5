//! From an application's request to a question for the model server, and how its answer will be written.

use bytes::Bytes;
use sealwire_dialects::{
    Answer, Dialect, Moment, Native, Settings, Translated, messages, responses,
};
use sealwire_http::json_body::JsonBody;
use sealwire_http::openai::ApiError;

use super::writer::Writer;

pub(super) const CHAT: &str = "/v1/chat/completions";

/// An API of the applications' side that asks a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Messages,
}

impl Api {
    pub(super) const ALL: [Self; 5] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
    ];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Chat => CHAT,
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// For people: the last part of the path.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    pub(super) const fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings => Dialect::OpenAi,
            Self::Responses => Dialect::Responses,
            Self::Messages => Dialect::Messages,
        }
    }

    /// Whether the model server is asked in Chat Completions unless it is asked to be otherwise.
    pub(super) const fn is_translated(self) -> bool {
        matches!(self, Self::Responses | Self::Messages)
    }
}

/// A body for the model server, and the form of its answer.
pub(super) struct Prepared {
    /// Path at the model server.
    pub(super) path: &'static str,
    pub(super) content: Bytes,
    pub(super) stream: bool,
    pub(super) form: Form,
    /// What was left out of the request.
    pub(super) dropped: Vec<String>,
}

/// How an answer is written.
pub(super) enum Form {
    Passed {
        dialect: Dialect,
        /// The application did not ask for counts.
        strip_usage: bool,
    },
    Translated(Box<dyn Answer>),
}

impl Form {
    pub(super) fn writer(&self) -> Writer {
        match self {
            Self::Passed {
                dialect,
                strip_usage,
            } => Writer::passing(*dialect, *strip_usage),
            Self::Translated(answer) => Writer::translating(answer.stream()),
        }
    }
}

/// The request as it came but for its model; chat requests get the salt too.
pub(super) fn passed(
    api: Api,
    content: &Bytes,
    model: &str,
    salt: Option<&str>,
) -> Result<Prepared, ApiError> {
    let mut content = named(content, model)?;
    let body = parse(&content)?;
    let (stream, asks_usage) = (body.wants_stream(), body.asks_usage());
    if let Some(salt) = salt.filter(|_| api == Api::Chat)
        && body.get("cache_salt").is_none()
    {
        let salt = serde_json::Value::from(salt).to_string();
        content = body
            .with("cache_salt", &salt)
            .ok_or_else(unreadable)?
            .into();
    }
    Ok(Prepared {
        path: api.path(),
        content,
        stream,
        form: Form::Passed {
            dialect: api.dialect(),
            strip_usage: !asks_usage,
        },
        dropped: Vec::new(),
    })
}

/// The request in Chat Completions. `content` names the model as the application knows it, `model` as the relay does.
pub(super) fn translated(
    api: Api,
    content: &Bytes,
    model: &str,
    settings: &Settings,
    moment: Moment,
) -> Result<Prepared, ApiError> {
    let translated = match api {
        Api::Messages => messages::translate(content, settings, moment),
        _ => responses::translate(content, settings, moment),
    }?;
    let Translated {
        body,
        stream,
        answer,
        dropped,
        ..
    } = translated;
    Ok(Prepared {
        path: CHAT,
        content: named(&body.into(), model)?,
        stream,
        form: Form::Translated(answer),
        dropped,
    })
}

/// The request in its own API, for a model server that speaks it.
pub(super) fn native(
    api: Api,
    content: &Bytes,
    model: &str,
    settings: &Settings,
) -> Result<Prepared, ApiError> {
    let native = match api {
        Api::Messages => messages::native(content, settings),
        _ => responses::native(content, settings),
    }?;
    let Native {
        body,
        stream,
        dropped,
        ..
    } = native;
    Ok(Prepared {
        path: api.path(),
        content: named(&body.into(), model)?,
        stream,
        form: Form::Passed {
            dialect: api.dialect(),
            strip_usage: false,
        },
        dropped,
    })
}

/// The body with this model; every other byte as it came.
pub(super) fn named(content: &Bytes, model: &str) -> Result<Bytes, ApiError> {
    let body = parse(content)?;
    if body.model().as_deref() == Some(model) {
        return Ok(content.clone());
    }
    let name = serde_json::Value::from(model).to_string();
    Ok(body.with("model", &name).ok_or_else(unreadable)?.into())
}

/// The body with fewer tokens asked for.
pub(super) fn with_room(content: &Bytes, room: u64) -> Option<Bytes> {
    const NAMES: [&str; 2] = ["max_tokens", "max_completion_tokens"];
    let mut content = content.clone();
    let mut set = false;
    for name in NAMES {
        let body = JsonBody::parse(&content).ok()?;
        if body.get(name).is_some_and(|value| value != "null") {
            content = body.with(name, &room.to_string())?.into();
            set = true;
        }
    }
    set.then_some(content)
}

fn parse(content: &[u8]) -> Result<JsonBody<'_>, ApiError> {
    JsonBody::parse(content).map_err(|_| unreadable())
}

fn unreadable() -> ApiError {
    ApiError::invalid_request(
        400,
        "bad_json",
        "the request's body must be one JSON object whose names are unique",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &Bytes) -> &str {
        std::str::from_utf8(content).expect("UTF-8")
    }

    #[test]
    fn a_passed_request_changes_in_its_model_and_salt_only() {
        let content = Bytes::from_static(br#"{ "model":"a", "x":1.0 ,"stream":true}"#);
        let prepared = passed(Api::Chat, &content, "b", Some("s")).expect("sound");
        assert_eq!(
            text(&prepared.content),
            r#"{ "model":"b", "x":1.0 ,"stream":true,"cache_salt":"s"}"#
        );
        assert!(prepared.stream);
        let own = Bytes::from_static(br#"{"model":"a","cache_salt":"mine"}"#);
        let prepared = passed(Api::Chat, &own, "a", Some("s")).expect("sound");
        assert_eq!(prepared.content, own);
        let prepared = passed(Api::Embeddings, &content, "a", Some("s")).expect("sound");
        assert_eq!(prepared.content, content);
    }

    #[test]
    fn fewer_tokens_are_asked_for_only_where_some_were() {
        let fewer = |json: &'static str| {
            with_room(&Bytes::from_static(json.as_bytes()), 7).map(|out| text(&out).to_owned())
        };
        assert_eq!(
            fewer(r#"{"max_tokens":9,"max_completion_tokens":9}"#).as_deref(),
            Some(r#"{"max_tokens":7,"max_completion_tokens":7}"#)
        );
        assert_eq!(fewer(r#"{"max_tokens":null}"#), None);
        assert_eq!(fewer("{}"), None);
    }
}
