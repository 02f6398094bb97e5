//! The call to the model server: what may be asked, and how its failures become sealed answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use http::{Method, Request, Response, Version};
use sealwire_http::inner::{REQUEST_FIELDS, RESPONSE_FIELDS};
use sealwire_http::json_body::JsonBody;
use sealwire_http::message::{Fields, RequestHead, ResponseHead};
use sealwire_http::net::{BaseUrl, ClientError, HttpClient, Incoming, full};
use sealwire_http::openai::ApiError;
use tokio::time::timeout;

/// An inner request that passed the checks.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    fields: Fields,
    body: Bytes,
    /// The instance asked for usage on its own account; its event is not the client's.
    pub(crate) strip_usage: bool,
}

/// Checks an inner request against what an instance forwards (spec/http.md, section 7).
pub(crate) fn check(head: RequestHead, body: Bytes, label: &str) -> Result<Call, ApiError> {
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
            "an instance forwards plain paths under /v1/ only",
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
    let streams_usage = matches!(
        head.path.as_str(),
        "/v1/chat/completions" | "/v1/completions"
    );
    let changed = if streams_usage && inner.wants_stream() {
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

/// A model server's answer, up to its content.
pub(crate) struct Answered {
    pub(crate) head: ResponseHead,
    pub(crate) body: Incoming,
    /// HTTP shows the end of the content, by a length or by its framing; without that, a broken connection looks like an end.
    pub(crate) delimited: bool,
}

/// Only characters that every server reads alike, no empty or dot segments; a query may hold more.
fn path_is_plain(target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.starts_with("/v1/")
        && path
            .split('/')
            .skip(1)
            .all(|segment| !segment.is_empty() && segment != "." && segment != "..")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:".contains(&byte))
        && query.bytes().all(|byte| byte != b'#')
}

/// Makes the call and waits for the answer's head.
pub(crate) async fn call(
    client: &HttpClient,
    base: &BaseUrl,
    call: Call,
    head_time: Duration,
) -> Result<Answered, ApiError> {
    let uri = base.join(&call.path).map_err(|_| {
        ApiError::invalid_request(
            404,
            "unknown_url",
            "the request's path or query has characters that may not stand there",
        )
    })?;
    let mut request = Request::new(full(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = uri;
    for (name, value) in call.fields.iter() {
        if !REQUEST_FIELDS.contains(&name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            request.headers_mut().append(name, value);
        }
    }
    request.headers_mut().remove(HOST);
    // The field that names a coding does not pass to the client, so there must be none.
    request
        .headers_mut()
        .insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let response = match timeout(head_time, client.send(request)).await {
        Err(_) => {
            return Err(ApiError::server_error(
                504,
                "upstream_timeout",
                format!(
                    "the model server did not answer within {} s",
                    head_time.as_secs()
                ),
            ));
        }
        Ok(Err(error)) => return Err(failure(&error)),
        Ok(Ok(response)) => response,
    };
    check_answer(&response)?;
    let status = response.status().as_u16();
    let headers = response.headers();
    let delimited = response.version() >= Version::HTTP_2
        || headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
        || matches!(status, 204 | 205);
    let mut fields = Fields::new();
    for (name, value) in response.headers() {
        if RESPONSE_FIELDS.contains(&name.as_str()) {
            // A malformed field of the model server is left out.
            let _ = fields.push(name.as_str(), value.as_bytes());
        }
    }
    Ok(Answered {
        head: ResponseHead { status, fields },
        body: response.into_body(),
        delimited,
    })
}

/// Refuses answers that the sealed one cannot carry as they are.
fn check_answer<B>(response: &Response<B>) -> Result<(), ApiError> {
    let status = response.status().as_u16();
    let bad = |code: &str, what: String| Err(ApiError::server_error(502, code, what));
    if !(200..=599).contains(&status) {
        return bad(
            "upstream_garbage",
            format!("the model server answered with the status {status}"),
        );
    }
    if (300..=399).contains(&status) {
        return bad(
            "upstream_redirect",
            "the model server answered with a redirect, which is not followed".to_owned(),
        );
    }
    let coded = response
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| {
            !coding
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"identity")
        });
    if coded {
        return bad(
            "upstream_encoding",
            "the model server answered with a content coding that was not asked for".to_owned(),
        );
    }
    Ok(())
}

/// What the client is told; the address of the model server is none of its business.
fn failure(error: &ClientError) -> ApiError {
    match error {
        ClientError::Connect(_) => ApiError::server_error(
            502,
            "upstream_unreachable",
            "the model server is not reachable from the instance",
        ),
        ClientError::NotHttp(_) => ApiError::server_error(
            502,
            "upstream_garbage",
            "the model server sent something that is not HTTP",
        ),
        _ => ApiError::server_error(
            502,
            "upstream_broken",
            "the model server closed the connection before it answered",
        ),
    }
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
    fn only_plain_paths_below_v1_pass() {
        for good in [
            "/v1/models",
            "/v1/chat/completions?a=b%2f..",
            "/v1/a.b:c-d_e",
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

    #[test]
    fn other_methods_are_refused() {
        let error = check(head("DELETE", "/v1/models"), Bytes::new(), "m").err();
        assert_eq!(error.map(|error| error.status), Some(405));
    }
}
