//! What an instance forwards to its model server (spec/http.md section 7.3): judged on the whole inner request, with no socket.

use bytes::Bytes;
use http::Method;

use crate::chutes::{Chute, parse_id};
use crate::json_body::JsonBody;
use crate::message::{Fields, RequestHead};
use crate::openai::ApiError;

/// An inner request that passed the checks.
#[derive(Debug)]
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The sealed head's fields, of which the model server gets [`REQUEST_FIELDS`](crate::inner::REQUEST_FIELDS).
    pub fields: Fields,
    /// The content, with usage asked for where it may be.
    pub body: Bytes,
    /// The instance asked for usage on its own account; its event is not the client's.
    pub strip_usage: bool,
}

/// Checks an inner request: method, path, content, model, in this order.
///
/// # Errors
///
/// The [`ApiError`] that the instance seals: 400, 404 or 405.
pub fn check(head: RequestHead, body: Bytes, label: &str) -> Result<Call, ApiError> {
    let method = match head.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        _ => {
            return Err(ApiError::invalid_request(
                405,
                "method_not_allowed",
                "an instance forwards GET and POST only",
            ));
        }
    };
    if !path_is_plain(&head.path) {
        return Err(ApiError::invalid_request(
            404,
            "unknown_url",
            "an instance forwards plain paths under /v1/, /tokenize and /detokenize only",
        ));
    }
    if method == Method::GET {
        if !body.is_empty() {
            return Err(ApiError::invalid_request(
                400,
                "unexpected_body",
                "a GET request has no body",
            ));
        }
        return Ok(Call {
            method,
            path: head.path,
            fields: head.fields,
            body,
            strip_usage: false,
        });
    }
    let inner = JsonBody::parse(&body)
        .map_err(|error| ApiError::invalid_request(400, "bad_json", error.to_string()))?;
    if inner.model().as_deref() != Some(label) {
        return Err(ApiError::invalid_request(
            400,
            "model_mismatch",
            format!(
                "the body's model must be {label:?}, the label that this request was sealed for"
            ),
        ));
    }
    let changed = if streams_usage(&head.path) && inner.wants_stream() {
        inner.with_usage_asked()
    } else {
        None
    };
    let strip_usage = changed.is_some();
    let body = changed.map_or_else(|| body.clone(), Bytes::from);
    Ok(Call {
        method,
        path: head.path,
        fields: head.fields,
        body,
        strip_usage,
    })
}

/// Why a request of chutes-v1 is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// The path in clear.
    #[error("an instance serves plain paths under /v1/, /tokenize and /detokenize only")]
    Path,
    /// What was sealed.
    #[error("the request must be one JSON object whose names are unique")]
    Json,
    /// The stream flag in clear is not what was sealed.
    #[error("the stream flag differs from the request's own")]
    Stream,
    /// The model is another one than the chute's.
    #[error("the request's model is not the chute's")]
    Model,
}

/// Checks an opened request of chutes-v1 (spec/compat-chutes.md section 3) against what came with it in clear, and asks for running counts where it may.
/// The chute's id as the model, which clients that were given the id leave there, becomes the name that the model server knows.
///
/// # Errors
///
/// [`Misfit`].
pub fn check_chutes(
    path: &str,
    stream: bool,
    mut body: Vec<u8>,
    chute: &Chute,
) -> Result<Call, Misfit> {
    const COUNTS: &str = r#"{"include_usage":true,"continuous_usage_stats":true}"#;
    if path.contains('?') || !path_is_plain(path) {
        return Err(Misfit::Path);
    }
    let inner = JsonBody::parse(&body).map_err(|_| Misfit::Json)?;
    if inner.wants_stream() != stream {
        return Err(Misfit::Stream);
    }
    let model = inner.model().ok_or(Misfit::Model)?;
    if model != chute.model {
        if parse_id(&model) != Some(chute.chute_id) {
            return Err(Misfit::Model);
        }
        let name = serde_json::Value::from(chute.model.as_str()).to_string();
        body = inner.with("model", &name).ok_or(Misfit::Json)?;
    }
    let changed = if stream && streams_usage(path) {
        let inner = JsonBody::parse(&body).map_err(|_| Misfit::Json)?;
        inner.with("stream_options", COUNTS)
    } else {
        None
    };
    let mut fields = Fields::new();
    // A constant that is well formed.
    let _ = fields.push("content-type", b"application/json");
    Ok(Call {
        method: Method::POST,
        path: path.to_owned(),
        fields,
        body: Bytes::from(changed.unwrap_or(body)),
        strip_usage: false,
    })
}

/// Whether streams of this path know `stream_options`.
fn streams_usage(path: &str) -> bool {
    matches!(path, "/v1/chat/completions" | "/v1/completions")
}

/// Paths of model servers outside of `/v1/`: they count tokens.
const TOKEN_PATHS: [&str; 2] = ["/tokenize", "/detokenize"];

/// Only characters that every server reads alike, no empty or dot segments; a query may hold more.
fn path_is_plain(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path.starts_with("/v1/") || TOKEN_PATHS.contains(&path))
        && path
            .split('/')
            .skip(1)
            .all(|segment| !segment.is_empty() && segment != "." && segment != "..")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:".contains(&byte))
        && query.bytes().all(|byte| byte != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, path: &str) -> RequestHead {
        RequestHead {
            method: method.into(),
            path: path.into(),
            fields: Fields::new(),
        }
    }

    #[test]
    fn only_plain_paths_below_v1_and_those_of_tokens_pass() {
        for good in [
            "/v1/models",
            "/v1/chat/completions?a=b%2f..",
            "/v1/a.b:c-d_e",
            "/tokenize",
            "/detokenize",
        ] {
            assert!(
                check(head("GET", good), Bytes::new(), "m").is_ok(),
                "{good}"
            );
        }
        for bad in [
            "/",
            "/v1",
            "/v1/",
            "/v1//models",
            "/v1/../admin",
            "/v1/./models",
            "/v1/%2e%2e/admin",
            "/v1/a\\b",
            "/v2/models",
            "/V1/models",
            "/tokenize/",
            "/tokenize/x",
            "/tokenizer",
            "/Tokenize",
            "/x/tokenize",
        ] {
            let error = check(head("GET", bad), Bytes::new(), "m").err();
            assert_eq!(error.map(|error| error.status), Some(404), "{bad}");
        }
    }

    #[test]
    fn label_and_model_must_be_the_same() {
        let post = |body: &'static str| {
            check(
                head("POST", "/v1/chat/completions"),
                Bytes::from_static(body.as_bytes()),
                "m",
            )
            .map_err(|error| error.code)
        };
        assert!(post(r#"{"model":"m"}"#).is_ok());
        for bad in [r#"{"model":"x"}"#, "{}", r#"{"model":["m"]}"#] {
            assert_eq!(post(bad).err().as_deref(), Some("model_mismatch"), "{bad}");
        }
        assert_eq!(post("hello").err().as_deref(), Some("bad_json"));
    }

    #[test]
    fn usage_is_asked_for_where_it_streams() {
        let strip = |path: &str, body: &'static str| {
            check(head("POST", path), Bytes::from_static(body.as_bytes()), "m")
                .expect("acceptable")
                .strip_usage
        };
        assert!(strip(
            "/v1/chat/completions",
            r#"{"model":"m","stream":true}"#
        ));
        assert!(!strip("/v1/chat/completions", r#"{"model":"m"}"#));
        assert!(!strip("/v1/embeddings", r#"{"model":"m","stream":true}"#));
        assert!(!strip(
            "/v1/completions",
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
        ));
    }

    fn chute(model: &str) -> Chute {
        Chute {
            chute_id: parse_id(CHUTE).expect("an id"),
            model: model.to_owned(),
        }
    }

    const CHUTE: &str = "e51e818e-fa63-570d-9f68-49d7d1b4d12f";

    #[test]
    fn the_chutes_id_as_the_model_becomes_the_models_name() {
        let check = |stream: bool, body: &str| {
            let path = "/v1/chat/completions";
            // A name that needs an escape in JSON.
            check_chutes(path, stream, body.as_bytes().to_vec(), &chute("m\""))
                .map(|call| String::from_utf8(call.body.to_vec()).expect("UTF-8"))
        };
        for id in [CHUTE.to_owned(), CHUTE.to_uppercase()] {
            let body = format!(r#"{{"a":1.0, "model" : "{id}","z":[]}}"#);
            assert_eq!(
                check(false, &body).as_deref(),
                Ok(r#"{"a":1.0, "model" : "m\"","z":[]}"#)
            );
        }
        assert_eq!(
            check(true, &format!(r#"{{"model":"{CHUTE}","stream":true}}"#)).as_deref(),
            Ok(
                r#"{"model":"m\"","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}"#
            )
        );
        for other in [CHUTE.replace('e', "f"), CHUTE.replace('-', "")] {
            let body = format!(r#"{{"model":"{other}"}}"#);
            assert_eq!(check(false, &body), Err(Misfit::Model), "{other}");
        }
    }

    #[test]
    fn a_request_of_chutes_fits_what_came_in_clear() {
        let check = |path: &str, stream: bool, body: &str| {
            check_chutes(path, stream, body.as_bytes().to_vec(), &chute("m"))
                .map(|call| String::from_utf8(call.body.to_vec()).expect("UTF-8"))
        };
        let chat = "/v1/chat/completions";
        let whole = r#"{"model":"m","stream":false,"stream_options":{"a":1}}"#;
        assert_eq!(check(chat, false, whole).as_deref(), Ok(whole));
        assert_eq!(
            check(chat, true, r#"{"model":"m","stream":true}"#).as_deref(),
            Ok(
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}"#
            )
        );
        assert_eq!(
            check(
                "/v1/completions",
                true,
                r#"{"stream_options":{"include_usage":false},"model":"m","stream":true}"#
            )
            .as_deref(),
            Ok(
                r#"{"stream_options":{"include_usage":true,"continuous_usage_stats":true},"model":"m","stream":true}"#
            )
        );
        let other = r#"{"model":"m","stream":true}"#;
        assert_eq!(check("/v1/messages", true, other).as_deref(), Ok(other));
        for (path, stream, body, expected) in [
            ("/v1/models?a=b", false, r#"{"model":"m"}"#, Misfit::Path),
            ("/v1/../admin", false, r#"{"model":"m"}"#, Misfit::Path),
            ("/admin", false, r#"{"model":"m"}"#, Misfit::Path),
            (chat, false, "[]", Misfit::Json),
            (chat, false, r#"{"model":"m","model":"m"}"#, Misfit::Json),
            (chat, true, r#"{"model":"m"}"#, Misfit::Stream),
            (
                chat,
                true,
                r#"{"model":"m","stream":"true"}"#,
                Misfit::Stream,
            ),
            (
                chat,
                false,
                r#"{"model":"m","stream":true}"#,
                Misfit::Stream,
            ),
            (chat, false, r#"{"model":"n"}"#, Misfit::Model),
            (chat, false, "{}", Misfit::Model),
        ] {
            assert_eq!(check(path, stream, body), Err(expected), "{path} {body}");
        }
    }

    #[test]
    fn other_methods_are_refused() {
        let error = check(head("DELETE", "/v1/models"), Bytes::new(), "m").err();
        assert_eq!(error.map(|error| error.status), Some(405));
    }
}
