//! OpenAI Responses over Chat Completions.
//!
//! ```text
//! request.rs    members of the request          answer.rs     a whole answer, or the writer of a streamed one
//! options.rs    .. but the conversation         stream.rs     its events in the API's order
//! items.rs      input items -> messages         said.rs       what the model says, chunk by chunk
//! content.rs    parts of their content          build.rs      .. becomes output items, one open at a time
//! tools.rs      tools, and in names.rs          open.rs       .. which write their events as they grow
//!               their names there               open_call.rs  .. as calls do
//! choice.rs     which of them may be called     calls.rs      fragments of tool calls -> whole calls
//! reasoning.rs  reasoning that comes back       custom.rs     the text in a custom tool's arguments, while they come
//! echo.rs       what a response repeats         events.rs     server-sent events, numbered
//! native.rs     for servers that speak it       object.rs     the response object, its items, identifiers
//! count.rs      how long a prompt is            failure.rs    codes of failed responses
//! ```
//!
//! Nothing is stored: a conversation is what the application sends, and reasoning comes back inside it.

mod answer;
mod build;
mod calls;
mod choice;
mod content;
mod count;
mod custom;
mod echo;
mod events;
mod failure;
mod items;
mod names;
mod native;
mod object;
mod open;
mod open_call;
mod options;
mod reasoning;
mod request;
mod said;
mod stream;
mod tools;

use std::sync::Arc;

use self::answer::Responses;
pub use self::count::{count_tokens, tokenize};
use self::object::Shape;
use crate::{ApiError, Moment, Native, Settings, Translated};

/// Translates a request.
///
/// # Errors
/// [`ApiError`] that names the member which cannot be served.
pub fn translate(body: &[u8], settings: &Settings, moment: Moment) -> Result<Translated, ApiError> {
    let request::Request {
        chat,
        model,
        stream,
        echo,
        tools,
        wants,
        dropped,
    } = request::read(body, settings)?;
    let shape = Shape::new(moment, echo, tools, wants);
    Ok(Translated {
        body: chat,
        model,
        stream,
        answer: Box::new(Responses::new(Arc::new(shape))),
        dropped,
    })
}

/// The request for a model server that speaks this API itself: cleaned, not translated. Nothing is to be stored there either.
///
/// # Errors
/// [`ApiError`], as [`translate`].
pub fn native(body: &[u8], settings: &Settings) -> Result<Native, ApiError> {
    native::clean(body, settings)
}

/// A 400 for what is not served.
fn unsupported(param: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid_request(400, "unsupported_parameter", message).with_param(param)
}

/// A 400 for what no server could make sense of.
fn invalid(param: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid_request(400, "invalid_value", message).with_param(param)
}
