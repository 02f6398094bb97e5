//! Short answers: JSON, text, problem documents, and the errors of chutes-v1.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::body::{Body, full};
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem, status_of};

fn reply(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    reply(status, "application/json", body)
}

/// A plain text answer.
#[must_use]
pub fn text(status: StatusCode, body: &str) -> Response<Body> {
    reply(
        status,
        "text/plain; charset=utf-8",
        body.as_bytes().to_vec(),
    )
}

/// A relay-plane error with the status of its code.
#[must_use]
pub fn problem(problem: &Problem) -> Response<Body> {
    problem_with_status(problem, status_of(problem.code))
}

/// A relay-plane error with a status of its own, such as 404 for a label that nobody serves.
#[must_use]
pub fn problem_with_status(problem: &Problem, status: StatusCode) -> Response<Body> {
    reply(status, PROBLEM_MEDIA_TYPE, problem.to_json(status))
}

/// An error of chutes-v1: `{"detail": ..}`.
#[must_use]
pub fn detail(status: StatusCode, detail: impl Into<serde_json::Value>) -> Response<Body> {
    let body = serde_json::json!({ "detail": detail.into() });
    json(status, body.to_string().into_bytes())
}
