//! The call to the model server: what may be asked, and how its failures become sealed answers.

use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use http::{Request, Response, Version};
use sealwire_http::forward::Call;
use sealwire_http::inner::{REQUEST_FIELDS, RESPONSE_FIELDS};
use sealwire_http::message::{Fields, ResponseHead};
use sealwire_http::net::{BaseUrl, ClientError, HttpClient, Incoming, full};
use sealwire_http::openai::ApiError;
use tokio::time::timeout;

/// A model server's answer, up to its content.
pub(crate) struct Answered {
    pub(crate) head: ResponseHead,
    pub(crate) body: Incoming,
    /// HTTP shows the end of the content, by a length or by its framing; without that, a broken connection looks like an end.
    pub(crate) delimited: bool,
}

impl Answered {
    pub(crate) fn content_type(&self) -> Option<&[u8]> {
        self.head.fields.get_all("content-type").next()
    }
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
