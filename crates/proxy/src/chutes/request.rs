//! The application's body on its way in: thinking, the model's name, what is asked of the answer.

use bytes::Bytes;
use http::HeaderMap;
use sealwire_http::json_body::JsonBody;

use super::error::Fault;

/// Behind a model's name: asks for thinking.
const SUFFIX: &str = ":THINKING";
/// Header that asks for thinking.
const HEADER: &str = "x-enable-thinking";

/// A model's name without the suffix, and whether thinking is asked for.
pub(super) fn thinking<'a>(model: &'a str, headers: &HeaderMap) -> (&'a str, bool) {
    let by_header = headers
        .get(HEADER)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    match model.strip_suffix(SUFFIX) {
        Some(name) if !name.is_empty() => (name, true),
        _ => (model, by_header),
    }
}

/// What is sealed.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) body: Bytes,
    pub(super) stream: bool,
    pub(super) asks_usage: bool,
}

/// Sets the model's name and the switches; every other byte stays.
pub(super) fn prepare(content: &Bytes, model: &str, thinking: bool) -> Result<Prepared, Fault> {
    let unreadable = || Fault::Request(sealwire::compat::chutes::ChutesError::NotAnObject);
    let body = JsonBody::parse(content).map_err(|_| unreadable())?;
    let (stream, asks_usage) = (body.wants_stream(), body.asks_usage());
    let mut content = content.clone();
    if body.model().as_deref() != Some(model) {
        let name = serde_json::Value::from(model).to_string();
        content = body.with("model", &name).ok_or_else(unreadable)?.into();
    }
    if thinking {
        let body = JsonBody::parse(&content).map_err(|_| unreadable())?;
        let switches = switched(body.get("chat_template_kwargs"))?;
        content = body
            .with("chat_template_kwargs", &switches)
            .ok_or_else(unreadable)?
            .into();
    }
    Ok(Prepared {
        body: content,
        stream,
        asks_usage,
    })
}

fn switched(given: Option<&str>) -> Result<String, Fault> {
    let mut text = match given {
        None | Some("null") => "{}".to_owned(),
        Some(given) => given.to_owned(),
    };
    for name in ["thinking", "enable_thinking"] {
        let changed = JsonBody::parse(text.as_bytes())
            .map_err(|_| Fault::Thinking)?
            .with(name, "true")
            .and_then(|bytes| String::from_utf8(bytes).ok());
        text = changed.ok_or(Fault::Thinking)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(json: &'static str, model: &str, thinking: bool) -> Result<String, Fault> {
        prepare(&Bytes::from_static(json.as_bytes()), model, thinking)
            .map(|prepared| String::from_utf8_lossy(&prepared.body).into_owned())
    }

    #[test]
    fn thinking_is_asked_for_by_suffix_or_header() {
        let none = HeaderMap::new();
        let mut asked = HeaderMap::new();
        asked.insert(HEADER, "True".parse().expect("ASCII"));
        let mut denied = HeaderMap::new();
        denied.insert(HEADER, "false".parse().expect("ASCII"));
        assert_eq!(thinking("m", &none), ("m", false));
        assert_eq!(thinking("m:THINKING", &none), ("m", true));
        assert_eq!(thinking("m", &asked), ("m", true));
        assert_eq!(thinking("m", &denied), ("m", false));
        assert_eq!(thinking("m:thinking", &none), ("m:thinking", false));
        assert_eq!(thinking(":THINKING", &none), (":THINKING", false));
    }

    #[test]
    fn only_what_must_change_changes() {
        let json = r#" { "z":1.10, "model" : "m:THINKING","a":[1, 2] }"#;
        assert_eq!(
            prepared(json, "m:THINKING", false).as_deref(),
            Ok(json),
            "nothing to change"
        );
        assert_eq!(
            prepared(json, "org/m", true).as_deref(),
            Ok(
                r#" { "z":1.10, "model" : "org/m","a":[1, 2],"chat_template_kwargs":{"thinking":true,"enable_thinking":true} }"#
            )
        );
        assert_eq!(
            prepared(
                r#"{"model":"m","chat_template_kwargs":{"thinking":false, "x":1},"n":1}"#,
                "m",
                true
            )
            .as_deref(),
            Ok(
                r#"{"model":"m","chat_template_kwargs":{"thinking":true, "x":1,"enable_thinking":true},"n":1}"#
            )
        );
        assert_eq!(
            prepared(r#"{"model":"m","chat_template_kwargs":7}"#, "m", true),
            Err(Fault::Thinking)
        );
    }

    #[test]
    fn what_is_asked_of_the_answer_is_read() {
        let read = |json: &'static str| {
            let prepared = prepare(&Bytes::from_static(json.as_bytes()), "m", false);
            prepared.map(|prepared| (prepared.stream, prepared.asks_usage))
        };
        assert_eq!(read(r#"{"model":"m"}"#), Ok((false, false)));
        assert_eq!(
            read(r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#),
            Ok((true, true))
        );
        assert!(read("[]").is_err());
    }
}
