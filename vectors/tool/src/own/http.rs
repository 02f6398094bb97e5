//! The HTTP carriage (spec/conformance.md section 2.5).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sealwire::RelayCode;
use sealwire_http::carriage::{
    AnswerKind, REQUEST_MEDIA_TYPE, answer_kind, check_media_type, context_bytes,
};
use sealwire_http::discovery::{BundleQuery, bundles_from_json};
use sealwire_http::forward;
use sealwire_http::inner::{REQUEST_FIELDS, check_head};
use sealwire_http::message::{
    Decoder, Fields, Head, MessageError, MessageLimits, Piece, RequestHead, ResponseHead,
};
use sealwire_http::problem::Problem;
use serde_json::{Map, Value};

use super::Run;
use crate::input::{Input, Stop, code, fault, hex, object};

type Members = Map<String, Value>;

fn headers(input: Input<'_>) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::new();
    for field in input.list("fields")? {
        let pair = field.as_array().map(Vec::as_slice);
        let Some([Value::String(name), Value::String(value)]) = pair else {
            return Err(fault("a field is a pair of texts"));
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(fault("a field that no HTTP parser lets through"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

pub(super) fn request(run: Run<'_>) -> Result<Members, Stop> {
    let headers = headers(run.input)?;
    let refused = || code(RelayCode::Refused.as_str());
    check_media_type(&headers, REQUEST_MEDIA_TYPE).map_err(|_| refused())?;
    let context = context_bytes(&headers).map_err(|_| refused())?;
    Ok(object([("context", hex(&context))]))
}

pub(super) fn response(run: Run<'_>) -> Result<Members, Stop> {
    let status =
        StatusCode::from_u16(run.input.small("status")?).map_err(|_| fault("no HTTP status"))?;
    let problem = match answer_kind(status, &headers(run.input)?) {
        Ok(AnswerKind::Sealed) => return Ok(object([("sealed", true.into())])),
        Ok(AnswerKind::Problem) => Problem::from_json(&run.input.hex("body")?),
        Err(_) => None,
    };
    let code = problem
        .as_ref()
        .map_or(RelayCode::Internal, |problem| problem.code);
    let mut members = object([("error", code.as_str().into())]);
    if let Some(bundle) = problem.and_then(|problem| problem.bundle) {
        members.insert("bundle".to_owned(), hex(&bundle));
    }
    Ok(members)
}

pub(super) fn discovery_query(run: Run<'_>) -> Result<Members, Stop> {
    let query = BundleQuery::from_query(run.input.text("query")?)
        .ok_or_else(|| code(RelayCode::Refused.as_str()))?;
    Ok(object([
        ("label", query.label.into()),
        ("single_use", query.single_use.into()),
        ("suite", query.suite.map_or(Value::Null, Into::into)),
    ]))
}

pub(super) fn discovery_answer(run: Run<'_>) -> Result<Members, Stop> {
    let bundles = bundles_from_json(run.input.text("body")?.as_bytes())
        .ok_or_else(|| code(RelayCode::Internal.as_str()))?;
    let bundles: Vec<Value> = bundles.iter().map(|bundle| hex(bundle)).collect();
    Ok(object([("bundles", bundles.into())]))
}

fn limits(run: Run<'_>) -> Result<MessageLimits, Stop> {
    let small = |name, default: usize| -> Result<usize, Stop> {
        if run.params.has(name) {
            run.params.small(name)
        } else {
            Ok(default)
        }
    };
    let default = MessageLimits::default();
    Ok(MessageLimits {
        section_bytes: small("max_head", default.section_bytes)?,
        fields: small("max_fields", default.fields)?,
        content: run.param("max_content", default.content)?,
    })
}

/// Decodes a whole message; `judge` sees the head as soon as it is there.
fn decode<H: Head, E>(
    run: Run<'_>,
    fail: impl Fn(&MessageError) -> E,
    mut judge: impl FnMut(&H) -> Result<(), E>,
) -> Result<Result<(H, Vec<u8>), E>, Stop> {
    let bytes = run.input.hex("content")?;
    let mut decoder = Decoder::<H>::new(limits(run)?);
    let mut rest = bytes.as_slice();
    let (mut head, mut content) = (None, Vec::new());
    loop {
        let (used, piece) = match decoder.read(rest) {
            Ok(read) => read,
            Err(error) => return Ok(Err(fail(&error))),
        };
        match piece {
            Piece::NeedInput => break,
            Piece::Head(found) => {
                if let Err(error) = judge(&found) {
                    return Ok(Err(error));
                }
                head = Some(found);
            }
            Piece::Content(piece) => content.extend_from_slice(piece),
            Piece::End => {}
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    if let Err(error) = decoder.finish() {
        return Ok(Err(fail(&error)));
    }
    Ok(head
        .map(|head| (head, content))
        .ok_or_else(|| fail(&MessageError::Truncated)))
}

fn sealed_status(status: u16) -> Stop {
    Stop::Code(format!("sealed-{status}"))
}

fn field_list<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Value {
    fields
        .map(|(name, value)| {
            vec![
                name.to_owned(),
                value.iter().copied().map(char::from).collect(),
            ]
        })
        .map(Value::from)
        .collect::<Vec<_>>()
        .into()
}

pub(super) fn inner_request(run: Run<'_>) -> Result<Members, Stop> {
    let now = run.input.number("now")?;
    let label = run.input.text("label")?;
    let mut padding = None;
    let (head, content): (RequestHead, _) = decode(
        run,
        |error| sealed_status(error.status()),
        |head: &RequestHead| {
            padding = Some(check_head(&head.fields, now).map_err(|_| sealed_status(400))?);
            Ok(())
        },
    )??;
    let call = forward::check(head, Bytes::from(content.clone()), label)
        .map_err(|error| sealed_status(error.status))?;
    let handed = call
        .fields
        .iter()
        .filter(|(name, _)| REQUEST_FIELDS.contains(name));
    Ok(object([
        ("method", call.method.as_str().into()),
        ("path", call.path.as_str().into()),
        ("fields", field_list(handed)),
        (
            "padding",
            padding.map_or(Value::Null, |wish| wish.as_str().into()),
        ),
        ("content", hex(&content)),
    ]))
}

pub(super) fn inner_response(run: Run<'_>) -> Result<Members, Stop> {
    let bad = |_: &MessageError| code("bad-message");
    let (head, content): (ResponseHead, _) = decode(run, bad, |_: &ResponseHead| Ok(()))??;
    if head.status < 400 && !run.input.flag("request_sent", true) {
        return Err(code("early-response"));
    }
    let fields: &Fields = &head.fields;
    Ok(object([
        ("status", head.status.into()),
        ("fields", field_list(fields.iter())),
        ("content", hex(&content)),
    ]))
}
